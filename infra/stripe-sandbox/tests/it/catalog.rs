//! Customers, products and prices.

use serde_json::json;

use crate::stand::{Stand, id};

#[tokio::test]
async fn an_update_tells_what_was_before() {
    let stand = Stand::start().await;
    let customer = stand.post("/v1/customers", "name=Ada&metadata[user]=u-1&metadata[plan]=free").await;
    let path = format!("/v1/customers/{}", id(&customer));
    let updated = stand.post(&path, "name=&metadata[plan]=&metadata[tier]=gold").await;
    assert_eq!(updated["name"], json!(null));
    assert_eq!(updated["metadata"], json!({"user": "u-1", "tier": "gold"}));
    stand.post(&path, "metadata[tier]=gold").await;

    let events = stand.get("/v1/events?type=customer.updated").await;
    assert_eq!(events["data"].as_array().unwrap().len(), 1, "no change, no event");
    assert_eq!(
        events["data"][0]["data"]["previous_attributes"],
        json!({"name": "Ada", "metadata": {"plan": "free", "tier": null}})
    );
}

#[tokio::test]
async fn a_deleted_customer_answers_as_a_stub() {
    let stand = Stand::start().await;
    let customer = stand.post("/v1/customers", "").await;
    let path = format!("/v1/customers/{}", id(&customer));
    assert_eq!(stand.delete(&path).await.json()["deleted"], true);
    assert_eq!(stand.get(&path).await["deleted"], true);
    assert_eq!(stand.get("/v1/customers").await["data"], json!([]));
    assert_eq!(stand.try_post(&path, "name=Ada", &[]).await.status, 404);
    assert_eq!(stand.delete(&path).await.status, 404);
    assert!(stand.event_types().await.contains(&"customer.deleted".to_owned()));
}

#[tokio::test]
async fn customers_are_found_by_metadata() {
    let stand = Stand::start().await;
    let ada = stand.post("/v1/customers", "email=a@b.test&metadata[user.id]=o'neil").await;
    stand.post("/v1/customers", "email=a@b.test&metadata[user.id]=2").await;
    let found = async |query: &str| {
        let form: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        stand.get(&format!("/v1/customers/search?query={form}")).await["data"].clone()
    };
    assert_eq!(found(r#"metadata['user.id']:"o'neil""#).await[0]["id"], ada["id"]);
    assert_eq!(found("email:'a@b.test'").await.as_array().unwrap().len(), 2);
    assert_eq!(found("email:'a@b.test' AND metadata['user.id']:'2'").await.as_array().unwrap().len(), 1);
    assert_eq!(found("metadata['user.id']:'3'").await, json!([]));
    assert_eq!(stand.try_get("/v1/customers/search?query=anything").await.status, 400);
}

#[tokio::test]
async fn a_product_may_bring_its_own_id_once() {
    let stand = Stand::start().await;
    stand.post("/v1/products", "id=tollgate_small&name=Small&metadata[tokens]=100").await;
    let again = stand.try_post("/v1/products", "id=tollgate_small&name=Small", &[]).await;
    assert_eq!(again.status, 400);
    assert_eq!(again.error()["code"], "resource_already_exists");
    let product = stand.post("/v1/products/tollgate_small", "description=Tokens&active=false").await;
    assert_eq!(product["metadata"]["tokens"], "100");
    assert_eq!(stand.get("/v1/products?active=true").await["data"], json!([]));
    assert_eq!(stand.get("/v1/products?ids[]=tollgate_small").await["data"][0]["description"], "Tokens");
}

#[tokio::test]
async fn a_lookup_key_moves_only_when_told_to() {
    let stand = Stand::start().await;
    let product = stand.post("/v1/products", "name=Small").await;
    let form = format!("currency=eur&unit_amount=499&product={}&lookup_key=small_eur", id(&product));
    let old = stand.post("/v1/prices", &form).await;
    assert_eq!(stand.try_post("/v1/prices", &form, &[]).await.error()["param"], "lookup_key");
    let new = stand.post("/v1/prices", &format!("{form}&transfer_lookup_key=true")).await;
    let found = stand.get("/v1/prices?lookup_keys[]=small_eur&active=true").await;
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(found["data"][0]["id"], new["id"]);
    assert_eq!(stand.get(&format!("/v1/prices/{}", id(&old))).await["lookup_key"], json!(null));
    let renamed = stand.post(&format!("/v1/prices/{}", id(&new)), "lookup_key=small_eur&nickname=S").await;
    assert_eq!(renamed["lookup_key"], "small_eur");
}

#[tokio::test]
async fn a_recurring_price_keeps_its_interval() {
    let stand = Stand::start().await;
    let form = "currency=usd&unit_amount=15000&product_data[name]=Basic&recurring[interval]=week";
    let price = stand.post("/v1/prices", form).await;
    assert_eq!(price["type"], "recurring");
    assert_eq!(price["recurring"]["interval_count"], 1);
    assert_eq!(stand.get("/v1/prices?type=recurring").await["data"][0]["id"], price["id"]);
    assert_eq!(stand.get("/v1/prices?recurring[interval]=month").await["data"], json!([]));
}
