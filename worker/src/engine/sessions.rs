//! Encoder sessions of a GPU: consumer drivers allow only some at once, one for each rendition.

use std::{num::NonZeroU32, sync::Arc};

use reelmill_api::{ErrorKind, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The sessions of this worker.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Option<(u32, Arc<Semaphore>)>);

impl Sessions {
    /// At most `limit` at once; without one, as many as the driver gives.
    pub fn new(limit: Option<NonZeroU32>) -> Self {
        Self(limit.map(|limit| (limit.get(), Arc::new(Semaphore::new(limit.get() as usize)))))
    }

    /// Sessions for `wanted` renditions, all or none; they are free again when what is returned is dropped.
    ///
    /// # Errors
    /// `no_capability` if there are never so many, `busy` if there are not now.
    pub fn claim(&self, wanted: usize) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        let Some((limit, free)) = &self.0 else { return Ok(None) };
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        if wanted > *limit {
            let message = format!("the job needs {wanted} encoder sessions at once, and this node has {limit}");
            return Err(Failure::new(ErrorKind::NoCapability, message).hint(
                "raise nvenc_sessions under [media] if the driver allows more, or use a preset with fewer rungs",
            ));
        }
        free.clone().try_acquire_many_owned(wanted).map(Some).map_err(|_| {
            let message = format!(
                "the job needs {wanted} encoder sessions, and of this node's {limit} only {} are free now",
                free.available_permits()
            );
            Failure::new(ErrorKind::Busy, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_given_all_or_none_and_come_back() {
        let sessions = Sessions::new(NonZeroU32::new(8));
        let kind =
            |wanted| sessions.claim(wanted).map(|held| held.map_or(0, |held| held.num_permits())).map_err(|f| f.kind);
        assert_eq!(kind(9), Err(ErrorKind::NoCapability));
        assert_eq!(kind(8), Ok(8));
        let first = sessions.claim(5).expect("five of eight");
        assert_eq!(kind(4), Err(ErrorKind::Busy));
        assert_eq!(kind(3), Ok(3));
        drop(first);
        assert_eq!(kind(4), Ok(4));
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        assert!(Sessions::new(None).claim(1000).expect("no limit").is_none());
    }
}
