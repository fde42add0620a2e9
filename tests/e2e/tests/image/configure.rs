//! What is put into an image: others read it and find the file system clean, it replaces what was there, and it is what a
//! node takes.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::made::{Desk, KEY, TOKEN, join};

const ALL: [&str; 18] = [
    "configure",
    "node.raw",
    "--join",
    "join.toml",
    "--hostname",
    "orin-3",
    "--ssh-key",
    "id.pub",
    "--ssh-key",
    KEY,
    "--worker-env",
    "worker.env",
    "--tag",
    "lan",
    "--tag",
    "rack-2",
    "--network",
    "10.0.0.7/24,gateway=10.0.0.1",
];

const TOLD: &str = "\
node.raw is configured
  farm       https://hub.example:7443
  authority  e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  token      set, good until 2126-11-24T02:30:00Z
  node       orin-3
  tags       lan, rack-2
  network    10.0.0.7/24 by 10.0.0.1
  hostname   orin-3
  ssh key    SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU ssh-ed25519 anna@desk
  ssh key    SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU ssh-ed25519 anna@desk
  worker     QUEUE_URL, AWS_SECRET_ACCESS_KEY (values are not shown)
";

#[test]
fn others_read_what_was_put_into_an_image() {
    for fat in [12, 16, 32] {
        let desk = Desk::new(fat);
        desk.check(&ALL, 0, TOLD);
        let found =
            desk.others_read("node.raw", &["join.toml", "authorized_keys", "worker.env", "hostname", "version"]);
        let want = join()
            + "node = \"orin-3\"\ntags = [\"lan\", \"rack-2\"]\n\n[network]\naddress = \"10.0.0.7/24\"\n\
               gateway = \"10.0.0.1\"\n";
        let worker = fs::read_to_string(desk.path("worker.env")).expect("ours");
        assert_eq!(found, [want, format!("{KEY}\n{KEY}\n"), worker, "orin-3\n".to_owned(), "26.11.1\n".to_owned()]);
        assert_eq!(fs::metadata(desk.path("node.raw")).expect("ours").len(), crate::made::LENGTH);
    }
}

#[test]
fn a_second_time_replaces_all_of_the_first() {
    for fat in [12, 16, 32] {
        let desk = Desk::new(fat);
        desk.check(&ALL, 0, TOLD);
        let want = "node.raw is configured\n  farm       none: the node waits for a join file\n  hostname   hub\n";
        desk.check(&["configure", "node.raw", "--hostname", "hub"], 0, want);
        assert_eq!(desk.others_list("node.raw"), ["version", "hostname"]);
        let image = fs::read(desk.path("node.raw")).expect("ours");
        assert!(!image.windows(TOKEN.len()).any(|bytes| bytes == TOKEN.as_bytes()), "the token is gone");
        let want = "node.raw is not configured any more\n  farm       none: the node waits for a join file\n";
        desk.check(&["configure", "node.raw", "--clear"], 0, want);
        assert_eq!(desk.others_list("node.raw"), ["version"]);
    }
}

#[test]
fn an_image_without_the_folder_gets_it() {
    for fat in [12, 16, 32] {
        let desk = Desk::new(fat);
        desk.take_esp("node.raw");
        desk.tool("mdeltree", &["-i", "esp", "::reelmill"]);
        desk.put_esp("node.raw");
        let (code, told) = desk.reelmill(&["configure", "node.raw", "--join", "-"], &join());
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(desk.others_list("node.raw"), ["join.toml"]);
        assert_eq!(desk.others_read("node.raw", &["join.toml"]), [join()]);
    }
}

