//! What happened, entry by entry.

use serde::Serialize;

use super::PaymentView;
use crate::account::Account;
use crate::alteration::{Alteration, Deed};
use crate::cause::Cause;
use crate::draft::Draft;
use crate::entry::{Detail, Entry};
use crate::ids::PaymentId;
use crate::money::Money;
use crate::payment::PaymentRecord;
use crate::posting::Posting;
use crate::subscription::Seen;
use crate::time::Time;

/// One line of `GET …/wallet/entries`.
#[derive(Debug, Serialize)]
pub struct EntryView {
    cause: Option<String>,
    /// Absent while time alone has done this and no write has journaled it yet.
    seq: Option<u64>,
    at: String,
    kind: &'static str,
    #[serde(flatten)]
    about: About,
    /// Those that it names, as they stand now.
    #[serde(skip_serializing_if = "Option::is_none")]
    payments: Option<Vec<PaymentView>>,
    postings: Vec<PostingView>,
    available_after: u64,
    held_after: u64,
    debt_after: u64,
}

#[derive(Debug, Default, Serialize)]
struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<String>,
    /// Asked back of Stripe.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<Money>,
    /// Refunded or disputed of it, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    reversed_minor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<Held>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is: Option<Held>,
}

/// A subscription as it was or became.
#[derive(Debug, Serialize)]
struct Held {
    plan: String,
    status: &'static str,
    cancel_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct PostingView {
    from: &'static str,
    to: &'static str,
    amount: u64,
    lot: Option<String>,
    /// The lot that they went into, where they came from another.
    #[serde(skip_serializing_if = "Option::is_none")]
    into: Option<String>,
    at: String,
}

impl EntryView {
    pub fn new(entry: &Entry) -> EntryView {
        EntryView {
            cause: Some(entry.cause.to_string()),
            seq: Some(entry.seq),
            at: entry.at.rfc3339(),
            kind: entry.detail.kind(),
            about: About::of(&entry.detail),
            payments: None,
            postings: posting_views(&entry.postings, entry.at),
            available_after: entry.after.available.get(),
            held_after: entry.after.held.get(),
            debt_after: entry.after.debt.get(),
        }
    }

    /// With the payments that it names, as far as they are among those known.
    pub fn joined(entry: &Entry, known: &[PaymentRecord]) -> EntryView {
        let find = |id: &PaymentId| known.iter().find(|record| record.payment == *id).map(PaymentView::new);
        let payments = payments_named(entry).map(|ids| ids.into_iter().filter_map(find).collect());
        EntryView { payments, ..EntryView::new(entry) }
    }

    /// What time has done since the last write and is not journaled yet, if anything.
    pub fn pending(account: &Account, now: Time) -> Option<EntryView> {
        let Draft { account: after, postings, .. } = account.advance(now);
        let balances = after.balances();
        (!postings.is_empty()).then(|| EntryView {
            cause: None,
            seq: None,
            at: after.at.rfc3339(),
            kind: "pending",
            about: About::default(),
            payments: None,
            postings: posting_views(&postings, after.at),
            available_after: balances.available.get(),
            held_after: balances.held.get(),
            debt_after: balances.debt.get(),
        })
    }
}

/// The payments that an entry is about; `None` if it is about something else.
pub fn payments_named(entry: &Entry) -> Option<Vec<&PaymentId>> {
    match &entry.detail {
        Detail::Purchase { .. } => match &entry.cause {
            Cause::Payment(payment) => Some(vec![payment]),
            _ => None,
        },
        Detail::Invoice { payments, .. } => Some(payments.iter().map(|(payment, _)| payment).collect()),
        Detail::Reversal { payment, .. } => Some(vec![payment]),
        Detail::Refund(refund) => Some(vec![&refund.payment]),
        _ => None,
    }
}

impl About {
    fn of(detail: &Detail) -> About {
        match detail {
            Detail::Purchase { item, paid, .. } => {
                About { item: Some(item.to_string()), paid: Some(*paid), ..About::default() }
            }
            Detail::Consume { action, amount } => About {
                action: action.as_ref().map(|action| action.to_string()),
                amount: Some(*amount),
                ..About::default()
            },
            Detail::Checkout(request) => About { item: Some(request.item.to_string()), ..About::default() },
            Detail::Alteration(Alteration { subscription, deed }) => About {
                subscription: Some(subscription.to_string()),
                item: match deed {
                    Deed::Change(change) => Some(change.to.item().to_string()),
                    Deed::Cancel { .. } | Deed::Resume => None,
                },
                ..About::default()
            },
            Detail::Grant { .. } => About::default(),
            Detail::Invoice { invoice, subscription, item, paid, .. } => About {
                item: Some(item.to_string()),
                paid: Some(*paid),
                invoice: Some(invoice.to_string()),
                subscription: Some(subscription.to_string()),
                ..About::default()
            },
            Detail::Hold { hold, action, .. } => About {
                hold: Some(hold.to_string()),
                action: action.as_ref().map(|action| action.to_string()),
                ..About::default()
            },
            Detail::HoldEnd { hold, .. } => About { hold: Some(hold.to_string()), ..About::default() },
            Detail::Refund(refund) => About {
                payment: Some(refund.payment.to_string()),
                refund: Some(refund.amount),
                ..About::default()
            },
            Detail::Closing { .. } => About::default(),
            Detail::Reversal { payment, item, paid, reversed, .. } => About {
                item: Some(item.to_string()),
                paid: Some(*paid),
                payment: Some(payment.to_string()),
                reversed_minor: Some(reversed.1),
                ..About::default()
            },
            Detail::Subscription { was, is } => About {
                subscription: Some(is.id.to_string()),
                was: was.as_deref().map(Held::of),
                is: Some(Held::of(is)),
                ..About::default()
            },
        }
    }
}

impl Held {
    fn of(seen: &Seen) -> Held {
        Held {
            plan: seen.plan.to_string(),
            status: seen.status.name(),
            cancel_at: seen.end().map(Time::rfc3339),
        }
    }
}

fn posting_views(postings: &[Posting], written_at: Time) -> Vec<PostingView> {
    let view = |posting: &Posting| PostingView {
        from: posting.from.name(),
        to: posting.to.name(),
        amount: posting.amount.get(),
        lot: posting.lot.as_ref().map(|lot| lot.as_str().to_owned()),
        into: posting.into.as_ref().map(|lot| lot.as_str().to_owned()),
        at: posting.at.unwrap_or(written_at).rfc3339(),
    };
    postings.iter().map(view).collect()
}
