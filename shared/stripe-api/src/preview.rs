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
    CreatePreviewInvoiceSubscriptionDetailsItems, CreatePreviewInvoiceSubscriptionDetailsProrationBehavior,
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
        // Within a trial nothing begins anew: it ends when it ends.
        let restarts = found.status != Status::Trialing
            && order.interval().is_some_and(|interval| Some(interval) != plan.interval);
        let counted = order.counted(&found, plan).filter(|_| when == When::Now);
        // Where something is charged at once, the next invoice is another one.
        let at_once = counted.is_some_and(|(at_once, _)| at_once) || when == When::Now && restarts;
        let first = self.preview(order, &found, plan, counted);
        let then: OptionFuture<_> = at_once.then(|| self.preview(order, &found, plan, None)).into();
        let (first, then) = join(first, then).await;
        let (first, then) = (first?, then.transpose()?);
        let next_at = match when {
            When::Now if restarts => end_of_period(&first).unwrap_or(plan.period_end),
            _ => plan.period_end,
        };
        first_and_then(&first, then.as_ref(), next_at).map(Some)
    }

    async fn preview(
        &self,
        order: &ChangeOrder,
        found: &Subscription,
        plan: &SubscriptionItem,
        counted: Option<(bool, Time)>,
    ) -> Result<Invoice, StripeError> {
        use CreatePreviewInvoiceSubscriptionDetailsProrationBehavior as Behavior;
        let mut item = CreatePreviewInvoiceSubscriptionDetailsItems::new();
        item.id = Some(plan.id.clone());
        item.price = Some(order.price.to_string());
        item.quantity = Some(order.quantity.into());
        let mut details = CreatePreviewInvoiceSubscriptionDetails::new();
        details.items = Some(vec![item]);
        details.proration_behavior = Some(match counted {
            None => Behavior::None,
            Some((true, _)) => Behavior::AlwaysInvoice,
            Some((false, _)) => Behavior::CreateProrations,
        });
        details.proration_date = counted.map(|(_, from)| from.seconds());
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
    fn interval(&self) -> Option<Interval> {
        match &self.envelope.item {
            Some(Item::Plan { interval, .. }) => Some(*interval),
            _ => None,
        }
    }
}

/// The invoice that is charged first, and the one after it where that is the first.
fn first_and_then(first: &Invoice, then: Option<&Invoice>, next_at: Time) -> Result<Preview, StripeError> {
    let money = |amount_minor| money::read(amount_minor, &first.currency).map_err(unreadable);
    let (due_now, due_next) = match then {
        None => (0, first.amount_due),
        Some(then) => {
            // What the first gives back beyond what it charges is kept for the next.
            let credit = first.total.saturating_add(first.starting_balance).min(0);
            (first.amount_due, then.total.saturating_add(credit).max(0))
        }
    };
    let taxes = first.total_taxes.iter().flatten().map(|tax| tax.amount);
    let lines = first.lines.data.iter().map(line);
    Ok(Preview {
        due_now: money(due_now)?,
        due_next: money(due_next)?,
        next_at,
        lines: lines.collect::<Result<_, _>>()?,
        tax: money(taxes.fold(0, i64::saturating_add))?,
    })
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
