//! The cards of Stripe's test mode that the sandbox knows.

use serde_json::{Value, json};

use crate::failure::{Answer, Failure};

pub const PAYS: &str = "4242424242424242";

#[derive(Clone, Copy, Debug)]
pub struct Card {
    pub number: &'static str,
    pub does: &'static str,
    /// Stripe's name for it, where a payment method is wanted.
    pub name: &'static str,
    pub brand: Brand,
    pub funding: &'static str,
    /// Whether it can be saved to be charged later.
    pub can_be_saved: bool,
    pub asks: Asks,
    /// How it is declined, once whatever it asks for has been answered.
    pub decline: Option<Decline>,
    pub aftermath: Aftermath,
}

#[derive(Clone, Copy, Debug)]
pub enum Brand {
    Amex,
    Discover,
    Mastercard,
    Visa,
}

/// When the bank wants to see its cardholder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asks {
    Never,
    /// Whenever the cardholder is there.
    OnSession,
    /// That, and in the cardholder's absence too unless the card was set up for it.
    UnlessSetUp,
    Always,
}

#[derive(Clone, Copy, Debug)]
pub struct Decline {
    pub code: &'static str,
    pub decline_code: &'static str,
    pub message: &'static str,
    pub param: Option<&'static str>,
}

/// What comes of a payment that succeeded.
#[derive(Clone, Copy, Debug)]
pub enum Aftermath {
    Nothing,
    RefundsFail,
    RefundsWait,
    Disputed { reason: &'static str, inquiry: bool },
}

impl Decline {
    pub const AUTHENTICATION_REQUIRED: Self = Self {
        code: "authentication_required",
        decline_code: "authentication_required",
        message: "Your card was declined. This transaction requires authentication.",
        param: None,
    };
    const GENERIC: Self = Self::of("generic_decline", "Your card was declined.");
    const NO_FUNDS: Self = Self::of("insufficient_funds", "Your card has insufficient funds.");
    const LOST: Self = Self::of("lost_card", "Your card was declined.");
    const STOLEN: Self = Self::of("stolen_card", "Your card was declined.");
    const EXPIRED: Self = Self {
        code: "expired_card",
        param: Some("exp_month"),
        ..Self::of("expired_card", "Your card has expired.")
    };
    const WRONG_CVC: Self = Self {
        code: "incorrect_cvc",
        param: Some("cvc"),
        ..Self::of("incorrect_cvc", "Your card's security code is incorrect.")
    };
    const PROCESSING: Self = Self {
        code: "processing_error",
        ..Self::of(
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
        )
    };

    const fn of(decline_code: &'static str, message: &'static str) -> Self {
        Self { code: "card_declined", decline_code, message, param: None }
    }

    /// A decline of which nothing is kept.
    pub fn failure(&self) -> Failure {
        let failure = Failure::declined(self.message, self.decline_code).code(self.code);
        match self.param {
            Some(param) => failure.param(param),
            None => failure,
        }
    }
}

pub const CARDS: [Card; 23] = [
    Card::new(PAYS, "pm_card_visa", "pays"),
    Card::new("4000056655665556", "pm_card_visa_debit", "pays, by debit").debit(),
    Card::new("5555555555554444", "pm_card_mastercard", "pays").by(Brand::Mastercard),
    Card::new("378282246310005", "pm_card_amex", "pays").by(Brand::Amex),
    Card::new("6011111111111117", "pm_card_discover", "pays").by(Brand::Discover),
    Card::new("4000000000000002", "pm_card_visa_chargeDeclined", "is declined")
        .declining(Decline::GENERIC)
        .never_saved(),
    Card::new("4000002500003155", "pm_card_authenticationRequiredOnSetup", "asks for authentication")
        .asking(Asks::UnlessSetUp),
    Card::new("4000000000009995", "pm_card_visa_chargeDeclinedInsufficientFunds", "has insufficient funds")
        .declining(Decline::NO_FUNDS)
        .never_saved(),
    Card::new("4000000000000341", "pm_card_chargeCustomerFail", "can be saved, and is declined when charged")
        .declining(Decline::GENERIC),
    Card::new(
        "4000002760003184",
        "pm_card_authenticationRequired",
        "asks for authentication every time, renewals too",
    )
    .asking(Asks::Always),
    Card::new("4000000000003220", "pm_card_threeDSecure2Required", "asks for authentication when paying")
        .asking(Asks::OnSession),
    Card::new(
        "4000003800000446",
        "pm_card_authenticationRequiredSetupForOffSession",
        "asks when paying, and is set up for renewals already",
    )
    .asking(Asks::OnSession),
    Card::new(
        "4000008260003178",
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "asks, and then has insufficient funds",
    )
    .asking(Asks::OnSession)
    .declining(Decline::NO_FUNDS),
    Card::new("4000000000009987", "pm_card_visa_chargeDeclinedLostCard", "is declined as lost")
        .declining(Decline::LOST)
        .never_saved(),
    Card::new("4000000000009979", "pm_card_visa_chargeDeclinedStolenCard", "is declined as stolen")
        .declining(Decline::STOLEN)
        .never_saved(),
    Card::new("4000000000000069", "pm_card_chargeDeclinedExpiredCard", "has expired")
        .declining(Decline::EXPIRED)
        .never_saved(),
    Card::new("4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "has another security code")
        .declining(Decline::WRONG_CVC)
        .never_saved(),
    Card::new("4000000000000119", "pm_card_chargeDeclinedProcessingError", "cannot be processed")
        .declining(Decline::PROCESSING)
        .never_saved(),
    Card::new("4000000000005126", "pm_card_refundFail", "pays; its refunds fail after an hour")
        .then(Aftermath::RefundsFail),
    Card::new("4000000000007726", "pm_card_pendingRefund", "pays; its refunds are pending for an hour")
        .then(Aftermath::RefundsWait),
    Card::new("4000000000000259", "pm_card_createDispute", "pays, and disputes that as fraudulent")
        .then(Aftermath::Disputed { reason: "fraudulent", inquiry: false }),
    Card::new(
        "4000000000002685",
        "pm_card_createDisputeProductNotReceived",
        "pays, and disputes that as not received",
    )
    .then(Aftermath::Disputed { reason: "product_not_received", inquiry: false }),
    Card::new("4000000000001976", "pm_card_createDisputeInquiry", "pays, and asks about it in an inquiry")
        .then(Aftermath::Disputed { reason: "fraudulent", inquiry: true }),
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

/// `tok_visa` stands for the card that is `pm_card_visa`.
pub fn of_token(token: &str) -> Option<&'static Card> {
    let name = token.strip_prefix("tok_")?;
    CARDS.iter().find(|card| card.name.strip_prefix("pm_card_") == Some(name))
}

/// The card of a payment method, or of a charge's details of it; no two end alike.
pub fn of(method: &Value) -> Answer<&'static Card> {
    let last4 = method["card"]["last4"].as_str().unwrap_or_default();
    let card = CARDS.iter().find(|card| card.last4() == last4);
    card.ok_or_else(|| Failure::invalid("The sandbox does not know this payment method's card."))
}

impl Brand {
    pub fn name(self) -> &'static str {
        match self {
            Self::Amex => "amex",
            Self::Discover => "discover",
            Self::Mastercard => "mastercard",
            Self::Visa => "visa",
        }
    }
}

