//! Leaving Stripe: nothing is charged any more, and nothing there says who a user is but what Stripe itself has to keep.

use domain::ids::{CustomerId, UserId};
use domain::subscription::Subscription;
use domain::time::{DAY_MS, Time};
use store::Read;
use stripe_api::{SessionStatus, StripeError};

use crate::{Settle, SettleError};

/// Stripe closes every session within a day; its clock may differ from ours.
const SESSIONS_LIVE_MS: i64 = DAY_MS + DAY_MS / 24;

/// Says what every cancellation of an erasure is for.
const ERASURE: &str = "erasure";

impl Settle {
    /// Deletes a user's customers and ends what they subscribe to, and lets the books know of that. It may be cut off
    /// anywhere and done again.
    pub async fn leave(
        &self,
        user: &UserId,
        customers: impl IntoIterator<Item = &CustomerId>,
        now: Time,
    ) -> Result<(), SettleError> {
        for customer in customers {
            if self.is_customer(customer, user).await? {
                self.close_sessions(customer, now).await?;
                self.stripe.delete_customer(customer).await?;
            }
        }
        let account = self.store.account(user, Read::Consistent).await?;
        for Subscription { seen, .. } in &account.subscriptions {
            // Most have ended with their customer.
            self.stripe.cancel_subscription(&seen.id, ERASURE).await?;
            self.sync(&seen.id, Some(user.clone()), ERASURE, now).await?;
        }
        Ok(())
    }

    /// Whether Stripe, too, says so. A payment may name the customer of somebody else, who must not lose it.
    async fn is_customer(&self, customer: &CustomerId, user: &UserId) -> Result<bool, SettleError> {
        let Some(owner) = self.stripe.customer_owner(customer).await? else { return Ok(false) };
        let is_theirs = owner.user.as_ref() == Some(user) && owner.stack.as_deref() == Some(self.stack());
        if !is_theirs {
            tracing::warn!(%customer, "is named by somebody who is erased, and is not theirs; it stays");
        }
        Ok(is_theirs)
    }

    /// So that nobody pays for somebody who is gone. What is being paid at this very moment is booked when it is heard of.
    async fn close_sessions(&self, customer: &CustomerId, now: Time) -> Result<(), SettleError> {
        let sessions = match self.stripe.customer_sessions(customer, now.plus_ms(-SESSIONS_LIVE_MS)).await {
            Ok(sessions) => sessions,
            Err(error) if error.code() == Some("resource_missing") => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for session in sessions.iter().filter(|session| session.status == SessionStatus::Open) {
            match self.stripe.expire_checkout(&session.id).await {
                Ok(_) => {}
                Err(error @ StripeError::Refused(_)) => {
                    tracing::warn!(session = %session.id, %error, "stays open, for a customer who is deleted");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
