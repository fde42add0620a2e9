//! What docs/operate/fleet.md shows is what runs here, word for word.

use std::{fs, path::Path, process::Command};

use reelmill_lab::mosquitto::Mosquitto;

use crate::{hub::Ear, node::Place};

/// The text of all blocks of that language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(found) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if found == language {
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

/// The private key of 32 bytes as OpenSSL has it.
fn pem(seed: &[u8; 32]) -> String {
    let head = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let der = reelmill_api::fleet::Envelope::unsigned("x", [&head[..], &seed[..]].concat());
    let json = serde_json::to_value(&der).expect("JSON");
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", json["payload"].as_str().expect("text"))
}

#[test]
fn the_examples_work_as_they_are_written() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate/fleet.md"));
    let document = document.expect("the document is there");
    let broker = Mosquitto::start();
    let ear = Ear::open(&broker);
    let place = Place::new(&broker, "orin-3");
    let _node = place.start().connected();
    ear.health("orin-3", "up", 1);
    let folder = broker.folder();
    let settings = &blocks(&document, "")[0];
    let settings = settings
        .replace("broker.example.net", "127.0.0.1")
        .replace("8884", &broker.hub.to_string())
        .replace("/etc/reelmill", &folder.display().to_string());
    for program in ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"] {
        fs::write(folder.join(program), &settings).expect("a file of ours");
    }
    fs::write(folder.join("anna.pem"), pem(&[1; 32])).expect("a file of ours");
    let script = blocks(&document, "sh").join("\n");
    let ran = Command::new("bash").args(["-euc", &script]).current_dir(folder).env("XDG_CONFIG_HOME", folder).output();
    let ran = ran.expect("bash runs");
    let (said, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{errors}");
    for part in ["\"state\":\"up\"", "\"ops\":{", "\"nonce\":\"hello\"", "\"op\":\"drain\"", "\"state\":\"succeeded\""]
    {
        assert!(said.contains(part), "no {part} in {said}\n{errors}");
    }
    assert_eq!(place.deeds(), ["drain"]);
}

#[test]
fn the_access_list_is_the_one_that_is_tried_here() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate/fleet.md"));
    let broker = Mosquitto::start();
    let tried = fs::read_to_string(broker.folder().join("node.acl")).expect("the broker's");
    let shown = blocks(&document.expect("the document is there"), "");
    assert!(shown.iter().any(|block| block.trim() == tried.trim()), "{shown:?}");
}
