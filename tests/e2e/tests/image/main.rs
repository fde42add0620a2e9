//! `reelmill image` beside the tools that others have: what it writes into a boot partition they read and find clean, what
//! they wrote it shows, and real block devices are written whole or not at all.

mod configure;
mod flash;
mod inspect;
mod made;
