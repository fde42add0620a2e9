//! sysfs as real boards show it: paths and values from Orin NX (JetPack 6), Xavier (JetPack 4) and a PC.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use reelmill_agent::sensors::{drives, os, sysfs::Sysfs};
use reelmill_api::snapshot::{Drive, Engine, Fan, Os, Rail, Temperature};

use crate::support::{put, root};

const GPU: &str = "sys/class/devfreq/17000000.gpu";
const INA: &str = "sys/class/hwmon/hwmon3";

/// An Orin NX: what it draws at idle, as its own tegrastats has it.
fn orin_nx() -> tempfile::TempDir {
    root(&[
        (&format!("{GPU}/cur_freq"), "306000000\n"),
        (&format!("{GPU}/device/load"), "345\n"),
        (&format!("{GPU}/device/of_node/name"), "gpu\0"),
        ("sys/class/devfreq/154c0000.nvenc/cur_freq", "435200000\n"),
        ("sys/class/devfreq/15340000.vic/cur_freq", "115200000\n"),
        ("sys/class/devfreq/15340000.vic/device/load", "7\n"),
        ("sys/class/devfreq/15540000.nvjpg/cur_freq", "115200000\n"),
        (&format!("{INA}/name"), "ina3221\n"),
        (&format!("{INA}/in1_label"), "VDD_IN\n"),
        (&format!("{INA}/in1_input"), "5040\n"),
        (&format!("{INA}/curr1_input"), "854\n"),
        (&format!("{INA}/curr1_max_alarm"), "0\n"),
        (&format!("{INA}/curr1_crit_alarm"), "0\n"),
        (&format!("{INA}/in2_label"), "VDD_CPU_GPU_CV\n"),
        (&format!("{INA}/in2_input"), "5040\n"),
        (&format!("{INA}/curr2_input"), "1400\n"),
        (&format!("{INA}/curr2_max_alarm"), "1\n"),
        (&format!("{INA}/in3_label"), "NC\n"),
        (&format!("{INA}/in3_input"), "0\n"),
        (&format!("{INA}/curr3_input"), "0\n"),
        (&format!("{INA}/in7_label"), "sum of shunt voltages\n"),
        (&format!("{INA}/in7_input"), "11\n"),
        ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
        ("sys/class/thermal/thermal_zone0/temp", "45843\n"),
        ("sys/class/thermal/thermal_zone0/trip_point_0_type", "passive\n"),
        ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "99000\n"),
        ("sys/class/thermal/thermal_zone0/trip_point_1_type", "critical\n"),
        ("sys/class/thermal/thermal_zone0/trip_point_1_temp", "104500\n"),
        ("sys/class/thermal/thermal_zone1/type", "gpu-thermal\n"),
        ("sys/class/thermal/thermal_zone1/temp", "43406\n"),
        ("sys/class/thermal/thermal_zone2/type", "cv0-thermal\n"),
        ("sys/class/thermal/thermal_zone2/temp", "-256000\n"),
        ("sys/class/thermal/thermal_zone10/type", "tj-thermal\n"),
        ("sys/class/thermal/thermal_zone10/temp", "45843\n"),
        ("sys/class/thermal/cooling_device0/type", "pwm-fan\n"),
        ("sys/class/hwmon/hwmon0/name", "cpu_thermal\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "45843\n"),
        ("sys/class/hwmon/hwmon0/device/mode", "enabled\n"),
        ("sys/class/hwmon/hwmon1/name", "pwm_tach\n"),
        ("sys/class/hwmon/hwmon1/rpm", "1640\n"),
        ("sys/class/hwmon/hwmon2/name", "pwmfan\n"),
        ("sys/class/hwmon/hwmon2/pwm1", "51\n"),
    ])
}

fn temperature(name: &str, celsius: f64, critical_celsius: Option<f64>) -> Temperature {
    Temperature { name: name.to_owned(), celsius, peak_celsius: None, critical_celsius }
}

fn engine(name: &str, percent: Option<f64>, mhz: u32) -> Engine {
    Engine { name: name.to_owned(), on: true, percent, mhz: Some(mhz) }
}

