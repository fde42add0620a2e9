//! The launcher of media processes: gives up every right that decoding does not need, then becomes the program.
//!
//! A source is hostile, and a decoder has bugs. The process that runs it may open no file but programs and libraries,
//! connect to no port but the gateway's, see no other process, write no file (or only in one folder of its own), and use
//! only so much memory, time and descriptors. Run as root, it first becomes nobody.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{Gid, Resource, Rlimit, Signal, Uid};

/// The subcommand that makes this program the launcher.
pub const SUBCOMMAND: &str = "confine";

/// Where programs and libraries lie; what is missing is passed over. Devices are those every program may read.
const READABLE: &[&str] = &[
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/nix/store",
    "/run/current-system/sw",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

/// Nobody and nogroup, by convention of every distribution.
pub const NOBODY: u32 = 65_534;

/// A folder that a media process may write files in, and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writable {
    /// The folder; where the worker is root, nobody's.
    pub folder: PathBuf,
    /// Bytes that each file may have.
    pub largest_file: u64,
}

/// What a media process may use besides what all of them may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Besides {
    /// Settings of its libraries, as its only environment.
    pub environment: Vec<(String, String)>,
    /// Device nodes that it may drive; those that are not there are passed over.
    pub devices: Vec<PathBuf>,
    /// Folders that it may read.
    pub readable: Vec<PathBuf>,
}

/// What a media process is held to.
#[derive(Clone, Debug, clap::Args)]
pub struct Confine {
    /// The only TCP port it may connect to.
    #[arg(long)]
    port: u16,
    /// One more, of a live source.
    #[arg(long)]
    reach: Option<u16>,
    /// Bytes of memory it may own.
    #[arg(long)]
    memory: u64,
    /// Seconds of processor time it may use.
    #[arg(long)]
    cpu: u64,
    /// Files it may have open at once.
    #[arg(long)]
    files: u64,
    /// Folders besides the system's that it may read and execute.
    #[arg(long)]
    readable: Vec<PathBuf>,
    /// Device nodes that it may drive.
    #[arg(long)]
    device: Vec<PathBuf>,
    /// Its environment, as NAME=VALUE.
    #[arg(long)]
    env: Vec<String>,
    /// A folder that it may make plain files in.
    #[arg(long, requires = "file_bytes")]
    writable: Option<PathBuf>,
    /// Bytes that each of those may have.
    #[arg(long, requires = "writable")]
    file_bytes: Option<u64>,
    /// The program, by its full path.
    program: PathBuf,
    /// Its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// The launcher's arguments for a program.
pub fn arguments(
    programs: &super::Programs,
    limits: &super::Limits,
    port: u16,
    besides: &Besides,
    program: &Path,
) -> Vec<OsString> {
    let flag = |name: &str, value: u64| OsString::from(format!("--{name}={value}"));
    let mut arguments = vec![
        SUBCOMMAND.into(),
        flag("port", port.into()),
        flag("memory", limits.memory_bytes),
        flag("cpu", limits.cpu.as_secs()),
        flag("files", limits.files),
    ];
    let readable = programs.readable.iter().chain(&besides.readable);
    arguments.extend(readable.flat_map(|folder| ["--readable".into(), folder.into()]));
    arguments.extend(besides.devices.iter().flat_map(|device| ["--device".into(), device.into()]));
    arguments.extend(besides.environment.iter().map(|(name, value)| format!("--env={name}={value}").into()));
    let gpu = programs
        .gpu
        .iter()
        .flat_map(|gpu| [("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), ("CUDA_VISIBLE_DEVICES", gpu.as_str())]);
    arguments.extend(gpu.map(|(name, value)| format!("--env={name}={value}").into()));
    arguments.extend(programs.reach.map(|port| flag("reach", port.into())));
    if let Some(Writable { folder, largest_file }) = &programs.writable {
        arguments.extend(["--writable".into(), folder.into(), flag("file-bytes", *largest_file)]);
    }
    arguments.extend(["--".into(), program.into()]);
    arguments
}

/// Confines this process and becomes the program. Returns only if that failed.
pub fn exec(confine: &Confine) -> anyhow::Error {
    match prepare(confine) {
        Ok(()) => {
            let environment = confine.env.iter().filter_map(|setting| setting.split_once('='));
            let error = Command::new(&confine.program).args(&confine.args).env_clear().envs(environment).exec();
            anyhow::anyhow!("cannot start {}: {}", confine.program.display(), why_not(&confine.program, &error))
        }
        Err(e) => e.context(format!("cannot confine {}", confine.program.display())),
    }
}

/// Why the program did not start. What Landlock and what the file system's modes deny looks alike, but only the modes
/// keep this process from looking at a path.
fn why_not(program: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error.to_string();
    }
    let mut above: Vec<_> = program.ancestors().skip(1).collect();
    above.reverse();
    match above.into_iter().find(|folder| folder.join(".").symlink_metadata().is_err()) {
        Some(closed) => format!("media programs run as nobody, who may not enter {}", closed.display()),
        None => "media programs may be read only from the system's folders and those set as `readable` under [media], \
                 and must be executable for all"
            .to_owned(),
    }
}

fn prepare(confine: &Confine) -> anyhow::Result<()> {
    limit(Resource::Data, confine.memory)?;
    limit(Resource::Cpu, confine.cpu)?;
    limit(Resource::Nofile, confine.files)?;
    limit(Resource::Fsize, confine.file_bytes.unwrap_or(0))?;
    limit(Resource::Core, 0)?;
    let ports: Vec<u16> = [Some(confine.port), confine.reach].into_iter().flatten().collect();
    restrict(&ports, &confine.readable, confine.writable.as_deref(), &confine.device)?;
    become_nobody(&confine.device)?;
    // After the change of user, which would clear it: the process ends with the worker.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}

/// Lowers a limit; one that is lower already, by order of a container or the service manager, stays.
fn limit(resource: Resource, value: u64) -> anyhow::Result<()> {
    let value = rustix::process::getrlimit(resource).maximum.map_or(value, |highest| highest.min(value));
    rustix::process::setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?;
    Ok(())
}

/// With the groups of the devices that it may drive, and no others.
fn become_nobody(devices: &[PathBuf]) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let mut groups = BTreeSet::new();
    devices.iter().for_each(|device| owners(device, &mut groups));
    let groups: Vec<_> = groups.into_iter().map(Gid::from_raw).collect();
    rustix::thread::set_thread_groups(&groups)?;
    let gid = Gid::from_raw(NOBODY);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    let uid = Uid::from_raw(NOBODY);
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// The groups that own a device node, or those in a folder of them; never root's.
fn owners(device: &Path, groups: &mut BTreeSet<u32>) {
    for entry in device.read_dir().into_iter().flatten().flatten() {
        owners(&entry.path(), groups);
    }
    let of_node = device.symlink_metadata().ok().filter(|meta| meta.file_type().is_char_device() && meta.gid() != 0);
    groups.extend(of_node.map(|meta| meta.gid()));
}

/// How far the kernel enforces the confinement of files, ports and signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// All of it.
    Full,
    /// An older kernel: some of it.
    Partial,
    /// No Landlock in this kernel: only the user, the limits and ffmpeg's allow-lists.
    None,
}

impl Enforcement {
    /// In words, for a message.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Full => "fully",
            Self::Partial => "in part (an old Landlock)",
            Self::None => "by user and limits (no Landlock)",
        }
    }
}

fn restrict(
    ports: &[u16],
    readable: &[PathBuf],
    writable: Option<&Path>,
    devices: &[PathBuf],
) -> anyhow::Result<Enforcement> {
    let status = ruleset(ports, readable, writable, devices)?;
    Ok(match status {
        RulesetStatus::FullyEnforced => Enforcement::Full,
        RulesetStatus::PartiallyEnforced => Enforcement::Partial,
        RulesetStatus::NotEnforced => Enforcement::None,
    })
}

/// Making plain files and writing them; reading them too, since an index is put first by moving what was written.
/// Nothing that could lead elsewhere: no link, no device, no folder.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::MakeReg | AccessFs::WriteFile | AccessFs::ReadFile | AccessFs::Truncate
}

