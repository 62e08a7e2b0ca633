//! What users, operators and their apps ask of the API.

use domain::ids::UserId;
use domain::time::{DAY_MS, Time};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::world::{Function, Parts, World, request};

/// One request. Sent again, it is the same to the last byte: whoever was not answered may do that.
#[derive(Debug, Clone)]
pub struct Ask {
    pub function: Function,
    pub route: &'static str,
    pub caller: String,
    /// That the caller's token says is verified.
    pub email: Option<String>,
    pub path: Value,
    pub body: Value,
    pub key: Option<String>,
    pub aim: Aim,
}

/// What it is about, for whoever keeps count.
#[derive(Debug, Clone, PartialEq)]
pub enum Aim {
    Spend {
        user: UserId,
        tokens: u64,
    },
    Hold {
        user: UserId,
        tokens: u64,
    },
    EndHold {
        user: UserId,
        hold: String,
        captured: u64,
    },
    Buy {
        user: UserId,
    },
    /// Without a page of Stripe's.
    Subscribe {
        user: UserId,
    },
    Pay {
        user: UserId,
    },
    /// What is asked of a subscription, and of which.
    Alter {
        user: UserId,
        deed: Deed,
        subscription: String,
    },
    /// Confirms a payment, or gives it up: Stripe alone remembers the key.
    Attend,
    Grant {
        user: UserId,
        tokens: u64,
    },
    /// To whoever proves an email: nobody but this user ever does.
    Gift {
        user: UserId,
        tokens: u64,
    },
    Bulk {
        rows: Vec<(UserId, u64)>,
    },
    /// Goes on with a bulk job.
    GoOn {
        job: String,
    },
    Erase {
        user: UserId,
    },
    Refund,
    Look,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Change,
    CancelAtOnce,
    CancelAtPeriodEnd,
    Resume,
}

impl Deed {
    const fn operation(self) -> &'static str {
        match self {
            Deed::Change => "change",
            Deed::CancelAtOnce | Deed::CancelAtPeriodEnd => "cancel",
            Deed::Resume => "resume",
        }
    }
}

/// A hold that a client was told of.
#[derive(Debug, Clone)]
pub struct Held {
    pub user: UserId,
    pub id: String,
    pub tokens: u64,
    pub expires_at: Time,
}

/// A Checkout session, a subscription or a payment that a client was told of.
#[derive(Debug, Clone)]
pub struct Sale {
    pub user: UserId,
    pub id: String,
}

pub const OPERATOR: &str = "operator";
/// How many email addresses everybody has.
pub const EMAILS: u8 = 3;

pub fn email(user: &UserId, number: u8) -> String {
    format!("{user}+{number}@example.com")
}

impl Ask {
    /// Sends it. The answer is a status and a body.
    pub async fn send(&self, world: &World, now: Time) -> (u16, Value) {
        let scope = if self.caller == OPERATOR { "admin" } else { "" };
        let mut claims = json!({ "sub": self.caller, "scope": scope });
        if let Some(email) = &self.email {
            (claims["email"], claims["email_verified"]) = (json!(email), json!("true"));
        }
        let id = self.key.clone().unwrap_or_else(|| "unnamed".to_owned());
        let (path, body) = (self.path.clone(), self.body.clone());
        let parts = Parts { id, key: self.key.clone(), claims, path, body };
        world.call(self.function, request(self.route, parts), now).await
    }

    /// The cause that it is booked under, where it has one of its own.
    pub fn cause(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        let (user, operation) = match &self.aim {
            Aim::Spend { user, .. } => (user.as_str(), "consume"),
            Aim::Hold { user, .. } => (user.as_str(), "hold"),
            Aim::EndHold { hold, .. } => return Some(format!("hold:{hold}:end")),
            Aim::Buy { user } => (user.as_str(), "checkout"),
            Aim::Subscribe { user } => (user.as_str(), "subscribe"),
            Aim::Pay { user } => (user.as_str(), "pay"),
            Aim::Alter { user, deed, .. } => (user.as_str(), deed.operation()),
            Aim::Grant { .. } | Aim::Gift { .. } => (OPERATOR, "grant"),
            Aim::Bulk { .. } => (OPERATOR, "grant_bulk"),
            Aim::Erase { .. } => (OPERATOR, "erase"),
            Aim::Refund => (OPERATOR, "refund"),
            Aim::GoOn { .. } | Aim::Attend | Aim::Look => return None,
        };
        Some(format!("req:{user}:{operation}:{key}"))
    }

    pub(crate) fn of(user: &UserId, function: Function, route: &'static str, body: Value, aim: Aim) -> Ask {
        let caller = user.to_string();
        Ask { function, route, caller, email: None, path: Value::Null, body, key: None, aim }
    }

