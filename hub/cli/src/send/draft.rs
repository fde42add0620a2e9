//! From a command line to a command, and who signs it.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use reelmill_api::{
    NodeId,
    fleet::{
        Addressee, Bounded, Class, Command, CommandId, Envelope, Op, OpName, PrivateKey, Text,
        command::{DrainFirst, Expect, Policy, Window},
        envelope::Sealed,
        topic::MAX_COMMAND,
    },
};
use reelmill_daemon::report::{Hinted, WithHint as _};
use serde_json::{Map, Value};

use super::told;
use crate::keys;

/// When and how a command is done.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Terms {
    /// How long it may wait for its start, e.g. 90s, 15m, 24h; at most 720h
    #[arg(long, value_name = "TIME", default_value = "1h")]
    r#for: SignedDuration,
    /// The first moment at which it may start, e.g. 2026-11-22T20:00:00Z
    #[arg(long, value_name = "WHEN")]
    not_before: Option<Timestamp>,
    /// How many seconds it may take once begun
    #[arg(long, value_name = "SECONDS", value_parser = bounded::<1, 86_400>)]
    ttl: Option<Bounded<1, 86_400>>,
    /// Who gives it; by default the name you are logged in with
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    by: Text<128>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<Text<256>>,
    /// Do not wait for the node's maintenance window
    #[arg(long)]
    ignore_window: bool,
    /// Do not let work finish first
    #[arg(long, conflicts_with = "drain")]
    skip_drain: bool,
    /// Let work finish for so many seconds only
    #[arg(long, value_name = "SECONDS", value_parser = bounded::<0, 86_400>)]
    drain: Option<Bounded<0, 86_400>>,
    /// Do it though the worker is at work
    #[arg(long)]
    force: bool,
    /// Have the node only tell what it would do
    #[arg(long)]
    rehearse: bool,
}

impl Terms {
    /// The command to `node` on these terms, given at `now`.
    pub(super) fn command(
        &self,
        node: Addressee,
        name: &OpName,
        args: &Map<String, Value>,
        now: Timestamp,
        random: [u8; 10],
    ) -> anyhow::Result<Command> {
        // Whole seconds, so that a person can read them.
        let issued_at = Timestamp::from_second(now.as_second()).context("this clock is out of its mind")?;
        let op = Op::parse(name, Value::Object(args.clone()))
            .hint(format!("operations are {}", Op::NAMES.join(", ")))
            .with_context(|| format!("`{name}` is no command"))?;
        let drain = match self.drain {
            _ if self.skip_drain => DrainFirst::Skip,
            Some(_) => DrainFirst::Deadline,
            None => DrainFirst::Wait,
        };
        let window = if self.ignore_window { Window::Ignore } else { Window::Next };
        let command = Command {
            id: CommandId::new(now, random),
            op,
            node,
            issued_at,
            not_before: self.not_before,
            exp: issued_at.checked_add(self.r#for).context("--for is too long")?,
            ttl_s: self.ttl,
            by: self.by.clone(),
            reason: self.reason.clone(),
            rollout: None,
            rollout_doc: None,
            policy: Policy { window, drain, drain_s: self.drain, force: self.force, dry_run: self.rehearse },
            expect: Expect::default(),
            crit: Vec::new(),
        };
        // A node would refuse it in the same words.
        Ok(Command::parse(&command.to_payload())?)
    }
}

/// Ten random bytes for an id.
pub(super) fn random() -> anyhow::Result<[u8; 10]> {
    let mut random = [0; 10];
    keys::draw(&mut random)?;
    Ok(random)
}

/// The message: signed by all keys, bare where there are none and none is needed.
pub(super) fn sealed(command: &Command, keys: &[PrivateKey]) -> anyhow::Result<Vec<u8>> {
    if keys.is_empty() {
        if command.op.class() == Class::Unsigned {
            return Ok(command.to_payload());
        }
        let hint = "name your key with --sign FILE; `reelmill keys new FILE` makes one";
        return Err(Hinted::new(format!("`{}` must be signed", command.op.as_str()), hint).into());
    }
    let mut envelope = command.to_envelope();
    keys.iter().try_for_each(|key| envelope.sign(key))?;
    Ok(envelope.to_message())
}

/// Refuses what every node would for want of signatures.
pub(super) fn is_signed_enough(command: &Command, message: &[u8]) -> anyhow::Result<()> {
    let signed = match Sealed::parse(message)? {
        Sealed::Signed(envelope) => envelope.claimed_keys().count(),
        Sealed::Bare(_) => 0,
    };
    is_signed_by_enough(&command.op, signed)
}

/// The same, by the count of signatures.
pub(super) fn is_signed_by_enough(op: &Op, signed: usize) -> anyhow::Result<()> {
    if op.class() == Class::Two && signed < 2 {
        let error = format!("`{}` needs two signatures", op.as_str());
        let hint = "name a second key by --sign, or print it with --sign-only, have a second person add theirs with \
                    --add-signature, and send that with --file";
        return Err(Hinted::new(error, hint).into());
    }
    Ok(())
}

/// The command of a message that --sign-only or --add-signature printed, and its node.
pub(super) fn prepared(message: &[u8]) -> anyhow::Result<(NodeId, Command)> {
    let sealed = Sealed::parse(message).context("this is not what --sign-only printed")?;
    let command = Command::parse(sealed.payload()).context("this holds no command")?;
    is_signed_enough(&command, message)?;
    match &command.node {
        Addressee::Node(node) => Ok((node.clone(), command)),
        Addressee::Group(tag) => anyhow::bail!("this is for all nodes tagged {}, and not for one node", tag.as_str()),
    }
}

/// The same envelope with more signatures, and what is in it, to the last field. What cannot be told is not signed.
pub(super) fn signed_again(message: &[u8], keys: &[PrivateKey]) -> anyhow::Result<(Envelope, String)> {
    let mut envelope = Envelope::parse(message).context("this is not what --sign-only printed")?;
    let told = told::envelope(&envelope)?;
    keys.iter().try_for_each(|key| envelope.sign(key))?;
    Ok((envelope, told))
}

/// A message in a file; `-` is standard input.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut message = Vec::new();
    let most = MAX_COMMAND as u64 + 1;
    if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut message).context("cannot read standard input")?;
    } else {
        let open = fs::File::open(file).and_then(|open| open.take(most).read_to_end(&mut message));
        open.with_context(|| format!("cannot read {}", file.display()))?;
    }
    // A file ends with a line's end.
    message.truncate(message.trim_ascii_end().len());
    Ok(message)
}

