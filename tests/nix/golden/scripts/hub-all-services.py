# What the tests do with a farm, before each test's own script.
import json
import shlex

SECRETS = "/var/lib/reelmill-hub/secrets"
HOST = "/var/lib/reelmill-host"


def start_hub():
    hub.start()
    hub.wait_for_unit("reelmill-hub.service")
    hub.wait_until_succeeds("curl -sf http://127.0.0.1:7700/v1/health")


def write(machine, path, text, owner="root"):
    machine.succeed(f"install -D -m 0600 -o {owner} /dev/null {path}")
    machine.succeed(f"printf %s {shlex.quote(text)} > {path}")


def equip(node):
    """Gives a node what its worker needs of the hub."""
    node.wait_for_unit("multi-user.target")
    node.succeed(f"install -d -m 0755 {HOST}")
    write(node, f"{HOST}/worker.env", hub.succeed(f"cat {SECRETS}/worker.env"))
    node.succeed("systemctl restart --no-block reelmill-worker")
    node.wait_for_unit("reelmill-worker.service")


def appoint():
    """Makes an operator with two keys, whom nodes that come in from now on obey."""
    hub.succeed("mkdir -p /root/.config/reelmill")
    for name in ["anna", "release", "safe"]:
        hub.succeed(f"reelmill keys new /root/.config/reelmill/{name}.key")
    hub.succeed(
        "cd /root/.config/reelmill && reelmill keys trust operator=anna.key.pub release=release.key.pub "
        "admin=safe.key.pub > /var/lib/reelmill-hub/trust.json"
    )
    hub.succeed("chown reelmill-hub: /var/lib/reelmill-hub/trust.json && systemctl restart reelmill-hub")
    hub.wait_until_succeeds("curl -sf http://127.0.0.1:7700/v1/health")
    fleet = "/var/lib/reelmill-hub/fleet"
    operator = (
        f'broker = "hub"\nca = "{fleet}/ca.pem"\ncert = "{fleet}/hub.pem"\nkey = "{fleet}/hub.key"\n'
        'sign = ["anna.key", "release.key"]\n'
    )
    write(hub, "/root/.config/reelmill/operator.toml", operator)


def enrol(node, name):
    """Brings a node into the farm with a join file."""
    node.wait_for_unit("reelmill-agent.service")
    join = hub.succeed(
        "runuser -u reelmill-hub -- reelmill-hub token join --config /etc/reelmill/hub.toml "
        f"--hub https://hub:7443 --node {name}"
    )
    node.succeed(f"install -d -m 0755 {HOST}")
    write(node, f"{HOST}/join.toml", join, owner="reelmill-agent")
    node.succeed("systemctl restart reelmill-agent")
    hub.wait_until_succeeds(f"curl -sf http://127.0.0.1:7700/v1/nodes/{name} | jq -e '.state | IN(\"up\", \"degraded\")'")


def send(words, code=0):
    """Commands nodes as an operator, and waits for the end."""
    got, out = hub.execute(f"reelmill send {words} 2>&1", timeout=900)
    assert got == code, f"reelmill send {words}: {got} instead of {code}: {out}"
    return out


def clip(name, seconds):
    """Makes a source on the hub."""
    hub.succeed(
        f"ffmpeg -v error -f lavfi -i testsrc2=size=1280x720:rate=25:duration={seconds} "
        f"-f lavfi -i sine=duration={seconds} -c:v libx264 -preset ultrafast -c:a aac -shortest /tmp/{name}"
    )


def submit(name):
    """Has the hub take a job; its id."""
    out = hub.succeed(f"reelmill submit /tmp/{name} --hub http://127.0.0.1:7700 --no-wait")
    word, job = out.split(":")[0].split()
    assert word == "job", out
    return job


def state(job):
    return json.loads(hub.succeed(f"curl -sf http://127.0.0.1:7700/v1/jobs/{job}"))["state"]


def await_state(job, wanted):
    hub.wait_until_succeeds(f"curl -sf http://127.0.0.1:7700/v1/jobs/{job} | jq -e '.state == \"{wanted}\"'", timeout=900)


start_hub()
hub.wait_for_unit("garage.service")
hub.wait_for_unit("redis-reelmill.service")
hub.wait_for_unit("postgresql.service")
hub.wait_for_unit("openbao.service")
hub.wait_for_unit("mosquitto.service")
hub.wait_for_unit("docker-registry.service")
hub.wait_for_unit("prometheus.service")
hub.wait_for_unit("alertmanager.service")
hub.wait_for_unit("grafana.service")

with subtest("each answers"):
    hub.wait_until_succeeds(f"redis-cli -a $(cat {SECRETS}/queue-password) ping | grep PONG")
    hub.wait_until_succeeds("runuser -u reelmill-hub -- psql -c 'select 1'")
    hub.wait_until_succeeds("curl -sf http://127.0.0.1:8200/v1/sys/health | jq -e '.sealed == false'")
    hub.wait_until_succeeds("curl -sf http://127.0.0.1:5000/v2/")
    hub.wait_until_succeeds("curl -sf http://127.0.0.1:3000/api/health | jq -e '.database == \"ok\"'")

with subtest("all that Prometheus watches is up"):
    hub.wait_until_succeeds(
        "curl -sf 'http://127.0.0.1:9090/api/v1/query?query=up' "
        "| jq -e '.data.result | length > 0 and all(.value[1] == \"1\")'"
    )

with subtest("a backup is made, and nobody but its owner reads it"):
    hub.succeed("systemctl start reelmill-hub-backup.service")
    hub.succeed("ls /var/lib/backup | grep .")
    hub.fail("runuser -u nobody -- ls /var/lib/backup")

with subtest("no secret is readable by others"):
    hub.fail(f"runuser -u nobody -- ls {SECRETS}")
    hub.fail(f"grep -rqF $(cat {SECRETS}/queue-password) /etc /run/current-system/etc 2>/dev/null")
