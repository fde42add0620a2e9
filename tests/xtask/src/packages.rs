//! Debian packages: which programs each command needs, and how they are installed where one is missing.

use std::{env, fs, os::unix::fs::MetadataExt, process};

use anyhow::{Result, bail};

use crate::{args::Command, bench, program, suite::Selection};

/// Packages that bring programs, and why we want them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Programs of theirs, without any of which they are installed.
    programs: &'static [&'static str],
    /// A variable that may name the program instead.
    variable: Option<&'static str>,
    packages: &'static [&'static str],
    why: &'static str,
}

/// Only missing where a cached target folder spared the machine from linking this very program.
const LINKER: Group =
    Group { programs: &["cc"], variable: None, packages: &["gcc", "libc6-dev"], why: "links programs, builds SQLite" };
const FFMPEG: Group =
    Group { programs: &["ffmpeg"], variable: None, packages: &["ffmpeg"], why: "the media engine of the workers" };
const NODE: Group =
    Group { programs: &["node"], variable: None, packages: &["nodejs"], why: "runs npm and the browser checks" };
const NPM: Group = Group {
    programs: &["npm"],
    variable: None,
    packages: &["npm"],
    why: "brings hls.js, the player of the hub's page",
};
const REDIS: Group = Group {
    programs: &["redis-server"],
    variable: None,
    packages: &["redis-server"],
    why: "the queue tests start their own on a free port",
};
const MOSQUITTO: Group = Group {
    programs: &["mosquitto", "mosquitto_pub"],
    variable: None,
    packages: &["mosquitto", "mosquitto-clients"],
    why: "the broker between the agent's tests and an agent, and the clients that the documents show",
};
const NODE_EXPORTER: Group = Group {
    programs: &["prometheus-node-exporter"],
    variable: None,
    packages: &["prometheus-node-exporter"],
    why: "what the agent's footprint is measured beside, and what tells of the hub's machine; its service may be switched off",
};
const PROMTOOL: Group = Group {
    programs: &["promtool", "prometheus"],
    variable: None,
    packages: &["prometheus"],
    why: "Prometheus' own judgement of metrics and alert rules, and a Prometheus that watches a farm",
};
const ALERTMANAGER: Group = Group {
    programs: &["amtool"],
    variable: None,
    packages: &["prometheus-alertmanager"],
    why: "Alertmanager's own judgement of who is told of alerts",
};
const REDIS_EXPORTER: Group = Group {
    programs: &["prometheus-redis-exporter"],
    variable: None,
    packages: &["prometheus-redis-exporter"],
    why: "tells Prometheus of the queue; its own service may be switched off again",
};
const BROWSER: Group = Group {
    programs: &["chromium"],
    variable: Some("CHROMIUM"),
    // Without a font, the screenshots show boxes.
    packages: &["chromium", "fonts-liberation"],
    why: "plays a finished ladder in the browser check",
};

const CURL: Group = Group {
    programs: &["curl"],
    variable: None,
    packages: &["curl"],
    why: "a client of the hub's API and of the script we compare with",
};

const PIP: Group = Group {
    programs: &["pip3"],
    variable: None,
    packages: &["python3-pip"],
    why: "brings a newer ffmpeg, with which every source is tried too, a server for the queue tests that speaks SQS, and \
        what queues are measured beside",
};

const GSTREAMER: Group = Group {
    programs: &["gst-inspect-1.0", "pkg-config"],
    variable: None,
    packages: &[
        "pkg-config",
        "libgstreamer1.0-dev",
        "gstreamer1.0-tools",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-bad",
        "gstreamer1.0-plugins-ugly",
        "gstreamer1.0-libav",
    ],
    why: "runs the jetson engine's graph with the elements of any machine",
};

const CPP: Group = Group {
    programs: &["c++"],
    variable: None,
    packages: &["g++"],
    why: "builds libFuzzer, which the fuzz targets run in",
};

const NSPAWN: Group = Group {
    programs: &["systemd-nspawn"],
    variable: None,
    packages: &["systemd-container"],
    why: "boots real systemd for the agent's tests, as root",
};

const MMDEBSTRAP: Group = Group {
    programs: &["mmdebstrap"],
    variable: None,
    packages: &["mmdebstrap"],
    why: "makes the Debian root that is booted",
};

const ZSTD: Group = Group {
    programs: &["zstd"],
    variable: None,
    packages: &["zstd"],
    why: "unpacks, below tar, what a node sends to find a fault by",
};

const QEMU: Group = Group {
    programs: &["qemu-system-x86_64"],
    variable: None,
    packages: &["qemu-system-x86", "ovmf"],
    why: "runs machines with firmware, and without hardware help",
};

const MTOOLS: Group = Group {
    programs: &["mformat"],
    variable: None,
    packages: &["mtools"],
    why: "fills the partition that firmware reads",
};

