//! A machine with firmware, a boot loader and a kernel of its own: QEMU without hardware help, a disk that is lost where it
//! was not synced when the power is cut, and a watchdog. About a minute a boot; what needs none of that uses
//! [`crate::nspawn`].

mod disk;
mod image;
mod vm;

pub use disk::{Disk, Entry, KERNEL_WORDS};
pub use image::Image;
pub use vm::{Ran, Vm};
