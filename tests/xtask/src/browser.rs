//! The browser check: the node's page is looked at in all its states. Then a farm is started, its demo job's ladder is read
//! by a strict parser and played to the end by hls.js in Chromium, and the farm stops without leaving a process behind. Then
//! subtitles are looked at.

mod subtitles;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{checkout::Checkout, gstreamer, npm, processes, program};

/// How long the farm may take to start and to take the job in.
const START: Duration = Duration::from_secs(120);
/// How long the farm may take to stop, before its end is forced.
const STOP: Duration = Duration::from_secs(30);
/// What precedes the page's address on the demo's output.
const PAGE: &str = "page:";

/// Runs the whole check on the programs that were built.
pub(crate) fn check(checkout: &Checkout) -> Result<()> {
    npm::install(&checkout.browser())?;
    let screenshots = checkout.leavings("browser");
    fs::create_dir_all(&screenshots).with_context(|| format!("cannot make {}", screenshots.display()))?;
    pages(checkout, "page_pictures", &["--exact", "pictures_of_all_states_are_good"], &screenshots.join("node"))?;
    pages(checkout, "hub", &["pictures::"], &screenshots.join("hub"))?;
    let node = |script: &str| {
        let mut node = Command::new("node");
        node.arg(checkout.browser().join(script));
        node
    };
    let mut reelmill = Command::new(checkout.built("reelmill"));
    reelmill.arg("demo");
    let mut demo = Demo::start(reelmill)?;
    let page = demo.page()?;
    let master = program::output(node("await-job.mjs").arg(&page))?;
    program::run(node("lint-playlists.mjs").arg(&master))?;
    program::run(node("play.mjs").arg(&page).arg(&screenshots))?;
    // The same video once more by a preset whose codec browsers decode as well.
    let av1 = program::output(node("submit.mjs").arg(&page).arg("hls-ladder-av1"))?;
    let av1 = program::output(node("await-job.mjs").arg(&av1))?;
    program::run(node("lint-playlists.mjs").arg(&av1))?;
    for master in [&master, &av1] {
        program::run(node("dash.mjs").arg(manifest_beside(master)).arg(&screenshots))?;
    }
    demo.stop()?;
    subtitles::check(checkout)
}

/// Tests that show the agent's or the hub's pages to Chromium in all their states, at a phone's and a desk's width.
fn pages(checkout: &Checkout, test: &str, which: &[&str], pictures: &Path) -> Result<()> {
    let mut cargo = checkout.cargo(&["test", "--locked", "--workspace", "--test", test]);
    cargo.args(gstreamer::features()).args(["--", "--ignored"]).args(which).env("PICTURES", pictures);
    program::run(&mut cargo)?;
    println!("pictures: {}", pictures.display());
    Ok(())
}

/// The DASH manifest beside a multivariant playlist.
fn manifest_beside(master: &str) -> String {
    master.replace("master.m3u8", "manifest.mpd")
}

/// A running `reelmill demo`. Dropped, it is ended together with all that it started.
struct Demo {
    child: Child,
    lines: Receiver<String>,
    /// Whether its end was seen.
    ended: bool,
}

impl Demo {
    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program::shown(&command)))?;
        let stdout = BufReader::new(child.stdout.take().context("its stdout is a pipe")?);
        let (sender, lines) = mpsc::channel();
        // Reads until the end even when nobody listens any more, so that the demo never waits for us.
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                println!("demo: {line}");
                let _ = sender.send(line);
            }
        });
        Ok(Self { child, lines, ended: false })
    }

    /// The address of the job's page, once the demo prints it.
    fn page(&mut self) -> Result<String> {
        let deadline = Instant::now() + START;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).with_context(|| {
                format!("`reelmill demo` printed no line `{PAGE} URL` in {} s, or ended before", START.as_secs())
            })?;
            if let Some(page) = page_in(&line) {
                return Ok(page.to_owned());
            }
        }
    }

    /// Asks the demo to stop and sees that it and all that it started are gone.
    fn stop(mut self) -> Result<()> {
        let below = processes::below(self.child.id());
        if below.len() < 2 {
            bail!("a farm is a hub and a worker, but below `reelmill demo` there are only {} processes", below.len());
        }
        let status = self.end()?;
        let left: Vec<_> = below.iter().filter_map(processes::Process::now).collect();
        left.iter().for_each(|process| drop(process.signal("KILL")));
        if !left.is_empty() {
            let names: Vec<_> = left.iter().map(|process| process.shown()).collect();
            bail!("`reelmill demo` ended but left behind: {}", names.join(", "));
        }
        if status.code().is_none() {
            bail!("`reelmill demo` did not handle SIGTERM: {status}");
        }
        println!("the demo stopped, and the {} processes below it are gone", below.len());
        Ok(())
    }

    /// Sends SIGTERM and waits for the end.
    fn end(&mut self) -> Result<ExitStatus> {
        processes::signal_pid(self.child.id(), "TERM")?;
        let deadline = Instant::now() + STOP;
        loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for `reelmill demo`")? {
                self.ended = true;
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("`reelmill demo` still runs {} s after SIGTERM", STOP.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let below = processes::below(self.child.id());
        // It cleans up after itself if it can; what it can not, ends now.
        if self.end().is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        below.iter().filter(|process| process.lives()).for_each(|process| drop(process.signal("KILL")));
    }
}

fn page_in(line: &str) -> Option<&str> {
    let address = line.trim().strip_prefix(PAGE)?.trim();
    address.starts_with("http://").then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_pages_address_in_what_the_demo_prints() {
        assert_eq!(page_in("page: http://127.0.0.1:8080/jobs/1"), Some("http://127.0.0.1:8080/jobs/1"));
        assert_eq!(page_in("  page:   http://127.0.0.1:1/jobs/1 "), Some("http://127.0.0.1:1/jobs/1"));
        assert_eq!(page_in("hub: http://127.0.0.1:8080"), None);
        assert_eq!(page_in("page: soon"), None);
    }

    fn check(script: &str, want: Result<(), &str>) {
        // A shell script plays the demo.
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        let mut demo = Demo::start(shell).expect("sh is everywhere");
        assert_eq!(demo.page().expect("the script prints it"), "http://127.0.0.1:1/jobs/1");
        let got = demo.stop().map_err(|e| e.to_string());
        match want {
            Ok(()) => assert_eq!(got, Ok(())),
            Err(part) => assert!(got.clone().is_err_and(|e| e.contains(part)), "{got:?}"),
        }
    }

    #[test]
    fn a_demo_that_takes_its_processes_along_passes() {
        check(
            "sleep 60 & a=$!; sleep 60 & b=$!; trap 'kill $a $b; wait; exit 0' TERM; \
             echo page: http://127.0.0.1:1/jobs/1; wait",
            Ok(()),
        );
    }

    #[test]
    fn a_demo_that_leaves_a_process_behind_is_refused() {
        check(
            "sleep 60 & a=$!; sleep 61 & trap 'kill $a; exit 0' TERM; echo page: http://127.0.0.1:1/jobs/1; wait",
            Err("left behind: sleep"),
        );
    }

    #[test]
    fn a_demo_without_a_hub_and_a_worker_is_refused() {
        check("echo page: http://127.0.0.1:1/jobs/1; exec sleep 60", Err("only 0 processes"));
    }
}
