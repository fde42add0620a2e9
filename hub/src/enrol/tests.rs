//! Nodes at the desk: what each is told, and what the database says then.

use rcgen::{CertificateParams, KeyPair};
use reelmill_api::enrol::{JoinToken, Machine, PairingCode};
use tempfile::TempDir;

use super::*;
use crate::config::Config;

const FROM: &str = "10.0.0.7";

fn at(hours: i64) -> Timestamp {
    let ten: Timestamp = "2026-11-22T10:00:00Z".parse().expect("a time");
    ten + SignedDuration::from_hours(hours)
}

struct Farm {
    folder: TempDir,
    desk: Desk,
}

impl Farm {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("hub.sqlite")).await.expect("a database");
        let ca = Ca::open(&folder.path().join("ca")).expect("an authority");
        let trust = folder.path().join("trust.json");
        Self { desk: Desk { db, ca, broker_host: None, broker_port: 8883, trust, own: None }, folder }
    }

    fn config(&self) -> Config {
        Config { data: Some(self.folder.path().to_owned()), ..Config::default() }
    }

    /// A token by the operator's own command.
    async fn token(&self, words: &[&str]) -> JoinToken {
        let line = [&["x", "join", "--hub", "https://hub:1"], words].concat();
        let printed = operator::token(&self.config(), parse(&line), at(0)).await.expect("a token");
        let token = printed.lines().find_map(|line| line.strip_prefix("token = \"")?.strip_suffix('"'));
        token.expect("it is in the file").parse().expect("a token")
    }

    async fn node(&self, words: &[&str], now: Timestamp) -> Result<String, String> {
        let line = [&["x"], words].concat();
        operator::node(&self.config(), parse(&line), now).await.map_err(|e| e.to_string())
    }

    async fn join(&self, asks: &Asks, now: Timestamp) -> JoinAnswer {
        self.desk.join(&asks.request(), FROM, now).await.expect("a judgement")
    }

    /// Enrolled as, or why not.
    async fn told(&self, asks: &Asks, hours: i64) -> String {
        told(&self.join(asks, at(hours)).await)
    }
}

/// One of the two kinds of operator's commands, as the terminal reads them.
fn parse<C: clap::Subcommand>(line: &[&str]) -> C {
    let command = C::augment_subcommands(clap::Command::new("x"));
    C::from_arg_matches(&command.try_get_matches_from(line).expect("good words")).expect("good words")
}

fn told(answer: &JoinAnswer) -> String {
    match answer {
        JoinAnswer::Enrolled(place) => {
            let tags: Vec<_> = place.tags.iter().map(Tag::as_str).collect();
            format!("{} {}", place.node, tags.join(",")).trim_end().to_owned()
        }
        JoinAnswer::Pending { why, .. } => why.map_or_else(|| "pending".to_owned(), |why| format!("pending: {why}")),
        JoinAnswer::Refused { why, .. } => format!("refused: {why}"),
    }
}

/// A node that asks.
struct Asks {
    key: KeyPair,
    name: &'static str,
    tags: &'static [&'static str],
    serial: Option<&'static str>,
    token: Option<JoinToken>,
}

impl Asks {
    fn new(name: &'static str, token: Option<&JoinToken>) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self { key, name, tags: &["rack"], serial: None, token: token.cloned() }
    }

    fn csr(&self) -> String {
        let request = CertificateParams::default().serialize_request(&self.key).expect("a request");
        request.pem().expect("PEM")
    }

    fn request(&self) -> JoinRequest {
        JoinRequest {
            node: self.name.parse().expect("a name"),
            csr: self.csr(),
            token: self.token.clone(),
            tags: self.tags.iter().map(|tag| tag.parse().expect("a tag")).collect(),
            machine: Machine { serial: self.serial.map(Text::cut), board: Some(Text::cut("a board\u{1b}[2J")) },
        }
    }

    fn code(&self) -> PairingCode {
        Csr::parse(&self.csr()).expect("a request").pairing_code()
    }
}

