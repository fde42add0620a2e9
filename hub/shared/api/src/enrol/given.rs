//! What may stand in the files that a person gives a machine before it is switched on, besides the join file. Who writes them
//! for him and the machine that takes them judge by the same rules.

mod network;
mod settings;
mod ssh;

pub use settings::settings;
pub use ssh::{SshKey, ssh_keys};

/// The longest of the files, in bytes; they hold a few lines.
pub const MAX_GIVEN: u64 = 64 * 1024;
/// The longest name of a machine.
const LONGEST_NAME: usize = 63;

/// A file's text, whatever editor wrote it.
///
/// # Errors
/// If it is none.
pub fn text(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "this is no text".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n"))
}

/// A machine's name, as far as it is one.
///
/// # Errors
/// What a name is made of.
pub fn host_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_label = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && is_label && !name.starts_with('-') && !name.ends_with('-');
    let why = "a machine's name is 1 to 63 lower-case letters, digits and hyphens, without a hyphen at its ends";
    if fits { Ok(name.to_owned()) } else { Err(why.to_owned()) }
}
