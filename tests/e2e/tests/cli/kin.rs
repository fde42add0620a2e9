//! The processes of one command, and what can be seen of them from outside: words, environment, listening sockets.

use std::{collections::BTreeMap, fs, net::SocketAddrV4};

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

/// The addresses on which these processes listen, which must all be of version 4, each with the number of its socket.
pub(crate) fn listening(processes: &[Process]) -> BTreeMap<SocketAddrV4, String> {
    let files: Vec<_> = processes.iter().flat_map(Process::open_files).collect();
    let ours = |inode: &str| files.iter().any(|f| f.as_os_str() == format!("socket:[{inode}]").as_str());
    let of = |table: &str| sockets(table).into_iter().filter(|(_, inode)| ours(inode)).collect::<Vec<_>>();
    assert_eq!(of("/proc/net/tcp6"), [], "nothing listens on version 6");
    of("/proc/net/tcp").into_iter().map(|(address, inode)| (parse(&address), inode)).collect()
}

/// Those of these sockets that are still open. Their ports may be others' by now.
pub(crate) fn still_open(of: &BTreeMap<SocketAddrV4, String>) -> Vec<String> {
    let open = sockets("/proc/net/tcp");
    open.into_iter().filter(|(_, inode)| of.values().any(|own| own == inode)).map(|(address, _)| address).collect()
}

/// All sockets of a table of the kernel's that listen: address and inode.
fn sockets(table: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(table).unwrap_or_default();
    let rows = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // 0A is the state of a socket that listens; the inode is the tenth field.
    rows.filter(|f| f[3] == "0A").map(|f| (f[1].to_owned(), f[9].to_owned())).collect()
}

/// An address as the kernel writes it: `0100007F:1F90` is 127.0.0.1:8080 on a machine whose least byte comes first.
fn parse(address: &str) -> SocketAddrV4 {
    let (ip, port) = address.split_once(':').expect("an address and a port");
    let ip = u32::from_str_radix(ip, 16).expect("hexadecimal");
    SocketAddrV4::new(ip.to_ne_bytes().into(), u16::from_str_radix(port, 16).expect("hexadecimal"))
}
