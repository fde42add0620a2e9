//! Extra filters in plain words for the report.

use reelmill_api::preset::{
    Filter,
    filter::{Corner, Edges, Strength},
};

/// What a filter does to the picture.
pub(super) fn told(filter: &Filter) -> String {
    match filter {
        Filter::Crop(edges) => format!("edges cut off: {}", pixels(edges)),
        Filter::Pad(edges) => format!("black edges added: {}", pixels(edges)),
        Filter::Denoise(strength) => format!("noise taken out: {}", strength_of(*strength)),
        Filter::Sharpen(strength) => format!("sharpened: {}", strength_of(*strength)),
        Filter::Logo(logo) => format!("logo laid over the {} corner: {}", corner(logo.corner), logo.image),
        Filter::Lut(lut) => format!("colours changed by a table: {}", lut.table),
    }
}

fn pixels(edges: &Edges) -> String {
    let edges = [("left", edges.left), ("right", edges.right), ("top", edges.top), ("bottom", edges.bottom)];
    let given = edges.into_iter().filter(|(_, pixels)| pixels.get() > 0);
    let words: Vec<_> = given.map(|(name, pixels)| format!("{} {name}", pixels.get())).collect();
    if words.is_empty() { "none".to_owned() } else { format!("{} pixels", words.join(", ")) }
}

fn strength_of(strength: Strength) -> &'static str {
    match strength {
        Strength::Light => "light",
        Strength::Medium => "medium",
        Strength::Strong => "strong",
    }
}

fn corner(corner: Corner) -> &'static str {
    match corner {
        Corner::TopLeft => "top left",
        Corner::TopRight => "top right",
        Corner::BottomLeft => "bottom left",
        Corner::BottomRight => "bottom right",
    }
}
