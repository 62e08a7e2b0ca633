//! Counters, as CloudWatch reads them from a function's log (embedded metric format).

use std::sync::atomic::{AtomicBool, Ordering};

use domain::time::Time;
use serde_json::{Map, Value, json};

/// Only a process that CloudWatch reads prints counters; a developer's terminal is spared them.
static READ_BY_CLOUDWATCH: AtomicBool = AtomicBool::new(false);

pub(crate) fn print_counts() {
    READ_BY_CLOUDWATCH.store(true, Ordering::Relaxed);
}

/// Counts one occurrence under a name, split by one dimension.
pub fn count(name: &str, dimension: &str, value: &str, now: Time) {
    if READ_BY_CLOUDWATCH.load(Ordering::Relaxed) {
        println!("{}", line(name, dimension, value, now));
    } else {
        tracing::info!(name, dimension, value, "counted");
    }
}

fn line(name: &str, dimension: &str, value: &str, now: Time) -> Value {
    let metric = json!({
        "Namespace": "Tollgate",
        "Dimensions": [[dimension]],
        "Metrics": [{ "Name": name, "Unit": "Count" }],
    });
    let mut line = Map::new();
    line.insert("_aws".to_owned(), json!({ "Timestamp": now.millis(), "CloudWatchMetrics": [metric] }));
    line.insert(dimension.to_owned(), json!(value));
    line.insert(name.to_owned(), json!(1));
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_names_its_metric_and_dimension() {
        let line = line("unknown_event", "type", "price.updated", Time::from_millis(7));
        assert_eq!(line["_aws"]["Timestamp"], 7);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "unknown_event");
        assert_eq!(line["type"], "price.updated");
        assert_eq!(line["unknown_event"], 1);
    }
}
