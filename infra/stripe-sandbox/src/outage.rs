//! `/_sandbox/outage`: a time in which nobody reaches the webhook endpoints. What falls into it is attempted in
//! vain and again later; of an outage that is `missed` nothing is ever delivered.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use jiff::{Span, SpanRelativeTo};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Sandbox;
use crate::failure::{Answer, Failure};
use crate::server::{read_json, shopper_reply};
use crate::settings;
use crate::tx::{Cause, Reply, Tx};

const NAME: &str = "outage";

/// `{"for":"2h"}`, `{"until":1790000000}`, `{"on":true}`, `{"on":false}`, each also with `"missed":true`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(rename = "for")]
    lasting: Option<String>,
    until: Option<i64>,
    on: Option<bool>,
    #[serde(default)]
    missed: bool,
}

pub async fn show(State(sandbox): State<Sandbox>) -> Response {
    shopper_reply(sandbox.transact(Cause::default(), state).map(Reply::from))
}

pub async fn set(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    shopper_reply(read_json::<Wanted>(&body).and_then(|wanted| {
        let set = |tx: &Tx| {
            settings::keep(tx, NAME, &outage(tx, &wanted)?)?;
            state(tx)
        };
        sandbox.transact(Cause::default(), set).map(Reply::from)
    }))
}

/// From now on; null is none.
fn outage(tx: &Tx, wanted: &Wanted) -> Answer<Value> {
    let until_ms = match (&wanted.lasting, wanted.until, wanted.on) {
        (None, None, Some(false)) if !wanted.missed => return Ok(Value::Null),
        (None, None, Some(true)) => None,
        (None, None, None) if wanted.missed => None,
        (Some(lasting), None, None | Some(true)) => Some(tx.now_ms.saturating_add(milliseconds(lasting)?)),
        (None, Some(until), None | Some(true)) => Some(until.saturating_mul(1000)),
        _ => return Err(Failure::invalid("Say one of for, until and on.")),
    };
    if until_ms.is_some_and(|until| until <= tx.now_ms) {
        return Err(Failure::invalid("An outage ends later than it begins."));
    }
    Ok(json!({"from_ms": tx.now_ms, "until_ms": until_ms, "missed": wanted.missed}))
}

/// `90s`, `2h`, `1h30m`, `3d`
fn milliseconds(lasting: &str) -> Answer<i64> {
    let duration = lasting
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .map_err(|cause| Failure::invalid(format!("`{lasting}` is not like 90s, 2h or 3d: {cause}")))?;
    i64::try_from(duration.as_millis()).map_err(|_| Failure::invalid("That is too long."))
}

pub fn state(tx: &Tx) -> Answer<Value> {
    let outage = settings::stored(tx, NAME)?;
    let seconds = |name: &str| outage[name].as_i64().map(|ms| ms.div_euclid(1000));
    Ok(match covers(&outage, tx.now_ms) {
        true => json!({
            "on": true, "from": seconds("from_ms"), "until": seconds("until_ms"), "missed": outage["missed"],
        }),
        false => json!({"on": false}),
    })
}

/// Whether an attempt of now fails.
pub fn is_on(tx: &Tx) -> Answer<bool> {
    Ok(covers(&settings::stored(tx, NAME)?, tx.now_ms))
}

/// Whether an event of now is never delivered.
pub fn misses(tx: &Tx) -> Answer<bool> {
    let outage = settings::stored(tx, NAME)?;
    Ok(covers(&outage, tx.now_ms) && outage["missed"] == json!(true))
}

fn covers(outage: &Value, now_ms: i64) -> bool {
    let begun = outage["from_ms"].as_i64().is_some_and(|from| from <= now_ms);
    begun && outage["until_ms"].as_i64().is_none_or(|until| now_ms < until)
}
