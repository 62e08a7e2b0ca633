//! What a subscriber asks of a subscription: frozen in the journal, sent to Stripe, and looked at again.

use domain::alteration::{Alteration, Deed, PlanChange, Wanted, may_choose, target, when};
use domain::catalog::{Published, When};
use domain::cause::Operation;
use domain::decide::{Act, Command};
use domain::entry::{Detail, Entry};
use domain::ids::{PlanId, PriceId, SubscriptionId, UserId};
use domain::item::Sold;
use domain::payment::Envelope;
use domain::subscription::{Seen, Status};
use domain::time::{HOUR_MS, MINUTE_MS, Time};
use edge::request::{Once, body, key_or_fresh, once_by, path};
use edge::{Code, Problem, Reply};
use lambda_http::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use settle::{payment_problem, stripe_problem};
use store::Applied;
use stripe_api::{ChangeOrder, Subscription};

use crate::Checkout;
use crate::order::{interval, invalid};
use crate::subscription::no_such_subscription;

/// `{"plan":"elite"}`, `{"quantity":5}`; what is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    plan: Option<PlanId>,
    interval: Option<String>,
    quantity: Option<u32>,
    when: Option<String>,
    /// What a preview answered, so that the change costs what it said.
    counted_from: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    when: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resume {}

/// A preview holds that long.
const PREVIEW_HOLDS_MS: i64 = HOUR_MS;
const CLOCKS_DIFFER_MS: i64 = MINUTE_MS;
/// Stripe forgets a key after a day, and would take the same request for another. Some hours less, as clocks differ.
const KEY_HOLDS_MS: i64 = 20 * HOUR_MS;

impl Checkout {
    pub(crate) async fn change(&self, request: &Request, user: &UserId, now: Time) -> Result<Reply, Problem> {
        let (wanted, json) = body::<Change>(request)?;
        let id: SubscriptionId = path(request, "id")?;
        let once = once_about(request, user, Operation::Change, &id, json)?;
        let entry = match self.known(&once).await? {
            Some(entry) => entry,
            None => {
                let seen = self.look(&id, user, now).await?;
                let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
                let deed = Deed::Change(wanted.checked(&seen, &published, now)?);
                self.freeze_alteration(&once, user, Alteration { subscription: id, deed }, now).await?
            }
        };
        self.altered(&entry, &once, now).await
    }

    pub(crate) async fn cancel(&self, request: &Request, user: &UserId, now: Time) -> Result<Reply, Problem> {
        let (Cancel { when }, json) = body(request)?;
        let when = parse_when(when.as_deref())?.unwrap_or(When::PeriodEnd);
        self.ask(request, user, Operation::Cancel, json, Deed::Cancel { when }, now).await
    }

    pub(crate) async fn resume(&self, request: &Request, user: &UserId, now: Time) -> Result<Reply, Problem> {
        let (Resume {}, json) = body(request)?;
        self.ask(request, user, Operation::Resume, json, Deed::Resume, now).await
    }

    async fn ask(
        &self,
        request: &Request,
        user: &UserId,
        operation: Operation,
        json: Value,
        deed: Deed,
        now: Time,
    ) -> Result<Reply, Problem> {
        let id: SubscriptionId = path(request, "id")?;
        let once = once_about(request, user, operation, &id, json)?;
        let entry = match self.known(&once).await? {
            Some(entry) => entry,
            None => {
                // Perhaps it was changed elsewhere, and nobody told us.
                self.look(&id, user, now).await?;
                self.freeze_alteration(&once, user, Alteration { subscription: id, deed }, now).await?
            }
        };
        self.altered(&entry, &once, now).await
    }

    async fn known(&self, once: &Once) -> Result<Option<Entry>, Problem> {
        match self.store.entry(&once.cause).await.map_err(Problem::fault)? {
            Some(entry) if entry.request.as_ref() != Some(&once.hash) => Err(Problem::key_reused()),
            known => Ok(known),
        }
    }

