//! Publishing and reading catalogs.

use domain::time::MINUTE_MS;
use store::Catalogs;

use crate::table::{CATALOG, NOW, Table, prices};

fn changed() -> String {
    CATALOG.replacen("name = \"Companion\"", "name = \"Companion Two\"", 1)
}

#[tokio::test]
async fn publishing_the_same_catalog_again_makes_no_new_version() {
    let catalogs = Catalogs::new(Table::empty().await.store);
    assert_eq!(catalogs.publish(CATALOG, &prices(), NOW).await.unwrap(), 1);
    assert_eq!(catalogs.publish(CATALOG, &prices(), NOW).await.unwrap(), 1);
    assert_eq!(catalogs.publish(&changed(), &prices(), NOW).await.unwrap(), 2);
    assert_eq!(catalogs.version(1).await.unwrap().unwrap().catalog.product.name, "Companion");
    assert_eq!(catalogs.version(2).await.unwrap().unwrap().catalog.product.name, "Companion Two");
    assert!(catalogs.version(3).await.unwrap().is_none());
}

#[tokio::test]
async fn a_new_version_is_seen_within_a_minute_and_not_asked_for_sooner() {
    let table = Table::empty().await;
    let catalogs = Catalogs::new(table.store.clone());
    catalogs.publish(CATALOG, &prices(), NOW).await.unwrap();
    assert_eq!(catalogs.current(NOW).await.unwrap().version, 1);
    Catalogs::new(table.another_store()).publish(&changed(), &prices(), NOW).await.unwrap();
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
    let item = store::items::keyed(
        store::schema::catalog_version(1),
        &store::items::CatalogItem { text: CATALOG.to_owned(), prices: prices(), at: NOW },
    );
    table.client.put_item().table_name(crate::table::TABLE).set_item(Some(item)).send().await.unwrap();
    let catalogs = Catalogs::new(table.store);
    assert_eq!(catalogs.publish(&changed(), &prices(), NOW).await.unwrap(), 2);
    assert_eq!(catalogs.current(NOW).await.unwrap().version, 2);
}
