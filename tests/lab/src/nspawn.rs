//! Machines with a real systemd as their first process: a Debian root under an overlay of each test's own, booted by
//! systemd-nspawn in half a second. What a machine leaves on its disk stays for its next boot; the rest ends with it.

mod bridge;
mod cgroup;
mod machine;
mod root;
mod setup;

pub use bridge::Bridge;
pub use machine::{Ended, Machine};
pub use setup::Setup;
