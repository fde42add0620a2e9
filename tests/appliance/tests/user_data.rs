//! A rented machine asks its provider for its user data: the program against real HTTP servers that answer as providers do.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use reelmill_lab::programs::{command, output};
use tempfile::TempDir;

const JOIN: &str =
    "hub = \"https://hub:7443\"\nca_sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n";

/// A provider's service: it answers a request's first line and its token with a status and a body, and ends with the test.
struct Provider {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    fn start(answer: impl Fn(&str, Option<&str>) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (line, token) = request(&stream);
                seen.lock().expect("nobody panics with it").push(line.clone());
                let (status, body) = answer(&line, token.as_deref());
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                // A client that has read enough goes away.
                let _ = (&stream).write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

/// The first line of a request, and the token that it shows or the time for which it wants one.
fn request(stream: &TcpStream) -> (String, Option<String>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let token =
        head.iter().find_map(|line| line.split_once(": ").filter(|(name, _)| name.starts_with("x-aws-ec2-metadata")));
    (first.trim_end_matches(" HTTP/1.1").to_owned(), token.map(|(_, value)| value.to_owned()))
}

/// Asks; whether that went well, what was said, and the files that were laid down.
fn ask(folder: &TempDir, more: &[&str]) -> (bool, String, Vec<(String, String)>) {
    let to = folder.path().join("to");
    let mut command = command("reelmill-exec");
    command.args(["user-data", "--tries", "1"]).arg("--to").arg(&to).arg("--state").arg(folder.path().join("state"));
    let ran = output(
        {
            command.args(more);
            command
        },
        "",
    );
    let names = fs::read_dir(&to).into_iter().flatten().flatten();
    let mut files: Vec<_> = names
        .map(|entry| (entry.file_name().display().to_string(), fs::read_to_string(entry.path()).expect("text")))
        .collect();
    files.sort();
    (ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned(), files)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn join() -> Vec<(String, String)> {
    vec![("join.toml".to_owned(), JOIN.to_owned())]
}

#[test]
fn a_service_that_wants_a_token_first_gets_it_shown() {
    let provider = Provider::start(|line, token| match (line, token) {
        ("PUT /latest/api/token", Some("60")) => (200, "abc".to_owned()),
        ("GET /latest/user-data", Some("abc")) => (200, JOIN.to_owned()),
        _ => (401, String::new()),
    });
    let (well, said, files) = ask(&folder(), &["--url", &provider.url]);
    assert!(well, "{said}");
    assert_eq!(files, join());
    assert_eq!(provider.asked(), ["PUT /latest/api/token", "GET /latest/user-data"]);
}

#[test]
fn services_without_tokens_are_asked_as_they_are() {
    for path in ["GET /latest/user-data", "GET /openstack/latest/user_data"] {
        let provider =
            Provider::start(move |line, _| if line == path { (200, JOIN.to_owned()) } else { (404, String::new()) });
        let (well, said, files) = ask(&folder(), &["--url", &provider.url]);
        assert!(well, "{said}");
        assert_eq!(files, join(), "{path}");
    }
}

#[test]
fn several_files_are_laid_down_each_for_root_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let text = format!(
        "[files]\nhostname = \"gpu-1\"\n\"worker.env\" = \"QUEUE_URL=redis://hub\"\n\"join.toml\" = '''\n{JOIN}'''\n"
    );
    let provider = Provider::start(
        move |line, _| if line.starts_with("GET") { (200, text.clone()) } else { (405, String::new()) },
    );
    let folder = folder();
    let (well, said, files) = ask(&folder, &["--url", &provider.url]);
    assert!(well, "{said}");
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hostname", "join.toml", "worker.env"]);
    for (name, want) in [("to", 0o700), ("to/join.toml", 0o600), ("to/worker.env", 0o600)] {
        assert_eq!(
            fs::metadata(folder.path().join(name)).expect("it is there").permissions().mode() & 0o777,
            want,
            "{name}"
        );
    }
}

#[test]
fn a_machine_without_user_data_goes_on_without() {
    let provider = Provider::start(|_, _| (404, String::new()));
    let (well, said, files) = ask(&folder(), &["--url", &provider.url]);
    assert!(well && files.is_empty() && said.contains("this machine was ordered without user data"), "{said}");
}

#[test]
fn what_cannot_be_used_is_told_without_its_content() {
    let check = |status: u16, body: &str, want: &str| {
        let body = body.to_owned();
        let provider =
            Provider::start(
                move |line, _| if line.starts_with("GET") { (status, body.clone()) } else { (404, String::new()) },
            );
        let (well, said, files) = ask(&folder(), &["--url", &provider.url]);
        assert!(!well && files.is_empty() && said.contains(want) && said.contains("hint: "), "{want}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    };
    check(200, "#cloud-config\npassword: hunter2\n", "it is a #cloud-config, which Reelmill does not read");
    check(200, "token = \"hunter2\"\nhub = 1\n", "cannot be used: join.toml:");
    check(200, "[files]\n\"id_rsa\" = \"hunter2\"\n", "`files` has a file that nobody reads");
    check(200, &"hunter2 ".repeat(20_000), "length limit exceeded");
    check(500, "hunter2", "/latest/user-data is answered with 500");
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let (well, said, _) = ask(&folder(), &["--url", &format!("http://{nobody}")]);
    assert!(!well && said.contains("Connection refused") && said.contains("hint: is this a rented machine"), "{said}");
    let (well, said, _) = ask(&folder(), &["--url", "https://169.254.169.254/latest"]);
    assert!(!well && said.contains("it must be written as http://169.254.169.254"), "{said}");
}

#[test]
fn a_disk_of_the_provider_comes_before_its_service() {
    for name in ["user-data", "openstack/latest/user_data"] {
        let folder = folder();
        let disk = folder.path().join("disk");
        fs::create_dir_all(disk.join(name).parent().expect("a folder")).expect("ours");
        fs::write(disk.join(name), JOIN).expect("ours");
        let disk = disk.display().to_string();
        let (well, said, files) =
            ask(&folder, &["--disk", "/nonexistent", "--disk", &disk, "--url", "http://127.0.0.1:1"]);
        assert!(well, "{said}");
        assert_eq!(files, join());
    }
}

#[test]
fn the_document_shows_user_data_that_is_understood() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate/appliance.md"));
    let document = document.expect("the document");
    let shown = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let folder = folder();
    fs::create_dir(folder.path().join("disk")).expect("ours");
    fs::write(folder.path().join("disk/user-data"), shown).expect("ours");
    let (well, said, files) = ask(&folder, &["--disk", &folder.path().join("disk").display().to_string()]);
    assert!(well, "{said}");
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["authorized_keys", "hostname", "join.toml", "worker.env"]);
}

#[test]
fn a_machine_that_has_its_join_file_asks_nobody() {
    let provider = Provider::start(|_, _| (200, JOIN.to_owned()));
    let folder = folder();
    fs::create_dir(folder.path().join("state")).expect("ours");
    fs::write(folder.path().join("state/join.toml"), JOIN).expect("ours");
    let (well, said, files) = ask(&folder, &["--url", &provider.url]);
    assert!(well && files.is_empty(), "{said}");
    assert_eq!(provider.asked(), Vec::<String>::new());
}
