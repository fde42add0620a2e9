//! What an operator does at the hub's terminal: tokens for nodes that are to come, and the word for those that ask. It works on
//! the hub's database, whether the hub runs or not.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, str::FromStr};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use reelmill_api::{
    NodeId,
    enrol::{JoinToken, MAX_TAGS, PairingCode},
    fleet::{Sha256, Text},
    preset::Tag,
};
use reelmill_daemon::Hinted;
use uuid::Uuid;

use super::RESERVED;
use crate::{
    ca::Ca,
    config::Config,
    db::{
        Db,
        enrol::{Asking, Member, Token, Verdict},
    },
    folder::{CA, DATABASE, announced_door, private_folder},
};

/// The longest that a token may be good.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token that lets one node in, and print the join.toml for its stick; the token is not shown again.
    Join(Join),
    /// List the tokens that were made; none of them is shown.
    List,
    /// Take a token back.
    Revoke {
        /// The first digits of its digest, as `token list` shows them.
        #[arg(value_parser = digits)]
        id: String,
    },
}

/// What a token lets in.
#[derive(Debug, Args)]
pub struct Join {
    /// A tag for the node; again for more. Without any it gets those that its join.toml names.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// The node's name, which another node that has it loses [default: its own, if no other node has it]
    #[arg(long, value_name = "NAME", value_parser = name)]
    node: Option<NodeId>,
    /// The serial number that the node's firmware must tell.
    #[arg(long, value_name = "SERIAL")]
    serial: Option<Text<128>>,
    /// How long the token is good, as in 90min, 24h or 7d; at most seven days
    #[arg(long = "for", value_name = "TIME", default_value = "24h", value_parser = life)]
    life: SignedDuration,
    /// The address of the hub's door, as nodes reach it [default: by fleet.enrol and fleet.names]
    #[arg(long, value_name = "https://HOST:PORT")]
    hub: Option<String>,
}

/// What can be done with nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List the nodes that ask to be let in, and those that were.
    List,
    /// Let in the node that shows this code on its page.
    Approve {
        /// The code.
        code: PairingCode,
        /// Another name for it than the one that it wishes.
        #[arg(long, value_name = "NAME", value_parser = name)]
        node: Option<NodeId>,
        /// A tag for it, instead of those that it wishes; again for more.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<Tag>,
        /// Put out the node that has the name now.
        #[arg(long)]
        replace: bool,
    },
    /// Refuse the node that shows this code.
    Deny {
        /// The code.
        code: PairingCode,
    },
    /// Put a node out of the farm: its certificates are revoked.
    Revoke {
        /// Its name.
        node: NodeId,
    },
}

fn life(text: &str) -> Result<SignedDuration, String> {
    let span = Span::from_str(text).map_err(|e| e.to_string())?;
    let life = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|e| e.to_string())?;
    if life <= SignedDuration::ZERO || life > LONGEST {
        return Err("a token is good for at most seven days".to_owned());
    }
    Ok(life)
}

fn name(text: &str) -> Result<NodeId, String> {
    let node: NodeId = text.parse().map_err(|e: reelmill_api::node::BadNodeId| e.to_string())?;
    if RESERVED.contains(&text) { Err(format!("no node may be called {text}")) } else { Ok(node) }
}

fn digits(text: &str) -> Result<String, String> {
    let fits = text.len() >= 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if fits { Ok(text.to_owned()) } else { Err("give at least 8 digits, as `token list` shows them".to_owned()) }
}

/// The database and the authority of a data folder.
pub(super) struct Files {
    pub(super) db: Db,
    pub(super) ca: Ca,
}

impl Files {
    pub(super) async fn open(data: &Path) -> anyhow::Result<Self> {
        owned(data)?;
        private_folder(data).with_context(|| format!("cannot open the data folder {}", data.display()))?;
        let db = Db::open(&data.join(DATABASE)).await.context("cannot open the hub's database")?;
        Ok(Self { db, ca: Ca::open(&data.join(CA))? })
    }
}

