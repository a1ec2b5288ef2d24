//! Times and durations, as people write and read them.

use crate::exit::Failure;
use std::time::{Duration, SystemTime};

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the command shows how long ago things were")]
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-20 14:24:42` in UTC.
pub(crate) fn utc(ms: u64) -> String {
    let seconds = ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `14:24:42` in UTC.
pub(crate) fn time_of_day(ms: u64) -> String {
    utc(ms).split_off(11)
}

/// `3 m ago`, in the largest unit that fits.
pub(crate) fn ago(then_ms: u64, now_ms: u64) -> String {
    match now_ms.checked_sub(then_ms) {
        Some(past) if past < 2_000 => "just now".to_owned(),
        Some(past) => format!("{} ago", rough(past)),
        None => format!("in {}", rough(then_ms - now_ms)),
    }
}

/// `2 h`, `350 ms`: one unit, rounded down.
pub(crate) fn rough(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(size, _)| ms >= *size);
    unit.map_or_else(|| format!("{ms} ms"), |(size, name)| format!("{} {name}", ms / size))
}

/// Reads `30s`, `5m`, `2h`, `7d`, `250ms`; a bare number means seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, Failure> {
    let refused = || Failure::usage(format!("{text:?} is not a duration: write 250ms, 30s, 5m, 2h or 7d"));
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refused())?;
    let factor = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refused()),
    };
    number.checked_mul(factor).map(Duration::from_millis).ok_or_else(refused)
}

/// `1.53 s` or `340 ms`.
pub(crate) fn precise(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

/// Year, month and day of a day since the Unix epoch (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_827_696_000), "2000-02-29 12:34:56");
        assert_eq!(utc(1_795_132_800_000), "2026-11-20 00:00:00");
        assert_eq!(time_of_day(951_827_696_000), "12:34:56");
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        assert_eq!(ago(0, 1_500), "just now");
        assert_eq!(ago(0, 200_000), "3 m ago");
        assert_eq!(ago(7_200_000, 0), "in 2 h");
        assert_eq!(precise(Duration::from_millis(1_534)), "1.53 s");
    }

    #[test]
    fn durations_read_with_their_unit() {
        assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(parse_duration("30").unwrap(), Duration::from_secs(30));
        assert_eq!(parse_duration("7d").unwrap(), Duration::from_secs(604_800));
        assert!(parse_duration("soon").unwrap_err().message.contains("30s"));
        assert!(parse_duration("99999999999999999999d").is_err());
    }
}