#[test]
fn a_packed_image_is_configured_as_an_unpacked_copy() {
    let desk = Desk::new(32);
    desk.tool("zstd", &["--quiet", "node.raw"]);
    let packed = fs::read(desk.path("node.raw.zst")).expect("ours");
    desk.check(
        &["configure", "node.raw.zst", "--join", "join.toml"],
        1,
        "error: cannot configure node.raw.zst: it is packed by zstd\n\
         hint: --output FILE writes an unpacked copy; `reelmill image flash` takes the same options and unpacks on the way\n",
    );
    for from in ["node.raw.zst", "node.raw"] {
        let (code, told) = desk.reelmill(&["configure", from, "--output", "orin-3.raw", "--join", "join.toml"], "");
        assert!(code == Some(0) && told.starts_with("orin-3.raw is configured\n"), "{told}");
        assert_eq!(desk.others_read("orin-3.raw", &["join.toml"]), [join()]);
    }
    assert!(fs::read(desk.path("node.raw.zst")).expect("ours") == packed, "the packed one stays as it is");
    desk.check(
        &["inspect", "node.raw"],
        0,
        &desk.reelmill(&["inspect", "node.raw.zst"], "").1.replace(".zst", "").replace(
            &format!(
                "{:.1} kB packed by zstd, 101 MB unpacked",
                f64::from(u32::try_from(packed.len()).expect("small")) / 1e3
            ),
            "101 MB",
        ),
    );
}

