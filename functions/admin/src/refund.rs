//! Money that an operator gives back through Stripe, and what that takes of the account.

use domain::cause::{Cause, Operation};
use domain::decide::{Act, Command};
use domain::entry::{Detail, Entry, RefundRequest};
use domain::ids::{PaymentId, UserId};
use domain::lot::Balances;
use domain::money::{Money, Tokens};
use domain::payment::{PaymentRow, RefundReason};
use domain::time::{HOUR_MS, Time};
use edge::request::{Once, body, concealed, once};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::{Deserialize, Serialize};
use settle::{Reversal, Standing, settle_problem, stripe_problem};
use store::{Applied, Read, Words};
use stripe_api::{Refund, RefundOrder};

use crate::{Admin, invalid};

/// `{"payment":"pi_…"}` gives back all that is left of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    payment: PaymentId,
    amount_minor: Option<i64>,
    reason: Option<RefundReason>,
    note: Option<String>,
}

/// What was given back, and how payment and wallet stand now.
#[derive(Serialize)]
struct Refunded<'a> {
    refund: Made<'a>,
    entry: &'a Cause,
    payment: Stands<'a>,
    wallet: Balances,
}

/// `status` is Stripe's word: a refund that is `pending` may yet fail, and one that `failed` gave nothing back.
#[derive(Serialize)]
struct Made<'a> {
    id: &'a str,
    amount: Money,
    status: &'a str,
}

#[derive(Serialize)]
struct Stands<'a> {
    id: &'a PaymentId,
    user: &'a UserId,
    paid: Money,
    reversed_minor: i64,
    granted: Tokens,
    taken: Tokens,
    status: &'static str,
}

/// What the books call this route, where it makes something known.
const SEEN_IN: &str = "refund";
/// Stripe forgets a key after a day, and would take the same request for another. Some hours less, as clocks differ.
const KEY_HOLDS_MS: i64 = 20 * HOUR_MS;

impl Admin {
    pub(crate) async fn refund(
        &self,
        request: &Request,
        operator: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let (wanted, json) = body::<Wanted>(request)?;
        let once = once(request, operator, Operation::Refund, &concealed(&json, &self.keys))?;
        let entry = self.frozen(wanted, &once, operator, now).await?;
        let Detail::Refund(frozen) = &entry.detail else {
            return Err(Problem::internal(format!("entry {} of this cause is no refund", entry.seq)));
        };
        let refund = self.refund_of(&entry, frozen, now).await?;
        self.take_back(&frozen.payment, now).await?;
        self.refunded(&entry, &frozen.payment, &refund, now).await
    }

    /// The request as it was first accepted.
    async fn frozen(
        &self,
        wanted: Wanted,
        once: &Once,
        operator: &UserId,
        now: Time,
    ) -> Result<Entry, Problem> {
        // Looked up before anything is checked: what was accepted once is gone on with, whatever changed since.
        if let Some(entry) = self.accepted(once).await? {
            return Ok(entry);
        }
        match self.freeze(wanted, once, operator, now).await {
            // The same request may have been faster, and have left nothing to give back.
            Err(problem) => self.accepted(once).await?.ok_or(problem),
            entry => entry,
        }
    }

    async fn accepted(&self, once: &Once) -> Result<Option<Entry>, Problem> {
        match self.store.entry(&once.cause).await.map_err(Problem::fault)? {
            Some(entry) if entry.request.as_ref() != Some(&once.hash) => Err(Problem::key_reused()),
            accepted => Ok(accepted),
        }
    }

    /// Writes down what Stripe will be asked for, if it can be given.
    async fn freeze(
        &self,
        wanted: Wanted,
        once: &Once,
        operator: &UserId,
        now: Time,
    ) -> Result<Entry, Problem> {
        let Wanted { payment, amount_minor, reason, note } = wanted;
        if amount_minor.is_some_and(|amount| amount <= 0) {
            return Err(invalid("`amount_minor` starts at 1; leave it out for all that is left"));
        }
        let (words, note) = self.noted(note.as_deref())?.unzip();
        let standing = self.settle.standing(&payment, SEEN_IN, now).await.map_err(settle_problem)?;
        let standing = standing.ok_or_else(|| {
            Problem::new(Code::NotFound, format!("no user of ours has paid anything by {payment}"))
        })?;
        let amount = refundable(&standing, amount_minor)?;
        let act = Act::Refund(RefundRequest { payment, amount, reason, operator: operator.clone(), note });
        let command = Command { cause: once.cause.clone(), request: Some(once.hash.clone()), act };
        let words = Words::note(words);
        let applied = self.store.apply_with(&standing.user, &command, words, &self.catalogs, now).await;
        match applied.map_err(Problem::fault)? {
            Applied::Done(entry) | Applied::Before(entry) => Ok(entry),
            Applied::Refused(refusal) => Err(self.refused(refusal, now).await),
            Applied::KeyReused => Err(Problem::key_reused()),
        }
    }

