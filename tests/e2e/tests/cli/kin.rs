//! The processes of one command, and what can be seen of them from outside: words, environment, listening sockets.

use std::{collections::BTreeSet, fs, net::SocketAddrV4};

use reelmill_e2e::processes::{Process, children};
use reelmill_lab::programs::{Running, eventually};

/// Every process below one.
pub(crate) fn below(pid: u32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        let of = children(parent);
        parents.extend(of.iter().map(|p| p.pid));
        found.extend(of);
    }
    found
}

/// Waits until these programs, among others, run below a command; all that do.
pub(crate) fn wait_for(running: &Running, names: &[&str]) -> Vec<Process> {
    eventually("the programs", || {
        let all = below(running.pid());
        names.iter().all(|name| all.iter().any(|p| p.name == *name)).then_some(all)
    })
}

/// The one with that name.
pub(crate) fn named<'a>(processes: &'a [Process], name: &str) -> &'a Process {
    processes.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no {name} among {processes:?}"))
}

/// Waits until none of them runs any more.
pub(crate) fn all_end(processes: &[Process]) {
    eventually("the end of all processes", || (!processes.iter().any(Process::is_alive)).then_some(()));
}

/// The words and the environment of a process, as far as the kernel shows them.
pub(crate) fn words_and_environment(pid: u32) -> String {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    String::from_utf8_lossy(&[read("cmdline"), read("environ")].concat()).into_owned()
}

/// The addresses on which these processes listen, which must all be of version 4.
pub(crate) fn listening(processes: &[Process]) -> BTreeSet<SocketAddrV4> {
    let files: Vec<_> = processes.iter().flat_map(Process::open_files).collect();
    let ours = |inode: &str| files.iter().any(|f| f.as_os_str() == format!("socket:[{inode}]").as_str());
    let sockets = |table: &str| -> Vec<String> {
        let text = fs::read_to_string(table).unwrap_or_default();
        let rows = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        // 0A is the state of a socket that listens; the inode is the tenth field.
        rows.filter(|f| f[3] == "0A" && ours(f[9])).map(|f| f[1].to_owned()).collect()
    };
    assert_eq!(sockets("/proc/net/tcp6"), [""; 0], "nothing listens on version 6");
    sockets("/proc/net/tcp").iter().map(|address| parse(address)).collect()
}

/// An address as the kernel writes it: `0100007F:1F90` is 127.0.0.1:8080 on a machine whose least byte comes first.
fn parse(address: &str) -> SocketAddrV4 {
    let (ip, port) = address.split_once(':').expect("an address and a port");
    let ip = u32::from_str_radix(ip, 16).expect("hexadecimal");
    SocketAddrV4::new(ip.to_ne_bytes().into(), u16::from_str_radix(port, 16).expect("hexadecimal"))
}
