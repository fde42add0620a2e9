//! Each Rust file opens with `//!`: what it is for.

/// Complains unless the file's first line tells what the file is for.
pub(super) fn check(file: &str, text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    let told = first.strip_prefix("//!").is_some_and(|words| !words.trim().is_empty());
    (!told).then(|| format!("{file}: the first line does not tell with `//!` what the file is for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_its_opening_line_is_refused() {
        assert_eq!(check("a.rs", "//! Keeps leases alive.\nfn f() {}"), None);
        for bad in ["", "fn f() {}", "//!", "//! \n//! Late.", "// A comment.", "\n//! Late."] {
            let complaint = check("a.rs", bad).expect("it is bad");
            assert!(complaint.starts_with("a.rs: "), "{complaint}");
        }
    }
}
