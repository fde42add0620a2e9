//! The NixOS tests, which run where nixpkgs and KVM are: here their scripts are looked at by Python itself.

use std::{fs, path::Path, process::Command};

use reelmill_appliance::golden;
use reelmill_lab::programs::output;

/// Names used in a script that neither it nor the test driver gives a meaning: what the driver itself would refuse.
const UNKNOWN: &str = r#"
import ast, builtins, sys
known = set(dir(builtins)) | {"machine", "start_all", "subtest"} | set(sys.argv[2:])
tree = ast.parse(open(sys.argv[1]).read())
for node in ast.walk(tree):
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        known.add(node.name)
    elif isinstance(node, ast.arg):
        known.add(node.arg)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        known.add(node.id)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        known.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
print(*sorted({n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - known))
"#;

/// The names in a folder that end so, without the end.
fn names(folder: &Path, end: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("it can be listed").file_name().into_string().ok();
    let mut found: Vec<_> = entries.filter_map(name).filter_map(|n| n.strip_suffix(end).map(str::to_owned)).collect();
    found.sort();
    found
}

fn unknown(script: &Path) -> String {
    let mut python = Command::new("python3");
    // The machines that our tests have, by name.
    python.args(["-c", UNKNOWN]).arg(script).args(["hub", "node"]);
    let said = output(python, "");
    assert!(said.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

#[test]
fn every_test_is_a_file_with_a_script_that_python_understands() {
    let mut tests = names(&golden().join(".."), ".nix");
    tests.retain(|name| name != "default");
    let scripts = golden().join("scripts");
    assert_eq!(names(&scripts, ".py"), tests);
    for test in tests {
        assert_eq!(unknown(&scripts.join(format!("{test}.py"))), "", "{test}");
    }
}

#[test]
fn a_script_with_a_word_that_nobody_knows_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("test.py");
    fs::write(&script, "def good(node):\n    node.succeed(f\"{nothing} {hub}\")\n").expect("it is ours");
    assert_eq!(unknown(&script), "nothing");
}
