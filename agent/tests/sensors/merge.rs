//! Several sources, one picture.

use reelmill_agent::sensors::{
    merge::{memory, number_doubles, parts},
    sysfs::{GpuLoad, Sample as Sysfs},
    tegrastats::{Sample as Tegra, parse},
};
use reelmill_api::snapshot::{Engine, Gpu, Memory, Rail, Snapshot, Soc, Temperature};

use crate::support::lines;

fn real(board: &str) -> Tegra {
    let found = lines().into_iter().find(|(from, _)| from.starts_with(board));
    let (_, line) = found.expect("such a board is among the lines");
    parse(&line).expect("a real line")
}

fn gpu(soc: Soc, sysfs: &Sysfs, tegra: Option<&Tegra>, told: Vec<Gpu>) -> Gpu {
    let mut gpus = parts(Some(soc), sysfs, tegra, told).gpus;
    assert_eq!(gpus.len(), 1);
    gpus.remove(0)
}

#[test]
fn an_orins_encoder_is_told_by_tegrastats_and_its_gpu_by_sysfs() {
    let busy = real("AGX Orin 64GB, L4T R36.4.4");
    let sysfs = Sysfs { gpu: Some(GpuLoad { percent: Some(34.5), mhz: Some(306) }), ..Sysfs::default() };
    let gpu = gpu(Soc::Tegra234, &sysfs, Some(&busy), Vec::new());
    assert_eq!((gpu.name.as_str(), gpu.utilisation_percent, gpu.clock_mhz), ("NVIDIA Orin", Some(34.5), Some(306)));
    assert_eq!((gpu.encoder_percent, gpu.decoder_percent), (Some(79.0), Some(0.0)), "a decoder that is off is idle");
    assert_eq!(gpu.temperature_celsius, None, "the line has none, so nobody knows");
}

#[test]
fn without_root_nothing_is_made_up() {
    let user = real("Orin NX 16GB, JetPack 6, NOT root, loaded");
    let gpu = gpu(Soc::Tegra234, &Sysfs::default(), Some(&user), Vec::new());
    assert_eq!((gpu.utilisation_percent, gpu.clock_mhz), (Some(7.0), None));
    assert_eq!((gpu.encoder_percent, gpu.decoder_percent), (None, None));
    assert_eq!(gpu.temperature_celsius, Some(54.375));
}

#[test]
fn thors_library_wins_and_what_it_does_not_say_is_filled_in() {
    let thor = real("AGX Thor, L4T R39.2");
    let told = Gpu { name: "NVIDIA Thor".to_owned(), encoder_percent: Some(12.0), ..Gpu::default() };
    let gpu = gpu(Soc::Tegra264, &Sysfs::default(), Some(&thor), vec![told]);
    assert_eq!((gpu.encoder_percent, gpu.decoder_percent), (Some(12.0), None), "tegrastats tells only Thor's clocks");
    assert_eq!((gpu.clock_mhz, gpu.temperature_celsius), (Some(314), Some(35.906)));
}

#[test]
fn a_pc_keeps_what_its_library_told() {
    let told = vec![Gpu { name: "NVIDIA L4".to_owned(), ..Gpu::default() }];
    assert_eq!(parts(None, &Sysfs::default(), None, told.clone()).gpus, told);
    assert_eq!(parts(Some(Soc::Tegra234), &Sysfs::default(), None, Vec::new()).gpus, []);
}

#[test]
fn both_sources_tell_of_one_rail_one_engine_and_one_temperature() {
    let line = "RAM 1/2MB (lfb 3x4MB) VIC 37%@115 gpu@50C/60C cpu@40C/41C VDD_IN 5000mW/4000mW/9000mW VDD_SOC 7mW/7mW";
    let tegra = parse(line).expect("it has RAM");
    let name = str::to_owned;
    let clock = |engine: &str, mhz| Engine { name: name(engine), on: true, percent: None, mhz: Some(mhz) };
    let sysfs = Sysfs {
        engines: vec![clock("nvenc0", 435), clock("vic", 110)],
        rails: vec![Rail { name: name("VDD_IN"), milliwatts: Some(5100), millivolts: Some(5040), ..Rail::default() }],
        temperatures: vec![Temperature { name: name("gpu"), celsius: 50.5, ..Temperature::default() }],
        ..Sysfs::default()
    };
    let all = parts(None, &sysfs, Some(&tegra), Vec::new());
    assert_eq!(all.engines, [Engine { percent: Some(37.0), ..clock("vic", 115) }, clock("nvenc0", 435)]);
    let rail = |of: &Rail| (of.name.clone(), of.milliwatts, of.peak_milliwatts, of.millivolts);
    assert_eq!(
        all.rails.iter().map(rail).collect::<Vec<_>>(),
        [(name("VDD_IN"), Some(5100), Some(9000), Some(5040)), (name("VDD_SOC"), Some(7), None, None)]
    );
    let heat = |of: &Temperature| (of.name.clone(), of.celsius, of.peak_celsius);
    assert_eq!(
        all.temperatures.iter().map(heat).collect::<Vec<_>>(),
        [(name("gpu"), 50.5, Some(60.0)), (name("cpu"), 40.0, Some(41.0))]
    );
    let host = Memory { total_bytes: 9, used_bytes: 4, available_bytes: 5, ..Memory::default() };
    let memory = memory(Some(host), Some(&tegra)).expect("the host has memory");
    assert_eq!(
        (memory.total_bytes, memory.largest_free_blocks, memory.largest_free_block_bytes),
        (9, Some(3), Some(4 << 20))
    );
}

#[test]
fn a_board_draws_what_its_first_rail_says_or_all_together() {
    let drawn = |board: &str| {
        let rails = parts(None, &Sysfs::default(), Some(&real(board)), Vec::new()).rails;
        Snapshot { rails, ..Snapshot::default() }.board_milliwatts()
    };
    assert_eq!(drawn("Orin NX 16GB, JetPack 6.2, NOT root, idle"), Some(4304));
    assert_eq!(drawn("AGX Thor dev kit"), Some(19_780));
    assert_eq!(drawn("AGX Orin 64GB, L4T R36.4.4"), Some(2412 + 1607 + 4707));
    assert_eq!(Snapshot::default().board_milliwatts(), None);
}

#[test]
fn a_name_stands_once() {
    let mut names: Vec<String> = ["acpitz", "cpu", "acpitz", "acpitz-2", "acpitz"].map(str::to_owned).into();
    number_doubles(&mut names, |name| name);
    assert_eq!(names, ["acpitz", "cpu", "acpitz-2", "acpitz-2-2", "acpitz-3"]);
}
