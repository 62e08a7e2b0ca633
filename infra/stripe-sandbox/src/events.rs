//! `/v1/events`: what happened, and whether the webhook endpoints took it.

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};

use crate::Sandbox;
use crate::call::Call;
use crate::deliveries;
use crate::failure::{Answer, Failure};
use crate::list::Query;
use crate::server::shopper_reply;
use crate::tx::{Cause, Reply, Tx, id_of};

const UNDELIVERED: &str =
    "EXISTS (SELECT 1 FROM deliveries WHERE event = objects.id AND state IN ('pending', 'failed'))";

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    let mut event = call.tx.get("event", call.id)?;
    set_pending(call.tx, &mut event)?;
    Ok(event)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of("event");
    let one = params.text("type")?;
    let many = params.texts("types")?;
    if one.is_some() && many.is_some() {
        return Err(Failure::invalid("Pass only one of type and types."));
    }
    if many.as_ref().is_some_and(|many| many.len() > 20) {
        return Err(Failure::invalid("Up to 20 types can be asked for.").param("types"));
    }
    match one.as_deref().and_then(|one| one.strip_suffix('*')) {
        Some(stem) => {
            let starts = "substr(json_extract(shown, '$.type'), 1, ?) = ?".into();
            query.condition(starts, [(stem.len() as i64).into(), stem.to_owned().into()]);
        }
        None => query.equal("type", one),
    }
    query.any_of("type", many);
    match params.boolean("delivery_success")? {
        Some(true) => query.condition(format!("NOT {UNDELIVERED}"), []),
        Some(false) => query.condition(UNDELIVERED.into(), []),
        None => {}
    }
    query.created(&mut params)?;
    let mut page = query.page(call.tx, params, "/v1/events")?;
    for event in page["data"].as_array_mut().into_iter().flatten() {
        set_pending(call.tx, event)?;
    }
    Ok(page)
}

fn set_pending(tx: &Tx, event: &mut Value) -> Answer<()> {
    let mut statement =
        tx.sql.prepare_cached("SELECT count(*) FROM deliveries WHERE event = ?1 AND state = 'pending'")?;
    let pending: i64 = statement.query_row([id_of(event)], |row| row.get(0))?;
    event["pending_webhooks"] = json!(pending);
    Ok(())
}

/// `POST /_sandbox/events/{event}/resend`: what the dashboard's Resend does. It answers once all are attempted.
pub async fn resend(State(sandbox): State<Sandbox>, Path(id): Path<String>) -> Response {
    let again = sandbox.transact(Cause::default(), |tx| {
        let event = tx.get("event", &id)?;
        let endpoints = deliveries::endpoints_for(tx, event["type"].as_str().unwrap_or_default())?;
        deliveries::expect_again(tx, &id, &endpoints)
    });
    if let Err(failure) = again {
        return shopper_reply(Err(failure));
    }
    sandbox.run_due().await;
    shopper_reply(sandbox.transact(Cause::default(), |tx| deliveries_of(tx, &id)).map(Reply::from))
}

fn deliveries_of(tx: &Tx, event: &str) -> Answer<Value> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT endpoint, state, attempts, outcome FROM deliveries WHERE event = ?1 ORDER BY endpoint",
    )?;
    let rows = statement.query_map([event], |row| {
        let endpoint = Some(row.get::<_, String>(0)?).filter(|endpoint| !endpoint.is_empty());
        Ok(json!({
            "endpoint": endpoint,
            "state": row.get::<_, String>(1)?,
            "attempts": row.get::<_, i64>(2)?,
            "outcome": row.get::<_, String>(3)?,
        }))
    })?;
    let deliveries = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"event": event, "deliveries": deliveries}))
}
