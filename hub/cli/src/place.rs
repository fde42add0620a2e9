//! Sources and destinations: what was typed, and the location and the narrow file root that the worker gets for it.

use std::{
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
};

use reelmill_api::{ErrorKind, Failure, FileLocation, Location, S3Location, StreamLocation};

/// A place as it was typed: a path, or a location in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this machine.
    Path(PathBuf),
    /// In an S3 store.
    S3(S3Location),
    /// A live source.
    Stream(StreamLocation),
}

/// A place as the worker is told of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Where it is; a path is absolute and free of links.
    pub(crate) location: Location,
    /// The folder that the worker may use for it; `None` in a store.
    pub(crate) root: Option<PathBuf>,
}

impl Place {
    /// The place in a word of the command line: `s3://…`, `file://…`, else a path.
    pub(crate) fn parse(word: OsString) -> Result<Self, String> {
        let Some(text) = word.to_str() else { return Ok(Self::Path(word.into())) };
        if text.is_empty() {
            return Err("an empty word names no place".to_owned());
        }
        let Some((scheme, _)) = text.split_once("://") else { return Ok(Self::Path(word.into())) };
        if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b)) {
            return Ok(Self::Path(word.into()));
        }
        match text.parse().map_err(|e| format!("{e}"))? {
            Location::S3(at) => Ok(Self::S3(at)),
            Location::File(at) => Ok(Self::Path(at.path().to_owned())),
            Location::Stream(at) => Ok(Self::Stream(at)),
        }
    }

    /// The place as a source, which must be there; its root is the folder it lies in.
    pub(crate) fn as_source(&self) -> Result<Placed, Failure> {
        let path = match self {
            Self::S3(at) => return Ok(Placed { location: Location::S3(at.clone()), root: None }),
            Self::Stream(at) => return Ok(Placed { location: Location::Stream(at.clone()), root: None }),
            Self::Path(path) => path,
        };
        let cannot = |e: io::Error| {
            let hint = match e.kind() {
                io::ErrorKind::PermissionDenied => "give yourself the right to read it and to enter its folder",
                _ => "check the path; it begins at the current folder unless it begins with /",
            };
            bad(format!("cannot use the source {}: {}", path.display(), why(&e))).hint(hint)
        };
        let real = fs::canonicalize(path).map_err(cannot)?;
        let meta = fs::metadata(&real).map_err(cannot)?;
        if !meta.is_file() {
            let what = if meta.is_dir() { "a folder" } else { "no regular file" };
            return Err(bad(format!("the source {} is {what}", path.display())).hint("name one video file"));
        }
        let folder = real.parent().unwrap_or(Path::new("/")).to_owned();
        placed(&real, folder)
    }

    /// The place as a destination, which need not be there yet; its root is itself. Nothing is created.
    pub(crate) fn as_destination(&self) -> Result<Placed, Failure> {
        let path = match self {
            Self::S3(at) => return Ok(Placed { location: Location::S3(at.clone()), root: None }),
            Self::Stream(at) => {
                return Err(bad(format!("{at} is a live address, and output goes to a folder or a store"))
                    .hint("name a folder, or s3://bucket/folder/"));
            }
            Self::Path(path) => path,
        };
        let cannot = |e: io::Error| bad(format!("cannot use the destination {}: {}", path.display(), why(&e)));
        let real = canonical_or_not_there_yet(path).map_err(cannot)?;
        if fs::metadata(&real).is_ok_and(|meta| !meta.is_dir()) {
            return Err(bad(format!("the destination {} is no folder", path.display()))
                .hint("name a folder; it is created if it is not there"));
        }
        placed(&real, real.clone())
    }
}

fn placed(real: &Path, root: PathBuf) -> Result<Placed, Failure> {
    let location = FileLocation::new(real).map_err(|_| {
        bad(format!("the path {real:?} is not UTF-8 text or holds a control character"))
            .hint("rename it, or link to it")
    })?;
    // The worker takes its roots as one list separated by colons.
    if root.as_os_str().as_encoded_bytes().contains(&b':') {
        return Err(bad(format!("the folder {} has a `:` in its path", root.display()))
            .hint("use a folder without `:` in its path"));
    }
    Ok(Placed { location: Location::File(location), root: Some(root) })
}

/// The path without links and `..`, as far as it exists; the rest is kept as it was typed.
fn canonical_or_not_there_yet(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut there = absolute.as_path();
    let mut rest = Vec::new();
    loop {
        match fs::canonicalize(there) {
            Ok(real) => return Ok(rest.iter().rev().fold(real, |path, part| path.join(part))),
            // A dangling link is there, and what it names cannot be told.
            Err(e) if e.kind() != io::ErrorKind::NotFound || there.is_symlink() => return Err(e),
            Err(e) => {
                let (Some(parent), Some(Component::Normal(part))) = (there.parent(), there.components().next_back())
                else {
                    return Err(e);
                };
                rest.push(part);
                there = parent;
            }
        }
    }
}

fn bad(message: String) -> Failure {
    Failure::new(ErrorKind::BadRequest, message)
}

