//! Presets in, and what is wrong with them out.

use super::*;

#[test]
fn every_built_in_preset_parses_and_is_named_like_its_file() {
    for (file, text) in BUILT_IN {
        let preset = Preset::from_toml(file, text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(*file, format!("{}.toml", preset.name));
    }
}

#[test]
fn every_preset_in_the_folder_is_built_in() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../presets");
    let entries = std::fs::read_dir(folder).expect("presets lie beside the hub");
    let mut there: Vec<_> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("a plain name")).collect();
    let mut known: Vec<_> = BUILT_IN.iter().map(|(file, _)| (*file).to_owned()).collect();
    there.sort();
    known.sort();
    assert_eq!(there, known);
}

#[test]
fn a_preset_of_ones_own_overrides_the_built_in_one() {
    let text = BUILT_IN[0].1.replace("segment_seconds = 4", "segment_seconds = 6");
    let mut presets = Presets::built_in();
    presets.add_files(&[("mine.toml".to_owned(), text)]).expect("a good preset");
    let name = "hls-ladder".parse().expect("a name");
    let Some(Preset { product: Product::Ladder(ladder), .. }) = presets.get(&name) else { panic!("no ladder") };
    assert_eq!(ladder.segment_seconds.get(), 6);
    assert_eq!(presets.names().len(), BUILT_IN.len());
}

fn check_error(change: (&str, &str), want: &str) {
    let (_, text) = BUILT_IN[0];
    assert!(text.contains(change.0), "the preset holds {}", change.0);
    let error = Preset::from_toml("mine.toml", &text.replacen(change.0, change.1, 1)).expect_err("a bad preset");
    assert!(error.starts_with("mine.toml:") && error.contains(want), "{error}");
}

#[test]
fn a_bad_preset_is_refused_with_line_and_column() {
    check_error(("segment_seconds = 4", "segment_seconds = 0"), "segment length");
    check_error(("codec = \"h264\"", "codec = \"h265x\""), "h265x");
    check_error(("codec = \"h264\"", "codec = \"prores\""), "ProRes does not go into segments");
    check_error(
        ("[ladder]", "[live]\nsegment_seconds = 2\nwindow = 5\nrungs = []\n[ladder]"),
        "a ladder needs at least one rung",
    );
    check_error(("crf = 21", "crf = 60"), "from 0 to 51");
    check_error(("[audio]", "colour = 1\n[audio]"), "colour");
    check_error(("name = \"720p\"", "name = \"../etc\""), "cannot name a rung");
    check_error(("short_side = 720", "short_side = 1080"), "must be smaller");
}

#[test]
fn a_preset_makes_one_thing() {
    let (_, text) = BUILT_IN[0];
    let both = format!("{text}\n[[files]]\nname = \"x\"\ncontainer = \"mp4\"\ncrf = 20\n");
    let error = Preset::from_toml("mine.toml", &both).expect_err("two products");
    assert!(
        error.ends_with("a preset makes one thing: give it [ladder], [[files]] or [live], and only one of them"),
        "{error}"
    );
}

#[test]
fn every_built_in_preset_survives_a_round_through_json() {
    for preset in Presets::built_in().iter() {
        let json = serde_json::to_string(preset).expect("a preset is plain data");
        assert_eq!(serde_json::from_str::<Preset>(&json).as_ref().map_err(ToString::to_string), Ok(preset));
        assert!(preset.description.ends_with('.') && preset.description.len() > 40, "{}", preset.description);
    }
}

fn changed(settings: &str) -> Result<Preset, String> {
    let presets = Presets::built_in();
    let preset = presets.get(&"social-square".parse().expect("a name")).expect("built in");
    preset.with(&serde_json::from_str(settings).expect("settings"))
}

#[test]
fn a_job_changes_its_preset_as_if_it_were_written_so() {
    let preset =
        changed(r#"{"video":{"effort":"slow"},"audio":{"loudness_lufs":null},"filters":[{"denoise":"light"}]}"#);
    let preset = preset.expect("good settings");
    assert_eq!((preset.video.effort, preset.audio.loudness_lufs), (Effort::Slow, None));
    assert_eq!(preset.filters, [Filter::Denoise(filter::Strength::Light)]);
    assert!(changed("{}").expect("nothing is changed").audio.loudness_lufs.is_some());
}

#[test]
fn a_job_cannot_change_a_preset_into_nonsense() {
    for (settings, want) in [
        (r#"{"video":{"efort":"slow"}}"#, "efort"),
        (r#"{"filters":[{"drawtext":"x"}]}"#, "drawtext"),
        (r#"{"name":"other"}"#, "cannot change the name"),
        (r#"{"requires":[]}"#, "cannot change the requires"),
        (r#"{"files":[]}"#, "a preset makes one thing"),
    ] {
        let error = changed(settings).expect_err(settings);
        assert!(error.contains(want), "{settings}: {error}");
    }
}
