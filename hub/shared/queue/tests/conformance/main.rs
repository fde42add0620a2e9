//! One suite for all drivers, then what only one of them promises. The servers are real and start with each test.

mod bench;
mod model;
mod nats_only;
mod nats_servers;
mod promises;
mod rabbit_only;
mod redis_only;
mod slow;
mod sqlite_only;
mod sqs_only;

/// Each promise as one test per driver.
macro_rules! every_driver_keeps {
    ($($promise:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                crate::promises::$promise(&crate::bench::Bench::sqlite().await).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                crate::promises::$promise(&crate::bench::Bench::redis().await).await;
            })*
        }
        mod rabbit {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                crate::promises::$promise(&crate::bench::Bench::rabbit().await).await;
            })*
        }
        mod nats {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                crate::promises::$promise(&crate::bench::Bench::nats().await).await;
            })*
        }
        mod sqs {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                crate::promises::$promise(&crate::bench::Bench::sqs().await).await;
            })*
        }
    };
}

every_driver_keeps![
    gives_the_urgent_first_and_each_priority_in_order,
    keeps_a_delayed_message_aside_until_it_is_due,
    drops_a_second_message_with_the_same_key,
    remembers_a_key_for_all_where_the_server_does,
    gives_an_expired_lease_to_another_and_fences_the_first,
    a_lease_that_ran_out_is_lost_even_if_nobody_took_it,
    an_extended_lease_outlives_its_first_deadline,
    counts_a_retry_but_not_what_was_handed_back,
    a_redelivered_message_keeps_its_place_in_line,
    a_retry_waits_for_its_delay,
    settles_only_once,
    keeps_dead_letters_with_their_bytes_and_reasons,
    measures_depth_and_age,
    leases_from_the_first_lane_that_has_something,
    loses_and_doubles_nothing_under_many_consumers,
    wakes_a_waiting_lease_for_a_message,
    wakes_a_waiting_lease_for_what_is_handed_back,
    gives_up_a_wait_when_it_is_over,
    tells_every_reader_every_event,
    wakes_a_waiting_reader,
    reads_from_the_oldest_with_a_cursor_of_another_server,
    carries_any_bytes,
    shares_its_lanes_between_connections,
    keeps_farms_apart,
    lets_no_priority_wait_for_ever,
    dead_letters_are_retried_or_dropped,
    notices_are_seen_by_all_until_withdrawn,
];
