//! `power-mode`: a Jetson's power mode, by NVIDIA's nvpmodel. Which modes there are stands in its configuration.

use std::{path::Path, time::Duration};

use reelmill_api::fleet::args::{ModeName, PowerMode};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{
    child,
    files::{self, PUBLIC},
    settings::Settings,
};
use crate::deeds::{Outcome, Undone};

/// The modes.
const CONF: &str = "etc/nvpmodel.conf";
/// The mode that nvpmodel sets at boot.
const STATUS: &str = "var/lib/nvpmodel/status";
/// nvpmodel waits for each clock that it sets.
const LIMIT: Duration = Duration::from_secs(60);

/// A mode of the board.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mode {
    id: u8,
    name: String,
}

/// Sets a power mode. Where only a boot can, it is set for the next one, and the result says so; the boot is somebody else's.
///
/// # Errors
/// `not_supported` where there is no nvpmodel, `no_such_mode` with those that there are, or nvpmodel's own words.
pub async fn set(settings: &Settings, wanted: &PowerMode) -> Outcome {
    let conf = files::read(&settings.root.join(CONF)).ok().flatten();
    let conf =
        conf.ok_or_else(|| Undone::for_good("not_supported", "this node has no power modes: no /etc/nvpmodel.conf"))?;
    let modes = modes(&String::from_utf8_lossy(&conf));
    let mode = choose(&modes, &wanted.mode)?;
    let id = mode.id.to_string();
    let (program, words) = (settings.nvpmodel.as_path(), ["-m", &id]);
    // It asks whether it shall reboot at once, and must not: the answer is no.
    let output = child::run(program, &words, "NO\n", LIMIT, &CancellationToken::new()).await?;
    let needs_boot = asks_for_boot(&output);
    if needs_boot {
        at_boot(&settings.root.join(STATUS), mode.id)?;
    } else if !output.status.success() {
        return Err(child::failed("nvpmodel_failed", program, &words, &output));
    }
    Ok(Map::from_iter([
        ("id".to_owned(), mode.id.into()),
        ("mode".to_owned(), mode.name.as_str().into()),
        ("reboot_needed".to_owned(), Value::Bool(needs_boot)),
    ]))
}

/// The modes that a configuration of nvpmodel names: lines such as `< POWER_MODEL ID=2 NAME=MAXN_SUPER >`.
fn modes(conf: &str) -> Vec<Mode> {
    let mode = |line: &str| {
        let words = line.trim().strip_prefix('<')?.strip_suffix('>')?;
        let mut words = words.split_whitespace();
        let is_mode = words.next() == Some("POWER_MODEL");
        let value = |key: &str| words.clone().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        Some(Mode { id: value("ID")?.parse().ok()?, name: value("NAME")?.to_owned() }).filter(|_| is_mode)
    };
    conf.lines().filter_map(mode).collect()
}

fn choose<'a>(modes: &'a [Mode], wanted: &ModeName) -> Result<&'a Mode, Undone> {
    let is_wanted = |mode: &&Mode| match wanted {
        ModeName::Id(id) => mode.id == *id,
        ModeName::Name(name) => mode.name == name.as_str(),
    };
    modes.iter().find(is_wanted).ok_or_else(|| {
        let all: Vec<_> = modes.iter().map(|mode| format!("{} ({})", mode.id, mode.name)).collect();
        Undone::for_good("no_such_mode", format!("this board has the modes {}", all.join(", ")))
    })
}

fn asks_for_boot(output: &std::process::Output) -> bool {
    child::last_words(output).to_ascii_lowercase().contains("reboot")
}

