//! What events lead to, settled one at a time, and how that is told to people.

use domain::entry::Detail;
use domain::ids::{EventId, InvoiceId, PaymentId, SubscriptionId, UserId};
use domain::payment::{AttemptOutcome, Payment, References};
use domain::time::Time;
use settle::{Attempted, Fulfilled, Reversal, SettleError, Synced};
use store::StoreError;
use stripe_event::{Hint, Lead};

use crate::{Credit, NotSettled};

/// What there is to settle. A payment is a fact, and one told with other contents is another; the rest is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Sale(Payment),
    Subscription(SubscriptionId),
    Attempt(PaymentId),
    Reversal(PaymentId),
}

/// What an event is about and does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    SubscriptionOf(InvoiceId),
    IntentsOf(InvoiceId),
    Behind(Lead),
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    pub outcome: &'static str,
    /// Whose the subscription is.
    pub user: Option<UserId>,
    /// Whose the payment is, if it is in the books.
    pub credited: Option<(UserId, PaymentId)>,
}

impl Credit {
    pub(crate) async fn reach(
        &self,
        target: &Target,
        hint: Option<UserId>,
        seen_in: &EventId,
        now: Time,
    ) -> Result<Reached, NotSettled> {
        match target {
            Target::Sale(payment) => self.fulfil(payment, seen_in, now).await,
            Target::Subscription(id) => self.sync(id, hint, seen_in, now).await,
            Target::Attempt(payment) => self.attempt(payment, hint, seen_in, now).await,
            Target::Reversal(payment) => self.reverse(payment, seen_in, now).await,
        }
    }

    /// What lies behind an event that does not say it: nothing, where Stripe has no such object or not yet.
    pub(crate) async fn answer(&self, question: &Question) -> Result<Vec<Target>, SettleError> {
        let stripe = self.settle.stripe();
        Ok(match question {
            Question::SubscriptionOf(invoice) => {
                stripe.subscription_of(invoice).await?.map(Target::Subscription).into_iter().collect()
            }
            Question::IntentsOf(invoice) => {
                stripe.intents_of(invoice).await?.into_iter().map(Target::Attempt).collect()
            }
            Question::Behind(Lead::Refund(refund)) => {
                stripe.refunded_payment(refund).await?.map(Target::Reversal).into_iter().collect()
            }
            Question::Behind(Lead::Dispute(dispute)) => {
                stripe.disputed_payment(dispute).await?.map(Target::Reversal).into_iter().collect()
            }
            Question::Behind(Lead::Schedule(schedule)) => {
                stripe.scheduled_subscription(schedule).await?.map(Target::Subscription).into_iter().collect()
            }
            Question::Behind(Lead::Session(session)) => {
                let Some(session) = stripe.session(session).await? else { return Ok(Vec::new()) };
                let sale = session.payment.map(Target::Sale);
                sale.into_iter().chain(session.subscription.map(Target::Subscription)).collect()
            }
        })
    }

    async fn fulfil(&self, payment: &Payment, seen_in: &EventId, now: Time) -> Result<Reached, NotSettled> {
        let fulfilled = self.settle.fulfil(payment, seen_in.as_str(), now).await?;
        let outcome = came_of(&fulfilled, seen_in, now);
        let credited = match fulfilled {
            Fulfilled::Credited(entry) | Fulfilled::Before(entry) => Some((entry.user, payment.id.clone())),
            Fulfilled::Unclaimed(_) | Fulfilled::AnotherStack => None,
        };
        Ok(Reached { credited, ..Reached::told(outcome) })
    }

