//! What a shop knows of its customers.

use serde_json::{Value, json};

use crate::stand::{Stand, id, types};

const WHOLE: &str = "name=Ada&email=ada@example.com&phone=%2B33+1&address[line1]=1+Rue&address[city]=Paris\
                     &address[country]=FR&shipping[name]=Ada&shipping[phone]=%2B33+2\
                     &shipping[address][line1]=2+Rue&shipping[address][country]=FR";

async fn previous(stand: &Stand, seen: usize) -> Value {
    let told = stand.events_after(seen).await;
    assert_eq!(types(&told), ["customer.updated"]);
    told[0]["data"]["previous_attributes"].clone()
}

#[tokio::test]
async fn a_customer_has_an_address_and_one_to_ship_to() {
    let stand = Stand::start().await;
    let made = stand.post("/v1/customers", WHOLE).await;
    assert_eq!(
        made["address"],
        json!({
            "city": "Paris", "country": "FR", "line1": "1 Rue", "line2": null, "postal_code": null, "state": null,
        })
    );
    assert_eq!((&made["phone"], &made["shipping"]["phone"]), (&json!("+33 1"), &json!("+33 2")));
    assert_eq!(made["shipping"]["address"]["line1"], "2 Rue");
}

#[tokio::test]
async fn what_is_not_named_of_an_address_stays() {
    let stand = Stand::start().await;
    let made = stand.post("/v1/customers", WHOLE).await;
    let path = format!("/v1/customers/{}", id(&made));
    let seen = stand.event_types().await.len();
    let moved = stand.post(&path, "address[line1]=9+Rue&shipping[address][city]=Lyon").await;
    assert_eq!((&moved["address"]["line1"], &moved["address"]["city"]), (&json!("9 Rue"), &json!("Paris")));
    assert_eq!((&moved["shipping"]["name"], &moved["shipping"]["phone"]), (&json!("Ada"), &json!("+33 2")));
    assert_eq!(
        previous(&stand, seen).await,
        json!({"address": {"line1": "1 Rue"}, "shipping": {"address": {"city": null}}})
    );
}

#[tokio::test]
async fn each_detail_can_be_taken_away() {
    let stand = Stand::start().await;
    let made = stand.post("/v1/customers", WHOLE).await;
    let path = format!("/v1/customers/{}", id(&made));
    for name in ["name", "email", "phone", "address", "shipping"] {
        let seen = stand.event_types().await.len();
        let cleared = stand.post(&path, &format!("{name}=")).await;
        assert_eq!(cleared[name], json!(null), "{name}");
        assert_eq!(previous(&stand, seen).await, json!({name: made[name]}));
    }
    let seen = stand.event_types().await.len();
    stand.post(&path, "name=").await;
    assert_eq!(stand.event_types().await.len(), seen, "nothing changed, nothing is told");
    for (form, param) in [
        ("shipping[address][city]=Lyon", "shipping[name]"),
        ("shipping[name]=Ada", "shipping[address]"),
        ("email=ada", "email"),
        ("address[street]=x", "address[street]"),
        ("tax_id_data[0][type]=eu_vat", "tax_id_data"),
    ] {
        assert_eq!(stand.try_post(&path, form, &[]).await.error()["param"], param, "{form}");
    }
}

#[tokio::test]
async fn a_new_customer_may_come_with_a_card() {
    let stand = Stand::start().await;
    let form = "payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa";
    let made = stand.post("/v1/customers", form).await;
    let default = made["invoice_settings"]["default_payment_method"].as_str().unwrap();
    let methods = stand.get(&format!("/v1/customers/{}/payment_methods", id(&made))).await;
    assert_eq!(methods["data"][0]["id"], default);
    assert_eq!(stand.event_types().await, ["customer.created", "payment_method.attached"]);
    let declined = stand.try_post("/v1/customers", "payment_method=pm_card_visa_chargeDeclined", &[]).await;
    assert_eq!(declined.status, 402);
    assert_eq!(stand.get("/v1/customers").await["data"].as_array().unwrap().len(), 1, "no half customer");
    let other = format!("invoice_settings[default_payment_method]={default}");
    assert_eq!(
        stand.try_post("/v1/customers", &other, &[]).await.error()["param"],
        "invoice_settings[default_payment_method]"
    );
}
