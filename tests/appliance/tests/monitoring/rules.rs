//! The alert rules: each fires once when its cause is made, and not otherwise. promtool runs them through hours in a moment.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use reelmill_appliance::{golden, text};
use serde_json::Value;

const RULES: &str = "monitoring/full/rules.json";
/// What the tests call the rules.
const THEIR_RULES: &str = "../../../../nix/golden/monitoring/full/rules.json";

fn promtool(args: &[&str], files: &[&Path]) -> Result<(), String> {
    let ran = Command::new("promtool").args(args).args(files).output();
    let ran = ran.expect("promtool is there: apt-get install prometheus");
    let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if ran.status.success() { Ok(()) } else { Err(said) }
}

fn rules() -> Value {
    serde_json::from_str(&text(RULES)).expect("JSON")
}

fn alerts(rules: &mut Value) -> &mut Vec<Value> {
    rules["groups"][0]["rules"].as_array_mut().expect("a list")
}

fn names() -> Vec<String> {
    alerts(&mut rules()).iter().map(|rule| rule["alert"].as_str().expect("a name").to_owned()).collect()
}

/// Runs the tests of one alert over these rules.
fn test_with(rules: &Value, name: &str) -> Result<(), String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/monitoring/alerts/{name}.yaml"));
    let tests = fs::read_to_string(&file).unwrap_or_else(|e| panic!("each alert has tests: {}: {e}", file.display()));
    assert!(tests.contains(THEIR_RULES) && tests.contains(&format!("alertname: {name}")), "{}", file.display());
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("rules.json"), rules.to_string()).expect("written");
    let file = folder.path().join("tests.yaml");
    fs::write(&file, tests.replace(THEIR_RULES, "rules.json")).expect("written");
    promtool(&["test", "rules"], &[&file])
}

#[test]
fn promtool_finds_no_fault_with_the_rules() {
    let file = |path: &str| golden().join(path);
    let all = ["plain/rules.json", "full/rules.json", "full/rules-quick.json"];
    for path in all {
        promtool(&["check", "rules"], &[&file(&format!("monitoring/{path}"))])
            .unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("rules.json");
    fs::write(&bad, text(RULES).replacen("increase(", "increas(", 1)).expect("written");
    let said = promtool(&["check", "rules"], &[&bad]).expect_err("no such function");
    assert!(said.contains("increas"), "{said}");
}

#[test]
fn each_alert_fires_when_its_cause_is_made_and_not_otherwise() {
    for name in names() {
        test_with(&rules(), &name).unwrap_or_else(|said| panic!("{said}"));
    }
}

/// The tests would not let pass an alert that never fires, nor one that always does, nor one that fires at once.
#[test]
fn the_tests_know_each_alert() {
    for (at, name) in names().iter().enumerate() {
        let changed = |key: &str, value: String| {
            let mut rules = rules();
            let rule = alerts(&mut rules).remove(at);
            *alerts(&mut rules) = vec![rule];
            rules["groups"][0]["rules"][0][key] = value.into();
            test_with(&rules, name)
        };
        let rule = alerts(&mut rules())[at].clone();
        let expr = rule["expr"].as_str().expect("PromQL");
        changed("expr", expr.to_owned()).unwrap_or_else(|said| panic!("{said}"));
        changed("expr", "vector(0) > 1".to_owned()).expect_err(&format!("{name} never fires"));
        changed("expr", format!("({expr}) or vector(1)")).expect_err(&format!("{name} always fires"));
        if rule["for"] != "0s" {
            changed("for", "0s".to_owned()).expect_err(&format!("{name} fires at once"));
        }
    }
}

#[test]
fn each_alert_has_a_page() {
    let pages = golden().join("../../../docs/operate/alerts");
    let there: BTreeSet<String> = fs::read_dir(&pages)
        .expect("a folder")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("a plain name"))
        .collect();
    let wanted: BTreeSet<String> = names().into_iter().map(|name| format!("{name}.md")).collect();
    assert_eq!(there, wanted);
    for rule in alerts(&mut rules()) {
        let name = rule["alert"].as_str().expect("a name");
        let url = rule["annotations"]["runbook_url"].as_str().expect("an address");
        assert!(url.ends_with(&format!("/docs/operate/alerts/{name}.md")), "{url}");
        let page = fs::read_to_string(pages.join(format!("{name}.md"))).expect("a page");
        for part in [&format!("# {name}\n"), "## What to look at first\n", "## How to end it\n"] {
            assert!(page.contains(part), "{name}.md has no {part:?}");
        }
    }
}
