//! What docs/operate/fleet.md shows of `reelmill send` is what runs here, word for word.

use std::{fs, path::Path, process::Command};

use reelmill_lab::programs::program;

use crate::fleet::Fleet;

/// The text of all blocks of that language.
fn blocks(text: &str, language: &str) -> String {
    let mut blocks = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(found) = line.strip_prefix("```") else { continue };
        let block = lines.by_ref().take_while(|line| *line != "```");
        if found == language {
            block.for_each(|line| blocks.extend([line, "\n"]));
        } else {
            block.for_each(drop);
        }
    }
    blocks
}

#[test]
fn the_examples_of_send_work_as_they_are_written() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate/fleet.md"));
    let document = document.expect("the document is there");
    let fleet = Fleet::start();
    let _nodes = fleet.simulate(&["orin-3", "orin-4"], 0);
    let settings = blocks(&document, "toml")
        .replace("broker.example.net", &format!("127.0.0.1:{}", fleet.broker.hub))
        .replace("/etc/reelmill", &fleet.broker.folder().display().to_string());
    fs::create_dir_all(fleet.path("reelmill")).expect("ours");
    fs::write(fleet.path("reelmill/operator.toml"), settings).expect("ours");
    fs::copy(fleet.path("anna.key"), fleet.path("reelmill/anna.key")).expect("ours");
    let folder = program("reelmill");
    let path = format!("{}:{}", folder.parent().expect("a folder").display(), env!("PATH"));
    let script = blocks(&document, "bash");
    let mut bash = Command::new("bash");
    bash.args(["-euc", &script]).current_dir(fleet.folder.path()).env_clear().env("PATH", path);
    let ran = bash.env("XDG_CONFIG_HOME", fleet.folder.path()).output().expect("bash runs");
    let said = fleet.said(&ran);
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
    for part in
        ["\"nonce\": \"hello\"", "orin-3: running, finishing work", "orin-4: succeeded", "\"state\":\"succeeded\""]
    {
        assert!(said.out.contains(part), "no {part} in {}\n{}", said.out, said.err);
    }
}
