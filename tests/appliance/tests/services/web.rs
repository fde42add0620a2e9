//! nginx before the hub, with what the module renders: it asks who somebody is, and the hub still refuses pages of other sites.

use std::{
    fs,
    net::TcpStream,
    process::{Command, Stdio},
};

use reelmill_lab::programs::{Running, command, eventually, free_port};
use serde_json::Value;

use crate::place::{Place, fed, served};

#[test]
fn who_has_a_password_reaches_the_hub_and_a_page_of_another_site_does_not() {
    let place = Place::new();
    place.hub(&["ca", "broker", "--out", &place.at("out"), "--name", "hub.example.net"]);
    let mut hub = command("reelmill-hub");
    hub.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(place.path("data")).stderr(Stdio::null());
    let _hub = Running::start(hub);
    let api = eventually("the hub", || {
        let said = fs::read_to_string(place.path("data/hub.json")).ok()?;
        Some(serde_json::from_str::<Value>(&said).ok()?["api"].as_str()?.trim_start_matches("http://").to_owned())
    });
    let port = free_port();
    let hash = fed("openssl", &["passwd", "-apr1", "-stdin"], "horse\n");
    place.write("users", &format!("anna:{hash}"));
    let rendered = place.golden(
        "web/nginx.conf",
        &[
            ("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl")),
            ("127.0.0.1:7700", &api),
            ("\"https://hub.example.net\"", &format!("\"https://hub.example.net:{port}\"")),
            ("/run/credentials/nginx.service/reelmill-cert", &place.at("out/broker.pem")),
            ("/run/credentials/nginx.service/reelmill-key", &place.at("out/broker.key")),
            ("/run/credentials/nginx.service/reelmill-users", &place.at("users")),
        ],
    );
    let at = |name: &str| place.at(name);
    let around = format!(
        "daemon off; master_process off; pid {}; error_log {} info;\nuser root;\nevents {{}}\nhttp {{ access_log off; client_body_temp_path {}; \
         proxy_temp_path {}; fastcgi_temp_path {}; uwsgi_temp_path {}; scgi_temp_path {};\n{}\n}}\n",
        at("pid"),
        at("error.log"),
        at("a"),
        at("b"),
        at("c"),
        at("d"),
        at("e"),
        fs::read_to_string(rendered).expect("ours"),
    );
    let conf = place.write("whole.conf", &around);
    let mut proxy = Command::new(served("nginx"));
    proxy.arg("-c").arg(conf).stderr(Stdio::null());
    let running = Running::start(proxy);
    eventually("nginx", || TcpStream::connect(("127.0.0.1", port)).ok());

    let to = format!("hub.example.net:{port}:127.0.0.1");
    let asks = |path: &str, words: &[&str]| {
        let url = format!("https://hub.example.net:{port}{path}");
        let mut all = vec!["-sS", "--resolve", &to, "--cacert"];
        let ca = at("out/ca.pem");
        all.extend([ca.as_str(), "-o", "/dev/null", "-w", "%{http_code}"]);
        all.extend(words);
        all.push(&url);
        fed("curl", &all, "")
    };
    let anna = ["--user", "anna:horse"];
    assert_eq!(asks("/v1/jobs", &[]), "401");
    assert_eq!(asks("/v1/jobs", &["--user", "anna:guess"]), "401");
    assert_eq!(asks("/v1/jobs", &anna), "200");
    assert_eq!(asks("/", &anna), "200");
    let put = |origin: &str| {
        let origin = format!("Origin: {origin}");
        asks("/v1/uploads/a.mp4", &["--user", "anna:horse", "-T", "-", "-H", &origin])
    };
    assert_eq!(put(&format!("https://hub.example.net:{port}")), "201");
    assert_eq!(put("https://evil.example"), "403");
    running.signal(rustix::process::Signal::TERM);
}
