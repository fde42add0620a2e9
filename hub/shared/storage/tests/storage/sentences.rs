//! What a person reads when something is wrong: each sentence and its hint, word for word.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use reelmill_lab::{
    fault::{Fault, Op, s3_error},
    programs::Nobody,
    s3::{BUCKET, Pace, SECRET_KEY, Server},
};
use reelmill_storage::{Access, Condition, FileRoots, S3Config, Storage, StorageError};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use super::support::{config, lines, location, pattern, reach, s3_only, stall_after};

/// The sentences of an error with the server's address as `STORE`.
#[track_caller]
fn check<T: std::fmt::Debug>(endpoint: &str, got: Result<T, StorageError>, want: &str) {
    let got = got.expect_err(want);
    let shown = format!("{got:?} {}", lines(got.clone()));
    assert!(!shown.contains(SECRET_KEY), "{shown}");
    assert_eq!(lines(got).replace(endpoint, "STORE"), want);
}

async fn use_it(storage: &Storage) -> Result<(), StorageError> {
    storage.check(&location(&format!("s3://{BUCKET}")), Access::Write).await.map(drop)
}

#[tokio::test]
async fn nobody_listens() {
    let nobody = Nobody::there();
    let endpoint = format!("http://127.0.0.1:{}", nobody.port());
    let storage = s3_only(config(&endpoint));
    check(
        &endpoint,
        use_it(&storage).await,
        "cannot use s3://media-test/: cannot reach the store at STORE: connection refused\n\
         hint: is the store running, and is S3_ENDPOINT_URL right?",
    );
    check(
        &endpoint,
        storage.head(&location("s3://media-test/a.mp4")).await,
        "cannot read s3://media-test/a.mp4: cannot reach the store at STORE: connection refused\n\
         hint: is the store running, and is S3_ENDPOINT_URL right?",
    );
}

#[tokio::test]
async fn somebody_listens_but_never_shakes_hands() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("https://{}", listener.local_addr().expect("it is bound"));
    let (_server, _folder, file) = secure("127.0.0.1").await;
    let want = "cannot use s3://media-test/: cannot reach the store at STORE: no answer within 0.8 s\n\
                hint: is the store running, and is S3_ENDPOINT_URL right?";
    check(&endpoint, use_it(&trusting(&endpoint, file)).await, want);
}

#[tokio::test]
async fn there_is_no_such_host() {
    let endpoint = "http://no-such-host.invalid:9000";
    let error = use_it(&s3_only(config(endpoint))).await.expect_err("the name is reserved for that");
    let shown = error.to_string();
    let why =
        shown.strip_prefix("cannot use s3://media-test/: cannot reach the store at http://no-such-host.invalid:9000: ");
    // Without any name service there is nobody to say that the name does not exist.
    let whys = ["no such host", "the name service does not answer", "no answer within 0.8 s"];
    assert!(why.is_some_and(|why| whys.contains(&why)), "{shown}");
}

#[tokio::test]
async fn a_server_accepts_and_then_says_nothing() {
    let server = Server::start().await;
    server.plan.add(Op::List, usize::MAX, Fault::Stall);
    check(
        &server.endpoint,
        use_it(&s3_only(stall_after(&server.endpoint, Duration::from_millis(400)))).await,
        "cannot use s3://media-test/: the store at STORE was silent for 0.4 s",
    );
}

#[tokio::test]
async fn the_bucket_is_missing() {
    let server = Server::start().await;
    let storage = reach(&server);
    let hint = "hint: check its spelling, or make it with `aws --endpoint-url STORE s3 mb s3://no-such-bucket`";
    let (bucket, at) = (location("s3://no-such-bucket"), location("s3://no-such-bucket/a.mp4"));
    let say = |what: &str| format!("cannot {what}: the store at STORE has no bucket no-such-bucket\n{hint}");
    let end = &server.endpoint;
    check(end, storage.check(&bucket, Access::Write).await, &say("use s3://no-such-bucket/"));
    check(end, storage.list(&bucket).await, &say("list s3://no-such-bucket/"));
    check(end, storage.head(&at).await, &say("read s3://no-such-bucket/a.mp4"));
    check(end, storage.get_small(&at, 10).await, &say("read s3://no-such-bucket/a.mp4"));
}

