//! The pipeline's text, element by element.

use super::{
    Family, Graph, Input, RungWish, Source, Unfit,
    elements::{self, DECODERS, Decoder, ENCODERS, Encoder, Value},
};
use crate::order::Wish;

/// Undecoded packets that wait for the decoder.
const PACKETS: &str = "queue name=packets max-size-buffers=64 max-size-bytes=33554432 max-size-time=0";
/// Pictures that wait for a rung's encoder: few, because they are large, and on a Jetson the decoder's own.
const PICTURES: &str = "queue max-size-buffers=4 max-size-bytes=0 max-size-time=0";
/// Encoded frames that wait for the reader. It opens its inputs one after the other, and reads up to 5 MB of the first one
/// before it looks at the next; a rung that could not wait so long would hold up all of them, and the first one too.
const FRAMES: &str = "queue max-size-buffers=0 max-size-bytes=33554432 max-size-time=0";

/// The name of a rung's sink.
pub(super) fn sink(rung: usize) -> String {
    format!("rung-{rung}")
}

/// The whole pipeline, and what is wished besides.
pub(super) fn pipeline(graph: &Graph) -> Result<(String, Vec<Wish>), Unfit> {
    let mut wishes = Vec::new();
    let mut parts = match &graph.input {
        Input::Http { url, source } => {
            let decoder = DECODERS.iter().find(|row| row.codec == source.codec);
            let decoder = decoder.ok_or_else(|| Unfit::Decode(source.clone()))?;
            vec![http(url), trunk(graph, decoded(graph, source, decoder))]
        }
        Input::Test { pictures } => vec![trunk(graph, made(graph, *pictures))],
    };
    for (n, rung) in graph.rungs.iter().enumerate() {
        let encoder = encoder(graph.family, rung)?;
        let wish = |(property, value): &(&str, Value)| Wish {
            element: format!("encoder-{n}"),
            property: (*property).to_owned(),
            value: text(*value, rung),
        };
        wishes.extend(encoder.wishes.iter().map(wish));
        parts.push(branch(graph, n, rung, encoder));
    }
    Ok((parts.join("\n"), wishes))
}

/// Without time limits of its own: the worker watches for a stall.
fn http(url: &str) -> String {
    let url = url.replace(['"', '\\'], "");
    format!(
        "souphttpsrc name=source location=\"{url}\" timeout=0 retries=0 keep-alive=true compress=false iradio-mode=false \
         automatic-redirect=false ! parsebin name=tracks"
    )
}

/// From decoded pictures to where the rungs part.
fn trunk(graph: &Graph, mut chain: Vec<String>) -> String {
    let memory = if graph.family == Family::L4t { "(memory:NVMM)" } else { "" };
    let rate = graph.frame_rate;
    chain.push("videorate name=grid skip-to-first=false".to_owned());
    chain.push(format!("video/x-raw{memory},framerate={}/{}", rate.numerator, rate.denominator));
    chain.push("tee name=pictures".to_owned());
    chain.join(" ! ")
}

/// From a track of the source to pictures that are upright, or will be.
fn decoded(graph: &Graph, source: &Source, decoder: &Decoder) -> Vec<String> {
    let mut chain = vec![format!("tracks. ! {}", decoder.caps), PACKETS.to_owned()];
    match graph.family {
        Family::L4t => chain.extend(l4t_pictures(graph, source, decoder)),
        Family::Software => chain.extend(software_pictures(graph, decoder)),
    }
    chain
}

/// Moving bars, in the memory that encoders take.
fn made(graph: &Graph, pictures: u32) -> Vec<String> {
    let (width, height) = graph.rungs.first().map_or((128, 128), |rung| (rung.width, rung.height));
    let rate = graph.frame_rate;
    let size = format!("width={width},height={height},framerate={}/{}", rate.numerator, rate.denominator);
    let mut chain = vec![
        format!("videotestsrc name=source num-buffers={pictures} ! video/x-raw,format=I420,{size}"),
        PACKETS.to_owned(),
    ];
    if graph.family == Family::L4t {
        chain.push("nvvidconv ! video/x-raw(memory:NVMM),format=NV12".to_owned());
    }
    chain
}

/// One frame of two fields: the upper lines of each, the lower ones made new.
const DEINTERLACE: &str = "deinterlace mode=interlaced fields=top method=greedyh";

