//! The cards of Stripe's test mode that the sandbox knows.

use serde_json::{Value, json};

use crate::failure::{Answer, Failure};

pub const PAYS: &str = "4242424242424242";

#[derive(Debug)]
pub struct Card {
    pub number: &'static str,
    pub does: &'static str,
    /// Stripe's name for it, where a payment method is wanted.
    pub name: &'static str,
    /// Whether it can be saved to be charged later.
    pub can_be_saved: bool,
    pub behaviour: Behaviour,
    pub aftermath: Aftermath,
}

#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    Pays,
    Declines { decline_code: &'static str, message: &'static str },
    Asks,
}

/// What comes of a payment that succeeded.
#[derive(Clone, Copy, Debug)]
pub enum Aftermath {
    Nothing,
    RefundsFail,
    RefundsWait,
    Disputed { reason: &'static str, inquiry: bool },
}

pub const CARDS: [Card; 10] = [
    Card::paying(PAYS, "pm_card_visa", "pays", Aftermath::Nothing),
    Card {
        can_be_saved: false,
        behaviour: Behaviour::Declines {
            decline_code: "generic_decline",
            message: "Your card was declined.",
        },
        ..Card::paying("4000000000000002", "pm_card_visa_chargeDeclined", "is declined", Aftermath::Nothing)
    },
    Card {
        behaviour: Behaviour::Asks,
        ..Card::paying(
            "4000002500003155",
            "pm_card_authenticationRequiredOnSetup",
            "asks for authentication",
            Aftermath::Nothing,
        )
    },
    Card {
        can_be_saved: false,
        behaviour: Behaviour::Declines {
            decline_code: "insufficient_funds",
            message: "Your card has insufficient funds.",
        },
        ..Card::paying(
            "4000000000009995",
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "has insufficient funds",
            Aftermath::Nothing,
        )
    },
    Card {
        behaviour: Behaviour::Declines {
            decline_code: "generic_decline",
            message: "Your card was declined.",
        },
        ..Card::paying(
            "4000000000000341",
            "pm_card_chargeCustomerFail",
            "can be saved, and is declined when charged",
            Aftermath::Nothing,
        )
    },
    Card::paying(
        "4000000000005126",
        "pm_card_refundFail",
        "pays; its refunds fail after an hour",
        Aftermath::RefundsFail,
    ),
    Card::paying(
        "4000000000007726",
        "pm_card_pendingRefund",
        "pays; its refunds are pending for an hour",
        Aftermath::RefundsWait,
    ),
    Card::paying(
        "4000000000000259",
        "pm_card_createDispute",
        "pays, and disputes that as fraudulent",
        Aftermath::Disputed { reason: "fraudulent", inquiry: false },
    ),
    Card::paying(
        "4000000000002685",
        "pm_card_createDisputeProductNotReceived",
        "pays, and disputes that as not received",
        Aftermath::Disputed { reason: "product_not_received", inquiry: false },
    ),
    Card::paying(
        "4000000000001976",
        "pm_card_createDisputeInquiry",
        "pays, and asks about it in an inquiry",
        Aftermath::Disputed { reason: "fraudulent", inquiry: true },
    ),
];

pub fn find(number: &str) -> Answer<&'static Card> {
    let digits: String = number.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    CARDS.iter().find(|card| card.number == digits).ok_or_else(|| {
        let known: Vec<String> =
            CARDS.iter().map(|card| format!("{} ({})", card.spaced(), card.does)).collect();
        Failure::incorrect_number(format!("The sandbox knows these cards only: {}.", known.join(", ")))
    })
}

pub fn named(name: &str) -> Option<&'static Card> {
    CARDS.iter().find(|card| card.name == name)
}

/// The card of a payment method, or of a charge's details of it; no two end alike.
pub fn of(method: &Value) -> Answer<&'static Card> {
    let last4 = method["card"]["last4"].as_str().unwrap_or_default();
    let card = CARDS.iter().find(|card| card.last4() == last4);
    card.ok_or_else(|| Failure::invalid("The sandbox does not know this payment method's card."))
}

impl Card {
    const fn paying(
        number: &'static str,
        name: &'static str,
        does: &'static str,
        aftermath: Aftermath,
    ) -> Self {
        Self { number, does, name, can_be_saved: true, behaviour: Behaviour::Pays, aftermath }
    }

    /// `4242 4242 4242 4242`
    pub fn spaced(&self) -> String {
        let groups: Vec<&str> = (0..4).map(|group| &self.number[group * 4..group * 4 + 4]).collect();
        groups.join(" ")
    }

    pub fn last4(&self) -> &'static str {
        &self.number[12..]
    }

    pub fn refusal(&self) -> Option<Failure> {
        match self.behaviour {
            Behaviour::Declines { decline_code, message } => Some(Failure::declined(message, decline_code)),
            Behaviour::Pays | Behaviour::Asks => None,
        }
    }

    pub fn refusal_to_be_saved(&self) -> Option<Failure> {
        self.refusal().filter(|_| !self.can_be_saved)
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
