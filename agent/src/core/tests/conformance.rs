//! The table of all commands: how each is taken, refused, called off, how it expires, and what becomes of it when the agent
//! or the machine dies at any moment of it. It is made by playing all of that, and compared with the document that shows it.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::json;

use super::*;

/// The document, from the package's folder.
const DOCUMENT: &str = "../docs/operate/conformance.md";
/// The variable that has the document written anew.
const WRITE: &str = "CONFORMANCE";

const HEAD: &str = "# Every command, and every way that it can go

Made by the agent's tests; do not edit. Each cell was played: a command was given to a node in memory, and the cell says all
ends that it came to. `CONFORMANCE=write cargo test -p reelmill-agent --lib conformance` writes this anew, and without that
word the same test fails where this is out of date.

- *given*: with the signatures that it needs, and all goes well.
- *refused*: with one signature less than it needs; where it needs none, for another node.
- *called off, waiting* and *at work*: by `cancel`, before it begins, and at each of its parts. What is too far stays its course.
- *late*: it came after its `exp`.
- *agent killed* and *power cut*: after each single thing that the agent does for it (a record in the ledger, a message, a
  deed), then started again.
- *on real systems*: the tests that give it to an agent as a service of a real systemd, or at a real Mosquitto.

`at once`: there is no such moment, for it ends in the step in which it begins.

";

/// Where a command is given to an agent on real systems: file and test below `agent/tests`.
const SHOWN: &[(&str, &str, &str)] = &[
    ("ping", "broker/taken", "answers_requests_where_it_may_and_nowhere_else"),
    ("status", "broker/taken", "tells_what_has_changed"),
    ("diag", "systemd/small", "a_diagnosis_comes_to_the_store_without_secrets"),
    ("logs-tail", "systemd/small", "a_journal_is_followed_and_the_newest_lines_are_the_result"),
    ("tags", "systemd/small", "tags_outlast_the_agent_and_are_told"),
    ("drain", "broker/taken", "a_command_is_told_of_from_its_acceptance_to_its_end_and_then_cleared"),
    ("batch", "systemd/small", "a_batch_has_the_settings_of_its_command_and_outlives_the_agent"),
    ("batch", "systemd/small", "a_batch_is_stopped_at_its_limit_or_when_it_is_called_off"),
    ("power-mode", "broker/helper", "a_part_is_asked_for_again_when_the_helper_dies_in_it"),
    ("switch", "broker/helper", "a_switch_is_asked_for_part_by_part_and_undone_where_there_is_no_worker"),
    ("trust", "broker/helper", "new_keys_are_on_the_agents_disk_once_the_helper_has_them"),
    ("reboot", "broker/lost", "a_reboot_is_done_when_the_node_is_back_in_another_boot"),
    ("cancel", "systemd/small", "a_batch_is_stopped_at_its_limit_or_when_it_is_called_off"),
];

/// What a `cancel` calls off.
fn target() -> Command {
    command(9, "reboot", &json!({}))
}

/// A node to which that operation can be given: where it calls off another, that one waits.
fn node_for(op: &str) -> Sim {
    let mut sim = Sim::new();
    if op == "cancel" {
        sim.now.synchronised = false;
        sim.send(&target(), &[1]);
        sim.now.synchronised = true;
    }
    sim
}

/// The last that was told of the command.
fn end(sim: &Sim, command: &Command) -> String {
    sim.told.iter().rfind(|state| state.id == command.id).map_or_else(|| "nothing".to_owned(), show)
}

fn accepted(op: &str) -> String {
    let ((command, seeds), mut sim) = (given(op), node_for(op));
    sim.send(&command, seeds);
    sim.run_out();
    end(&sim, &command)
}

fn refused(op: &str) -> String {
    let ((mut command, seeds), mut sim) = (given(op), Sim::new());
    if seeds.is_empty() {
        command.node = "orin-4".parse().expect("a node");
    }
    sim.send(&command, &seeds[..seeds.len().saturating_sub(1)]);
    assert!(sim.deeds.is_empty() && sim.disk.iter().all(|r| !matches!(r, Record::Command(e) if e.command.is_some())));
    end(&sim, &command)
}

