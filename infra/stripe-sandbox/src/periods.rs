//! When billing periods end: counted from the anchor each time, so that a clamped month (31 January,
//! 28 February, 31 March) never drifts.

use jiff::tz::TimeZone;
use jiff::{Error, Span, Timestamp};
use serde_json::Value;

use crate::failure::{Answer, Failure};

pub const HOUR: i64 = 60 * 60;
pub const DAY: i64 = 24 * HOUR;

/// The first end of a period after a moment; all in Unix seconds.
pub fn next_end(anchor: i64, recurring: &Value, after: i64) -> Answer<i64> {
    let interval = recurring["interval"].as_str().unwrap_or_default();
    let count = recurring["interval_count"].as_i64().unwrap_or(1).max(1);
    // No period is longer than this, so fewer steps cannot be enough.
    let mut steps = ((after - anchor) / (count * longest(interval))).max(1);
    loop {
        let end = end_of(anchor, interval, count * steps).map_err(|_| beyond_the_calendar())?;
        if end > after {
            return Ok(end);
        }
        steps += 1;
    }
}

/// Start and end of the period that a moment lies in, the first one where it lies before the anchor.
pub fn around(anchor: i64, recurring: &Value, moment: i64) -> Answer<(i64, i64)> {
    let mut start = anchor;
    loop {
        let end = next_end(anchor, recurring, start)?;
        if end > moment {
            return Ok((start, end));
        }
        start = end;
    }
}

fn longest(interval: &str) -> i64 {
    match interval {
        "day" => DAY,
        "week" => 7 * DAY,
        "month" => 31 * DAY,
        _ => 366 * DAY,
    }
}

fn end_of(anchor: i64, interval: &str, count: i64) -> Result<i64, Error> {
    let span = match interval {
        "day" => Span::new().try_days(count)?,
        "week" => Span::new().try_weeks(count)?,
        "month" => Span::new().try_months(count)?,
        _ => Span::new().try_years(count)?,
    };
    let start = Timestamp::from_second(anchor)?.to_zoned(TimeZone::UTC);
    Ok(start.checked_add(span)?.timestamp().as_second())
}

fn beyond_the_calendar() -> Failure {
    Failure::invalid("The billing period would end beyond the calendar.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::next_end;

    fn ends(start: &str, interval: &str, count: i64, periods: usize) -> Vec<String> {
        let second = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        let recurring = json!({"interval": interval, "interval_count": count});
        let anchor = second(start);
        let mut end = anchor;
        let mut shown = Vec::new();
        for _ in 0..periods {
            end = next_end(anchor, &recurring, end).unwrap();
            shown.push(jiff::Timestamp::from_second(end).unwrap().to_string()[..10].to_owned());
        }
        shown
    }

    #[test]
    fn a_month_that_is_too_short_is_clamped_and_the_next_is_not() {
        assert_eq!(
            ends("2027-01-31T12:00:00Z", "month", 1, 4),
            ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]
        );
        assert_eq!(ends("2028-02-29T00:00:00Z", "year", 1, 4)[2..], ["2031-02-28", "2032-02-29"]);
    }

    #[test]
    fn intervals_are_counted() {
        assert_eq!(ends("2027-01-01T00:00:00Z", "week", 2, 2), ["2027-01-15", "2027-01-29"]);
        assert_eq!(ends("2027-01-30T00:00:00Z", "day", 3, 2), ["2027-02-02", "2027-02-05"]);
        assert_eq!(ends("2027-11-30T00:00:00Z", "month", 3, 2), ["2028-02-29", "2028-05-30"]);
    }

    #[test]
    fn the_end_after_many_periods_is_found_from_the_anchor() {
        let recurring = json!({"interval": "month", "interval_count": 1});
        let ten_years = 10 * 366 * 86_400;
        let end = next_end(0, &recurring, ten_years).unwrap();
        assert!(end > ten_years && end <= ten_years + 31 * 86_400);
    }
}