impl Card {
    const fn new(number: &'static str, name: &'static str, does: &'static str) -> Self {
        Self {
            number,
            does,
            name,
            brand: Brand::Visa,
            funding: "credit",
            can_be_saved: true,
            asks: Asks::Never,
            decline: None,
            aftermath: Aftermath::Nothing,
        }
    }

    const fn by(self, brand: Brand) -> Self {
        Self { brand, ..self }
    }

    const fn debit(self) -> Self {
        Self { funding: "debit", ..self }
    }

    const fn asking(self, asks: Asks) -> Self {
        Self { asks, ..self }
    }

    const fn declining(self, decline: Decline) -> Self {
        Self { decline: Some(decline), ..self }
    }

    const fn never_saved(self) -> Self {
        Self { can_be_saved: false, ..self }
    }

    const fn then(self, aftermath: Aftermath) -> Self {
        Self { aftermath, ..self }
    }

    /// `4242 4242 4242 4242`, `3782 822463 10005`
    pub fn spaced(&self) -> String {
        let number = self.number;
        match number.len() {
            15 => format!("{} {} {}", &number[..4], &number[4..10], &number[10..]),
            _ => format!("{} {} {} {}", &number[..4], &number[4..8], &number[8..12], &number[12..]),
        }
    }

    pub fn last4(&self) -> &'static str {
        &self.number[self.number.len() - 4..]
    }

    pub fn refusal(&self) -> Option<Failure> {
        self.decline.map(|decline| decline.failure())
    }

    pub fn refusal_to_be_saved(&self) -> Option<Failure> {
        self.refusal().filter(|_| !self.can_be_saved)
    }

    /// What payment methods and charges tell of a card.
    pub fn details(&self, now: i64) -> Value {
        const SECONDS_PER_YEAR: i64 = 31_556_952;
        let brand = self.brand.name();
        json!({
            "brand": brand,
            "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"},
            "country": "US",
            "display_brand": if matches!(self.brand, Brand::Amex) { "american_express" } else { brand },
            "exp_month": 12,
            "exp_year": 1970 + now / SECONDS_PER_YEAR + 3,
            "fingerprint": format!("sandbox{}", self.last4()),
            "funding": self.funding,
            "generated_from": null,
            "last4": self.last4(),
            "networks": {"available": [brand], "preferred": null},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": true},
            "wallet": null,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{CARDS, of_token};

    #[test]
    fn no_two_cards_end_alike_or_share_a_name() {
        let ends: HashSet<&str> = CARDS.iter().map(super::Card::last4).collect();
        let names: HashSet<&str> = CARDS.iter().map(|card| card.name).collect();
        assert_eq!((ends.len(), names.len()), (CARDS.len(), CARDS.len()));
    }

    #[test]
    fn numbers_are_shown_in_the_groups_printed_on_a_card() {
        let shown = |token| of_token(token).map(super::Card::spaced);
        assert_eq!(shown("tok_visa").as_deref(), Some("4242 4242 4242 4242"));
        assert_eq!(shown("tok_amex").as_deref(), Some("3782 822463 10005"));
        assert_eq!(shown("tok_none"), None);
    }
}
