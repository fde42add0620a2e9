//! The table of all commands: how each is taken, refused, called off, how it expires, and what becomes of it when the agent
//! or the machine dies in the middle of it. It is compared as a whole with the text beside it.

use serde_json::json;

use super::*;

const TABLE: &str = include_str!("conformance.txt");

/// The last that was told of the command.
fn end(sim: &Sim, command: &Command) -> String {
    sim.told.iter().rfind(|state| state.id == command.id).map_or_else(|| "nothing".to_owned(), show)
}

fn target(sim: &mut Sim, command: &Command) {
    // What there is to call off.
    if let Op::Cancel(_) = command.op {
        sim.now.synchronised = false;
        sim.send(&super::command(9, "reboot", &json!({})), &[1]);
        sim.now.synchronised = true;
        sim.lives = None;
    }
}

fn accepted(op: &str) -> String {
    let ((command, seeds), mut sim) = (given(op), Sim::new());
    target(&mut sim, &command);
    sim.send(&command, seeds);
    sim.run_out();
    end(&sim, &command)
}

/// With one signature less than it needs; where none is needed, for another node.
fn refused(op: &str) -> String {
    let ((mut command, seeds), mut sim) = (given(op), Sim::new());
    if seeds.is_empty() {
        command.node = "orin-4".parse().expect("a node");
    }
    sim.send(&command, &seeds[..seeds.len().saturating_sub(1)]);
    assert!(sim.deeds.is_empty() && sim.disk.iter().all(|r| !matches!(r, Record::Command(e) if e.command.is_some())));
    end(&sim, &command)
}

fn called_off(op: &str, waits: bool) -> String {
    let ((command, seeds), mut sim) = (given(op), Sim::new());
    sim.now.synchronised = !waits;
    sim.send(&command, seeds);
    if sim.core.state(command.id).is_none_or(|state| state.state.is_final()) {
        return "-".to_owned();
    }
    sim.send(&super::command(2, "cancel", &json!({"target": command.id.to_string()})), seeds);
    sim.now.synchronised = true;
    sim.happen(Event::Tick);
    sim.run_out();
    end(&sim, &command)
}

fn expired(op: &str) -> String {
    let ((command, seeds), mut sim) = (given(op), Sim::new());
    sim.pass(2 * 3600);
    sim.send(&command, seeds);
    assert!(sim.deeds.is_empty());
    end(&sim, &command)
}

fn died(op: &str, machine: bool) -> String {
    let ((command, seeds), mut sim) = (given(op), Sim::new());
    sim.send(&command, seeds);
    if sim.running.is_empty() {
        return "-".to_owned();
    }
    sim.restart(machine);
    sim.run_out();
    end(&sim, &command)
}

#[test]
fn the_table_of_all_commands() {
    let mut table = String::from(
        "command | given | one signature less | called off, waiting | called off, running | late | agent killed | power cut\n",
    );
    for op in Op::NAMES {
        let row = [
            accepted(op),
            refused(op),
            called_off(op, true),
            called_off(op, false),
            expired(op),
            died(op, false),
            died(op, true),
        ];
        table.push_str(&format!("{op} | {}\n", row.join(" | ")));
    }
    assert!(table == TABLE, "the table is now\n{table}");
}

#[test]
fn what_the_node_cannot_do_is_refused_and_nothing_else() {
    for op in Op::NAMES {
        assert_eq!(accepted(op) == "rejected not_supported", !ABLE.contains(op), "{op}");
    }
}
