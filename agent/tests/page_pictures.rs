//! Pictures of the page in all its states, taken by Chromium, which also sees that nothing is wrong with them. Needs
//! node, the npm packages of tests/browser and Chromium, so it runs only when asked for: `cargo xtask test browser`
//! does, and says where the pictures lie.

#[path = "page/shelf.rs"]
mod shelf;

use std::{env, path::Path, process::Stdio};

use tokio::process::Command;

/// The nodes, and the word that each page must have for how its node stands.
const WORDS: [(&str, &str); 8] = [
    ("bare", "Takes no work"),
    ("broker-lost", "Broker lost"),
    ("draining", "Draining"),
    ("hostile", "Not enrolled"),
    ("hot", "Hot"),
    ("not-enrolled", "Not enrolled"),
    ("switching", "Switching"),
    ("well", "Well"),
];

#[tokio::test]
#[ignore = "needs node, npm packages and Chromium"]
async fn pictures_of_all_states_are_good() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser/agent-page.mjs");
    let mut node = Command::new("node");
    node.arg(script).stdin(Stdio::null());
    assert_eq!(shelf::names(), WORDS.map(|(name, _)| name));
    let mut pages = Vec::new();
    for (name, word) in WORDS {
        let page = shelf::serve(shelf::desk(name), None).await;
        node.arg(format!("{name}:{word}=http://{}/", page.at));
        tokio::spawn(shelf::keep_looking(page.desk.clone(), name.to_owned()));
        pages.push(page);
    }
    if let Some(folder) = env::var_os("PICTURES") {
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        node.arg(folder);
    }
    assert!(node.status().await.expect("node runs").success());
}

/// Serves every state on a port of its own until it is interrupted, to look at by hand.
#[tokio::test]
#[ignore = "runs until it is interrupted"]
async fn serve_all_states_to_look_at() {
    let mut pages = Vec::new();
    for name in shelf::names() {
        let page = shelf::serve(shelf::desk(&name), None).await;
        println!("{name}: http://{}/", page.at);
        tokio::spawn(shelf::keep_looking(page.desk.clone(), name));
        pages.push(page);
    }
    std::future::pending::<()>().await;
}