#[tokio::test]
async fn the_object_is_missing() {
    let server = Server::start().await;
    let storage = reach(&server);
    let want = "cannot read s3://media-test/in/a.mp4: no such object in bucket media-test\n\
                hint: list what is there with `aws --endpoint-url STORE s3 ls s3://media-test/in/`";
    let at = location("s3://media-test/in/a.mp4");
    check(&server.endpoint, storage.head(&at).await, want);
    check(&server.endpoint, storage.get_small(&at, 10).await, want);
}

/// The same sentence whatever is tried first with keys that are refused.
async fn check_keys(server: &Server, config: S3Config, sentence: &str, hint: &str) {
    let endpoint = config.store();
    let (storage, at) = (s3_only(config), location("s3://media-test/a.mp4"));
    let say = |what: &str| format!("cannot {what}: {sentence}\nhint: {hint}");
    check(&endpoint, use_it(&storage).await, &say("use s3://media-test/"));
    check(&endpoint, storage.head(&at).await, &say("read s3://media-test/a.mp4"));
    check(&endpoint, storage.get_small(&at, 10).await, &say("read s3://media-test/a.mp4"));
    check(&endpoint, storage.list(&at).await, &say("list s3://media-test/a.mp4"));
    // A store may refuse a long one before it has read it, and close the connection.
    for len in [1, 5_000_000, 0] {
        if len == 0 {
            server.plan.add(Op::Put, usize::MAX, Fault::Cut);
        }
        let put = storage.put(&at, pattern(len), "text/plain", Condition::Absent).await;
        check(&endpoint, put, &say("write s3://media-test/a.mp4"));
    }
}

#[tokio::test]
async fn the_access_key_is_unknown() {
    let server = Server::start().await;
    let mut config = config(&server.endpoint);
    config.access_key = "AKWRONG".to_owned();
    let hint = "check AWS_ACCESS_KEY_ID, and that S3_ENDPOINT_URL is the store it belongs to";
    check_keys(&server, config, "the store at STORE does not know access key AKWRONG", hint).await;
}

#[tokio::test]
async fn the_secret_key_is_wrong() {
    let server = Server::start().await;
    let mut config = config(&server.endpoint);
    config.secret_key = format!("{SECRET_KEY}-x");
    let sentence = "the secret key is not the one that the store at STORE has for access key AKTESTKEY";
    check_keys(&server, config, sentence, "check AWS_SECRET_ACCESS_KEY").await;
}