/// What another user writes there the hub could not read; root too must do this as the hub's user.
fn owned(data: &Path) -> anyhow::Result<()> {
    let Ok(folder) = fs::metadata(data) else { return Ok(()) };
    let (owner, we) = (folder.uid(), rustix::process::geteuid().as_raw());
    if owner == we {
        return Ok(());
    }
    let error = format!("the data folder {} belongs to user {owner}, and this is user {we}", data.display());
    Err(Hinted::new(error, format!("do it as that user: sudo -u '#{owner}' reelmill-hub ...")).into())
}

/// Does it; what is to be printed.
///
/// # Errors
/// What keeps it from being done, for the terminal.
pub async fn token(config: &Config, command: TokenCommand, now: Timestamp) -> anyhow::Result<String> {
    let files = Files::open(config.data()?).await?;
    match command {
        TokenCommand::Join(join) => make(config, &files, join, now).await,
        TokenCommand::List => {
            let tokens = files.db.tokens().await?;
            Ok(tokens.iter().map(|token| token_line(token, now)).collect())
        }
        TokenCommand::Revoke { id } => match files.db.revoke_token(&id).await? {
            0 => Err(Hinted::new(format!("there is no token {id}"), "see `reelmill-hub token list`").into()),
            _ => Ok(format!("the token {id} lets nobody in any more\n")),
        },
    }
}

async fn make(config: &Config, files: &Files, join: Join, now: Timestamp) -> anyhow::Result<String> {
    anyhow::ensure!(join.tags.len() <= MAX_TAGS, "a node can have at most {MAX_TAGS} tags");
    let hub = match join.hub {
        Some(hub) => hub,
        None => door(config)?,
    };
    let secret = JoinToken::new(Uuid::new_v4().into_bytes());
    let expires_at = now + join.life;
    let serial = join.serial.map(String::from);
    let sha256 = Sha256::of(secret.expose().as_bytes());
    let token = Token { sha256, tags: join.tags, node: join.node, serial, expires_at, used_by: None };
    let mut enrolling = files.db.enrolling().await?;
    enrolling.add_token(&token).await?;
    enrolling.commit().await?;
    let id = short(&token);
    let node = token.node.as_ref().map(|node| format!("node = \"{node}\"\n")).unwrap_or_default();
    let tags: Vec<&str> = token.tags.iter().map(Tag::as_str).collect();
    let tags = if tags.is_empty() { String::new() } else { format!("tags = {tags:?}\n") };
    Ok(format!(
        "# Put this as reelmill/join.toml on the node's boot partition, or on a stick labelled REELMILL.\n\
         # The token lets one node in until {expires_at:.0}; `reelmill-hub token revoke {id}` takes it back.\n\
         hub = {hub:?}\nca_sha256 = \"{}\"\ntoken = \"{}\"\n{node}{tags}",
        files.ca.fingerprint(),
        secret.expose(),
    ))
}

/// Where nodes ask: as this command's configuration says, or the running hub itself.
fn door(config: &Config) -> anyhow::Result<String> {
    let configured = config.fleet.enrol.map(|at| config.fleet.door_url(at));
    let data = config.data()?;
    configured.or_else(|| announced_door(data)).ok_or_else(|| {
        let error = format!("no door for nodes is configured, nor told by a hub that runs with {}", data.display());
        Hinted::new(error, "start the hub with FLEET_ENROL, as in 0.0.0.0:7443, or give its address with --hub").into()
    })
}

fn short(token: &Token) -> String {
    token.sha256.to_string().chars().take(12).collect()
}

fn token_line(token: &Token, now: Timestamp) -> String {
    let state = match (&token.used_by, token.expires_at <= now) {
        (Some(_), _) => "used".to_owned(),
        (None, true) => "expired".to_owned(),
        (None, false) => format!("good until {:.0}", token.expires_at),
    };
    let node = token.node.as_ref().map(|node| format!(" node={node}")).unwrap_or_default();
    let serial = token.serial.as_ref().map(|serial| format!(" serial={serial}")).unwrap_or_default();
    format!("{} {state}{node}{serial}{}\n", short(token), words(&token.tags))
}

fn words(tags: &[Tag]) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    format!(" tags={}", tags.join(","))
}