    async fn freeze_alteration(
        &self,
        once: &Once,
        user: &UserId,
        alteration: Alteration,
        now: Time,
    ) -> Result<Entry, Problem> {
        let (cause, request) = (once.cause.clone(), Some(once.hash.clone()));
        let command = Command { cause, request, act: Act::Alter(alteration) };
        match self.store.apply(user, &command, &self.catalogs, now).await.map_err(Problem::fault)? {
            Applied::Done(entry) | Applied::Before(entry) => Ok(entry),
            Applied::KeyReused => Err(Problem::key_reused()),
            Applied::Refused(refusal) => {
                let published = self.catalogs.current(now).await.map_err(Problem::fault)?;
                Err(Problem::refused(refusal, &published.catalog))
            }
        }
    }

    /// Has it done, unless it was, and answers with how the subscription stands by now.
    async fn altered(&self, entry: &Entry, once: &Once, now: Time) -> Result<Reply, Problem> {
        let Detail::Alteration(Alteration { subscription, deed }) = &entry.detail else {
            return Err(Problem::internal(format!("entry {} of this cause alters nothing", entry.seq)));
        };
        if self.store.result(&entry.cause).await.map_err(Problem::fault)?.is_none() {
            self.alter(entry, subscription, deed, now).await?;
            let done = self.store.put_result(&entry.cause, subscription.as_str()).await;
            done.map_err(Problem::fault)?;
        }
        Ok(Reply::ok(&self.standing(subscription, &entry.user, now).await?)?.with_key(&once.key))
    }

    async fn alter(&self, entry: &Entry, id: &SubscriptionId, deed: &Deed, now: Time) -> Result<(), Problem> {
        let (stripe, key) = (self.settle.stripe(), entry.cause.to_string());
        if now.millis() - entry.at.millis() > KEY_HOLDS_MS {
            return self.was_altered(entry, id, deed).await;
        }
        let altered = match deed {
            Deed::Change(change) => {
                let order = self.change_order(id, change, &entry.user, entry.cause.fingerprint());
                match change.when {
                    When::Now => stripe.change_now(&order, &key).await.map(drop),
                    When::PeriodEnd => stripe.change_at_period_end(&order, &key).await.map(drop),
                }
            }
            Deed::Cancel { when: When::Now } => stripe.cancel_subscription(id, &key).await.map(drop),
            Deed::Cancel { when: When::PeriodEnd } => stripe.cancel_at_period_end(id, &key).await.map(drop),
            Deed::Resume => stripe.resume(id, &key).await.map(drop),
        };
        altered.map_err(payment_problem)
    }

    /// Too old to be sent again: perhaps it was heard the first time.
    async fn was_altered(&self, entry: &Entry, id: &SubscriptionId, deed: &Deed) -> Result<(), Problem> {
        let found = self.settle.stripe().subscription(id).await.map_err(stripe_problem)?;
        match found.is_some_and(|found| is_done(deed, &found, &entry.cause.fingerprint())) {
            true => Ok(()),
            false => Err(Problem::new(
                Code::CheckoutExpired,
                "this request is too old to be sent to Stripe again; start over with a fresh Idempotency-Key",
            )),
        }
    }

    pub(crate) fn change_order(
        &self,
        id: &SubscriptionId,
        change: &PlanChange,
        user: &UserId,
        request: String,
    ) -> ChangeOrder {
        ChangeOrder {
            subscription: id.clone(),
            price: change.price.clone(),
            quantity: change.to.quantity,
            proration: change.proration,
            counted_from: change.counted_from,
            envelope: Envelope {
                stack: Some(self.settle.stack().to_owned()),
                user: Some(user.clone()),
                catalog: Some(change.catalog),
                item: Some(change.to.item()),
                trial: None,
            },
            request,
        }
    }
}