const FDISK: Group = Group {
    programs: &["sfdisk"],
    variable: None,
    packages: &["fdisk"],
    why: "writes the partition tables of disks that boot",
};

const REGISTRY: Group = Group {
    programs: &["docker-registry"],
    variable: None,
    packages: &["docker-registry"],
    why: "takes the worker's images from the script that pushes them",
};

const SKOPEO: Group =
    Group { programs: &["skopeo"], variable: None, packages: &["skopeo"], why: "pushes the worker's images" };

const JQ: Group = Group { programs: &["jq"], variable: None, packages: &["jq"], why: "what releases are made with" };

const SHELLCHECK: Group = Group {
    programs: &["shellcheck"],
    variable: None,
    packages: &["shellcheck"],
    why: "looks for mistakes in the packages' scripts",
};

const NFTABLES: Group = Group {
    programs: &["nft"],
    variable: None,
    packages: &["nftables"],
    why: "judges the appliance's filter of packets",
};

const SWTPM: Group =
    Group { programs: &["swtpm"], variable: None, packages: &["swtpm"], why: "is the TPM of a machine that boots" };

const NATS: Group = Group {
    programs: &["nats-server"],
    variable: None,
    packages: &["nats-server"],
    why: "the queue tests start their own on a free port, and it starts with what the hub's module renders for it",
};

const RABBITMQ: Group = Group {
    programs: &["rabbitmqctl"],
    variable: None,
    packages: &["rabbitmq-server"],
    why: "keeps queues, also with what the hub's module renders for it; its own service may be switched off again",
};

const AMQP_TOOLS: Group = Group {
    programs: &["amqp-publish"],
    variable: None,
    packages: &["amqp-tools"],
    why: "publishes jobs as programs of others do",
};

const POSTGRESQL: Group = Group {
    programs: &["psql"],
    variable: None,
    packages: &["postgresql"],
    why: "starts with what the hub's module renders for it; its own service may be switched off again",
};

const HTPASSWD: Group = Group {
    programs: &["htpasswd"],
    variable: None,
    packages: &["apache2-utils"],
    why: "makes the registry's passwords",
};

const NGINX: Group = Group {
    programs: &["nginx"],
    variable: None,
    packages: &["nginx-light"],
    why: "stands before the hub with what its module renders; its own service may be switched off again",
};

const BACKUP: Group = Group {
    programs: &["restic", "age", "sqlite3", "openssl"],
    variable: None,
    packages: &["restic", "age", "sqlite3", "openssl"],
    why: "makes backups of a hub and puts them back, as its scripts do",
};

const DOSFSTOOLS: Group = Group {
    programs: &["mkfs.vfat"],
    variable: None,
    packages: &["dosfstools"],
    why: "makes and checks the file systems that `reelmill image` writes into",
};

/// What a command needs on the machine.
pub(crate) fn needed_by(command: &Command) -> &'static [Group] {
    match command {
        Command::Help => &[],
        Command::Ui => &[NODE, NPM],
        Command::Lint => &[LINKER, NODE, NPM],
        Command::Format => &[LINKER],
        Command::Demo { .. } => &[LINKER, FFMPEG, NODE, NPM],
        Command::Bench { args } if bench::is_of_the_agent(args) => &[LINKER, NODE, NPM, MOSQUITTO, NODE_EXPORTER],
        Command::Bench { args } if bench::is_of_the_queues(args) => &[LINKER, NODE, NPM, REDIS, PIP],
        Command::Bench { .. } => &[LINKER, FFMPEG, NODE, NPM, CURL, MOSQUITTO, NODE_EXPORTER, REDIS, PIP],
        Command::Damage { .. } => &[LINKER, FFMPEG, NODE, NPM],
        Command::Kill { .. } => &[LINKER, FFMPEG, NODE, NPM, REDIS],
        Command::Fuzz { .. } => &[LINKER, CPP, NODE, NPM],
        Command::Test(Selection::Named(name)) if name == "boot" => {
            &[LINKER, NODE, NPM, MOSQUITTO, NSPAWN, MMDEBSTRAP, QEMU, MTOOLS, FDISK, SWTPM]
        }
        Command::Test(Selection::Named(name)) if name == "aarch64" => &[LINKER, NODE, NPM, NSPAWN, MMDEBSTRAP],
        Command::Test(Selection::Named(name)) if name == "image" => &[LINKER, NODE, NPM, NSPAWN, MMDEBSTRAP, QEMU],
        Command::Test(_) => &[
            LINKER,
            FFMPEG,
            NODE,
            NPM,
            REDIS,
            MOSQUITTO,
            PROMTOOL,
            BROWSER,
            CURL,
            PIP,
            GSTREAMER,
            NSPAWN,
            MMDEBSTRAP,
            ZSTD,
            NATS,
            RABBITMQ,
            AMQP_TOOLS,
            POSTGRESQL,
            REGISTRY,
            REDIS_EXPORTER,
            NGINX,
            BACKUP,
            MTOOLS,
            FDISK,
            DOSFSTOOLS,
            SKOPEO,
            JQ,
            SHELLCHECK,
            NFTABLES,
            HTPASSWD,
            ALERTMANAGER,
            NODE_EXPORTER,
            REDIS_EXPORTER,
        ],
    }
}