#[test]
fn an_orin_nx_tells_all_this_without_root() {
    let root = orin_nx();
    let now = Instant::now();
    let said = Sysfs::new(root.path(), now).sample(now);
    let gpu = said.gpu.expect("it has a GPU");
    assert_eq!((gpu.percent, gpu.mhz), (Some(34.5), Some(306)));
    assert_eq!(said.engines, [engine("nvenc0", None, 435), engine("nvjpg0", None, 115), engine("vic", Some(0.7), 115)]);
    let rail = |name: &str, milliwatts, milliamperes, over_current| Rail {
        name: name.to_owned(),
        milliwatts: Some(milliwatts),
        millivolts: Some(5040),
        milliamperes: Some(milliamperes),
        over_current: Some(over_current),
        ..Rail::default()
    };
    assert_eq!(said.rails, [rail("VDD_IN", 4304, 854, false), rail("VDD_CPU_GPU_CV", 7056, 1400, true)]);
    assert_eq!(
        said.temperatures,
        [temperature("cpu", 45.843, Some(104.5)), temperature("gpu", 43.406, None), temperature("tj", 45.843, None)]
    );
    assert_eq!(said.fans, [Fan { name: "pwm_tach".to_owned(), rpm: Some(1640), percent: Some(20.0) }]);
}

#[test]
fn each_sample_reads_anew_and_what_is_silent_is_absent() {
    let root = orin_nx();
    let now = Instant::now();
    let mut sysfs = Sysfs::new(root.path(), now);
    let write = |path: &str, text: &str| put(root.path(), path, text);
    write(&format!("{GPU}/device/load"), "1000\n");
    write("sys/class/thermal/thermal_zone0/temp", "rubbish\n");
    write(&format!("{INA}/curr1_input"), "-1\n");
    write("sys/class/hwmon/hwmon1/rpm", "");
    let said = sysfs.sample(now);
    assert_eq!(said.gpu.and_then(|gpu| gpu.percent), Some(100.0));
    let names = |temperatures: &[Temperature]| temperatures.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&said.temperatures), ["gpu", "tj"]);
    assert_eq!(said.rails.len(), 1);
    assert_eq!(said.fans, [Fan { name: "pwm_tach".to_owned(), rpm: None, percent: Some(20.0) }]);
    // A zone that gets power is there again.
    write("sys/class/thermal/thermal_zone2/temp", "41156\n");
    assert_eq!(names(&sysfs.sample(now).temperatures), ["gpu", "cv0", "tj"]);
}

#[test]
fn a_driver_that_comes_late_is_found() {
    let root = root(&[]);
    let now = Instant::now();
    let mut sysfs = Sysfs::new(root.path(), now);
    assert_eq!(sysfs.sample(now), reelmill_agent::sensors::sysfs::Sample::default());
    put(root.path(), &format!("{GPU}/cur_freq"), "306000000\n");
    assert_eq!(sysfs.sample(now + Duration::from_secs(1)).gpu, None, "not looked for every second");
    let later = sysfs.sample(now + Duration::from_secs(61));
    assert_eq!(later.gpu.and_then(|gpu| gpu.mhz), Some(306));
}

#[test]
fn older_boards_show_their_rails_elsewhere() {
    let meter = "sys/bus/i2c/devices/1-0040/iio:device0";
    let root = root(&[
        (&format!("{meter}/rail_name_0"), "VDD_IN\n"),
        (&format!("{meter}/in_power0_input"), "4067\n"),
        (&format!("{meter}/in_voltage0_input"), "5056\n"),
        (&format!("{meter}/in_current0_input"), "804\n"),
        (&format!("{meter}/rail_name_1"), "VDD_CPU_GPU_CV\n"),
        (&format!("{meter}/in_power1_input"), "738\n"),
        ("sys/class/devfreq/17000000.gv11b/cur_freq", "114750000\n"),
        ("sys/class/thermal/thermal_zone0/type", "PMIC-Die\n"),
        ("sys/class/thermal/thermal_zone0/temp", "100000\n"),
        ("sys/class/thermal/thermal_zone1/type", "AO-therm\n"),
        ("sys/class/thermal/thermal_zone1/temp", "41500\n"),
    ]);
    let now = Instant::now();
    let said = Sysfs::new(root.path(), now).sample(now);
    let watts: Vec<_> = said.rails.iter().map(|rail| (rail.name.as_str(), rail.milliwatts, rail.millivolts)).collect();
    assert_eq!(watts, [("VDD_IN", Some(4067), Some(5056)), ("VDD_CPU_GPU_CV", Some(738), None)]);
    assert_eq!(said.gpu.and_then(|gpu| gpu.mhz), Some(114));
    assert_eq!(said.temperatures, [temperature("ao", 41.5, None)]);
}

