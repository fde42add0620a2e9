//! Operations: what a node can be told to do, who may tell it, and what excludes what.

use serde_json::Value;

use super::{
    args::{
        Batch, Cancel, Diag, Drain, FactoryReset, Firmware, Generation, LogsTail, NewTrust, Nothing, Ping, PowerMode,
        Poweroff, RestartWorker, Rollback, RotateCred, SelfTest, SetConf, Status, Switch, Tags,
    },
    op_name::OpName,
    reject::{Code, Rejection},
};

/// Who may give a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Whoever the broker lets write it.
    Unsigned,
    /// One operator.
    One,
    /// Two operators, or an operator and a release key.
    Two,
}

impl Class {
    /// The name in a message's properties: `U`, `S1`, `S2`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsigned => "U",
            Self::One => "S1",
            Self::Two => "S2",
        }
    }
}

/// What a running command excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpLane {
    /// Every other command of this lane: one at a time.
    Exclusive,
    /// Nothing.
    Shared,
}

/// The operations, each with its name, its variant and what it is told.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:literal $variant:ident($args:ident),)*) => {
        /// An operation and what it is told.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Op { $($(#[$doc])* $variant($args),)* }

        impl Op {
            /// The names of all operations.
            pub const NAMES: &[&str] = &[$($name,)*];

            /// Its name.
            pub fn as_str(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// What it is told, as JSON.
            pub fn args(&self) -> Value {
                let written = match self { $(Self::$variant(args) => serde_json::to_value(args),)* };
                written.expect("arguments hold only texts, numbers and lists")
            }

            fn read(name: &OpName, args: Value) -> Option<serde_json::Result<Self>> {
                Some(match name.as_str() {
                    $($name => serde_json::from_value(args).map(Self::$variant),)*
                    _ => return None,
                })
            }
        }
    };
}

operations! {
    /// Answer.
    "ping" Ping(Ping),
    /// Report again.
    "status" Status(Status),
    /// Collect what helps to find a fault.
    "diag" Diag(Diag),
    /// The end of a journal.
    "logs-tail" LogsTail(LogsTail),
    /// A short real encode.
    "self-test" SelfTest(SelfTest),
    /// Give and take tags.
    "tags" Tags(Tags),
    /// Take no more work.
    "drain" Drain(Drain),
    /// Take work again.
    "undrain" Undrain(Nothing),
    /// Start the worker anew.
    "restart-worker" RestartWorker(RestartWorker),
    /// Run a worker until its lanes are empty.
    "batch" Batch(Batch),
    /// Change settings.
    "set-conf" SetConf(SetConf),
    /// Choose a power mode.
    "power-mode" PowerMode(PowerMode),
    /// Boot.
    "reboot" Reboot(Nothing),
    /// Switch off.
    "poweroff" Poweroff(Poweroff),
    /// Call off another command.
    "cancel" Cancel(Cancel),
    /// Replace a credential.
    "rotate-cred" RotateCred(RotateCred),
    /// Change to another system.
    "switch" Switch(Switch),
    /// Back to an older system.
    "rollback" Rollback(Rollback),
    /// New firmware.
    "firmware" Firmware(Firmware),
    /// Trust other keys.
    "trust" Trust(NewTrust),
    /// Forget everything.
    "factory-reset" FactoryReset(FactoryReset),
}

