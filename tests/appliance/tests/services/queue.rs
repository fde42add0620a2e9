//! The queue's servers with what the modules render, and the passwords that are drawn for them.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use reelmill_lab::programs::{Running, eventually, free_port};

use crate::place::{Place, fed, ran, script, served, tried};

#[test]
fn secrets_are_drawn_once_and_only_their_owner_reads_them() {
    let place = Place::new();
    let folder = place.secrets("queue/redis-secrets");
    let password = place.secret("queue-password");
    assert_eq!(password.len(), 64);
    assert_eq!(place.secret("queue-url"), format!("redis://:{password}@127.0.0.1:6379"));
    assert_eq!(place.secret("store-hub-access").len(), 26);
    let worker = place.secret("worker.env");
    assert!(worker.contains(&format!("QUEUE_URL=redis://:{password}@hub.example.net:6379\n")), "{worker}");
    assert!(!worker.contains(&place.secret("store-hub-secret")), "workers have keys of their own");
    for entry in fs::read_dir(&folder).expect("it is there") {
        let entry = entry.expect("it is readable");
        assert_eq!(entry.metadata().expect("it is there").permissions().mode() & 0o777, 0o600, "{entry:?}");
        let content = fs::read_to_string(entry.path()).expect("text");
        assert!(!content.contains("<<"), "{entry:?}");
    }
    place.secrets("queue/redis-secrets");
    assert_eq!(place.secret("queue-password"), password);
    assert_eq!(place.secret("worker.env"), worker);
}

#[test]
fn a_secret_that_names_one_that_nobody_makes_is_refused() {
    let place = Place::new();
    let list = place.write("list", "queue-url redis://:<<no-such-file>>@hub\n");
    let (good, _, errors) = tried(script("draw-secrets").arg(list).arg(place.path("secrets")));
    assert!(!good && errors.contains("queue-url") && errors.contains("hint:"), "{errors}");
    assert!(!place.path("secrets/queue-url").exists());
}

#[test]
fn redis_keeps_what_it_has_and_asks_for_the_password() {
    let place = Place::new();
    place.secrets("queue/redis-secrets");
    let password = place.secret("queue-password");
    let port = free_port();
    let conf = place.golden(
        "queue/redis.conf",
        &[("port 6379", &format!("port {port}")), ("/var/lib/redis-reelmill", &place.at(""))],
    );
    // As NixOS does when the service starts.
    let text = fs::read_to_string(&conf).expect("ours") + &format!("requirepass {password}\n");
    place.write("redis.conf", &text);
    let start = || {
        let mut server = Command::new("redis-server");
        server.arg(&conf).stdout(Stdio::null());
        let running = Running::start(server);
        eventually("redis", || TcpStream::connect(("127.0.0.1", port)).ok());
        running
    };
    let cli = |words: &str, password: &str| {
        let port = port.to_string();
        let words = ["-p", &port].into_iter().chain(words.split(' ')).collect::<Vec<_>>();
        fed("redis-cli", &words, password)
    };
    let mut running = start();
    assert!(cli("PING", "").contains("NOAUTH"));
    let told = fed(
        "redis-cli",
        &["-p", &port.to_string()],
        &format!("AUTH {password}\nCONFIG GET maxmemory-policy\nXADD s * k v\n"),
    );
    assert!(told.contains("noeviction"), "{told}");
    // A second is what it may lose by its settings, so this one is written at once.
    let synced = format!("AUTH {password}\nCONFIG SET appendfsync always\nXADD s * k v\n");
    fed("redis-cli", &["-p", &port.to_string()], &synced);
    running.kill();
    let _again = start();
    let left = eventually("what was there before the power cut", || {
        let told = fed("redis-cli", &["-p", &port.to_string()], &format!("AUTH {password}\nXLEN s\n"));
        (!told.contains("LOADING")).then_some(told)
    });
    assert!(left.contains('2'), "{left}");
}

