//! The worker's settings that came by command, as the lines of an environment file: systemd gives them to the worker over
//! its own. The version is in the file too, so that both change in one step.

use std::{fmt, num::NonZeroU64, str::FromStr};

use reelmill_api::{PresetName, fleet::args::SetConf};

/// Before the version, in the first line.
const VERSION: &str = "# Written by reelmill-exec, from a signed command: version ";

/// What was commanded so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerEnv {
    /// The version of the settings; it rises.
    pub ver: NonZeroU64,
    presets: Option<Vec<PresetName>>,
    concurrency: Option<u32>,
    memory_mib: Option<u32>,
    stall_s: Option<u32>,
}

/// Why settings do not follow on those in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {wanted} is not above {now}, which is in force")]
pub struct NotNewer {
    wanted: u64,
    now: u64,
}

/// Text that this helper has not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0} is not what reelmill-exec writes")]
pub struct NotOurs(usize);

impl WorkerEnv {
    /// What is in force after a command; what it does not speak of stays.
    ///
    /// # Errors
    /// If its version is not above the present one.
    pub fn after(now: Option<&Self>, set: &SetConf) -> Result<Self, NotNewer> {
        let present = now.map_or(0, |now| now.ver.get());
        let newer = NonZeroU64::new(set.ver).filter(|ver| ver.get() > present);
        let ver = newer.ok_or(NotNewer { wanted: set.ver, now: present })?;
        let limits = set.limits.unwrap_or_default();
        Ok(Self {
            ver,
            presets: set.preset.clone().or_else(|| now?.presets.clone()),
            concurrency: set.concurrency.map(u32::from).or_else(|| now?.concurrency),
            memory_mib: limits.memory_mib.map(u32::from).or_else(|| now?.memory_mib),
            stall_s: limits.stall_s.map(u32::from).or_else(|| now?.stall_s),
        })
    }
}

impl fmt::Display for WorkerEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{VERSION}{}", self.ver)?;
        if let Some(presets) = &self.presets {
            let names: Vec<_> = presets.iter().map(PresetName::as_str).collect();
            // To the worker, an empty list is no list.
            writeln!(f, "PRESET={}", if names.is_empty() { "all".to_owned() } else { names.join(",") })?;
        }
        let numbers =
            [("CONCURRENCY", self.concurrency), ("MEDIA_MEMORY_MIB", self.memory_mib), ("STALL_SECONDS", self.stall_s)];
        for (name, number) in numbers {
            if let Some(number) = number {
                writeln!(f, "{name}={number}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for WorkerEnv {
    type Err = NotOurs;

    fn from_str(text: &str) -> Result<Self, NotOurs> {
        let mut lines = text.lines().enumerate();
        let first = lines.next().and_then(|(_, line)| line.strip_prefix(VERSION));
        let ver = first.and_then(|ver| ver.parse().ok()).ok_or(NotOurs(1))?;
        let mut env = Self { ver, presets: None, concurrency: None, memory_mib: None, stall_s: None };
        for (at, line) in lines {
            let (name, value) = line.split_once('=').ok_or(NotOurs(at + 1))?;
            let number = || value.parse().map(Some).map_err(|_| NotOurs(at + 1));
            match name {
                "PRESET" => env.presets = Some(presets(value).ok_or(NotOurs(at + 1))?),
                "CONCURRENCY" => env.concurrency = number()?,
                "MEDIA_MEMORY_MIB" => env.memory_mib = number()?,
                "STALL_SECONDS" => env.stall_s = number()?,
                _ => return Err(NotOurs(at + 1)),
            }
        }
        Ok(env)
    }
}

fn presets(value: &str) -> Option<Vec<PresetName>> {
    if value == "all" {
        return Some(Vec::new());
    }
    value.split(',').map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn set(args: Value) -> SetConf {
        serde_json::from_value(args).expect("arguments")
    }

    #[test]
    fn what_a_command_does_not_speak_of_stays() {
        let one = set(json!({"ver": 3, "preset": ["hls-ladder", "proxy"], "limits": {"memory_mib": 4096}}));
        let one = WorkerEnv::after(None, &one).expect("newer than nothing");
        assert_eq!(
            one.to_string(),
            "# Written by reelmill-exec, from a signed command: version 3\nPRESET=hls-ladder,proxy\nMEDIA_MEMORY_MIB=4096\n"
        );
        let two = set(json!({"ver": 9, "preset": [], "concurrency": 2, "limits": {"stall_s": 30}}));
        let two = WorkerEnv::after(Some(&one), &two).expect("newer");
        assert_eq!(
            two.to_string(),
            "# Written by reelmill-exec, from a signed command: version 9\nPRESET=all\nCONCURRENCY=2\nMEDIA_MEMORY_MIB=4096\n\
             STALL_SECONDS=30\n"
        );
        for old in [9, 8, 0] {
            assert_eq!(WorkerEnv::after(Some(&two), &set(json!({"ver": old}))), Err(NotNewer { wanted: old, now: 9 }));
        }
        assert_eq!(WorkerEnv::after(None, &set(json!({"ver": 0}))), Err(NotNewer { wanted: 0, now: 0 }));
    }

    #[test]
    fn what_somebody_else_wrote_is_told() {
        let head = "# Written by reelmill-exec, from a signed command: version 3\n";
        let table = [
            (String::new(), 1),
            ("PRESET=all\n".to_owned(), 1),
            (format!("{head}PRESET=all\nQUEUE_URL=redis://elsewhere\n"), 3),
            (format!("{head}CONCURRENCY=two\n"), 2),
            (format!("{head}PRESET=a b\n"), 2),
            (format!("{head}\n"), 2),
        ];
        for (text, line) in table {
            assert_eq!(text.parse::<WorkerEnv>(), Err(NotOurs(line)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_is_read_as_it_is_written(
            ver in 1..u64::MAX,
            names in prop::option::of(prop::collection::vec("[a-z][a-z0-9-]{0,39}", 0..4)),
            concurrency in prop::option::of(1..=64_u32),
            memory_mib in prop::option::of(256..=1_048_576_u32),
            stall_s in prop::option::of(1..=3600_u32),
        ) {
            // A list of one preset called `all` is what `all` is: all of them.
            prop_assume!(names.as_ref().is_none_or(|names| names != &["all"]));
            let args = json!({"ver": ver, "preset": names, "concurrency": concurrency,
                              "limits": {"memory_mib": memory_mib, "stall_s": stall_s}});
            let env = WorkerEnv::after(None, &set(args)).expect("newer than nothing");
            prop_assert_eq!(env.to_string().parse::<WorkerEnv>(), Ok(env));
        }

        #[test]
        fn no_text_makes_it_stumble(text in "\\PC*(\n\\PC*){0,4}") {
            let _ = text.parse::<WorkerEnv>();
        }
    }
}