/// `NAME=VALUE` of a command line.
pub(super) fn pair(word: &str) -> Result<(String, Value), String> {
    let (name, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not NAME=VALUE"))?;
    let value = match value.strip_prefix('@') {
        Some(file) => {
            let text = fs::read_to_string(file).map_err(|e| format!("cannot read {file}: {e}"))?;
            serde_json::from_str(&text).map_err(|e| format!("{file} is not JSON: {e}"))?
        }
        None => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
    };
    Ok((name.to_owned(), value))
}

fn bounded<const LEAST: u32, const MOST: u32>(word: &str) -> Result<Bounded<LEAST, MOST>, String> {
    word.parse::<u32>().map_err(|e| e.to_string())?.try_into()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::send::Args;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn command(line: &str) -> anyhow::Result<Command> {
        let args = Line::try_parse_from(["send"].into_iter().chain(line.split(' ')))?.args;
        let (to, op) = (args.to.context("a node")?, args.op.context("an operation")?);
        let now = "2026-11-22T10:00:00.5Z".parse().expect("a time");
        args.terms.command(to, &op, &args.args.into_iter().collect(), now, [1; 10])
    }

    fn check(line: &str, want: &str) {
        let got =
            command(line).map_or_else(|e| reelmill_daemon::report::render(&*e), |command| told::command(&command));
        assert!(got.contains(want), "{line}\n  got {got}\n want {want}");
    }

    #[test]
    fn a_line_becomes_a_command() {
        check(
            "orin-3 reboot --by anna --reason kernel --for 15m",
            "reboot {} on orin-3, given by anna (kernel), may start until 2026-11-22T10:15:00Z; it needs one signature",
        );
        check(
            "orin-3 logs-tail unit=reelmill-worker.service lines=50",
            r#"{"lines":50,"unit":"reelmill-worker.service"}"#,
        );
        check("orin-3 poweroff confirm=orin-3", "it needs two signatures");
        check("orin-3 tags add=[\"lan\"]", r#"{"add":["lan"],"del":[]}"#);
        check("@lan ping nonce=x", "ping {\"nonce\":\"x\"} on @lan");
        let policy = command("orin-3 reboot --drain 600 --force --ignore-window").expect("a command").policy;
        assert_eq!((policy.drain, policy.force, policy.window), (DrainFirst::Deadline, true, Window::Ignore));
    }

    #[test]
    fn a_wrong_line_is_told_before_anything_is_signed() {
        check("orin-3 shell", "there is no operation `shell`");
        check("orin-3 shell", "hint: operations are ping, status");
        check("orin-3 poweroff confirm=orin-4", "confirm is not the name of the node");
        check("orin-3 logs-tail unit=a.service lines=501", "501 is not between 1 and 500");
        check("orin-3 reboot --for 721h", "more than 30 days");
        check("orin-3 reboot now", "is not NAME=VALUE");
        check("Orin reboot", "cannot name a node");
        check("orin-3", "<OP>");
        check("--add-signature a.json", "--sign");
    }

    #[test]
    fn two_people_sign_the_same_bytes() {
        let keys = [1, 2].map(|seed| PrivateKey::from_seed(&[seed; 32]));
        let command = command("orin-3 poweroff confirm=orin-3").expect("a command");
        let first = sealed(&command, &keys[..1]).expect("signed");
        let error = prepared(&first).expect_err("one is not enough");
        assert_eq!(error.to_string(), "`poweroff` needs two signatures");
        let (second, told) = signed_again(&first, &keys[1..]).expect("signed again");
        assert_eq!(prepared(&second.to_message()).expect("two are").1, command);
        assert!(told.starts_with(&told::command(&command)) && told.contains("\"drain\": \"wait\""), "{told}");
        assert!(keys.iter().all(|key| second.is_signed_by(&key.public())));
        let error = signed_again(&second.to_message(), &keys[1..]).expect_err("she has signed it");
        assert!(error.to_string().contains("has signed this already"), "{error}");
        assert!(signed_again(b"{}", &keys[1..]).is_err() && sealed(&command, &[]).is_err());
        let mut other = Envelope::unsigned("text/plain", command.to_payload());
        other.sign(&keys[0]).expect("not yet");
        let error = signed_again(&other.to_message(), &keys[1..]).expect_err("what cannot be told is not signed");
        assert!(error.to_string().contains("`text/plain`, which is neither"), "{error}");
    }
}
