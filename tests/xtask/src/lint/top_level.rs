//! Only the names that docs/architecture.md lists lie at the repository's top.

/// Folders that tools build, anywhere in the tree.
pub(super) const BUILT: &[&str] = &["target", "result", "node_modules"];

const ALLOWED: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "agent",
    "docs",
    "flake.lock",
    "flake.nix",
    "hub",
    "images",
    "nixos",
    "tests",
    "worker",
];

/// Complains of each name that has no place at the top.
pub(super) fn check(names: &[String]) -> Vec<String> {
    let known = |name: &str| name.starts_with('.') || ALLOWED.contains(&name) || BUILT.contains(&name);
    let strangers = names.iter().filter(|name| !known(name));
    strangers.map(|name| format!("{name}: has no place at the repository's top, see docs/architecture.md")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_at_the_top_is_refused() {
        let names = [".ci", "Cargo.toml", "Makefile", "target", "utils", "worker"].map(str::to_owned);
        let complaints = check(&names);
        assert_eq!(complaints.len(), 2);
        assert!(complaints[0].starts_with("Makefile: ") && complaints[1].starts_with("utils: "), "{complaints:?}");
    }
}
