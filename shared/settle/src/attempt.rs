//! Payments before their money, of a sale or of an invoice: an event only says at which intent to look. What that is
//! now moves the record of it, whatever was heard before; and where the money is there by now, the books.

use domain::ids::{PaymentId, UserId};
use domain::item::{Item, Sold};
use domain::mutants::Mutant;
use domain::payment::{Attempt, AttemptOutcome, Payment};
use domain::time::Time;
use store::{Noted, StoreError};
use stripe_api::{Billed, Intent, IntentState, Subscription};

use crate::owner::Owner;
use crate::{Fulfilled, Settle, SettleError};

/// What came of a look at an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempted {
    /// The record says what Stripe says.
    Noted(AttemptOutcome),
    /// It is paid by now; this came of that.
    Paid(Box<Fulfilled>),
    /// It was paid before, and the books say more of it than an attempt can.
    Booked,
    /// It is nobody's, or for nothing we know; of that, only what was paid is kept.
    Unrecorded(&'static str),
    /// Its user was erased.
    Erased,
    /// Another deployment's, which hears of it too.
    AnotherStack,
    /// A payment made without us, or an invoice's that is paid.
    NotOurs,
    /// Stripe has no such intent.
    Missing,
}

/// How often somebody else may look at the same time before the message waits.
const LOOKS: u32 = 8;

/// Why there is no attempt to record.
enum Stop {
    Aside(Attempted),
    Failed(SettleError),
}

impl<E: Into<SettleError>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

impl Settle {
    /// Brings the record of a payment to what its intent is now; one that is paid is fulfilled. `hint` names the
    /// user that it is probably of, and `seen_in` the event that told of it.
    pub async fn attempt(
        &self,
        payment: &PaymentId,
        hint: Option<UserId>,
        seen_in: &str,
        now: Time,
    ) -> Result<Attempted, SettleError> {
        match self.note_attempt(payment, hint, seen_in, now).await {
            Ok(outcome) => Ok(Attempted::Noted(outcome)),
            Err(Stop::Aside(attempted)) => Ok(attempted),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn note_attempt(
        &self,
        payment: &PaymentId,
        hint: Option<UserId>,
        seen_in: &str,
        now: Time,
    ) -> Result<AttemptOutcome, Stop> {
        let mut user = match hint {
            Some(user) => user,
            None => self.tried(payment, seen_in, now).await?.0,
        };
        for _ in 0..LOOKS {
            // In this order, or an older look could overwrite a newer one.
            let looks = self.store.attempt_looks(&user, payment).await?;
            let looks = looks.ok_or(Stop::Aside(Attempted::Booked))?;
            let (owner, attempt) = self.tried(payment, seen_in, now).await?;
            if owner != user {
                user = owner;
                continue;
            }
            match self.store.put_attempt(&user, &attempt, looks).await? {
                Noted::Written => return Ok(attempt.outcome),
                Noted::Closed => return Err(Stop::Aside(Attempted::Erased)),
                Noted::Moved => {}
            }
        }
        Err(StoreError::Busy("others keep looking at the same".to_owned()).into())
    }

    /// What an intent is now, and whose. One that is paid is fulfilled at once: to the books it is a fact, not a look.
    async fn tried(&self, payment: &PaymentId, seen_in: &str, now: Time) -> Result<(UserId, Attempt), Stop> {
        let intent = self.stripe.intent(payment).await?.ok_or(Stop::Aside(Attempted::Missing))?;
        if intent.envelope.stack.is_none() {
            return self.tried_for_invoice(intent).await;
        }
        let (envelope, customer) = (intent.envelope, intent.customer);
        let outcome = match intent.state {
            IntentState::Succeeded(paid) => {
                let fulfilled = self.fulfil(&paid, seen_in, now).await?;
                return Err(Stop::Aside(Attempted::Paid(Box::new(fulfilled))));
            }
            IntentState::Unpaid(_) if Mutant::CreditOnPending.lives() => {
                let paid = Payment { id: payment.clone(), customer, paid: intent.amount, envelope };
                let fulfilled = self.fulfil(&paid, seen_in, now).await?;
                return Err(Stop::Aside(Attempted::Paid(Box::new(fulfilled))));
            }
            IntentState::Unpaid(outcome) => outcome,
        };
        let user = owned(self.owner(payment.as_str(), &envelope, customer.as_ref()).await?)?;
        let item = envelope.item.ok_or(Stop::Aside(Attempted::Unrecorded("no item")))?;
        let (payment, amount, at) = (payment.clone(), intent.amount, intent.created);
        Ok((user, Attempt { payment, item, amount, customer, invoice: None, outcome, at }))
    }

    /// An invoice's intent carries no envelope: whose it is and what for, its subscription says. That it was paid
    /// its invoice tells.
    async fn tried_for_invoice(&self, intent: Intent) -> Result<(UserId, Attempt), Stop> {
        let not_ours = || Stop::Aside(Attempted::NotOurs);
        let Intent { id, customer, amount, created, state, .. } = intent;
        let IntentState::Unpaid(outcome) = state else { return Err(not_ours()) };
        let Billed { invoice, subscription } = self.stripe.billed_by(&id).await?.ok_or_else(not_ours)?;
        let found = self.stripe.subscription(&subscription).await?.ok_or_else(not_ours)?;
        let owner = self.owner(subscription.as_str(), &found.envelope, found.customer.as_ref()).await?;
        let user = owned(owner)?;
        let item = self.plan_of(found).await?.ok_or(Stop::Aside(Attempted::Unrecorded("no plan")))?;
        let attempt =
            Attempt { payment: id, item, amount, customer, invoice: Some(invoice), outcome, at: created };
        Ok((user, attempt))
    }

    /// What a subscription's price was first sold for; it says so whatever the account knows of it by now.
    async fn plan_of(&self, found: Subscription) -> Result<Option<Item>, StoreError> {
        for charged in &found.items {
            if let Some((Sold { item: plan @ Item::Plan { .. }, .. }, _)) =
                self.catalogs.binding(&charged.price).await?
            {
                return Ok(Some(plan));
            }
        }
        Ok(found.envelope.item)
    }
}

fn owned(owner: Owner) -> Result<UserId, Stop> {
    match owner {
        Owner::User(user) => Ok(user),
        Owner::Nobody => Err(Stop::Aside(Attempted::Unrecorded("no owner"))),
        Owner::AnotherStack => Err(Stop::Aside(Attempted::AnotherStack)),
    }
}
