//! Publishing a catalog: its products and prices into Stripe, then an immutable version into the table.

use std::collections::BTreeMap;

use domain::catalog::{Catalog, Interval, price_key};
use domain::ids::PriceId;
use domain::money::Money;
use domain::payment::{Envelope, Item};
use domain::time::Time;
use edge::{Env, StartError};
use store::{Catalogs, Store, StoreError};
use stripe_api::{BadProductId, Price, Product, ProductId, Settings, Stripe, StripeError};

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Stripe(#[from] StripeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the stack and product names do not make a product id of Stripe's: {0}")]
    Name(#[from] BadProductId),
}

/// Publishes to the Stripe and the table that the settings name.
pub async fn publish(
    env: &Env,
    store: Store,
    stack: &str,
    text: &str,
    catalog: &Catalog,
    now: Time,
) -> Result<u32, StartError> {
    let api_base = env.optional("STRIPE_API_BASE");
    let stripe =
        Stripe::new(Settings { api_base, ..Settings::new(env.required("STRIPE_SECRET_KEY")?, stack) })?;
    Ok(publish_with(&stripe, &Catalogs::new(store), stack, text, catalog, now).await?)
}

/// Creates what is missing in Stripe and publishes the catalog. Doing it again changes nothing.
async fn publish_with(
    stripe: &Stripe,
    catalogs: &Catalogs,
    stack: &str,
    text: &str,
    catalog: &Catalog,
    now: Time,
) -> Result<u32, PublishError> {
    let mut prices: BTreeMap<String, PriceId> = BTreeMap::new();
    for sold in sold(catalog) {
        let product = product(stack, catalog, &sold)?;
        stripe.ensure_product(&product).await?;
        for (money, interval) in &sold.prices {
            let item = price_key(&sold.item, *interval, money.currency);
            let price = Price {
                product: product.id.clone(),
                lookup_key: format!("{stack}:{}:{item}", catalog.product.id),
                money: *money,
                interval: *interval,
                envelope: product.envelope.clone(),
            };
            prices.insert(item, stripe.ensure_price(&price).await?);
        }
    }
    Ok(catalogs.publish(text, &prices, now).await?)
}

/// One product of Stripe's, with its prices.
struct Sold {
    item: String,
    id: String,
    name: String,
    prices: Vec<(Money, Option<Interval>)>,
}

fn sold(catalog: &Catalog) -> Vec<Sold> {
    let packages = catalog.packages.iter().map(|(id, package)| Sold {
        item: Item::Package { id: id.clone(), quantity: 1 }.to_string(),
        id: format!("package-{id}"),
        name: package.name.clone(),
        prices: vec![(package.price, None)],
    });
    let plans = catalog.plans.iter().filter(|(_, plan)| !plan.prices.is_empty()).map(|(id, plan)| Sold {
        item: format!("plan:{id}"),
        id: format!("plan-{id}"),
        name: plan.name.clone(),
        prices: plan.prices.iter().map(|price| (price.price, Some(price.interval))).collect(),
    });
    packages.chain(plans).collect()
}

fn product(stack: &str, catalog: &Catalog, sold: &Sold) -> Result<Product, BadProductId> {
    let id = ProductId::parse(format!("{stack}-{}-{}", catalog.product.id, sold.id))?;
    let envelope =
        Envelope { stack: Some(stack.to_owned()), item: sold.item.parse().ok(), ..Envelope::default() };
    Ok(Product { id, name: sold.name.clone(), envelope })
}
