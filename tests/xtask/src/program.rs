//! Other programs: whether they are here, running them, becoming them.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};

/// Whether a program of that name is on the PATH.
pub(crate) fn on_path(name: &str) -> bool {
    let executable = |file: &Path| file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| executable(&folder.join(name)))
}

/// Where Debian keeps servers and tools for disks, and looks for root alone.
const SYSTEM: &str = "/usr/sbin";

/// Starts this program again with the system's programs on the PATH, last of all, if they are not: what it starts finds them too.
pub(crate) fn reach_system_programs() -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let Some(longer) = with_system(&path, Path::new(SYSTEM).is_dir())? else { return Ok(()) };
    let mut again = Command::new(env::current_exe().context("cannot find this program")?);
    become_it(again.args(env::args_os().skip(1)).env("PATH", longer)).map(|_: ExitCode| ())
}

fn with_system(path: &OsStr, is_there: bool) -> Result<Option<OsString>> {
    let mut folders: Vec<_> = env::split_paths(path).collect();
    if !is_there || folders.iter().any(|folder| folder == Path::new(SYSTEM)) {
        return Ok(None);
    }
    folders.push(SYSTEM.into());
    Ok(Some(env::join_paths(folders).context("the PATH cannot be made longer")?))
}

/// Whether the command runs and exits 0, with nothing shown of it.
pub(crate) fn answers(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs the command with our terminal and fails unless it exits 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs the command and gives what it prints, without the white space around it; its stderr goes to our terminal.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !done.status.success() {
        bail!("{} failed: {}", shown(command), done.status);
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Becomes the command, so that its signals, terminal and exit code are its own. Returns only if it can not.
pub(crate) fn become_it(command: &mut Command) -> Result<ExitCode> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", shown(command)))
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_programs_are_put_last_once_and_only_where_there_are_some() {
        let with = |path: &str, is_there| with_system(OsStr::new(path), is_there).expect("a path");
        assert_eq!(with("/home/a/bin:/usr/bin", true), Some("/home/a/bin:/usr/bin:/usr/sbin".into()));
        assert_eq!(with("/usr/bin:/usr/sbin", true), None);
        assert_eq!(with("/run/current-system/sw/bin", false), None);
    }

    #[test]
    fn finds_only_what_can_be_run() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-here"));
    }

    #[test]
    fn a_failed_program_is_shown_with_its_arguments_and_status() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).expect_err("it exits 3");
        assert_eq!(error.to_string(), "sh -c exit 3 failed: exit status: 3");
        let error = output(&mut Command::new("no-such-program-here")).expect_err("there is none");
        assert_eq!(error.to_string(), "cannot start no-such-program-here");
    }
}
