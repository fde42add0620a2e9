//! The maintenance window: on which days and between which hours a node may be disturbed.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};

use super::values::Unfit;

/// Their names, from Monday.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// What it must look like.
const FORM: Unfit = Unfit::new("days, hours and a zone such as `Sat,Sun 02:00-05:00 local` or `22:30-04:00 UTC`");

/// Some hours of some days, every week: `[DAYS ]HH:MM-HH:MM UTC|local`. Days are `Mon` to `Sun`, ranges such as `Mon..Fri`, or
/// several of both with commas; absent: every day. Hours that go past midnight belong to the day on which they begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From Monday.
    days: [bool; 7],
    /// Minutes of the day.
    from: u16,
    /// Minutes of the day; up to a whole day.
    to: u16,
    local: bool,
}

impl Window {
    /// Whether it is open, by a clock that is right. `local` hours are those of the machine's own zone.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.is_open_in(now, if self.local { TimeZone::system() } else { TimeZone::UTC })
    }

    fn is_open_in(&self, now: Timestamp, zone: TimeZone) -> bool {
        let there = now.to_zoned(zone);
        let today = place(there.weekday());
        let minute = u16::try_from(i32::from(there.hour()) * 60 + i32::from(there.minute())).unwrap_or(0);
        if self.from < self.to {
            return self.days[today] && (self.from..self.to).contains(&minute);
        }
        (self.days[today] && minute >= self.from) || (self.days[(today + 6) % 7] && minute < self.to)
    }
}

fn place(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

impl FromStr for Window {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, hours, zone) = match words[..] {
            [days, hours, zone] => (days_of(days).ok_or(FORM)?, hours, zone),
            [hours, zone] => ([true; 7], hours, zone),
            _ => return Err(FORM),
        };
        let (from, to) = hours.split_once('-').ok_or(FORM)?;
        let (from, to) = (minute_of(from).ok_or(FORM)?, minute_of(to).ok_or(FORM)?);
        let local = match zone {
            "local" => true,
            "UTC" => false,
            _ => return Err(FORM),
        };
        // Nobody knows whether that means never or always.
        if from == to || from == 24 * 60 {
            return Err(FORM);
        }
        Ok(Self { days, from, to, local })
    }
}

/// The days of `Mon,Wed..Fri`.
fn days_of(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = [false; 7];
    for range in text.split(',') {
        let (first, last) = range.split_once("..").unwrap_or((range, range));
        let (mut at, last) = (day(first)?, day(last)?);
        days[at] = true;
        // Over Sunday into the next week, where it is written so.
        while at != last {
            at = (at + 1) % 7;
            days[at] = true;
        }
    }
    Some(days)
}

/// The minute of `HH:MM`, to 24:00.
fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= 24 * 60).then_some(all)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = DAYS.iter().zip(self.days).filter(|(_, open)| *open).map(|(day, _)| *day).collect();
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let zone = if self.local { "local" } else { "UTC" };
        write!(f, "{} {}-{} {zone}", days.join(","), clock(self.from), clock(self.to))
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(text: &str) -> Window {
        text.parse().expect("a window")
    }

    #[test]
    fn is_read_as_it_is_meant() {
        let table = [
            ("02:00-05:00 UTC", "Mon,Tue,Wed,Thu,Fri,Sat,Sun 02:00-05:00 UTC"),
            ("Sat..Sun 02:00-05:00 local", "Sat,Sun 02:00-05:00 local"),
            ("Mon,Wed..Fri 22:30-04:00 UTC", "Mon,Wed,Thu,Fri 22:30-04:00 UTC"),
            ("Sat..Mon 00:00-24:00 UTC", "Mon,Sat,Sun 00:00-24:00 UTC"),
        ];
        for (text, want) in table {
            assert_eq!(window(text).to_string(), want);
        }
        for bad in [
            "",
            "always",
            "02:00-05:00",
            "02:00-05:00 CET",
            "Sat 02:00 - 05:00 UTC",
            "2:00-5:00 UTC",
            "02:00-02:00 UTC",
            "24:00-02:00 UTC",
            "02:00-24:01 UTC",
            "02:60-05:00 UTC",
            "+2:00-05:00 UTC",
            "Sat.Sun 02:00-05:00 UTC",
            "sat 02:00-05:00 UTC",
            "Sat, 02:00-05:00 UTC",
        ] {
            let told = bad.parse::<Window>().expect_err(bad).to_string();
            assert!(told.starts_with("it must be days, hours and a zone"), "{told}");
        }
    }

    #[test]
    fn is_open_from_its_first_minute_to_its_last() {
        // 2026-11-22 is a Sunday.
        let check = |text: &str, at: &str, want: bool| {
            let now: Timestamp = at.parse().expect("a time");
            assert_eq!(window(text).is_open(now), want, "{text} at {at}");
        };
        let weekend = "Sat..Sun 02:00-05:00 UTC";
        check(weekend, "2026-11-22T01:59:59Z", false);
        check(weekend, "2026-11-22T02:00:00Z", true);
        check(weekend, "2026-11-22T04:59:59Z", true);
        check(weekend, "2026-11-22T05:00:00Z", false);
        check(weekend, "2026-11-23T03:00:00Z", false);
        let night = "Sun 22:00-04:00 UTC";
        check(night, "2026-11-22T03:00:00Z", false);
        check(night, "2026-11-22T22:00:00Z", true);
        check(night, "2026-11-23T03:59:00Z", true);
        check(night, "2026-11-23T04:00:00Z", false);
        check(night, "2026-11-23T22:00:00Z", false);
    }

    #[test]
    fn local_hours_are_those_of_the_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let at: Timestamp = "2026-11-21T23:30:00Z".parse().expect("a time");
        assert!(window("Sun 01:00-02:00 local").is_open_in(at, zone), "it is half past one on Sunday there");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_a_window_or_refused(text in "([A-Za-z.,]{0,12} )?[0-9:-]{0,13} ?(UTC|local|x)?") {
            if let Ok(window) = text.parse::<Window>() {
                prop_assert_eq!(window.to_string().parse::<Window>().expect("as it is written"), window);
            }
        }

        #[test]
        fn a_week_is_open_for_as_long_as_it_says(days in 1..128_u8, from in 0..1440_u16, to in 1..=1440_u16) {
            prop_assume!(from != to);
            let open = std::array::from_fn(|day| days >> day & 1 == 1);
            let window = Window { days: open, from, to, local: false };
            let monday = 1_795_392_000 - 1_795_392_000 % (7 * 86_400) + 4 * 86_400;
            let minutes = (0..7 * 1440).map(|m| Timestamp::from_second(monday + m * 60).expect("a time"));
            let length = if from < to { to - from } else { 1440 - from + to };
            prop_assert_eq!(minutes.filter(|now| window.is_open(*now)).count(), usize::from(length) * days.count_ones() as usize);
        }
    }
}
