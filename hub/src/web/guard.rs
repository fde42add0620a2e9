//! Who may ask: this build knows no users, so it answers only requests that come from this machine and were meant for
//! it. A page of another site that the user has open must reach nothing.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, header};
use reelmill_api::problem::Problem;
use url::{Host, Url};

use super::problem::Refusal;

/// What every answer carries unless it sets its own. `data:` of media is the empty track that hls.js makes for subtitles.
const HEADERS: [(header::HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self' blob: data:; \
         img-src 'self' data:; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-cache"),
];

/// Lets a request through if it may come, and puts the security headers on every answer.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut answer = match check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => Refusal::from(problem).into_response(),
    };
    for (name, value) in HEADERS {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// Whether a request with these headers may come.
///
/// # Errors
/// Why not.
pub(crate) fn check(method: &Method, headers: &HeaderMap) -> Result<(), Box<Problem>> {
    let host = single(headers, &header::HOST).filter(|host| is_loopback(&format!("http://{host}/")));
    let Some(host) = host else {
        let hint = "use http://127.0.0.1 and the hub's port";
        return Err(refused("the Host header names no loopback address").hint(hint).into());
    };
    if method.is_safe() {
        return Ok(());
    }
    let site = single(headers, &header::HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(refused("a page of another site may not change anything here").into());
    }
    match headers.contains_key(header::ORIGIN) {
        true if single(headers, &header::ORIGIN) != Some(&format!("http://{host}")) => {
            Err(refused("the Origin header names another site")
                .hint("use the hub's own page, or send no Origin")
                .into())
        }
        _ => Ok(()),
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(403, "foreign-origin", "not from here", detail)
}

/// The one value of a header; `None` where there is none, more than one, or it is no text.
fn single<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.to_str().ok()).flatten()
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    bare && match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_headers(method: Method, pairs: &[(&'static str, &'static str)], allowed: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        assert_eq!(check(&method, &headers).is_ok(), allowed, "{method} {pairs:?}");
    }

    #[test]
    fn only_a_loopback_host_is_answered() {
        for host in ["127.0.0.1:7700", "localhost:7700", "LOCALHOST", "[::1]:7700", "127.9.9.9"] {
            check_headers(Method::GET, &[("host", host)], true);
        }
        let bad = ["evil.example", "evil.example:7700", "127.0.0.1.evil.example", "localhost@evil.example", "10.0.0.1"];
        for host in bad.into_iter().chain(["", "x/localhost", "localhost/x", "localhost#", "[::]:1", "0.0.0.0:7700"]) {
            check_headers(Method::GET, &[("host", host)], false);
        }
        check_headers(Method::GET, &[], false);
        check_headers(Method::GET, &[("host", "localhost"), ("host", "evil.example")], false);
    }

    #[test]
    fn another_site_changes_nothing() {
        let host = ("host", "127.0.0.1:7700");
        check_headers(Method::POST, &[host], true);
        check_headers(Method::POST, &[host, ("origin", "http://127.0.0.1:7700")], true);
        check_headers(
            Method::POST,
            &[host, ("origin", "http://127.0.0.1:7700"), ("sec-fetch-site", "same-origin")],
            true,
        );
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:7701",
            "https://127.0.0.1:7700",
            "http://localhost:7700",
            "",
        ] {
            check_headers(Method::POST, &[host, ("origin", origin)], false);
            check_headers(Method::PUT, &[host, ("origin", origin)], false);
        }
        for site in ["cross-site", "same-site"] {
            check_headers(Method::PUT, &[host, ("sec-fetch-site", site)], false);
        }
        check_headers(Method::GET, &[host, ("origin", "http://evil.example")], true);
    }
}
