//! One job through `reelmill-worker one`: the task goes in as a line, events come out as lines.

use std::{path::Path, process::ExitStatus, process::Stdio, time::Duration};

use reelmill_api::{ErrorKind, Event, EventBody, Failure, Report, Task};
use reelmill_daemon::Shutdown;
use tokio::{
    io::AsyncWriteExt,
    process::{ChildStdout, Command},
    sync::mpsc::{self, UnboundedReceiver},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    last_words::LastWords,
    place::Placed,
    programs::Program,
    running::{LAST_BYTES, Running, each_line},
    screen::{Meter, Screen},
};

/// How long a worker may take to hand back what it does, or to end once it told the outcome.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// The command for one job, allowed to read and write no more than that job needs.
pub(crate) fn command(program: &Program, config: Option<&Path>, source: &Placed, target: &Placed) -> Command {
    let mut command = program.command();
    command.arg("one").stdout(Stdio::piped());
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    for (variable, placed) in [("REELMILL_FILE_ROOTS", source), ("REELMILL_OUTPUT_ROOTS", target)] {
        match &placed.root {
            Some(root) => command.env(variable, root),
            None => command.env_remove(variable),
        };
    }
    command
}

/// Runs the job and shows its progress. A wish to stop is passed on once; an order to stop kills.
pub(crate) async fn run(
    name: &'static str,
    mut command: Command,
    task: &Task,
    screen: &Screen,
    meter: Meter,
    shutdown: &Shutdown,
) -> Result<Report, Failure> {
    let cannot = |e: std::io::Error| failure(ErrorKind::Infrastructure, format!("cannot start {name}: {e}"));
    let mut worker = Running::start(name, &mut command, screen).map_err(cannot)?;
    let stdout = worker.take_stdout().expect("the command pipes it");
    let mut outcome = Outcome { meter, result: None };
    give(&mut worker, task).await;
    let status = attend(&mut worker, read_events(stdout), &mut outcome, screen, shutdown).await;
    let asked = shutdown.graceful().is_cancelled();
    match outcome.result {
        Some(Err(called_off)) if asked && called_off.kind == ErrorKind::Canceled => Err(stopped()),
        Some(result) => result,
        None if asked => Err(stopped()),
        None => Err(untold(name, status, worker.last_words())),
    }
}

/// The task as one line. The pipe stays open: the worker ends when it closes, however we end. A worker that does not
/// take the line has died, and its end says why.
async fn give(worker: &mut Running, task: &Task) {
    let mut line = task.to_message();
    line.push(b'\n');
    if let Some(stdin) = worker.stdin() {
        let _ = stdin.write_all(&line).await;
        let _ = stdin.flush().await;
    }
}

/// Stays with the worker until it ended, and hears all that it told.
async fn attend(
    worker: &mut Running,
    mut events: UnboundedReceiver<Event>,
    outcome: &mut Outcome,
    screen: &Screen,
    shutdown: &Shutdown,
) -> Option<ExitStatus> {
    let far = Instant::now() + Duration::from_secs(60 * 60 * 24 * 365);
    let (mut asked, mut deadline) = (false, far);
    let status = loop {
        tokio::select! {
            Some(event) = events.recv() => if outcome.hear(event.body) {
                deadline = deadline.min(Instant::now() + GRACE);
            },
            status = worker.ended() => break status.ok(),
            () = shutdown.graceful().cancelled(), if !asked => {
                screen.note("stopping; Ctrl-C again to stop at once");
                worker.ask_to_end();
                asked = true;
                deadline = deadline.min(Instant::now() + GRACE);
            }
            () = shutdown.forced().cancelled() => break worker.kill().await,
            () = sleep_until(deadline) => break worker.kill().await,
        }
    };
    while let Ok(Some(event)) = timeout(LAST_BYTES, events.recv()).await {
        outcome.hear(event.body);
    }
    status
}

/// The events on a worker's standard output; what is none is passed over, so that a newer worker may say more.
fn read_events(stdout: ChildStdout) -> UnboundedReceiver<Event> {
    let (tell, events) = mpsc::unbounded_channel();
    tokio::spawn(each_line(stdout, move |line| {
        if let Ok(event) = serde_json::from_slice(line) {
            // Nobody listens any more: the rest does not matter.
            let _ = tell.send(event);
        }
    }));
    events
}

/// What is known of the job so far.
struct Outcome {
    meter: Meter,
    result: Option<Result<Report, Failure>>,
}

impl Outcome {
    /// Takes an event in; whether it was the last word.
    fn hear(&mut self, event: EventBody) -> bool {
        match event {
            EventBody::Started => {}
            EventBody::Progress { progress } => self.meter.show(&progress),
            EventBody::Done { report } => self.result = Some(Ok(*report)),
            EventBody::Failed { failure, .. } => self.result = Some(Err(failure)),
        }
        self.result.is_some()
    }
}

/// The failure of a job that we were asked to stop.
fn stopped() -> Failure {
    failure(ErrorKind::Canceled, "stopped before the output was published".to_owned())
}

/// The failure of a worker that ended without a last word.
fn untold(name: &str, status: Option<ExitStatus>, words: Option<LastWords>) -> Failure {
    if let Some(words) = words {
        let failure = failure(ErrorKind::Infrastructure, words.error);
        return if words.hints.is_empty() { failure } else { failure.hint(words.hints.join("; ")) };
    }
    let ended = status.map_or("status unknown".to_owned(), |s| s.to_string());
    failure(ErrorKind::Bug, format!("{name} ended without saying what became of the job ({ended})"))
        .hint(format!("REELMILL_LOG=debug shows more of what {name} does"))
}