/// Has nvpmodel set the mode at the next boot, as it does itself after a yes.
fn at_boot(status: &Path, id: u8) -> Result<(), Undone> {
    let line = format!("pmode:{id:04} fmode:fanNull\n");
    let known = files::read(status).ok().flatten().map(|text| String::from_utf8_lossy(&text).into_owned());
    let line = match known.as_deref().and_then(|text| text.split_once(' ')) {
        Some((mode, rest)) if mode.starts_with("pmode:") => format!("pmode:{id:04} {rest}"),
        _ => line,
    };
    files::replace(status, line.as_bytes(), PUBLIC)
        .map_err(|e| Undone::for_now("disk", format!("cannot write {}: {e}", status.display())))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use proptest::prelude::*;

    use super::*;
    use crate::exec::settings::Root;

    /// Of the shape that Jetson Linux has on an Orin NX.
    const ORIN: &str = "< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_0 /sys/devices/system/cpu/cpu0/online\n\n\
                        # MAXN is the NONE power model\n< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1\n\n\
                        < POWER_MODEL ID=1 NAME=10W >\n< POWER_MODEL ID=2 NAME=15W >\n<POWER_MODEL ID=x NAME=y>\n\
                        < POWER_MODEL ID=3 >\n< PM_CONFIG DEFAULT=2 >\n";

    /// Set the mode, as nvpmodel; mode 2 only by a boot, and mode 1 not at all.
    const NVPMODEL: &str = "#!/bin/sh\nread answer\necho \"$* $answer\" >> \"${0%/*}/called\"\n\
                            case $2 in 1) echo 'NVPM ERROR: no'; exit 255;; \
                            2) echo 'NVPM WARN: Reboot required for changing to this power mode: 2'; exit 1;; esac\n";

    struct Board(tempfile::TempDir);

    impl Board {
        fn new() -> Self {
            let board = Self(tempfile::tempdir().expect("a temporary folder"));
            let file = |path: &str, text: &str| {
                let path = board.0.path().join(path);
                fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
                fs::write(&path, text).expect("ours");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
            };
            file(CONF, ORIN);
            file(STATUS, "pmode:0001 fmode:quiet\n");
            file("nvpmodel", NVPMODEL);
            board
        }

        fn settings(&self) -> Settings {
            let root = self.0.path().to_owned();
            Settings { nvpmodel: root.join("nvpmodel"), root: Root(root), ..Settings::default() }
        }

        fn file(&self, path: &str) -> String {
            fs::read_to_string(self.0.path().join(path)).unwrap_or_default()
        }
    }

    async fn check(board: &Board, mode: Value, want: &str) {
        let wanted = PowerMode { mode: serde_json::from_value(mode).expect("a mode") };
        let got = match set(&board.settings(), &wanted).await {
            Ok(result) => Value::from(result).to_string(),
            Err(undone) => undone.to_string().replace(&board.0.path().display().to_string(), ""),
        };
        assert_eq!(got, want);
    }

    #[tokio::test]
    async fn a_mode_is_set_by_number_or_name_and_never_by_a_boot_of_its_own() {
        let board = Board::new();
        check(&board, 0.into(), r#"{"id":0,"mode":"MAXN","reboot_needed":false}"#).await;
        assert_eq!(board.file(STATUS), "pmode:0001 fmode:quiet\n", "that is nvpmodel's own");
        check(&board, "15W".into(), r#"{"id":2,"mode":"15W","reboot_needed":true}"#).await;
        assert_eq!(board.file(STATUS), "pmode:0002 fmode:quiet\n");
        check(&board, 1.into(), "nvpmodel_failed: `/nvpmodel -m 1` failed (exit status: 255): NVPM ERROR: no").await;
        check(&board, 7.into(), "no_such_mode: this board has the modes 0 (MAXN), 1 (10W), 2 (15W)").await;
        check(&board, "maxn".into(), "no_such_mode: this board has the modes 0 (MAXN), 1 (10W), 2 (15W)").await;
        assert_eq!(board.file("called"), "-m 0 NO\n-m 2 NO\n-m 1 NO\n");
    }

    #[tokio::test]
    async fn a_machine_without_modes_says_so() {
        let board = Board::new();
        fs::remove_file(board.0.path().join("nvpmodel")).expect("ours");
        check(&board, 0.into(), "not_supported: this node has no /nvpmodel").await;
        fs::remove_file(board.0.path().join(CONF)).expect("ours");
        check(&board, 0.into(), "not_supported: this node has no power modes: no /etc/nvpmodel.conf").await;
    }

    proptest! {
        #[test]
        fn no_configuration_makes_it_stumble(text in "(<? ?(POWER_MODEL|PARAM)?( (ID|NAME)=\\PC{0,4}){0,3} ?>?\n){0,5}\\PC*") {
            for mode in modes(&text) {
                prop_assert!(text.contains(&mode.name));
            }
        }
    }
}
