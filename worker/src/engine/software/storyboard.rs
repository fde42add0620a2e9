//! The storyboard's branch of a filter graph: every so many frames of one rendition, made small and laid on sheets. It
//! takes pictures that are scaled already, so it costs next to nothing.

use reelmill_api::layout;

use super::graph::tone_map;
use crate::plan::{Plan, Product, StoryboardPlan, VideoPlan};

/// The graph with the storyboard's sheets at a pad `[v-storyboard]` besides, and whether there are any. `fetch` is what
/// brings a rendition's pictures to the processor's memory, where they are not there already, with a comma behind it.
pub(in crate::engine) fn added(plan: &Plan, graph: String, fetch: impl Fn(&VideoPlan) -> String) -> (String, bool) {
    let Some((board, from)) = wanted(plan) else { return (graph, false) };
    let (name, sheets) = (&from.name, layout::STORYBOARD);
    let both = format!(",split=2[v-{name}][s-{sheets}]");
    let graph = graph.replace(&format!("[v-{name}]"), &both);
    (format!("{graph};[s-{sheets}]{}[v-{sheets}]", chain(plan, board, from, &fetch(from))), true)
}

/// The same as a graph of its own, of a rendition's finished pictures; `pad` says where those of one come from, by its
/// place among [`Plan::videos`].
pub(in crate::engine) fn alone(plan: &Plan, pad: impl Fn(usize) -> String) -> (String, bool) {
    let Some((board, from)) = wanted(plan) else { return (String::new(), false) };
    let place = plan.videos().iter().position(|video| video.name == from.name).expect("it is one of them");
    (format!("{}{}[v-{}]", pad(place), chain(plan, board, from, ""), layout::STORYBOARD), true)
}

/// The storyboard, and the smallest rendition that is no smaller than one of its pictures; one with a standard range, if
/// there is one.
fn wanted(plan: &Plan) -> Option<(StoryboardPlan, &VideoPlan)> {
    let Product::Ladder(ladder) = &plan.product else { return None };
    let board = ladder.storyboard?;
    let standard = || ladder.videos.iter().filter(|v| !v.hdr);
    let large = |v: &&VideoPlan| v.size.width >= board.tile.width && v.size.height >= board.tile.height;
    let from = standard().rev().find(large).or_else(|| standard().next()).or(ladder.videos.last())?;
    Some((board, from))
}

/// JPEG files have the full range and BT.601's matrix (ITU-T T.871).
fn chain(plan: &Plan, board: StoryboardPlan, from: &VideoPlan, fetch: &str) -> String {
    let StoryboardPlan { every_frames, tile, columns, rows } = board;
    let hdr = plan.picture.hdr.as_ref().filter(|_| from.hdr);
    let mapped = hdr.map_or(String::new(), |hdr| format!("{},", tone_map(hdr)));
    let matrix =
        if hdr.is_some() { Some("bt709") } else { plan.picture.colour.matrix.as_deref().and_then(scalers_name) };
    let matrix = matrix.map_or(String::new(), |name| format!(":in_color_matrix={name}"));
    format!(
        "select=not(mod(n\\,{every_frames})),{fetch}{mapped}scale={}:{}:flags=bicubic{matrix}:out_color_matrix=bt601:\
         out_range=pc,setsar=1,format=yuvj420p,tile={columns}x{rows}",
        tile.width, tile.height
    )
}

/// The scaler's name for a matrix; `None` where its own guess has to do.
fn scalers_name(matrix: &str) -> Option<&'static str> {
    match matrix {
        "bt709" => Some("bt709"),
        "smpte170m" | "bt470bg" => Some("bt601"),
        "smpte240m" => Some("smpte240m"),
        "bt2020nc" => Some("bt2020"),
        _ => None,
    }
}
