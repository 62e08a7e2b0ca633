//! `/v1/events`: what happened, and whether the webhook endpoint took it.

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::list::Query;
use crate::tx::{Tx, id_of};

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
