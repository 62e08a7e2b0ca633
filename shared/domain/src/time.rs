//! Instants and durations as plain values. Nothing here reads a clock.

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

pub const SECOND_MS: i64 = 1_000;
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

impl Time {
    pub const fn from_millis(ms: i64) -> Time {
        Time(ms)
    }

    pub const fn from_seconds(seconds: i64) -> Time {
        Time(seconds.saturating_mul(SECOND_MS))
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND_MS)
    }

    pub const fn plus_ms(self, ms: i64) -> Time {
        Time(self.0.saturating_add(ms))
    }

    /// RFC 3339 in UTC, with milliseconds only where there are some.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default().to_string()
    }

    pub fn parse_rfc3339(text: &str) -> Option<Time> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Time(at.as_millisecond()))
    }

    /// Midnight UTC of the next month's first day.
    pub fn next_month(self) -> Time {
        let here =
            jiff::Timestamp::from_millisecond(self.0).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC);
        let first = here.date().first_of_month().saturating_add(jiff::Span::new().months(1));
        let midnight = first.to_zoned(jiff::tz::TimeZone::UTC).map(|at| at.timestamp().as_millisecond());
        Time(midnight.unwrap_or(i64::MAX))
    }

    /// `2026-09`: the month that payments are filed under.
    pub fn month(self) -> String {
        self.rfc3339()[..7].to_owned()
    }
}

/// Reads `90s`, `15m`, `36h`, `7d` or `2w` as milliseconds.
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "s" => SECOND_MS,
        "m" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        "w" => 7 * DAY_MS,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_and_write_as_rfc_3339() {
        let time = Time::parse_rfc3339("2026-09-30T12:00:00Z").unwrap();
        assert_eq!(time.rfc3339(), "2026-09-30T12:00:00Z");
        assert_eq!(time.plus_ms(1).rfc3339(), "2026-09-30T12:00:00.001Z");
        assert_eq!(time.month(), "2026-09");
        assert_eq!(time.next_month().rfc3339(), "2026-10-01T00:00:00Z");
    }

    #[test]
    fn durations_name_their_unit() {
        assert_eq!(parse_duration_ms("7d"), Some(7 * DAY_MS));
        assert_eq!(parse_duration_ms("90s"), Some(90_000));
        for wrong in ["", "7", "d", "7 d", "1y", "-1d", "99999999999999999w"] {
            assert_eq!(parse_duration_ms(wrong), None, "{wrong:?}");
        }
    }
}
