//! A machine with all that Reelmill installs on a node, a stand-in for the worker, and a place at a broker.

use std::path::Path;

use reelmill_lab::{mosquitto::Mosquitto, nspawn::Setup, programs::free_port};

use crate::hub::trust;

/// The node's name.
pub(crate) const NODE: &str = "shelf-1";
/// The agent's unit.
pub(crate) const AGENT: &str = "reelmill-agent.service";
/// The worker's unit.
pub(crate) const WORKER: &str = "reelmill-worker.service";

/// A worker that finds no fault with any settings but thirteen tasks at once, and does not start with seven, or where it is
/// broken.
const STAND_IN: &str = "#!/bin/sh
case \"$*\" in
    *check-config) [ \"$CONCURRENCY\" != 13 ] || { echo 'thirteen at once?' >&2; exit 1; }; exit 0;;
    *doctor*) echo '{\"findings\":[]}'; exit 0;;
esac
[ \"$CONCURRENCY\" != 7 ] && [ ! -e /run/worker-is-broken ] || exit 1
echo up > /run/worker/well
systemd-notify --ready
exec sleep infinity\n";
const UNIT: &str = "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/bin/reelmill-worker\n\
                    ExecStopPost=/usr/bin/rm -f /run/worker/well\nRuntimeDirectory=worker\n\
                    Environment=CONCURRENCY=1\nEnvironmentFile=-/var/lib/reelmill-exec/worker.env\n";
/// Where such a worker tells how it is: who asks gets an answer while it is of use.
const STATUS: &str = "#!/bin/sh
while read -r line && [ \"${#line}\" -gt 1 ]; do :; done
[ -e /run/worker/well ] || exit 0
printf 'HTTP/1.0 200 OK\\r\\n\\r\\n%s' '{\"node\":\"shelf-1\",\"reelmill\":\"1\",\"pid\":7,\"state\":\"ready\",\"engines\":[],\"presets\":[],\"concurrency\":1,\"running\":[],\"published\":0,\"failed\":0}'\n";
const STATUS_UNIT: &str = "[Service]\nExecStart=-/usr/bin/worker-status\nStandardInput=socket\nStandardOutput=socket\n";

/// The machine as a node of that broker, on the host's network; `helper` are more settings of the root helper.
pub(crate) fn at_broker(setup: Setup, broker: &Mosquitto, helper: &str) -> Setup {
    let port = free_port();
    let identity = broker.identity(NODE);
    let text = |path: &Path| std::fs::read_to_string(path).expect("the broker's folder");
    let folder = "/etc/reelmill";
    let settings = format!(
        "node = \"{NODE}\"\n[page]\nlisten = [\"127.0.0.1:0\"]\n[worker]\nstatus = \"http://127.0.0.1:{port}/status\"\n\
         [broker]\nhost = \"127.0.0.1\"\nport = {}\nca = \"{folder}/ca.pem\"\ncert = \"{folder}/cert.pem\"\n\
         key = \"{folder}/key.pem\"\ntrust = \"{folder}/trust.json\"\nclock_is_right = true\n",
        broker.fleet
    );
    let status = format!(
        "[Socket]\nListenStream=127.0.0.1:{port}\nAccept=yes\nMaxConnections=256\n\
         TriggerLimitIntervalSec=0\nPollLimitIntervalSec=0\n"
    );
    let files = [
        ("agent.toml", settings),
        ("exec.env", format!("CLOCK_IS_RIGHT=true\nREELMILL_NODE={NODE}\n{helper}")),
        ("ca.pem", text(&broker.ca())),
        ("cert.pem", text(&identity.cert)),
        ("key.pem", text(&identity.key)),
        ("trust.json", String::from_utf8(trust().to_payload()).expect("JSON")),
    ];
    let setup =
        files.into_iter().fold(setup, |setup, (name, content)| setup.file(&format!("{folder}/{name}"), &content));
    setup
        .host_network()
        .program("reelmill-agent")
        .program("reelmill-exec")
        .unit(AGENT, include_str!("../../units/reelmill-agent.service"))
        .unit("reelmill-exec.service", include_str!("../../units/reelmill-exec.service"))
        .unit("reelmill-exec.socket", include_str!("../../units/reelmill-exec.socket"))
        .unit("reelmill-examine@.service", include_str!("../../units/reelmill-examine@.service"))
        .unit("reelmill-exec-check.service", include_str!("../../units/reelmill-exec-check.service"))
        .file("/usr/share/polkit-1/rules.d/reelmill-agent.rules", include_str!("../../units/reelmill-agent.rules"))
        .file("/usr/lib/sysusers.d/reelmill-agent.conf", include_str!("../../units/reelmill-agent.sysusers"))
        .script("/usr/bin/reelmill-worker", STAND_IN)
        .unit(WORKER, UNIT)
        .script("/usr/bin/worker-status", STATUS)
        .unit("status@.service", STATUS_UNIT)
        .unit("status.socket", &status)
        .enabled(AGENT)
        .enabled("reelmill-exec.socket")
        .enabled("status.socket")
}
