//! Extra filters: each of the closed list in ffmpeg's words. Numbers only; names of files or addresses never come from
//! a preset.

use reelmill_api::preset::{
    Filter,
    filter::{Corner, Edges, Logo, Strength},
};

use crate::plan::{Picture, Size};

/// The chain that was begun, with the filters after it. Pictures that filters need are inputs of their own, from 1 on.
pub(super) fn after(mut chain: String, picture: &Picture) -> String {
    if picture.filters.is_empty() {
        return chain;
    }
    let mut size = picture.size;
    chain += &format!(",scale={}:{}:flags=bicubic,setsar=1", size.width, size.height);
    let mut input = 0;
    for filter in &picture.filters {
        match filter {
            Filter::Crop(edges) => {
                size = Size { width: size.width - across(edges), height: size.height - down(edges) };
                chain += &format!(",crop={}:{}:{}:exact=1", size.width, size.height, corner(edges));
            }
            Filter::Pad(edges) => {
                size = Size { width: size.width + across(edges), height: size.height + down(edges) };
                chain += &format!(",pad={}:{}:{}", size.width, size.height, corner(edges));
            }
            Filter::Denoise(strength) => chain += denoise(*strength),
            Filter::Sharpen(strength) => chain += sharpen(*strength),
            Filter::Logo(logo) => {
                input += 1;
                chain += &over(logo, size, input, matrix(picture));
            }
            Filter::Lut(_) => {
                input += 1;
                chain += &graded(input, matrix(picture));
            }
        }
    }
    chain
}

/// The matrix of the pictures by swscale's names. Without it, what is mixed in RGB comes back in BT.601's.
fn matrix(picture: &Picture) -> &'static str {
    match picture.colour.matrix.as_deref() {
        Some("bt709") => "bt709",
        Some("bt2020nc" | "bt2020c") => "bt2020",
        Some("fcc") => "fcc",
        Some("smpte240m") => "smpte240m",
        _ => "bt601",
    }
}

/// `haldclut` changes nothing of planar integer samples (gbrp, gbrp10le and gbrp16le, with ffmpeg 5.1 and 8.0), so they
/// are packed for it.
fn graded(input: usize, matrix: &str) -> String {
    format!(
        ",scale=in_color_matrix={matrix},format=rgb48le[graded-{input}];\
         [graded-{input}][{input}:0]haldclut=interp=tetrahedral,\
         scale=out_color_matrix={matrix}:out_range=tv,format=yuv444p16le"
    )
}

fn across(edges: &Edges) -> u32 {
    edges.left.get() + edges.right.get()
}

fn down(edges: &Edges) -> u32 {
    edges.top.get() + edges.bottom.get()
}

fn corner(edges: &Edges) -> String {
    format!("{}:{}", edges.left.get(), edges.top.get())
}

/// Spatial and temporal strength for luma and chroma; medium is hqdn3d's own default.
fn denoise(strength: Strength) -> &'static str {
    match strength {
        Strength::Light => ",hqdn3d=2:1.5:3:2.25",
        Strength::Medium => ",hqdn3d=4:3:6:4.5",
        Strength::Strong => ",hqdn3d=8:6:12:9",
    }
}

/// Luma only: sharpened chroma shows as coloured edges.
fn sharpen(strength: Strength) -> &'static str {
    match strength {
        Strength::Light => ",unsharp=5:5:0.4:5:5:0",
        Strength::Medium => ",unsharp=5:5:0.8:5:5:0",
        Strength::Strong => ",unsharp=5:5:1.5:5:5:0",
    }
}

fn over(logo: &Logo, size: Size, input: usize, matrix: &str) -> String {
    let part = |percent: u32| (size.width * percent / 100).max(1);
    let (width, margin) = (part(logo.width_percent.get()), part(logo.margin_percent.get()));
    let (x, y) = match logo.corner {
        Corner::TopLeft => (format!("{margin}"), format!("{margin}")),
        Corner::TopRight => (format!("W-w-{margin}"), format!("{margin}")),
        Corner::BottomLeft => (format!("{margin}"), format!("H-h-{margin}")),
        Corner::BottomRight => (format!("W-w-{margin}"), format!("H-h-{margin}")),
    };
    format!(
        "[plain-{input}];[{input}:0]format=rgba,scale={width}:-1:out_color_matrix={matrix}:out_range=tv,format=yuva444p[logo-{input}];\
         [plain-{input}][logo-{input}]overlay={x}:{y}:format=auto"
    )
}
