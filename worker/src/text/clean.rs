//! Text of strangers, made fit for browsers: a few tags of WebVTT's own are kept, the rest goes or is shown as text.

use super::Cue;

/// Tags that are kept, without classes and annotations.
const KEPT: &[&str] = &["b", "i", "u", "c", "ruby", "rt"];
/// The most bytes of text that one cue may show. More does not fit on a screen.
const LONGEST: usize = 2000;
/// Character references that are kept as they are (WebVTT, 3.1).
const REFERENCES: &[&str] = &["&amp;", "&lt;", "&gt;", "&nbsp;", "&lrm;", "&rlm;"];

/// The cue as players get it, so much earlier; `None` if nothing of it is to be seen.
pub(super) fn cue(cue: Cue, earlier_ms: u64) -> Option<Cue> {
    let end_ms = cue.end_ms.checked_sub(earlier_ms).filter(|end| *end > 0)?;
    let text = text(&cue.text);
    let visible = text.chars().any(|c| !c.is_whitespace());
    visible.then(|| Cue { start_ms: cue.start_ms.saturating_sub(earlier_ms), end_ms, text })
}

/// Lines that are neither empty nor a drawing, escaped.
fn text(raw: &str) -> String {
    let mut clean = String::new();
    for line in raw.lines().filter(|line| !is_drawing(line)).map(escaped) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        // A cut within a line could open a tag or a reference.
        if clean.len() + line.len() >= LONGEST {
            break;
        }
        if !clean.is_empty() {
            clean.push('\n');
        }
        clean += line;
    }
    if shows_nothing(&clean) { String::new() } else { clean }
}

/// Whether all of it is markup.
fn shows_nothing(text: &str) -> bool {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        if !before.trim().is_empty() {
            return false;
        }
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    rest.trim().is_empty()
}

/// Vector pictures of Advanced SubStation (`m 0 0 l 100 0 ...`), which ffmpeg prints as if they were text.
fn is_drawing(line: &str) -> bool {
    let words: Vec<_> = line.split_whitespace().collect();
    let command = |word: &str| matches!(word, "m" | "n" | "l" | "b" | "s" | "p" | "c");
    words.len() >= 6
        && words[0] == "m"
        && words.iter().all(|word| command(word) || word.parse::<f64>().is_ok_and(f64::is_finite))
}

fn escaped(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '<' => tag(rest, &mut clean),
            '&' => reference(rest, &mut clean),
            // With it, no `-->` is left.
            '>' => shown("&gt;", &mut clean),
            // A space that does not break, in Advanced SubStation's words.
            '\\' if rest.starts_with("\\h") => {
                clean += "&nbsp;";
                2
            }
            '\t' => shown(" ", &mut clean),
            c => {
                clean.extend((!c.is_control()).then_some(c));
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    clean
}

/// One byte, shown so.
fn shown(text: &str, clean: &mut String) -> usize {
    *clean += text;
    1
}

/// A tag that is kept goes on without its classes, another one goes, and a `<` that opens none is text. How many bytes
/// were taken.
fn tag(rest: &str, clean: &mut String) -> usize {
    let inside = rest[1..].split_once('>').map(|(inside, _)| inside);
    let name =
        |inside: &str| inside.trim_start_matches('/').split(['.', ' ', '\t', '/']).next().unwrap_or("").to_owned();
    let is_tag = |inside: &&str| {
        name(inside).starts_with(|c: char| c.is_ascii_alphabetic()) && !inside.contains('<') && inside.len() <= 200
    };
    let Some(inside) = inside.filter(is_tag) else { return shown("&lt;", clean) };
    let name = name(inside).to_ascii_lowercase();
    if KEPT.contains(&name.as_str()) {
        let slash = if inside.starts_with('/') { "/" } else { "" };
        *clean += &format!("<{slash}{name}>");
    }
    inside.len() + 2
}

fn reference(rest: &str, clean: &mut String) -> usize {
    match REFERENCES.iter().find(|known| rest.starts_with(**known)) {
        Some(known) => {
            *clean += known;
            known.len()
        }
        None => shown("&amp;", clean),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(raw: &str, want: &str) {
        assert_eq!(text(raw), want, "{raw}");
    }

    #[test]
    fn markup_of_its_own_is_kept_and_no_other() {
        check("Hello <b>bold</b>, <I>it</I> and <u>under</u>", "Hello <b>bold</b>, <i>it</i> and <u>under</u>");
        check("<c.red.big>a</c> <ruby>b<rt>c</rt></ruby>", "<c>a</c> <ruby>b<rt>c</rt></ruby>");
        check("<v Roger onclick=x>Hi</v> <lang en>a</lang>", "Hi a");
        check("<script>alert(1)</script><img src=x onerror=alert(1)>", "alert(1)");
        check("<b onmouseover=\"alert(1)\">x</b>", "<b>x</b>");
        check("<00:00:01.000>karaoke", "&lt;00:00:01.000&gt;karaoke");
    }

    #[test]
    fn what_could_be_markup_is_shown_as_text() {
        check("I <3 you & AT&T", "I &lt;3 you &amp; AT&amp;T");
        check("a --> b -> c <-- d", "a --&gt; b -&gt; c &lt;-- d");
        check("&lt;b&gt; &nbsp; &copy; &#60;", "&lt;b&gt; &nbsp; &amp;copy; &amp;#60;");
        check("an open <b", "an open &lt;b");
        check("<<b>script>x", "&lt;<b>script&gt;x");
    }

    #[test]
    fn lines_are_never_empty_and_hold_no_control_characters() {
        check("  above \n\n\u{0} \n below\tit\u{1b}[2J\r\n", "above\nbelow it[2J");
        check("two\\hwords", "two&nbsp;words");
        check("<i> </i>\n<font>", "");
    }

    #[test]
    fn drawings_are_no_text() {
        check("m 0 0 l 100 0 100 50 0 50", "");
        check("m 0 0 are the first words", "m 0 0 are the first words");
    }

    #[test]
    fn a_cue_is_no_longer_than_a_screen() {
        let many = "word ".repeat(20) + "\n";
        assert!((1500..LONGEST).contains(&text(&many.repeat(500)).len()));
        check(&"<b>".repeat(100_000), "");
    }

    proptest! {
        #[test]
        fn nothing_of_a_stranger_becomes_markup(raw in "[ -~\\n\\t<>&/bic.]{0,200}|\\PC{0,60}") {
            let clean = text(&raw);
            prop_assert!(!clean.contains("-->") && !clean.contains("\n\n") && clean.len() < LONGEST);
            let mut rest = clean.as_str();
            while let Some((before, after)) = rest.split_once('<') {
                prop_assert!(!before.contains('>'), "{}", clean);
                let (inside, after) = after.split_once('>').expect("every tag is closed");
                prop_assert!(KEPT.contains(&inside.trim_start_matches('/')), "{}", clean);
                rest = after;
            }
            prop_assert!(!rest.contains('>'));
            for (at, _) in clean.match_indices('&') {
                prop_assert!(REFERENCES.iter().any(|known| clean[at..].starts_with(known)), "{}", clean);
            }
        }
    }
}
