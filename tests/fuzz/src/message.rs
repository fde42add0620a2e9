//! A message on a lane, which anybody may have put there: a task, or why it is none.

use reelmill_api::Task;

use crate::is_sentence;

/// Asks it of any bytes.
pub fn any_bytes(body: &[u8]) {
    match Task::from_message(body, "reelmill", "1") {
        Ok(task) => assert_eq!(Task::from_message(&task.to_message(), "other", "2"), Ok(task)),
        Err(failure) => is_sentence(&failure.message),
    }
}
