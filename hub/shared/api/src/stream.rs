//! Where a live source is: `srt://`, `rtmp://` or `rtsp://`, a host and a port. An address holds no secret: it is shown in
//! logs, on pages and in reports, so one with a password is refused without being repeated.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use crate::location::BadLocation;

/// A live source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamLocation {
    protocol: Protocol,
    host: String,
    port: u16,
    /// The path with its leading `/`, and for RTMP and RTSP what follows a `?`; may be empty.
    path: String,
    srt: SrtOptions,
}

/// How a live source is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SRT, over UDP; holds MPEG-TS.
    Srt,
    /// RTMP, over TCP; holds FLV.
    Rtmp,
    /// RTSP, media over the same TCP connection.
    Rtsp,
}

/// What an SRT address may say after its `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SrtOptions {
    /// Who calls.
    pub mode: SrtMode,
    /// Milliseconds that lost packets may take to come again; absent: the protocol's own 120.
    pub latency_ms: Option<u32>,
    /// Which stream is wanted, percent-encoded as it stands in the address.
    pub stream_id: Option<String>,
}

/// Who calls whom over SRT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SrtMode {
    /// The worker calls the source, which listens.
    #[default]
    Caller,
    /// The worker listens, and the source calls.
    Listener,
}

/// Latencies that make sense, milliseconds.
const LATENCY: std::ops::RangeInclusive<u32> = 20..=8000;
/// The longest address that is taken.
const LONGEST: usize = 1024;

impl Protocol {
    /// The address's first word.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Srt => "srt",
            Self::Rtmp => "rtmp",
            Self::Rtsp => "rtsp",
        }
    }

    /// The port where the address names none; SRT has none.
    fn usual_port(self) -> Option<u16> {
        match self {
            Self::Srt => None,
            Self::Rtmp => Some(1935),
            Self::Rtsp => Some(554),
        }
    }

    /// The protocol that an address's first word names.
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        [Self::Srt, Self::Rtmp, Self::Rtsp].into_iter().find(|protocol| protocol.scheme() == scheme)
    }
}

impl StreamLocation {
    /// How it is spoken to.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The host's name or address; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What follows host and port, for RTMP and RTSP.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What an SRT address says besides.
    pub fn srt(&self) -> &SrtOptions {
        &self.srt
    }

    /// Host and port as they stand in an address.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn parse(protocol: Protocol, rest: &str) -> Result<Self, String> {
        if rest.len() > LONGEST || !rest.bytes().all(is_plain) {
            return Err(
                "an address has at most 1024 visible characters, none of them a space, quote or bracket".to_owned()
            );
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(end);
        if authority.contains('@') {
            return Err("a user or password in the address would be shown in logs: it is not taken".to_owned());
        }
        let (host, port) = host_and_port(authority, protocol)?;
        match protocol {
            Protocol::Srt => {
                let (path, query) = after.split_once('?').unwrap_or((after, ""));
                if !matches!(path, "" | "/") {
                    return Err("an SRT address has no path: name the stream by ?streamid=".to_owned());
                }
                Ok(Self { protocol, host, port, path: String::new(), srt: srt_options(query)? })
            }
            Protocol::Rtmp | Protocol::Rtsp => {
                Ok(Self { protocol, host, port, path: after.to_owned(), srt: SrtOptions::default() })
            }
        }
    }
}

/// Characters that mean nothing to a shell, to a log or to ffmpeg's own way of writing options into an address.
fn is_plain(b: u8) -> bool {
    b.is_ascii_graphic() && !br#"'"`\<>{}|^#"#.contains(&b)
}

fn host_and_port(authority: &str, protocol: Protocol) -> Result<(String, u16), String> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, after)) => {
            host.parse::<Ipv6Addr>().map_err(|_| format!("`{host}` is no IPv6 address"))?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let named = |host: &str| {
        (1..=253).contains(&host.len()) && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    };
    if !host.contains(':') && !named(host) {
        return Err("it names no host: letters, digits, dots and hyphens, or an address".to_owned());
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|p| *p > 0).ok_or_else(|| format!("`{port}` is no port"))?,
        None => protocol.usual_port().ok_or("an SRT address needs a port")?,
    };
    Ok((host.to_ascii_lowercase(), port))
}