fn failure(kind: ErrorKind, message: String) -> Failure {
    Failure::new(kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::a_report;

    const TASK: &str =
        r#"{"job":"018f3c5e-0000-7000-8000-000000000001","input":"file:///v/a.mp4","preset":"hls-ladder"}"#;

    /// What becomes of a job whose worker is that shell script.
    async fn run_script(script: &str, shutdown: &Shutdown) -> Result<Report, Failure> {
        let program = Program::shell();
        let nowhere = Placed { location: "s3://media/a".parse().expect("a location"), root: None };
        let mut command = program.command();
        command.args(["-c", script]).stdout(Stdio::piped());
        let given = super::command(&program, None, &nowhere, &nowhere);
        assert_eq!(given.as_std().get_args().collect::<Vec<_>>(), ["one"]);
        let task = serde_json::from_str(TASK).expect("a task");
        let screen = Screen::stderr();
        run(program.name(), command, &task, &screen, screen.meter("a test"), shutdown).await
    }

    fn event(body: EventBody) -> String {
        let (job, attempt) = (a_report().job, a_report().attempt);
        let event = Event { job, attempt, node: "here".to_owned(), body };
        serde_json::to_string(&event).expect("plain data")
    }

    #[tokio::test]
    async fn gives_the_task_and_takes_the_report() {
        let done = event(EventBody::Done { report: Box::new(a_report()) });
        // The script checks its input and would stay silent, were it another.
        let script = format!(
            "read x; case $x in *hls-ladder*) echo 'not json'; echo '{{\"event\":\"new\"}}'; echo '{done}';; esac"
        );
        assert_eq!(run_script(&script, &Shutdown::new()).await, Ok(a_report()));
    }

    #[tokio::test]
    async fn takes_the_failure_whatever_the_exit_status() {
        let failure = Failure::new(ErrorKind::BadSource, "a.mp4 is empty").hint("upload it again");
        let failed = event(EventBody::Failed { failure: failure.clone(), retry_in_seconds: None });
        assert_eq!(run_script(&format!("echo '{failed}'; exit 0"), &Shutdown::new()).await, Err(failure));
    }

    #[tokio::test]
    async fn a_worker_that_dies_in_silence_is_told_with_its_status() {
        let failure = run_script("exit 9", &Shutdown::new()).await.expect_err("no outcome");
        assert_eq!(failure.message, "sh ended without saying what became of the job (exit status: 9)");
        let telling = "echo 'error: w.toml:1:1: no' >&2; echo 'hint: yes' >&2; exit 1";
        let failure = run_script(telling, &Shutdown::new()).await.expect_err("no outcome");
        assert_eq!(failure.lines(), "w.toml:1:1: no\nhint: yes");
        let failure = run_script("kill -9 $$", &Shutdown::new()).await.expect_err("no outcome");
        assert_eq!(failure.message, "sh ended without saying what became of the job (signal: 9 (SIGKILL))");
    }

    #[tokio::test]
    async fn a_wish_to_stop_is_passed_on() {
        let shutdown = Shutdown::new();
        shutdown.begin();
        let failure = run_script("read x; read y", &shutdown).await.expect_err("stopped");
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (ErrorKind::Canceled, "stopped before the output was published")
        );
    }

    #[tokio::test]
    async fn what_is_published_while_stopping_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ready = folder.path().join("ready");
        let done = event(EventBody::Done { report: Box::new(a_report()) });
        let script = format!(
            "publish() {{ echo '{done}'; exit 0; }}; trap publish TERM; : > {}; while :; do sleep 0.01; done",
            ready.display()
        );
        let shutdown = Shutdown::new();
        let begin = async {
            while !ready.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            shutdown.begin();
        };
        let (result, ()) = tokio::join!(run_script(&script, &shutdown), begin);
        assert_eq!(result, Ok(a_report()));
    }

    #[tokio::test]
    async fn an_order_to_stop_kills() {
        let shutdown = Shutdown::new();
        shutdown.force();
        let failure = run_script("trap '' TERM; while :; do read x; done", &shutdown).await.expect_err("killed");
        assert_eq!(failure.kind, ErrorKind::Canceled);
    }

    #[test]
    fn the_worker_may_use_only_the_folders_of_its_job() {
        let placed = |path: &str| Placed {
            location: format!("file://{path}/a").parse().expect("a location"),
            root: Some(path.into()),
        };
        let store = Placed { location: "s3://media/a".parse().expect("a location"), root: None };
        let config = Path::new("w.toml");
        let command = command(&Program::shell(), Some(config), &placed("/in"), &placed("/out"));
        let variable = |command: &Command, name: &str| {
            let found = command.as_std().get_envs().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.map(|v| v.to_string_lossy().into_owned()))
        };
        assert_eq!(command.as_std().get_args().collect::<Vec<_>>(), ["one", "--config", "w.toml"]);
        assert_eq!(variable(&command, "REELMILL_FILE_ROOTS"), Some(Some("/in".to_owned())));
        assert_eq!(variable(&command, "REELMILL_OUTPUT_ROOTS"), Some(Some("/out".to_owned())));
        let command = super::command(&Program::shell(), None, &store, &store);
        assert_eq!(variable(&command, "REELMILL_FILE_ROOTS"), Some(None));
        assert_eq!(variable(&command, "REELMILL_OUTPUT_ROOTS"), Some(None));
    }
}