    /// The refund that a frozen request led to, or leads to now: always the same one, as it is by now.
    async fn refund_of(&self, entry: &Entry, frozen: &RefundRequest, now: Time) -> Result<Refund, Problem> {
        let stripe = self.settle.stripe();
        if let Some(id) = self.store.result(&entry.cause).await.map_err(Problem::fault)? {
            let refund = stripe.refund(&id).await.map_err(stripe_problem)?;
            return refund.ok_or_else(|| Problem::internal(format!("stripe no longer has {id}")));
        }
        let order = RefundOrder {
            payment: frozen.payment.clone(),
            amount_minor: frozen.amount.amount_minor,
            reason: frozen.reason,
            operator: frozen.operator.to_string(),
            request: entry.cause.fingerprint(),
        };
        let is_old = now.millis() - entry.at.millis() > KEY_HOLDS_MS;
        let made = if is_old { self.find(&order).await? } else { None };
        let refund = match made {
            Some(refund) => refund,
            None => match stripe.create_refund(&order, &entry.cause.to_string()).await {
                Ok(refund) => refund,
                // The same request in another wire form, as an older version of this function sent it.
                Err(error) if error.is_key_reused() => {
                    self.find(&order).await?.ok_or_else(|| stripe_problem(error))?
                }
                Err(error) => return Err(stripe_problem(error)),
            },
        };
        self.store.put_result(&entry.cause, &refund.id).await.map_err(Problem::fault)?;
        Ok(refund)
    }

    /// Looks for what an order led to, without its key.
    async fn find(&self, order: &RefundOrder) -> Result<Option<Refund>, Problem> {
        let refunds = self.settle.stripe().refunds(&order.payment).await.map_err(stripe_problem)?;
        Ok(refunds.into_iter().find(|refund| refund.request.as_ref() == Some(&order.request)))
    }

    /// Brings the refund into the books, whether or not a webhook has done so.
    async fn take_back(&self, payment: &PaymentId, now: Time) -> Result<(), Problem> {
        match self.settle.reverse(payment, SEEN_IN, now).await.map_err(settle_problem)? {
            Reversal::Moved(_) | Reversal::Same => Ok(()),
            other => Err(Problem::internal(format!("{payment} was refunded, and is {other:?}"))),
        }
    }

    async fn refunded(
        &self,
        entry: &Entry,
        payment: &PaymentId,
        refund: &Refund,
        now: Time,
    ) -> Result<Reply, Problem> {
        let account = self.store.account(&entry.user, Read::Consistent).await.map_err(Problem::fault)?;
        let row = self.store.payment(&entry.user, payment).await.map_err(Problem::fault)?;
        let row = row.ok_or_else(|| Problem::internal(format!("{payment} has no row")))?;
        Reply::created(&Refunded {
            refund: Made { id: &refund.id, amount: refund.amount, status: &refund.status },
            entry: &entry.cause,
            payment: Stands::of(&row, &entry.user),
            wallet: account.advance(now).account.balances(),
        })
    }
}

impl<'a> Stands<'a> {
    fn of(row: &'a PaymentRow, user: &'a UserId) -> Stands<'a> {
        Stands {
            id: &row.payment,
            user,
            paid: row.paid,
            reversed_minor: row.reversed_minor,
            granted: row.granted,
            taken: row.taken,
            status: row.status.name(),
        }
    }
}

/// What is asked for, or else all that is left; or why it cannot be given back. Stripe counts again: this tells an
/// operator before anything is written.
fn refundable(standing: &Standing, asked_minor: Option<i64>) -> Result<Money, Problem> {
    let Standing { paid, reversed, .. } = standing;
    let is_disputed = reversed.disputed_minor > 0;
    let left_minor = if is_disputed { 0 } else { paid.amount_minor - reversed.of(paid.amount_minor) };
    let in_words = |amount_minor| format!("{} {}", Money { amount_minor, ..*paid }.decimal(), paid.currency);
    let why = match asked_minor {
        _ if is_disputed => {
            "it is disputed, and what the bank has taken Stripe does not give back".to_owned()
        }
        _ if paid.amount_minor == 0 => "it was free".to_owned(),
        _ if left_minor == 0 => "it has been refunded already".to_owned(),
        Some(asked) if asked > left_minor => {
            format!("{} is more than the {} that are left of it", in_words(asked), in_words(left_minor))
        }
        asked => return Ok(Money { amount_minor: asked.unwrap_or(left_minor), ..*paid }),
    };
    Err(Problem::new(Code::NotRefundable, why)
        .with("refundable_minor", left_minor)
        .with("currency", paid.currency.as_str()))
}

#[cfg(test)]
mod tests {
    use stripe_api::Reversed;

    use super::*;

    /// What is given back, or else how much could be.
    fn of(paid: i64, refunded_minor: i64, disputed_minor: i64, asked: Option<i64>) -> Result<i64, i64> {
        let currency = domain::money::Currency::parse("eur").unwrap();
        let standing = Standing {
            user: UserId::parse("ada").unwrap(),
            paid: Money { amount_minor: paid, currency },
            reversed: Reversed { refunded_minor, disputed_minor },
        };
        refundable(&standing, asked)
            .map(|money| money.amount_minor)
            .map_err(|problem| problem.more["refundable_minor"].as_i64().unwrap())
    }

    #[test]
    fn all_that_is_left_can_be_given_back_and_no_more() {
        assert_eq!(of(999, 0, 0, None), Ok(999));
        assert_eq!(of(999, 400, 0, None), Ok(599));
        assert_eq!((of(999, 400, 0, Some(1)), of(999, 400, 0, Some(599))), (Ok(1), Ok(599)));
        assert_eq!(of(999, 400, 0, Some(600)), Err(599));
        assert_eq!((of(999, 999, 0, None), of(999, 999, 0, Some(1))), (Err(0), Err(0)));
        assert_eq!(of(0, 0, 0, None), Err(0));
        assert_eq!(of(999, 0, 0, Some(i64::MAX)), Err(999));
    }

    #[test]
    fn nothing_is_given_back_of_what_is_disputed_even_in_part() {
        assert_eq!((of(999, 0, 999, None), of(999, 0, 100, Some(1))), (Err(0), Err(0)));
    }
}
