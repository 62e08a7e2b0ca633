//! What a buyer may ask for, checked against the catalog, and what Stripe is then asked for.

use domain::catalog::{CheckoutPolicy, Plan, Published};
use domain::decide::Refusal;
use domain::entry::{CheckoutRequest, Entry};
use domain::ids::{PackageId, PlanId, PriceId};
use domain::item::Item;
use domain::item::{Interval, Sold};
use domain::money::Currency;
use domain::payment::Envelope;
use edge::{Code, Problem};
use serde::Deserialize;
use store::Words;
use stripe_api::CheckoutOrder;

/// `{"package":"medium"}` or `{"plan":"premium"}`. Prices come from the catalog; a client names only what it wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buy {
    package: Option<PackageId>,
    quantity: Option<u32>,
    plan: Option<PlanId>,
    /// May be left out where the plan has one price.
    interval: Option<String>,
    success_url: Option<String>,
    cancel_url: Option<String>,
}

/// What can be sold, and for which price of Stripe's.
pub struct Checked {
    pub item: Item,
    pub price: PriceId,
    /// Of a plan.
    pub group: Option<String>,
    /// Where the buyer returns to, if not to where the catalog says.
    pub urls: Words,
}

const MOST_AT_ONCE: u32 = 100;
/// A longer one would cost every checkout more.
const LONGEST_URL: usize = 500;

impl Buy {
    /// `stage_origins` are allowed beside the catalog's own.
    pub fn checked(self, published: &Published, stage_origins: &[String]) -> Result<Checked, Problem> {
        let wanted = match (&self.package, &self.plan) {
            (Some(package), None) => self.package(package, published)?,
            (None, Some(plan)) => self.plan(plan, published)?,
            _ => return Err(invalid("name one `package` or one `plan`")),
        };
        let sold = Sold { item: wanted.single, currency: wanted.currency };
        let unpriced =
            || Problem::internal(format!("catalog version {} has no price {sold}", published.version));
        let price = published.price(&sold).ok_or_else(unpriced)?.clone();
        let mut policy = published.catalog.checkout.clone();
        policy.return_origins.extend_from_slice(stage_origins);
        let success_url = allowed("success_url", self.success_url, &policy)?;
        let cancel_url = allowed("cancel_url", self.cancel_url, &policy)?;
        let urls = Words { success_url, cancel_url, ..Words::default() };
        Ok(Checked { item: wanted.item, price, group: wanted.group, urls })
    }

    fn package(&self, id: &PackageId, published: &Published) -> Result<Wanted, Problem> {
        if self.interval.is_some() {
            return Err(invalid("`interval` belongs to a `plan`"));
        }
        let quantity = self.quantity.unwrap_or(1);
        if !(1..=MOST_AT_ONCE).contains(&quantity) {
            return Err(invalid(format!("`quantity` is from 1 to {MOST_AT_ONCE}")));
        }
        let single = Item::Package { id: id.clone(), quantity: 1 };
        let unknown = || Problem::refused(Refusal::UnknownItem(single.clone()), &published.catalog);
        let currency = published.catalog.packages.get(id).ok_or_else(unknown)?.price.currency;
        Ok(Wanted { item: Item::Package { id: id.clone(), quantity }, single, currency, group: None })
    }

    fn plan(&self, id: &PlanId, published: &Published) -> Result<Wanted, Problem> {
        if self.quantity.is_some_and(|quantity| quantity != 1) {
            return Err(invalid("a plan is subscribed to once; leave `quantity` out"));
        }
        let plan = published.catalog.plans.get(id);
        let interval = interval(self.interval.as_deref(), plan)?;
        let item = Item::Plan { id: id.clone(), interval };
        let price = plan.and_then(|plan| plan.prices.iter().find(|price| price.interval == interval));
        let unknown = || Problem::refused(Refusal::UnknownItem(item.clone()), &published.catalog);
        let (price, plan) = price.zip(plan).ok_or_else(unknown)?;
        let (currency, group) = (price.price.currency, Some(plan.group.clone()));
        Ok(Wanted { single: item.clone(), item, currency, group })
    }
}

/// What is asked for. `single` is what its price is filed under.
struct Wanted {
    item: Item,
    single: Item,
    currency: Currency,
    group: Option<String>,
}

fn interval(named: Option<&str>, plan: Option<&Plan>) -> Result<Interval, Problem> {
    let known = Interval::ALL.map(Interval::name).join(", ");
    match (named, plan.map_or(&[][..], |plan| &plan.prices)) {
        (Some(name), _) => Interval::parse(name)
            .ok_or_else(|| invalid(format!("`interval` is one of {known}, not {name:?}"))),
        (None, [one]) => Ok(one.interval),
        // There is no such plan, or nothing to pay for: whatever the interval, that is said next.
        (None, []) => Ok(Interval::Month),
        (None, several) => {
            let offered: Vec<_> = several.iter().map(|price| price.interval.name()).collect();
            Err(invalid(format!("say the `interval`: {}", offered.join(" or "))))
        }
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

fn allowed(name: &str, url: Option<String>, policy: &CheckoutPolicy) -> Result<Option<String>, Problem> {
    let Some(url) = url else { return Ok(None) };
    if url.len() > LONGEST_URL {
        return Err(invalid(format!("`{name}` may have {LONGEST_URL} characters")));
    }
    if policy.allows(&url) {
        return Ok(Some(url));
    }
    let origins = policy.return_origins.join(", ");
    Err(invalid(format!("`{name}` must be a web address at one of the allowed origins: {origins}")))
}

/// The frozen request in Stripe's terms: always the same for the same entry, beside which `urls` stand.
pub fn of(
    entry: &Entry,
    frozen: &CheckoutRequest,
    urls: Words,
    published: &Published,
    stack: &str,
) -> CheckoutOrder {
    let quantity = match frozen.item {
        Item::Package { quantity, .. } => quantity,
        Item::Plan { .. } => 1,
    };
    let defaults = &published.catalog.checkout;
    CheckoutOrder {
        customer: frozen.customer.clone(),
        price: frozen.price.clone(),
        quantity,
        expires_at: frozen.expires_at,
        success_url: urls.success_url.unwrap_or_else(|| defaults.success_url.clone()),
        cancel_url: urls.cancel_url.unwrap_or_else(|| defaults.cancel_url.clone()),
        envelope: Envelope {
            stack: Some(stack.to_owned()),
            user: Some(entry.user.clone()),
            catalog: Some(frozen.catalog),
            item: Some(frozen.item.clone()),
        },
        request: entry.cause.fingerprint(),
    }
}