#[test]
fn nats_knows_one_user_and_brings_streams() {
    let place = Place::new();
    place.secrets("queue/nats-secrets");
    let port = free_port();
    let conf = place.golden("queue/nats.conf", &[("4222", &port.to_string()), ("/var/lib/nats", &place.at("nats"))]);
    let variable = place.secret("nats.env");
    let (name, password) = variable.split_once('=').expect("a variable");
    let log = place.path("log");
    let mut server = Command::new(served("nats-server"));
    server.arg("-c").arg(conf).arg("-l").arg(&log).env(name, password);
    let _running = Running::start(server);
    eventually("nats", || TcpStream::connect(("127.0.0.1", port)).ok());
    let said = |password: &str| {
        use std::io::{Read as _, Write as _};
        let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let hello = format!("CONNECT {{\"verbose\":true,\"user\":\"reelmill\",\"pass\":\"{password}\"}}\r\nPING\r\n");
        socket.write_all(hello.as_bytes()).expect("sent");
        let mut told = String::new();
        while !["PONG", "-ERR"].iter().any(|end| told.contains(end)) {
            let mut part = [0; 4096];
            let n = socket.read(&mut part).expect("it answers");
            assert_ne!(n, 0, "{told}");
            told.push_str(&String::from_utf8_lossy(&part[..n]));
        }
        told
    };
    let good = said(password);
    assert!(good.contains("PONG") && good.contains("\"jetstream\":true"), "{good}");
    assert!(said("guess").contains("Authorization Violation"));
    assert_eq!(place.secret("queue-url"), format!("nats://reelmill:{password}@127.0.0.1:4222"));
}

#[test]
fn rabbitmq_knows_one_user_and_no_guest() {
    let place = Place::new();
    place.secrets("queue/rabbitmq-secrets");
    let (port, dist, epmd) = (free_port(), free_port(), free_port());
    let conf = place.golden(
        "queue/rabbitmq.conf",
        &[
            ("127.0.0.1:5672", &format!("127.0.0.1:{port}")),
            ("/run/credentials/rabbitmq.service/definitions.json", &place.at("secrets/rabbitmq-definitions.json")),
        ],
    );
    place.write("enabled_plugins", "[].\n");
    let erlang = |program: &str| {
        let mut command = Command::new(format!("/usr/lib/rabbitmq/bin/{program}"));
        command.env("HOME", place.path("")).env("RABBITMQ_NODENAME", format!("reelmill{dist}@localhost"));
        command.env("RABBITMQ_CONFIG_FILE", &conf).env("RABBITMQ_MNESIA_BASE", place.path("mnesia"));
        command.env("RABBITMQ_LOG_BASE", place.path("log")).env("RABBITMQ_DIST_PORT", dist.to_string());
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", place.path("enabled_plugins"));
        command.env("RABBITMQ_CONF_ENV_FILE", "/dev/null").env("ERL_EPMD_PORT", epmd.to_string());
        command
    };
    let mut server = erlang("rabbitmq-server");
    server.stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running::start(server);
    eventually("rabbitmq", || {
        tried(erlang("rabbitmqctl").arg("await_startup").arg("--timeout").arg("5")).0.then_some(())
    });
    let users = tried(erlang("rabbitmqctl").args(["-q", "list_users"])).1;
    assert!(users.contains("reelmill\t[administrator]") && !users.contains("guest"), "{users}");
    let knows = |password: &str| tried(erlang("rabbitmqctl").args(["authenticate_user", "reelmill", password])).0;
    assert!(knows(&place.secret("queue-password")) && !knows("guess"));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    let url = format!("amqp://reelmill:{}@127.0.0.1:5672/%2f", place.secret("queue-password"));
    assert_eq!(place.secret("queue-url"), url);
    ran(erlang("rabbitmqctl").args(["shutdown", "--timeout", "60"]));
    drop(running);
    // The names of Erlang's nodes are kept by a program that it starts and leaves behind.
    tried(Command::new("epmd").args(["-port", &epmd.to_string(), "-kill"]));
}