    async fn sync(
        &self,
        id: &SubscriptionId,
        hint: Option<UserId>,
        seen_in: &EventId,
        now: Time,
    ) -> Result<Reached, NotSettled> {
        Ok(match self.settle.sync(id, hint, seen_in.as_str(), now).await? {
            Synced::Settled { user, news: 0, .. } => {
                Reached { user: Some(user), ..Reached::told("known before") }
            }
            Synced::Settled { user, news, .. } => {
                tracing::info!(event = %seen_in, subscription = %id, entries = news, "synced");
                Reached { user: Some(user), ..Reached::told("synced") }
            }
            Synced::Unclaimed(reason) => unclaimed(reason, now),
            Synced::AnotherStack => Reached::told("another stack's"),
            Synced::Missing => Reached::told("not in Stripe"),
        })
    }

    async fn attempt(
        &self,
        payment: &PaymentId,
        hint: Option<UserId>,
        seen_in: &EventId,
        now: Time,
    ) -> Result<Reached, NotSettled> {
        let attempted = self.settle.attempt(payment, hint, seen_in.as_str(), now).await?;
        Ok(Reached::told(match attempted {
            Attempted::Noted(AttemptOutcome::Pending) => "payment pending",
            Attempted::Noted(AttemptOutcome::Failed(reason)) => {
                tracing::info!(event = %seen_in, %payment, reason, "payment failed");
                "payment failed"
            }
            Attempted::Paid(fulfilled) => came_of(&fulfilled, seen_in, now),
            Attempted::Booked => "known before",
            Attempted::Unrecorded(reason) => reason,
            Attempted::Erased => "erased",
            Attempted::AnotherStack => "another stack's",
            Attempted::NotOurs => "not ours",
            Attempted::Missing => "not in Stripe",
        }))
    }

    async fn reverse(
        &self,
        payment: &PaymentId,
        seen_in: &EventId,
        now: Time,
    ) -> Result<Reached, NotSettled> {
        Ok(Reached::told(match self.settle.reverse(payment, seen_in.as_str(), now).await? {
            Reversal::Moved(entry) => {
                tracing::info!(event = %seen_in, cause = %entry.cause, seq = entry.seq, "reversed");
                match entry.detail {
                    Detail::Reversal { reversed: (before, after), .. } if after < before => "given back",
                    _ => "taken back",
                }
            }
            Reversal::Same => "known before",
            Reversal::Unclaimed(reason) => return Ok(unclaimed(reason, now)),
            Reversal::AnotherStack => "another stack's",
            Reversal::NotOurs => "not ours",
            Reversal::Missing => "not in Stripe",
        }))
    }

    pub(crate) async fn refer(
        &self,
        payment: &PaymentId,
        references: &References,
        hint: &Hint,
    ) -> Result<&'static str, StoreError> {
        if self.is_another_stacks(hint) {
            return Ok("another stack's");
        }
        let Some(user) = self.hinted(hint).await? else { return Ok("not ours") };
        let is_kept = self.store.refer(&user, payment, references).await?;
        Ok(if is_kept { "referred" } else { "erased" })
    }

    /// What an invoice leads to carries no envelope, but its customer is one that we made.
    pub(crate) async fn hinted(&self, hint: &Hint) -> Result<Option<UserId>, StoreError> {
        match (self.user_of(hint), &hint.customer) {
            (None, Some(customer)) => self.store.customer_owner(customer).await,
            (user, _) => Ok(user),
        }
    }
}

impl Reached {
    const fn told(outcome: &'static str) -> Reached {
        Reached { outcome, user: None, credited: None }
    }
}

fn came_of(fulfilled: &Fulfilled, seen_in: &EventId, now: Time) -> &'static str {
    match fulfilled {
        Fulfilled::Credited(entry) => {
            tracing::info!(event = %seen_in, cause = %entry.cause, seq = entry.seq, "credited");
            "credited"
        }
        Fulfilled::Before(_) => "credited before",
        Fulfilled::Unclaimed(reason) => unclaimed(reason, now).outcome,
        Fulfilled::AnotherStack => "another stack's",
    }
}

fn unclaimed(reason: &'static str, now: Time) -> Reached {
    edge::metrics::count("unclaimed", "reason", reason, now);
    Reached::told("unclaimed")
}
