//! Lines of tegrastats.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use proptest::prelude::*;
use reelmill_agent::sensors::tegrastats::{BadLine, LONGEST_LINE, Sample, parse};

use crate::support::{agent, check, data, lines};

fn output(args: &[&str], stdin: &str) -> Output {
    let mut command = agent();
    command.arg("tegrastats").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the agent starts");
    let mut pipe = child.stdin.take().expect("it is piped");
    pipe.write_all(stdin.as_bytes()).expect("the agent reads");
    drop(pipe);
    child.wait_with_output().expect("the agent ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn every_real_line_is_printed_as_json() {
    let path = data("tegrastats/lines.txt");
    let output = output(&[path.to_str().expect("a path in text")], "");
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success(), "{:?}", output.status);
    check("tegrastats/lines.jsonl", &text(&output.stdout));
}

#[test]
fn standard_input_is_read_and_a_bad_line_is_told_with_its_number() {
    let (_, good) = lines().remove(0);
    let output = output(&["-"], &format!("# a remark\n{good}\n\nno line at all\n{good}\n"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().count(), 2, "the good lines are printed nevertheless");
    assert_eq!(
        text(&output.stderr),
        "error: line 4 of standard input: it tells neither RAM nor CPU, so it is no line of tegrastats\n\
         hint: each line is to be one that tegrastats printed, whole\n"
    );
}

#[test]
fn a_file_that_is_not_there_is_told_with_what_to_give() {
    let output = output(&["/nonexistent/stats.txt"], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: cannot read /nonexistent/stats.txt: No such file or directory (os error 2)\n\
         hint: give the file that tegrastats wrote, or - for standard input\n"
    );
}

/// How many parts of each kind a line has, found by the shape of its words alone.
#[derive(Debug, PartialEq)]
struct Census {
    cores: usize,
    heats: usize,
    rails: usize,
    engines: usize,
}

impl Census {
    fn of_line(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let figures = |word: &str| word.replace("mW", "");
        let is_rail = |word: &&&str| {
            let word = figures(word);
            word.contains('/') && word.bytes().all(|b| b.is_ascii_digit() || b == b'/')
        };
        let is_engine = |pair: &&[&str]| {
            let named = ["NV", "VIC", "OFA", "PVA", "APE", "EMC"].iter().any(|stem| pair[0].starts_with(stem));
            named && !pair[0].contains('@')
        };
        let cpu = words.windows(2).find(|pair| pair[0] == "CPU" && pair[1].starts_with('[')).expect("processors");
        Self {
            cores: cpu[1].split(',').count(),
            heats: words.iter().filter(|word| word.contains('@') && word.ends_with('C')).count(),
            rails: words.iter().filter(is_rail).count(),
            engines: words.windows(2).filter(is_engine).count(),
        }
    }

    fn of_sample(sample: &Sample) -> Self {
        let ignored = |what: fn(&str) -> bool| sample.ignored.iter().filter(|word| what(word)).count();
        Self {
            cores: sample.cores.len(),
            heats: sample.temperatures.len() + ignored(|word| word.contains('@')),
            rails: sample.rails.len() + ignored(|word| word.starts_with("NC ")),
            engines: sample.engines.len() + ignored(|word| word.starts_with("EMC_FREQ ")),
        }
    }
}

#[test]
fn every_word_of_the_real_lines_is_accounted_for() {
    for (from, line) in lines() {
        let sample = parse(&line).expect("a real line");
        assert_eq!(sample.unknown, Vec::<String>::new(), "{from}");
        assert_eq!(Census::of_sample(&sample), Census::of_line(&line), "{from}");
        let said = |word: &str| line.split_whitespace().any(|w| w == word);
        assert_eq!(
            (sample.swap.is_some(), sample.iram.is_some(), sample.mts.is_some(), sample.gpu.is_some()),
            (said("SWAP"), said("IRAM"), said("MTS"), said("GR3D_FREQ")),
            "{from}"
        );
        assert!(sample.ram.is_some() && sample.local_time.is_some() == line.starts_with(|c: char| c.is_ascii_digit()));
    }
}

#[test]
fn order_and_blanks_do_not_matter() {
    let (_, line) = lines().remove(0);
    let words: Vec<&str> = line.split_whitespace().collect();
    let (date, rest) = words.split_at(2);
    let turned = format!("  {}\t{}  \r\n", rest.join("   "), date.join(" "));
    assert_eq!(parse(&turned), parse(&line));
}

/// What one more word in a line adds to it, as JSON.
fn added(words: &str) -> String {
    let sample = parse(&format!("RAM 1/2MB (lfb 1x4MB) {words}")).expect("it has RAM");
    let plain = parse("RAM 1/2MB (lfb 1x4MB)").expect("it has RAM");
    let (serde_json::Value::Object(with), serde_json::Value::Object(without)) =
        (serde_json::to_value(&sample).expect("JSON"), serde_json::to_value(&plain).expect("JSON"))
    else {
        panic!("a sample is an object");
    };
    let new = with.into_iter().filter(|(key, value)| without.get(key) != Some(value));
    serde_json::Value::Object(new.collect()).to_string()
}

#[test]
fn words_of_all_releases_mean_what_they_say() {
    let table = [
        ("NVENC 716", r#"{"engines":[{"mhz":716,"name":"nvenc0","on":true}]}"#),
        ("NVENC1 off", r#"{"engines":[{"name":"nvenc1","on":false}]}"#),
        ("NVDEC0_FREQ @1556", r#"{"engines":[{"mhz":1556,"name":"nvdec0","on":true}]}"#),
        ("VIC_FREQ 12%@115", r#"{"engines":[{"mhz":115,"name":"vic","on":true,"percent":12.0}]}"#),
        ("EMC_FREQ @4266", r#"{"engines":[{"mhz":4266,"name":"emc","on":true}]}"#),
        ("EMC_FREQ 0%", r#"{"ignored":["EMC_FREQ 0%"]}"#),
        ("GR3D_FREQ 0%@611 GR3D2_FREQ 0%@612", r#"{"gpu":{"mhz":[611,612],"percent":0}}"#),
        ("GR3D_FREQ @[314,314,315]", r#"{"gpu":{"mhz":[314,314,315]}}"#),
        ("CV0@-256C", r#"{"ignored":["CV0@-256C"]}"#),
        ("CPU@-12.5C", r#"{"temperatures":[{"celsius":-12.5,"name":"cpu"}]}"#),
        ("gpu@47C/51.5C", r#"{"temperatures":[{"celsius":47.0,"name":"gpu","peak_celsius":51.5}]}"#),
        ("VDD_IN 3/4", r#"{"rails":[{"average_milliwatts":4,"milliwatts":3,"name":"VDD_IN"}]}"#),
        ("CPU [5%,off]@1200", r#"{"cores":[{"mhz":1200,"online":true,"percent":5.0},{"online":false}]}"#),
        ("MTS fg 3% bg 9%", r#"{"mts":{"background_percent":9,"foreground_percent":3}}"#),
        (
            "SWAP 149/1024MB (cached 7MB)",
            r#"{"swap":{"cached_bytes":7340032,"total_bytes":1073741824,"used_bytes":156237824}}"#,
        ),
    ];
    for (words, want) in table {
        assert_eq!(added(words), want, "{words}");
    }
}

#[test]
fn what_is_not_known_is_kept_to_be_shown() {
    let table = [
        ("NVFOO 12%@345 next", r#"{"unknown":["NVFOO 12%@345","next"]}"#),
        ("NVBAR off", r#"{"unknown":["NVBAR off"]}"#),
        ("NVENC busy", r#"{"unknown":["NVENC","busy"]}"#),
        ("cpu@hotC", r#"{"unknown":["cpu@hotC"]}"#),
        ("cpu@infC", r#"{"unknown":["cpu@infC"]}"#),
        ("VDD_IN 1mW/2mW/3mW/4mW", r#"{"unknown":["VDD_IN 1mW/2mW/3mW/4mW"]}"#),
        ("RAM 3/4MB (lfb 1x4MB)", r#"{"unknown":["RAM 3/4MB","(lfb 1x4MB)"]}"#),
        ("RAM 99999999999999999/4MB", r#"{"unknown":["RAM 99999999999999999/4MB"]}"#),
        ("SWAP", r#"{"unknown":["SWAP"]}"#),
        ("13-45-2026 10:00", r#"{"unknown":["13-45-2026 10:00"]}"#),
    ];
    for (words, want) in table {
        assert_eq!(added(words), want, "{words}");
    }
    assert_eq!(parse("NVFOO 12%@345 RAM 1/2MB (lfb 1x4MB) BAR").map(|sample| sample.unknown_tokens()), Ok(2));
}

#[test]
fn what_is_no_line_is_refused() {
    assert_eq!(parse(""), Err(BadLine::NotTegrastats));
    assert_eq!(parse("tegrastats: command not found"), Err(BadLine::NotTegrastats));
    assert_eq!(parse(&"x ".repeat(LONGEST_LINE)), Err(BadLine::TooLong));
}

/// Real words in any order, some of them damaged.
fn shuffled() -> impl Strategy<Value = String> {
    let words: Vec<String> = lines().iter().flat_map(|(_, l)| l.split(' ').map(str::to_owned)).collect();
    let damaged =
        (prop::sample::select(words), any::<prop::sample::Index>(), prop::option::weighted(0.2, any::<char>()));
    let word = damaged.prop_map(|(word, at, c)| {
        let mut chars: Vec<char> = word.chars().collect();
        if let (Some(c), false) = (c, chars.is_empty()) {
            let at = at.index(chars.len());
            chars[at] = c;
        }
        chars.into_iter().collect::<String>()
    });
    prop::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
}

fn holds(line: &str) {
    let Ok(sample) = parse(line) else { return };
    serde_json::to_string(&sample).expect("a sample is JSON");
    assert!(sample.temperatures.iter().all(|t| t.celsius.is_finite()), "{line:?}");
    assert!(sample.unknown.iter().all(|word| !word.is_empty()), "{line:?}");
    let kept = sample.unknown.iter().flat_map(|words| words.split(' '));
    assert!(kept.clone().all(|word| line.split_ascii_whitespace().any(|w| w == word)), "{line:?}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(line in ".{0,400}") {
        holds(&line);
    }

    #[test]
    fn no_order_of_real_and_damaged_words_makes_it_panic(line in shuffled()) {
        holds(&line);
    }
}
