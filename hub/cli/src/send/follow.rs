//! Commands from the moment they are given to their ends.

use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    board::Board,
    errand::{Change, Errand, exit_code},
    post::{News, Post},
};

/// Gives what is to be given and follows all of it until the ends, or until `stop`; then the exit code is told. Whose end is
/// known is taken away from the broker, because whoever gives a command does that, and no hub stands between.
///
/// # Errors
/// If the broker refuses a command.
pub(super) async fn follow(
    mut post: Post,
    mut errands: Vec<Errand>,
    mut board: Board,
    stop: &CancellationToken,
) -> anyhow::Result<u8> {
    post.listen(&errands);
    give(&mut post, &errands);
    board.begin(&errands);
    // One that was given before may have ended since.
    (0..errands.len()).for_each(|n| heard(&mut post, &mut board, &errands[n], n, Change::State));
    let mut connected = true;
    while !errands.iter().all(Errand::is_over) {
        let news = tokio::select! {
            () = stop.cancelled() => break,
            () = late(&errands) => {
                for (n, errand) in errands.iter_mut().enumerate() {
                    if errand.wait_until(Timestamp::now()) {
                        heard(&mut post, &mut board, errand, n, Change::State);
                    }
                }
                continue;
            }
            news = post.news() => news,
        };
        match news {
            News::Message(topic, payload) => {
                for (n, errand) in errands.iter_mut().enumerate() {
                    let change = errand.hear(&topic, &payload);
                    heard(&mut post, &mut board, errand, n, change);
                }
            }
            News::Refused(why) => bail!("the broker did not take the command: {why}"),
            News::Lost(why, _) if connected => {
                connected = false;
                board.note(&format!("lost the broker: {why}; connecting again"));
            }
            News::Up if !connected => {
                connected = true;
                board.note("the broker is there again");
                // What it had not taken yet is given again; what it had, a node does once.
                give(&mut post, &errands);
            }
            News::Up | News::Subscribed | News::Taken | News::Lost(..) => {}
        }
    }
    post.close().await;
    board.end(&errands);
    Ok(exit_code(&errands))
}

/// Gives what is to be given, and leaves it with the broker.
///
/// # Errors
/// If the broker refuses a command, or is lost before it has all of them.
pub(super) async fn leave(mut post: Post, errands: &[Errand]) -> anyhow::Result<()> {
    give(&mut post, errands);
    let mut taken = 0;
    while taken < errands.len() {
        match post.news().await {
            News::Taken => taken += 1,
            News::Refused(why) => bail!("the broker did not take the command: {why}"),
            News::Lost(why, _) => bail!("the broker was lost before it had all: {why}"),
            _ => {}
        }
    }
    post.close().await;
    Ok(())
}

fn give(post: &mut Post, errands: &[Errand]) {
    errands.iter().filter(|errand| !errand.is_over()).filter_map(|it| it.given.as_ref()).for_each(|it| post.give(it));
}

/// Shows what has changed, and takes away what is over.
fn heard(post: &mut Post, board: &mut Board, errand: &Errand, n: usize, change: Change) {
    match change {
        Change::None => {}
        Change::Presence => board.presence(errand),
        Change::State => {
            board.show(n, errand);
            if let (true, Some(topic)) = (errand.is_over(), errand.topic()) {
                post.clear(&topic);
            }
        }
    }
}

/// Until one is over because its node never came for it.
async fn late(errands: &[Errand]) {
    let Some(at) = errands.iter().filter_map(Errand::given_up_at).min() else { return std::future::pending().await };
    let wait = at.duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(wait).unwrap_or(Duration::ZERO)).await;
}
