//! Refunds and disputes: an event only says of which payment. How much of it is reversed now moves the books,
//! whatever was heard before.

use std::pin::Pin;

use domain::account::Account;
use domain::catalog::OnRefund;
use domain::cause::Cause;
use domain::entry::{Detail, Entry};
use domain::ids::{InvoiceId, PaymentId, SubscriptionId, UserId};
use domain::money::Money;
use domain::payment::PaymentRow;
use domain::reversal::reverse;
use domain::subscription::PaidInvoice;
use domain::time::Time;
use store::{Observed, Read};
use stripe_api::Reversed;

use crate::{Fulfilled, Settle, SettleError, Synced};

/// What came of a look at a payment's refunds and disputes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reversal {
    /// More or less is reversed than the books knew; this entry says so.
    Moved(Box<Entry>),
    /// The books say what Stripe says.
    Same,
    /// It is nobody's, or was never booked: kept until an operator attaches it.
    Unclaimed(&'static str),
    /// Another deployment's, which hears of it too.
    AnotherStack,
    /// A payment made without us.
    NotOurs,
    /// Stripe has no such payment.
    Missing,
}

/// A payment that the books have, and how much of it is taken back by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub user: UserId,
    pub paid: Money,
    pub reversed: Reversed,
}

/// A payment that the books have.
struct Booked {
    user: UserId,
    /// What it paid, where that was not a sale of its own.
    invoice: Option<(InvoiceId, SubscriptionId)>,
}

/// What the books know of a payment, and after that, what Stripe says of it.
struct Look {
    row: PaymentRow,
    reversed: Reversed,
}

/// A long trip apart from its caller's future: as one they need more stack than there is, and nest deeper than the
/// compiler follows when it asks whether all that may cross threads.
fn boxed<'a, T, F: Future<Output = T> + Send + 'a>(
    begin: impl FnOnce() -> F,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(begin())
}

/// Why nothing can be taken back or given back.
enum Stop {
    Aside(Reversal),
    Failed(SettleError),
}

impl<E: Into<SettleError>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

