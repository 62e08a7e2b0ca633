//! Publishing a catalog: its products, its prices and what the portal offers into Stripe, then an immutable version
//! into the table.

mod portal;

use std::collections::BTreeMap;

use domain::catalog::{Catalog, PlanPrice};
use domain::ids::{PlanId, PriceId};
use domain::item::Item;
use domain::item::{Interval, Sold};
use domain::money::Money;
use domain::payment::Envelope;
use domain::time::Time;
use edge::{Env, StartError};
use store::{Catalogs, Store, StoreError};
use stripe_api::{BadProductId, Price, Product, ProductId, Settings, Stripe, StripeError};

use portal::Offer;

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Stripe(#[from] StripeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the stack and product names do not make a product id of Stripe's: {0}")]
    Name(#[from] BadProductId),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub version: u32,
    /// What whoever publishes should know, although it was done.
    pub warnings: Vec<String>,
}

/// Publishes to the Stripe and the table that the settings name.
pub async fn publish(
    env: &Env,
    store: Store,
    stack: &str,
    text: &str,
    catalog: &Catalog,
    now: Time,
) -> Result<Publication, StartError> {
    let api_base = env.optional("STRIPE_API_BASE");
    let stripe =
        Stripe::new(Settings { api_base, ..Settings::new(env.required("STRIPE_SECRET_KEY")?, stack) })?;
    Ok(publish_with(&stripe, &Catalogs::new(store), stack, text, catalog, now).await?)
}

/// Creates what is missing in Stripe and publishes the catalog. Doing it again changes nothing.
pub async fn publish_with(
    stripe: &Stripe,
    catalogs: &Catalogs,
    stack: &str,
    text: &str,
    catalog: &Catalog,
    now: Time,
) -> Result<Publication, PublishError> {
    let mut prices: BTreeMap<String, PriceId> = BTreeMap::new();
    for listing in listings(catalog) {
        let product = product(stack, catalog, &listing)?;
        stripe.ensure_product(&product).await?;
        for (item, money, interval) in &listing.prices {
            let of = Sold { item: item.clone(), currency: money.currency };
            let price = Price {
                product: product.id.clone(),
                lookup_key: format!("{stack}:{}:{of}", catalog.product.id),
                money: *money,
                interval: *interval,
                envelope: envelope(stack, Some(item)),
            };
            prices.insert(of.to_string(), stripe.ensure_price(&price).await?);
        }
    }
    let Offer { configuration, warnings } = portal::offer(stack, catalog, &prices)?;
    let portal = stripe.ensure_portal(&configuration).await?;
    let version = catalogs.publish(text, &prices, Some(&portal), now).await?;
    Ok(Publication { version, warnings })
}

/// One product of Stripe's, with its prices.
struct Listing {
    id: String,
    name: String,
    /// Of a package: what it is. A plan is one thing for each of its prices.
    item: Option<Item>,
    prices: Vec<(Item, Money, Option<Interval>)>,
}

fn listings(catalog: &Catalog) -> Vec<Listing> {
    let packages = catalog.packages.iter().map(|(id, package)| {
        let item = Item::Package { id: id.clone(), quantity: 1 };
        Listing {
            id: format!("package-{id}"),
            name: package.name.clone(),
            prices: vec![(item.clone(), package.price, None)],
            item: Some(item),
        }
    });
    let plans = catalog.plans.iter().filter(|(_, plan)| !plan.prices.is_empty()).map(|(id, plan)| {
        let price = |price: &PlanPrice| {
            let item = Item::Plan { id: id.clone(), interval: price.interval };
            (item, price.price, Some(price.interval))
        };
        Listing {
            id: plan_listing(id),
            name: plan.name.clone(),
            item: None,
            prices: plan.prices.iter().map(price).collect(),
        }
    });
    packages.chain(plans).collect()
}

fn product(stack: &str, catalog: &Catalog, listing: &Listing) -> Result<Product, BadProductId> {
    let id = product_id(stack, catalog, &listing.id)?;
    Ok(Product { id, name: listing.name.clone(), envelope: envelope(stack, listing.item.as_ref()) })
}

fn product_id(stack: &str, catalog: &Catalog, listing: &str) -> Result<ProductId, BadProductId> {
    ProductId::parse(format!("{stack}-{}-{listing}", catalog.product.id))
}

fn plan_listing(plan: &PlanId) -> String {
    format!("plan-{plan}")
}

fn envelope(stack: &str, item: Option<&Item>) -> Envelope {
    Envelope { stack: Some(stack.to_owned()), item: item.cloned(), ..Envelope::default() }
}
