//! What a change of a subscription would cost, as Stripe reckons it. Nothing is changed by asking.

use domain::catalog::When;
use domain::item::{Interval, Item};
use domain::money::Money;
use domain::subscription::{Period, Status};
use domain::time::Time;
use futures_util::future::{OptionFuture, join};
use stripe::StripeRequest;
use stripe_billing::invoice::{
    CreatePreviewInvoice, CreatePreviewInvoiceSubscriptionDetails,
    CreatePreviewInvoiceSubscriptionDetailsBillingCycleAnchor as Anchor,
    CreatePreviewInvoiceSubscriptionDetailsBillingCycleAnchorType as AnchorType,
    CreatePreviewInvoiceSubscriptionDetailsItems, CreatePreviewInvoiceSubscriptionDetailsProrationBehavior,
    CreatePreviewInvoiceSubscriptionDetailsTrialEnd,
};
use stripe_shared::{Invoice, InvoiceLineItem};

use crate::change::{ChangeOrder, plan_item};
use crate::error::StripeError;
use crate::idempotency::keyed_once;
use crate::invoice::{INVOICE, is_proration, period};
use crate::subscription::SubscriptionItem;
use crate::{Stripe, Subscription, money};

/// What a change comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Charged when the change is made.
    pub due_now: Money,
    /// Charged next.
    pub due_next: Money,
    pub next_at: Time,
    /// Of the first invoice that is charged.
    pub lines: Vec<PreviewLine>,
    /// Of the first invoice that is charged.
    pub tax: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewLine {
    pub description: Option<String>,
    /// Below nothing for what is given back.
    pub amount: Money,
    pub proration: bool,
    pub period: Period,
}

/// What Stripe is asked to reckon.
#[derive(Clone, Copy)]
enum Reckoned {
    /// What the change comes to within its period, counted from there.
    Change { at_once: bool, from: Time },
    /// What is charged next once it is changed so.
    Next,
    /// A period that begins now: what a renewal costs, where something else is planned for the period's end.
    Period,
}

/// The invoices that a change leads to, as far as it leads to any.
struct Reckoning {
    change: Option<Invoice>,
    renewal: Option<Invoice>,
    /// Whether the change is charged when it is made.
    at_once: bool,
}

impl Stripe {
    /// What [`Stripe::change_now`] or [`Stripe::change_at_period_end`] would cost with the same order.
    /// `None` if there is no such subscription.
    pub async fn preview_change(
        &self,
        order: &ChangeOrder,
        when: When,
    ) -> Result<Option<Preview>, StripeError> {
        let Some(found) = self.subscription(&order.subscription).await? else { return Ok(None) };
        let plan = plan_item(&found)?;
        let now = when == When::Now;
        // Within a trial nothing begins anew: it ends when it ends.
        let restarts = now
            && found.status != Status::Trialing
            && order.interval().is_some_and(|interval| Some(interval) != plan.interval);
        let counted = order.counted(&found, plan).filter(|_| now && !order.is_for(plan));
        let at_once = restarts || counted.is_some_and(|(at_once, _)| at_once);
        let is_planned = found.schedule.is_some() || found.cancel_at.is_some();
        // Where something is charged at once, the next invoice is another one; and so where the next is planned to be.
        let apart = at_once || is_planned;
        let renewal = if is_planned { Reckoned::Period } else { Reckoned::Next };
        let change = match counted {
            Some((at_once, from)) => Some(Reckoned::Change { at_once: at_once || apart, from }),
            None => restarts.then_some(Reckoned::Next),
        };
        // A planned end stays, unless a later change takes its place.
        let renews = (change.is_none() || apart) && !(now && found.cancel_at.is_some());
        let asked = |reckoned| self.reckoned(order, &found, plan, reckoned);
        let change: OptionFuture<_> = change.map(asked).into();
        let renewal: OptionFuture<_> = renews.then_some(renewal).map(asked).into();
        let (change, renewal) = join(change, renewal).await;
        let reckoning = Reckoning { change: change.transpose()?, renewal: renewal.transpose()?, at_once };
        let next_at = reckoning.change.as_ref().filter(|_| restarts).and_then(end_of_period);
        reckoning.shown(plan, next_at.unwrap_or(plan.period_end)).map(Some)
    }

