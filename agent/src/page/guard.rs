//! Who may ask, and how browsers are told to treat the answers: only reading, only by a name of this node, and with the
//! password where one is set.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{self, HeaderName},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reelmill_daemon::Secret;

/// What every answer carries. The page has no script or style but its own files, and nothing may show it in a frame.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// What is asked of every request.
#[derive(Debug)]
pub struct Guard {
    names: Vec<String>,
    password: Option<Secret>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Method,
    Host,
    Password,
}

impl Guard {
    /// A guard that knows the node by these names, in small letters, beside `localhost` and addresses in numbers, and
    /// asks for the password where there is one.
    pub fn new(names: impl IntoIterator<Item = String>, password: Option<Secret>) -> Self {
        Self { names: names.into_iter().chain(["localhost".to_owned()]).collect(), password }
    }

    fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Refusal::Method);
        }
        if !single(headers, &header::HOST).is_some_and(|host| self.knows(host)) {
            return Err(Refusal::Host);
        }
        let Some(password) = &self.password else { return Ok(()) };
        let given = single(headers, &header::AUTHORIZATION).and_then(password_in).ok_or(Refusal::Password)?;
        if same(&given, password.expose().as_bytes()) { Ok(()) } else { Err(Refusal::Password) }
    }

    /// Whether a `Host` header names this node. An address in numbers always does: a page of another site can turn a
    /// name of its own to this node, but not a number.
    fn knows(&self, host: &str) -> bool {
        let Some((name, port)) = split(host) else { return false };
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return false;
        }
        if let Some(v6) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return v6.parse::<std::net::Ipv6Addr>().is_ok();
        }
        let name = name.to_ascii_lowercase();
        name.parse::<std::net::Ipv4Addr>().is_ok() || self.names.contains(&name)
    }
}

/// Lets a request through if it may come, and puts the headers on every answer.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut answer = match guard.check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "this page can only be read\n")
                    .into_response()
            }
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "this node is not known by that name; use its address in numbers, or add the name to page.names\n",
            )
                .into_response(),
            Self::Password => (
                StatusCode::UNAUTHORIZED,
                [(header::WWW_AUTHENTICATE, "Basic realm=\"Reelmill node\", charset=\"UTF-8\"")],
                "this page needs the node's password\n",
            )
                .into_response(),
        }
    }
}

/// The name and the port of a `Host` header.
fn split(host: &str) -> Option<(&str, Option<&str>)> {
    if host.starts_with('[') {
        let end = host.find(']')? + 1;
        return match host[end..].strip_prefix(':') {
            Some(port) => Some((&host[..end], Some(port))),
            None => host[end..].is_empty().then_some((host, None)),
        };
    }
    Some(host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))))
}

/// The one value of a header; `None` where there is none, more than one, or it is no text.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.to_str().ok()).flatten()
}

/// The password in an `Authorization` header, whoever the user says he is.
fn password_in(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, rest) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut decoded = STANDARD.decode(rest.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded.split_off(colon + 1))
}

/// Whether two texts are the same, in a time that does not tell how far they are.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |unlike, (x, y)| unlike | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(password: Option<&str>, method: Method, pairs: &[(&str, &str)]) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        Guard::new(["edge-1".to_owned(), "edge-1.local".to_owned()], password.map(Secret::new)).check(&method, &headers)
    }

    #[test]
    fn only_names_of_this_node_are_answered() {
        let numbers = ["127.0.0.1:9310", "192.168.1.7", "[::1]:9310", "[fd00::1]"];
        for host in ["localhost", "LOCALHOST:9310", "edge-1", "Edge-1.local:9310"].into_iter().chain(numbers) {
            assert_eq!(check(None, Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        let bad = ["", ":80", "evil.example", "127.0.0.1.evil.example", "edge-1.evil.example", "edge-1:80@evil"];
        for host in bad.into_iter().chain(["127.0.0.1:x", "127.1", "0x7f.1", "[::1", "[::1]x", "[edge-1]", "::1"]) {
            assert_eq!(check(None, Method::GET, &[("host", host)]), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check(None, Method::GET, &[]), Err(Refusal::Host));
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(check(None, Method::GET, &two), Err(Refusal::Host));
    }

    #[test]
    fn nothing_but_reading_is_answered() {
        let host = [("host", "localhost")];
        assert_eq!(check(None, Method::HEAD, &host), Ok(()));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::CONNECT, Method::TRACE] {
            assert_eq!(check(None, method.clone(), &host), Err(Refusal::Method), "{method}");
        }
    }

    #[test]
    fn the_password_is_asked_for_whatever_the_users_name() {
        let with = |given: &str| {
            let value = format!("Basic {}", STANDARD.encode(given));
            check(Some("pass:wörd"), Method::GET, &[("host", "localhost"), ("authorization", &value)])
        };
        assert_eq!(with("anna:pass:wörd"), Ok(()));
        assert_eq!(with(":pass:wörd"), Ok(()));
        for wrong in ["anna:pass", "anna:", "pass:wörd", "anna:pass:wörd ", ""] {
            assert_eq!(with(wrong), Err(Refusal::Password), "{wrong}");
        }
        let none = check(Some("x"), Method::GET, &[("host", "localhost")]);
        let bearer = check(Some("x"), Method::GET, &[("host", "localhost"), ("authorization", "Bearer Ong=")]);
        let small = check(Some("x"), Method::GET, &[("host", "localhost"), ("authorization", "basic Ong=")]);
        assert_eq!((none, bearer, small), (Err(Refusal::Password), Err(Refusal::Password), Ok(())));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_judged(host: String, authorization: String) {
            let guard = Guard::new([], None);
            prop_assert!(!guard.knows(&host) || host.is_ascii());
            let _ = password_in(&authorization);
        }
    }
}
