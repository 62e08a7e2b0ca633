//! What is taken back of a payment when it is refunded or disputed, and given back when it is not after all.

use crate::account::Account;
use crate::cause::Cause;
use crate::change::{Change, Fence};
use crate::draft::Draft;
use crate::entry::Detail;
use crate::lot::{LotId, Source};
use crate::money::Tokens;
use crate::mutants::Mutant;
use crate::payment::{PaymentRow, PaymentStatus};
use crate::time::Time;

/// What it comes to that so much of a payment is reversed, by refunds and disputes together. Only the difference
/// to what was known is moved, either way. `None` if that is nothing new.
///
/// The account must have been read before the row, and the row before Stripe was asked.
pub fn reverse(account: &Account, row: &PaymentRow, reversed_minor: i64, now: Time) -> Option<Change> {
    let reversed_minor = reversed_minor.clamp(0, row.paid.amount_minor);
    if reversed_minor == row.reversed_minor {
        return None;
    }
    let taken = match Mutant::RefundByDelta.lives() {
        true => row.taken.saturating_add(row.to_take(reversed_minor)),
        false => row.to_take(reversed_minor),
    };
    let mut draft = account.advance(now);
    if taken > row.taken {
        claw_back(&mut draft, row, taken.saturating_sub(row.taken));
    } else {
        restore(&mut draft, row, row.taken.saturating_sub(taken));
    }
    let number = row.reversals + 1;
    let cause = Cause::Reversal { payment: row.payment.clone(), number };
    let detail = Detail::Reversal {
        payment: row.payment.clone(),
        item: row.item.clone(),
        paid: row.paid,
        reversed: (row.reversed_minor, reversed_minor),
        taken: (row.taken, taken),
    };
    let status = match reversed_minor == row.paid.amount_minor {
        true => PaymentStatus::Refunded,
        false => PaymentStatus::Completed,
    };
    let row = PaymentRow { reversed_minor, taken, reversals: number, status, ..row.clone() };
    let (after, entry) = draft.seal(account, cause, None, detail);
    let after = Account { obs: account.obs + 1, ..after };
    Some(Change { fence: Fence::of(account), account: after, entry, payments: vec![row] })
}

/// From the payment's own lots, then from other bought ones; the rest is owed. Held tokens are never touched.
fn claw_back(draft: &mut Draft, row: &PaymentRow, wanted: Tokens) {
    let mut missing = wanted;
    draft.account.sort_lots();
    let bought =
        draft.account.lots.iter().filter(|lot| matches!(lot.source, Source::Purchase | Source::Bonus));
    let others: Vec<LotId> = bought.map(|lot| lot.id.clone()).collect();
    for lot in row.funded.iter().map(|funded| &funded.lot).chain(&others) {
        missing = missing.saturating_sub(draft.claw(lot, missing));
    }
    draft.owe(missing);
}

/// A debt is paid first; the rest goes back into the payment's own lots, with their old expiry.
fn restore(draft: &mut Draft, row: &PaymentRow, tokens: Tokens) {
    let mut left = draft.forgive(tokens);
    for funded in &row.funded {
        let room = funded.tokens.saturating_sub(draft.remaining(&funded.lot));
        let part = left.min(room);
        left = left.saturating_sub(part);
        draft.put_back(funded.lot.clone(), funded.source, funded.expires_at, part);
    }
    // More than the lots ever had cannot have been taken; should it be, it is not lost.
    if let Some(first) = row.funded.first() {
        draft.put_back(first.lot.clone(), first.source, first.expires_at, left);
    }
}
