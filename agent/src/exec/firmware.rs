//! `firmware`: a Jetson's firmware, by a capsule that its UEFI takes at the next boot. There is no way back, so what does not
//! fit is refused before anything is fetched.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use reelmill_api::{
    fleet::{args::Firmware, state::Phase},
    snapshot::{Board, BoardFamily},
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{
    child,
    files::{self, PRIVATE},
    settings::Settings,
};
use crate::{
    deeds::{Outcome, Undone},
    sensors::board,
};

/// Where systems mount their EFI system partition.
const ESPS: [&str; 3] = ["boot", "efi", "boot/efi"];
/// Where NVIDIA's UEFI looks for a capsule.
const CAPSULE: &str = "EFI/UpdateCapsule/TEGRA_BL.Cap";
/// The variable that makes UEFI look, with UEFI's own GUID.
const INDICATIONS: &str = "sys/firmware/efi/efivars/OsIndications-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Its bit for a capsule in a file.
const FILE_CAPSULE: u64 = 4;
/// Kept over a boot, readable while booting and while running.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
/// A capsule is 50 to 100 MB.
const MOST_BYTES: u64 = 512 << 20;
/// A slow line takes a while.
const FETCH_LIMIT: Duration = Duration::from_secs(3600);

/// Does one part.
///
/// # Errors
/// What kept it from being done.
pub async fn part(settings: &Settings, firmware: &Firmware, part: Phase, stop: &CancellationToken) -> Outcome {
    match part {
        Phase::Preflight => preflight(settings, firmware),
        Phase::Fetch => fetch(firmware, stop).await,
        Phase::Activate => stage(settings, firmware),
        _ => unstage(settings),
    }
}

fn preflight(settings: &Settings, firmware: &Firmware) -> Outcome {
    let board = board::identify(&board::read(&settings.root.0));
    must_fit(&board, firmware.l4t.as_str())?;
    let esp = esp(settings)?;
    let variables = settings.root.join(INDICATIONS);
    if !variables.parent().is_some_and(Path::is_dir) {
        return Err(Undone::for_good(
            "no_efi_variables",
            "this system has no EFI variables, by which a capsule is announced",
        ));
    }
    Ok(Map::from_iter([
        ("esp".to_owned(), esp.display().to_string().into()),
        ("firmware".to_owned(), board.firmware.map_or(Value::Null, Value::from)),
    ]))
}

/// Firmware of another main release does not start this system, and an older one is not taken by UEFI.
fn must_fit(board: &Board, l4t: &str) -> Result<(), Undone> {
    if board.family != BoardFamily::Jetson {
        return Err(Undone::for_good("not_supported", "only a Jetson takes its firmware by a capsule"));
    }
    let release = |text: &str| {
        let numbers: Option<Vec<u32>> = text.split('-').next()?.split('.').map(|n| n.parse().ok()).collect();
        numbers.filter(|numbers| !numbers.is_empty())
    };
    let Some(new) = release(l4t) else {
        return Err(Undone::for_good("bad_release", format!("`{l4t}` is no release of Jetson Linux such as 36.4.3")));
    };
    for (what, text) in [("firmware", &board.firmware), ("system", &board.l4t)] {
        let Some((text, present)) = text.as_deref().and_then(|text| Some((text, release(text)?))) else { continue };
        if present[0] != new[0] {
            return Err(Undone::for_good(
                "other_release",
                format!("firmware {l4t} does not fit the {what}, which is {text}"),
            ));
        }
        if what == "firmware" && new < present {
            return Err(Undone::for_good("downgrade", format!("firmware {l4t} is older than {text}, which runs")));
        }
    }
    Ok(())
}

/// Gets the capsule's store path from a cache; nothing is built, and nothing is taken that no trusted key has signed.
async fn fetch(firmware: &Firmware, stop: &CancellationToken) -> Outcome {
    let path = store_path(firmware.capsule.as_str());
    let words = [
        "--realise",
        path,
        "--option",
        "require-sigs",
        "true",
        "--option",
        "max-jobs",
        "0",
        "--option",
        "builders",
        "",
    ];
    let program = Path::new("nix-store");
    let output = child::run(program, &words, "", FETCH_LIMIT, stop).await?;
    if output.status.success() { Ok(Map::new()) } else { Err(child::failed("fetch_failed", program, &words, &output)) }
}