fn software_pictures(graph: &Graph, decoder: &Decoder) -> Vec<String> {
    let mut chain = vec![format!("{} name=decoder", decoder.software)];
    if graph.deinterlace {
        chain.push("videoconvert n-threads=0".to_owned());
        chain.push(DEINTERLACE.to_owned());
    }
    if let Some(turn) = elements::software_turn(graph.turn) {
        chain.push(format!("videoconvert n-threads=0 ! videoflip video-direction={turn}"));
    }
    chain
}

/// Pictures stay in the hardware's memory, except to be deinterlaced: what nvdeinterlace needs is not known.
fn l4t_pictures(graph: &Graph, source: &Source, decoder: &Decoder) -> Vec<String> {
    let in_hardware = takes(decoder, source);
    let format = if graph.rungs.iter().any(|rung| rung.depth > 8) { "P010_10LE" } else { "NV12" };
    let mut chain = Vec::new();
    if in_hardware {
        chain.push("nvv4l2decoder name=decoder enable-max-performance=true".to_owned());
        if graph.deinterlace {
            chain.push(format!("nvvidconv ! video/x-raw,format={format}"));
        }
    } else {
        chain.push(format!("{} name=decoder", decoder.software));
        chain.push(format!("videoconvert n-threads=0 ! video/x-raw,format={format}"));
    }
    if graph.deinterlace {
        chain.push(DEINTERLACE.to_owned());
    }
    if graph.deinterlace || !in_hardware {
        chain.push(format!("nvvidconv ! video/x-raw(memory:NVMM),format={format}"));
    }
    chain
}

fn takes(decoder: &Decoder, source: &Source) -> bool {
    decoder.l4t.contains(&source.pixel_format.as_str())
}

fn encoder(family: Family, rung: &RungWish) -> Result<&'static Encoder, Unfit> {
    let fits = |row: &&Encoder| row.family == family && row.codec == rung.codec && row.depth == rung.depth;
    ENCODERS.iter().find(fits).ok_or(Unfit::Encode(rung.codec, rung.depth))
}

/// From where the rungs part to a rung's descriptor.
fn branch(graph: &Graph, n: usize, rung: &RungWish, encoder: &Encoder) -> String {
    let (width, height, format) = (rung.width, rung.height, encoder.format);
    let scaled = match graph.family {
        Family::L4t => format!(
            "nvvidconv flip-method={} interpolation-method=5 ! \
             video/x-raw(memory:NVMM),format={format},width={width},height={height}",
            elements::l4t_turn(graph.turn)
        ),
        Family::Software => format!(
            "videoscale method=catrom add-borders=false n-threads=0 ! videoconvert n-threads=0 ! \
             video/x-raw,format={format},width={width},height={height},pixel-aspect-ratio=1/1"
        ),
    };
    let properties: String =
        encoder.properties.iter().map(|(name, value)| format!(" {name}={}", text(*value, rung))).collect();
    format!(
        "pictures. ! {PICTURES} ! {scaled} ! {} name=encoder-{n}{properties} ! {} ! {FRAMES} ! \
         fdsink name={} fd={} sync=false",
        encoder.element,
        elements::parser(rung.codec),
        sink(n),
        rung.fd
    )
}

fn text(value: Value, rung: &RungWish) -> String {
    let kilobits = |bits: u32| bits.div_ceil(1000);
    match value {
        Value::Is(text) => text.to_owned(),
        Value::Bits => rung.bitrate_bps.to_string(),
        Value::Kilobits => kilobits(rung.bitrate_bps).to_string(),
        Value::PeakBits => rung.peak_bps.to_string(),
        Value::PeakKilobits => kilobits(rung.peak_bps).to_string(),
        Value::Buffer => rung.peak_bps.saturating_mul(2).to_string(),
        Value::Gop => rung.gop.to_string(),
        Value::Crf => rung.crf.to_string(),
        Value::Speed(names) => names[usize::from(rung.preset.clamp(1, 7)) - 1].to_owned(),
        Value::X265Options => format!(
            "\"scenecut=0:open-gop=0:bframes=0:repeat-headers=1:vbv-maxrate={0}:vbv-bufsize={1}\"",
            kilobits(rung.peak_bps),
            2 * kilobits(rung.peak_bps)
        ),
    }
}