/// Driving a device: opening it, reading, writing and its own calls.
fn driving() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev
}

fn ruleset(
    ports: &[u16],
    readable: &[PathBuf],
    writable: Option<&Path>,
    devices: &[PathBuf],
) -> anyhow::Result<RulesetStatus> {
    let abi = ABI::V6;
    let read = AccessFs::from_read(abi);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    for port in ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    let system = READABLE.iter().map(Path::new);
    for (path, fd) in
        system.chain(readable.iter().map(PathBuf::as_path)).filter_map(|p| Some((p, PathFd::new(p).ok()?)))
    {
        let allowed = if path.is_dir() { read } else { read & AccessFs::from_file(abi) };
        rules = rules.add_rule(PathBeneath::new(fd, allowed))?;
    }
    if let Some(folder) = writable {
        let fd = PathFd::new(folder).with_context(|| format!("cannot open the folder {}", folder.display()))?;
        rules = rules.add_rule(PathBeneath::new(fd, writing()))?;
    }
    for fd in devices.iter().filter_map(|device| PathFd::new(device).ok()) {
        rules = rules.add_rule(PathBeneath::new(fd, driving()))?;
    }
    if let Ok(null) = PathFd::new("/dev/null") {
        rules = rules.add_rule(PathBeneath::new(null, AccessFs::ReadFile | AccessFs::WriteFile))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// How far this kernel enforces confinement, found out by a thread that confines itself.
pub fn probe_kernel() -> Enforcement {
    let attempt = std::thread::spawn(|| restrict(&[1], &[], None, &[]));
    match attempt.join() {
        Ok(Ok(enforcement)) => enforcement,
        Ok(Err(_)) | Err(_) => Enforcement::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::MediaSection, engine::Limits, setup};

    #[test]
    fn a_media_process_sees_the_gpu_that_is_named_and_no_other() {
        let limits = Limits { memory_bytes: 1, cpu: std::time::Duration::from_secs(1), files: 1 };
        let check = |gpu: Option<&str>, want: &[&str]| {
            let sh = PathBuf::from("/bin/sh");
            let gpu = gpu.map(|gpu| gpu.parse().expect("a GPU"));
            let media = MediaSection { ffmpeg: sh.clone(), ffprobe: sh.clone(), gpu, ..MediaSection::default() };
            let programs = setup::programs(&media).expect("there is a shell");
            let all = arguments(&programs, &limits, 1, &Besides::default(), &sh);
            let told: Vec<_> = all.iter().filter_map(|arg| arg.to_str()?.strip_prefix("--env=")).collect();
            assert_eq!(told, want);
        };
        check(None, &[]);
        check(Some("1"), &["CUDA_DEVICE_ORDER=PCI_BUS_ID", "CUDA_VISIBLE_DEVICES=1"]);
    }
}
