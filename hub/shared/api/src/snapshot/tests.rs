//! What a snapshot is on the wire, and what follows from it.

use super::*;

fn rail(name: &str, milliwatts: Option<u64>) -> Rail {
    Rail { name: name.to_owned(), milliwatts, ..Rail::default() }
}

#[test]
fn what_is_not_known_is_not_written() {
    let mut snapshot = Snapshot { taken_at: "2026-01-02T03:04:05Z".to_owned(), ..Snapshot::default() };
    snapshot.node.id = "orin-3".to_owned();
    snapshot.engines.push(Engine { name: "nvenc0".to_owned(), ..Engine::default() });
    let text = serde_json::to_string(&snapshot).expect("a snapshot is JSON");
    assert!(!text.contains("null"), "{text}");
    assert!(text.contains(r#""engines":[{"name":"nvenc0","on":false}]"#), "{text}");
    assert_eq!(serde_json::from_str::<Snapshot>(&text).ok(), Some(snapshot));
}

#[test]
fn a_node_of_another_version_is_understood() {
    assert_eq!(serde_json::from_str::<Snapshot>("{}").ok(), Some(Snapshot::default()));
    let newer = r#"{"new":1,"node":{"board":{"family":"toaster"}},"gpus":[{"throttled":["moonlight","hardware"]}]}"#;
    let read: Snapshot = serde_json::from_str(newer).expect("unknown words are no error");
    assert_eq!(read.node.board.family, BoardFamily::Unknown);
    assert_eq!(read.gpus[0].throttled, Some(vec![ThrottleReason::Other, ThrottleReason::Hardware]));
}

#[test]
fn reasons_are_called_the_same_everywhere() {
    for reason in ThrottleReason::ALL {
        assert_eq!(serde_json::to_value(reason).ok(), Some(reason.as_str().into()));
    }
}

#[test]
fn a_board_draws_what_its_first_rail_says_or_all_together() {
    let drawn = |rails: &[Rail]| Snapshot { rails: rails.to_vec(), ..Snapshot::default() }.board_milliwatts();
    assert_eq!(drawn(&[rail("VDD_SOC", Some(7)), rail("VDD_IN", Some(50))]), Some(50));
    assert_eq!(drawn(&[rail("VDD_SOC", Some(7)), rail("VIN_SYS_5V0", Some(5)), rail("VDD_IN", None)]), Some(12));
    assert_eq!((drawn(&[rail("VDD_IN", None)]), drawn(&[])), (None, None));
}

#[test]
fn the_hottest_of_all_is_told_with_its_name() {
    let heat = |name: &str, celsius| Temperature { name: name.to_owned(), celsius, ..Temperature::default() };
    let gpu = Gpu { name: "NVIDIA L4".to_owned(), temperature_celsius: Some(58.0), ..Gpu::default() };
    let mut snapshot = Snapshot { temperatures: vec![heat("cpu", 50.0), heat("tj", 61.5)], ..Snapshot::default() };
    snapshot.gpus = vec![gpu];
    assert_eq!(snapshot.hottest(), Some(("tj", 61.5)));
    snapshot.temperatures.clear();
    assert_eq!(snapshot.hottest(), Some(("NVIDIA L4", 58.0)));
    assert_eq!(Snapshot::default().hottest(), None);
}