    async fn reckoned(
        &self,
        order: &ChangeOrder,
        found: &Subscription,
        plan: &SubscriptionItem,
        wanted: Reckoned,
    ) -> Result<Invoice, StripeError> {
        use CreatePreviewInvoiceSubscriptionDetailsProrationBehavior as Behavior;
        let mut item = CreatePreviewInvoiceSubscriptionDetailsItems::new();
        item.id = Some(plan.id.clone());
        item.price = Some(order.price.to_string());
        item.quantity = Some(order.quantity.into());
        let mut details = CreatePreviewInvoiceSubscriptionDetails::new();
        details.items = Some(vec![item]);
        details.proration_behavior = Some(match wanted {
            Reckoned::Next | Reckoned::Period => Behavior::None,
            Reckoned::Change { at_once: true, .. } => Behavior::AlwaysInvoice,
            Reckoned::Change { at_once: false, .. } => Behavior::CreateProrations,
        });
        match wanted {
            Reckoned::Next => {}
            Reckoned::Change { from, .. } => details.proration_date = Some(from.seconds()),
            Reckoned::Period if found.status == Status::Trialing => {
                details.trial_end = Some(CreatePreviewInvoiceSubscriptionDetailsTrialEnd::Now);
            }
            Reckoned::Period => details.billing_cycle_anchor = Some(Anchor::new(AnchorType::Now)),
        }
        let preview = CreatePreviewInvoice::new()
            .subscription(found.id.as_str())
            .subscription_details(details)
            .customize()
            .request_strategy(keyed_once(self.stack(), "preview"))
            .send(&self.call(INVOICE))
            .await;
        preview.map_err(|error| error.about(INVOICE))
    }
}

impl ChangeOrder {
    /// Whether it is so already.
    fn is_for(&self, plan: &SubscriptionItem) -> bool {
        self.price == plan.price && u64::from(self.quantity) == plan.quantity
    }

    fn interval(&self) -> Option<Interval> {
        match &self.envelope.item {
            Some(Item::Plan { interval, .. }) => Some(*interval),
            _ => None,
        }
    }
}

impl Reckoning {
    fn shown(&self, plan: &SubscriptionItem, next_at: Time) -> Result<Preview, StripeError> {
        let charged = self.change.as_ref().filter(|_| self.at_once);
        let first = self.change.iter().chain(self.renewal.iter().filter(|_| charged.is_none()));
        let taxes = first.clone().flat_map(|invoice| invoice.total_taxes.iter().flatten());
        let lines = first.flat_map(|invoice| &invoice.lines.data);
        Ok(Preview {
            due_now: self.money(plan, charged.map_or(0, |change| change.amount_due))?,
            due_next: self.money(plan, self.due_next().max(0))?,
            next_at,
            tax: self.money(plan, taxes.map(|tax| tax.amount).fold(0, i64::saturating_add))?,
            lines: lines.map(line).collect::<Result<_, _>>()?,
        })
    }

    fn due_next(&self) -> i64 {
        match (&self.change, &self.renewal) {
            (Some(change), Some(renewal)) => {
                let change = change.total.saturating_add(change.starting_balance);
                // What is given back beyond what is charged is kept for the next.
                let kept = if self.at_once { change.min(0) } else { change };
                renewal.total.saturating_add(kept)
            }
            (Some(_), None) if self.at_once => 0,
            (Some(only), None) | (None, Some(only)) => only.amount_due,
            (None, None) => 0,
        }
    }

    fn money(&self, plan: &SubscriptionItem, amount_minor: i64) -> Result<Money, StripeError> {
        match (self.change.as_ref().or(self.renewal.as_ref()), plan.unit) {
            (Some(invoice), _) => money::read(amount_minor, &invoice.currency).map_err(unreadable),
            (None, Some(unit)) => Ok(Money { amount_minor, ..unit }),
            (None, None) => Err(unreadable("no currency")),
        }
    }
}

fn line(found: &InvoiceLineItem) -> Result<PreviewLine, StripeError> {
    Ok(PreviewLine {
        description: found.description.clone(),
        amount: money::read(found.amount, &found.currency).map_err(unreadable)?,
        proration: is_proration(found),
        period: period(found),
    })
}

/// When the period ends that an invoice charges whole.
fn end_of_period(invoice: &Invoice) -> Option<Time> {
    let whole = invoice.lines.data.iter().filter(|line| !is_proration(line));
    whole.map(|line| period(line).end).max()
}

fn unreadable(bad: impl ToString) -> StripeError {
    StripeError::malformed(INVOICE, bad.to_string())
}
