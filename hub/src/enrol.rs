//! Who is let into the farm: judges what nodes ask, makes their certificates, and remembers both. Whatever a judgement changes
//! is on the disk before its answer goes out, and a node that did not hear the answer gets the same one again.

pub mod broker_files;
mod gate;
pub mod operator;
mod server;
mod verify;

use std::{fs, io, path::PathBuf};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use reelmill_api::{
    NodeId,
    enrol::{JoinAnswer, JoinRequest, MAX_TAGS, Membership, Refusal, RenewRequest},
    fleet::{Sha256, Text, Trust},
    preset::Tag,
};

pub use server::Door;

use crate::{
    ca::{Ca, Csr, NODE_LIFE},
    db::{
        Db,
        enrol::{Asking, Certificate, Enrolling, Token, Verdict},
    },
};

/// A node that does not ask for so long is forgotten.
const SILENCE: SignedDuration = SignedDuration::from_hours(1);
/// The same of one of which an operator has said yes or no: it may be switched on again only tomorrow.
const DECIDED_SILENCE: SignedDuration = SignedDuration::from_hours(24);
/// Nodes that may ask at once, and from one address: whoever floods us fills his own share first.
const MOST_ASKING: u32 = 256;
const MOST_ASKING_FROM_ONE: u32 = 32;
/// Names by which a broker's access list knows who is no node.
const RESERVED: [&str; 3] = ["hub", "operator", "broker"];

/// Judges nodes.
#[derive(Debug)]
pub struct Desk {
    /// Where everything is remembered.
    pub db: Db,
    /// Who signs.
    pub ca: Ca,
    /// The broker's host, where it is not the hub's.
    pub broker_host: Option<String>,
    /// The broker's port for nodes.
    pub broker_port: u16,
    /// Where it is written whose commands nodes obey; read anew for each node.
    pub trust: PathBuf,
    /// The hub's own node, whose certificate is none of the desk's.
    pub own: Option<NodeId>,
}

impl Desk {
    /// Judges a node that wants to be taken in, from that address.
    ///
    /// # Errors
    /// If the database fails or nothing can be signed.
    pub async fn join(&self, request: &JoinRequest, address: &str, now: Timestamp) -> anyhow::Result<JoinAnswer> {
        let csr = match Csr::parse(&request.csr) {
            Ok(_) if request.tags.len() > MAX_TAGS => return Ok(refused(Refusal::BadRequest, "too many tags")),
            Ok(csr) => csr,
            Err(e) => return Ok(refused(Refusal::BadRequest, &e.to_string())),
        };
        let mut enrolling = self.db.enrolling().await?;
        let answer = self.judge(&mut enrolling, request, &csr, address, now).await?;
        enrolling.commit().await?;
        if let JoinAnswer::Enrolled(place) = &answer {
            self.write_crl(now).await?;
            log::info!("{} is a node of this farm; it asked from {address}", place.node);
        }
        Ok(answer)
    }

    async fn judge(
        &self,
        enrolling: &mut Enrolling,
        request: &JoinRequest,
        csr: &Csr,
        address: &str,
        now: Timestamp,
    ) -> anyhow::Result<JoinAnswer> {
        let key = csr.key_id();
        // Whoever has the key has been let in before: the answer was lost, or the node was on a shelf for long.
        if let Some(known) = enrolling.newest_of_key(&key).await? {
            return self.again(enrolling, known, csr, now).await;
        }
        let token = match &request.token {
            Some(token) => Some(judge_token(enrolling.token(token).await?, request, now)),
            None => None,
        };
        let why = match token {
            Some(Ok(token)) => return self.by_token(enrolling, request, &token, csr, now).await,
            Some(Err(why)) => Some(why),
            None => None,
        };
        match enrolling.asking(&key).await? {
            Some(Asking { verdict: Some(Verdict::Denied), .. }) => {
                Ok(refused(Refusal::NotApproved, "an operator has refused this node"))
            }
            // Another node may have got the name since the operator looked.
            Some(Asking { verdict: Some(verdict), node, tags, .. }) => {
                match self.keeps_from(enrolling, &node, verdict == Verdict::Replaces).await? {
                    Some(refusal) => Ok(refusal),
                    None => self.admit(enrolling, &node, &tags, csr, now).await,
                }
            }
            known => ask(enrolling, known, request, csr, address, why, now).await,
        }
    }

