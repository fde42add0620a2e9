//! Whatever comes from outside is parsed or refused: it never panics, and what is accepted is what it says.

use proptest::prelude::*;
use reelmill_api::{AttemptId, Location, PresetName, Rational, Task, layout};

proptest! {
    #[test]
    fn any_bytes_are_a_task_or_a_reason(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Err(failure) = Task::from_message(&body, "reelmill", "1") {
            prop_assert!(failure.message.starts_with("the message on reelmill is not a job: "));
        }
    }

    #[test]
    fn any_json_fields_are_a_task_or_a_reason(input in ".{0,40}", preset in ".{0,20}", output in ".{0,40}") {
        let body = serde_json::json!({"input": input, "preset": preset, "output": output}).to_string();
        if let Ok(task) = Task::from_message(body.as_bytes(), "reelmill", "1") {
            prop_assert_eq!(Task::from_message(&task.to_message(), "other", "2"), Ok(task));
        }
    }

    #[test]
    fn a_location_that_parses_stays_itself_and_cannot_climb(text in "(s3|file)://[a-z./ \\\\%]{0,30}", below in "[a-z./]{0,12}") {
        if let Ok(location) = text.parse::<Location>() {
            prop_assert_eq!(location.to_string().parse::<Location>(), Ok(location.clone()));
            if let Ok(joined) = location.join(&below) {
                prop_assert!(joined.to_string().starts_with(location.to_string().trim_end_matches('/')), "{joined}");
                prop_assert!(!joined.to_string().split('/').any(|part| part == ".."), "{joined}");
            }
        }
    }

    #[test]
    fn names_never_panic(text in ".{0,60}") {
        let accepted = text.parse::<PresetName>().map(|n| n.to_string());
        prop_assert!(accepted.is_err() || accepted.as_deref() == Ok(text.as_str()));
        let attempt = text.parse::<AttemptId>();
        prop_assert!(attempt.is_err() || attempt.map(|a| a.to_string().parse::<AttemptId>().is_ok()) == Ok(true));
        let rational = text.parse::<Rational>();
        prop_assert!(rational.is_err() || rational.is_ok_and(|r| r.as_f64() > 0.0));
        prop_assert!(layout::segment_index(&text).is_none_or(|index| layout::segment(index) == text));
    }

    #[test]
    fn any_text_is_searched_for_an_attempt(master in "(#EXTM3U\n)?[a-z0-9#/\n-]{0,60}") {
        if let Some(attempt) = layout::published_attempt(&master) {
            prop_assert!(master.lines().any(|line| line.starts_with('a')), "{attempt}");
        }
    }
}