/// The path in the store that a file there belongs to.
fn store_path(file: &str) -> &str {
    let end = file.match_indices('/').nth(3).map_or(file.len(), |(at, _)| at);
    &file[..end]
}

/// Puts the capsule where UEFI looks for it, and has it look.
fn stage(settings: &Settings, firmware: &Firmware) -> Outcome {
    let from = capsule(settings, firmware.capsule.as_str())?;
    let to = esp(settings)?.join(CAPSULE);
    let bytes = fs::read(&from).map_err(|e| cannot("read", &from, &e))?;
    let folder = to.parent().expect("a file in a folder");
    fs::create_dir_all(folder).map_err(|e| cannot("make", folder, &e))?;
    files::replace(&to, &bytes, PRIVATE).map_err(|e| cannot("write", &to, &e))?;
    let indications = settings.root.join(INDICATIONS);
    let known = files::read(&indications).map_err(|e| cannot("read", &indications, &e))?;
    // In one write: a variable is no file.
    fs::write(&indications, announced(known.as_deref())).map_err(|e| cannot("write", &indications, &e))?;
    // By `boot` the agent knows that the machine goes down now.
    Ok(Map::from_iter([("boot".to_owned(), Value::Bool(true)), ("bytes".to_owned(), bytes.len().into())]))
}

/// The capsule's own file; the store may hold links to anywhere.
fn capsule(settings: &Settings, path: &str) -> Result<PathBuf, Undone> {
    let file = settings.root.join(path.trim_start_matches('/'));
    let own = file.canonicalize().map_err(|e| cannot("find", &file, &e))?;
    let store = settings.root.join("nix/store");
    let is_in_store = store.canonicalize().is_ok_and(|store| own.starts_with(store));
    let metadata = own.metadata().map_err(|e| cannot("find", &own, &e))?;
    if !is_in_store || !metadata.is_file() || metadata.len() > MOST_BYTES {
        let what = format!("{} is no file of the store of at most {} MiB", own.display(), MOST_BYTES >> 20);
        return Err(Undone::for_good("bad_capsule", what));
    }
    Ok(own)
}

/// The variable's attributes and value, with the bit for a capsule beside those that are set.
fn announced(known: Option<&[u8]>) -> Vec<u8> {
    let value = known.and_then(|bytes| bytes.get(4..12)?.try_into().ok()).map_or(0, u64::from_le_bytes);
    [&ATTRIBUTES[..], &(value | FILE_CAPSULE).to_le_bytes()].concat()
}

/// Takes the capsule away before UEFI has seen it; a capsule that it does not find it passes over.
fn unstage(settings: &Settings) -> Outcome {
    if let Ok(esp) = esp(settings) {
        let staged = esp.join(CAPSULE);
        if staged.exists() {
            files::forget(&staged).map_err(|e| cannot("remove", &staged, &e))?;
        }
    }
    Ok(Map::new())
}

fn esp(settings: &Settings) -> Result<PathBuf, Undone> {
    let given = settings.esp.clone().into_iter();
    let mut places = given.chain(ESPS.iter().map(|place| settings.root.join(place)).filter(|_| settings.esp.is_none()));
    places.find(|place| place.join("EFI").is_dir()).ok_or_else(|| {
        Undone::for_good("no_esp", "no EFI system partition with a folder EFI is mounted at /boot, /efi or /boot/efi")
    })
}