    async fn by_token(
        &self,
        enrolling: &mut Enrolling,
        request: &JoinRequest,
        token: &Token,
        csr: &Csr,
        now: Timestamp,
    ) -> anyhow::Result<JoinAnswer> {
        let node = token.node.as_ref().unwrap_or(&request.node);
        // Only a token for this very name may replace the node that has it.
        if let Some(refusal) = self.keeps_from(enrolling, node, token.node.is_some()).await? {
            return Ok(refusal);
        }
        enrolling.use_token(token, &csr.key_id()).await?;
        let tags = if token.tags.is_empty() { &request.tags } else { &token.tags };
        self.admit(enrolling, node, tags, csr, now).await
    }

    /// Why a node cannot have that name, if so; to be asked before anything is done for the node.
    async fn keeps_from(
        &self,
        enrolling: &mut Enrolling,
        node: &NodeId,
        replaces: bool,
    ) -> anyhow::Result<Option<JoinAnswer>> {
        let why = if RESERVED.contains(&node.as_str()) {
            format!("no node may be called {node}")
        } else if self.own.as_ref() == Some(node) {
            format!("the hub's own node is called {node}: choose another name")
        } else if !replaces && is_taken(enrolling, node).await? {
            format!("another node is called {node}: choose another name, or make a token with --node {node}")
        } else {
            return Ok(None);
        };
        Ok(Some(refused(Refusal::NameTaken, &why)))
    }

    async fn admit(
        &self,
        enrolling: &mut Enrolling,
        node: &NodeId,
        tags: &[Tag],
        csr: &Csr,
        now: Timestamp,
    ) -> anyhow::Result<JoinAnswer> {
        enrolling.admit(node, tags, now).await?;
        enrolling.forget_asking(&csr.key_id()).await?;
        let certificate = self.sign(enrolling, node, csr, now).await?;
        self.enrolled(enrolling, certificate).await
    }

    /// What a key that has a certificate gets: the same, or a new one where that is old.
    async fn again(
        &self,
        enrolling: &mut Enrolling,
        known: Certificate,
        csr: &Csr,
        now: Timestamp,
    ) -> anyhow::Result<JoinAnswer> {
        if known.revoked {
            return Ok(refused(Refusal::Revoked, "this node's key was put out of the farm; it needs a new one"));
        }
        let young = known.not_after.duration_since(now) > NODE_LIFE / 2;
        let certificate = if young { known } else { self.sign(enrolling, &known.node, csr, now).await? };
        self.enrolled(enrolling, certificate).await
    }

    /// Judges a node that shows a certificate of ours, of any age, and wants a new one.
    ///
    /// # Errors
    /// If the database fails or nothing can be signed.
    pub async fn renew(&self, request: &RenewRequest, shown: &Sha256, now: Timestamp) -> anyhow::Result<JoinAnswer> {
        let csr = match Csr::parse(&request.csr) {
            Ok(csr) => csr,
            Err(e) => return Ok(refused(Refusal::BadRequest, &e.to_string())),
        };
        let mut enrolling = self.db.enrolling().await?;
        let answer = match enrolling.certificate(shown).await? {
            None => {
                refused(Refusal::UnknownCertificate, "the hub has not made this certificate, or has lost its database")
            }
            Some(Certificate { revoked: true, .. }) => refused(Refusal::Revoked, "this certificate was revoked"),
            Some(member) => {
                // Whoever shows this has it for good, so the node needs no key from before it.
                enrolling.outdate(shown, now).await?;
                match enrolling.newest_of_key(&csr.key_id()).await? {
                    Some(known) if known.node != member.node => {
                        refused(Refusal::BadRequest, "another node has this key")
                    }
                    Some(known) => self.again(&mut enrolling, known, &csr, now).await?,
                    None => {
                        let certificate = self.sign(&mut enrolling, &member.node, &csr, now).await?;
                        self.enrolled(&mut enrolling, certificate).await?
                    }
                }
            }
        };
        enrolling.commit().await?;
        if let JoinAnswer::Enrolled(_) = &answer {
            self.write_crl(now).await?;
        }
        Ok(answer)
    }

