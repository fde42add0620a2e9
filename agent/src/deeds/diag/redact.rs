//! Secrets leave a text before it leaves the node. What looks like one goes, also where it is none: a log line that lost a
//! word can still be read, and a password that was uploaded cannot be taken back.

/// What stands where a secret was.
pub(super) const REDACTED: &str = "[redacted]";
/// What follows one of these words and `=` or `:` is a secret.
const WORDS: &[&str] = &[
    "secret",
    "token",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "authorization",
    "cookie",
    "signature",
    "pairingcode",
];
/// And what follows a word that ends so: `access_key`, `S3_KEY`, `PGPASS`.
const ENDINGS: &[&str] = &["key", "pass", "pwd"];
/// So long a run of mixed letters and digits is no word: a key, a token, a line of a PEM file.
const LONG: usize = 32;
/// A private key has no more lines; where its end does not come, the text goes on.
const LONGEST_KEY: usize = 100;

/// The text without its secrets.
pub(super) fn text(text: &str) -> String {
    let mut in_key = 0;
    let mut redacted = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let begin = line.find("-----BEGIN ").filter(|at| line[*at..].contains("PRIVATE"));
        if begin.is_some() || in_key > 0 {
            if in_key == 0 {
                redacted.push_str(&long_runs(&assigned(&urls(&line[..begin.unwrap_or(0)]))));
                redacted.push_str(&format!("{REDACTED} private key\n"));
            }
            in_key = if line.contains("-----END ") || in_key == LONGEST_KEY { 0 } else { in_key + 1 };
            continue;
        }
        redacted.push_str(&long_runs(&assigned(&urls(line))));
    }
    redacted
}

/// A JSON value without its secrets, still JSON.
pub(super) fn json(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(s) => Value::String(text(&s)),
        Value::Array(items) => items.into_iter().map(json).collect(),
        Value::Object(fields) => {
            let safe = |(name, value): (String, Value)| {
                let value = if is_secret(&name) { Value::from(REDACTED) } else { json(value) };
                (name, value)
            };
            Value::Object(fields.into_iter().map(safe).collect())
        }
        other => other,
    }
}

/// Whether what has this name is a secret.
fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    WORDS.iter().any(|word| name.contains(word)) || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Addresses without the user and password before `@`, and without what follows `?`: a presigned one is as good as a key.
fn urls(line: &str) -> String {
    let mut told = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        told.push_str(before);
        let ends = |c: char| c.is_whitespace() || "\"'`".contains(c);
        let (url, after) = url.split_at(url.find(ends).unwrap_or(url.len()));
        // The last one, for a password may hold another.
        let at = url.rfind('@').map_or(0, |at| at + 1);
        if at > 0 {
            told.push_str(REDACTED);
        }
        match url.find(['?', '#']) {
            // A password, or a query with an `@`: who knows.
            Some(query) if query < at => {}
            Some(query) => told.extend([&url[at.saturating_sub(1)..=query], REDACTED]),
            None => told.push_str(&url[at.saturating_sub(1)..]),
        }
        rest = after;
    }
    told + rest
}

/// `NAME=VALUE`, `NAME: VALUE`, `"NAME": "VALUE"`, `--NAME VALUE` and `Bearer VALUE` without the values of secret names.
fn assigned(line: &str) -> String {
    let mut told = String::new();
    let mut rest = line;
    while let Some((before, gap, value)) = next_secret(rest) {
        told.push_str(&rest[..before]);
        told.push_str(&rest[before..before + gap]);
        told.push_str(REDACTED);
        rest = &rest[before + gap + value..];
    }
    told + rest
}

/// The next value to be redacted: where the separator stands, how long it and what surrounds it are, and the value itself.
fn next_secret(text: &str) -> Option<(usize, usize, usize)> {
    let marks = |c: char| matches!(c, '=' | ':' | ' ');
    for (at, mark) in text.match_indices(marks) {
        let name = name_before(&text[..at]);
        let wanted = match mark {
            " " => name.starts_with("--") && is_secret(name) || ["bearer", "basic"].contains(&&*name.to_lowercase()),
            // A URL's own colon, and what is no assignment but a comparison or a path.
            _ => is_secret(name) && !text[at..].starts_with("://"),
        };
        if !wanted {
            continue;
        }
        let after = &text[at + mark.len()..];
        let gap = after.len() - after.trim_start_matches([' ', '\t', '\\', '=', ':', '>']).len();
        let value = length(&after[gap..], mark, after[..gap].ends_with('\\'));
        if value > 0 && !after[gap..].starts_with(REDACTED) {
            return Some((at, mark.len() + gap, value));
        }
    }
    None
}

/// The name that ends here, without quotes around it.
fn name_before(text: &str) -> &str {
    let text = text.trim_end_matches(['"', '\'', '\\', ' ', '\t']);
    let is_part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let start = text.rfind(|c| !is_part(c)).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    &text[start..]
}

/// How long a value is: to its closing quote, to the next space after `=`, else to the end of the line. Of quotes that are
/// escaped themselves, as in JSON within JSON, the next one closes.
fn length(value: &str, mark: &str, escaped: bool) -> usize {
    let line = value.trim_end_matches(['\n', '\r']).len();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) if escaped => value[1..].find(quote).map_or(line, |at| at + 2),
        Some(quote @ ('"' | '\'')) => closing(value, quote).unwrap_or(line),
        Some('[' | '{' | '(') => line,
        _ if mark == ":" => line,
        _ => value.find(char::is_whitespace).unwrap_or(line),
    }
}

/// Where a quoted text ends, its quotes with it.
fn closing(value: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in value.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Long runs as keys are made of, wherever they stand. Hexadecimal digests, which are no secrets, have no capitals.
fn long_runs(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let mut told = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let run = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        told.push_str(&if rest.starts_with('/') { path(&rest[..run]) } else { one_run(&rest[..run]).to_owned() });
        rest = &rest[run..];
        let between = rest.find(is_part).unwrap_or(rest.len());
        told.push_str(&rest[..between]);
        rest = &rest[between..];
    }
    told
}

/// A path is long by its folders; each is looked at alone.
fn path(run: &str) -> String {
    run.split('/').map(one_run).collect::<Vec<_>>().join("/")
}

fn one_run(run: &str) -> &str {
    let has = |is: fn(&u8) -> bool| run.as_bytes().iter().any(is);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    if run.len() >= LONG && mixed { REDACTED } else { run }
}

#[cfg(test)]
mod tests;