impl Settle {
    /// Brings into the books how much of a payment is refunded and disputed. A payment that they lack is
    /// fulfilled first. `seen_in` names the event or route that told of it.
    pub async fn reverse(
        &self,
        payment: &PaymentId,
        seen_in: &str,
        now: Time,
    ) -> Result<Reversal, SettleError> {
        match boxed(|| self.take_or_give_back(payment, seen_in, now)).await {
            Ok(reversal) | Err(Stop::Aside(reversal)) => Ok(reversal),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// How a payment stands, which is fulfilled first if the books lack it. `None` where it is nobody's,
    /// or not this deployment's.
    pub async fn standing(
        &self,
        payment: &PaymentId,
        seen_in: &str,
        now: Time,
    ) -> Result<Option<Standing>, SettleError> {
        match boxed(|| self.booked_standing(payment, seen_in, now)).await {
            Ok(standing) => Ok(standing),
            Err(Stop::Aside(_)) => Ok(None),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn booked_standing(
        &self,
        payment: &PaymentId,
        seen_in: &str,
        now: Time,
    ) -> Result<Option<Standing>, Stop> {
        let Booked { user, .. } = self.booked(payment, seen_in, now).await?;
        let Some(PaymentRow { paid, .. }) = self.store.payment(&user, payment).await? else {
            return Ok(None);
        };
        let reversed = self.stripe.reversed(payment, paid.currency).await?;
        Ok(reversed.map(|reversed| Standing { user, paid, reversed }))
    }

    async fn take_or_give_back(
        &self,
        payment: &PaymentId,
        seen_in: &str,
        now: Time,
    ) -> Result<Reversal, Stop> {
        let booked = self.booked(payment, seen_in, now).await?;
        let Observed { look, news } = self.look_and_move(&booked.user, payment, seen_in, now).await?;
        if look.reversed.refunded_minor >= look.row.paid.amount_minor {
            let number = look.row.reversals + u32::from(news.is_some());
            let cause = Cause::Reversal { payment: payment.clone(), number };
            // A second subscription's payment waits for an operator, who has just decided.
            if booked.invoice.is_some() {
                self.store.unlist(payment.as_str()).await?;
            }
            self.end_if_refunded(booked, &cause, seen_in, now).await?;
        }
        Ok(news.map_or(Reversal::Same, |entry| Reversal::Moved(Box::new(entry))))
    }

    /// The same of a payment that gave tokens; of what the books lack there is nothing to take.
    pub(crate) async fn reverse_booked(
        &self,
        user: &UserId,
        payment: &PaymentId,
        seen_in: &str,
        now: Time,
    ) -> Result<(), SettleError> {
        let row = self.store.payment(user, payment).await?;
        if row.is_none_or(|row| row.granted.is_zero()) {
            return Ok(());
        }
        match boxed(|| self.look_and_move(user, payment, seen_in, now)).await {
            Ok(_) | Err(Stop::Aside(_)) => Ok(()),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn look_and_move(
        &self,
        user: &UserId,
        payment: &PaymentId,
        seen_in: &str,
        now: Time,
    ) -> Result<Observed<Look>, Stop> {
        let look = |account: Account| self.look_back(account.user, payment, seen_in, now);
        let decide = |account: &Account, Look { row, reversed }: &Look| {
            reverse(account, row, reversed.of(row.paid.amount_minor), now)
        };
        self.store.observe(user, look, decide).await
    }

    /// Whose payment it is to the books, and what it paid.
    async fn booked(&self, payment: &PaymentId, seen_in: &str, now: Time) -> Result<Booked, Stop> {
        if let Some(entry) = self.store.entry(&Cause::Payment(payment.clone())).await? {
            return Ok(Booked { user: entry.user, invoice: None });
        }
        if let Some(invoice) = self.stripe.invoice_paid_by(payment).await? {
            return self.booked_invoice(invoice, seen_in, now).await;
        }
        let paid = self.stripe.payment(payment).await?.ok_or(Stop::Aside(Reversal::NotOurs))?;
        match self.fulfil(&paid, seen_in, now).await? {
            Fulfilled::Credited(entry) | Fulfilled::Before(entry) => {
                Ok(Booked { user: entry.user, invoice: None })
            }
            Fulfilled::Unclaimed(reason) => Err(Stop::Aside(Reversal::Unclaimed(reason))),
            Fulfilled::AnotherStack => Err(Stop::Aside(Reversal::AnotherStack)),
        }
    }

    async fn booked_invoice(&self, invoice: InvoiceId, seen_in: &str, now: Time) -> Result<Booked, Stop> {
        if let Some(entry) = self.store.entry(&Cause::Invoice(invoice.clone())).await?
            && let Detail::Invoice { subscription, .. } = entry.detail
        {
            return Ok(Booked { user: entry.user, invoice: Some((invoice, subscription)) });
        }
        let subscription = self.stripe.subscription_of(&invoice).await?;
        let subscription = subscription.ok_or(Stop::Aside(Reversal::NotOurs))?;
        match self.sync(&subscription, None, seen_in, now).await? {
            Synced::Settled { user, .. } => Ok(Booked { user, invoice: Some((invoice, subscription)) }),
            Synced::Unclaimed(reason) => Err(Stop::Aside(Reversal::Unclaimed(reason))),
            Synced::AnotherStack => Err(Stop::Aside(Reversal::AnotherStack)),
            Synced::Missing => Err(Stop::Aside(Reversal::Missing)),
        }
    }

    /// Reads what the books know, and then asks Stripe. The row moves only with its account's count of looks, so
    /// it is as old as the account that was read before it.
    async fn look_back(
        &self,
        user: UserId,
        payment: &PaymentId,
        seen_in: &str,
        now: Time,
    ) -> Result<Look, Stop> {
        let Some(row) = self.store.payment(&user, payment).await? else {
            // A part of an invoice that was never paid in full, at most.
            let reason = "reversed, but never booked";
            self.unclaimed(payment.as_str(), reason, seen_in, now).await?;
            return Err(Stop::Aside(Reversal::Unclaimed(reason)));
        };
        let reversed = self.stripe.reversed(payment, row.paid.currency).await?;
        Ok(Look { row, reversed: reversed.ok_or(Stop::Aside(Reversal::Missing))? })
    }

    /// What was given for the latest invoice goes with its money, and so does the subscription, unless its plan is
    /// kept. By what is there and not by what was news: if this is cut off, the repeated message does it.
    async fn end_if_refunded(
        &self,
        booked: Booked,
        cause: &Cause,
        seen_in: &str,
        now: Time,
    ) -> Result<(), SettleError> {
        let Booked { user, invoice: Some((invoice, id)) } = booked else { return Ok(()) };
        if self.on_refund(&user, &id).await? != Some(OnRefund::Cancel) {
            return Ok(());
        }
        let invoices = self.stripe.paid_invoices(&id).await?;
        let Some(latest) = invoices.last().filter(|latest| latest.id == invoice) else { return Ok(()) };
        if !self.is_refunded(latest).await? {
            return Ok(());
        }
        self.stripe.cancel_subscription(&id, &cause.to_string()).await?;
        tracing::info!(subscription = %id, %cause, "canceled, as its latest invoice was refunded in full");
        self.sync(&id, Some(user), seen_in, now).await.map(drop)
    }

    /// What the plan of a subscription says, in the version that it was bought under; `None` once it has ended.
    async fn on_refund(&self, user: &UserId, id: &SubscriptionId) -> Result<Option<OnRefund>, SettleError> {
        let account = self.store.account(user, Read::Consistent).await?;
        let Some(held) = account.subscriptions.into_iter().find(|held| held.seen.id == *id) else {
            return Ok(None);
        };
        let published = self.catalogs.version(held.seen.catalog).await?;
        let plan = published.as_ref().and_then(|published| published.catalog.plans.get(&held.seen.plan));
        Ok(plan.map(|plan| plan.on_refund))
    }

    /// Whether nothing is left of all that paid an invoice. Disputed money may come back.
    async fn is_refunded(&self, invoice: &PaidInvoice) -> Result<bool, SettleError> {
        let mut refunded_minor: i64 = 0;
        for (payment, amount_minor) in &invoice.payments {
            let reversed = self.stripe.reversed(payment, invoice.paid.currency).await?.unwrap_or_default();
            refunded_minor = refunded_minor.saturating_add(reversed.refunded_minor.min(*amount_minor));
        }
        Ok(refunded_minor >= invoice.paid.amount_minor)
    }
}