impl Op {
    /// An operation by its name and what it is told. Fields that are not known are passed over.
    ///
    /// # Errors
    /// `unknown_op`, or `malformed` with what is wrong.
    pub fn parse(name: &OpName, args: Value) -> Result<Self, Rejection> {
        let known = Self::read(name, args);
        let read = known.ok_or_else(|| Rejection::new(Code::UnknownOp, format!("there is no operation `{name}`")))?;
        let op = read.map_err(|e| Rejection::malformed(format!("args of {name}: {e}")))?;
        op.check().map_err(|why| Rejection::malformed(format!("args of {name}: {why}")))?;
        Ok(op)
    }

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Diag(Diag { upload, .. }) if !matches!(upload.scheme(), "https" | "http") => {
                Err("upload must be an http:// or https:// address")
            }
            Self::Tags(Tags { add, del }) if add.is_empty() && del.is_empty() => Err("there is no tag to give or take"),
            Self::Tags(Tags { add, del }) if add.iter().any(|tag| del.contains(tag)) => {
                Err("a tag is both given and taken")
            }
            Self::Tags(Tags { add, del }) if add.len() + del.len() > 32 => Err("more than 32 tags"),
            _ => Ok(()),
        }
    }

    /// Its name.
    pub fn name(&self) -> OpName {
        OpName::known(self.as_str())
    }

    /// Who may give it.
    pub fn class(&self) -> Class {
        match self {
            Self::Ping(_) | Self::Status(_) => Class::Unsigned,
            Self::Rollback(Rollback { to: Generation::Number(_) })
            | Self::Poweroff(_)
            | Self::Switch(_)
            | Self::Firmware(_)
            | Self::Trust(_)
            | Self::FactoryReset(_) => Class::Two,
            _ => Class::One,
        }
    }

    /// What it excludes while it runs.
    pub fn lane(&self) -> OpLane {
        match self {
            Self::Switch(_)
            | Self::Rollback(_)
            | Self::Reboot(_)
            | Self::Poweroff(_)
            | Self::Firmware(_)
            | Self::FactoryReset(_) => OpLane::Exclusive,
            _ => OpLane::Shared,
        }
    }

    /// Whether one document may tell it to many nodes. What names a node or a command of one may not.
    pub fn may_roll_out(&self) -> bool {
        self.class() != Class::Unsigned && !matches!(self, Self::Poweroff(_) | Self::Cancel(_))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(name: &str, args: Value) -> Result<Op, Rejection> {
        Op::parse(&name.parse().expect("a name"), args)
    }

    #[test]
    fn who_may_give_which() {
        let path = "/nix/store/5rnfzla9kcx4mj5zdc7nlnv8na1najvg-nixos-system-orin-26.05";
        let nar = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let trust = json!({"document": {"payloadType": "t", "payload": "", "signatures": []}});
        let table = [
            ("ping", json!({}), Class::Unsigned, OpLane::Shared),
            ("status", json!({"docs": ["os"]}), Class::Unsigned, OpLane::Shared),
            ("diag", json!({"upload": "https://s3/put"}), Class::One, OpLane::Shared),
            ("logs-tail", json!({"unit": "reelmill-worker.service"}), Class::One, OpLane::Shared),
            ("self-test", json!({}), Class::One, OpLane::Shared),
            ("tags", json!({"add": ["lan"]}), Class::One, OpLane::Shared),
            ("drain", json!({}), Class::One, OpLane::Shared),
            ("undrain", json!({}), Class::One, OpLane::Shared),
            ("restart-worker", json!({"slot": 0}), Class::One, OpLane::Shared),
            ("batch", json!({}), Class::One, OpLane::Shared),
            ("set-conf", json!({"ver": 2}), Class::One, OpLane::Shared),
            ("power-mode", json!({"mode": 2}), Class::One, OpLane::Shared),
            ("power-mode", json!({"mode": "MAXN_SUPER"}), Class::One, OpLane::Shared),
            ("reboot", json!({}), Class::One, OpLane::Exclusive),
            ("poweroff", json!({"confirm": "orin-3"}), Class::Two, OpLane::Exclusive),
            ("cancel", json!({"target": "01M81B5H80NENTQAXBNENTQAXB"}), Class::One, OpLane::Shared),
            ("rotate-cred", json!({"which": "node-cert"}), Class::One, OpLane::Shared),
            ("switch", json!({"store_path": path, "nar_hash": nar, "release_ctr": 7}), Class::Two, OpLane::Exclusive),
            ("rollback", json!({"to": "previous"}), Class::One, OpLane::Exclusive),
            ("rollback", json!({"to": 41}), Class::Two, OpLane::Exclusive),
            ("firmware", json!({"capsule": format!("{path}/a.Cap"), "l4t": "36.4.3"}), Class::Two, OpLane::Exclusive),
            ("trust", trust, Class::Two, OpLane::Shared),
            ("factory-reset", json!({"keep_identity": true}), Class::Two, OpLane::Exclusive),
        ];
        for (name, args, class, lane) in &table {
            let op = parse(name, args.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!((op.as_str(), op.class(), op.lane()), (*name, *class, *lane));
            assert_eq!(parse(name, op.args()).as_ref(), Ok(&op), "{name} is read as it is written");
        }
        let named: Vec<_> = Op::NAMES.iter().filter(|name| table.iter().all(|row| row.0 != **name)).collect();
        assert!(named.is_empty(), "not in the table: {named:?}");
    }

    #[test]
    fn says_what_is_wrong_with_arguments() {
        let table = [
            ("shell", json!({}), Code::UnknownOp, "no operation `shell`"),
            ("logs-tail", json!({"unit": "a.service", "lines": 501}), Code::Malformed, "501 is not between 1 and 500"),
            ("logs-tail", json!({"unit": "a.service", "ttl_s": 301}), Code::Malformed, "301"),
            ("logs-tail", json!({"unit": "--all"}), Code::Malformed, "is no unit"),
            ("diag", json!({"upload": "file:///etc"}), Code::Malformed, "http:// or https://"),
            ("tags", json!({}), Code::Malformed, "no tag"),
            ("tags", json!({"add": ["lan"], "del": ["lan"]}), Code::Malformed, "both given and taken"),
            ("tags", json!({"add": ["a b"]}), Code::Malformed, "is no tag"),
            ("switch", json!({"store_path": "/etc"}), Code::Malformed, "Nix store"),
            ("rollback", json!({"to": "next"}), Code::Malformed, "args of rollback"),
            ("poweroff", json!({}), Code::Malformed, "confirm"),
            ("cancel", json!([]), Code::Malformed, "args of cancel"),
        ];
        for (name, args, code, part) in table {
            let rejection = parse(name, args).expect_err(name);
            assert!(rejection.code == code && rejection.to_string().contains(part), "{name}: {rejection}");
        }
    }
}
