//! Whose commands the helper obeys, and under which name: its own document, which neither the agent nor anybody else who is
//! not root can write.

use std::path::{Path, PathBuf};

use reelmill_api::{
    NodeId,
    fleet::{Envelope, Sha256, Trust},
};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{
    files::{self, PRIVATE},
    settings::Settings,
};
use crate::deeds::{Outcome, Undone};

/// The file in the state folder.
const FILE: &str = "trust.json";

/// The keys as they are on the disk now.
#[derive(Debug)]
pub struct Keys {
    file: PathBuf,
    owners: PathBuf,
    node: NodeId,
    /// What the owner's file says, and its digest.
    fixed: Option<(Trust, Sha256)>,
    own: Option<Own>,
}

/// What the helper keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    node: NodeId,
    trust: Trust,
    /// The digest of the owner's file that this document followed on. A file that was changed since then wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Sha256>,
}

impl Keys {
    /// Reads them anew: the owner may have changed them.
    ///
    /// # Errors
    /// `bad_trust` if a file is there and cannot be used; then nobody is obeyed.
    pub fn read(settings: &Settings) -> Result<Self, Undone> {
        let file = settings.state(FILE);
        let fixed = files::read(&settings.trust).map_err(|e| unusable(&settings.trust, &e))?;
        let fixed = fixed.map(|bytes| Ok((Trust::parse(&bytes)?, Sha256::of(&bytes)))).transpose();
        let own = files::read(&file).map_err(|e| unusable(&file, &e))?;
        let own = own.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        Ok(Self {
            owners: settings.trust.clone(),
            node: settings.node.clone(),
            fixed: fixed.map_err(|e: reelmill_api::fleet::Rejection| unusable(&settings.trust, &e))?,
            own: own.map_err(|e| unusable(&file, &e))?,
            file,
        })
    }

    /// This node's name, and the keys that it trusts.
    ///
    /// # Errors
    /// `not_adopted` where there are none yet.
    pub fn in_force(&self) -> Result<(&NodeId, &Trust), Undone> {
        match (&self.fixed, self.followed()) {
            (Some(_), Some(own)) => Ok((&self.node, &own.trust)),
            (Some((trust, _)), None) => Ok((&self.node, trust)),
            (None, _) => self.own.as_ref().map(|own| (&own.node, &own.trust)).ok_or_else(|| {
                Undone::for_now(
                    "not_adopted",
                    "the root helper has no keys yet: the agent brings them when it is enrolled",
                )
            }),
        }
    }

    /// The document that took the place of the owner's file, as that is now.
    fn followed(&self) -> Option<&Own> {
        let now = self.fixed.as_ref().map(|(_, digest)| *digest);
        self.own.as_ref().filter(|own| now.is_some() && own.after == now)
    }

    /// Takes the first keys, from whoever enrolled the node; the same ones again are fine.
    ///
    /// # Errors
    /// `trust_is_set` where the owner's file brings the keys, `adopted` where there are others.
    pub fn adopt(&self, node: &NodeId, trust: &Trust) -> Outcome {
        if self.fixed.is_some() {
            let by = self.owners.display();
            return Err(Undone::for_good("trust_is_set", format!("{by} says whom this node obeys, and no agent does")));
        }
        let new = Own { node: node.clone(), trust: trust.clone(), after: None };
        match &self.own {
            Some(own) if *own == new => Ok(Map::new()),
            Some(own) => Err(Undone::for_good(
                "adopted",
                format!(
                    "`{}` obeys the keys of document {} already; others come by a command `trust`, or after a factory reset",
                    own.node,
                    own.trust.ctr()
                ),
            )),
            None => self.keep(&new),
        }
    }

    /// Takes the document of a `trust` command in place of the present one; the same again is fine.
    ///
    /// # Errors
    /// `bad_trust` where it does not follow on the present one.
    pub fn succeed(&self, document: &Envelope) -> Outcome {
        let (node, trust) = self.in_force()?;
        let same = Trust::parse(document.payload()).is_ok_and(|next| next == *trust);
        if !same {
            let next = trust.successor(document);
            let trust = next.map_err(|why| Undone::for_good(why.code.as_str(), why.reason.as_str()))?;
            let after = self.fixed.as_ref().map(|(_, digest)| *digest);
            self.keep(&Own { node: node.clone(), trust, after })?;
        }
        let ctr = Trust::parse(document.payload()).map(|next| next.ctr()).unwrap_or_default();
        Ok(Map::from_iter([("ctr".to_owned(), ctr.into())]))
    }