/// What a store's own words in a refused listing are told as.
async fn check_answer(status: u16, headers: &[(&'static str, String)], body: &str, want: &str) {
    let server = Server::start().await;
    server.plan.add(Op::List, usize::MAX, Fault::Answer(status, headers.to_vec(), body.to_owned()));
    check(&server.endpoint, use_it(&reach(&server)).await, &format!("cannot use s3://media-test/: {want}"));
}

#[tokio::test]
async fn a_store_denies_access_in_words_of_its_own() {
    let garage = |words: &str| format!("<Error><Code>AccessDenied</Code><Message>Forbidden: {words}</Message></Error>");
    let unknown = "the store at STORE does not know access key AKTESTKEY\n\
                   hint: check AWS_ACCESS_KEY_ID, and that S3_ENDPOINT_URL is the store it belongs to";
    check_answer(403, &[], &garage("No such key: GK31c2f218a2e44f485b94239e"), unknown).await;
    let wrong = "the secret key is not the one that the store at STORE has for access key AKTESTKEY\n\
                 hint: check AWS_SECRET_ACCESS_KEY";
    check_answer(403, &[], &garage("Invalid signature"), wrong).await;
    let forbidden = "the store at STORE forbids it to access key AKTESTKEY\n\
                     hint: give the key a policy that allows it";
    check_answer(403, &[], &s3_error("AccessDenied"), forbidden).await;
    let token = "the session token for access key AKTESTKEY is no longer taken by the store at STORE\n\
                 hint: get fresh temporary keys and set AWS_SESSION_TOKEN";
    check_answer(400, &[], &s3_error("ExpiredToken"), token).await;
}

#[tokio::test]
async fn the_bucket_is_in_another_region() {
    let region = [("x-amz-bucket-region", "eu-west-1".to_owned())];
    let want = "the bucket is in region eu-west-1, requests are signed for us-east-1\nhint: set AWS_REGION=eu-west-1";
    check_answer(301, &region, &s3_error("PermanentRedirect"), want).await;
    check_answer(400, &region, &s3_error("AuthorizationHeaderMalformed"), want).await;
}

#[tokio::test]
async fn the_store_answers_with_an_error_of_its_own() {
    check_answer(503, &[], &s3_error("SlowDown"), "the store at STORE failed: 503 SlowDown: as ordered").await;
    check_answer(502, &[], "<html>bad gateway</html>", "the store at STORE failed: 502 without an S3 error code").await;
    check_answer(400, &[], &s3_error("InvalidArgument"), "the store at STORE refused: 400 InvalidArgument: as ordered")
        .await;
}

#[tokio::test]
async fn what_answers_is_no_s3_store() {
    let hint = "\nhint: S3_ENDPOINT_URL must be the store's S3 port, not its web console";
    for (status, body) in
        [(404, "<html><body>not here</body></html>"), (404, ""), (200, "<!doctype html><p>hello"), (403, "no")]
    {
        let want = match status {
            403 => "the store at STORE forbids it to access key AKTESTKEY\nhint: give the key a policy that allows it",
            _ => &format!("what answers at STORE is not an S3 store: {status} without an S3 error code{hint}"),
        };
        check_answer(status, &[], body, want).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    let greeting = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;
        }
    });
    let want = format!("cannot use s3://media-test/: what answers at STORE is not an S3 store: no HTTP{hint}");
    check(&endpoint, use_it(&s3_only(config(&endpoint))).await, &want);
    greeting.abort();
}

#[tokio::test]
async fn a_page_that_is_no_object_is_not_taken_for_one() {
    let server = Server::start().await;
    let page = Fault::Answer(200, Vec::new(), "<p>please log in".to_owned());
    for op in [Op::Head, Op::Get, Op::Put] {
        server.plan.add(op, usize::MAX, page.clone());
    }
    let (storage, at) = (reach(&server), location("s3://media-test/a.mp4"));
    let hint = "hint: S3_ENDPOINT_URL must be the store's S3 port, not its web console";
    let say = |verb: &str, what: &str| {
        format!("cannot {verb} s3://media-test/a.mp4: what answers at STORE is not an S3 store: {what}\n{hint}")
    };
    let end = &server.endpoint;
    check(end, storage.head(&at).await, &say("read", "an object without a length or an ETag"));
    check(end, storage.get_small(&at, 99).await, &say("read", "an object without a length or an ETag"));
    let put = storage.put(&at, "x".into(), "text/plain", Condition::Always).await;
    check(end, put, &say("write", "an object without an ETag"));
}

#[tokio::test]
async fn the_clocks_differ() {
    let three_hours_ago = std::time::SystemTime::now() - Duration::from_secs(3 * 3600 + 60);
    let date = aws_smithy_types::DateTime::from(three_hours_ago);
    let date = date.fmt(aws_smithy_types::date_time::Format::HttpDate).expect("a date");
    let want = "this machine's clock and that of the store at STORE differ by 3 hours\n\
                hint: set the clock: `timedatectl set-ntp true`";
    check_answer(403, &[("date", date.clone())], &s3_error("RequestTimeTooSkewed"), want).await;

    // An answer to HEAD has no body and so no code.
    let server = Server::start().await;
    for op in [Op::Head, Op::Get] {
        let skewed = Fault::Answer(403, vec![("date", date.clone())], s3_error("RequestTimeTooSkewed"));
        server.plan.add(op, usize::MAX, skewed);
    }
    let got = reach(&server).head(&location("s3://media-test/a.mp4")).await;
    check(&server.endpoint, got, &format!("cannot read s3://media-test/a.mp4: {want}"));
}

