//! The events that the decoder is tested with show whole objects: this client, whose types are Stripe's own description
//! of today's API, reads each of them.

use std::fs;
use std::path::Path;

use domain::ids::{CheckoutId, CustomerId, InvoiceId, PaymentId, SubscriptionId};
use serde_json::{Value, json};

use crate::wire::{Step, Wire};
use crate::{Stripe, StripeError};

const TODAY: &str = ".2026-09-30.json";

/// Reads an object as what it says it is; `None` for one that is never asked for.
async fn read(object: &Value) -> Option<Result<(), StripeError>> {
    let kind = object["object"].as_str().unwrap_or_default();
    let answer = match kind {
        "invoice_payment" => json!({ "object": "list", "data": [object], "has_more": false, "url": "/v1" }),
        _ => object.clone(),
    };
    // Of a plan whose money is under way, its invoice is asked too.
    let nothing = json!({ "object": "list", "data": [], "has_more": false, "url": "/v1/invoice_payments" });
    let answers = [answer, nothing].map(|answer| Step::ok(answer.to_string()));
    let stripe = Stripe::new(Wire::play(answers).settings()).unwrap();
    let id = object["id"].as_str().unwrap_or_default();
    Some(match kind {
        "checkout.session" => stripe.session(&CheckoutId::parse(id).unwrap()).await.map(drop),
        "customer" => stripe.customer_owner(&CustomerId::parse(id).unwrap()).await.map(drop),
        "dispute" => stripe.disputed_payment(id).await.map(drop),
        "invoice" => stripe.subscription_of(&InvoiceId::parse("in_1").unwrap()).await.map(drop),
        "invoice_payment" => stripe.intents_of(&InvoiceId::parse("in_1").unwrap()).await.map(drop),
        "payment_intent" => stripe.intent(&PaymentId::parse(id).unwrap()).await.map(drop),
        "refund" => stripe.refund(id).await.map(drop),
        "subscription" => stripe.subscription(&SubscriptionId::parse(id).unwrap()).await.map(drop),
        "subscription_schedule" => stripe.scheduled_subscription(id).await.map(drop),
        _ => return None,
    })
}

#[tokio::test]
async fn every_object_that_an_event_of_today_shows_is_one_as_stripe_describes_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/stripe");
    let (mut read_well, mut wrong) = (0, Vec::new());
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(TODAY) {
            continue;
        }
        let event: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        match read(&event["data"]["object"]).await {
            Some(Ok(())) => read_well += 1,
            Some(Err(error)) => wrong.push(format!("{name}: {error}")),
            None => {}
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(read_well > 70, "only {read_well} were read");
}
