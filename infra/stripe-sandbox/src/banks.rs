//! The bank accounts of Stripe's test mode: what debits of them come to, days after they are asked for.

use serde_json::{Value, json};

use crate::cards::Aftermath;
use crate::failure::{Answer, Failure};
use crate::periods::DAY;

/// Its accounts are debited in one currency only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scheme {
    Sepa,
    Ach,
}

#[derive(Debug)]
pub struct Account {
    pub scheme: Scheme,
    /// An IBAN, or an account number at [`ROUTING`].
    pub number: &'static str,
    pub does: &'static str,
    /// Stripe's name for it, where a payment method is wanted; SEPA's accounts have none.
    pub name: Option<&'static str>,
    pub outcome: Outcome,
    pub aftermath: Aftermath,
}

#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Succeeds,
    Fails {
        code: &'static str,
        message: &'static str,
    },
    /// Nothing is ever heard of it.
    Silent,
}

pub const ROUTING: &str = "110000000";

const NO_FUNDS: Outcome = Outcome::Fails {
    code: "insufficient_funds",
    message: "The customer's account has insufficient funds to cover this payment.",
};
const NOT_AUTHORIZED: Outcome = Outcome::Fails {
    code: "debit_not_authorized",
    message: "The customer has notified their bank that this payment was unauthorized.",
};
const COULD_NOT: Outcome = Outcome::Fails {
    code: "payment_intent_payment_attempt_failed",
    message: "The payment failed: the bank could not process the debit.",
};
const CLOSED: Outcome =
    Outcome::Fails { code: "account_closed", message: "The customer's bank account has been closed." };
const NO_ACCOUNT: Outcome =
    Outcome::Fails { code: "no_account", message: "The customer's bank account could not be located." };
const OVER_LIMIT: Outcome = Outcome::Fails {
    code: "charge_exceeds_source_limit",
    message: "This payment exceeds what may be debited from the customer's account in a week.",
};
const TOO_MUCH: Outcome = Outcome::Fails {
    code: "charge_exceeds_transaction_limit",
    message: "This payment exceeds what may be debited from the customer's account at once.",
};

pub const ACCOUNTS: [Account; 20] = [
    Account::sepa("DE89370400440532013000", "pays", Outcome::Succeeds),
    Account::sepa("DE08370400440532013003", "pays", Outcome::Succeeds),
    Account::sepa("DE62370400440532013001", "fails", COULD_NOT),
    Account::sepa("DE78370400440532013004", "fails", COULD_NOT),
    Account::sepa("DE35370400440532013002", "pays, and disputes that", Outcome::Succeeds).disputing(),
    Account::sepa("DE65370400440002222227", "has insufficient funds", NO_FUNDS),
    Account::sepa("DE65370400440000343434", "exceeds its weekly limit", OVER_LIMIT),
    Account::sepa("DE27370400440000121212", "exceeds its limit for one payment", TOO_MUCH),
    Account::sepa("AT611904300234573201", "pays", Outcome::Succeeds),
    Account::sepa("AT861904300235473202", "fails", COULD_NOT),
    Account::sepa("FR1420041010050500013M02606", "pays", Outcome::Succeeds),
    Account::sepa("FR8420041010050500013M02607", "fails", COULD_NOT),
    Account::sepa("NL39RABO0300065264", "pays", Outcome::Succeeds),
    Account::ach("000123456789", "pm_usBankAccount_success", "pays", Outcome::Succeeds),
    Account::ach("000111111113", "pm_usBankAccount_accountClosed", "is closed", CLOSED),
    Account::ach("000111111116", "pm_usBankAccount_noAccount", "does not exist", NO_ACCOUNT),
    Account::ach("000222222227", "pm_usBankAccount_insufficientFunds", "has insufficient funds", NO_FUNDS),
    Account::ach("000333333335", "pm_usBankAccount_debitNotAuthorized", "refuses debits", NOT_AUTHORIZED),
    Account::ach("000555555559", "pm_usBankAccount_dispute", "pays, and disputes that", Outcome::Succeeds)
        .disputing(),
    Account::ach(
        "000000000009",
        "pm_usBankAccount_processing",
        "never says what became of it",
        Outcome::Silent,
    ),
];

pub fn find(scheme: Scheme, number: &str) -> Answer<&'static Account> {
    let wanted: String =
        number.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
    of_scheme(scheme).find(|account| account.number == wanted).ok_or_else(|| {
        let known: Vec<String> =
            of_scheme(scheme).map(|account| format!("{} ({})", account.number, account.does)).collect();
        let message = format!("The sandbox knows these bank accounts only: {}.", known.join(", "));
        Failure::invalid(message).code("account_number_invalid")
    })
}