/// A server with a certificate for this name, and the certificate's file.
async fn secure(name: &str) -> (Server, TempDir, PathBuf) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).expect("a key");
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("the key is the certificate's");
    let server = Server::start_with(Some(TlsAcceptor::from(Arc::new(tls))), Pace::default()).await;
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("ca.pem");
    fs::write(&file, made.cert.pem()).expect("a file");
    (server, folder, file)
}

fn trusting(endpoint: &str, file: PathBuf) -> Storage {
    s3_only(S3Config { ca_file: Some(file), ..config(endpoint) })
}

#[tokio::test]
async fn the_certificate_is_not_trusted() {
    let (server, _folder, file) = secure("127.0.0.1").await;
    let (other, _folder, other_file) = secure("example.org").await;
    use_it(&trusting(&server.endpoint, file.clone())).await.expect("its own authority is trusted");
    let say = |why: &str| {
        format!(
            "cannot use s3://media-test/: no secure connection to the store at STORE: {why}\n\
             hint: if the store has a certificate authority of its own, give its PEM file as S3_CA_FILE"
        )
    };
    let got = use_it(&trusting(&server.endpoint, other_file.clone())).await;
    check(&server.endpoint, got, &say("its certificate is signed by no trusted authority"));
    let got = use_it(&trusting(&other.endpoint, other_file)).await;
    check(&other.endpoint, got, &say("its certificate is for another name"));
    let plain = Server::start().await;
    let endpoint = plain.endpoint.replace("http:", "https:");
    let got = use_it(&trusting(&endpoint, file)).await;
    check(&endpoint, got, &say("it does not speak TLS on this port"));
}

#[test]
fn a_setting_cannot_be_used() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("ca.pem");
    let new = |config: S3Config| Storage::new(Some(config), FileRoots::none());
    let with_file = || S3Config { ca_file: Some(file.clone()), ..config("https://store.lan") };
    let say = |why: &str| format!("cannot use {} as certificate authorities: {why}", file.display());
    check("-", new(with_file()), &say("No such file or directory (os error 2)"));
    fs::write(&file, "no certificate").expect("a file");
    check("-", new(with_file()), &say("it holds no certificate in PEM form"));
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("a file");
    let error = new(with_file()).expect_err("that is no certificate").to_string();
    assert!(error.starts_with(&say("invalid peer certificate: ")), "{error}");

    let bad = |endpoint: &str, want: &str| check("-", new(config(endpoint)), want);
    bad("ftp://store.lan", "the S3 endpoint ftp://store.lan must be an http:// or https:// address");
    bad("http://store.lan/?x", "the S3 endpoint http://store.lan must not hold `?` or `#`");
    let secret = format!("http://user:{SECRET_KEY}@store.lan:9000");
    bad(
        &secret,
        "the S3 endpoint http://store.lan:9000 must not hold a user or password: keys are settings of their own",
    );
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_found_out() {
    // As Garage does: the second put is answered as if it had been made.
    let server = Server::start().await;
    let done = Fault::Answer(200, vec![("etag", "\"0123456789abcdef\"".to_owned())], String::new());
    server.plan.let_pass(Op::Put, 1);
    server.plan.add(Op::Put, 1, done);
    let report = reach(&server).check(&location("s3://media-test"), Access::Write).await.expect("it can be used");
    assert_eq!((report.writable, report.conditional_put), (true, false));
    // Others say that they cannot.
    server.plan.clear();
    server.plan.let_pass(Op::Put, 1);
    server.plan.add(Op::Put, 1, Fault::s3(501, "NotImplemented"));
    let report = reach(&server).check(&location("s3://media-test"), Access::Write).await.expect("it can be used");
    assert_eq!((report.writable, report.conditional_put), (true, false));
}
