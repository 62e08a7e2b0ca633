//! What a published catalog needs in Stripe: products by their id, prices by their lookup key.

use domain::ids::PriceId;
use domain::item::Interval;
use domain::money::Money;
use domain::payment::Envelope;
use stripe::{RequestStrategy, StripeRequest};
use stripe_product::price::{CreatePrice, CreatePriceRecurring, CreatePriceRecurringInterval, ListPrice};
use stripe_product::product::{CreateProduct, RetrieveProduct, UpdateProduct};
use stripe_shared::RecurringInterval;

use crate::error::StripeError;
use crate::idempotency::keyed;
use crate::{Stripe, metadata, money};

const PRODUCT: &str = "product";
const PRICE: &str = "price";

/// A product's id, chosen by us. Unique in the whole Stripe account, so it should name the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a product id is 1 to 255 letters, digits, `_` or `-`")]
pub struct BadProductId;

impl ProductId {
    pub fn parse(text: impl Into<String>) -> Result<ProductId, BadProductId> {
        let text = text.into();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        match (1..=255).contains(&text.len()) && text.bytes().all(plain) {
            true => Ok(ProductId(text)),
            false => Err(BadProductId),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub id: ProductId,
    /// What the buyer reads.
    pub name: String,
    pub envelope: Envelope,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    pub product: ProductId,
    /// Unique in the whole Stripe account, so it should name the stack.
    pub lookup_key: String,
    pub money: Money,
    /// `None` is paid once.
    pub interval: Option<Interval>,
    pub envelope: Envelope,
}

impl Stripe {
    /// Makes the product if it is missing; else gives it this name and puts it on sale again.
    pub async fn ensure_product(&self, product: &Product) -> Result<(), StripeError> {
        let id = product.id.as_str();
        match RetrieveProduct::new(id).send(&self.call(PRODUCT)).await {
            Ok(found) if found.name == product.name && found.active => Ok(()),
            Ok(found) => self.rename_product(product, &found).await,
            Err(error) if error.is_missing() => self.create_product(product).await,
            Err(error) => Err(error.about(PRODUCT)),
        }
    }

    /// The price under this lookup key. If its money or product differs, a new price takes the key over;
    /// the old one stays valid for what was already opened with it.
    pub async fn ensure_price(&self, price: &Price) -> Result<PriceId, StripeError> {
        let found = ListPrice::new()
            .lookup_keys(vec![price.lookup_key.clone()])
            .limit(1)
            .send(&self.call(PRICE))
            .await
            .map_err(|error| error.about(PRICE))?;
        let current = found.data.into_iter().next();
        match current {
            Some(current) if price.is(&current) => price_id(&current),
            current => self.create_price(price, current.as_ref()).await,
        }
    }

    async fn create_product(&self, product: &Product) -> Result<(), StripeError> {
        let (id, name) = (product.id.as_str(), product.name.as_str());
        let created = CreateProduct::new(name)
            .id(id)
            .metadata(metadata::pairs(&self.ours(&product.envelope)))
            .customize()
            .request_strategy(self.key_for(PRODUCT, &[id, name], &product.envelope))
            .send(&self.call(PRODUCT))
            .await;
        match created {
            Ok(_) => Ok(()),
            // Someone else published the same catalog at this moment.
            Err(error) if error.code() == Some("resource_already_exists") => Ok(()),
            Err(error) => Err(error.about(PRODUCT)),
        }
    }

    async fn rename_product(
        &self,
        product: &Product,
        found: &stripe_shared::Product,
    ) -> Result<(), StripeError> {
        let (id, name) = (product.id.as_str(), product.name.as_str());
        // The present state is part of the key: changing there and back again must not replay the first change.
        let updated = found.updated.to_string();
        UpdateProduct::new(id)
            .name(name)
            .active(true)
            .customize()
            .request_strategy(keyed(self.stack(), PRODUCT, &[id, name, &found.name, &updated]))
            .send(&self.call(PRODUCT))
            .await
            .map(|_| ())
            .map_err(|error| error.about(PRODUCT))
    }

    async fn create_price(
        &self,
        price: &Price,
        replaced: Option<&stripe_shared::Price>,
    ) -> Result<PriceId, StripeError> {
        let Money { amount_minor, currency } = price.money;
        let mut request = CreatePrice::new(money::currency(price.money))
            .product(price.product.as_str())
            .unit_amount(amount_minor)
            .lookup_key(price.lookup_key.as_str())
            .transfer_lookup_key(true)
            .metadata(metadata::pairs(&self.ours(&price.envelope)));
        if let Some(interval) = price.interval {
            request = request.recurring(CreatePriceRecurring::new(every(interval)));
        }
        let key = [
            price.product.as_str(),
            &price.lookup_key,
            currency.as_str(),
            &amount_minor.to_string(),
            price.interval.map_or("once", Interval::name),
            // Without it, a price changed there and back would replay the first price, which has lost its key.
            replaced.map_or("", |replaced| replaced.id.as_str()),
        ];
        let created = request
            .customize()
            .request_strategy(self.key_for(PRICE, &key, &price.envelope))
            .send(&self.call(PRICE))
            .await;
        price_id(&created.map_err(|error| error.about(PRICE))?)
    }

    /// All that is sent is in the key: Stripe refuses a key that returns with other parameters.
    fn key_for(&self, what: &str, parts: &[&str], envelope: &Envelope) -> RequestStrategy {
        let pairs = envelope.pairs();
        let pairs = pairs.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        keyed(self.stack(), what, &parts.iter().copied().chain(pairs).collect::<Vec<_>>())
    }
}

impl Price {
    fn is(&self, found: &stripe_shared::Price) -> bool {
        let interval = match (&found.recurring, self.interval) {
            (None, None) => true,
            (Some(found), Some(wanted)) => found.interval_count == 1 && is_every(wanted, &found.interval),
            _ => false,
        };
        interval
            && found.active
            && found.unit_amount == Some(self.money.amount_minor)
            && found.currency == money::currency(self.money)
            && found.product.id().as_str() == self.product.as_str()
    }
}

fn price_id(price: &stripe_shared::Price) -> Result<PriceId, StripeError> {
    PriceId::parse(price.id.as_str()).map_err(|bad| StripeError::malformed(PRICE, bad.to_string()))
}

fn every(interval: Interval) -> CreatePriceRecurringInterval {
    match interval {
        Interval::Week => CreatePriceRecurringInterval::Week,
        Interval::Month => CreatePriceRecurringInterval::Month,
        Interval::Year => CreatePriceRecurringInterval::Year,
    }
}

fn is_every(interval: Interval, found: &RecurringInterval) -> bool {
    found.as_str() == interval.name()
}
