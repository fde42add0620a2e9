//! The decisions as tables: every step, every part, every boot.

use super::*;
use crate::exec::system::record::Standing;

const ID: &str = "01M81B5H80NENTQAXBNENTQAXB";
const OTHER: &str = "01M81B5H80NENTQAXBNENTQAXC";

fn path(name: &str) -> StorePath {
    format!("/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-{name}").parse().expect("a path")
}

fn id(text: &str) -> CommandId {
    text.parse().expect("an id")
}

fn change(step: Step, way: Way) -> Pending {
    Pending {
        by: By::Command(id(ID)),
        old: path("old"),
        new: path("new"),
        old_generation: Some(1),
        new_generation: None,
        made_generation: false,
        release_ctr: Some(7),
        way: Some(way),
        step,
        boot_id: Some("first".to_owned()),
        deadline_s: 900,
    }
}

fn undoing(loader: bool) -> Step {
    Step::Undoing { why: "it hangs".to_owned(), bad: true, loader }
}

fn facts(boot_id: &str, booted: &str) -> Facts {
    Facts {
        current: Some(path(booted)),
        booted: Some(path(booted)),
        generation: Some((1, path("old"))),
        boot_id: boot_id.to_owned(),
    }
}

/// `do`, `over`, `begin`, or the code of the refusal.
fn word(next: Result<Next, Undone>) -> String {
    match next {
        Ok(Next::Do(_)) => "do".to_owned(),
        Ok(Next::Over) => "over".to_owned(),
        Ok(Next::Begin) => "begin".to_owned(),
        Err(undone) => undone.code,
    }
}

const PARTS: [Phase; 6] = [Phase::Preflight, Phase::Fetch, Phase::Check, Phase::Activate, Phase::Commit, Phase::Undo];

#[test]
fn each_part_at_each_step() {
    let table = [
        (Step::Begun, "begin do out_of_order out_of_order out_of_order do"),
        (Step::Fetched, "begin do do out_of_order out_of_order do"),
        (Step::Checked, "over do do do out_of_order do"),
        (Step::Activating, "over over over do out_of_order do"),
        (Step::Active, "over over over over do do"),
        (Step::Committing, "over over over over do do"),
        (undoing(false), "rolled_back rolled_back rolled_back rolled_back rolled_back do"),
    ];
    for (step, want) in table {
        let change = change(step, Way::Live);
        let got = PARTS.map(|part| word(next(part, id(ID), Some(&change), &Standing::default()))).join(" ");
        assert_eq!(got, want, "{:?}", change.step);
    }
}

#[test]
fn each_part_without_a_change_of_its_own() {
    let check = |pending: Option<&Pending>, standing: &Standing, want: &str| {
        let got = PARTS.map(|part| word(next(part, id(OTHER), pending, standing))).join(" ");
        assert_eq!(got, want, "{pending:?} {standing:?}");
    };
    let none = Standing::default();
    check(None, &none, "begin not_begun not_begun not_begun not_begun over");
    check(Some(&change(Step::Fetched, Way::Live)), &none, "begin not_begun not_begun not_begun not_begun over");
    check(Some(&change(Step::Active, Way::Live)), &none, "busy not_begun not_begun not_begun not_begun over");
    let ended = |undone: Option<&str>| {
        let ended = Ended { id: id(OTHER), undone: undone.map(str::to_owned) };
        Standing { ended: Some(ended), ..Standing::default() }
    };
    check(None, &ended(None), "over over over over over committed");
    check(None, &ended(Some("it hangs")), "rolled_back rolled_back rolled_back rolled_back rolled_back over");
}

