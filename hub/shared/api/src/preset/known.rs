//! All presets that a program knows.

use super::{Preset, PresetName};

/// The presets that come with Reelmill, as (file name, text).
pub const BUILT_IN: &[(&str, &str)] = &[
    ("hls-ladder.toml", include_str!("../../../../presets/hls-ladder.toml")),
    ("hls-ladder-4k.toml", include_str!("../../../../presets/hls-ladder-4k.toml")),
    ("hls-ladder-hevc.toml", include_str!("../../../../presets/hls-ladder-hevc.toml")),
    ("hls-ladder-av1.toml", include_str!("../../../../presets/hls-ladder-av1.toml")),
    ("archive-prores.toml", include_str!("../../../../presets/archive-prores.toml")),
    ("archive-dnxhr.toml", include_str!("../../../../presets/archive-dnxhr.toml")),
    ("social-vertical.toml", include_str!("../../../../presets/social-vertical.toml")),
    ("social-square.toml", include_str!("../../../../presets/social-square.toml")),
    ("proxy.toml", include_str!("../../../../presets/proxy.toml")),
    ("live-hls.toml", include_str!("../../../../presets/live-hls.toml")),
];

/// Presets by name: the built-in ones, overridden by a user's own of the same name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presets(Vec<Preset>);

impl Presets {
    /// The presets that come with Reelmill.
    pub fn built_in() -> Self {
        let parse =
            |&(file, text): &(&str, &str)| Preset::from_toml(file, text).expect("a test parses every built-in preset");
        Self(BUILT_IN.iter().map(parse).collect())
    }

    /// Adds a preset; one of the same name gives way to it.
    pub fn add(&mut self, preset: Preset) {
        self.0.retain(|p| p.name != preset.name);
        self.0.push(preset);
    }

    /// Adds presets of a user's own, given as (file name, text).
    ///
    /// # Errors
    /// The first that is wrong, with file, line and column.
    pub fn add_files(&mut self, files: &[(String, String)]) -> Result<(), String> {
        for (file, text) in files {
            self.add(Preset::from_toml(file, text)?);
        }
        Ok(())
    }

    /// The preset of that name.
    pub fn get(&self, name: &PresetName) -> Option<&Preset> {
        self.0.iter().find(|p| p.name == *name)
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&PresetName> {
        let mut names: Vec<_> = self.0.iter().map(|p| &p.name).collect();
        names.sort();
        names
    }

    /// All presets.
    pub fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.0.iter()
    }
}
