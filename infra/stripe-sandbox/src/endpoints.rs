//! `/v1/webhook_endpoints`. Those on this machine get events, signed with secrets of their own; others are stored
//! and shown, and nothing leaves for them.

use serde_json::{Value, json};

use crate::WebhookTarget;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::Query;
use crate::params::Params;
use crate::tx::{API_VERSION, Tx, id_of};

const KIND: &str = "webhook_endpoint";
const URL: &str = "/v1/webhook_endpoints";
const MOST: usize = 16;

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    if params.boolean("connect")? == Some(true) {
        return Err(Failure::unsupported_param("connect"));
    }
    let api_version = params.text("api_version")?;
    if api_version.as_ref().is_some_and(|version| version != API_VERSION) {
        let message = format!("The Stripe sandbox speaks {API_VERSION} only.");
        return Err(Failure::invalid(message).param("api_version"));
    }
    for required in ["enabled_events", "url"] {
        if !params.has(required) {
            return Err(Failure::missing_param(required));
        }
    }
    if Query::of(KIND).all(tx)?.len() >= MOST {
        let message = format!("You have reached the maximum of {MOST} test webhook endpoints.");
        return Err(Failure::conflict(message));
    }
    let mut endpoint = json!({
        "id": ids::fresh("we"),
        "object": KIND,
        "api_version": api_version,
        "application": null,
        "created": tx.now(),
        "description": null,
        "enabled_events": [],
        "livemode": false,
        "metadata": {},
        "status": "enabled",
        "url": null,
    });
    apply(&mut endpoint, &mut params)?;
    params.finish()?;
    let secret = secret_for(tx, &endpoint);
    tx.insert(&endpoint, &json!({"secret": secret}))?;
    // This once.
    endpoint["secret"] = json!(secret);
    Ok(endpoint)
}

/// An endpoint at the address of the options is the one of the options.
fn secret_for(tx: &Tx, endpoint: &Value) -> String {
    match tx.webhook.filter(|configured| is_at(endpoint, configured)) {
        Some(configured) => configured.secret.clone(),
        None => format!("whsec_{}", ids::random(32)),
    }
}

fn is_at(endpoint: &Value, configured: &WebhookTarget) -> bool {
    endpoint["url"] == json!(configured.url)
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    get(call.tx, call.id)
}

pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let mut endpoint = get(tx, call.id)?;
    if let Some(disabled) = params.boolean("disabled")? {
        endpoint["status"] = json!(if disabled { "disabled" } else { "enabled" });
    }
    apply(&mut endpoint, &mut params)?;
    params.finish()?;
    tx.save(&endpoint)?;
    Ok(endpoint)
}

pub fn delete(call: Call) -> Answer<Value> {
    call.params.finish()?;
    let tx = call.tx;
    get(tx, call.id)?;
    let stub = json!({"id": call.id, "object": KIND, "deleted": true});
    tx.save(&stub)?;
    tx.save_hidden(&stub, &Value::Null)?;
    tx.sql.prepare_cached("DELETE FROM deliveries WHERE endpoint = ?1")?.execute([call.id])?;
    Ok(stub)
}

pub fn list(call: Call) -> Answer<Value> {
    Query::of(KIND).page(call.tx, call.params, URL)
}

/// The endpoints that an event of this type is delivered to.
pub fn wanting(tx: &Tx, event_type: &str) -> Answer<Vec<String>> {
    let wants = |endpoint: &Value| {
        let mut types = endpoint["enabled_events"].as_array().into_iter().flatten();
        endpoint["status"] == json!("enabled")
            && endpoint["url"].as_str().is_some_and(is_local)
            && tx.webhook.is_none_or(|configured| !is_at(endpoint, configured))
            && types.any(|wanted| wanted == "*" || wanted == event_type)
    };
    let mut endpoints = Query::of(KIND).all(tx)?;
    endpoints.reverse();
    Ok(endpoints.iter().filter(|endpoint| wants(endpoint)).map(|it| id_of(it).to_owned()).collect())
}

/// Where to deliver; `None` while it is disabled.
pub fn target(tx: &Tx, id: &str) -> Answer<Option<WebhookTarget>> {
    let endpoint = tx.find(KIND, id)?.filter(|endpoint| endpoint["status"] == json!("enabled"));
    let hidden = tx.hidden(KIND, id)?;
    Ok(endpoint.and_then(|endpoint| {
        let url = endpoint["url"].as_str()?.to_owned();
        Some(WebhookTarget { url, secret: hidden["secret"].as_str()?.to_owned() })
    }))
}

fn get(tx: &Tx, id: &str) -> Answer<Value> {
    let endpoint = tx.find(KIND, id)?.filter(|endpoint| endpoint["deleted"].is_null());
    endpoint.ok_or_else(|| Failure::no_such("webhook endpoint", id))
}

fn apply(endpoint: &mut Value, params: &mut Params) -> Answer<()> {
    if let Some(url) = params.web_address("url")? {
        endpoint["url"] = json!(url);
    }
    if let Some(events) = params.texts("enabled_events")? {
        check_events(&events)?;
        endpoint["enabled_events"] = json!(events);
    }
    if let Some(description) = params.clearable("description")? {
        endpoint["description"] = json!(description);
    }
    endpoint["metadata"] = params.metadata(endpoint["metadata"].take())?;
    Ok(())
}

/// `customer.subscription.updated`, or `*` for all there are.
fn check_events(events: &[String]) -> Answer<()> {
    if events.is_empty() {
        return Err(Failure::missing_param("enabled_events"));
    }
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_type = |event: &str| event == "*" || (event.contains('.') && event.split('.').all(is_word));
    match events.iter().position(|event| !is_type(event)) {
        None => Ok(()),
        Some(index) => {
            let message = format!("Invalid enabled_events[{index}]: {} is no event.", events[index]);
            Err(Failure::invalid(message).param(format!("enabled_events[{index}]")))
        }
    }
}

fn is_local(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_this_machine_is_delivered_to() {
        for url in ["http://127.0.0.1:9000/x", "http://localhost", "http://[::1]:80/hook?a=b"] {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "https://127.0.0.1/x",
            "http://shop.test/hook",
            "http://localhost.shop.test/",
            "http://shop.test/127.0.0.1",
            "http://127.0.0.1@shop.test/",
            "http://127.0.0.1:80@shop.test/",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }
}
