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

/// What the agent reaches its broker by, where [`by_way`] put it.
pub(crate) const WAY: &str = "way.service";

/// A worker that finds no fault with any settings but thirteen tasks at once, nor with its machine unless `/run/doctor-fails` is
/// there, and does not start with seven, or where it is broken.
const STAND_IN: &str = "#!/bin/sh
case \"$*\" in
    *check-config) [ \"$CONCURRENCY\" != 13 ] || { echo 'thirteen at once?' >&2; exit 1; }; exit 0;;
    *doctor*) [ -e /run/doctor-fails ] || { echo '{\"findings\":[]}'; exit 0; }
        echo '{\"findings\":[{\"state\":\"missing\",\"what\":\"encoders\"}]}'; exit 1;;
esac
[ \"$CONCURRENCY\" != 7 ] && [ ! -e /run/worker-is-broken ] || exit 1
echo up > /run/worker/well
trap 'touch /run/worker/drains' USR1
trap 'rm -f /run/worker/drains' USR2
trap 'exit 0' TERM
systemd-notify --ready
while :; do sleep infinity & wait; done\n";
const UNIT: &str = "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/bin/reelmill-worker\n\
                    ExecStopPost=/usr/bin/rm -f /run/worker/well\nRuntimeDirectory=worker\n\
                    Environment=CONCURRENCY=1\nEnvironmentFile=-/var/lib/reelmill-exec/worker.env\n";
/// Where such a worker tells how it is: who asks gets an answer while it is of use. It has a task in work while there is
/// `/run/busy`.
const STATUS: &str = "#!/bin/sh
while read -r line && [ \"${#line}\" -gt 1 ]; do :; done
[ -e /run/worker/well ] || exit 0
[ -e /run/worker/drains ] && state=draining || state=ready
[ ! -e /run/busy ] || task='{\"job\":\"018f5b6e-7c1a-7e3b-9d2f-4a5b6c7d8e9f\",\"attempt\":1,\"preset\":\"proxy\",\"input\":\"s3://media/a.mp4\",\"progress\":{\"frame\":1,\"frames_expected\":9,\"fps\":1.0,\"speed\":1.0}}'
printf 'HTTP/1.0 200 OK\\r\\n\\r\\n%s' '{\"node\":\"shelf-1\",\"reelmill\":\"1\",\"pid\":7,\"state\":\"'$state'\",\"engines\":[],\"presets\":[],\"concurrency\":1,\"running\":['$task'],\"published\":0,\"failed\":0}'\n";
const STATUS_UNIT: &str = "[Service]\nExecStart=-/usr/bin/worker-status\nStandardInput=socket\nStandardOutput=socket\n";

/// The machine as a node of that broker, on the host's network; `helper` are more settings of the root helper.
pub(crate) fn at_broker(setup: Setup, broker: &Mosquitto, helper: &str) -> Setup {
    let (port, page) = (free_port(), free_port());
    let identity = broker.identity(NODE);
    let text = |path: &Path| std::fs::read_to_string(path).expect("the broker's folder");
    let folder = "/etc/reelmill";
    let settings = format!(
        "node = \"{NODE}\"\n[page]\nlisten = [\"127.0.0.1:{page}\"]\n[worker]\nstatus = \"http://127.0.0.1:{port}/status\"\n\
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
        (
            "exec.env",
            format!(
                "CLOCK_IS_RIGHT=true\nREELMILL_NODE={NODE}\nAGENT_STATUS=http://127.0.0.1:{page}/api/status\n{helper}"
            ),
        ),
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

/// The same node, which reaches its broker through a program of its own, `WAY`. While that is stopped by a signal nothing comes
/// through and nothing is closed, as in a network that drops in silence all that it is given.
pub(crate) fn by_way(setup: Setup, broker: &Mosquitto) -> Setup {
    let port = free_port();
    setup
        .unit("way.socket", &format!("[Socket]\nListenStream=127.0.0.1:{port}\n"))
        .unit(WAY, &format!("[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd 127.0.0.1:{}\n", broker.fleet))
        .enabled("way.socket")
        .file(
            &format!("/etc/systemd/system/{AGENT}.d/way.conf"),
            &format!("[Service]\nEnvironment=BROKER_PORT={port}\n"),
        )
}
