//! Thin events: what happened and to what, and nothing of how that looks now.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::tx::{id_of, kind_of};

/// The notification that stands for a snapshot event; its id is its own, and the same at every attempt.
pub fn of(snapshot: &Value, created_ms: i64) -> Value {
    let id = id_of(snapshot).trim_start_matches("evt_");
    json!({
        "id": format!("evt_test_{id}"),
        "object": "v2.core.event",
        "context": null,
        "created": shown(created_ms),
        "livemode": false,
        "reason": reason(&snapshot["request"]),
        "related_object": related(&snapshot["data"]["object"]),
        "type": format!("v1.{}", snapshot["type"].as_str().unwrap_or_default()),
    })
}

fn shown(created_ms: i64) -> Option<String> {
    let created = Timestamp::from_millisecond(created_ms).ok()?;
    Some(created.strftime("%FT%T.%3fZ").to_string())
}

fn reason(request: &Value) -> Value {
    if request["id"].is_null() { Value::Null } else { json!({"request": request, "type": "request"}) }
}

/// `checkout.session` is at `/v1/checkout/sessions`, and all others follow the same rule.
fn related(object: &Value) -> Value {
    let (id, kind) = (id_of(object), kind_of(object));
    if id.is_empty() {
        return Value::Null;
    }
    json!({"id": id, "type": kind, "url": format!("/v1/{}s/{id}", kind.replace('.', "/"))})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of;

    #[test]
    fn a_thin_event_names_the_object_and_where_it_is() {
        let snapshot = json!({
            "id": "evt_1x", "type": "checkout.session.completed", "request": {"id": null},
            "data": {"object": {"id": "cs_test_1", "object": "checkout.session", "status": "complete"}},
        });
        let expected = json!({
            "id": "evt_test_1x", "object": "v2.core.event", "context": null,
            "created": "2026-11-02T06:13:22.481Z", "livemode": false, "reason": null,
            "related_object": {
                "id": "cs_test_1", "type": "checkout.session", "url": "/v1/checkout/sessions/cs_test_1",
            },
            "type": "v1.checkout.session.completed",
        });
        assert_eq!(of(&snapshot, 1_793_600_002_481), expected);
    }
}
