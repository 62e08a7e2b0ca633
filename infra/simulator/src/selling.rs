//! What buyers and subscribers ask of the API.

use domain::ids::UserId;
use domain::subscription::Seen;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::clients::{Aim, Ask, Deed, Sale};
use crate::world::Function;

/// Stripe's names of cards that can be saved. Most pay, and the same few are everybody's.
const METHODS: [&str; 12] = [
    "pm_card_visa",
    "pm_card_visa_debit",
    "pm_card_mastercard",
    "pm_card_amex",
    "pm_card_discover",
    "pm_card_discover",
    "pm_card_chargeCustomerFail",
    "pm_card_refundFail",
    "pm_card_pendingRefund",
    "pm_card_createDispute",
    "pm_card_authenticationRequiredOnSetup",
    "pm_card_threeDSecure2Required",
];

pub fn any_method(rng: &mut Rng) -> &'static str {
    METHODS[rng.usize(0..METHODS.len())]
}

impl Ask {
    pub fn buy(user: &UserId, rng: &mut Rng, number: u64) -> Ask {
        let body = match rng.u8(0..10) {
            0 => json!({ "plan": "weekly" }),
            1 => json!({ "plan": "invoiced" }),
            2 => plan(rng),
            3 => package(rng),
            4 | 5 => json!({ "package": "small" }),
            _ => json!({ "package": "bonus" }),
        };
        let aim = Aim::Buy { user: user.clone() };
        Ask::of(user, Function::Checkout, "POST /v1/me/checkout", body, aim).keyed(number)
    }

    pub fn subscribe(user: &UserId, rng: &mut Rng, number: u64) -> Ask {
        let body = with_method(plan(rng), rng);
        let aim = Aim::Subscribe { user: user.clone() };
        Ask::of(user, Function::Checkout, "POST /v1/me/subscriptions", body, aim).keyed(number)
    }

    pub fn pay(user: &UserId, rng: &mut Rng, number: u64) -> Ask {
        let body = with_method(package(rng), rng);
        let aim = Aim::Pay { user: user.clone() };
        Ask::of(user, Function::Checkout, "POST /v1/me/payments", body, aim).keyed(number)
    }

    /// Whoever comes back from paying.
    pub fn success(sale: &Sale) -> Ask {
        let route = match sale.id.split('_').next() {
            Some("sub") => "GET /v1/me/subscriptions/{id}",
            Some("pi") => "GET /v1/me/payments/{id}",
            _ => "GET /v1/me/checkout/{id}",
        };
        Ask::about(sale, route, Value::Null, Aim::Look)
    }

    /// Confirms a payment, or gives it up.
    pub fn attend(payment: &Sale, rng: &mut Rng, number: u64) -> Ask {
        let (route, body) = match rng.u8(0..4) {
            0 => ("POST /v1/me/payments/{id}/cancel", json!({})),
            1 => ("POST /v1/me/payments/{id}/confirm", json!({})),
            _ => ("POST /v1/me/payments/{id}/confirm", json!({ "payment_method": any_method(rng) })),
        };
        Ask::about(payment, route, body, Aim::Attend).keyed(number)
    }

    /// Changes a subscription, ends it, or takes back what was to come.
    pub fn alter(held: &Sale, seen: &Seen, rng: &mut Rng, number: u64) -> Ask {
        let (route, body, deed) = match rng.u8(0..12) {
            0 => ("POST /v1/me/subscriptions/{id}/cancel", json!({ "when": "now" }), Deed::CancelAtOnce),
            1 | 2 => ("POST /v1/me/subscriptions/{id}/cancel", json!({}), Deed::CancelAtPeriodEnd),
            3 | 4 => ("POST /v1/me/subscriptions/{id}/resume", json!({}), Deed::Resume),
            _ => ("POST /v1/me/subscriptions/{id}/change", another(seen, rng), Deed::Change),
        };
        let (user, subscription) = (held.user.clone(), held.id.clone());
        Ask::about(held, route, body, Aim::Alter { user, deed, subscription }).keyed(number)
    }

    pub fn preview(held: &Sale, seen: &Seen, rng: &mut Rng) -> Ask {
        let route = "POST /v1/me/subscriptions/{id}/preview";
        Ask::about(held, route, another(seen, rng), Aim::Look)
    }

    fn about(sale: &Sale, route: &'static str, body: Value, aim: Aim) -> Ask {
        let ask = Ask::of(&sale.user, Function::Checkout, route, body, aim);
        Ask { path: json!({ "id": sale.id }), ..ask }
    }
}

fn plan(rng: &mut Rng) -> Value {
    match rng.u8(0..6) {
        0 => json!({ "plan": "weekly" }),
        1 => json!({ "plan": "tried", "quantity": rng.u8(1..=3) }),
        2 => json!({ "plan": "tried" }),
        3 => json!({ "plan": "larger" }),
        _ => json!({ "plan": "invoiced" }),
    }
}

/// Mostly what it can be changed to.
fn another(seen: &Seen, rng: &mut Rng) -> Value {
    match (seen.plan.as_str(), rng.u8(0..4)) {
        (_, 0) => plan(rng),
        ("weekly", _) => json!({ "plan": "tried" }),
        ("tried", 1) => json!({ "plan": "weekly", "quantity": 1 }),
        ("tried", _) => json!({ "quantity": rng.u8(1..=3) }),
        ("invoiced", _) => json!({ "plan": "larger" }),
        _ => json!({ "plan": "invoiced" }),
    }
}

fn package(rng: &mut Rng) -> Value {
    match rng.bool() {
        true => json!({ "package": "small", "quantity": rng.u8(1..4) }),
        false => json!({ "package": "bonus" }),
    }
}

/// Without one, somebody has to pay later.
fn with_method(mut body: Value, rng: &mut Rng) -> Value {
    if rng.u8(0..4) > 0 {
        body["payment_method"] = json!(any_method(rng));
    }
    body
}
