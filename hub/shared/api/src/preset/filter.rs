//! Extra filters: a closed list of what is known to be safe. No free text ever reaches a media program.

use serde::{Deserialize, Serialize};

use super::number::bounded;

use crate::Location;

/// One extra filter, applied to the upright picture in square pixels, in the order given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Cuts the edges.
    Crop(Edges),
    /// Adds black edges.
    Pad(Edges),
    /// Takes noise out.
    Denoise(Strength),
    /// Makes edges clearer.
    Sharpen(Strength),
    /// Lays a picture over the video.
    Logo(Logo),
    /// Changes colours by a table.
    Lut(Lut),
}

/// Pixels at each edge of the upright source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Edges {
    /// Left.
    pub left: EdgePixels,
    /// Right.
    pub right: EdgePixels,
    /// Top.
    pub top: EdgePixels,
    /// Bottom.
    pub bottom: EdgePixels,
}

bounded! {
    /// Pixels of an edge, at most 4096.
    #[derive(Eq, Default)]
    EdgePixels(u32), "u32", |n| n <= 4096, "{n} pixels is no edge of at most 4096"
}

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// A little.
    Light,
    /// More.
    Medium,
    /// Much.
    Strong,
}

/// A picture over the video.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logo {
    /// Where the picture lies, a PNG.
    pub image: Location,
    /// Where it stands.
    pub corner: Corner,
    /// Its width in percent of the picture's, 1 to 100.
    pub width_percent: Percent,
    /// Its distance from the edges in percent of the picture's width, 1 to 100; default 2.
    #[serde(default = "two_percent")]
    pub margin_percent: Percent,
}

fn two_percent() -> Percent {
    Percent(2)
}

bounded! {
    /// A share: 1 to 100 percent.
    #[derive(Eq)]
    Percent(u32), "u32", |n| (1..=100).contains(&n), "{n} is no share from 1 to 100 percent"
}

/// A corner of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corner {
    /// Top left.
    TopLeft,
    /// Top right.
    TopRight,
    /// Bottom left.
    BottomLeft,
    /// Bottom right.
    BottomRight,
}

/// A table of colours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lut {
    /// Where the table lies, a `.cube` file.
    pub table: Location,
}
