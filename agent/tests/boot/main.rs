//! Machines with firmware, boot loader and kernel of their own, and a disk that forgets what was not synced. They take
//! minutes, so they are a step of their own: `cargo xtask test boot`.

mod machines;
