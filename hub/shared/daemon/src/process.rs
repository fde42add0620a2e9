//! What this process keeps from others of the same user.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Hides this process from its children and from other processes of the same user: `/proc/<pid>/environ`, `mem` and
/// `fd` belong to root then, no debugger may attach, and no core dump holds a secret. Call it first in `main`, before
/// a child can exist.
///
/// A program that is started is no longer hidden from its own user, because exec makes it dumpable again; its core
/// limit of zero stays. A child that runs as root with CAP_SYS_PTRACE can still read this process: do not run it so,
/// or confine the child.
///
/// # Errors
/// If the kernel refuses.
pub fn hide() -> std::io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;
    use crate::child::test_as_child;

    #[test]
    fn hides_the_process_and_leaves_no_core() {
        let output = test_as_child("process::tests::child_hides").output().expect("the child runs");
        assert!(output.status.success(), "{output:?}");
    }

    #[test]
    #[ignore = "started by the test above"]
    fn child_hides() {
        if !crate::child::is_child() {
            return;
        }
        hide().expect("the kernel allows it");
        assert!(matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)));
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
        use std::os::unix::fs::MetadataExt;
        let owner = std::fs::metadata("/proc/self/environ").expect("it is our own").uid();
        assert_eq!(owner, 0, "root owns a hidden process's files");
    }
}