/// Does it; what is to be printed.
///
/// # Errors
/// What keeps it from being done, for the terminal.
pub async fn node(config: &Config, command: NodeCommand, now: Timestamp) -> anyhow::Result<String> {
    let files = Files::open(config.data()?).await?;
    match command {
        NodeCommand::List => {
            let asking = files.db.asking().await?;
            let members = files.db.members().await?;
            let asking = asking.iter().map(asking_line);
            Ok(asking.chain(members.iter().map(|member| member_line(member, now))).collect())
        }
        NodeCommand::Approve { code, node, tags, replace } => {
            let mut enrolling = files.db.enrolling().await?;
            let mut asking = the_one(enrolling.asking_with(&code).await?, &code)?;
            asking.node = node.unwrap_or(asking.node);
            if !tags.is_empty() {
                asking.tags = tags;
            }
            name(asking.node.as_str()).map_err(|e| Hinted::new(e, "give another one with --node"))?;
            let taken = enrolling.member(&asking.node).await?.is_some_and(|member| member.good_until.is_some());
            if taken && !replace {
                return Err(Hinted::new(
                    format!("another node is called {}", asking.node),
                    "give a name with --node, or put the other one out with --replace",
                )
                .into());
            }
            asking.verdict = Some(if replace { Verdict::Replaces } else { Verdict::Approved });
            enrolling.put_asking(&asking).await?;
            enrolling.commit().await?;
            Ok(format!("{} is let in when it asks again, within two minutes\n", asking.node))
        }
        NodeCommand::Deny { code } => {
            let mut enrolling = files.db.enrolling().await?;
            let asking = the_one(enrolling.asking_with(&code).await?, &code)?;
            enrolling.put_asking(&Asking { verdict: Some(Verdict::Denied), ..asking }).await?;
            enrolling.commit().await?;
            Ok(format!("the node with the code {code} is refused\n"))
        }
        NodeCommand::Revoke { node } => {
            let mut enrolling = files.db.enrolling().await?;
            let revoked = enrolling.revoke(&node, now).await?;
            enrolling.commit().await?;
            // Also where nothing is new: an earlier try may have ended between the two.
            files.ca.write_crl(&files.db.revoked().await?, now)?;
            match revoked {
                0 => Err(Hinted::new(format!("there is no node {node}"), "see `reelmill-hub node list`").into()),
                _ => Ok(format!("{node} is put out of the farm\n")),
            }
        }
    }
}

fn the_one(mut found: Vec<Asking>, code: &PairingCode) -> anyhow::Result<Asking> {
    match (found.pop(), found.is_empty()) {
        (Some(asking), true) => Ok(asking),
        (None, _) => {
            let hint = "is the node on, and does its page show this code? see `reelmill-hub node list`";
            Err(Hinted::new(format!("no node asks with the code {code}"), hint).into())
        }
        (Some(_), false) => {
            let hint = "one of them forges it: let the true one in with a token instead";
            Err(Hinted::new(format!("several nodes ask with the code {code}"), hint).into())
        }
    }
}

/// What a node says of itself may hold anything, so it is quoted.
fn asking_line(asking: &Asking) -> String {
    let state = match asking.verdict {
        None => "asks",
        Some(Verdict::Approved | Verdict::Replaces) => "approved",
        Some(Verdict::Denied) => "denied",
    };
    let said = |what: &str, text: &Option<String>| text.as_ref().map(|t| format!(" {what}={t:?}")).unwrap_or_default();
    let Asking { code, node, address, seen, .. } = asking;
    format!(
        "{code} {state} node={node} address={address}{}{}{} seen={seen:.0}\n",
        said("serial", &asking.serial),
        said("board", &asking.board),
        words(&asking.tags),
    )
}

fn member_line(member: &Member, now: Timestamp) -> String {
    let state = match member.good_until {
        None => "put out".to_owned(),
        Some(end) if end <= now => format!("certificate expired {end:.0}, may renew"),
        Some(end) => format!("certificate good until {end:.0}"),
    };
    format!("{} {state}{}\n", member.node, words(&member.tags))
}