pub fn of_scheme(scheme: Scheme) -> impl Iterator<Item = &'static Account> {
    ACCOUNTS.iter().filter(move |account| account.scheme == scheme)
}

pub fn named(name: &str) -> Option<&'static Account> {
    ACCOUNTS.iter().find(|account| account.name == Some(name))
}

/// The account of a payment method, or of a charge's details of it; no two of a scheme end alike.
pub fn of(method: &Value) -> Answer<&'static Account> {
    let scheme = Scheme::named(method["type"].as_str().unwrap_or_default());
    let last4 = |scheme: Scheme| method[scheme.method_type()]["last4"].as_str();
    let account =
        scheme.and_then(|scheme| of_scheme(scheme).find(|account| last4(scheme) == Some(account.last4())));
    account.ok_or_else(|| Failure::invalid("The sandbox does not know this payment method's bank account."))
}

impl Scheme {
    pub const ALL: [Self; 2] = [Self::Sepa, Self::Ach];

    /// What payment methods of it call themselves.
    pub fn method_type(self) -> &'static str {
        match self {
            Self::Sepa => "sepa_debit",
            Self::Ach => "us_bank_account",
        }
    }

    pub fn named(method_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.method_type() == method_type)
    }

    pub fn currency(self) -> &'static str {
        match self {
            Self::Sepa => "eur",
            Self::Ach => "usd",
        }
    }

    /// How long the banks take.
    pub fn settles_after(self) -> i64 {
        match self {
            Self::Sepa => 3 * DAY,
            Self::Ach => 4 * DAY,
        }
    }
}

impl Account {
    const fn sepa(number: &'static str, does: &'static str, outcome: Outcome) -> Self {
        Self { scheme: Scheme::Sepa, number, does, name: None, outcome, aftermath: Aftermath::RefundsWait }
    }

    const fn ach(number: &'static str, name: &'static str, does: &'static str, outcome: Outcome) -> Self {
        let aftermath = Aftermath::RefundsWait;
        Self { scheme: Scheme::Ach, number, does, name: Some(name), outcome, aftermath }
    }

    const fn disputing(self) -> Self {
        let aftermath = Aftermath::Disputed { reason: "debit_not_authorized", inquiry: false };
        Self { aftermath, ..self }
    }

    pub fn last4(&self) -> &'static str {
        &self.number[self.number.len() - 4..]
    }

    /// What a payment method tells of it.
    pub fn details(&self, holder_type: &str, account_type: &str) -> Value {
        let fingerprint = format!("sandbox{}{}", self.scheme.method_type(), self.last4());
        match self.scheme {
            Scheme::Sepa => json!({
                "bank_code": self.number.get(4..12),
                "branch_code": "",
                "country": self.number.get(..2),
                "fingerprint": fingerprint,
                "generated_from": {"charge": null, "setup_attempt": null},
                "last4": self.last4(),
            }),
            Scheme::Ach => json!({
                "account_holder_type": holder_type,
                "account_type": account_type,
                "bank_name": "STRIPE TEST BANK",
                "financial_connections_account": null,
                "fingerprint": fingerprint,
                "last4": self.last4(),
                "networks": {"preferred": "ach", "supported": ["ach"]},
                "routing_number": ROUTING,
                "status_details": {},
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{ACCOUNTS, Scheme, of_scheme};

    #[test]
    fn no_two_accounts_of_a_scheme_end_alike() {
        for scheme in Scheme::ALL {
            let ends: HashSet<&str> = of_scheme(scheme).map(super::Account::last4).collect();
            assert_eq!(ends.len(), of_scheme(scheme).count());
        }
    }

    /// ISO 13616: moved to the end and with letters as numbers, the remainder by 97 is 1.
    #[test]
    fn every_iban_has_the_right_check_digits() {
        for account in ACCOUNTS.iter().filter(|account| account.scheme == Scheme::Sepa) {
            let (head, tail) = account.number.split_at(4);
            let remainder = tail.chars().chain(head.chars()).fold(0, |sum, c| {
                let value = c.to_digit(36).unwrap();
                (if value > 9 { sum * 100 } else { sum * 10 } + value) % 97
            });
            assert_eq!(remainder, 1, "{}", account.number);
        }
    }
}
