//! `reelmill send`: a command for a node or for all nodes with a tag, signed by a person, given over the farm's broker and
//! followed to its end; or only signed, for a second person or another way to the broker.

mod access;
mod board;
mod draft;
mod errand;
mod follow;
mod post;
mod rollout;
mod told;
mod words;

use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use reelmill_api::{
    NodeId,
    fleet::{Addressee, Class, Command, CommandId, OpName, PrivateKey},
};
use reelmill_daemon::Shutdown;
use serde_json::{Map, Value};

use self::{
    access::{Access, Way},
    board::Board,
    draft::{Terms, pair},
    errand::Errand,
    follow::{follow, leave},
    post::Post,
    rollout::Pace,
};
use crate::{
    exit::DONE,
    keys,
    screen::{self, Screen},
};

/// Tell a node what to do, and see what becomes of it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The node's name; or @TAG, for each node with that tag
    #[arg(value_name = "NODE", required_unless_present_any = ["add_signature", "file", "follow"])]
    to: Option<Addressee>,
    /// What to do, e.g. drain, reboot, switch
    #[arg(value_name = "OP", required_unless_present_any = ["add_signature", "file", "follow"])]
    op: Option<OpName>,
    /// What the operation is told, as NAME=VALUE; a value is JSON, or else a text, or @FILE with JSON in it
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    args: Vec<(String, Value)>,
    /// Your private key; twice, for what needs two signatures and you hold both keys
    #[arg(long, value_name = "FILE")]
    sign: Vec<PathBuf>,
    /// Print the signed command instead of sending it, for a second person to sign or for another way to the broker
    #[arg(long, conflicts_with_all = ["add_signature", "file", "follow", "dry_run"])]
    sign_only: bool,
    /// Sign what --sign-only printed once more, and print it; - is standard input
    #[arg(long, value_name = "FILE", requires = "sign", conflicts_with_all = ["to", "op", "args", "file", "follow"])]
    add_signature: Option<PathBuf>,
    /// Send what --sign-only or --add-signature printed; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "op", "args", "sign", "follow"])]
    file: Option<PathBuf>,
    /// Of a rollout in that file, give only this node its command; more than once for more of them
    #[arg(long, value_name = "NODE", requires = "file")]
    only: Vec<NodeId>,
    /// Follow a command that was given before
    #[arg(long, num_args = 2, value_names = ["NODE", "ID"], conflicts_with_all = ["to", "op", "args", "sign"])]
    follow: Option<Vec<String>>,
    /// Print its id and return as soon as the broker has it
    #[arg(long, conflicts_with_all = ["follow", "json"])]
    no_wait: bool,
    /// Print what would be sent, to which nodes, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Print each state as the node tells it, one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "The way to the broker")]
    way: Way,
    #[command(flatten, next_help_heading = "Terms")]
    terms: Terms,
    #[command(flatten, next_help_heading = "A rollout")]
    pace: Pace,
}

const EXAMPLES: &str = "\
Examples:
  reelmill send orin-3 ping
  reelmill send orin-3 drain --sign anna.key
  reelmill send @lan restart-worker --sign anna.key
  reelmill send orin-3 logs-tail unit=reelmill-worker.service lines=50 --sign anna.key
  reelmill send --follow orin-3 01M81B5H80NENTQAXBNENTQAXB
  reelmill send orin-3 poweroff confirm=orin-3 --sign anna.key --sign-only > poweroff.json
  reelmill send --add-signature poweroff.json --sign ben.key > signed.json
  reelmill send --file signed.json
  reelmill send @shelf restart-worker --rollout --sign anna.key --sign-only > rollout.json
  reelmill send --file rollout.json --only orin-3

Operations that cannot be undone need two signatures. Look at what is shown before you add yours.

Exit codes: 0 succeeded, 1 failed, 2 wrong usage, 3 rejected, 4 too late to start or superseded, 5 called off, 6 timed out,
7 rolled back, 8 followed no longer: it may still be done. Of several nodes: the same if all that did not succeed have the
same, else 1. docs/operate/fleet.md tells more.";

/// Runs the command and returns its exit code.
pub(crate) async fn run(args: Args, screen: &Screen) -> anyhow::Result<u8> {
    if let Some(file) = &args.add_signature {
        let (envelope, told) = draft::signed_again(&draft::read(file)?, &read(&args.sign)?)?;
        screen.note(&told);
        return print(envelope.to_message());
    }
    if args.sign_only {
        let (to, ask) = args.ask()?;
        let command = ask.command(to)?;
        if args.pace.is_asked_for() {
            let rollout = args.pace.rollout(command, Timestamp::now(), draft::random()?)?;
            let message = rollout::sealed(&rollout, &read(&args.sign)?)?;
            screen.note(&told::rollout(&rollout));
            return print(message);
        }
        let message = draft::sealed(&command, &read(&args.sign)?)?;
        screen.note(&told::command(&command));
        return print(message);
    }
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    let errands = Errands::of(&args)?;
    let access = args.way.access()?;
    let keys = if errands.need_keys() { read(access.keys(&args.sign))? } else { Vec::new() };
    let sent = async {
        let mut post = Post::open(&access, errands.filters()).await?;
        let errands = errands.addressed(&mut post, &keys).await?;
        anyhow::Ok((post, errands))
    };
    let (post, errands) = tokio::select! {
        sent = sent => sent?,
        () = shutdown.graceful().cancelled() => anyhow::bail!("nothing was sent"),
    };
    if args.dry_run {
        return dry(post, &errands, screen).await;
    }
    let mut board = Board::new(args.json, &errands, screen);
    if args.no_wait {
        board.begin(&errands);
        leave(post, &errands).await?;
        screen::print(&named(&errands));
        return Ok(DONE);
    }
    follow(post, errands, board, shutdown.graceful()).await
}

