//! A hub as a process on a farm's store and queue, and what people type to it.

use std::process::{Command, Output, Stdio};

use reelmill_e2e::Farm;
use reelmill_lab::{
    programs::{Running, command, eventually, free_port, output, program, store_settings},
    s3::BUCKET,
};
use serde_json::Value;

/// The hub; killed when dropped.
pub(crate) struct Hub {
    pub(crate) port: u16,
    _running: Running,
}

impl Hub {
    pub(crate) fn start(farm: &Farm) -> Self {
        let port = free_port();
        let mut hub = command("reelmill-hub");
        hub.arg("serve").args(["--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(farm.folder.path().join("hub"));
        hub.envs(store_settings(&farm.store)).env("QUEUE_URL", farm.queue_url()).env("PRESET_FOLDER", farm.presets());
        hub.env("INPUT_BUCKET", BUCKET).env("OUTPUT_BUCKET", BUCKET).stderr(Stdio::null());
        let hub = Self { port, _running: Running::start(hub) };
        eventually("the hub", || {
            hub.try_curl(&["/v1/health"]).is_some_and(|health| health["ok"] == true).then_some(())
        });
        hub
    }

    /// What the hub answers to `curl` with these words; the first is the path.
    pub(crate) fn curl(&self, words: &[&str]) -> Value {
        self.try_curl(words).unwrap_or_else(|| panic!("{words:?}: no JSON"))
    }

    fn try_curl(&self, words: &[&str]) -> Option<Value> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", &format!("http://127.0.0.1:{}{}", self.port, words[0])]).args(&words[1..]);
        serde_json::from_slice(&output(curl, b"").stdout).ok()
    }

    /// Submits a job; its id.
    pub(crate) fn submit(&self, input: &str, preset: &str) -> String {
        let body = format!(r#"{{"input":"{input}","preset":"{preset}"}}"#);
        let job = self.curl(&["/v1/jobs", "--json", &body]);
        job["id"].as_str().unwrap_or_else(|| panic!("{job}")).to_owned()
    }

    pub(crate) fn job(&self, id: &str) -> Value {
        self.curl(&[&format!("/v1/jobs/{id}")])
    }

    /// Waits until the job is in this state.
    pub(crate) fn until(&self, id: &str, state: &str) -> Value {
        eventually(&format!("job {id} to be {state}"), || {
            let job = self.job(id);
            (job["state"] == state).then_some(job)
        })
    }

    /// Runs a script in which `reelmill` speaks to this hub.
    pub(crate) fn run(&self, script: &str) -> Output {
        let folder = program("reelmill");
        let path = format!("{}:{}", folder.parent().expect("a folder").display(), env!("PATH"));
        let before = format!("reelmill() {{ command reelmill \"$@\" --hub http://127.0.0.1:{}; }}\n", self.port);
        let mut bash = Command::new("bash");
        bash.args(["-euc", &(before + script)]).env_clear().env("PATH", path);
        output(bash, b"")
    }

    /// What it prints, if it ends well.
    pub(crate) fn good(&self, script: &str) -> String {
        let ran = self.run(script);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(ran.status.success(), "{script}: {}{}", text(&ran.stdout), text(&ran.stderr));
        text(&ran.stdout)
    }
}
