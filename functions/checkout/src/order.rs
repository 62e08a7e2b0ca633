//! What a buyer may ask for, checked against the catalog.

use domain::catalog::{CheckoutPolicy, Plan, Published, Trial};
use domain::decide::Refusal;
use domain::ids::{PackageId, PaymentMethodId, PlanId, PriceId};
use domain::item::{Interval, Item, Sold};
use domain::money::Currency;
use edge::{Code, Problem};
use serde::Deserialize;
use store::Words;

/// `{"package":"medium"}` or `{"plan":"premium"}`. Prices come from the catalog; a client names only what it wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buy {
    package: Option<PackageId>,
    /// Of a package, or the seats of a plan that is sold by the seat.
    quantity: Option<u32>,
    plan: Option<PlanId>,
    /// May be left out where the plan has one price.
    interval: Option<String>,
    /// The catalog has the last word.
    trial_days: Option<u32>,
    /// Where the app itself collects it.
    payment_method: Option<PaymentMethodId>,
    success_url: Option<String>,
    cancel_url: Option<String>,
}

/// How a sale is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// On Stripe's page.
    Session,
    /// A subscription at once, paid by what the app collects.
    Subscription,
    /// A package at once, in the same way.
    Payment,
}

/// What can be sold, and for which price of Stripe's.
pub struct Checked {
    pub item: Item,
    pub price: PriceId,
    pub seats: u32,
    /// Of a plan.
    pub group: Option<String>,
    /// How long it may be tried by somebody who may.
    pub trial_days: u32,
    pub trial_needs_method: bool,
    pub method: Option<PaymentMethodId>,
    /// Where the buyer returns to, if not to where the catalog says.
    pub urls: Words,
}

const MOST_AT_ONCE: u32 = 100;
/// A longer one would cost every checkout more.
const LONGEST_URL: usize = 500;

impl Buy {
    /// `stage_origins` are allowed beside the catalog's own.
    pub fn checked(
        self,
        form: Form,
        published: &Published,
        stage_origins: &[String],
    ) -> Result<Checked, Problem> {
        self.fits(form)?;
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
        Ok(Checked {
            item: wanted.item,
            price,
            seats: wanted.seats,
            group: wanted.group,
            trial_days: wanted.trial.map_or(0, |trial| trial.clamped(self.trial_days)),
            trial_needs_method: wanted.trial.is_some_and(|trial| trial.needs_method),
            method: self.payment_method,
            urls: Words { success_url, cancel_url, ..Words::default() },
        })
    }

    fn fits(&self, form: Form) -> Result<(), Problem> {
        let returns = self.success_url.is_some() || self.cancel_url.is_some();
        let misfit = match form {
            Form::Session if self.payment_method.is_some() => {
                "a `payment_method` is for POST …/subscriptions or …/payments; here Stripe's page asks for one"
            }
            Form::Subscription | Form::Payment if returns => {
                "`success_url` and `cancel_url` are for POST …/checkout; from here nobody is sent anywhere"
            }
            Form::Subscription if self.package.is_some() => {
                "a `package` is for POST …/payments; name a `plan`"
            }
            Form::Payment if self.plan.is_some() => "a `plan` is for POST …/subscriptions; name a `package`",
            _ => return Ok(()),
        };
        Err(invalid(misfit))
    }

    fn package(&self, id: &PackageId, published: &Published) -> Result<Wanted, Problem> {
        if self.interval.is_some() || self.trial_days.is_some() {
            return Err(invalid("`interval` and `trial_days` belong to a `plan`"));
        }
        let quantity = self.quantity.unwrap_or(1);
        if !(1..=MOST_AT_ONCE).contains(&quantity) {
            return Err(invalid(format!("`quantity` is from 1 to {MOST_AT_ONCE}")));
        }
        let single = Item::Package { id: id.clone(), quantity: 1 };
        let unknown = || Problem::refused(Refusal::UnknownItem(single.clone()), &published.catalog);
        let currency = published.catalog.packages.get(id).ok_or_else(unknown)?.price.currency;
        let item = Item::Package { id: id.clone(), quantity };
        Ok(Wanted { item, single, currency, seats: 1, group: None, trial: None })
    }

    fn plan(&self, id: &PlanId, published: &Published) -> Result<Wanted, Problem> {
        let plan = published.catalog.plans.get(id);
        let interval = interval(self.interval.as_deref(), plan)?;
        let item = Item::Plan { id: id.clone(), interval };
        let price = plan.and_then(|plan| plan.prices.iter().find(|price| price.interval == interval));
        let unknown = || Problem::refused(Refusal::UnknownItem(item.clone()), &published.catalog);
        let (price, plan) = price.zip(plan).ok_or_else(unknown)?;
        let (seats, most) = (self.quantity.unwrap_or(1), plan.seats.unwrap_or(1));
        if !(1..=most).contains(&seats) {
            return Err(Problem::refused(Refusal::TooManySeats { most }, &published.catalog));
        }
        let (currency, group) = (price.price.currency, Some(plan.group.clone()));
        Ok(Wanted { single: item.clone(), item, currency, seats, group, trial: plan.trial })
    }
}

/// What is asked for. `single` is what its price is filed under.
struct Wanted {
    item: Item,
    single: Item,
    currency: Currency,
    seats: u32,
    group: Option<String>,
    trial: Option<Trial>,
}

pub fn interval(named: Option<&str>, plan: Option<&Plan>) -> Result<Interval, Problem> {
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

pub fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

pub fn allowed(name: &str, url: Option<String>, policy: &CheckoutPolicy) -> Result<Option<String>, Problem> {
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