fn print(message: Vec<u8>) -> anyhow::Result<u8> {
    screen::print(&format!("{}\n", String::from_utf8(message).context("a message is text")?));
    Ok(DONE)
}

fn read(files: &[PathBuf]) -> anyhow::Result<Vec<PrivateKey>> {
    files.iter().map(|file| keys::read(file)).collect()
}

/// What they can be followed by: an id; of several, each with its node.
fn named(errands: &[Errand]) -> String {
    match errands {
        [one] => format!("{}\n", one.id),
        many => many.iter().map(|errand| format!("{} {}\n", errand.node, errand.id)).collect(),
    }
}

/// Shows what would be sent.
async fn dry(post: Post, errands: &[Errand], screen: &Screen) -> anyhow::Result<u8> {
    for given in errands.iter().filter_map(|errand| errand.given.as_ref()) {
        screen.note(&told::command(&given.command));
        screen::print(&format!("{}\n{}\n", given.topic(), String::from_utf8_lossy(&given.message)));
    }
    post.close().await;
    Ok(DONE)
}

/// What shall be done, on which terms, by whomever.
#[derive(Clone)]
struct Ask {
    op: OpName,
    args: Map<String, Value>,
    terms: Terms,
}

impl Ask {
    fn command(&self, to: Addressee) -> anyhow::Result<Command> {
        self.terms.command(to, &self.op, &self.args, Timestamp::now(), draft::random()?)
    }
}

impl Args {
    fn ask(&self) -> anyhow::Result<(Addressee, Ask)> {
        let (Some(to), Some(op)) = (self.to.clone(), self.op.clone()) else {
            anyhow::bail!("a command needs a node and an operation")
        };
        Ok((to, Ask { op, args: self.args.iter().cloned().collect(), terms: self.terms.clone() }))
    }
}

/// What a command line is about.
enum Errands {
    /// A new command to one node, or to each with a tag.
    New(Addressee, Ask),
    /// A command that was signed before.
    Prepared(Box<Errand>),
    /// A rollout that was signed before.
    Rollout(Box<rollout::Prepared>),
    /// A command that was given before.
    Given(NodeId, CommandId),
}

impl Errands {
    fn of(args: &Args) -> anyhow::Result<Self> {
        if let Some([node, id]) = args.follow.as_deref() {
            return Ok(Self::Given(node.parse()?, id.parse()?));
        }
        if let Some(file) = &args.file {
            let message = draft::read(file)?;
            if let Some(rollout) = rollout::Prepared::of(&message, &args.only)? {
                return Ok(Self::Rollout(Box::new(rollout)));
            }
            let (node, command) = draft::prepared(&message)?;
            return Ok(Self::Prepared(Box::new(Errand::new(node, command, message))));
        }
        let (to, ask) = args.ask()?;
        // What no node would obey is told before anybody is asked.
        ask.command(to.clone())?;
        Ok(Self::New(to, ask))
    }

    fn need_keys(&self) -> bool {
        let Self::New(to, ask) = self else { return false };
        ask.command(to.clone()).is_ok_and(|command| command.op.class() != Class::Unsigned)
    }

    /// What must be heard to know whom they are for.
    fn filters(&self) -> Vec<String> {
        match self {
            Self::New(Addressee::Group(_), _) | Self::Rollout(_) => post::of_all(),
            Self::New(Addressee::Node(node), _) => post::of_one(node),
            Self::Prepared(errand) => post::of_one(&errand.node),
            Self::Given(node, id) => [post::of_one(node), post::of_command(node, *id)].concat(),
        }
    }

    /// One for each node, signed.
    async fn addressed(self, post: &mut Post, keys: &[PrivateKey]) -> anyhow::Result<Vec<Errand>> {
        let known = post.learn().await?;
        let (nodes, ask) = match self {
            Self::New(Addressee::Node(node), ask) => (vec![known.must_know(node)?], ask),
            Self::New(Addressee::Group(tag), ask) => (known.tagged(&tag)?, ask),
            Self::Prepared(errand) => {
                known.must_know(errand.node.clone())?;
                return Ok(vec![errand.with(&known)]);
            }
            Self::Rollout(rollout) => return rollout.errands(&known),
            Self::Given(node, id) => return Ok(vec![known.command(node, id)?]),
        };
        let errand = |node: NodeId| {
            let command = ask.command(Addressee::Node(node.clone()))?;
            let message = draft::sealed(&command, keys)?;
            draft::is_signed_enough(&command, &message)?;
            Ok(Errand::new(node, command, message).with(&known))
        };
        nodes.into_iter().map(errand).collect()
    }
}

impl Access {
    /// The keys that sign: those of the command line, else those of the settings.
    fn keys<'a>(&'a self, named: &'a [PathBuf]) -> &'a [PathBuf] {
        if named.is_empty() { &self.sign } else { named }
    }
}