    fn keep(&self, own: &Own) -> Outcome {
        let json = serde_json::to_vec(own).expect("keys are texts and numbers");
        files::replace(&self.file, &json, PRIVATE)
            .map_err(|e| Undone::for_now("disk", format!("cannot write {}: {e}", self.file.display())))?;
        Ok(Map::new())
    }

    /// The name of the file in the state folder that holds them.
    pub fn file() -> &'static str {
        FILE
    }
}

fn unusable(file: &Path, why: &dyn std::error::Error) -> Undone {
    Undone::for_now("bad_trust", format!("cannot use {}: {why}; until then nobody is obeyed", file.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use reelmill_api::fleet::{PrivateKey, Role, Text, trust::TrustedKey};

    use super::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    /// A document whose only admin is that key.
    fn trust(ctr: u64, seed: u8) -> Trust {
        let admin = TrustedKey { key: key(seed).public(), name: Text::default(), roles: [Role::Admin].into() };
        Trust::new(ctr, 1, vec![admin]).expect("well formed")
    }

    fn node(name: &str) -> NodeId {
        name.parse().expect("a name")
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a temporary folder"))
        }

        fn owners(&self, text: &[u8]) {
            fs::write(self.0.path().join("owners"), text).expect("ours");
        }

        fn keys(&self) -> Result<Keys, Undone> {
            let state_folder = self.0.path().to_owned();
            let settings = Settings {
                node: node("host"),
                trust: self.0.path().join("owners"),
                state_folder,
                ..Settings::default()
            };
            Keys::read(&settings)
        }

        fn in_force(&self) -> String {
            let told = |keys: Keys| keys.in_force().map(|(node, trust)| format!("{node} {}", trust.ctr()));
            self.keys().and_then(told).unwrap_or_else(|undone| undone.code)
        }
    }

    fn code(outcome: Outcome) -> Result<(), String> {
        outcome.map(|_| ()).map_err(|undone| undone.code)
    }

    #[test]
    fn the_first_keys_stay_until_a_successor_comes() {
        let place = Place::new();
        assert_eq!(place.in_force(), "not_adopted");
        let adopt = |name: &str, trust: &Trust| code(place.keys().expect("keys").adopt(&node(name), trust));
        assert_eq!(adopt("orin-3", &trust(1, 5)), Ok(()));
        assert_eq!(adopt("orin-3", &trust(1, 5)), Ok(()));
        for (name, other) in [("orin-4", trust(1, 5)), ("orin-3", trust(2, 5)), ("orin-3", trust(1, 9))] {
            assert_eq!(adopt(name, &other), Err("adopted".to_owned()));
        }
        assert_eq!(place.in_force(), "orin-3 1");

        let succeed = |document: &Envelope| code(place.keys().expect("keys").succeed(document));
        assert_eq!(succeed(&trust(2, 9).signed(&key(9))), Err("bad_trust".to_owned()), "of a stranger");
        let mut both = trust(2, 6).signed(&key(5));
        both.sign(&key(6)).expect("once");
        assert_eq!(succeed(&both), Ok(()));
        assert_eq!(succeed(&both), Ok(()), "the helper may have died before it said so");
        assert_eq!(place.in_force(), "orin-3 2");
        assert_eq!(succeed(&trust(1, 5).signed(&key(5))), Err("bad_trust".to_owned()), "back again");
    }

    #[test]
    fn the_owners_file_is_above_all_and_follows_its_own_line() {
        let place = Place::new();
        assert_eq!(code(place.keys().expect("keys").adopt(&node("orin-3"), &trust(900, 9))), Ok(()));
        assert_eq!(place.in_force(), "orin-3 900");
        place.owners(&trust(1, 5).to_payload());
        assert_eq!(place.in_force(), "host 1", "whoever was adopted before");
        assert_eq!(
            code(place.keys().expect("keys").adopt(&node("host"), &trust(1, 5))),
            Err("trust_is_set".to_owned())
        );
        assert_eq!(code(place.keys().expect("keys").succeed(&trust(2, 5).signed(&key(5)))), Ok(()));
        assert_eq!(place.in_force(), "host 2", "a command changed it");
        place.owners(&trust(1, 7).to_payload());
        assert_eq!(place.in_force(), "host 1", "the owner wrote another one");
    }

    #[test]
    fn keys_that_cannot_be_read_are_none() {
        let place = Place::new();
        place.owners(b"{");
        let told = place.keys().map(drop).expect_err("not JSON");
        assert_eq!(told.code, "bad_trust");
        assert!(told.message.contains("owners") && told.message.contains("nobody is obeyed"), "{told}");
    }
}
