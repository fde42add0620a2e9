//! The tables: which elements decode, scale and encode, with every property that matters set, and where that is from.
//!
//! Sources: `[v4l2]` is NVIDIA's own gst-nvvideo4linux2 of L4T r35 (gstv4l2{videodec,videoenc,h264enc,h265enc,av1enc}.c)
//! and the `gst-inspect-1.0` of JetPack 5; `[l4t]` the Jetson Linux Developer Guide, "Accelerated GStreamer"; `[gst]`
//! `gst-inspect-1.0` of GStreamer 1.22, run here. Nothing of L4T has been run on a board yet.

use super::Turn;
use crate::order::Codec;

/// Whose elements a graph is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// NVIDIA's, on a Jetson.
    L4t,
    /// Those of any machine.
    Software,
}

/// A property's value: as it is, or computed from the rung.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// As it is.
    Is(&'static str),
    /// The rate aimed at, bit/s.
    Bits,
    /// The same in kbit/s.
    Kilobits,
    /// The highest rate, bit/s.
    PeakBits,
    /// The same in kbit/s.
    PeakKilobits,
    /// A buffer of two seconds at the highest rate, bits.
    Buffer,
    /// Frames from one keyframe to the next.
    Gop,
    /// Constant rate factor.
    Crf,
    /// The speed, in the encoder's own words: by preset 1 to 7.
    Speed(&'static [&'static str; 7]),
    /// x265's options that are no properties of its element.
    X265Options,
}

pub(super) type Properties = &'static [(&'static str, Value)];

/// A decoder.
pub(super) struct Decoder {
    /// ffprobe's name of the codec.
    pub(super) codec: &'static str,
    /// What the parser must give, so that the right one of a source's tracks is taken.
    pub(super) caps: &'static str,
    /// The element that decodes it anywhere.
    pub(super) software: &'static str,
    /// ffprobe's pixel formats of it that nvv4l2decoder takes `[v4l2]`: H.264, VP8, MPEG-2 and AV1 in 8 bit 4:2:0 only,
    /// H.265 and VP9 in 10 bit too.
    pub(super) l4t: &'static [&'static str],
}

const EIGHT: &[&str] = &["yuv420p", "yuvj420p"];
const EIGHT_OR_TEN: &[&str] = &["yuv420p", "yuvj420p", "yuv420p10le"];
const NO: &[&str] = &[];

/// `[gst]`: the avdec ones are in gst-libav, av1dec in aom, the others in vpx and theora.
pub(super) const DECODERS: &[Decoder] = &[
    Decoder { codec: "h264", caps: "video/x-h264", software: "avdec_h264", l4t: EIGHT },
    Decoder { codec: "hevc", caps: "video/x-h265", software: "avdec_h265", l4t: EIGHT_OR_TEN },
    Decoder { codec: "av1", caps: "video/x-av1", software: "av1dec", l4t: EIGHT },
    Decoder { codec: "vp8", caps: "video/x-vp8", software: "vp8dec", l4t: EIGHT },
    Decoder { codec: "vp9", caps: "video/x-vp9", software: "vp9dec", l4t: EIGHT_OR_TEN },
    Decoder {
        codec: "mpeg2video",
        caps: "video/mpeg,mpegversion=2,systemstream=false",
        software: "avdec_mpeg2video",
        l4t: EIGHT,
    },
    Decoder {
        codec: "mpeg4",
        caps: "video/mpeg,mpegversion=4,systemstream=false",
        software: "avdec_mpeg4",
        l4t: EIGHT,
    },
    Decoder { codec: "prores", caps: "video/x-prores", software: "avdec_prores", l4t: NO },
    Decoder { codec: "dnxhd", caps: "video/x-dnxhd", software: "avdec_dnxhd", l4t: NO },
    Decoder { codec: "mjpeg", caps: "image/jpeg", software: "avdec_mjpeg", l4t: NO },
    Decoder { codec: "theora", caps: "video/x-theora", software: "theoradec", l4t: NO },
    Decoder { codec: "ffv1", caps: "video/x-ffv,ffvversion=1", software: "avdec_ffv1", l4t: NO },
];

