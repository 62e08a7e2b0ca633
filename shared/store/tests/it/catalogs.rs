//! Publishing and reading catalogs.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::PriceId;
use domain::time::MINUTE_MS;
use serde_json::Value;
use store::items::{self, CatalogItem};
use store::{Catalogs, schema};

use crate::golden::{plain, stored};
use crate::table::{CATALOG, NOW, Table, prices};

const BEFORE_THE_PORTAL: &str = include_str!("../golden/catalog.1.json");
const GOLDEN: &str = include_str!("../golden/catalog.2.json");
const PORTAL: Option<&str> = Some("bpc_1");

fn changed() -> String {
    CATALOG.replacen("name = \"Companion\"", "name = \"Companion Two\"", 1)
}

#[tokio::test]
async fn publishing_the_same_catalog_again_makes_no_new_version() {
    let catalogs = Catalogs::new(Table::empty().await.store);
    assert_eq!(catalogs.publish(CATALOG, &prices(), PORTAL, NOW).await.unwrap(), 1);
    assert_eq!(catalogs.publish(CATALOG, &prices(), PORTAL, NOW).await.unwrap(), 1);
    assert_eq!(catalogs.publish(&changed(), &prices(), PORTAL, NOW).await.unwrap(), 2);
    assert_eq!(catalogs.version(1).await.unwrap().unwrap().catalog.product.name, "Companion");
    assert_eq!(catalogs.version(2).await.unwrap().unwrap().catalog.product.name, "Companion Two");
    assert!(catalogs.version(3).await.unwrap().is_none());
}

#[tokio::test]
async fn a_new_version_is_seen_within_a_minute_and_not_asked_for_sooner() {
    let table = Table::empty().await;
    let catalogs = Catalogs::new(table.store.clone());
    catalogs.publish(CATALOG, &prices(), PORTAL, NOW).await.unwrap();
    assert_eq!(catalogs.current(NOW).await.unwrap().version, 1);
    Catalogs::new(table.another_store()).publish(&changed(), &prices(), PORTAL, NOW).await.unwrap();
    let before = table.store.meter().reading();
    assert_eq!(catalogs.current(NOW.plus_ms(MINUTE_MS - 1)).await.unwrap().version, 1);
    assert_eq!(table.store.meter().reading(), before);
    assert_eq!(catalogs.current(NOW.plus_ms(MINUTE_MS)).await.unwrap().version, 2);
}

#[tokio::test]
async fn without_a_published_catalog_nothing_starts_and_the_error_says_what_to_do() {
    let error = Catalogs::new(Table::empty().await.store).current(NOW).await.unwrap_err();
    assert!(error.to_string().contains("tollgate catalog push"), "{error}");
}

#[tokio::test]
async fn a_publication_that_was_interrupted_does_not_block_the_next() {
    let table = Table::empty().await;
    let item = items::keyed(
        schema::catalog_version(1),
        &CatalogItem { text: CATALOG.to_owned(), prices: prices(), portal: None, at: NOW },
    );
    table.client.put_item().table_name(crate::table::TABLE).set_item(Some(item)).send().await.unwrap();
    let catalogs = Catalogs::new(table.store);
    assert_eq!(catalogs.publish(&changed(), &prices(), PORTAL, NOW).await.unwrap(), 2);
    assert_eq!(catalogs.current(NOW).await.unwrap().version, 2);
}

#[tokio::test]
async fn what_the_portal_offers_belongs_to_a_version_and_another_makes_another() {
    let catalogs = Catalogs::new(Table::empty().await.store);
    for (version, portal) in [(1, None), (2, PORTAL), (3, Some("bpc_2"))] {
        for _ in 0..2 {
            assert_eq!(catalogs.publish(CATALOG, &prices(), portal, NOW).await.unwrap(), version);
        }
        let published = catalogs.version(version).await.unwrap().unwrap();
        assert_eq!(published.portal.as_deref(), portal);
    }
}

#[test]
fn a_stored_catalog_is_written_as_ever_and_those_from_before_the_portal_read_as_without() {
    let prices = [("package:medium:eur".to_owned(), PriceId::parse("price_medium").unwrap())].into();
    let text = "[product]\nid = \"companion\"\n".to_owned();
    let written = CatalogItem { text, prices, portal: PORTAL.map(str::to_owned), at: NOW };
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let item = items::keyed(schema::catalog_version(1), &written);
    assert_eq!(plain(&AttributeValue::M(item)), golden);

    let before: CatalogItem = items::read("catalog", stored(BEFORE_THE_PORTAL)).unwrap();
    assert_eq!(before.portal, None);
    assert!(before.says_the_same(&CatalogItem { portal: None, ..written }));
}