#[test]
fn a_pc_tells_one_temperature_for_each_device() {
    let root = root(&[
        ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
        ("sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "52000\n"),
        ("sys/class/hwmon/hwmon0/temp2_label", "Core 0\n"),
        ("sys/class/hwmon/hwmon0/temp2_input", "51000\n"),
        ("sys/devices/pci0/nvme/nvme0/model", "WD Red SN700 500GB     \n"),
        ("sys/devices/pci0/nvme/nvme0/hwmon1/name", "nvme\n"),
        ("sys/devices/pci0/nvme/nvme0/hwmon1/temp1_label", "Composite\n"),
        ("sys/devices/pci0/nvme/nvme0/hwmon1/temp1_input", "38850\n"),
        ("sys/devices/pci0/nvme/nvme0/hwmon1/temp2_label", "Sensor 1\n"),
        ("sys/devices/pci0/nvme/nvme0/hwmon1/temp2_input", "40850\n"),
    ]);
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.path().join(at)).expect("a folder of our own");
    link("../../devices/pci0/nvme/nvme0/hwmon1", "sys/class/hwmon/hwmon1");
    link("../../nvme0", "sys/devices/pci0/nvme/nvme0/hwmon1/device");
    let now = Instant::now();
    let said = Sysfs::new(root.path(), now).sample(now);
    assert_eq!(said.temperatures, [temperature("cpu0", 52.0, None), temperature("nvme0", 38.85, None)]);
}

#[test]
fn drives_tell_how_they_are() {
    let root = root(&[
        ("sys/class/nvme/nvme0/model", "WD Red SN700 500GB       \n"),
        ("sys/class/nvme/nvme0/state", "live\n"),
        ("sys/block/nvme0n1/device/model", "WD Red SN700 500GB       \n"),
        ("sys/block/mmcblk0/device/name", "DG4064\n"),
        ("sys/block/mmcblk0/device/life_time", "0x01 0x03\n"),
        ("sys/block/mmcblk0/device/pre_eol_info", "0x01\n"),
        ("sys/block/mmcblk0boot0/device/name", "DG4064\n"),
        ("sys/block/sda/device/model", "Samsung SSD 870\n"),
        ("sys/block/sda/device/state", "running\n"),
        ("sys/block/sda/device/ioerr_cnt", "0x1f\n"),
        ("sys/block/loop0/size", "0\n"),
        ("sys/fs/ext4/nvme0n1p2/errors_count", "3\n"),
        ("sys/fs/ext4/sda1/errors_count", "0\n"),
        ("sys/fs/ext4/features/lazy_itable_init", "supported\n"),
    ]);
    let drive =
        |name: &str, model: &str| Drive { name: name.to_owned(), model: Some(model.to_owned()), ..Drive::default() };
    assert_eq!(
        drives::read(root.path()),
        [
            Drive {
                state: Some("live".to_owned()),
                filesystem_errors: Some(3),
                ..drive("nvme0", "WD Red SN700 500GB")
            },
            Drive { life_used_percent: Some(30), spare_low: Some(false), ..drive("mmcblk0", "DG4064") },
            Drive {
                state: Some("running".to_owned()),
                errors: Some(31),
                filesystem_errors: Some(0),
                ..drive("sda", "Samsung SSD 870")
            },
        ]
    );
}

#[test]
fn the_system_tells_which_it_is() {
    let root = root(&[
        ("etc/os-release", "ID=nixos\nPRETTY_NAME=\"NixOS 26.05 (Yarara)\"\n"),
        ("proc/sys/kernel/osrelease", "5.15.148-tegra\n"),
        ("proc/sys/kernel/random/boot_id", "0a3b2a32-6f9f-4b5e-8a5b-0f2f3f4f5f6f\n"),
        ("proc/uptime", "4711.27 18000.00\n"),
        ("nix/var/nix/profiles/x", ""),
        ("run/x", ""),
    ]);
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.path().join(at)).expect("a folder of our own");
    link("system-42-link", "nix/var/nix/profiles/system");
    link("/nix/store/aaaa-nixos-system-orin", "run/current-system");
    link("/nix/store/bbbb-nixos-system-orin", "run/booted-system");
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        os::read(root.path()),
        Os {
            name: text("NixOS 26.05 (Yarara)"),
            kernel: text("5.15.148-tegra"),
            boot_id: text("0a3b2a32-6f9f-4b5e-8a5b-0f2f3f4f5f6f"),
            uptime_seconds: Some(4711),
            generation: Some(42),
            system: text("/nix/store/aaaa-nixos-system-orin"),
            booted_system: text("/nix/store/bbbb-nixos-system-orin"),
        }
    );
    assert_eq!(os::read(Path::new("/nonexistent")), Os::default());
    assert_eq!(os::time_synchronised(root.path()), None);
    put(root.path(), "run/systemd/timesync/state", "");
    assert_eq!(os::time_synchronised(root.path()), Some(false));
    put(root.path(), "run/systemd/timesync/synchronized", "");
    assert_eq!(os::time_synchronised(root.path()), Some(true));
}
