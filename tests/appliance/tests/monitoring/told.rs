//! Who is told: a real Alertmanager with the golden receivers posts what fires, and nothing that follows from it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use reelmill_appliance::text;
use reelmill_lab::programs::{Running, eventually, free_port};
use serde_json::{Value, json};

use crate::prometheus::{get, send};

/// Takes what is posted to it.
fn webhook() -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some(body) = posted(stream) {
                // The test may be over.
                let _ = tell.send(body);
            }
        }
    });
    (port, told)
}

fn posted(mut stream: TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = told.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
    serde_json::from_slice(&body).ok()
}

#[test]
fn operators_are_told_once_of_one_trouble_and_where_to_read_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (hook, told) = webhook();
    let config = text("monitoring/full/alertmanager.json").replace("127.0.0.1:9095", &format!("127.0.0.1:{hook}"));
    let mut config: Value = serde_json::from_str(&config.replace("\"30s\"", "\"1s\"")).expect("JSON");
    // There is no mail server here.
    config["receivers"][0].as_object_mut().expect("a receiver").remove("email_configs");
    let file = folder.path().join("alertmanager.json");
    fs::write(&file, config.to_string()).expect("written");
    let port = free_port();
    let mut program = Command::new("prometheus-alertmanager");
    program.arg(format!("--config.file={}", file.display()));
    program.arg(format!("--storage.path={}", folder.path().join("data").display()));
    program
        .args([&format!("--web.listen-address=127.0.0.1:{port}"), "--cluster.listen-address="])
        .stderr(Stdio::null());
    let _running = Running::start(program);
    eventually("Alertmanager", || get(port, "/-/ready").filter(|(status, _)| *status == 200));

    let rules: Value = serde_json::from_str(&text("monitoring/full/rules.json")).expect("JSON");
    let alert = |name: &str, node: &str| {
        let rules = rules["groups"][0]["rules"].as_array().expect("rules");
        let rule = rules.iter().find(|rule| rule["alert"] == name).expect("a rule of that name");
        let labels = json!({"alertname": name, "node": node, "severity": rule["labels"]["severity"]});
        json!({"labels": labels, "annotations": rule["annotations"]})
    };
    // A silent node gives no metrics either; another one does so without being silent.
    let all =
        json!([alert("NodeSilent", "a"), alert("TargetDown", "a"), alert("NodeSilent", "b"), alert("TargetDown", "c")]);
    let (status, answer) = send(port, "POST", "/api/v2/alerts", all.to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");
    let mut messages = [(); 2].map(|()| told.recv().expect("a message for each kind of trouble"));
    messages.sort_by_key(|message| message["groupLabels"]["alertname"].to_string());
    let nodes = |message: &Value| {
        let alerts = message["alerts"].as_array().expect("alerts");
        let mut nodes: Vec<String> =
            alerts.iter().map(|a| a["labels"]["node"].as_str().expect("text").to_owned()).collect();
        nodes.sort();
        nodes
    };
    assert_eq!(
        [nodes(&messages[0]), nodes(&messages[1])],
        [vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]]
    );
    let page = messages[0]["commonAnnotations"]["runbook_url"].as_str().expect("an address");
    assert!(page.ends_with("/docs/operate/alerts/NodeSilent.md"), "{page}");
}
