//! The tags that commands gave this node and took from it: in a file of the state folder, so that they outlast a restart.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use reelmill_api::{
    fleet::args::Tags,
    preset::Tag,
    snapshot::{TAG_LAN, TAG_MESH},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Outcome, Undone};
use crate::exec::files::{self, PRIVATE};

/// The file in the state folder.
const FILE: &str = "tags.json";
/// So many tags commands may give or take: all of them together go into each message that says what the node can do.
const MOST: usize = 64;

/// What commands said of the node.
#[derive(Debug)]
pub struct SaidTags {
    path: PathBuf,
    said: Mutex<Said>,
}

/// It counts more than the settings: a tag that was taken away stays away though the settings have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Said {
    add: BTreeSet<String>,
    del: BTreeSet<String>,
}

impl SaidTags {
    /// What was said before. A file that cannot be read is told of in the log and counts as empty.
    pub fn open(state_folder: &Path) -> Self {
        let path = state_folder.join(FILE);
        let said = read(&path).unwrap_or_else(|e| {
            log::error!("cannot read {}, so tags are those of the settings: {e}", path.display());
            Said::default()
        });
        Self { path, said: Mutex::new(said) }
    }

    /// Adds to a node's tags what was given and takes from them what was taken.
    pub fn apply(&self, tags: &mut BTreeSet<String>) {
        let said = self.said();
        tags.retain(|tag| !said.del.contains(tag));
        tags.extend(said.add.iter().cloned());
    }

    /// Does what a command says; it is on the disk when this returns. The result tells all tags that `now` become.
    ///
    /// # Errors
    /// If the tags are not a command's to give or take, or the disk refuses.
    pub fn change(&self, change: &Tags, mut now: BTreeSet<String>) -> Outcome {
        check(change)?;
        let next = self.said().after(change);
        if next.add.len() + next.del.len() > MOST {
            let why = format!("commands may give and take {MOST} tags in all; take some back first");
            return Err(Undone::for_good("too_many_tags", why));
        }
        write(&self.path, &next)
            .map_err(|e| Undone::for_now("state_folder", format!("cannot write {}: {e}", self.path.display())))?;
        *self.said() = next;
        self.apply(&mut now);
        let tags = now.into_iter().map(Value::from).collect();
        Ok(Map::from_iter([("tags".to_owned(), Value::Array(tags))]))
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn after(&self, change: &Tags) -> Self {
        let mut next = self.clone();
        for tag in change.add.iter().map(Tag::as_str) {
            next.del.remove(tag);
            next.add.insert(tag.to_owned());
        }
        for tag in change.del.iter().map(Tag::as_str) {
            next.add.remove(tag);
            next.del.insert(tag.to_owned());
        }
        next
    }
}

/// A node that is in a network says so, whatever anybody commands; and one thing cannot be wanted and unwanted.
fn check(change: &Tags) -> Result<(), Undone> {
    let all = || change.add.iter().chain(&change.del);
    if let Some(tag) = all().find(|tag| [TAG_LAN, TAG_MESH].contains(&tag.as_str())) {
        let why =
            format!("the node finds out by itself whether it has `{}`; no command gives or takes it", tag.as_str());
        return Err(Undone::for_good("found_out", why));
    }
    if let Some(tag) = change.add.iter().find(|tag| change.del.contains(tag)) {
        let why = format!("`{}` is to be given and to be taken away", tag.as_str());
        return Err(Undone::for_good("contradiction", why));
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Said> {
    match fs::read(path) {
        Ok(json) => Ok(serde_json::from_slice(&json)?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Said::default()),
        Err(e) => Err(e),
    }
}

/// Replaces the file in one step, which no power cut halves.
fn write(path: &Path, said: &Said) -> io::Result<()> {
    files::replace(path, &serde_json::to_vec(said)?, PRIVATE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tags(add: &[&str], del: &[&str]) -> Tags {
        serde_json::from_value(json!({"add": add, "del": del})).expect("tags")
    }

    fn set(tags: &[&str]) -> BTreeSet<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    /// What the settings' `rack` and the found-out `lan` become.
    fn applied(said: &SaidTags) -> BTreeSet<String> {
        let mut tags = set(&["rack", "lan"]);
        said.apply(&mut tags);
        tags
    }

    #[test]
    fn what_was_said_outlasts_a_restart_and_counts_more_than_the_settings() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = SaidTags::open(folder.path());
        assert_eq!(applied(&said), set(&["rack", "lan"]));
        let result = said.change(&tags(&["fast"], &["rack"]), set(&["rack", "lan"])).expect("done");
        assert_eq!(json!(result), json!({"tags": ["fast", "lan"]}));
        let again = SaidTags::open(folder.path());
        assert_eq!(applied(&again), set(&["fast", "lan"]));
        again.change(&tags(&["rack"], &["fast"]), set(&[])).expect("done");
        assert_eq!(applied(&SaidTags::open(folder.path())), set(&["rack", "lan"]));
        let files: Vec<_> =
            fs::read_dir(folder.path()).expect("ours").map(|f| f.expect("a file").file_name()).collect();
        assert_eq!(files, [FILE], "nothing else is left");
    }

    #[test]
    fn the_same_command_twice_is_as_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = SaidTags::open(folder.path());
        let change = tags(&["fast"], &["rack"]);
        let once = said.change(&change, set(&["rack"]));
        assert_eq!(said.change(&change, set(&["rack"])), once);
    }

    fn check_refused(change: &Tags, want: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let said = SaidTags::open(folder.path());
        let undone = said.change(change, set(&[])).expect_err("refused");
        assert_eq!((undone.to_string().as_str(), undone.retry), (want, false));
        assert!(!folder.path().join(FILE).exists(), "nothing was written");
    }

    #[test]
    fn what_is_not_a_commands_to_say_is_refused() {
        let found_out = "the node finds out by itself whether it has `lan`; no command gives or takes it";
        check_refused(&tags(&[], &["lan"]), &format!("found_out: {found_out}"));
        check_refused(&tags(&["a", "mesh"], &[]), &format!("found_out: {}", found_out.replace("lan", "mesh")));
        check_refused(&tags(&["a"], &["b", "a"]), "contradiction: `a` is to be given and to be taken away");
        let many: Vec<String> = (0..=MOST).map(|n| format!("t{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let too_many = "too_many_tags: commands may give and take 64 tags in all; take some back first";
        check_refused(&tags(&many, &[]), too_many);
    }

    #[test]
    fn a_disk_that_refuses_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = SaidTags::open(&folder.path().join("gone"));
        let undone = said.change(&tags(&["fast"], &[]), set(&[])).expect_err("no such folder");
        assert_eq!((undone.code.as_str(), undone.retry), ("state_folder", true));
        assert_eq!(applied(&said), set(&["rack", "lan"]));
    }

    #[test]
    fn a_damaged_file_counts_as_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "{\"add\": [").expect("written");
        assert_eq!(applied(&SaidTags::open(folder.path())), set(&["rack", "lan"]));
    }
}
