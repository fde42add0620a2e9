//! `reelmill lanes`: how full the farm's lanes are, and their pauses.

use clap::Subcommand;
use reelmill_api::{Lane, queues::LaneState};
use url::Url;

use crate::{
    exit::DONE,
    hub::{Hub, parse_address},
    render,
    screen::{self, json_line},
    submit::DEFAULT_HUB,
    table::{Column, table},
};

/// Show how full the farm's lanes are, or pause and resume one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The hub's address
    #[arg(long, value_name = "URL", default_value = DEFAULT_HUB, value_parser = parse_address, global = true)]
    hub: Url,
    /// Print what the hub's API says, as one line of JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Have no task leased from a lane any more; what is in work goes on
    Pause {
        /// The lane's name
        lane: Lane,
    },
    /// Have tasks leased from a lane again
    Resume {
        /// The lane's name
        lane: Lane,
    },
}

const EXAMPLES: &str = "\
Examples:
  reelmill lanes
  reelmill lanes pause reelmill-hls-ladder-4k      nobody begins with one of these any more
  reelmill lanes resume reelmill-hls-ladder-4k";

/// Runs the command and returns its exit code.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let hub = Hub::at(args.hub);
    let lanes = match args.command {
        None => hub.lanes().await?,
        Some(Command::Pause { lane }) => vec![hub.pause(&lane).await?],
        Some(Command::Resume { lane }) => vec![hub.resume(&lane).await?],
    };
    screen::print(&if args.json { json_line(&lanes) } else { shown(&lanes) });
    Ok(DONE)
}

fn shown(lanes: &[LaneState]) -> String {
    let columns = [
        Column::Text("LANE"),
        Column::Text("STATE"),
        Column::Figure("READY"),
        Column::Figure("DELAYED"),
        Column::Figure("LEASED"),
        Column::Figure("DEAD"),
        Column::Figure("OLDEST"),
    ];
    let row = |lane: &LaneState| {
        [
            lane.lane.to_string(),
            standing(lane),
            lane.ready.to_string(),
            lane.delayed.to_string(),
            lane.leased.map_or("-".to_owned(), |leased| leased.to_string()),
            lane.dead.to_string(),
            lane.oldest_seconds.map_or("-".to_owned(), render::clock),
        ]
    };
    table(columns, &lanes.iter().map(row).collect::<Vec<_>>())
}

fn standing(lane: &LaneState) -> String {
    match (&lane.paused_with, lane.paused) {
        (Some(other), _) => format!("paused with {other}"),
        (None, true) => "paused".to_owned(),
        (None, false) => "open".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_does_not_tell_is_a_dash() {
        let lane = |name: &str| LaneState {
            lane: name.parse().expect("a lane"),
            paused: false,
            paused_with: None,
            ready: 0,
            delayed: 0,
            leased: None,
            dead: 0,
            oldest_seconds: None,
        };
        let full = LaneState {
            paused: true,
            ready: 1200,
            leased: Some(2),
            dead: 1,
            oldest_seconds: Some(3725.2),
            ..lane("reelmill-proxy")
        };
        let want = "\
LANE            STATE   READY  DELAYED  LEASED  DEAD   OLDEST
reelmill        open        0        0       -     0        -
reelmill-proxy  paused   1200        0       2     1  1:02:06
";
        assert_eq!(shown(&[lane("reelmill"), full]), want);
    }

    #[test]
    fn a_lane_that_is_paused_with_another_names_it() {
        let lane = r#"{"lane": "q-needs-a-av1_out", "paused": true, "paused_with": "q-a", "ready": 3, "delayed": 0, "dead": 0}"#;
        let lane: LaneState = serde_json::from_str(lane).expect("a lane");
        assert_eq!(standing(&lane), "paused with q-a");
    }
}
