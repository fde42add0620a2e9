//! The worker's settings, lines `NAME=value`.

/// What says how programs are run rather than what the worker does; systemd sets these, or the dynamic linker follows them.
const NOT_SETTINGS: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
];

/// The names and values in a text; quotes around a value are not part of it.
///
/// # Errors
/// Which line is none, and why; never what stands there.
pub fn settings(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = setting(line).map_err(|why| format!("line {}: {why}", at + 1))?;
        if found.iter().any(|(known, _)| *known == name) {
            return Err(format!("line {}: {name} stands there a second time", at + 1));
        }
        found.push((name, value));
    }
    Ok(found)
}

fn setting(line: &str) -> Result<(&str, &str), String> {
    let (name, value) = line.split_once('=').ok_or("it is no NAME=value")?;
    let known = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) || !name.bytes().all(known) {
        return Err("before the first `=` must be a name of capital letters, digits and `_`".to_owned());
    }
    if NOT_SETTINGS.contains(&name) || name.starts_with("LD_") || name.starts_with("GLIBC_") {
        return Err(format!("{name} is no setting of a worker"));
    }
    let value = value.trim();
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let value = quoted.unwrap_or(value);
    if value.chars().any(char::is_control) {
        return Err(format!("the value of {name} has a character that cannot be seen"));
    }
    Ok((name, value))
}
