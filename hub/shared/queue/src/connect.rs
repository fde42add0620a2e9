//! From a queue's address to its driver: the one place that knows which addresses this build speaks.

use std::sync::Arc;

use reelmill_api::QueueName;

use crate::{QueueError, SharedQueue, redis::RedisQueue, sqlite::SqliteQueue, sqs::SqsQueue};

/// Connects to the queue server at `url`, for the farm whose queue is named `queue`:
/// - `sqlite:///absolute/path/queue.sqlite`;
/// - `redis://[user:password@]host[:port][/db]`, or `rediss://...[?ca=/path]` for TLS;
/// - `sqs://KEY:SECRET@region` or `https://KEY:SECRET@sqs.REGION.amazonaws.com[/account[/queue]]` for SQS, and
///   `http[s]://KEY:SECRET@host[:port][?region=...&ca=/path]` for a server that speaks it ([`crate::with_keys`] puts in keys
///   that lie elsewhere). Behind `?` may also stand `token=`, which temporary keys need; `plain=yes`, without which
///   `http://` is for loopback only; and `longest=`, the seconds that a server can hide a message, if not SQS's 12 hours.
///
/// # Errors
/// [`QueueError::BadAddress`] where the address cannot be used, [`QueueError::Failed`] where the server does not
/// answer within seconds or refuses. Neither ever holds a password.
pub async fn connect(url: &str, queue: &QueueName) -> Result<SharedQueue, QueueError> {
    match scheme(url) {
        "sqlite" => Ok(Arc::new(SqliteQueue::open(url, queue).await?)),
        "redis" | "rediss" => Ok(Arc::new(RedisQueue::open(url, queue).await?)),
        // Boxed: the SDK's futures are so deep that the compiler gives up on programs that hold them in theirs.
        "sqs" | "sqs+http" | "sqs+https" | "http" | "https" => {
            Ok(Arc::new(Box::pin(SqsQueue::open(url, queue)).await?))
        }
        other => Err(not_spoken(other)),
    }
}

/// What stands before the first colon, if it can be a scheme at all; else nothing, as it may be part of a secret.
fn scheme(url: &str) -> &str {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') => {
            scheme
        }
        _ => "",
    }
}

fn not_spoken(scheme: &str) -> QueueError {
    let message = match scheme {
        "amqp" | "amqps" => "this build does not speak to RabbitMQ (amqp://) yet",
        "nats" | "tls" => "this build does not speak to NATS (nats://) yet",
        _ => "the queue's address begins with no scheme that is known",
    };
    QueueError::BadAddress {
        message: message.to_owned(),
        hint: "write sqlite:///path/queue.sqlite, redis://host:6379 or sqs://region".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_what_it_does_not_speak() {
        for (url, part) in [
            ("amqp://user:hunter2@hub:5672/%2f", "RabbitMQ"),
            ("amqps://hub", "RabbitMQ"),
            ("nats://hub:4222", "NATS"),
            ("hub:6379", "no scheme"),
            ("hunter2", "no scheme"),
            ("", "no scheme"),
            ("://", "no scheme"),
        ] {
            let error = connect(url, &QueueName::default()).await.err().expect("not spoken");
            assert!(matches!(error, QueueError::BadAddress { .. }), "{error:?}");
            assert!(error.to_string().contains(part) && !format!("{error:?}").contains("hunter2"), "{url}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("redis://")), "{url}");
        }
    }
}