#[test]
fn what_a_node_would_not_take_is_refused_and_the_image_stays() {
    let desk = Desk::new(32);
    let image = fs::read(desk.path("node.raw")).expect("ours");
    let file = |name: &str, text: &str| fs::write(desk.path(name), text).expect("ours");
    let check = |words: &[&str], code: i32, want: &str| {
        desk.check(&[&["configure", "node.raw"], words].concat(), code, want);
    };
    file("bad.toml", &join().replace("hub =", "hup ="));
    check(
        &["--join", "bad.toml"],
        1,
        "error: bad.toml:3:1: unknown key `hup`; known are `hub`, `ca_sha256`, `token`, `node`, `tags`, `network`\n",
    );
    file("bad.toml", &join().replace(TOKEN, "rmj_hunter2"));
    check(
        &["--join", "bad.toml"],
        1,
        "error: bad.toml:5:9: a join token is `rmj_` and 32 digits and letters from a to f, as `reelmill-hub token join` \
         prints it\n",
    );
    file("token", "hunter2\n");
    let hub = ["--hub", "https://hub:7443", "--ca-sha256"];
    let pin = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    check(
        &[&hub[..], &[pin, "--join-token-file", "token"]].concat(),
        1,
        "error: token holds no join token: a join token is `rmj_` and 32 digits and letters from a to f, as \
         `reelmill-hub token join` prints it\n",
    );
    file("named.toml", &(join() + "node = \"orin-4\"\n"));
    check(
        &["--join", "named.toml", "--hostname", "orin-3"],
        1,
        "error: the join file is for the node orin-4, and not for orin-3\n\
         hint: leave --hostname out, or have the hub make a token for that name\n",
    );
    check(
        &["--tag", "lan"],
        1,
        "error: --tag and --network go into a join file: give --join or --hub\n\
         hint: `reelmill-hub token join` prints one\n",
    );
    let want = "error: token: line 1 is no public key of SSH such as `ssh-ed25519 AAAA... anna`\n";
    check(&["--ssh-key", "token"], 1, want);
    file("id", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    let want = "error: id is a private key\nhint: the public one lies beside it, and its name ends in .pub\n";
    check(&["--ssh-key", "id"], 1, want);
    file("worker.env", "QUEUE_URL redis://hunter2@hub\n");
    check(&["--worker-env", "worker.env"], 1, "error: worker.env: line 1: it is no NAME=value\n");
    check(&[], 1, "error: nothing was given to put into the image\nhint: see `reelmill image configure --help`\n");
    for (words, part) in [
        (&["--hostname", "Orin"][..], "a machine's name is 1 to 63 lower-case letters, digits and hyphens"),
        (&["--hub", "http://hub", "--ca-sha256", pin], "the hub must be written as https://HOST:PORT"),
        (&["--hub", "https://hub:7443"], "--ca-sha256 <HEX>"),
        (&["--join", "join.toml", "--hub", "https://hub"], "cannot be used with"),
        (&["--network", "10.0.0.7"], "an address must be written as 10.0.0.7/24"),
        (&["--network", "10.0.0.7/24,gateway=fd00::1"], "which 10.0.0.7/24 cannot go through"),
    ] {
        let (code, told) = desk.reelmill(&[&["configure", "node.raw"], words].concat(), "");
        assert!(code == Some(2) && told.contains(part), "{words:?}: {told}");
    }
    assert!(fs::read(desk.path("node.raw")).expect("ours") == image, "nothing was written");
}

#[test]
fn the_token_is_taken_from_a_file_or_a_word() {
    let desk = Desk::new(32);
    fs::write(desk.path("token"), format!("{TOKEN}\n")).expect("ours");
    let pin = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let want = format!("hub = \"https://hub:7443\"\nca_sha256 = \"{pin}\"\ntoken = \"{TOKEN}\"\n");
    for given in [["--join-token-file", "token"], ["--join-token", TOKEN]] {
        let words = ["configure", "node.raw", "--hub", "https://hub:7443", "--ca-sha256", pin, given[0], given[1]];
        let (code, told) = desk.reelmill(&words, "");
        assert!(code == Some(0) && told.contains("  token      set\n") && !told.contains("rmj_"), "{told}");
        assert_eq!(desk.others_read("node.raw", &["join.toml"]), [want.as_str()]);
    }
}

#[test]
fn a_token_whose_time_is_over_is_told() {
    let desk = Desk::new(32);
    fs::write(desk.path("join.toml"), join().replace("2126", "2020")).expect("ours");
    let (code, told) = desk.reelmill(&["configure", "node.raw", "--join", "join.toml"], "");
    let want = "note: the token is good until 2020-11-24T02:30:00Z only, which is over by this machine's clock\n";
    assert!(code == Some(0) && told.ends_with(want), "{told}");
}

#[test]
fn who_leaves_a_secret_open_to_others_is_told() {
    let desk = Desk::new(32);
    fs::set_permissions(desk.path("node.raw"), fs::Permissions::from_mode(0o644)).expect("ours");
    let note = "note: others on this machine can read node.raw, and so its secrets: chmod 600 node.raw\n";
    for (words, secret) in
        [(["--join", "join.toml"], true), (["--worker-env", "worker.env"], true), (["--hostname", "a"], false)]
    {
        let (code, told) = desk.reelmill(&["configure", "node.raw", words[0], words[1]], "");
        assert_eq!((code, told.contains(note)), (Some(0), secret), "{told}");
    }
    let (_, told) = desk.reelmill(&["configure", "node.raw", "--output", "own.raw", "--join", "join.toml"], "");
    assert!(!told.contains("note: "), "a copy is its owner's alone: {told}");
}

#[test]
fn what_others_keep_in_the_folder_stays() {
    for fat in [12, 16, 32] {
        let desk = Desk::new(fat);
        desk.take_esp("node.raw");
        desk.tool("mmd", &["-i", "esp", "::reelmill/a folder of somebody"]);
        desk.tool("mcopy", &["-i", "esp", "id.pub", "::reelmill/a folder of somebody/id.pub"]);
        desk.put_esp("node.raw");
        for name in ["orin-3", "orin-4"] {
            let (code, told) = desk.reelmill(&["configure", "node.raw", "--hostname", name], "");
            assert_eq!(code, Some(0), "{told}");
            let found = desk.others_read("node.raw", &["a folder of somebody/id.pub", "version", "hostname"]);
            assert_eq!(found, [format!("{KEY}\n"), "26.11.1\n".to_owned(), format!("{name}\n")]);
            // By the way back through its parent, which has moved.
            let back = desk.tool("mtype", &["-i", "esp", "::reelmill/a folder of somebody/../hostname"]);
            assert_eq!(back, format!("{name}\n"));
        }
    }
}