/// The reason in plain words, without the system's number.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "a part of its path is no folder".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{ffi::OsStringExt, fs::symlink};

    use super::*;

    fn check(word: &str, want: Result<&str, &str>) {
        let got = Place::parse(word.into()).map(|place| match place {
            Place::Path(path) => path.display().to_string(),
            Place::S3(at) => at.to_string(),
            Place::Stream(at) => at.to_string(),
        });
        match want {
            Ok(want) => assert_eq!(got.as_deref(), Ok(want)),
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{word}: {got:?}"),
        }
    }

    #[test]
    fn tells_paths_from_locations() {
        check("a.mp4", Ok("a.mp4"));
        check("./s3:/a", Ok("./s3:/a"));
        check("dir/x://y", Ok("dir/x://y"));
        check("file:///srv/a b.mp4", Ok("/srv/a b.mp4"));
        check("s3://media/a.mp4", Ok("s3://media/a.mp4"));
        check("srt://cam:9000", Ok("srt://cam:9000"));
        check("rtsp://admin:secret@cam/", Err("it is not taken"));
        check("file://a.mp4", Err("absolute path"));
        check("file:///srv/../etc/passwd", Err("absolute path"));
        check("https://host/a.mp4", Err("must start with s3:// or file://"));
        check("s3://media/../a", Err("`..`"));
        check("", Err("empty"));
        let odd = OsString::from_vec(vec![b'a', 0xff]);
        assert_eq!(Place::parse(odd.clone()), Ok(Place::Path(odd.into())));
    }

    struct Folder {
        temporary: tempfile::TempDir,
        path: PathBuf,
    }

    fn folder() -> Folder {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let path = fs::canonicalize(temporary.path()).expect("it was just made");
        Folder { temporary, path }
    }

    impl Folder {
        fn place(&self, relative: &str) -> Place {
            Place::Path(self.temporary.path().join(relative))
        }
    }

    #[test]
    fn a_source_is_resolved_and_only_its_folder_is_a_root() {
        let at = folder();
        fs::create_dir(at.path.join("real")).expect("our folder");
        fs::write(at.path.join("real/a.mp4"), "x").expect("our folder");
        symlink("real/a.mp4", at.path.join("link.mp4")).expect("our folder");
        let want = Placed {
            location: Location::File(FileLocation::new(at.path.join("real/a.mp4")).expect("absolute")),
            root: Some(at.path.join("real")),
        };
        assert_eq!(at.place("link.mp4").as_source(), Ok(want));
    }

    #[test]
    fn a_destination_need_not_exist_and_is_not_created() {
        let at = folder();
        let placed = at.place("new/deep/../out").as_destination();
        // A `..` through what does not exist cannot be resolved.
        assert!(placed.is_err(), "{placed:?}");
        let placed = at.place("./new/out/").as_destination().expect("a good destination");
        assert_eq!(placed.location.to_string(), format!("file://{}/new/out", at.path.display()));
        assert_eq!(placed.root, Some(at.path.join("new/out")));
        assert!(!at.path.join("new").exists());
    }

    fn check_refused(got: Result<Placed, Failure>, want: &str) {
        let failure = got.expect_err(want);
        assert_eq!((failure.kind, failure.message.as_str()), (ErrorKind::BadRequest, want));
    }

    #[test]
    fn says_why_a_place_cannot_be_used() {
        let at = folder();
        let shown = |name: &str| at.temporary.path().join(name).display().to_string();
        fs::write(at.path.join("file"), "x").expect("our folder");
        fs::create_dir(at.path.join("a:b")).expect("our folder");
        fs::write(at.path.join("a:b/c.mp4"), "x").expect("our folder");
        symlink("nowhere", at.path.join("dangling")).expect("our folder");
        check_refused(
            at.place("no.mp4").as_source(),
            &format!("cannot use the source {}: no such file or folder", shown("no.mp4")),
        );
        check_refused(at.place("").as_source(), &format!("the source {} is a folder", shown("")));
        check_refused(Place::Path("/dev/null".into()).as_source(), "the source /dev/null is no regular file");
        check_refused(at.place("file").as_destination(), &format!("the destination {} is no folder", shown("file")));
        check_refused(
            at.place("file/x").as_destination(),
            &format!("cannot use the destination {}: a part of its path is no folder", shown("file/x")),
        );
        check_refused(
            at.place("dangling").as_destination(),
            &format!("cannot use the destination {}: no such file or folder", shown("dangling")),
        );
        check_refused(
            at.place("a:b/c.mp4").as_source(),
            &format!("the folder {} has a `:` in its path", at.path.join("a:b").display()),
        );
    }

    #[test]
    fn a_place_in_a_store_needs_no_root() {
        let place = Place::parse("s3://media/out/".into()).expect("a location");
        let want = Placed { location: "s3://media/out/".parse().expect("a location"), root: None };
        assert_eq!(place.as_destination().as_ref(), Ok(&want));
        assert_eq!(place.as_source(), Ok(want));
    }
}
