//! Commands that are called off by others.

use reelmill_api::fleet::{
    Code, CommandId, KeyId, Rejection, Role,
    moves::Event as Move,
    state::{CommandState, Fault},
};
use serde_json::Map;

use super::{Core, Effect, Entry, Now};

impl Core {
    /// Calls off another command.
    pub(super) fn call_off(&mut self, now: &Now, id: CommandId, target: CommandId, effects: &mut Vec<Effect>) {
        let refuse = |code, why: String| Move::Reject(Rejection::new(code, why));
        let Some(found) = self.memory.entries.get(&target) else {
            return self.move_on(now, id, refuse(Code::Precondition, format!("there is no command {target}")), effects);
        };
        if !self.may_call_off(id, found) {
            let why = "only who gave the command, or an admin, may call it off".to_owned();
            return self.move_on(now, id, refuse(Code::Unauthorized, why), effects);
        }
        // The agent may have died between the two records of this.
        let gone = found.state.state == CommandState::Canceled;
        match found.state.after(Move::Cancel, now.wall, &self.own.teller) {
            Ok(_) => self.move_on(now, target, Move::Cancel, effects),
            Err(_) if gone => {}
            Err(why) => return self.at_once(now, id, Err(Fault::new("too_late", false, &why.to_string())), effects),
        }
        self.at_once(now, id, Ok(Map::from_iter([("canceled".to_owned(), target.to_string().into())])), effects);
    }

    /// Whether one of those who signed a cancellation gave the command, or is an admin. The target may have come after it.
    fn may_call_off(&self, id: CommandId, target: &Entry) -> bool {
        let signers = self.memory.entries.get(&id).map(|entry| entry.signers.as_slice()).unwrap_or_default();
        let is_admin = |id: &KeyId| {
            self.own.trust.keys().iter().any(|key| key.key.id() == *id && key.roles.contains(&Role::Admin))
        };
        target.signers.is_empty() || signers.iter().any(|id| target.signers.contains(id) || is_admin(id))
    }
}
