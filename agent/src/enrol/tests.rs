//! What a node keeps of its place in a farm: read back, exchanged for newer, and brought to its end after a death.

use std::fs;

use jiff::SignedDuration;

use super::{files::Pair, *};

fn place(now: Timestamp) -> Membership {
    Membership {
        node: "orin-3".parse().expect("a name"),
        cert: "cert".to_owned(),
        not_after: now + SignedDuration::from_hours(30 * 24),
        ca: "ca".to_owned(),
        broker_host: None,
        broker_port: 8884,
        trust: None,
        tags: vec!["rack".parse().expect("a tag")],
        enrolled_at: now,
    }
}

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().expect("a time")
}

fn enrolled() -> Enrolled {
    let hub = HubUrl { host: "hub.example".to_owned(), port: 7443 };
    Enrolled::new(&place(now()), &hub, reelmill_api::fleet::Sha256::of(b""), now())
}

#[test]
fn what_is_kept_is_read_back_and_gives_the_node_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { state_folder: folder.path().to_owned(), ..Config::default() };
    assert_eq!(settled(&config).expect("nothing yet").broker.host, None);
    files::keep(folder.path(), &place(now()), &enrolled()).expect("kept");
    assert_eq!(is_enrolled(folder.path()), Some(enrolled()));
    assert_eq!(enrolled().renew_at.to_string(), "2026-12-12T10:00:00Z", "when a third is left");
    let settled = settled(&config).expect("its place");
    let host = settled.broker.host.expect("the hub's own");
    assert_eq!((settled.node.as_str(), host.as_str()), ("orin-3", "hub.example"));
    assert_eq!((settled.broker.port.map(u16::from), settled.tags.len()), (Some(8884), 1));
    assert!(!folder.path().join("trust.json").exists(), "nobody's yet");
    fs::write(folder.path().join("enrolled.toml"), "node = 7").expect("ours");
    assert!(super::settled(&config).is_err());
}

#[test]
fn an_exchange_that_the_machine_died_in_is_done_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let [used, next, last] = [Pair::in_use, Pair::next, Pair::last].map(|pair| pair(folder.path()));
    for (pair, text) in [(&last, "0"), (&used, "1"), (&next, "2")] {
        fs::write(&pair.key, text).expect("ours");
        fs::write(&pair.cert, text).expect("ours");
    }
    let read = || [&used.key, &used.cert].map(|path| fs::read_to_string(path).expect("it is there"));
    let finish = || files::finish(folder.path()).expect("our folder");
    finish();
    assert_eq!(read(), ["1", "1"], "all are whole, and the next one was never tried");
    for (pair, text) in [(&next, "2"), (&last, "0")] {
        fs::rename(&pair.key, &used.key).expect("the first half");
        finish();
        assert_eq!(read(), [text; 2], "the second half");
        finish();
        assert_eq!(read(), [text; 2], "there is nothing to do");
    }
}

#[test]
fn a_key_is_made_once_and_asks_for_nothing_but_a_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = Pair::in_use(folder.path());
    let (first, again) = (pair.own_key().expect("a key"), pair.own_key().expect("the same"));
    assert_eq!(files::pairing_code(&first), files::pairing_code(&again));
    assert!(files::request(&first).expect("a request").starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    fs::write(&pair.key, "x").expect("ours");
    assert_eq!(pair.own_key().expect_err("no key").to_string(), "it holds no key; remove it");
}

#[test]
fn nobody_is_somebody_else_each_time() {
    assert_ne!(nobody().keys()[0].key, nobody().keys()[0].key);
}