fn srt_options(query: &str) -> Result<SrtOptions, String> {
    let mut options = SrtOptions::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "mode" => {
                options.mode = match value {
                    "caller" => SrtMode::Caller,
                    "listener" => SrtMode::Listener,
                    _ => return Err("mode is caller (the worker calls) or listener (the source calls)".to_owned()),
                }
            }
            "latency" => {
                let given = value.parse().ok().filter(|ms| LATENCY.contains(ms));
                options.latency_ms =
                    Some(given.ok_or_else(|| format!("latency is from {} to {} ms", LATENCY.start(), LATENCY.end()))?);
            }
            "streamid" if (1..=512).contains(&value.len()) => options.stream_id = Some(value.to_owned()),
            "passphrase" => {
                return Err("a passphrase in the address would be shown in logs: it is not taken".to_owned());
            }
            _ => return Err(format!("`{key}` is not mode, latency or streamid")),
        }
    }
    Ok(options)
}

impl fmt::Display for StreamLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.protocol.scheme(), self.authority(), self.path)?;
        let mode = (self.srt.mode == SrtMode::Listener).then(|| "mode=listener".to_owned());
        let latency = self.srt.latency_ms.map(|ms| format!("latency={ms}"));
        let stream = self.srt.stream_id.as_ref().map(|id| format!("streamid={id}"));
        let query: Vec<_> = [mode, latency, stream].into_iter().flatten().collect();
        if query.is_empty() { Ok(()) } else { write!(f, "?{}", query.join("&")) }
    }
}

impl FromStr for StreamLocation {
    type Err = BadLocation;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parsed = s.split_once("://").and_then(|(scheme, rest)| Some((Protocol::of_scheme(scheme)?, rest)));
        let Some((protocol, rest)) = parsed else { return Err(BadLocation::Scheme(s.to_owned())) };
        Self::parse(protocol, rest).map_err(|why| BadLocation::Stream { scheme: protocol.scheme(), why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Result<&str, &str>) {
        let got = text.parse::<StreamLocation>().map(|l| l.to_string()).map_err(|e| e.to_string());
        match want {
            Ok(shown) => assert_eq!(got.as_deref(), Ok(shown)),
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{text}: {got:?}"),
        }
    }

    #[test]
    fn takes_what_live_sources_are_named_by() {
        check("srt://10.0.0.7:9000", Ok("srt://10.0.0.7:9000"));
        check("srt://Encoder.lan:9000/?mode=caller", Ok("srt://encoder.lan:9000"));
        check("srt://0.0.0.0:9000?latency=200&mode=listener", Ok("srt://0.0.0.0:9000?mode=listener&latency=200"));
        check("srt://h:1?streamid=%23!::r=cam1", Ok("srt://h:1?streamid=%23!::r=cam1"));
        check("srt://[fe80::1]:9000", Ok("srt://[fe80::1]:9000"));
        check("rtmp://h/live/show", Ok("rtmp://h:1935/live/show"));
        check(
            "rtsp://cam:8554/cam/realmonitor?channel=1&subtype=0",
            Ok("rtsp://cam:8554/cam/realmonitor?channel=1&subtype=0"),
        );
        check("rtsp://cam", Ok("rtsp://cam:554"));
    }

    #[test]
    fn refuses_what_names_no_source_and_what_should_stay_secret() {
        check("srt://h", Err("needs a port"));
        check("srt://:9000", Err("names no host"));
        check("srt://h:0", Err("no port"));
        check("srt://h:99999", Err("no port"));
        check("srt://h:1/live", Err("no path"));
        check("srt://h:1?mode=rendezvous", Err("caller"));
        check("srt://h:1?latency=1", Err("20 to 8000"));
        check("srt://h:1?pbkeylen=16", Err("not mode, latency or streamid"));
        check("rtsp://cam/a b", Err("visible characters"));
        check("rtmp://h/a#b", Err("visible characters"));
        check("srt://[zz]:1", Err("no IPv6 address"));
        for secret in ["srt://h:1?passphrase=hunter2hunter2", "rtsp://admin:hunter2@cam/", "rtmp://hunter2@h/live"] {
            let error = secret.parse::<StreamLocation>().expect_err(secret).to_string();
            assert!(error.contains("not taken") && !error.contains("hunter2"), "{error}");
        }
    }
}
