//! What a change would cost and bring, before anybody asks for it.

use domain::alteration::PlanChange;
use domain::catalog::{Published, When};
use domain::ids::{SubscriptionId, UserId};
use domain::money::{Money, Tokens};
use domain::preview::{TokensOfChange, tokens_of_change};
use domain::subscription::Seen;
use domain::time::Time;
use edge::request::{body, path};
use edge::{Problem, Reply};
use lambda_http::Request;
use serde::Serialize;
use settle::payment_problem;
use store::Read;
use stripe_api::Preview;

use crate::Checkout;
use crate::alter::Change;
use crate::subscription::no_such_subscription;

/// Money and tokens, at once and later. Sent with the change, `counted_from` makes it cost what this says.
#[derive(Serialize)]
struct Previewed {
    when: &'static str,
    /// When the change takes effect.
    at: String,
    counted_from: String,
    money: MoneyOfChange,
    tokens: TokensView,
}

#[derive(Serialize)]
struct MoneyOfChange {
    due_now: Money,
    /// Of it, or of what is due next.
    tax: Money,
    due_next: Money,
    next_at: String,
    lines: Vec<LineView>,
}

#[derive(Serialize)]
struct LineView {
    description: Option<String>,
    amount: Money,
    /// Made by the change, and not by the renewal.
    proration: bool,
}

#[derive(Serialize)]
struct TokensView {
    now: Tokens,
    /// At the moment when a later change takes effect; `then` comes beside.
    at_change: Tokens,
    then: Option<Then>,
    unlimited: bool,
}

#[derive(Serialize)]
struct Then {
    count: Tokens,
    every: &'static str,
    from: String,
}

impl Checkout {
    pub(crate) async fn preview(
        &self,
        request: &Request,
        user: &UserId,
        now: Time,
    ) -> Result<Reply, Problem> {
        let (wanted, _) = body::<Change>(request)?;
        let id: SubscriptionId = path(request, "id")?;
        let seen = self.look(&id, user, now).await?;
        let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
        let change = wanted.checked(&seen, &published, now)?;
        let order = self.change_order(&id, &change, user, String::new());
        let preview = self.settle.stripe().preview_change(&order, change.when).await;
        let preview = preview.map_err(payment_problem)?.ok_or_else(no_such_subscription)?;
        let account = self.store.account(user, Read::Consistent).await.map_err(Problem::fault)?;
        let after = changed(&seen, &change, &published, &preview)?;
        let tokens = tokens_of_change(&account, &after, &change, now);
        let at = if change.when == When::Now { change.counted_from } else { seen.period_end };
        Reply::ok(&Previewed {
            when: change.when.name(),
            at: at.rfc3339(),
            counted_from: change.counted_from.rfc3339(),
            money: MoneyOfChange::of(preview),
            tokens: TokensView::of(tokens, &after),
        })
    }
}

/// The subscription as it will be.
fn changed(
    seen: &Seen,
    change: &PlanChange,
    published: &Published,
    preview: &Preview,
) -> Result<Seen, Problem> {
    let sold = published.plan_sold_as(&change.price);
    let sold = sold.ok_or_else(|| Problem::internal(format!("{} sells no plan", change.price)))?;
    let now = change.when == When::Now;
    let restarts = now && change.to.interval != seen.interval && seen.status.is_billed();
    let (period_start, period_end) = match restarts {
        true => (change.counted_from, preview.next_at),
        false => (seen.period_start, seen.period_end),
    };
    Ok(Seen {
        plan: sold.plan,
        group: sold.group,
        catalog: sold.catalog,
        interval: sold.interval,
        quantity: change.to.quantity,
        allowance: sold.allowance.map(|allowance| allowance.times(change.to.quantity)),
        terms: sold.terms,
        next: None,
        // A change at the period's end takes the place of an end that was planned.
        cancel_at: seen.cancel_at.filter(|_| now),
        period_start,
        period_end,
        ..seen.clone()
    })
}

impl MoneyOfChange {
    fn of(preview: Preview) -> MoneyOfChange {
        let line = |line: stripe_api::PreviewLine| LineView {
            description: line.description,
            amount: line.amount,
            proration: line.proration,
        };
        MoneyOfChange {
            due_now: preview.due_now,
            tax: preview.tax,
            due_next: preview.due_next,
            next_at: preview.next_at.rfc3339(),
            lines: preview.lines.into_iter().map(line).collect(),
        }
    }
}

impl TokensView {
    fn of(tokens: TokensOfChange, after: &Seen) -> TokensView {
        let then =
            tokens.then.map(|(count, every, from)| Then { count, every: every.name(), from: from.rfc3339() });
        let unlimited = after.allowance == Some(domain::catalog::Allowance::Unlimited);
        TokensView { now: tokens.now, at_change: tokens.at_change, then, unlimited }
    }
}
