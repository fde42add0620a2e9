//! A rollout: one signed document from which the command of each of its nodes follows, so that who gives them needs no key.

use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    fleet::{
        Addressee, Command, Envelope, PrivateKey, Rollout, RolloutId, envelope,
        rollout::{Abort, Nodes, Waves},
    },
};
use reelmill_daemon::report::Hinted;

use super::{draft, errand::Errand, post::Known};

/// How fast a rollout goes, and when it stops: for whoever gives the commands.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Pace {
    /// Print a signed rollout instead: what each of the nodes shall do, on one person's word, or two people's
    #[arg(long, requires = "sign_only")]
    rollout: bool,
    /// How many nodes go first and alone
    #[arg(long, value_name = "NODES", default_value_t = 1, requires = "rollout")]
    canaries: u32,
    /// For how many seconds these are watched before the others follow
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "rollout")]
    soak: u32,
    /// The most nodes that begin in a minute
    #[arg(long, value_name = "NODES", default_value_t = 10, requires = "rollout")]
    per_minute: u32,
    /// The most nodes that are not at work at once
    #[arg(long, value_name = "NODES", default_value_t = 1, requires = "rollout")]
    unavailable: u32,
    /// The share of nodes that must succeed, percent; with more failures it ends
    #[arg(long, value_name = "PERCENT", default_value_t = 90, requires = "rollout", value_parser = clap::value_parser!(u32).range(0..=100))]
    success: u32,
}

impl Pace {
    /// Whether it is one.
    pub(super) fn is_asked_for(&self) -> bool {
        self.rollout
    }

    /// The rollout of which that is a node's command.
    pub(super) fn rollout(&self, of: Command, now: Timestamp, random: [u8; 10]) -> anyhow::Result<Rollout> {
        let Command { op, node, issued_at, not_before, exp, ttl_s, by, reason, policy, crit, .. } = of;
        let to = match node {
            Addressee::Node(node) => Nodes::Nodes(vec![node]),
            Addressee::Group(tag) => Nodes::Tag(tag),
        };
        let waves = Waves {
            canaries: self.canaries,
            soak_s: self.soak,
            max_per_min: self.per_minute,
            max_unavailable: self.unavailable,
            success_pct: self.success,
            abort: vec![Abort { state: None, min_executed: 1, pct: 101 - self.success }],
        };
        let id = RolloutId::new(now, random);
        let rollout =
            Rollout { id, issued_at, not_before, exp, by, reason, to, seed: None, op, ttl_s, policy, crit, waves };
        // A node would refuse it in the same words.
        Ok(Rollout::parse(rollout.to_envelope().payload())?)
    }
}

/// The rollout, signed by all keys.
pub(super) fn sealed(rollout: &Rollout, keys: &[PrivateKey]) -> anyhow::Result<Vec<u8>> {
    if keys.is_empty() {
        let hint = "name your key with --sign FILE; `reelmill keys new FILE` makes one";
        return Err(Hinted::new("a rollout must be signed", hint).into());
    }
    let mut envelope = rollout.to_envelope();
    keys.iter().try_for_each(|key| envelope.sign(key))?;
    Ok(envelope.to_message())
}

/// A rollout that was signed before, and those of its nodes that are meant: all where none is named.
pub(super) struct Prepared {
    rollout: Rollout,
    signed: Envelope,
    only: Vec<NodeId>,
}

impl Prepared {
    /// That of a message, if it is one.
    ///
    /// # Errors
    /// If it is none that a node would obey, or it is not for the nodes that are named.
    pub(super) fn of(message: &[u8], only: &[NodeId]) -> anyhow::Result<Option<Self>> {
        let Ok(signed) = Envelope::parse(message) else { return Ok(None) };
        if signed.kind() != envelope::ROLLOUT {
            return Ok(None);
        }
        let rollout = Rollout::parse(signed.payload())?;
        draft::is_signed_by_enough(&rollout.op, signed.claimed_keys().count())?;
        if let Nodes::Nodes(nodes) = &rollout.to
            && let Some(stranger) = only.iter().find(|node| !nodes.contains(node))
        {
            anyhow::bail!("the rollout is not for {stranger}");
        }
        Ok(Some(Self { rollout, signed, only: only.to_vec() }))
    }

    /// The commands of its nodes, in its order. They are the same whenever they are made.
    pub(super) fn errands(&self, known: &Known) -> anyhow::Result<Vec<Errand>> {
        let mut nodes = match &self.rollout.to {
            Nodes::Nodes(nodes) => nodes.clone(),
            Nodes::Tag(tag) => known.tagged(tag)?,
        };
        if let Some(stranger) = self.only.iter().find(|node| !nodes.contains(node)) {
            anyhow::bail!("the rollout is not for {stranger}, which has not told of its tag");
        }
        nodes.retain(|node| self.only.is_empty() || self.only.contains(node));
        nodes.sort_by_key(|node| self.rollout.place(node));
        let errand = |node: NodeId| {
            let command = self.rollout.command(&node, &self.signed);
            let message = command.to_payload();
            Ok(Errand::new(known.must_know(node)?, command, message).with(known))
        };
        nodes.into_iter().map(errand).collect()
    }
}
