//! Counters, as CloudWatch reads them from a function's log (embedded metric format).

use serde_json::{Map, Value, json};

/// Counts one occurrence under a name, split by one dimension.
pub fn count(name: &str, dimension: &str, value: &str, now: domain::time::Time) {
    println!("{}", line(name, dimension, value, now));
}

fn line(name: &str, dimension: &str, value: &str, now: domain::time::Time) -> Value {
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
        let line = line("unknown_event", "type", "price.updated", domain::time::Time::from_millis(7));
        assert_eq!(line["_aws"]["Timestamp"], 7);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "unknown_event");
        assert_eq!(line["type"], "price.updated");
        assert_eq!(line["unknown_event"], 1);
    }
}
