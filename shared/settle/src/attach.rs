//! What was nobody's and an operator says is somebody's. It is written into Stripe first: from then on the ordinary
//! rule finds its owner, and whatever is cut off here is done by the next event, or by saying it again.

use domain::ids::{PaymentId, SubscriptionId, UserId};
use domain::item::Item;
use domain::payment::{Envelope, Payment};
use domain::time::Time;
use store::{Read, Unclaimed};
use stripe_api::IntentState;

use crate::owner::Owner;
use crate::{Fulfilled, Settle, SettleError, Synced};

/// What came of saying whose something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// It is in the books, as theirs.
    Settled,
    /// It has an owner already.
    Owned(UserId),
    AnotherStack,
    /// Nobody can have it, and why; or what has to be said besides.
    Unfit(String),
    /// The catalog sells no such thing today.
    UnknownItem(Item),
    /// Whose it is to be was erased.
    Closed,
    /// It is theirs by now, and still for nothing we know.
    Unclaimed(&'static str),
    /// Stripe has no such object.
    Missing,
}

/// Says in the books where they heard of it.
const SEEN_IN: &str = "attach";

/// Why nothing is attached.
enum Stop {
    Aside(Attached),
    Failed(SettleError),
}

impl<E: Into<SettleError>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

impl Settle {
    /// Gives something to a user: a payment with what it paid for, unless its own metadata says that, or a
    /// subscription. Done again, it comes to the same.
    pub async fn attach(
        &self,
        unclaimed: &Unclaimed,
        user: &UserId,
        item: Option<Item>,
        now: Time,
    ) -> Result<Attached, SettleError> {
        let attached = match Attachable::parse(&unclaimed.object) {
            Some(Attachable::Payment(id)) => self.attach_payment(&id, unclaimed, user, item, now).await,
            Some(Attachable::Subscription(id)) => {
                self.attach_subscription(&id, unclaimed, user, item, now).await
            }
            None => Err(unfit("only a payment `pi_…` and a subscription `sub_…` can be attached")),
        };
        match attached {
            Ok(()) => Ok(Attached::Settled),
            Err(Stop::Aside(aside)) => Ok(aside),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn attach_payment(
        &self,
        id: &PaymentId,
        unclaimed: &Unclaimed,
        user: &UserId,
        item: Option<Item>,
        now: Time,
    ) -> Result<(), Stop> {
        let intent = self.stripe.intent(id).await?.ok_or(Stop::Aside(Attached::Missing))?;
        self.may_own(user, self.owner(id.as_str(), &intent.envelope, intent.customer.as_ref()).await?)
            .await?;
        let IntentState::Succeeded(paid) = intent.state else {
            return Err(unfit("nothing has been paid by it"));
        };
        // With an envelope it would pass for a sale, beside the invoice that it paid.
        if let Some(billed) = self.stripe.billed_by(id).await? {
            let why = format!("it pays the invoice {}: attach {}", billed.invoice, billed.subscription);
            return Err(unfit(why));
        }
        let item = item.or(paid.envelope.item.clone());
        let item = item.ok_or_else(|| unfit("say what it paid for: {\"item\":\"package:…\"}"))?;
        let catalog = self.sold_today(&item, now).await?;
        let envelope = Envelope {
            stack: Some(self.stack.clone()),
            user: Some(user.clone()),
            catalog: Some(catalog),
            item: Some(item),
            trial: None,
        };
        self.stripe.adopt_payment(id, &envelope, &said(unclaimed, &envelope)).await?;
        self.fulfil_attached(&Payment { envelope, ..paid }, user, now).await?;
        self.reverse(id, SEEN_IN, now).await?;
        Ok(())
    }

    async fn attach_subscription(
        &self,
        id: &SubscriptionId,
        unclaimed: &Unclaimed,
        user: &UserId,
        item: Option<Item>,
        now: Time,
    ) -> Result<(), Stop> {
        if item.is_some() {
            return Err(unfit("what a subscription is for, its price says; leave `item` out"));
        }
        let found = self.stripe.subscription(id).await?.ok_or(Stop::Aside(Attached::Missing))?;
        self.may_own(user, self.owner(id.as_str(), &found.envelope, found.customer.as_ref()).await?).await?;
        let envelope =
            Envelope { stack: Some(self.stack.clone()), user: Some(user.clone()), ..Envelope::default() };
        self.stripe.adopt_subscription(id, &envelope, &said(unclaimed, &envelope)).await?;
        match self.sync(id, Some(user.clone()), SEEN_IN, now).await? {
            Synced::Settled { user: owner, .. } => theirs(user, owner),
            Synced::Unclaimed(reason) => Err(Stop::Aside(Attached::Unclaimed(reason))),
            Synced::AnotherStack => Err(Stop::Aside(Attached::AnotherStack)),
            Synced::Missing => Err(Stop::Aside(Attached::Missing)),
        }
    }

    async fn may_own(&self, user: &UserId, owner: Owner) -> Result<(), Stop> {
        match owner {
            Owner::AnotherStack => return Err(Stop::Aside(Attached::AnotherStack)),
            Owner::User(owner) => theirs(user, owner)?,
            Owner::Nobody => {}
        }
        match self.store.account(user, Read::Consistent).await?.closed {
            Some(_) => Err(Stop::Aside(Attached::Closed)),
            None => Ok(()),
        }
    }

    /// The version of the catalog that sells a package today.
    async fn sold_today(&self, item: &Item, now: Time) -> Result<u32, Stop> {
        let current = self.catalogs.current(now).await?;
        match item {
            Item::Package { id, .. } if current.catalog.packages.contains_key(id) => Ok(current.version),
            Item::Package { .. } => Err(Stop::Aside(Attached::UnknownItem(item.clone()))),
            Item::Plan { .. } => Err(unfit("a payment of its own pays for a package, never for a plan")),
        }
    }

    async fn fulfil_attached(&self, payment: &Payment, user: &UserId, now: Time) -> Result<(), Stop> {
        match self.fulfil(payment, SEEN_IN, now).await? {
            Fulfilled::Credited(entry) | Fulfilled::Before(entry) => theirs(user, entry.user),
            Fulfilled::Unclaimed(reason) => Err(Stop::Aside(Attached::Unclaimed(reason))),
            Fulfilled::AnotherStack => Err(Stop::Aside(Attached::AnotherStack)),
        }
    }
}

enum Attachable {
    Payment(PaymentId),
    Subscription(SubscriptionId),
}

impl Attachable {
    /// A free sale goes by its session's id, and brought no money that anybody could miss.
    fn parse(object: &str) -> Option<Attachable> {
        let payment = PaymentId::parse(object).ok().filter(|_| object.starts_with("pi_"));
        let subscription = || SubscriptionId::parse(object).ok().map(Attachable::Subscription);
        payment.map(Attachable::Payment).or_else(subscription)
    }
}

fn theirs(user: &UserId, owner: UserId) -> Result<(), Stop> {
    if owner == *user { Ok(()) } else { Err(Stop::Aside(Attached::Owned(owner))) }
}

fn unfit(why: impl Into<String>) -> Stop {
    Stop::Aside(Attached::Unfit(why.into()))
}

/// Names what is written, and since when it is nobody's: should it become so again, the same is written again.
fn said(unclaimed: &Unclaimed, envelope: &Envelope) -> String {
    let pairs = envelope.pairs().into_iter().map(|(name, value)| format!("{name}={value}"));
    format!("{} {}", unclaimed.at.millis(), pairs.collect::<Vec<_>>().join(" "))
}