    fn by_operator(route: &'static str, body: Value, aim: Aim) -> Ask {
        let (function, caller) = (Function::Admin, OPERATOR.to_owned());
        Ask { function, route, caller, email: None, path: Value::Null, body, key: None, aim }
    }

    pub(crate) fn keyed(self, number: u64) -> Ask {
        Ask { key: Some(format!("key-{number}")), ..self }
    }

    /// By somebody who proves the so-manieth of their emails.
    pub fn proving(self, number: u8) -> Ask {
        let email = match &self.aim {
            Aim::Spend { user, .. }
            | Aim::Hold { user, .. }
            | Aim::Buy { user }
            | Aim::Subscribe { user }
            | Aim::Pay { user } => email(user, number),
            _ => return self,
        };
        Ask { email: Some(email), ..self }
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
        let part = rng.u64(1..=held.tokens);
        let (route, body, captured) = match rng.u8(0..4) {
            0 => ("POST /v1/me/holds/{id}/release", Value::Null, 0),
            1 => ("POST /v1/me/holds/{id}/capture", json!({ "tokens": part }), part),
            _ => ("POST /v1/me/holds/{id}/capture", Value::Null, held.tokens),
        };
        let aim = Aim::EndHold { user: held.user.clone(), hold: held.id.clone(), captured };
        let ask = Ask::of(&held.user, Function::Wallet, route, body, aim).keyed(number);
        Ask { path: json!({ "id": held.id }), ..ask }
    }

    pub fn look(user: &UserId, rng: &mut Rng) -> Ask {
        let route = ["GET /v1/me", "GET /v1/me/wallet", "GET /v1/me/wallet/entries"][rng.usize(0..3)];
        Ask::of(user, Function::Entitlements, route, Value::Null, Aim::Look)
    }

    /// Some of them end.
    pub fn grant(user: &UserId, rng: &mut Rng, now: Time, number: u64) -> Ask {
        let tokens = rng.u64(1..80);
        let mut body = json!({ "user": user.as_str(), "tokens": tokens });
        if rng.u8(0..3) == 0 {
            body["expires_at"] = json!(now.plus_ms(rng.i64(DAY_MS..20 * DAY_MS)).rfc3339());
        }
        let aim = Aim::Grant { user: user.clone(), tokens };
        Ask::by_operator("POST /v1/admin/grants", body, aim).keyed(number)
    }

    pub fn gift(user: &UserId, rng: &mut Rng, number: u64) -> Ask {
        let tokens = rng.u64(1..80);
        let to = email(user, rng.u8(0..EMAILS));
        let body = json!({ "email": to, "tokens": tokens, "note": "with thanks" });
        let aim = Aim::Gift { user: user.clone(), tokens };
        Ask::by_operator("POST /v1/admin/grants", body, aim).keyed(number)
    }

    /// To many at once, some by their id and some by an email.
    pub fn bulk(users: &[UserId], rng: &mut Rng, number: u64) -> Ask {
        let (mut rows, mut aimed) = (Vec::new(), Vec::new());
        for user in users {
            if rng.bool() {
                continue;
            }
            let tokens = rng.u64(1..40);
            rows.push(json!({ "user": user.as_str(), "tokens": tokens }));
            aimed.push((user.clone(), tokens));
        }
        let user = &users[rng.usize(0..users.len())];
        rows.push(json!({ "email": email(user, rng.u8(0..EMAILS)), "tokens": number }));
        aimed.push((user.clone(), number));
        let body = json!({ "rows": rows, "note": "for all of you" });
        Ask::by_operator("POST /v1/admin/grants:bulk", body, Aim::Bulk { rows: aimed }).keyed(number)
    }

    pub fn go_on(job: &str) -> Ask {
        let aim = Aim::GoOn { job: job.to_owned() };
        let ask = Ask::by_operator("POST /v1/admin/grants:bulk/{job}/continue", Value::Null, aim);
        Ask { path: json!({ "job": job }), ..ask }
    }

    pub fn refund(payment: &str, amount_minor: Option<i64>, number: u64) -> Ask {
        let mut body = json!({ "payment": payment });
        if let Some(amount) = amount_minor {
            body["amount_minor"] = json!(amount);
        }
        Ask::by_operator("POST /v1/admin/refunds", body, Aim::Refund).keyed(number)
    }

    pub fn erase(user: &UserId, number: u64) -> Ask {
        let aim = Aim::Erase { user: user.clone() };
        let ask = Ask::by_operator("POST /v1/admin/users/{user}/erase", json!({}), aim).keyed(number);
        Ask { path: json!({ "user": user.as_str() }), ..ask }
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
