//! What goes wrong is told in plain words, with what to do.

use reelmill_lab::programs::output;

use crate::fleet::{Fleet, Said};

#[test]
fn an_unsigned_command_is_not_sent_and_a_stranger_s_is_rejected() {
    let fleet = Fleet::start();
    let _node = fleet.simulate(&["orin-3"], 0);
    let check = |words: &str, code: i32, out: &str, err: &str| {
        let want = Said { code: Some(code), out: out.to_owned(), err: err.to_owned() };
        assert_eq!(fleet.send(words), want, "{words}");
    };
    check(
        "orin-3 drain",
        1,
        "",
        "error: `drain` must be signed\nhint: name your key with --sign FILE; `reelmill keys new FILE` makes one\n",
    );
    let eve = fleet.send("orin-3 undrain --sign eve.key");
    assert_eq!(eve.code, Some(3), "{eve:?}");
    assert!(eve.out.starts_with("orin-3: rejected, bad_signature: "), "{eve:?}");
    assert!(
        eve.err.ends_with("hint: does the node's trust.json name your key? `reelmill keys show FILE` shows its name\n"),
        "{eve:?}"
    );
    check(
        "orin-4 ping",
        1,
        "",
        "error: nobody named orin-4 has ever told of itself at 127.0.0.1:PORT\n\
         hint: is the name right? and may your certificate read what nodes tell at this broker?\n",
    );
    check(
        "@attic ping",
        1,
        "",
        "error: no node tagged attic has told of itself at 127.0.0.1:PORT\nhint: tags are shelf\n",
    );
    check(
        "--follow orin-3 01M81B5H80NENTQAXBNENTQAXB",
        1,
        "",
        "error: nothing is known of ID on orin-3\n\
         hint: it has ended and was cleared, or was too late to start, or was never given\n",
    );
}

#[test]
fn a_broker_that_does_not_want_us_is_told_with_what_to_look_at() {
    let mut fleet = Fleet::start();
    let stranger = fleet.broker.stranger("hub");
    let mut command = fleet.command("orin-3 ping");
    command.env("REELMILL_BROKER_CERT", stranger.cert).env("REELMILL_BROKER_KEY", stranger.key);
    let said = fleet.said(&output(command, ""));
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.err,
        "error: no connection to the broker at 127.0.0.1:PORT: the broker refuses our certificate (UnknownCA)\n\
         hint: is it of an authority that the broker trusts, and has it not expired or been revoked?\n"
    );
    fleet.broker.kill();
    let gone = fleet.send("orin-3 ping");
    assert!(gone.err.contains("Connection refused") && gone.err.contains("hint: is the broker running?"), "{gone:?}");
}