/// An encoder.
pub(super) struct Encoder {
    pub(super) family: Family,
    pub(super) codec: Codec,
    pub(super) depth: u8,
    pub(super) element: &'static str,
    /// What it takes: a raw format.
    pub(super) format: &'static str,
    pub(super) properties: Properties,
    /// Properties that only some releases or chips have.
    pub(super) wishes: Properties,
}

use Value::{Bits, Buffer, Crf, Gop, Is, Kilobits, PeakBits, PeakKilobits, Speed, X265Options};

/// `[v4l2]` 1 UltraFast (the default), 2 Fast, 3 Medium, 4 Slow.
const L4T_SPEED: Value = Speed(&["1", "2", "2", "3", "3", "4", "4"]);
/// `[gst]` names of x264enc and x265enc.
const X26X_SPEED: Value = Speed(&["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"]);
/// `[gst]` of av1enc.
const AOM_SPEED: Value = Speed(&["10", "9", "8", "7", "6", "5", "4"]);

/// `[v4l2]`: of the base class of all L4T encoders. By default they make the engine clock wait, constant rate at 4 Mb/s in
/// the fastest preset, and an IDR only every 256 frames whatever `iframeinterval` says.
macro_rules! l4t {
    ($($more:expr),*) => {
        &[
            ("control-rate", Is("0")), // Variable; 1 is constant.
            ("bitrate", Bits),
            ("peak-bitrate", PeakBits),
            ("vbv-size", Buffer),
            ("ratecontrol-enable", Is("true")),
            ("iframeinterval", Gop),
            ("idrinterval", Gop),
            $($more),*
        ]
    };
}

/// Not on chips whose encoder is the NVENC API behind the same element (Thor) `[v4l2]`.
const L4T_WISHES: Properties = &[("preset-level", L4T_SPEED), ("maxperf-enable", Is("true"))];

macro_rules! l4t_wishes {
    ($($more:expr),*) => {
        &[
            ("preset-level", L4T_SPEED),
            ("maxperf-enable", Is("true")),
            ("num-B-Frames", Is("0")), // In H.265 it is there on Xavier only.
            ("insert-sps-pps", Is("true")),
            ("insert-vui", Is("true")),
            ("insert-aud", Is("false")),
            ("EnableTwopassCBR", Is("false")),
            $($more),*
        ]
    };
}

pub(super) const ENCODERS: &[Encoder] = &[
    Encoder {
        family: Family::L4t,
        codec: Codec::H264,
        depth: 8,
        element: "nvv4l2h264enc",
        format: "NV12",
        properties: l4t![("profile", Is("4"))], // High; the default is Baseline.
        wishes: l4t_wishes![
            ("poc-type", Is("2")), // No reordering.
            ("disable-cabac", Is("false"))
        ],
    },
    Encoder {
        family: Family::L4t,
        codec: Codec::H265,
        depth: 8,
        element: "nvv4l2h265enc",
        format: "NV12",
        properties: l4t![("profile", Is("0"))], // Main.
        wishes: l4t_wishes![],
    },
    Encoder {
        family: Family::L4t,
        codec: Codec::H265,
        depth: 10,
        element: "nvv4l2h265enc",
        format: "P010_10LE",
        properties: l4t![("profile", Is("1"))], // Main 10.
        wishes: l4t_wishes![],
    },
    Encoder {
        family: Family::L4t,
        codec: Codec::Av1,
        depth: 8,
        element: "nvv4l2av1enc",
        format: "NV12",
        properties: l4t![],
        wishes: &[
            L4T_WISHES[0],
            L4T_WISHES[1],
            ("insert-seq-hdr", Is("true")),  // Newer than r35.
            ("enable-headers", Is("false")), // It would write IVF headers of its own.
        ],
    },
    Encoder {
        family: Family::Software,
        codec: Codec::H264,
        depth: 8,
        element: "x264enc",
        format: "I420",
        properties: &[
            ("pass", Is("qual")),
            ("quantizer", Crf),
            ("bitrate", PeakKilobits), // With this pass, the highest rate.
            ("vbv-buf-capacity", Is("2000")),
            ("speed-preset", X26X_SPEED),
            ("key-int-max", Gop),
            ("bframes", Is("0")),
            ("b-adapt", Is("false")),
            ("byte-stream", Is("true")),
            ("aud", Is("false")),
            ("insert-vui", Is("true")),
            // Keyframes where the grid wants them and nowhere else, and all groups closed.
            ("option-string", Is("\"scenecut=0:open-gop=0:force-cfr=1\"")),
        ],
        wishes: &[],
    },
    Encoder {
        family: Family::Software,
        codec: Codec::H265,
        depth: 8,
        element: "x265enc",
        format: "I420",
        properties: X265,
        wishes: &[],
    },
    Encoder {
        family: Family::Software,
        codec: Codec::H265,
        depth: 10,
        element: "x265enc",
        format: "I420_10LE",
        properties: X265,
        wishes: &[],
    },
    Encoder {
        family: Family::Software,
        codec: Codec::Av1,
        depth: 8,
        element: "av1enc",
        format: "I420",
        properties: &[
            ("end-usage", Is("vbr")),
            ("target-bitrate", Kilobits),
            ("usage-profile", Is("realtime")),
            ("cpu-used", AOM_SPEED),
            ("threads", Is("0")),
            ("row-mt", Is("true")),
            ("lag-in-frames", Is("0")),
            ("keyframe-max-dist", Gop),
        ],
        wishes: &[],
    },
];

