//! The power is cut in every part of a change, and the disk forgets what was not synced: whatever was, the change ends, and all
//! that names a system names the same.

use reelmill_api::fleet::State;
use serde_json::json;

use crate::place::Place;

#[test]
#[ignore = "takes an hour; `cargo xtask test boot` runs it"]
fn a_change_ends_wherever_the_power_is_cut() {
    const TEST: &str = "a_change_ends_wherever_the_power_is_cut";
    const PARTS: [&str; 8] = ["preflight", "fetch", "check", "drain", "activate", "rebooting", "verifying", "commit"];
    let Some(mut place) = Place::start(TEST) else { return };
    println!("| power cut in | end | because | what is in force |\n|---|---|---|---|");
    let mut old = "old".to_owned();
    for (ctr, part) in (1..).zip(PARTS) {
        let name = format!("cut-in-{part}");
        let switch = place.switch(&place.release(&name, ""), ctr);
        let is_it = |state: &State| {
            let told = json!(state);
            told["phase"] == part || told["state"] == part || state.state.is_final()
        };
        place.told(&switch, part, is_it);
        place.cut();
        let end = place.end(&switch);
        let why = end.error.as_ref().map_or("", |fault| fault.code.as_str());
        // The machine may have booted for its way back since it was told of.
        let systems = place.until("one system everywhere", || {
            let systems = place.systems();
            systems.iter().all(|system| *system == systems[0]).then_some(systems)
        });
        println!("| {part} | {} | {why} | {} |", end.state.as_str(), systems[0]);
        let committed = end.state.as_str() == "succeeded";
        assert!(committed || matches!(end.state.as_str(), "rolled_back" | "failed"), "{part}: {end:?}");
        assert_eq!(systems[0], if committed { name.clone() } else { old.clone() }, "{part}: {:?}", place.ways(&switch));
        assert_eq!(place.record("pending"), None, "{part}");
        old.clone_from(&systems[0]);
    }
}
