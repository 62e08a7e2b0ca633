//! Following Stripe: what it says of a subscription and of its paid invoices, brought into the account.

use crate::account::Account;
use crate::cause::Cause;
use crate::change::{Change, Fence};
use crate::draft::Draft;
use crate::entry::Detail;
use crate::ids::SubscriptionId;
use crate::lot::{LotId, Source};
use crate::money::Money;
use crate::mutants::Mutant;
use crate::payment::{Funded, PaymentRow};
use crate::subscription::{PaidFor, PaidInvoice, Seen, Subscription};
use crate::time::Time;

/// What it comes to that Stripe says this of a subscription. `None` if that is nothing new.
///
/// The account must have been read before Stripe was asked: the fence then keeps an older look from overwriting
/// a newer one.
pub fn observe(account: &Account, seen: &Seen, now: Time) -> Option<Change> {
    let known = account.subscriptions.iter().find(|held| held.seen.id == seen.id);
    let has_ended = seen.status.is_final();
    match known {
        // Whoever had a trial had it, though it was over before anybody heard of it.
        None if has_ended && (seen.trial_end.is_none() || account.tried.is_some()) => return None,
        Some(held) if held.seen == *seen => return None,
        _ => {}
    }
    let was = known.map(|held| Box::new(held.seen.clone()));
    let mut draft = ending_as(account, seen, now).advance(now);
    let now = draft.account.at;
    let held = &mut draft.account.subscriptions;
    match held.iter_mut().find(|held| held.seen.id == seen.id) {
        Some(_) if has_ended => held.retain(|held| held.seen.id != seen.id),
        Some(known) => known.see(seen.clone(), now),
        None if has_ended => {}
        None => held.push(Subscription::new(seen.clone())),
    }
    if seen.trial_end.is_some() {
        draft.account.tried.get_or_insert_with(|| seen.id.clone());
    }
    if seen.is_live(now) {
        draft.account.openings.retain(|opening| opening.group != seen.group);
    }
    draft.settle_time();
    let cause = Cause::Seen { user: account.user.clone(), seq: account.seq + 1 };
    let detail = Detail::Subscription { was, is: Box::new(seen.clone()) };
    let (after, entry) = draft.seal(account, cause, None, detail);
    let counted = u64::from(!Mutant::SyncFencedByVersionAlone.lives());
    let account_after = Account { obs: account.obs + counted, ..after };
    Some(Change { fence: Fence::of(account), account: account_after, entry, payments: Vec::new() })
}

/// Time runs by the end that is known now: after an end nothing drips any more, and an end that was taken back
/// takes nothing away.
fn ending_as(account: &Account, seen: &Seen, now: Time) -> Account {
    let mut account = account.clone();
    if let Some(held) = account.subscriptions.iter_mut().find(|held| held.seen.id == seen.id) {
        held.seen.cancel_at = seen.cancel_at;
        held.seen.ended_at = seen.ended_at;
        if seen.status.is_final() {
            held.seen.ended_at = Some(seen.end().map_or(now, |end| end.min(now)));
        }
    }
    account
}

/// Books a paid invoice, and grants what it pays for. One of a subscription that has ended brings nothing more.
pub(crate) fn invoiced(draft: &mut Draft, invoice: &PaidInvoice, paid_for: &PaidFor) -> Vec<PaymentRow> {
    let mut held = draft.account.subscriptions.iter();
    let index = held.position(|held| held.seen.id == invoice.subscription);
    let mut funded = None;
    if let Some(index) = index {
        let now = draft.account.at;
        let held = &mut draft.account.subscriptions[index];
        let due = held.invoiced(paid_for, invoice.paid, now);
        held.pay(paid_for);
        if let Some(due) = due {
            funded = due.grant.map(|(tokens, slot)| Funded {
                lot: LotId::allowance(&invoice.subscription, slot),
                source: Source::Allowance,
                tokens,
                expires_at: Some(slot.end),
            });
            draft.grant(index, due);
        }
        draft.settle_time();
    }
    // Of several payments the first answers for all that the invoice granted.
    let mut rows = Vec::new();
    for (payment, amount_minor) in &invoice.payments {
        let paid = Money { amount_minor: *amount_minor, currency: invoice.paid.currency };
        let row = PaymentRow::completed(payment.clone(), paid_for.item.clone(), paid, draft.account.at);
        let (customer, of) = (invoice.customer.clone(), Some(invoice.id.clone()));
        let row = row.funding(funded.take().into_iter().collect());
        rows.push(PaymentRow { customer, invoice: of, ..row });
    }
    rows
}

/// Other live subscriptions of the same group. There should be none.
pub fn rivals<'a>(account: &'a Account, seen: &'a Seen, now: Time) -> impl Iterator<Item = &'a Seen> {
    let others = account.subscriptions.iter().map(|held| &held.seen).filter(|held| held.id != seen.id);
    others.filter(move |held| seen.is_live(now) && held.group == seen.group && held.is_live(now))
}

/// The one of them that may not be: one that gives no access, else the latest; and whether it was to be had.
pub fn loser<'a>(account: &'a Account, seen: &'a Seen, now: Time) -> Option<(&'a SubscriptionId, bool)> {
    let worth = |held: &&Seen| (!held.gives_access(now), held.anchor, held.id.clone());
    let mut rivals = rivals(account, seen, now).peekable();
    rivals.peek()?;
    rivals.chain([seen]).max_by_key(worth).map(|worst| (&worst.id, worst.gives_access(now)))
}