const X265: Properties =
    &[("bitrate", Kilobits), ("speed-preset", X26X_SPEED), ("key-int-max", Gop), ("option-string", X265Options)];

/// What makes access units of what an encoder gives, as the packager wants them. `config-interval=-1`: parameter sets
/// before every keyframe `[gst]`.
pub(super) fn parser(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au",
        Codec::H265 => "h265parse config-interval=-1 ! video/x-h265,stream-format=byte-stream,alignment=au",
        Codec::Av1 => "av1parse ! video/x-av1,stream-format=obu-stream,alignment=tu",
    }
}

/// nvvidconv's `flip-method` `[l4t]`: 0 none, 1 counterclockwise, 2 half, 3 clockwise.
pub(super) fn l4t_turn(turn: Turn) -> &'static str {
    match turn {
        Turn::None => "0",
        Turn::Ccw90 => "1",
        Turn::Half => "2",
        Turn::Cw90 => "3",
    }
}

/// videoflip's `video-direction` `[gst]`; its older `method` does nothing in 1.22.
pub(super) fn software_turn(turn: Turn) -> Option<&'static str> {
    match turn {
        Turn::None => None,
        Turn::Cw90 => Some("90r"),
        Turn::Half => Some("180"),
        Turn::Ccw90 => Some("90l"),
    }
}

/// What is loaded on any machine. Demuxers hold their own media; those of playlists, scripts and image sequences, and all
/// sources but HTTP's, are left out `[gst]`.
const PLUGINS: &[&str] = &[
    "coreelements",
    "typefindfunctions",
    "playback",
    "soup",
    "videotestsrc",
    "isomp4",
    "matroska",
    "mpegtsdemux",
    "mpegpsdemux",
    "avi",
    "flv",
    "asf",
    "mxf",
    "ogg",
    "videoparsersbad",
    "audioparsers",
    "jpegformat",
    "libav",
    "aom",
    "vpx",
    "theora",
    "deinterlace",
    "videorate",
    // Since 1.22 these two are one.
    "videoconvertscale",
    "videoconvert",
    "videoscale",
];
/// x264enc and x265enc take the place of the hardware, videoflip that of nvvidconv.
const SOFTWARE_PLUGINS: &[&str] = &["x264", "x265", "videofilter"];
/// nvvidconv and the nvv4l2 elements.
const L4T_PLUGINS: &[&str] = &["nvvidconv", "nvvideo4linux2"];

/// The plug-ins that a family's graphs may need.
pub(super) fn plugins(family: Family) -> impl Iterator<Item = &'static str> {
    let own = match family {
        Family::L4t => L4T_PLUGINS,
        Family::Software => SOFTWARE_PLUGINS,
    };
    PLUGINS.iter().chain(own).copied()
}
