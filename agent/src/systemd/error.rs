//! Why the node's service manager did not do what it was asked.

use std::{fmt, io::ErrorKind, time::Duration};

/// Why something was not done. Each names what was to be done, and to which unit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// polkit says that this user may not.
    #[error("cannot {action}: polkit refuses it ({why})")]
    Refused {
        /// What was to be done.
        action: Action,
        /// In the service's words.
        why: String,
    },
    /// The unit is not installed, or its file cannot be read.
    #[error("cannot {action}: {why}")]
    NotInstalled {
        /// What was to be done.
        action: Action,
        /// In systemd's words.
        why: String,
    },
    /// systemd tried, and it did not work.
    #[error("cannot {action}: its job ended as {result:?}")]
    Failed {
        /// What was to be done.
        action: Action,
        /// The job's result in systemd's words: `failed`, `timeout`, `canceled`, `dependency` ...
        result: String,
    },
    /// Somebody holds it off.
    #[error("cannot {action}: {}", holders(.by))]
    HeldOff {
        /// What was to be done.
        action: Action,
        /// Who, and why; empty where logind does not say.
        by: Vec<String>,
    },
    /// It took too long. It may still be done later.
    #[error("cannot {action}: not done within {} s", .limit.as_secs())]
    TimedOut {
        /// What was to be done.
        action: Action,
        /// How long was waited.
        limit: Duration,
    },
    /// The message bus, or who should answer on it, failed.
    #[error("cannot {action}")]
    Bus {
        /// What was to be done.
        action: Action,
        /// Why.
        #[source]
        source: Box<zbus::Error>,
    },
}

/// What was to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reach the message bus.
    Connect,
    /// Something with a unit; the verb first.
    Unit(&'static str, String),
    /// Reboot the machine.
    Reboot,
    /// Switch the machine off.
    PowerOff,
    /// Hold off reboots.
    Inhibit,
    /// Ask whether the clock is set.
    AskClock,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("reach the system's message bus"),
            Self::Unit(verb, unit) => write!(f, "{verb} {unit}"),
            Self::Reboot => f.write_str("reboot this machine"),
            Self::PowerOff => f.write_str("switch this machine off"),
            Self::Inhibit => f.write_str("hold off reboots"),
            Self::AskClock => f.write_str("ask whether the clock is synchronised"),
        }
    }
}

fn holders(by: &[String]) -> String {
    if by.is_empty() { "somebody holds it off".to_owned() } else { format!("held off by {}", by.join(", ")) }
}

/// What a refusal means, by its name on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Refused,
    NotInstalled,
    HeldOff,
    Unknown,
}

fn meaning(name: &str) -> Meaning {
    match name {
        "org.freedesktop.DBus.Error.AccessDenied"
        | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
        | "org.freedesktop.PolicyKit1.Error.NotAuthorized" => Meaning::Refused,
        "org.freedesktop.systemd1.NoSuchUnit"
        | "org.freedesktop.systemd1.LoadFailed"
        | "org.freedesktop.systemd1.BadUnitSetting"
        | "org.freedesktop.systemd1.UnitMasked" => Meaning::NotInstalled,
        "org.freedesktop.login1.BlockedByInhibitorLock" => Meaning::HeldOff,
        _ => Meaning::Unknown,
    }
}

impl Error {
    /// From what the bus says.
    pub(super) fn of_bus(action: Action, error: zbus::Error) -> Self {
        let (meaning, why) = match &error {
            zbus::Error::MethodError(name, why, _) => (meaning(name.as_str()), why.clone().unwrap_or_default()),
            _ => (Meaning::Unknown, String::new()),
        };
        match meaning {
            Meaning::Refused => Self::Refused { action, why },
            Meaning::NotInstalled => Self::NotInstalled { action, why },
            Meaning::HeldOff => Self::HeldOff { action, by: Vec::new() },
            Meaning::Unknown => Self::Bus { action, source: Box::new(error) },
        }
    }

    /// Whether the connection broke while an answer was waited for, which is not the same as an answer that takes long.
    pub(super) fn is_lost_answer(&self) -> bool {
        let lost =
            |error: &zbus::Error| matches!(error, zbus::Error::InputOutput(e) if e.kind() != ErrorKind::TimedOut);
        matches!(self, Self::Bus { source, .. } if lost(source))
    }

    /// Whether logind says that the machine goes down already.
    pub(super) fn is_under_way(&self) -> bool {
        const NAME: &str = "org.freedesktop.login1.OperationInProgress";
        let under_way =
            |error: &zbus::Error| matches!(error, zbus::Error::MethodError(name, ..) if name.as_str() == NAME);
        matches!(self, Self::Bus { source, .. } if under_way(source))
    }

    /// Whether the connection is of no more use.
    pub(super) fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Bus { source, .. } if matches!(**source, zbus::Error::InputOutput(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_bus_have_a_meaning() {
        assert_eq!(meaning("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"), Meaning::Refused);
        assert_eq!(meaning("org.freedesktop.DBus.Error.AccessDenied"), Meaning::Refused);
        assert_eq!(meaning("org.freedesktop.systemd1.NoSuchUnit"), Meaning::NotInstalled);
        assert_eq!(meaning("org.freedesktop.login1.BlockedByInhibitorLock"), Meaning::HeldOff);
        assert_eq!(meaning("org.freedesktop.DBus.Error.NoReply"), Meaning::Unknown);
    }

    #[test]
    fn each_error_names_what_was_to_be_done() {
        let restart = || Action::Unit("restart", "reelmill-worker.service".to_owned());
        let table: &[(Error, &str)] = &[
            (
                Error::Refused { action: restart(), why: "interactive authentication required".to_owned() },
                "cannot restart reelmill-worker.service: polkit refuses it (interactive authentication required)",
            ),
            (
                Error::NotInstalled { action: restart(), why: "Unit reelmill-worker.service not found.".to_owned() },
                "cannot restart reelmill-worker.service: Unit reelmill-worker.service not found.",
            ),
            (
                Error::Failed { action: restart(), result: "timeout".to_owned() },
                "cannot restart reelmill-worker.service: its job ended as \"timeout\"",
            ),
            (
                Error::HeldOff { action: Action::Reboot, by: vec!["reelmill-agent (a job runs)".to_owned()] },
                "cannot reboot this machine: held off by reelmill-agent (a job runs)",
            ),
            (
                Error::HeldOff { action: Action::PowerOff, by: vec![] },
                "cannot switch this machine off: somebody holds it off",
            ),
            (
                Error::TimedOut { action: restart(), limit: Duration::from_secs(90) },
                "cannot restart reelmill-worker.service: not done within 90 s",
            ),
        ];
        for (error, want) in table {
            assert_eq!(error.to_string(), *want);
        }
    }

    #[test]
    fn a_connection_that_broke_is_told_apart_from_a_refusal() {
        let io = |kind: ErrorKind| {
            let error = Error::of_bus(Action::AskClock, zbus::Error::InputOutput(std::sync::Arc::new(kind.into())));
            (error.is_broken_connection(), error.is_lost_answer())
        };
        assert_eq!(io(ErrorKind::BrokenPipe), (true, true));
        assert_eq!(io(ErrorKind::TimedOut), (true, false));
        assert!(!Error::of_bus(Action::AskClock, zbus::Error::InvalidReply).is_broken_connection());
    }
}
