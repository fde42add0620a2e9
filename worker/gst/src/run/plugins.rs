//! Only the plug-ins of the order are loaded: a media process may write no registry and need not read two hundred
//! libraries, and no demuxer or network source but those listed can be reached.

use std::path::{Path, PathBuf};

use gstreamer::Plugin;
use reelmill_gst::Order;

/// Loads them; those that are missing or do not load, with the reason.
pub(super) fn load(order: &Order) -> Vec<String> {
    order.plugins.iter().filter_map(|name| load_one(&order.plugin_folders, name).err()).collect()
}

fn load_one(folders: &[PathBuf], name: &str) -> Result<(), String> {
    let file = format!("libgst{name}.so");
    let found = folders.iter().map(|folder| folder.join(&file)).find(|path| path.exists());
    let path = found.ok_or_else(|| format!("{file} is in none of the plug-in folders"))?;
    load_file(&path).map_err(|e| format!("{} does not load: {e}", path.display()))
}

fn load_file(path: &Path) -> Result<(), gstreamer::glib::Error> {
    Plugin::load_file(path).map(|_| ())
}
