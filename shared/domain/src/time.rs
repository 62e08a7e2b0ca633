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
        let here = self.utc();
        let midnight = here.date().first_of_month().to_datetime(jiff::civil::Time::midnight());
        Time::of_utc(midnight).plus_months(1)
    }

    /// So many calendar months on, at the same time of day in UTC; the 31st is clamped to a month's last day.
    pub fn plus_months(self, months: i64) -> Time {
        let span = jiff::Span::new().try_months(months);
        let beyond = if months < 0 { i64::MIN } else { i64::MAX };
        span.map_or(Time(beyond), |span| Time::of_utc(self.utc().saturating_add(span)))
    }

    /// How many whole calendar months lie between this and a later instant.
    pub fn months_until(self, later: Time) -> i64 {
        let (from, to) = (self.utc().date(), later.utc().date());
        let apart = |date: jiff::civil::Date| i64::from(date.year()) * 12 + i64::from(date.month());
        let months = apart(to) - apart(from);
        if self.plus_months(months) > later { months - 1 } else { months }
    }

    fn utc(self) -> jiff::civil::DateTime {
        let here = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        here.to_zoned(jiff::tz::TimeZone::UTC).datetime()
    }

    fn of_utc(civil: jiff::civil::DateTime) -> Time {
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC);
        let beyond = if civil.year() < 0 { i64::MIN } else { i64::MAX };
        Time(zoned.map_or(beyond, |at| at.timestamp().as_millisecond()))
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
    fn months_are_counted_from_their_first_day_and_clamped_to_the_last() {
        let at = |text: &str| Time::parse_rfc3339(text).unwrap();
        let anchor = at("2026-01-31T10:30:00Z");
        let months: Vec<String> = (0..4).map(|count| anchor.plus_months(count).rfc3339()).collect();
        assert_eq!(
            months,
            ["2026-01-31T10:30:00Z", "2026-02-28T10:30:00Z", "2026-03-31T10:30:00Z", "2026-04-30T10:30:00Z"]
        );
        assert_eq!(anchor.months_until(at("2026-02-28T10:29:59Z")), 0);
        assert_eq!(anchor.months_until(at("2026-02-28T10:30:00Z")), 1);
        assert_eq!(anchor.months_until(at("2027-03-31T10:29:59Z")), 13);
        assert_eq!(at("2026-12-31T23:59:59Z").next_month(), at("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn months_before_the_calendar_begins_are_not_after_it_ends() {
        let early = Time::parse_rfc3339("-009999-03-01T00:00:00Z").unwrap();
        let late = Time::parse_rfc3339("9999-11-30T00:00:00Z").unwrap();
        for months in [12, 1_000_000_000] {
            assert!(early.plus_months(-months) < early);
            assert!(late.plus_months(months) > late);
        }
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