/// Called off after so many of its deeds have ended; `None` where it has ended before that.
fn called_off(op: &str, deeds: Option<usize>) -> Option<String> {
    let ((command, seeds), mut sim) = (given(op), Sim::new());
    sim.now.synchronised = deeds.is_some();
    sim.send(&command, seeds);
    for _ in 0..deeds.unwrap_or_default() {
        if sim.running.contains_key(&command.id) {
            sim.go_on(command.id);
        }
    }
    sim.core.state(command.id).filter(|state| !state.state.is_final())?;
    sim.send(&super::command(2, "cancel", &json!({"target": command.id.to_string()})), seeds);
    sim.now.synchronised = true;
    sim.happen(Event::Tick);
    sim.run_out();
    Some(end(&sim, &command))
}

fn expired(op: &str) -> String {
    let ((command, seeds), mut sim) = (given(op), Sim::new());
    sim.pass(2 * 3600);
    sim.send(&command, seeds);
    assert!(sim.deeds.is_empty());
    end(&sim, &command)
}

/// Dead after so many effects, alone or with the machine, then started again; `None` if all was over before.
fn died(op: &str, effects: usize, machine: bool) -> Option<String> {
    let ((command, seeds), mut sim) = (given(op), node_for(op));
    sim.lives = Some(effects);
    sim.send(&command, seeds);
    while !sim.is_dead() {
        let id = sim.running.keys().next().copied()?;
        let (boot, lives) = (sim.boot, sim.lives);
        sim.go_on(id);
        if sim.boot != boot {
            // A machine that came back took the count with it.
            sim.lives = lives;
        }
    }
    // What was told to go down before the death goes down, whether the agent still knows or not.
    let down = |deed: &Deed| matches!(deed, Deed::Perform { op: Op::Reboot(_) | Op::Poweroff(_), .. });
    let down = sim.running.values().any(|(deed, _)| down(deed));
    if seeds.is_empty() {
        // What is only answered is answered again, and nobody remembers the first answer.
        sim.told.clear();
    }
    sim.restart(machine || down);
    sim.run_out();
    Some(end(&sim, &command))
}

/// All ends at `0`, `1` and so on, until there is none.
fn ends(at: impl Fn(usize) -> Option<String>) -> String {
    let ends: BTreeSet<String> = (0..1000).map_while(at).collect();
    if ends.is_empty() { "at once".to_owned() } else { ends.into_iter().collect::<Vec<_>>().join(" or ") }
}

fn shown(op: &str) -> String {
    let of = SHOWN.iter().filter(|(of, ..)| *of == op);
    of.map(|(_, file, test)| format!("`{file}`: {}", test.replace('_', " "))).collect::<Vec<_>>().join("; ")
}

fn table() -> String {
    let columns = [
        "command",
        "given",
        "refused",
        "called off, waiting",
        "called off, at work",
        "late",
        "agent killed",
        "power cut",
        "on real systems",
    ];
    let mut table = format!("{HEAD}| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for op in Op::NAMES {
        let row = [
            format!("`{op}`"),
            accepted(op),
            refused(op),
            called_off(op, None).unwrap_or_else(|| "at once".to_owned()),
            ends(|deeds| called_off(op, Some(deeds))),
            expired(op),
            ends(|effects| died(op, effects, false)),
            ends(|effects| died(op, effects, true)),
            shown(op),
        ];
        table.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    table
}

#[test]
fn the_table_of_all_commands_is_the_documents() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let table = table();
    if std::env::var_os(WRITE).is_some_and(|word| word == "write") {
        fs::write(&path, &table).expect("the documents can be written");
    }
    let document = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        document == table,
        "docs/operate/conformance.md is out of date; look at what has changed, and write it anew by\n\
         {WRITE}=write cargo test -p reelmill-agent --lib conformance\n\n{table}"
    );
}

#[test]
fn the_tests_that_the_table_names_are_there() {
    for (op, file, test) in SHOWN {
        assert!(Op::NAMES.contains(op), "{op}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{file}.rs"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(text.contains(&format!("fn {test}()")), "{file} has no test {test}");
    }
}

#[test]
fn what_the_node_cannot_do_is_refused_and_nothing_else() {
    for op in Op::NAMES {
        assert_eq!(accepted(op) == "rejected not_supported", !ABLE.contains(op), "{op}");
    }
}

/// Whatever happens, a command ends; the ends of each column are of a closed list.
#[test]
fn every_cell_is_an_end() {
    for op in Op::NAMES {
        for machine in [false, true] {
            for end in ends(|effects| died(op, effects, machine)).split(" or ") {
                let word = end.split(' ').next().unwrap_or_default();
                assert!(["succeeded", "failed", "rejected", "rolled_back", "expired"].contains(&word), "{op}: {end}");
            }
        }
    }
}