    async fn sign(
        &self,
        enrolling: &mut Enrolling,
        node: &NodeId,
        csr: &Csr,
        now: Timestamp,
    ) -> anyhow::Result<Certificate> {
        let issued = self.ca.sign_node(csr, node, now)?;
        enrolling.add_certificate(node, &csr.key_id(), &issued).await?;
        Ok(Certificate { node: node.clone(), pem: issued.pem, not_after: issued.not_after, revoked: false })
    }

    async fn enrolled(&self, enrolling: &mut Enrolling, certificate: Certificate) -> anyhow::Result<JoinAnswer> {
        let Certificate { node, pem, not_after, .. } = certificate;
        let member = enrolling.member(&node).await?.context("a certificate belongs to no node")?;
        Ok(JoinAnswer::Enrolled(Box::new(Membership {
            node,
            cert: pem,
            not_after,
            ca: self.ca.pem().to_owned(),
            broker_host: self.broker_host.clone(),
            broker_port: self.broker_port,
            trust: self.trust()?,
            tags: member.tags,
            enrolled_at: member.enrolled_at,
        })))
    }

    fn trust(&self) -> anyhow::Result<Option<Trust>> {
        let at = self.trust.display();
        match fs::read(&self.trust) {
            Ok(read) => match Trust::parse(&read) {
                Ok(trust) => Ok(Some(trust)),
                Err(e) => anyhow::bail!("cannot use {at}: {}", e.reason.as_str()),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| format!("cannot read {at}")),
        }
    }

    /// Writes the list of revoked certificates for brokers.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn write_crl(&self, now: Timestamp) -> anyhow::Result<()> {
        self.ca.write_crl(&self.db.revoked().await?, now)
    }
}

fn refused(why: Refusal, message: &str) -> JoinAnswer {
    JoinAnswer::Refused { why, message: Text::cut(message) }
}

/// Whether a token that was found lets this node in.
fn judge_token(found: Option<Token>, request: &JoinRequest, now: Timestamp) -> Result<Token, Refusal> {
    let token = found.ok_or(Refusal::BadToken)?;
    let serial = request.machine.serial.as_ref().map(Text::as_str);
    if token.serial.is_some() && token.serial.as_deref() != serial {
        return Err(Refusal::BadToken);
    }
    if token.used_by.is_some() {
        return Err(Refusal::UsedToken);
    }
    if token.expires_at <= now { Err(Refusal::ExpiredToken) } else { Ok(token) }
}

/// Whether a node that was not put out has the name.
async fn is_taken(enrolling: &mut Enrolling, node: &NodeId) -> anyhow::Result<bool> {
    Ok(enrolling.member(node).await?.is_some_and(|member| member.good_until.is_some()))
}

/// Notes that a node asks, for an operator to see.
async fn ask(
    enrolling: &mut Enrolling,
    known: Option<Asking>,
    request: &JoinRequest,
    csr: &Csr,
    address: &str,
    why: Option<Refusal>,
    now: Timestamp,
) -> anyhow::Result<JoinAnswer> {
    let (all, near) = enrolling.crowd(address, now - SILENCE, now - DECIDED_SILENCE).await?;
    if known.is_none() && (all >= MOST_ASKING || near >= MOST_ASKING_FROM_ONE) {
        return Ok(refused(Refusal::Busy, "too many nodes wait for an operator; deny those that you do not know"));
    }
    let code = csr.pairing_code();
    let text = |text: &Option<Text<128>>| text.as_ref().map(|text| text.as_str().to_owned());
    let asking = Asking {
        key: csr.key_id().to_string(),
        code,
        node: request.node.clone(),
        tags: request.tags.clone(),
        serial: text(&request.machine.serial),
        board: text(&request.machine.board),
        address: address.to_owned(),
        seen: now,
        verdict: None,
    };
    enrolling.put_asking(&asking).await?;
    if known.is_none() {
        log::info!(
            "{} asks from {address} to be let in; if it shows {code}: reelmill-hub node approve {code}",
            asking.node
        );
    }
    Ok(JoinAnswer::Pending { code, why })
}

#[cfg(test)]
mod tests;