#[tokio::test]
async fn a_token_lets_one_node_in_once_and_gives_its_tags_and_name() {
    let farm = Farm::new().await;
    let (plain, tagged) = (farm.token(&[]).await, farm.token(&["--tag", "mesh", "--node", "edge-9"]).await);
    let first = Asks::new("orin-1", Some(&plain));
    assert_eq!(farm.told(&first, 1).await, "orin-1 rack", "what it wishes, where the token says nothing");
    assert_eq!(farm.told(&Asks::new("orin-2", Some(&plain)), 1).await, "pending: the token was used by another node");
    assert_eq!(farm.told(&Asks::new("orin-3", Some(&tagged)), 1).await, "edge-9 mesh");
    let stored = std::fs::read(farm.folder.path().join("hub.sqlite")).expect("ours");
    let wal = std::fs::read(farm.folder.path().join("hub.sqlite-wal")).unwrap_or_default();
    let holds = |text: &[u8]| [&stored, &wal].iter().any(|f| f.windows(text.len()).any(|part| part == text));
    assert!(holds(b"edge-9") && !holds(plain.expose().as_bytes()), "only its digest is kept");
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_an_old_certificate_anew() {
    let farm = Farm::new().await;
    let asks = Asks::new("orin-1", Some(&farm.token(&[]).await));
    let first = farm.join(&asks, at(1)).await;
    assert_eq!(farm.join(&asks, at(2)).await, first, "the signature on the request is another, the key is the same");
    let JoinAnswer::Enrolled(old) = first else { panic!("{first:?}") };
    let JoinAnswer::Enrolled(new) = farm.join(&asks, at(24 * 100)).await else { panic!("it has the key") };
    assert!(new.cert != old.cert && new.not_after == at(24 * 130) && new.enrolled_at == old.enrolled_at);
}

#[tokio::test]
async fn tokens_end_and_are_for_whom_they_are() {
    let farm = Farm::new().await;
    let short = farm.token(&["--for", "90min"]).await;
    assert_eq!(farm.told(&Asks::new("a", Some(&short)), 2).await, "pending: the token has expired");
    let bound = farm.token(&["--serial", "1424"]).await;
    assert_eq!(farm.told(&Asks::new("b", Some(&bound)), 1).await, "pending: the hub does not know the token");
    assert_eq!(farm.told(&Asks { serial: Some("1424"), ..Asks::new("b", Some(&bound)) }, 1).await, "b rack");
    let forged = JoinToken::new([7; 16]);
    assert_eq!(farm.told(&Asks::new("c", Some(&forged)), 1).await, "pending: the hub does not know the token");
    let taken_back = farm.token(&[]).await;
    let id = Sha256::of(taken_back.expose().as_bytes()).to_string();
    let revoke = parse(&["x", "revoke", &id[..12]]);
    operator::token(&farm.config(), revoke, at(0)).await.expect("taken back");
    assert_eq!(farm.told(&Asks::new("d", Some(&taken_back)), 1).await, "pending: the hub does not know the token");
}

#[tokio::test]
async fn two_at_once_with_one_token_are_one() {
    let farm = Farm::new().await;
    let token = farm.token(&[]).await;
    let nodes: Vec<_> = ["a", "b", "c", "d"].map(|name| Asks::new(name, Some(&token))).into();
    let all = nodes.iter().map(|asks| farm.told(asks, 1));
    let all = futures::future::join_all(all).await;
    let pending = all.iter().filter(|told| *told == "pending: the token was used by another node").count();
    assert_eq!(pending, 3, "{all:?}");
}

#[tokio::test]
async fn a_name_is_one_nodes_until_an_operator_gives_it_to_another() {
    let farm = Farm::new().await;
    let first = Asks::new("orin-1", Some(&farm.token(&[]).await));
    assert_eq!(farm.told(&first, 1).await, "orin-1 rack");
    let token = farm.token(&[]).await;
    let mut second = Asks::new("orin-1", Some(&token));
    assert_eq!(farm.told(&second, 1).await, "refused: another node has this name");
    second.name = "orin-2";
    assert_eq!(farm.told(&second, 1).await, "orin-2 rack", "and the token was not used up");
    let flashed = Asks::new("anything", Some(&farm.token(&["--node", "orin-1"]).await));
    assert_eq!(farm.told(&flashed, 2).await, "orin-1 rack");
    assert_eq!(farm.told(&first, 3).await, "refused: this node was put out of the farm");
    assert_eq!(farm.desk.db.revoked().await.expect("read").len(), 1);
    assert!(farm.folder.path().join("ca/crl.pem").exists());
    for name in RESERVED {
        let asks = Asks::new(name, Some(&farm.token(&[]).await));
        assert_eq!(farm.told(&asks, 1).await, "refused: another node has this name", "{name}");
        let better = Asks { name: "orin-3", ..asks };
        assert_eq!(farm.told(&better, 1).await, "orin-3 rack", "and the token was not used up");
        farm.node(&["revoke", "orin-3"], at(1)).await.expect("put out");
    }
}

#[tokio::test]
async fn nobody_is_called_as_the_hubs_own_node() {
    let mut farm = Farm::new().await;
    farm.desk.own = Some("orin-0".parse().expect("a name"));
    let bound = Asks::new("x", Some(&farm.token(&["--node", "orin-0"]).await));
    assert_eq!(farm.told(&bound, 1).await, "refused: another node has this name", "whoever says so");
    let asks = Asks::new("orin-0", Some(&farm.token(&[]).await));
    assert_eq!(farm.told(&asks, 1).await, "refused: another node has this name");
    assert_eq!(farm.told(&Asks { name: "orin-1", ..asks }, 1).await, "orin-1 rack");
    let approved = Asks::new("orin-0", None);
    farm.told(&approved, 1).await;
    farm.node(&["approve", &approved.code().to_string(), "--replace"], at(1)).await.expect("approved");
    assert_eq!(farm.told(&approved, 1).await, "refused: another node has this name");
}

#[tokio::test]
async fn an_operator_lets_in_who_shows_the_code_and_nobody_else() {
    let farm = Farm::new().await;
    let (asks, other) = (Asks::new("orin-1", None), Asks::new("orin-1", None));
    assert_eq!([farm.told(&asks, 0).await, farm.told(&other, 0).await], ["pending", "pending"]);
    let listed = farm.node(&["list"], at(0)).await.expect("listed");
    let line = format!(
        "{} asks node=orin-1 address=10.0.0.7 board=\"a board\u{fffd}[2J\" tags=rack seen=2026-11-22T10:00:00Z\n",
        asks.code()
    );
    assert!(listed.contains(&line), "{listed}");
    farm.node(&["deny", &other.code().to_string()], at(0)).await.expect("denied");
    let small = asks.code().to_string().to_lowercase();
    farm.node(&["approve", &small, "--node", "edge-1", "--tag", "mesh"], at(0)).await.expect("approved");
    assert_eq!(farm.told(&other, 0).await, "refused: an operator has refused this node");
    assert_eq!(farm.told(&asks, 0).await, "edge-1 mesh");
    let listed = farm.node(&["list"], at(0)).await.expect("listed");
    assert!(listed.ends_with("edge-1 certificate good until 2026-12-22T10:00:00Z tags=mesh\n"), "{listed}");
    let again = farm.node(&["approve", &small], at(0)).await.expect_err("it does not ask any more");
    assert_eq!(again, format!("no node asks with the code {}", asks.code()));
    let third = Asks::new("edge-1", None);
    farm.told(&third, 0).await;
    let code = third.code().to_string();
    let taken = farm.node(&["approve", &code], at(0)).await.expect_err("the name is taken");
    assert_eq!(taken, "another node is called edge-1");
    farm.node(&["approve", &code, "--replace"], at(0)).await.expect("approved");
    assert_eq!(farm.told(&third, 0).await, "edge-1 rack");
    assert_eq!(farm.told(&asks, 0).await, "refused: this node was put out of the farm");
}

#[tokio::test]
async fn an_approval_puts_nobody_out_who_came_after_it_unless_it_says_so() {
    let farm = Farm::new().await;
    let (plain, replaces) = (Asks::new("orin-5", None), Asks::new("orin-5", None));
    for (asks, words) in [(&plain, vec![]), (&replaces, vec!["--replace"])] {
        assert_eq!(farm.told(asks, 0).await, "pending");
        let code = asks.code().to_string();
        farm.node(&[vec!["approve", &code], words].concat(), at(0)).await.expect("the name is free");
    }
    let between = Asks::new("orin-5", Some(&farm.token(&[]).await));
    assert_eq!(farm.told(&between, 0).await, "orin-5 rack");
    assert_eq!(farm.told(&plain, 0).await, "refused: another node has this name");
    assert_eq!(farm.told(&between, 0).await, "orin-5 rack", "it is still in");
    assert_eq!(farm.told(&replaces, 0).await, "orin-5 rack");
    assert_eq!(farm.told(&between, 0).await, "refused: this node was put out of the farm");
    farm.node(&["approve", &plain.code().to_string(), "--node", "orin-6"], at(0)).await.expect("another name");
    assert_eq!(farm.told(&plain, 0).await, "orin-6 rack");
}

#[tokio::test]
async fn those_who_ask_are_bounded_and_forgotten() {
    let farm = Farm::new().await;
    for _ in 0..MOST_ASKING_FROM_ONE {
        assert_eq!(farm.told(&Asks::new("a", None), 0).await, "pending");
    }
    assert_eq!(farm.told(&Asks::new("a", None), 0).await, "refused: too many nodes ask the hub at once");
    let near = Asks::new("b", None).request();
    let elsewhere = farm.desk.join(&near, "10.0.0.8", at(0)).await.expect("a judgement");
    assert_eq!(told(&elsewhere), "pending");
    assert_eq!(farm.told(&Asks::new("a", None), 2).await, "pending");
    assert_eq!(farm.desk.db.asking().await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_certificate_of_any_age_is_renewed_unless_it_was_revoked() {
    let farm = Farm::new().await;
    let asks = Asks::new("orin-1", Some(&farm.token(&[]).await));
    let JoinAnswer::Enrolled(old) = farm.join(&asks, at(0)).await else { panic!("a good token") };
    let digest = |pem: &str| {
        use rustls::pki_types::{CertificateDer, pem::PemObject as _};
        Sha256::of(&CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM"))
    };
    let (shown, next) = (digest(&old.cert), Asks::new("anything", None));
    let renew = |asks: &Asks, hours| {
        let request = RenewRequest { csr: asks.csr() };
        let desk = &farm.desk;
        async move { desk.renew(&request, &shown, at(hours)).await.expect("a judgement") }
    };
    let JoinAnswer::Enrolled(new) = renew(&next, 24 * 300).await else { panic!("it is not revoked") };
    assert_eq!((new.node.as_str(), new.not_after), ("orin-1", at(24 * 330)));
    let JoinAnswer::Enrolled(again) = renew(&next, 24 * 301).await else { panic!("the answer was lost") };
    assert_eq!(again.cert, new.cert);
    let stranger = Asks::new("x", Some(&farm.token(&[]).await));
    farm.join(&stranger, at(0)).await;
    assert_eq!(told(&renew(&stranger, 1).await), "refused: the hub cannot read the request", "another node's key");
    let unknown = RenewRequest { csr: next.csr() };
    let unknown = farm.desk.renew(&unknown, &Sha256::of(b"x"), at(0)).await.expect("a judgement");
    assert_eq!(told(&unknown), "refused: the hub does not know this node's certificate");
    farm.node(&["revoke", "orin-1"], at(24 * 302)).await.expect("put out");
    assert_eq!(told(&renew(&next, 24 * 302).await), "refused: this node was put out of the farm");
    assert_eq!(farm.desk.db.revoked().await.expect("read").len(), 2, "all of its certificates");
    assert_eq!(farm.node(&["revoke", "nobody"], at(0)).await.expect_err("none"), "there is no node nobody");
}

#[tokio::test]
async fn an_approval_lasts_a_day_and_no_longer() {
    let farm = Farm::new().await;
    let (soon, late) = (Asks::new("orin-1", None), Asks::new("orin-2", None));
    for asks in [&soon, &late] {
        assert_eq!(farm.told(asks, 0).await, "pending");
        farm.node(&["approve", &asks.code().to_string()], at(0)).await.expect("approved");
    }
    for _ in 0..MOST_ASKING_FROM_ONE {
        assert_eq!(farm.told(&Asks::new("a", None), 23).await, "pending", "who is approved waits for nobody");
    }
    assert_eq!(farm.told(&soon, 23).await, "orin-1 rack");
    assert_eq!(farm.told(&Asks::new("a", None), 25).await, "pending");
    assert_eq!(farm.told(&late, 25).await, "pending");
}

#[tokio::test]
async fn a_key_that_gave_way_to_another_is_good_for_nothing() {
    let farm = Farm::new().await;
    let (first, second, third) =
        (Asks::new("orin-1", Some(&farm.token(&[]).await)), Asks::new("x", None), Asks::new("x", None));
    let digest = |pem: &str| {
        use rustls::pki_types::{CertificateDer, pem::PemObject as _};
        Sha256::of(&CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM"))
    };
    let renew = |asks: &Asks, shown: &str, hours| {
        let (request, shown, desk) = (RenewRequest { csr: asks.csr() }, digest(shown), &farm.desk);
        async move { desk.renew(&request, &shown, at(hours)).await.expect("a judgement") }
    };
    let JoinAnswer::Enrolled(old) = farm.join(&first, at(0)).await else { panic!("a good token") };
    let JoinAnswer::Enrolled(new) = renew(&second, &old.cert, 24 * 20).await else { panic!("a good certificate") };
    assert_eq!(told(&renew(&second, &old.cert, 24 * 20).await), "orin-1 rack", "the answer was lost");
    let list = farm.folder.path().join("ca/crl.pem");
    std::fs::remove_file(&list).expect("it was written when the node came in");
    assert_eq!(told(&renew(&third, &new.cert, 24 * 40).await), "orin-1 rack");
    assert!(list.exists(), "brokers are told");
    assert_eq!(told(&renew(&third, &new.cert, 24 * 40).await), "orin-1 rack", "the answer was lost");
    let thief = Asks::new("x", None);
    assert_eq!(told(&renew(&thief, &old.cert, 24 * 40).await), "refused: this node was put out of the farm");
    assert_eq!(farm.told(&first, 24 * 40).await, "refused: this node was put out of the farm");
    assert_eq!(farm.desk.db.revoked().await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_bad_request_is_refused_and_nothing_is_kept() {
    let farm = Farm::new().await;
    let token = farm.token(&[]).await;
    let good = Asks::new("a", Some(&token)).request();
    let many = vec!["t".parse().expect("a tag"); MAX_TAGS + 1];
    for bad in [JoinRequest { csr: String::new(), ..good.clone() }, JoinRequest { tags: many, ..good }] {
        let answer = farm.desk.join(&bad, FROM, at(0)).await.expect("a judgement");
        assert_eq!(told(&answer), "refused: the hub cannot read the request");
    }
    assert!(farm.desk.db.asking().await.expect("read").is_empty());
}

#[tokio::test]
async fn an_operator_works_as_the_user_who_has_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let we = rustix::process::geteuid();
    // Root can give a folder away; anybody else finds one of root's.
    let (data, owner) = if we.is_root() { (folder.path(), 1) } else { (std::path::Path::new("/"), 0) };
    if we.is_root() {
        std::os::unix::fs::chown(data, Some(owner), None).expect("we are root");
    }
    let config = Config { data: Some(data.to_owned()), ..Config::default() };
    let error = operator::node(&config, parse(&["x", "list"]), at(0)).await.expect_err("another user's");
    let at = data.display();
    assert_eq!(
        reelmill_daemon::report::render(&*error),
        format!(
            "error: the data folder {at} belongs to user {owner}, and this is user {}\n\
             hint: do it as that user: sudo -u '#{owner}' reelmill-hub ...",
            we.as_raw()
        )
    );
    assert!(!data.join("hub.sqlite").exists(), "nothing was written");
}

#[test]
fn a_token_is_good_for_a_week_at_most() {
    let join = |words: &[&str]| {
        let command = <operator::TokenCommand as clap::Subcommand>::augment_subcommands(clap::Command::new("x"));
        command.try_get_matches_from([&["x", "join"], words].concat()).is_ok()
    };
    assert!(join(&["--for", "7d"]) && join(&["--for", "90min"]));
    for bad in ["8d", "0h", "-1h", "1", "x", "1mo"] {
        assert!(!join(&["--for", bad]), "{bad}");
    }
    assert!(!join(&["--node", "hub"]) && !join(&["--node", "A B"]));
}

/// A farm whose door is open, and what curl needs.
struct Open {
    farm: TempDir,
    at: String,
    stop: tokio_util::sync::CancellationToken,
}

impl Open {
    async fn new(farm: Farm) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = format!("https://{}", listener.local_addr().expect("bound"));
        let Farm { folder, desk } = farm;
        let door = Door::new(listener, &["127.0.0.1".to_owned()], desk.into()).expect("a door");
        let stop = tokio_util::sync::CancellationToken::new();
        tokio::spawn(door.run(stop.clone()));
        Self { farm: folder, at, stop }
    }

    fn file(&self, name: &str, content: &str) -> std::path::PathBuf {
        let path = self.farm.path().join(name);
        std::fs::write(&path, content).expect("ours");
        path
    }

    /// The status and the answer, as curl hears them.
    async fn post(&self, path: &str, body: &str, shown: Option<(&str, &str)>) -> String {
        let mut curl = tokio::process::Command::new("curl");
        curl.args(["-sS", "-m", "20", "-H", "content-type: application/json", "-w", " %{http_code}", "--data-binary"]);
        curl.arg(format!("@{}", self.file("body", body).display()));
        curl.arg("--cacert").arg(self.farm.path().join("ca/ca.pem")).arg(format!("{}{path}", self.at));
        if let Some((cert, key)) = shown {
            curl.arg("--cert").arg(self.file("node.pem", cert)).arg("--key").arg(self.file("node.key", key));
        }
        let ran = curl.output().await.expect("curl runs");
        String::from_utf8_lossy(if ran.status.success() { &ran.stdout } else { &ran.stderr }).into_owned()
    }
}

#[tokio::test]
async fn the_door_renews_for_who_shows_our_certificate_of_any_age_and_for_nobody_else() {
    let farm = Farm::new().await;
    let asks = Asks::new("orin-1", Some(&farm.token(&["--for", "7d"]).await));
    let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 40);
    // A token from then; the operator's command dates it from the tests' own day.
    let mut enrolling = farm.desk.db.enrolling().await.expect("a transaction");
    let token = JoinToken::new([1; 16]);
    let sha256 = Sha256::of(token.expose().as_bytes());
    let old = Token { sha256, tags: vec![], node: None, serial: None, expires_at: Timestamp::now(), used_by: None };
    enrolling.add_token(&old).await.expect("kept");
    enrolling.commit().await.expect("kept");
    let asks = Asks { token: Some(token), ..asks };
    let JoinAnswer::Enrolled(place) = farm.join(&asks, long_ago).await else { panic!("a good token") };
    assert!(place.not_after < Timestamp::now(), "it has expired");
    let stranger = {
        let folder = tempfile::tempdir().expect("a folder");
        Ca::open(folder.path()).expect("another farm").client("orin-1").expect("an identity")
    };
    let door = Open::new(farm).await;
    let body = serde_json::to_string(&RenewRequest { csr: asks.csr() }).expect("JSON");
    let key = asks.key.serialize_pem();
    let renewed = door.post("/v1/renew", &body, Some((&place.cert, &key))).await;
    assert!(renewed.starts_with(r#"{"state":"enrolled","node":"orin-1""#) && renewed.ends_with(" 200"), "{renewed}");
    let bare = door.post("/v1/renew", &body, None).await;
    assert!(bare.contains("unknown_certificate") && bare.ends_with(" 403"), "{bare}");
    let strange = door.post("/v1/renew", &body, Some((&stranger.cert_pem, &stranger.key_pem))).await;
    assert!(strange.starts_with("curl: (56)") || strange.starts_with("curl: (35)"), "{strange}");
    assert!(door.post("/v1/enrol", "{}", None).await.ends_with(" 422"));
    assert!(door.post("/v1/enrol", &"x".repeat(20_000), None).await.ends_with(" 413"));
    assert!(door.post("/v1/jobs", "{}", None).await.ends_with(" 404"), "nothing else is behind this door");
    door.stop.cancel();
}
