//! The cards of Stripe's test mode that the sandbox knows.

use serde_json::{Value, json};

use crate::failure::Failure;

pub const PAYS: &str = "4242424242424242";

#[derive(Debug)]
pub struct Card {
    pub number: &'static str,
    pub does: &'static str,
    pub behaviour: Behaviour,
}

#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    Pays,
    Declines { decline_code: &'static str, message: &'static str },
    Asks,
}

pub const CARDS: [Card; 4] = [
    Card { number: PAYS, does: "pays", behaviour: Behaviour::Pays },
    Card {
        number: "4000000000000002",
        does: "is declined",
        behaviour: Behaviour::Declines {
            decline_code: "generic_decline",
            message: "Your card was declined.",
        },
    },
    Card { number: "4000002500003155", does: "asks for authentication", behaviour: Behaviour::Asks },
    Card {
        number: "4000000000009995",
        does: "has insufficient funds",
        behaviour: Behaviour::Declines {
            decline_code: "insufficient_funds",
            message: "Your card has insufficient funds.",
        },
    },
];

pub fn find(number: &str) -> Result<&'static Card, Failure> {
    let digits: String = number.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    CARDS.iter().find(|card| card.number == digits).ok_or_else(|| {
        let known: Vec<String> =
            CARDS.iter().map(|card| format!("{} ({})", card.spaced(), card.does)).collect();
        Failure::incorrect_number(format!("The sandbox knows these cards only: {}.", known.join(", ")))
    })
}

impl Card {
    /// `4242 4242 4242 4242`
    pub fn spaced(&self) -> String {
        let groups: Vec<&str> = (0..4).map(|group| &self.number[group * 4..group * 4 + 4]).collect();
        groups.join(" ")
    }

    pub fn last4(&self) -> &'static str {
        &self.number[12..]
    }

    /// What payment methods and charges tell of a card.
    pub fn details(&self, now: i64) -> Value {
        const SECONDS_PER_YEAR: i64 = 31_556_952;
        json!({
            "brand": "visa",
            "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"},
            "country": "US",
            "display_brand": "visa",
            "exp_month": 12,
            "exp_year": 1970 + now / SECONDS_PER_YEAR + 3,
            "fingerprint": format!("sandbox{}", self.last4()),
            "funding": "credit",
            "generated_from": null,
            "last4": self.last4(),
            "networks": {"available": ["visa"], "preferred": null},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": true},
            "wallet": null,
        })
    }
}
