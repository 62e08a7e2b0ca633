//! What a page may do with a publishable key: look at an intent and confirm it, if it has the client secret.

use serde_json::{Map, Value};

use crate::api::Response;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::tx::{Reply, Tx};
use crate::{intents, payments, setups};

/// What Stripe shows of an intent to whoever has its client secret.
const SHOWN: [&str; 28] = [
    "amount",
    "amount_details",
    "automatic_payment_methods",
    "canceled_at",
    "cancellation_reason",
    "capture_method",
    "client_secret",
    "confirmation_method",
    "created",
    "currency",
    "description",
    "id",
    "last_payment_error",
    "last_setup_error",
    "livemode",
    "next_action",
    "object",
    "payment_method",
    "payment_method_configuration_details",
    "payment_method_types",
    "processing",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "source",
    "status",
    "excluded_payment_method_types",
    "usage",
];

/// What a browser asks before a page of elsewhere may call.
pub fn preflight() -> Response {
    let headers = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "authorization, content-type, idempotency-key, stripe-version"),
        ("access-control-max-age", "300"),
    ];
    let headers = headers.map(|(name, value)| (name, value.to_owned()));
    Response { status: 200, body: String::new(), headers: headers.into() }
}

pub fn is_key(key: &str) -> bool {
    key.starts_with("pk_test_")
}

pub fn answer(tx: &Tx, method: &str, segments: &[&str], mut params: Params) -> Answer<Reply> {
    // Its own key, and what Stripe.js tells of itself.
    params.accept(&["_stripe_account", "_stripe_version", "client_attribution_metadata", "key"]);
    let (kind, id, confirms) = match (method, segments) {
        ("GET", ["payment_intents", id]) => (payments::KIND, *id, false),
        ("POST", ["payment_intents", id, "confirm"]) => (payments::KIND, *id, true),
        ("GET", ["setup_intents", id]) => (setups::KIND, *id, false),
        ("POST", ["setup_intents", id, "confirm"]) => (setups::KIND, *id, true),
        _ => return Err(secret_key_required()),
    };
    let secret = params.required("client_secret")?;
    let intent = tx.get(kind, id)?;
    if intent["client_secret"].as_str() != Some(&secret) {
        let name = if kind == setups::KIND { "SetupIntent" } else { "PaymentIntent" };
        let message = format!(
            "The client_secret provided does not match the client_secret associated with this {name}."
        );
        return Err(Failure::invalid(message).code("resource_missing").param("client_secret"));
    }
    let call = Call { tx, id, params };
    let mut reply = match (kind == setups::KIND, confirms) {
        (false, false) => payments::retrieve(call).map(Reply::from),
        (false, true) => intents::confirm_on_page(call),
        (true, false) => setups::retrieve(call).map(Reply::from),
        (true, true) => setups::confirm_on_page(call),
    }
    .map_err(|failure| failure.with_less(hide))?;
    match reply.body.get_mut("error") {
        Some(error) => hide_in_error(error, kind),
        None => hide(&mut reply.body),
    }
    Ok(reply)
}

fn hide_in_error(error: &mut Value, kind: &str) {
    if let Some(intent) = error.get_mut(kind) {
        hide(intent);
    }
}

fn hide(intent: &mut Value) {
    if let Some(fields) = intent.as_object_mut() {
        let shown: Map<String, Value> =
            std::mem::take(fields).into_iter().filter(|(name, _)| SHOWN.contains(&name.as_str())).collect();
        *fields = shown;
    }
}

fn secret_key_required() -> Failure {
    let message = "This API call cannot be made with a publishable API key. Please use a secret API key.";
    Failure::forbidden(message).code("secret_key_required")
}
