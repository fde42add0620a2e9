//! What the tests of the child share: sources made by ffmpeg, a server that knows ranges, and a run with open pipes.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write, pipe},
    net::{TcpListener, TcpStream},
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
};

use command_fds::{CommandFdExt, FdMapping};
use reelmill_gst::{
    Codec, FrameRate,
    graph::{Family, Graph, Input, RungWish, Source, Turn, order},
};

/// A folder of sources, made once.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path()
}

/// A source made by ffmpeg.
pub(crate) fn source(name: &str, arguments: &str) -> PathBuf {
    let path = folder().join(name);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-y", "-loglevel", "error"]).args(arguments.split_whitespace()).arg(&path);
    assert!(ffmpeg.status().expect("ffmpeg runs").success(), "{arguments}");
    path
}

/// Serves a file at the returned address, with ranges, until the tests end.
pub(crate) fn serve(path: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let path = path.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let path = path.clone();
            // A client that goes away ends its connection and nothing else.
            thread::spawn(move || answer(stream, &path));
        }
    });
    format!("http://{address}/in/source")
}

fn answer(mut stream: TcpStream, path: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    loop {
        let mut from = None;
        loop {
            let Some(line) = lines.next() else { return Ok(()) };
            let line = line?.to_lowercase();
            if let Some(range) = line.strip_prefix("range: bytes=") {
                from = range.split('-').next().and_then(|first| first.parse::<u64>().ok());
            }
            if line.is_empty() {
                break;
            }
        }
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let first = from.unwrap_or(0);
        let status = match from {
            Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {first}-{}/{size}", size - 1),
            None => "200 OK".to_owned(),
        };
        let length = size - first;
        write!(stream, "HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nContent-Length: {length}\r\n\r\n")?;
        file.seek(SeekFrom::Start(first))?;
        std::io::copy(&mut file.take(length), &mut stream)?;
    }
}

/// Frames in so many seconds.
pub(crate) fn rate(numerator: u32, denominator: u32) -> FrameRate {
    let number = |n| NonZeroU32::new(n).expect("not zero");
    FrameRate { numerator: number(numerator), denominator: number(denominator) }
}

/// A graph of one small rung, whatever the source.
pub(crate) fn graph(url: String) -> Graph {
    Graph {
        family: Family::Software,
        plugin_folders: vec![plugin_folder()],
        input: input(url, "h264", "yuv420p"),
        first_picture_micros: 0,
        deinterlace: false,
        turn: Turn::None,
        frame_rate: rate(30_000, 1001),
        rungs: vec![rung(Codec::H264, 160, 90, 3)],
    }
}

/// A source of that kind.
pub(crate) fn input(url: String, codec: &str, pixel_format: &str) -> Input {
    Input::Http { url, source: Source { codec: codec.to_owned(), pixel_format: pixel_format.to_owned() } }
}

/// A rung that encodes fast.
pub(crate) fn rung(codec: Codec, width: u16, height: u16, fd: i32) -> RungWish {
    RungWish {
        codec,
        depth: 8,
        width,
        height,
        gop: 30,
        bitrate_bps: 400_000,
        peak_bps: 600_000,
        crf: 25,
        preset: 1,
        fd,
    }
}

fn plugin_folder() -> PathBuf {
    let mut ask = Command::new("pkg-config");
    let answer = ask.args(["--variable=pluginsdir", "gstreamer-1.0"]).output().expect("pkg-config runs");
    String::from_utf8(answer.stdout).expect("a path").trim().into()
}

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
    pub(crate) complaint: String,
    pub(crate) rungs: Vec<Stream>,
}

/// What came out of one descriptor.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) header: Vec<u8>,
    /// Each frame's place on the grid, and its bytes.
    pub(crate) frames: Vec<(u64, Vec<u8>)>,
    /// All of it.
    pub(crate) bytes: Vec<u8>,
}

/// Runs a graph to its end.
pub(crate) fn run(graph: &Graph) -> Ran {
    let order = order(graph).expect("an order");
    run_text(&serde_json::to_string(&order).expect("plain data"), graph.rungs.len())
}

/// Runs an order of so many rungs, whose descriptors begin at 3.
pub(crate) fn run_text(order: &str, rungs: usize) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelmill-gst"));
    // As its launcher starts it: nothing to look through but what the order names.
    command.env_clear().env("GST_PLUGIN_SYSTEM_PATH_1_0", "").env("GST_REGISTRY", "/dev/null");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut readers = Vec::new();
    let mut mappings = Vec::new();
    for n in 0..rungs {
        let (reader, writer) = pipe().expect("a pipe");
        readers.push(thread::spawn(move || read(reader)));
        mappings.push(FdMapping { parent_fd: writer.into(), child_fd: 3 + i32::try_from(n).expect("few") });
    }
    command.fd_mappings(mappings).expect("every descriptor once");
    let mut child = command.spawn().expect("the child starts");
    // It holds the writing ends too.
    drop(command);
    // A child that has gone already will say why.
    let _ = child.stdin.take().expect("it was asked for").write_all(order.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran {
        code: output.status.code(),
        said: text(output.stdout),
        complaint: text(output.stderr),
        rungs: readers.into_iter().map(|reader| parse(reader.join().expect("no panic"))).collect(),
    }
}

fn read(mut from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("a pipe can be read");
    bytes
}

fn parse(bytes: Vec<u8>) -> Stream {
    if bytes.is_empty() {
        return Stream::default();
    }
    let (header, mut rest) = bytes.split_at(32);
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest[..4].try_into().expect("four bytes")) as usize;
        let place = u64::from_le_bytes(rest[4..12].try_into().expect("eight bytes"));
        frames.push((place, rest[12..12 + size].to_vec()));
        rest = &rest[12 + size..];
    }
    Stream { header: header.to_vec(), frames, bytes: bytes.clone() }
}

impl Stream {
    /// The places of its frames.
    pub(crate) fn places(&self) -> Vec<u64> {
        self.frames.iter().map(|(place, _)| *place).collect()
    }

    /// The places of the frames that hold an IDR picture of H.264.
    pub(crate) fn h264_keyframes(&self) -> Vec<u64> {
        let is_idr = |frame: &[u8]| frame.windows(4).any(|w| w[..3] == [0, 0, 1] && w[3] & 0x1f == 5);
        self.frames.iter().filter(|(_, frame)| is_idr(frame)).map(|(place, _)| *place).collect()
    }

    /// Each frame decoded by ffmpeg, as luma of `width` x `height`.
    pub(crate) fn luma(&self, decoder: &str, width: usize, height: usize) -> Vec<Vec<u8>> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), &self.bytes).expect("it can be written");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-loglevel", "error", "-f", "ivf", "-c:v", decoder, "-i"]).arg(file.path());
        let size = format!("{width}x{height}");
        ffmpeg.args(["-f", "rawvideo", "-pix_fmt", "gray", "-s", &size, "-fps_mode", "passthrough", "-"]);
        let output = ffmpeg.output().expect("ffmpeg runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout.chunks(width * height).map(<[u8]>::to_vec).collect()
    }
}