fn cannot(doing: &str, file: &Path, error: &std::io::Error) -> Undone {
    Undone::for_now("disk", format!("cannot {doing} {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::exec::settings::Root;

    const STORE_PATH: &str = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-capsule";

    /// A Jetson's files, as far as they matter here.
    struct Jetson(tempfile::TempDir);

    impl Jetson {
        fn new() -> Self {
            let jetson = Self(tempfile::tempdir().expect("a temporary folder"));
            jetson.file(
                "proc/device-tree/compatible",
                b"nvidia,p3768-0000+p3767-0000\0nvidia,p3767-0000\0nvidia,tegra234\0",
            );
            jetson.file("sys/devices/virtual/dmi/id/bios_version", b"36.4.3-gcid-1\n");
            jetson.file("sys/firmware/efi/efivars/README", b"");
            jetson.file("boot/EFI/BOOT/BOOTAA64.EFI", b"");
            jetson.file(&STORE_PATH[1..], b"");
            fs::remove_file(jetson.path(&STORE_PATH[1..])).expect("ours");
            jetson.file(&format!("{}/a.Cap", &STORE_PATH[1..]), b"the capsule");
            jetson
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn file(&self, path: &str, bytes: &[u8]) {
            let path = self.path(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
            fs::write(path, bytes).expect("ours");
        }

        async fn does(&self, what: Phase, file: &str, l4t: &str) -> Result<String, String> {
            let settings = Settings { root: Root(self.0.path().to_owned()), ..Settings::default() };
            let json = serde_json::json!({"capsule": format!("{STORE_PATH}/{file}"), "l4t": l4t});
            let firmware: Firmware = serde_json::from_value(json).expect("arguments");
            let shown = |text: String| text.replace(&self.0.path().display().to_string(), "");
            let outcome = part(&settings, &firmware, what, &CancellationToken::new()).await;
            outcome.map(|result| shown(Value::from(result).to_string())).map_err(|undone| shown(undone.to_string()))
        }
    }

    #[tokio::test]
    async fn a_capsule_is_laid_where_uefi_looks_and_announced() {
        let jetson = Jetson::new();
        assert_eq!(
            jetson.does(Phase::Preflight, "a.Cap", "36.5.0").await,
            Ok(r#"{"esp":"/boot","firmware":"36.4.3-gcid-1"}"#.to_owned())
        );
        let staged = || fs::read(jetson.path("boot/EFI/UpdateCapsule/TEGRA_BL.Cap")).ok();
        assert_eq!(staged(), None, "preflight only looks");
        let done = jetson.does(Phase::Activate, "a.Cap", "36.5.0").await;
        assert_eq!(done, Ok(r#"{"boot":true,"bytes":11}"#.to_owned()));
        assert_eq!(staged().as_deref(), Some(&b"the capsule"[..]));
        let variable = || fs::read(jetson.path(INDICATIONS)).expect("it was written");
        assert_eq!(variable(), [7, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(jetson.does(Phase::Undo, "a.Cap", "36.5.0").await, Ok("{}".to_owned()));
        assert_eq!(staged(), None);

        // Somebody wants to see the firmware's own menu at the next boot too.
        jetson.file(INDICATIONS, &[7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert!(jetson.does(Phase::Activate, "a.Cap", "36.5.0").await.is_ok());
        assert_eq!(variable()[4], 5);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_before_anything_is_fetched() {
        let jetson = Jetson::new();
        let refused = async |l4t: &str| jetson.does(Phase::Preflight, "a.Cap", l4t).await.expect_err("refused");
        assert_eq!(
            refused("39.1").await,
            "other_release: firmware 39.1 does not fit the firmware, which is 36.4.3-gcid-1"
        );
        assert_eq!(refused("36.4.2").await, "downgrade: firmware 36.4.2 is older than 36.4.3-gcid-1, which runs");
        assert_eq!(refused("newest").await, "bad_release: `newest` is no release of Jetson Linux such as 36.4.3");
        fs::remove_dir_all(jetson.path("sys/firmware")).expect("ours");
        assert!(refused("36.5.0").await.starts_with("no_efi_variables: "));
        fs::remove_dir_all(jetson.path("boot/EFI")).expect("ours");
        assert!(refused("36.5.0").await.starts_with("no_esp: "));
        fs::remove_dir_all(jetson.path("proc")).expect("ours");
        assert!(refused("36.5.0").await.starts_with("not_supported: "));
    }

    #[tokio::test]
    async fn only_a_file_of_the_store_is_taken() {
        let jetson = Jetson::new();
        jetson.file("etc/shadow", b"root:");
        symlink(jetson.path("etc/shadow"), jetson.path(&format!("{}/out.Cap", &STORE_PATH[1..]))).expect("ours");
        let refused = async |file: &str| jetson.does(Phase::Activate, file, "36.5.0").await.expect_err("refused");
        assert!(refused("out.Cap").await.starts_with("bad_capsule: /etc/shadow is no file of the store"));
        assert!(refused("none.Cap").await.starts_with("disk: cannot find "));
        assert!(!jetson.path("boot/EFI/UpdateCapsule").exists());
    }

    #[test]
    fn a_file_belongs_to_a_store_path() {
        assert_eq!(store_path(&format!("{STORE_PATH}/lib/a.Cap")), STORE_PATH);
        assert_eq!(store_path(&format!("{STORE_PATH}/a.Cap")), STORE_PATH);
    }
}
