//! What media programs say, made fit for people: without the addresses that mean something only inside one run.

/// The longest line that is kept whole.
const LONGEST: usize = 400;

/// A line of error output without control characters, memory addresses and the gateway's URLs.
///
/// `[mov,mp4 @ 0x55d6] moov atom not found` becomes `[mov,mp4] moov atom not found`, and the URL of the source becomes
/// `the source`.
pub(super) fn tidy(line: &str) -> String {
    let line: String = line.trim_end().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let is_address = word.starts_with("0x") && word.ends_with(']') && words.last().is_some_and(|at| at == "@");
        if is_address && words.len() >= 2 {
            words.pop();
            words.last_mut().expect("there were two").push(']');
        } else {
            words.push(without_gateway(word));
        }
    }
    words.join(" ")
}

fn without_gateway(word: &str) -> String {
    let Some((before, url)) = word.split_once("http://127.0.0.1:") else { return word.to_owned() };
    let end = url.find(['\'', '"', ',', ')']).unwrap_or(url.trim_end_matches([':', '.', ';']).len());
    let (url, after) = url.split_at(end);
    let mut parts = url.splitn(4, '/').skip(2);
    match (parts.next(), parts.next()) {
        (Some("in"), _) => format!("{before}the source{after}"),
        (Some("out"), Some(file)) => format!("{before}{file}{after}"),
        _ => format!("{before}the gateway{after}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_what_means_nothing_outside_a_run() {
        let check = |said: &str, want: &str| assert_eq!(tidy(said), want);
        check("[mov,mp4 @ 0x55db51262280] moov atom not found\n", "[mov,mp4] moov atom not found");
        check("http://127.0.0.1:36009/4032f4f0/in/source: End of file", "the source: End of file");
        check(
            "[hls @ 0x5] Opening 'http://127.0.0.1:36009/4032f4f0/out/audio/seg_00000.m4s' for writing",
            "[hls] Opening 'audio/seg_00000.m4s' for writing",
        );
        check("to http://127.0.0.1:1/ or not", "to the gateway or not");
        check("a\u{1b}[2Jb\tc", "a[2Jbc");
        check("@ 0x5]", "@ 0x5]");
        check("", "");
        assert_eq!(tidy(&"x".repeat(5000)).len(), LONGEST);
    }
}