/// Installs what is missing of `groups`, after saying what and why. Touches nothing, the network least of all, when
/// nothing is missing.
pub(crate) fn install(groups: &[Group]) -> Result<()> {
    let missing = missing(groups, program::on_path, |variable| env::var_os(variable).is_some());
    if missing.is_empty() {
        return Ok(());
    }
    for group in &missing {
        println!("installing {}: {}", group.packages.join(" "), group.why);
    }
    for words in commands(&missing, is_root(), program::on_path)? {
        program::run(process::Command::new(&words[0]).args(&words[1..]))?;
    }
    Ok(())
}

fn missing(groups: &[Group], on_path: impl Fn(&str) -> bool, is_set: impl Fn(&str) -> bool) -> Vec<&Group> {
    let here = |group: &Group| group.programs.iter().all(|p| on_path(p)) || group.variable.is_some_and(&is_set);
    groups.iter().filter(|group| !here(group)).collect()
}

/// The command lines that install `missing`.
fn commands(missing: &[&Group], root: bool, on_path: impl Fn(&str) -> bool) -> Result<Vec<Vec<String>>> {
    let packages: Vec<&str> = missing.iter().flat_map(|group| group.packages).copied().collect();
    let programs: Vec<&str> = missing.iter().map(|group| group.programs[0]).collect();
    let (programs, packages) = (programs.join(", "), packages.join(" "));
    if !on_path("apt-get") {
        bail!("cannot install {programs}: there is no apt-get\nhint: install them your system's way, then try again");
    }
    if !root && !on_path("sudo") {
        bail!("cannot install {programs}: neither root nor sudo\nhint: as root, apt-get install {packages}");
    }
    // `env` is a word of the command because sudo drops the environment.
    let prefix = if root { "" } else { "sudo " };
    let apt = format!("{prefix}env DEBIAN_FRONTEND=noninteractive apt-get -q");
    let lines = [format!("{apt} update"), format!("{apt} install -y --no-install-recommends {packages}")];
    Ok(lines.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    fn check(here: &[&str], root: bool, want: Result<&[&str], &str>) {
        let on_path = |name: &str| here.contains(&name);
        let missing = missing(&[FFMPEG, BROWSER], on_path, |variable| here.contains(&variable));
        let got = commands(&missing, root, on_path).map_err(|e| e.to_string());
        let got = got.map(|lines| lines.into_iter().map(|words| words.join(" ")).collect::<Vec<_>>());
        assert_eq!(got, want.map(|l| l.iter().map(|s| (*s).to_owned()).collect()).map_err(str::to_owned), "{here:?}");
    }

    #[test]
    fn installs_only_what_is_missing() {
        check(
            &["apt-get", "chromium"],
            true,
            Ok(&[
                "env DEBIAN_FRONTEND=noninteractive apt-get -q update",
                "env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends ffmpeg",
            ]),
        );
    }

    #[test]
    fn asks_sudo_when_not_root() {
        check(
            &["apt-get", "sudo", "ffmpeg"],
            false,
            Ok(&[
                "sudo env DEBIAN_FRONTEND=noninteractive apt-get -q update",
                "sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends chromium \
                 fonts-liberation",
            ]),
        );
    }

    #[test]
    fn says_what_to_do_where_it_can_not_install() {
        check(
            &["ffmpeg"],
            true,
            Err("cannot install chromium: there is no apt-get\nhint: install them your system's way, then try again"),
        );
        check(
            &["apt-get", "chromium"],
            false,
            Err("cannot install ffmpeg: neither root nor sudo\nhint: as root, apt-get install ffmpeg"),
        );
    }

    #[test]
    fn the_flakes_shell_brings_every_program_that_is_asked_for() {
        let shell = include_str!("../../../nixos/packages/shell.nix");
        let commands =
            ["test", "test boot", "test image", "lint", "demo", "bench", "damage", "kill", "fuzz", "fmt", "ui"];
        for line in commands {
            let command = args::parse(line.split(' ').map(str::to_owned)).expect("a command of ours");
            for group in needed_by(&command) {
                let brought = group.programs.iter().any(|program| shell.contains(&format!("\n    \"{program}\" =")));
                assert!(brought, "{line}: {:?}", group.programs);
            }
        }
    }

    #[test]
    fn a_variable_may_name_the_browser() {
        let missing = missing(&[BROWSER], |_| false, |variable| variable == "CHROMIUM");
        assert_eq!(missing, Vec::<&Group>::new());
    }
}
