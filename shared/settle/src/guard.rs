//! What may not be: two subscriptions of one group, and a second trial. Whoever sees one ends it in Stripe, at once.
//!
//! Why it was ended stands in Stripe, with the end itself. So a crash in between loses nothing: whoever looks next,
//! and at the latest the event of that end, finds what is still to be done.

use domain::account::Account;
use domain::catalog::SecondPaid;
use domain::follow::{loser, rivals};
use domain::ids::{PaymentId, SubscriptionId, UserId};
use domain::money::Money;
use domain::subscription::Status;
use domain::time::Time;
use domain::trial::TrialMark;
use store::{Read, StoreError};
use stripe_api::{EndedFor, StripeError, Subscription};

use crate::sync::{Look, Stop};
use crate::{Settle, SettleError};

const SECOND_PAID: &str = "paid for a second subscription";

/// How often somebody else may be faster to claim what a trial is remembered by.
const CLAIMS: u32 = 4;

impl Settle {
    /// Ends what may not be, and makes good what was ended. Whether the subscription that was looked at is another
    /// one by that.
    pub(crate) async fn guard(&self, user: &UserId, look: &Look, now: Time) -> Result<bool, Stop> {
        let Some(found) = &look.found else { return Ok(false) };
        self.make_good(look, found, now).await?;
        if let Some((second, why)) = self.second(user, look, now).await? {
            self.end(&second, why).await?;
            self.bring(user, &second, now).await?;
            if second == look.seen.id {
                return Ok(true);
            }
        }
        if look.seen.status == Status::Trialing && self.is_tried_again(&look.account, found).await? {
            self.end(&found.id, EndedFor::SecondTrial).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The subscription that may not be beside another of its group. What the books know of the others may be old,
    /// so Stripe is asked before any is ended.
    async fn second(
        &self,
        user: &UserId,
        look: &Look,
        now: Time,
    ) -> Result<Option<(SubscriptionId, EndedFor)>, Stop> {
        let others: Vec<SubscriptionId> =
            rivals(&look.account, &look.seen, now).map(|rival| rival.id.clone()).collect();
        if others.is_empty() {
            return Ok(None);
        }
        for other in &others {
            self.bring(user, other, now).await?;
        }
        let account = self.store.account(user, Read::Consistent).await?;
        Ok(loser(&account, &look.seen, now).map(|(second, was_had)| {
            (second.clone(), if was_had { EndedFor::SecondOfGroup } else { EndedFor::IdleOfGroup })
        }))
    }

    /// Whether its user, its email or its card has had another trial.
    async fn is_tried_again(&self, account: &Account, found: &Subscription) -> Result<bool, SettleError> {
        if let Some(tried) = &account.tried
            && self.is_another_trial(tried, &found.id).await?
        {
            return Ok(true);
        }
        let email = found.envelope.trial.as_ref().map(TrialMark::email);
        let method = self.stripe.subscription_method(&found.id).await?;
        let card = method.and_then(|method| method.fingerprint);
        let card = card.as_deref().map(TrialMark::card);
        let marks: Vec<&TrialMark> = email.iter().chain(&card).collect();
        self.are_anothers(&marks, &found.id).await
    }

    /// Whether another trial holds one of these marks. If none does, they are this one's from now on.
    async fn are_anothers(&self, marks: &[&TrialMark], this: &SubscriptionId) -> Result<bool, SettleError> {
        for _ in 0..CLAIMS {
            // All are looked at before any is claimed: a trial that is ended for its card leaves its email free.
            let mut free = Vec::new();
            for mark in marks {
                match self.store.trial_of(mark).await? {
                    Some(holder) if holder == *this => {}
                    Some(holder) if self.is_another_trial(&holder, this).await? => return Ok(true),
                    was => free.push((mark, was)),
                }
            }
            if self.claim_all(&free, this).await? {
                return Ok(false);
            }
        }
        Err(StoreError::Busy("trials of one person keep claiming each other's marks".to_owned()).into())
    }

    /// Not one after another was faster: of two trials that begin at once, only one may hold something of the other's.
    async fn claim_all(
        &self,
        free: &[(&&TrialMark, Option<SubscriptionId>)],
        this: &SubscriptionId,
    ) -> Result<bool, SettleError> {
        for (mark, was) in free {
            if !self.store.claim_trial(mark, this, was.as_ref()).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One that we ended ourselves was nobody's trial.
    async fn is_another_trial(
        &self,
        had: &SubscriptionId,
        this: &SubscriptionId,
    ) -> Result<bool, SettleError> {
        if had == this {
            return Ok(false);
        }
        let had = self.stripe.subscription(had).await?;
        Ok(had.is_none_or(|had| had.ended_for.is_none()))
    }

    /// An end takes along what its subscription gave. Whatever goes back of the money has to be known before, or the
    /// tokens would be taken twice: once with the subscription, and once more as a debt.
    pub(crate) async fn give_back_before_its_end(
        &self,
        user: &UserId,
        look: &Look,
        now: Time,
    ) -> Result<(), SettleError> {
        let Some(found) = &look.found else { return Ok(()) };
        self.make_good(look, found, now).await?;
        for (payment, _) in look.paid_beyond(found.ended_at.unwrap_or(now)) {
            self.reverse_booked(user, payment, found.id.as_str(), now).await?;
        }
        Ok(())
    }

    async fn end(&self, subscription: &SubscriptionId, why: EndedFor) -> Result<(), SettleError> {
        tracing::warn!(%subscription, ?why, "canceled: this may not be");
        Ok(self.stripe.end_subscription(subscription, why).await?)
    }

    /// What was paid for time that nobody had goes back, or an operator is told.
    async fn make_good(&self, look: &Look, found: &Subscription, now: Time) -> Result<(), SettleError> {
        let policy = match found.ended_for {
            Some(EndedFor::SecondOfGroup | EndedFor::Replaced) => self.policy(look).await?,
            // Paid again in its last moment, or some of what it paid for was had: that takes somebody to judge.
            Some(EndedFor::IdleOfGroup) => SecondPaid::Flag,
            Some(EndedFor::SecondTrial) | None => return Ok(()),
        };
        for (payment, paid) in look.paid_beyond(found.ended_at.unwrap_or(now)) {
            let stays = match policy {
                SecondPaid::Flag => !self.went_back(payment, paid).await?,
                SecondPaid::Refund => match self.stripe.refund_whole(payment).await {
                    Ok(()) => false,
                    Err(error @ StripeError::Refused(_)) => {
                        tracing::warn!(%payment, cause = %error, "not refunded");
                        true
                    }
                    Err(error) => return Err(error.into()),
                },
            };
            match stays {
                true => self.unclaimed(payment.as_str(), SECOND_PAID, found.id.as_str(), now).await?,
                false => self.store.unlist(payment.as_str()).await?,
            }
        }
        Ok(())
    }

    async fn policy(&self, look: &Look) -> Result<SecondPaid, SettleError> {
        let published = self.catalogs.version(look.seen.catalog).await?;
        Ok(published.map(|published| published.catalog.subscriptions.second).unwrap_or_default())
    }

    async fn went_back(&self, payment: &PaymentId, paid: Money) -> Result<bool, StripeError> {
        let reversed = self.stripe.reversed(payment, paid.currency).await?;
        Ok(reversed.is_some_and(|reversed| reversed.refunded_minor >= paid.amount_minor))
    }
}
