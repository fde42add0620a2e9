//! What never comes into force: each is refused with its reason, and the node stays as it is.

use serde_json::json;

use crate::node::{BEFORE, Node, Release, node};

#[test]
fn what_may_not_come_into_force_is_refused() {
    let Some(setup) = node("what_may_not_come_into_force_is_refused") else { return };
    let node = Node::start(setup);
    let wrong = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let none = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-none";
    let good = node.release("good", &[]);
    let other = |path: &str, hash: &str| Release { path: path.to_owned(), hash: hash.to_owned() };
    let check = |release: &Release, more: serde_json::Value, setting: &str, part: &str, code: &str| {
        let order = node.order("A", release, 7, more).with(setting);
        let done: Vec<&str> = BEFORE.into_iter().take_while(|phase| *phase != part).collect();
        order.parts(&done);
        assert_eq!(order.refused(part), code, "{release:?}");
        assert_eq!(node.systems(), ["old", "old", "old"]);
        order.parts(&["undo"]);
        assert_eq!((node.record("pending"), node.dead_men().as_str()), (None, ""));
        assert!(node.bad().is_empty(), "it did no harm");
        node.machine.ok(&["rm", "-rf", "/var/lib/reelmill-exec"]);
    };
    let plain = "A=b";
    check(&other(none, wrong), json!({}), plain, "preflight", "not_in_cache");
    check(&good, json!({}), "STORE_SPARE_MIB=1000000000", "preflight", "disk_full");
    check(&node.made("unsigned", "unsigned", &[]), json!({}), plain, "fetch", "unsigned");
    check(&other(&good.path, wrong), json!({}), plain, "fetch", "nar_hash_mismatch");
    check(&node.release("no-script", &[("script", "no")]), json!({}), plain, "check", "no_system");
    let refuses = node.release("refuses", &[("checks", "test \"$2\" = boot || { echo 'no downgrade' >&2; exit 1; }")]);
    check(&refuses, json!({}), plain, "check", "check_failed");
    let strands = node.release("strands", &[("deadman", "no"), ("kernel", "k2")]);
    check(&strands, json!({}), plain, "check", "no_dead_man");

    // Its checks look at what will be done.
    node.order("B", &refuses, 7, json!({"mode": "boot"})).parts(&BEFORE);
}

#[test]
fn a_store_without_room_is_seen_before_anything_is_fetched() {
    let Some(setup) = node("a_store_without_room_is_seen_before_anything_is_fetched") else { return };
    let node = Node::start(setup);
    let large = node.release("large", &[("activate", &"# ".repeat(30_000))]);
    // The store's own file system, almost full.
    node.machine.ok(&["sh", "-c", "mkdir /root/store && cp -a /nix/store/. /root/store/"]);
    node.machine.ok(&["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", "/nix/store"]);
    node.machine.ok(&["sh", "-c", "cp -a /root/store/. /nix/store/"]);
    let order = node.order("A", &large, 7, json!({}));
    let (code, message) = order.part("preflight").expect_err("there is no room");
    assert_eq!(code, "disk_full", "{message}");
    assert!(message.starts_with("/nix/store needs 1 MiB, and has 0 MiB"), "{message}");
    assert_eq!(node.record("pending"), None);
}