/// Whether a subscription is as it was asked to be. A change carries its request; the others show.
fn is_done(deed: &Deed, found: &Subscription, request: &str) -> bool {
    let asked_by = |named: &Option<String>| named.as_deref() == Some(request);
    match deed {
        Deed::Change(_) => {
            asked_by(&found.request) || found.next.as_ref().is_some_and(|next| asked_by(&next.request))
        }
        Deed::Cancel { when: When::Now } => found.status.is_final(),
        Deed::Cancel { when: When::PeriodEnd } => found.status.is_final() || found.cancel_at.is_some(),
        Deed::Resume => found.cancel_at.is_none() && found.next.is_none() && found.status != Status::Paused,
    }
}

impl Change {
    /// What it comes to for this subscription, by today's catalog.
    pub fn checked(self, seen: &Seen, published: &Published, now: Time) -> Result<PlanChange, Problem> {
        if (&self.plan, &self.interval, &self.quantity) == (&None, &None, &None) {
            return Err(invalid("say what is to change: `plan`, `interval` or `quantity`"));
        }
        let asked = parse_when(self.when.as_deref())?;
        let counted_from = counted_from(self.counted_from.as_deref(), now)?;
        let catalog = &published.catalog;
        let plan = self.plan.unwrap_or_else(|| seen.plan.clone());
        let sold = catalog.plans.get(&plan);
        let sold_as_is = sold.is_some_and(|sold| sold.prices.iter().any(|one| one.interval == seen.interval));
        let interval = match self.interval.as_deref() {
            None if plan == seen.plan || sold_as_is => seen.interval,
            named => interval(named, sold)?,
        };
        let quantity = self.quantity.unwrap_or(seen.quantity);
        let to = Wanted { plan, interval, quantity };
        let refused = |refusal| Problem::refused(refusal, catalog);
        let new = target(catalog, seen, &to).map_err(refused)?;
        // To leave a plan that is not sold any more is never held against anybody.
        let old = catalog.plans.get(&seen.plan).unwrap_or(new);
        let by_catalog = when(seen, old, &to, new, &catalog.subscriptions);
        if asked.is_some_and(|asked| !may_choose(asked, by_catalog)) {
            return Err(invalid("this change happens at the period's end; leave `when` out"));
        }
        let price = price(published, &to)?;
        Ok(PlanChange {
            to,
            price,
            catalog: published.version,
            when: asked.unwrap_or(by_catalog),
            proration: catalog.subscriptions.proration,
            counted_from,
        })
    }
}

fn price(published: &Published, to: &Wanted) -> Result<PriceId, Problem> {
    let plan = published.catalog.plans.get(&to.plan).ok_or_else(no_such_subscription)?;
    let sold = plan.prices.iter().find(|price| price.interval == to.interval);
    let sold = sold.map(|price| Sold { item: to.item(), currency: price.price.currency });
    let price = sold.and_then(|sold| published.price(&sold).cloned());
    price.ok_or_else(|| {
        Problem::internal(format!("catalog version {} has no price of {}", published.version, to.item()))
    })
}

fn parse_when(named: Option<&str>) -> Result<Option<When>, Problem> {
    let read = |name| When::parse(name).ok_or_else(|| invalid("`when` is `now` or `period_end`"));
    named.map(read).transpose()
}

fn counted_from(named: Option<&str>, now: Time) -> Result<Time, Problem> {
    let Some(text) = named else { return Ok(Time::from_seconds(now.seconds())) };
    let at = Time::parse_rfc3339(text).ok_or_else(|| {
        invalid("`counted_from` is the time that a preview answered, such as 2026-11-21T10:00:00Z")
    })?;
    let age_ms = now.millis() - at.millis();
    if (-CLOCKS_DIFFER_MS..=PREVIEW_HOLDS_MS).contains(&age_ms) {
        return Ok(at);
    }
    Err(invalid("this preview is too old; ask for a new one"))
}

/// One key may be used for each subscription, and means another request for each.
fn once_about(
    request: &Request,
    user: &UserId,
    operation: Operation,
    id: &SubscriptionId,
    json: Value,
) -> Result<Once, Problem> {
    let about = json!({ "subscription": id, "body": json });
    Ok(once_by(key_or_fresh(request)?, user, operation, &about))
}
