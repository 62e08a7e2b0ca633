//! One subscription as its subscriber sees it.

use serde::Serialize;

use crate::money::Money;
use crate::subscription::{Scheduled, Seen, Status};
use crate::time::Time;

#[derive(Debug, Serialize)]
pub struct SubscriptionView {
    id: String,
    plan: String,
    group: String,
    status: &'static str,
    /// Whether it gives what its plan promises, now.
    access: bool,
    interval: &'static str,
    /// How many seats are paid for.
    quantity: u32,
    price: Money,
    started_at: String,
    #[serde(flatten)]
    dates: Dates,
    /// What it is going to be.
    next: Option<NextView>,
}

#[derive(Debug, Serialize)]
struct NextView {
    plan: String,
    interval: &'static str,
    quantity: u32,
    at: String,
}

/// What comes next for a subscription. All absent where there is none.
#[derive(Debug, Default, Serialize)]
pub(super) struct Dates {
    renews_at: Option<String>,
    cancel_at: Option<String>,
    trial_ends_at: Option<String>,
}

impl SubscriptionView {
    pub fn new(seen: &Seen, now: Time) -> SubscriptionView {
        SubscriptionView {
            id: seen.id.to_string(),
            plan: seen.plan.to_string(),
            group: seen.group.clone(),
            status: seen.status_at(now).name(),
            access: seen.gives_access(now),
            interval: seen.interval.name(),
            quantity: seen.quantity,
            price: seen.price,
            started_at: seen.anchor.rfc3339(),
            dates: Dates::of(seen, now),
            next: seen.next.as_ref().map(NextView::new),
        }
    }
}

impl NextView {
    fn new(next: &Scheduled) -> NextView {
        NextView {
            plan: next.plan.to_string(),
            interval: next.interval.name(),
            quantity: next.quantity,
            at: next.at.rfc3339(),
        }
    }
}

impl Dates {
    pub(super) fn of(seen: &Seen, now: Time) -> Dates {
        let status = seen.status_at(now);
        // Whether an unpaid period is followed by another, its invoice decides.
        let renews = seen.end().is_none() && seen.gives_access(now) && status != Status::PastDue;
        let in_trial = status == Status::Trialing;
        Dates {
            renews_at: renews.then(|| seen.period_end.rfc3339()),
            cancel_at: seen.end().map(Time::rfc3339),
            trial_ends_at: seen.trial_end.filter(|_| in_trial).map(Time::rfc3339),
        }
    }
}
