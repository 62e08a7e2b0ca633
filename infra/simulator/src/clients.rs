//! What users, operators and their apps ask of the API, and what they know of the answers.

use domain::ids::UserId;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::world::{Function, Parts, World, request};

/// One request. Sent again, it is the same to the last byte: whoever was not answered may do that.
#[derive(Debug, Clone)]
pub struct Ask {
    pub function: Function,
    pub route: &'static str,
    pub caller: String,
    pub path: Value,
    pub body: Value,
    pub key: Option<String>,
    pub aim: Aim,
}

/// What it is about, for whoever keeps count.
#[derive(Debug, Clone, PartialEq)]
pub enum Aim {
    Spend { user: UserId, tokens: u64 },
    Hold { user: UserId, tokens: u64 },
    EndHold { user: UserId, hold: String, captured: Option<u64> },
    Buy { user: UserId },
    Grant { user: UserId, tokens: u64 },
    Refund,
    Look,
}

/// A hold that a client was told of.
#[derive(Debug, Clone)]
pub struct Held {
    pub user: UserId,
    pub id: String,
    pub tokens: u64,
}

/// A Checkout session that a client was told of.
#[derive(Debug, Clone)]
pub struct Sale {
    pub user: UserId,
    pub session: String,
}

const OPERATOR: &str = "operator";

impl Ask {
    /// Sends it. The answer is a status and a body.
    pub async fn send(&self, world: &World, now: domain::time::Time) -> (u16, Value) {
        let scope = if self.caller == OPERATOR { "admin" } else { "" };
        let id = self.key.clone().unwrap_or_else(|| "unnamed".to_owned());
        let (path, body) = (self.path.clone(), self.body.clone());
        let parts = Parts { id, key: self.key.clone(), path, body };
        world.call(self.function, request(self.route, &self.caller, scope, parts), now).await
    }

    /// The cause that it is booked under, where it has one of its own.
    pub fn cause(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        let (user, operation) = match &self.aim {
            Aim::Spend { user, .. } => (user.as_str(), "consume"),
            Aim::Hold { user, .. } => (user.as_str(), "hold"),
            Aim::EndHold { hold, .. } => return Some(format!("hold:{hold}:end")),
            Aim::Buy { user } => (user.as_str(), "checkout"),
            Aim::Grant { .. } => (OPERATOR, "grant"),
            Aim::Refund => (OPERATOR, "refund"),
            Aim::Look => return None,
        };
        Some(format!("req:{user}:{operation}:{key}"))
    }

    fn of(user: &UserId, function: Function, route: &'static str, body: Value, aim: Aim) -> Ask {
        Ask { function, route, caller: user.to_string(), path: Value::Null, body, key: None, aim }
    }

    fn keyed(self, number: u64) -> Ask {
        Ask { key: Some(format!("key-{number}")), ..self }
    }

    pub fn spend(user: &UserId, rng: &mut Rng, number: u64) -> Ask {
        let (body, tokens) = spending(rng);
        let aim = Aim::Spend { user: user.clone(), tokens };
        Ask::of(user, Function::Wallet, "POST /v1/me/consume", body, aim).keyed(number)
    }

    pub fn hold(user: &UserId, rng: &mut Rng, number: u64) -> Ask {
        let (mut body, tokens) = spending(rng);
        body["ttl"] = json!(["15m", "2h", "20h"][rng.usize(0..3)]);
        let aim = Aim::Hold { user: user.clone(), tokens };
        Ask::of(user, Function::Wallet, "POST /v1/me/holds", body, aim).keyed(number)
    }

    pub fn end_hold(held: &Held, rng: &mut Rng, number: u64) -> Ask {
        let part = rng.u64(0..=held.tokens);
        let (route, body, captured) = match rng.u8(0..4) {
            0 => ("POST /v1/me/holds/{id}/release", Value::Null, Some(0)),
            1 => ("POST /v1/me/holds/{id}/capture", json!({ "tokens": part.max(1) }), Some(part.max(1))),
            _ => ("POST /v1/me/holds/{id}/capture", Value::Null, None),
        };
        let aim = Aim::EndHold { user: held.user.clone(), hold: held.id.clone(), captured };
        let ask = Ask::of(&held.user, Function::Wallet, route, body, aim).keyed(number);
        Ask { path: json!({ "id": held.id }), ..ask }
    }

    pub fn buy(user: &UserId, rng: &mut Rng, number: u64) -> Ask {
        let body = match rng.u8(0..8) {
            0 => json!({ "plan": "weekly" }),
            1 => json!({ "plan": "invoiced" }),
            2 => json!({ "package": "small", "quantity": rng.u8(1..4) }),
            3 | 4 => json!({ "package": "small" }),
            _ => json!({ "package": "bonus" }),
        };
        let aim = Aim::Buy { user: user.clone() };
        Ask::of(user, Function::Checkout, "POST /v1/me/checkout", body, aim).keyed(number)
    }

    /// The success page.
    pub fn success(sale: &Sale) -> Ask {
        let route = "GET /v1/me/checkout/{id}";
        let ask = Ask::of(&sale.user, Function::Checkout, route, Value::Null, Aim::Look);
        Ask { path: json!({ "id": sale.session }), ..ask }
    }

    pub fn look(user: &UserId, rng: &mut Rng) -> Ask {
        let route = ["GET /v1/me", "GET /v1/me/wallet", "GET /v1/me/wallet/entries"][rng.usize(0..3)];
        Ask::of(user, Function::Entitlements, route, Value::Null, Aim::Look)
    }

    pub fn grant(user: &UserId, rng: &mut Rng, number: u64) -> Ask {
        let tokens = rng.u64(1..80);
        let aim = Aim::Grant { user: user.clone(), tokens };
        let body = json!({ "user": user.as_str(), "tokens": tokens });
        let ask = Ask::of(user, Function::Admin, "POST /v1/admin/grants", body, aim).keyed(number);
        Ask { caller: OPERATOR.to_owned(), ..ask }
    }

    pub fn refund(payment: &str, amount_minor: Option<i64>, number: u64) -> Ask {
        let mut body = json!({ "payment": payment });
        if let Some(amount) = amount_minor {
            body["amount_minor"] = json!(amount);
        }
        Ask {
            function: Function::Admin,
            route: "POST /v1/admin/refunds",
            caller: OPERATOR.to_owned(),
            path: Value::Null,
            body,
            key: None,
            aim: Aim::Refund,
        }
        .keyed(number)
    }
}

/// A body, and what it comes to.
fn spending(rng: &mut Rng) -> (Value, u64) {
    match rng.u8(0..3) {
        0 => {
            let amount = rng.u64(1..5);
            (json!({ "action": "small", "amount": amount }), 3 * amount)
        }
        1 => {
            let tokens = rng.u64(1..=90);
            (json!({ "action": "any", "tokens": tokens }), tokens)
        }
        _ => {
            let tokens = rng.u64(1..160);
            (json!({ "tokens": tokens }), tokens)
        }
    }
}