#[test]
fn a_boot_ends_a_change_or_goes_on_with_its_trial() {
    let undo = |bad| Some(bad);
    let check = |step: Step, way, boot: &str, booted: &str, want: &str, bad: Option<bool>| {
        let change = change(step, way);
        let got = after_boot(&change, &facts(boot, booted));
        let (word, got_bad) = match got {
            AfterBoot::Nothing => ("nothing", None),
            AfterBoot::Arm => ("arm", None),
            AfterBoot::Finish => ("finish", None),
            AfterBoot::Undo { bad, .. } => ("undo", Some(bad)),
        };
        assert_eq!((word, got_bad), (want, bad), "{:?} {way:?} {boot} {booted}", change.step);
    };
    for step in [Step::Begun, Step::Fetched, Step::Checked] {
        check(step, Way::Live, "second", "old", "nothing", None);
    }
    for step in [Step::Activating, Step::Active, Step::Committing, undoing(true)] {
        check(step, Way::Boot, "first", "old", "nothing", None);
    }
    check(Step::Activating, Way::Live, "second", "old", "undo", undo(true));
    check(Step::Activating, Way::Boot, "second", "old", "undo", undo(false));
    check(Step::Active, Way::Live, "second", "old", "undo", undo(true));
    check(Step::Active, Way::Boot, "second", "old", "undo", undo(true));
    check(Step::Active, Way::Boot, "second", "third", "undo", undo(true));
    check(Step::Active, Way::Boot, "second", "new", "arm", None);
    check(undoing(true), Way::Boot, "second", "new", "arm", None);
    check(undoing(true), Way::Boot, "second", "old", "undo", undo(true));
    check(Step::Committing, Way::Boot, "second", "new", "finish", None);
    check(Step::Committing, Way::Live, "second", "old", "undo", undo(false));
}

#[test]
fn a_dead_man_undoes_only_what_nobody_confirmed() {
    let fire = |step| on_fire(&change(step, Way::Live));
    for step in [Step::Begun, Step::Fetched, Step::Checked] {
        assert_eq!(fire(step), OnFire::Nothing);
    }
    let late = OnFire::Undo("nobody confirmed the new system within 900 s".to_owned());
    assert_eq!([fire(Step::Activating), fire(Step::Active)], [late.clone(), late]);
    assert_eq!(fire(Step::Committing), OnFire::Finish);
    assert_eq!(fire(undoing(false)), OnFire::Undo("it hangs".to_owned()));
}

#[test]
fn the_way_back_depends_on_how_far_it_went() {
    use Back::{Activate, ClearOneShot, DropGeneration, Loader, Profile, Reboot, StopActivation};
    let live = change(undoing(false), Way::Live);
    let boot = Pending { new_generation: Some(2), made_generation: true, ..change(undoing(true), Way::Boot) };
    let back = |change: &Pending, facts: &Facts| way_back(change, facts);
    assert_eq!(back(&live, &facts("first", "old")), [StopActivation, Activate]);
    assert_eq!(back(&live, &facts("second", "old")), [], "the boot has done it");
    assert_eq!(back(&boot, &facts("first", "old")), [StopActivation, ClearOneShot, DropGeneration(2), Loader]);
    assert_eq!(back(&boot, &facts("second", "new")), [DropGeneration(2), Loader, Reboot]);
    assert_eq!(back(&boot, &facts("third", "old")), [DropGeneration(2), Loader]);
    // A commit that went half way.
    let half = change(Step::Committing, Way::Live).undoing("the loader refuses", true);
    let moved = Facts { generation: Some((2, path("new"))), ..facts("first", "old") };
    assert_eq!(back(&half, &moved), [StopActivation, Profile, Loader, Activate]);
    // By hand: the profile has moved, and the boot loader knows.
    let hand = Pending { by: By::Hand, ..change(Step::Active, Way::Live) }.undoing("the agent is gone", true);
    assert_eq!(back(&hand, &moved), [StopActivation, Profile, Loader, Activate]);
    let hand = Pending { by: By::Hand, ..change(Step::Active, Way::Boot) }.undoing("the agent is gone", true);
    let booted = Facts { booted: Some(path("new")), ..moved };
    assert_eq!(back(&hand, &booted), [StopActivation, ClearOneShot, Profile, Loader, Reboot]);
    assert_eq!(back(&change(Step::Active, Way::Live), &booted), [], "nobody said so");
}

#[test]
fn a_change_that_is_undone_keeps_its_first_reason() {
    let first = change(Step::Active, Way::Live).undoing("first", false);
    assert_eq!(first.clone().undoing("second", true), first);
}
