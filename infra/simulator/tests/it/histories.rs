//! Histories to be told in any order: what a user, their bank, Stripe and time do, deed by deed.

use crate::world::{DECLINES_LATER, PAID};

#[derive(Debug, Clone, Copy)]
pub enum Deed {
    /// Opens a checkout for a plan, and pays for it.
    Subscribes(&'static str),
    /// With a bank account, whose debit takes days.
    SubscribesByDebit(&'static str, &'static str),
    /// Has a subscription made at once; its first payment is still to be made.
    BeginsDirectly(&'static str),
    /// Tries to, with this card.
    PaysFirstInvoice(&'static str),
    Buys(&'static str),
    BuysByDebit(&'static str, &'static str),
    Spends(u64),
    Passes(Time),
    /// From now on this card is charged.
    TakesCard(&'static str),
    /// In Stripe's portal or dashboard, at once.
    MovesTo(&'static str),
    /// The same, and nobody pays for the rest of the period.
    IsMovedTo(&'static str),
    /// Over the API, where the catalog says when it happens.
    AsksFor(&'static str),
    CancelsAtPeriodEnd,
    Resumes,
    CancelsNow,
    /// Of the latest payment, in minor units: all that is left, where nothing is said.
    IsRefunded(Option<i64>),
    /// The latest refund is not taken by the bank.
    RefundFails,
    Disputes(Option<i64>),
    BankDecides(&'static str),
    /// Another subscription is made in Stripe's dashboard.
    IsGivenAnother(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub enum Time {
    Hours(i64),
    Days(i64),
}

use Deed::*;
use Time::*;

const PAYS: &str = "DE89370400440532013000";
const FAILS: &str = "DE62370400440532013001";
const DECLINED: &str = "4000000000000002";

pub const LIFE: &[Deed] = &[
    Subscribes("tried"),
    Passes(Days(5)),
    // Within two days the trial is paid for.
    Passes(Hours(50)),
    Spends(20),
    MovesTo("daily"),
    TakesCard(DECLINES_LATER),
    Passes(Days(32)),
    TakesCard(PAID),
    Passes(Days(6)),
    CancelsAtPeriodEnd,
    Resumes,
    Passes(Days(31)),
    CancelsAtPeriodEnd,
    Passes(Days(31)),
];

pub const CHANGES: &[Deed] = &[
    Subscribes("billed"),
    Buys("small"),
    Spends(250),
    AsksFor("larger"),
    Passes(Days(31)),
    // Happens at the period's end.
    AsksFor("billed"),
    Passes(Days(31)),
    MovesTo("larger"),
    MovesTo("billed"),
    CancelsNow,
];

pub const REFUNDS: &[Deed] = &[
    Buys("small"),
    Spends(80),
    IsRefunded(Some(199)),
    Buys("bonus"),
    IsRefunded(Some(500)),
    RefundFails,
    Spends(60),
    IsRefunded(None),
    Buys("small"),
];

pub const DISPUTES: &[Deed] = &[
    Buys("bonus"),
    Spends(200),
    Disputes(None),
    BankDecides("won"),
    Buys("small"),
    IsRefunded(Some(100)),
    Disputes(Some(250)),
    BankDecides("lost"),
];

pub const REFUNDED_PLAN: &[Deed] = &[
    Subscribes("billed"),
    Passes(Days(31)),
    Spends(100),
    IsRefunded(Some(1000)),
    // Nothing is left of its latest invoice, so it ends.
    IsRefunded(None),
];

pub const DISPUTED_PLAN: &[Deed] = &[
    Subscribes("weekly"),
    Spends(50),
    Passes(Days(8)),
    Disputes(None),
    BankDecides("won"),
    Disputes(None),
    BankDecides("lost"),
];

pub const DEBITS: &[Deed] = &[
    BuysByDebit("small", PAYS),
    Passes(Days(8)),
    BuysByDebit("bonus", FAILS),
    Passes(Days(8)),
    SubscribesByDebit("weekly", PAYS),
    Passes(Days(8)),
    CancelsNow,
    SubscribesByDebit("billed", FAILS),
    Passes(Days(8)),
];

pub const DIRECT: &[Deed] = &[
    BeginsDirectly("weekly"),
    PaysFirstInvoice(DECLINED),
    PaysFirstInvoice(PAID),
    Passes(Days(15)),
    CancelsNow,
    BeginsDirectly("billed"),
    // Nobody pays for it.
    Passes(Days(2)),
];

pub const SECOND: &[Deed] = &[
    Subscribes("weekly"),
    Buys("small"),
    Passes(Hours(1)),
    IsGivenAnother("daily"),
    Passes(Days(8)),
    CancelsNow,
    Subscribes("billed"),
    Spends(20),
    Passes(Hours(1)),
    IsGivenAnother("larger"),
];

impl Time {
    pub const fn hours(self) -> i64 {
        match self {
            Hours(hours) => hours,
            Days(days) => days * 24,
        }
    }
}
