//! JSON that keeps its form and says other things.

use proptest::prelude::*;
use serde_json::Value;

/// What a field may say instead: what ffprobe has said of odd files, and what it must never be believed.
const SAYINGS: &[&str] = &[
    r#""0""#,
    r#""-1""#,
    r#""0/0""#,
    r#""1/0""#,
    r#""4294967295/1""#,
    r#""1/4294967295""#,
    r#""24000/1001""#,
    r#""1000/1""#,
    r#""nan""#,
    r#""inf""#,
    r#""1e308""#,
    r#""-1e308""#,
    r#""1e-300""#,
    r#""9223372036854775807""#,
    r#""18446744073709551616""#,
    r#""N/A""#,
    r#""unknown""#,
    r#""smpte2084""#,
    r#""a:b,c[d];e'f\"""#,
    r#""\u001b[2J\n""#,
    r#""video""#,
    r#""audio""#,
    r#""matroska,webm""#,
    "0",
    "1",
    "-1",
    "16384",
    "16385",
    "4294967295",
    "4294967296",
    "1e308",
    "-90",
    "45.5",
    "null",
    "true",
    "[]",
    "{}",
    "[[[[1]]]]",
];

/// One of the seeds with some of its fields made to say something else, or left out.
pub(crate) fn changed_json(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes =
        prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(prop::sample::select(SAYINGS))), 1..12);
    // Beside ffprobe's JSON lies what other programs said, and finds that are none.
    let values: Vec<Value> = seeds.iter().filter_map(|seed| serde_json::from_slice(seed).ok()).collect();
    (prop::sample::select(values), changes).prop_map(|(mut value, changes)| {
        for (at, saying) in changes {
            let mut left = at.index(fields(&value).max(1));
            change(&mut value, &mut left, saying);
        }
        serde_json::to_vec(&value).expect("JSON is written")
    })
}

/// How many fields and items there are, at any depth.
fn fields(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.values().map(|v| 1 + fields(v)).sum(),
        Value::Array(items) => items.iter().map(|v| 1 + fields(v)).sum(),
        _ => 0,
    }
}

/// Changes the field that is `left` fields away; `None` once it is done.
fn change(value: &mut Value, left: &mut usize, saying: Option<&str>) -> Option<()> {
    let said = || saying.map(|text| serde_json::from_str::<Value>(text).expect("a saying is JSON"));
    match value {
        Value::Object(map) => {
            for key in map.keys().cloned().collect::<Vec<_>>() {
                if *left == 0 {
                    match said() {
                        Some(other) => drop(map.insert(key, other)),
                        None => drop(map.remove(&key)),
                    }
                    return None;
                }
                *left -= 1;
                change(map.get_mut(&key).expect("it is one of its keys"), left, saying)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                if *left == 0 {
                    *item = said().unwrap_or(Value::Null);
                    return None;
                }
                *left -= 1;
                change(item, left, saying)?;
            }
        }
        _ => {}
    }
    Some(())
}
