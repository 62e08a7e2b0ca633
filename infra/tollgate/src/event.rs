//! Events to invoke a function with that runs elsewhere, by `cargo lambda` or `sam local`, on a local stack's data.
//!
//! The files in `events/` are these events. Only Stripe's signature cannot stand in a file: it ends after
//! five minutes, and the secret it is made with is each stack's own.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::EventId;
use domain::time::Time;
use edge::Env;
use serde::Deserialize;
use serde_json::{Value, json};
use stripe_event::{BadSecret, Message};

use crate::keys::LocalStack;
use crate::stack::{self, RealStripe};
use crate::template::Template;

pub const ADMIN: &str = include_str!("../../../events/admin.json");
pub const CHECKOUT: &str = include_str!("../../../events/checkout.json");
pub const ENTITLEMENTS: &str = include_str!("../../../events/entitlements.json");
pub const WALLET: &str = include_str!("../../../events/wallet.json");
const CREDIT: &str = include_str!("../../../events/credit.json");
const WEBHOOK: &str = include_str!("../../../events/webhook.json");

/// An event of Stripe's that changes nothing: of a type that no shop of ours knows.
pub const HARMLESS: &str = include_str!("../../../events/stripe/climate.order.delivered.2026-09-30.json");

#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("an event of Stripe's is a JSON object with an `id` such as `evt_1…`: {0}")]
    NotStripes(serde_json::Error),
    #[error(transparent)]
    Secret(#[from] BadSecret),
}

/// What the webhook's function URL gets from Stripe, signed now. Whatever the body holds, to see it refused too.
pub fn webhook(body: &str, secret: &str, now: Time) -> Result<Value, EventError> {
    let mut event = example(WEBHOOK);
    event["body"] = json!(body);
    event["headers"]["content-length"] = json!(body.len().to_string());
    event["headers"]["stripe-signature"] = json!(stripe_event::sign(secret, body.as_bytes(), now)?);
    let context = &mut event["requestContext"];
    context["timeEpoch"] = json!(now.millis());
    let at = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    context["time"] = json!(at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string());
    Ok(event)
}

/// What the queue hands to credit once the webhook has taken in this event.
pub fn credit(body: &str, now: Time) -> Result<Value, EventError> {
    #[derive(Deserialize)]
    struct Stripes {
        id: EventId,
    }
    let Stripes { id } = serde_json::from_str(body).map_err(EventError::NotStripes)?;
    let message = Message::StripeV1 { event: id, received_at: now, body: body.to_owned() }.to_json();
    let mut event = example(CREDIT);
    let record = &mut event["Records"][0];
    record["md5OfBody"] = json!(format!("{:x}", md5::compute(&message)));
    record["body"] = json!(message);
    record["attributes"]["SentTimestamp"] = json!(now.millis().to_string());
    record["attributes"]["ApproximateFirstReceiveTimestamp"] = json!(now.millis().to_string());
    Ok(event)
}

fn example(text: &str) -> Value {
    serde_json::from_str(text).expect("the files in events/ are JSON, as a test says")
}

/// Variables with their values.
pub type Variables = BTreeMap<&'static str, String>;

/// Every variable that some function needs to work on a local stack. `host` is its name where the function runs.
pub fn variables(
    template: &Template,
    local: &LocalStack,
    real: Option<&RealStripe>,
    host: &str,
) -> Variables {
    let there = |url: &str| url.replace("127.0.0.1", host);
    let (stripe, dynamodb, sqs) = (there(&local.stripe), there(&local.dynamodb), there(&local.sqs));
    let seen = LocalStack { stripe, dynamodb, sqs, ..local.clone() };
    let queue = template.functions.iter().find_map(|function| Some(&function.reads.as_ref()?.queue[..]));
    match stack::settings(&seen, queue.unwrap_or_default(), real) {
        Env::Given(variables) => variables,
        Env::Process => Variables::new(),
    }
}

/// For `sam local --env-vars`: each function's variables under its name in template.yaml.
pub fn by_function(template: &Template, variables: &Variables) -> BTreeMap<String, Variables> {
    let of_lambda = ["AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_SECRET_ACCESS_KEY"];
    let given = |settings: &BTreeSet<String>| {
        let has = |name: &str| settings.contains(name) || of_lambda.contains(&name);
        variables.iter().filter(|(name, _)| has(name)).map(|(name, value)| (*name, value.clone())).collect()
    };
    let functions = template.functions.iter();
    functions.map(|function| (function.logical_id.clone(), given(&function.settings))).collect()
}

/// For `cargo lambda watch --env-file` and for shells: quoted, as Base64 may end in `=`.
pub fn dotenv(variables: &Variables) -> String {
    variables.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect()
}

#[cfg(test)]
mod tests;
