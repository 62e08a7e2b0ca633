//! What may not be: two subscriptions of one group, and a second trial. Whoever sees one ends it in Stripe, at once.
//!
//! Why it was ended stands in Stripe, with the end itself. So a crash in between loses nothing: whoever looks next,
//! and at the latest the event of that end, finds what is still to be done.

use domain::account::Account;
use domain::catalog::SecondPaid;
use domain::follow::{loser, rivals};
use domain::ids::{SubscriptionId, UserId};
use domain::subscription::Status;
use domain::time::Time;
use domain::trial::TrialMark;
use store::Read;
use stripe_api::{EndedFor, Subscription};

use crate::sync::{Look, Stop};
use crate::{Settle, SettleError};

impl Settle {
    /// Ends what may not be, and makes good what was ended. Whether the subscription that was looked at is another
    /// one by that.
    pub(crate) async fn guard(&self, user: &UserId, look: &Look, now: Time) -> Result<bool, Stop> {
        let Some(found) = &look.found else { return Ok(false) };
        self.make_good(look, found, now).await?;
        if let Some(second) = self.second(user, look, now).await? {
            self.end(&second, EndedFor::SecondOfGroup).await?;
            let ended = self.bring(user, &second, now).await?.look;
            if let Some(found) = &ended.found {
                self.make_good(&ended, found, now).await?;
            }
            return Ok(second == look.seen.id);
        }
        if look.seen.status == Status::Trialing && self.is_tried_again(&look.account, found).await? {
            self.end(&found.id, EndedFor::SecondTrial).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The subscription that may not be beside another of its group. What the books know of the others may be old,
    /// so Stripe is asked before any is ended.
    async fn second(&self, user: &UserId, look: &Look, now: Time) -> Result<Option<SubscriptionId>, Stop> {
        let others: Vec<SubscriptionId> =
            rivals(&look.account, &look.seen, now).map(|rival| rival.id.clone()).collect();
        if others.is_empty() {
            return Ok(None);
        }
        for other in &others {
            self.bring(user, other, now).await?;
        }
        let account = self.store.account(user, Read::Consistent).await?;
        Ok(loser(&account, &look.seen, now).cloned())
    }

    /// Whether its user, its email or its card has had another trial.
    async fn is_tried_again(&self, account: &Account, found: &Subscription) -> Result<bool, SettleError> {
        if account.tried.as_ref().is_some_and(|tried| *tried != found.id) {
            return Ok(true);
        }
        let email = found.envelope.trial.as_ref().map(TrialMark::email);
        let method = self.stripe.subscription_method(&found.id).await?;
        let card = method.and_then(|method| method.fingerprint);
        let card = card.as_deref().map(TrialMark::card);
        for mark in email.iter().chain(&card) {
            if !self.store.claim_trial(mark, &found.id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn end(&self, subscription: &SubscriptionId, why: EndedFor) -> Result<(), SettleError> {
        tracing::warn!(%subscription, ?why, "canceled: this may not be");
        Ok(self.stripe.end_subscription(subscription, why).await?)
    }

    /// What was paid for a second subscription goes back, or an operator is told.
    async fn make_good(&self, look: &Look, found: &Subscription, now: Time) -> Result<(), SettleError> {
        if found.ended_for != Some(EndedFor::SecondOfGroup) {
            return Ok(());
        }
        let published = self.catalogs.version(look.seen.catalog).await?;
        let policy = published.map(|published| published.catalog.subscriptions.second).unwrap_or_default();
        for (payment, _) in look.invoices.iter().flat_map(|invoice| &invoice.payments) {
            match policy {
                SecondPaid::Refund => self.stripe.refund_whole(payment).await?,
                SecondPaid::Flag => {
                    let reason = "paid for a second subscription";
                    self.unclaimed(payment.as_str(), reason, found.id.as_str(), now).await?;
                }
            }
        }
        Ok(())
    }
}
