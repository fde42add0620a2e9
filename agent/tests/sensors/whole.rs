//! A whole board below a folder: all sensors at once.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use reelmill_agent::sensors::{
    Sensors, Setup,
    tegrastats::{
        parse,
        source::{STALE, State},
    },
};
use reelmill_api::snapshot::{BoardFamily, Snapshot};
use tokio::sync::watch;

use crate::support::{lines, root};

fn absent(snapshot: &Snapshot, source: &str) -> Option<String> {
    snapshot.absent.iter().find(|gone| gone.source == source).map(|gone| gone.why.clone())
}

#[test]
fn a_jetson_tells_all_it_knows_and_what_falls_silent_is_absent() {
    let root = root(&[
        ("proc/device-tree/compatible", "nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0"),
        ("sys/class/devfreq/17000000.gpu/device/load", "345\n"),
        ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
        ("sys/class/thermal/thermal_zone0/temp", "52500\n"),
        ("sys/class/nvme/nvme0/state", "live\n"),
        ("sys/devices/system/cpu/present", "0-511\n"),
        ("sys/devices/system/cpu/online", "0-255\n"),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "729600\n"),
    ]);
    let (_, line) = lines().remove(0);
    let now = Instant::now();
    let said = parse(&format!("{line} NVFOO 7%@9")).expect("a real line");
    let (tell, told) = watch::channel(State::Told(Box::new(said), now));
    let (_answers, lan) = watch::channel(true);
    let setup = Setup {
        node: "orin-3".to_owned(),
        tags: BTreeSet::from(["mesh".to_owned(), "rack-7".to_owned()]),
        root: root.path().to_owned(),
        tegrastats: Some(told),
        lan: Some(lan),
    };
    let mut sensors = Sensors::new(setup, now);

    let first = sensors.sample(now, "2026-01-02T03:04:05Z".to_owned());
    assert_eq!((first.node.id.as_str(), first.node.board.family), ("orin-3", BoardFamily::Jetson));
    assert_eq!(first.gpus[0].utilisation_percent, Some(34.5));
    assert_eq!(first.gpus[0].encoder_percent, Some(79.0));
    assert_eq!(first.unknown, ["NVFOO 7%@9"]);
    assert_eq!(first.tags, BTreeSet::from(["lan".to_owned(), "rack-7".to_owned()]), "a mesh is found, not said");
    assert_eq!(first.cpu.cores.len(), 512);
    assert_eq!((first.cpu.cores[0].mhz, first.cpu.cores[511].online), (Some(729), false));
    assert_eq!(absent(&first, "tegrastats"), None);

    let later = sensors.sample(now + STALE + Duration::from_secs(2), String::new());
    assert_eq!(absent(&later, "tegrastats"), Some("no line for 7 s".to_owned()));
    assert_eq!((later.gpus[0].utilisation_percent, later.gpus[0].encoder_percent), (Some(34.5), None));
    assert_eq!((later.engines.len(), later.unknown.len()), (0, 0));

    tell.send_replace(State::Silent("it failed: exit status: 1".to_owned()));
    let silent = sensors.sample(now + Duration::from_secs(8), String::new());
    assert_eq!(absent(&silent, "tegrastats"), Some("it failed: exit status: 1".to_owned()));
}
