//! What a buyer may ask for, checked against the catalog, and what Stripe is then asked for.

use domain::catalog::{CheckoutPolicy, price_key};
use domain::decide::Refusal;
use domain::entry::{CheckoutRequest, Entry};
use domain::ids::{PackageId, PriceId};
use domain::payment::{Envelope, Item};
use edge::{Code, Problem};
use serde::Deserialize;
use store::Published;
use stripe_api::CheckoutOrder;

/// `{"package":"medium"}`. Prices come from the catalog; a client names only what it wants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buy {
    package: PackageId,
    quantity: Option<u32>,
    success_url: Option<String>,
    cancel_url: Option<String>,
}

/// What can be sold, and for which price of Stripe's.
pub struct Checked {
    pub item: Item,
    pub price: PriceId,
    pub success_url: Option<String>,
    pub cancel_url: Option<String>,
}

const MOST_AT_ONCE: u32 = 100;
/// Return URLs are frozen in the journal, and a longer one would cost every checkout more.
const LONGEST_URL: usize = 500;

impl Buy {
    /// `stage_origins` are allowed beside the catalog's own.
    pub fn checked(self, published: &Published, stage_origins: &[String]) -> Result<Checked, Problem> {
        let quantity = self.quantity.unwrap_or(1);
        if !(1..=MOST_AT_ONCE).contains(&quantity) {
            return Err(Problem::new(
                Code::InvalidRequest,
                format!("`quantity` is from 1 to {MOST_AT_ONCE}"),
            ));
        }
        let one = Item::Package { id: self.package.clone(), quantity: 1 };
        let item = Item::Package { id: self.package.clone(), quantity };
        let package = published.catalog.packages.get(&self.package);
        let unknown = || Problem::refused(Refusal::UnknownItem(one.clone()), &published.catalog);
        let key = price_key(&one.to_string(), None, package.ok_or_else(unknown)?.price.currency);
        let unpriced =
            || Problem::internal(format!("catalog version {} has no price {key}", published.version));
        let price = published.prices.get(&key).ok_or_else(unpriced)?.clone();
        let mut policy = published.catalog.checkout.clone();
        policy.return_origins.extend_from_slice(stage_origins);
        let success_url = allowed("success_url", self.success_url, &policy)?;
        let cancel_url = allowed("cancel_url", self.cancel_url, &policy)?;
        Ok(Checked { item, price, success_url, cancel_url })
    }
}

fn allowed(name: &str, url: Option<String>, policy: &CheckoutPolicy) -> Result<Option<String>, Problem> {
    let Some(url) = url else { return Ok(None) };
    if url.len() > LONGEST_URL {
        return Err(Problem::new(
            Code::InvalidRequest,
            format!("`{name}` may have {LONGEST_URL} characters"),
        ));
    }
    if policy.allows(&url) {
        return Ok(Some(url));
    }
    let origins = policy.return_origins.join(", ");
    let detail = format!("`{name}` must be a web address at one of the allowed origins: {origins}");
    Err(Problem::new(Code::InvalidRequest, detail))
}

/// The frozen request in Stripe's terms: always the same for the same entry.
pub fn of(entry: &Entry, frozen: &CheckoutRequest, published: &Published, stack: &str) -> CheckoutOrder {
    let Item::Package { quantity, .. } = frozen.item;
    let defaults = &published.catalog.checkout;
    CheckoutOrder {
        customer: frozen.customer.clone(),
        price: frozen.price.clone(),
        quantity,
        expires_at: frozen.expires_at,
        success_url: frozen.success_url.clone().unwrap_or_else(|| defaults.success_url.clone()),
        cancel_url: frozen.cancel_url.clone().unwrap_or_else(|| defaults.cancel_url.clone()),
        envelope: Envelope {
            stack: Some(stack.to_owned()),
            user: Some(entry.user.clone()),
            catalog: Some(frozen.catalog),
            item: Some(frozen.item.clone()),
        },
        request: entry.cause.fingerprint(),
    }
}
