//! Published catalogs: immutable versions, a head that names the current one, a cache that asks at most once a minute.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::catalog::{Catalog, Published, Shelf};
use domain::decide::{Act, Command};
use domain::ids::PriceId;
use domain::item::Sold;
use domain::time::{MINUTE_MS, Time};

use crate::items::{self, CatalogItem, HeadItem, PriceItem};
use crate::{Read, Store, StoreError, schema};

/// The catalogs of one table. Versions never change, so each is read once per process.
#[derive(Debug, Clone)]
pub struct Catalogs {
    store: Store,
    cache: Arc<Mutex<Cache>>,
}

#[derive(Debug, Default)]
struct Cache {
    current: Option<(Arc<Published>, Time)>,
    versions: HashMap<u32, Arc<Published>>,
}

impl Catalogs {
    pub fn new(store: Store) -> Catalogs {
        Catalogs { store, cache: Arc::default() }
    }

    /// Refuses to start a function without a catalog, and opens the connection before its first request needs it.
    pub async fn start(store: Store, now: Time) -> Result<Catalogs, StoreError> {
        let catalogs = Catalogs::new(store);
        catalogs.current(now).await?;
        Ok(catalogs)
    }

    /// What is sold now. If the head cannot be read, the last known version goes on serving.
    pub async fn current(&self, now: Time) -> Result<Arc<Published>, StoreError> {
        let known = self.with(|cache| cache.current.clone());
        if let Some((published, read_at)) = &known
            && (now.millis() - read_at.millis()).abs() < MINUTE_MS
        {
            return Ok(published.clone());
        }
        match (self.head().await, known) {
            (Ok(published), _) => {
                self.with(|cache| cache.current = Some((published.clone(), now)));
                Ok(published)
            }
            (Err(error), Some((published, _))) => {
                tracing::warn!(cause = %error, version = published.version, "the catalog was not refreshed");
                Ok(published)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// One version, as long as this table has it.
    pub async fn version(&self, version: u32) -> Result<Option<Arc<Published>>, StoreError> {
        if let Some(published) = self.with(|cache| cache.versions.get(&version).cloned()) {
            return Ok(Some(published));
        }
        let Some(stored) = self.stored(version).await? else { return Ok(None) };
        let CatalogItem { text, prices, portal, .. } = stored;
        let catalog = Catalog::parse(&text).map_err(|mistakes| {
            StoreError::Refused(format!("catalog version {version} does not parse: {mistakes}"))
        })?;
        let published = Arc::new(Published { version, catalog, prices, portal });
        self.with(|cache| cache.versions.insert(version, published.clone()));
        Ok(Some(published))
    }

    /// Every catalog that decides about a command to an account.
    pub async fn shelf(&self, account: &Account, command: &Command, now: Time) -> Result<Shelf, StoreError> {
        let shelf = self.shelf_of(account, now).await?;
        match &command.act {
            Act::Purchase { catalog, .. } if shelf.version(*catalog).is_none() => {
                let sold_under = self.version(*catalog).await?;
                Ok(shelf.with(sold_under))
            }
            _ => Ok(shelf),
        }
    }

    /// The catalog that is sold from now, and those that an account's subscriptions were bought under.
    pub async fn shelf_of(&self, account: &Account, now: Time) -> Result<Shelf, StoreError> {
        let current = self.current(now).await?;
        let mut pinned = Vec::new();
        for held in &account.subscriptions {
            let version = held.seen.catalog;
            let gone = || StoreError::Refused(format!("catalog version {version} is not in the table"));
            pinned.push(self.version(version).await?.ok_or_else(gone)?);
        }
        Ok(Shelf::new(current, pinned))
    }

    /// What a Stripe price sold when it was first published, and the version that did.
    pub async fn binding(&self, price: &PriceId) -> Result<Option<(Sold, u32)>, StoreError> {
        let Some(item) = self.store.get(schema::price(price), Read::Consistent).await? else {
            return Ok(None);
        };
        let PriceItem { item, currency, since } = items::read("price binding", item)?;
        Ok(Some((Sold { item, currency }, since)))
    }

    /// Publishes a catalog with its prices and its portal in Stripe, unless that is the current version already.
    /// Returns its version.
    pub async fn publish(
        &self,
        text: &str,
        prices: &BTreeMap<String, PriceId>,
        portal: Option<&str>,
        now: Time,
    ) -> Result<u32, StoreError> {
        let portal = portal.map(str::to_owned);
        let item = CatalogItem { text: text.to_owned(), prices: prices.clone(), portal, at: now };
        let head = self.read_head().await?;
        if let Some(HeadItem { version }) = head
            && self.stored(version).await?.is_some_and(|current| current.says_the_same(&item))
        {
            return Ok(version);
        }
        let version = self.store_version(head.map_or(1, |head| head.version + 1), &item).await?;
        for (sold, price) in prices {
            let unknown = |_| StoreError::Refused(format!("`{sold}` is not what a price sells"));
            let Sold { item, currency } = sold.parse().map_err(unknown)?;
            let binding = PriceItem { item, currency, since: version };
            self.store.put_new(items::keyed(schema::price(price), &binding)).await?;
        }
        self.move_head(version).await?;
        Ok(version)
    }

    /// Stores it under the first free number. A publication that was interrupted leaves its number behind:
    /// the same catalog takes it over, another one goes on to the next.
    async fn store_version(&self, first: u32, item: &CatalogItem) -> Result<u32, StoreError> {
        let mut version = first;
        while !self.store.put_new(items::keyed(schema::catalog_version(version), item)).await? {
            if self.stored(version).await?.is_some_and(|stored| stored.says_the_same(item)) {
                break;
            }
            version += 1;
        }
        Ok(version)
    }

    async fn stored(&self, version: u32) -> Result<Option<CatalogItem>, StoreError> {
        let item = self.store.get(schema::catalog_version(version), Read::Consistent).await?;
        Ok(item.map(|item| items::read("catalog", item)).transpose()?)
    }

    async fn head(&self) -> Result<Arc<Published>, StoreError> {
        let head = self.read_head().await?;
        let missing =
            || StoreError::Refused("no catalog is published: run `tollgate catalog push`".to_owned());
        self.version(head.ok_or_else(missing)?.version).await?.ok_or_else(missing)
    }

    async fn read_head(&self) -> Result<Option<HeadItem>, StoreError> {
        let item = self.store.get(schema::catalog_head(), Read::Consistent).await?;
        Ok(item.map(|item| items::read("catalog head", item)).transpose()?)
    }

    /// The head only ever moves forward.
    async fn move_head(&self, version: u32) -> Result<(), StoreError> {
        let item = items::keyed(schema::catalog_head(), &HeadItem { version });
        let values = [(":version".to_owned(), AttributeValue::N(version.to_string()))];
        let is_behind = "attribute_not_exists(PK) OR version < :version";
        self.store.put_if(item, is_behind, Some(values.into())).await.map(drop)
    }

    fn with<T>(&self, use_cache: impl FnOnce(&mut Cache) -> T) -> T {
        // A panic elsewhere leaves the cache as valid as it was: every entry is whole.
        use_cache(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
