//! Bank debits: asked for now, answered by the bank some days later.

use serde_json::{Value, json};

use crate::intents::{by_page, confirm};
use crate::stand::{Answer, DAY_MS, HOUR_MS, Stand, id, types};

const PAYS: &str = "DE89 3704 0044 0532 0130 00";
const FAILS: &str = "DE62 3704 0044 0532 0130 01";
const SEPA: &str = "&payment_method_types[]=card&payment_method_types[]=sepa_debit";
const AGREED: &str = "mandate_data[customer_acceptance][type]=offline";

async fn debit(stand: &Stand, session: &Value, field: &str, number: &str) -> Answer {
    let path = format!("/_sandbox/checkout/{}/pay", id(session));
    stand.shopper(&path, &format!(r#"{{"{field}":"{number}"}}"#)).await
}

async fn settle(stand: &Stand, intent: &str, outcome: &str) -> Answer {
    let path = format!("/_sandbox/payments/{intent}/settle");
    stand.shopper(&path, &format!(r#"{{"outcome":"{outcome}"}}"#)).await
}

fn sepa(iban: &str) -> String {
    format!(
        "type=sepa_debit&sepa_debit[iban]={iban}&billing_details[name]=Ada&billing_details[email]=ada@example.com"
    )
}

fn ach(account: &str) -> String {
    format!(
        "type=us_bank_account&us_bank_account[account_number]={account}\
         &us_bank_account[routing_number]=110000000&billing_details[name]=Ada"
    )
}

async fn method(stand: &Stand, form: &str) -> String {
    id(&stand.post("/v1/payment_methods", form).await).to_owned()
}

async fn session_of(stand: &Stand, session: &Value) -> Value {
    stand.get(&format!("/v1/checkout/sessions/{}?expand[]=payment_intent", id(session))).await
}

#[tokio::test]
async fn a_session_paid_by_debit_completes_unpaid_and_is_paid_three_days_later() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 999).await;
    let session =
        stand.session(&price, &format!("&payment_intent_data[metadata][package]=medium{SEPA}")).await;
    assert_eq!(session["payment_method_types"], json!(["card", "sepa_debit"]));
    let done = debit(&stand, &session, "iban", PAYS).await.json();
    assert_eq!((&done["status"], &done["payment_status"]), (&json!("complete"), &json!("unpaid")));
    let unpaid = session_of(&stand, &session).await;
    assert_eq!((&unpaid["status"], &unpaid["payment_status"]), (&json!("complete"), &json!("unpaid")));
    let intent = &unpaid["payment_intent"];
    assert_eq!((&intent["status"], &intent["amount_received"]), (&json!("processing"), &json!(0)));
    let charge = stand.get(&format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap())).await;
    assert_eq!((&charge["status"], &charge["paid"]), (&json!("pending"), &json!(false)));
    assert_eq!(charge["payment_method_details"]["sepa_debit"]["last4"], "3000");
    let seen = stand.event_types().await.len();
    assert_eq!(
        stand.event_types().await[2..],
        [
            "payment_intent.created",
            "charge.pending",
            "payment_intent.processing",
            "checkout.session.completed"
        ]
    );

    stand.live(3 * DAY_MS - 1).await;
    assert_eq!(stand.event_types().await.len(), seen);
    stand.live(1).await;
    let events = stand.events_after(seen).await;
    assert_eq!(
        types(&events),
        ["payment_intent.succeeded", "charge.succeeded", "checkout.session.async_payment_succeeded"]
    );
    assert_eq!(events[2]["data"]["object"]["payment_status"], "paid");
    let paid = session_of(&stand, &session).await;
    assert_eq!(paid["payment_intent"]["amount_received"], 999);
    let receipt = stand.charge_of(id(&paid["payment_intent"])).await;
    assert_eq!((&receipt["id"], &receipt["paid"]), (&charge["id"], &json!(true)));
    assert_eq!(stand.sandbox.next_due(), None);
}

#[tokio::test]
async fn a_debit_that_fails_is_told_of_and_leaves_the_session_unpaid() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 999).await;
    let session = stand.session(&price, SEPA).await;
    debit(&stand, &session, "iban", FAILS).await;
    let seen = stand.event_types().await.len();
    stand.live(3 * DAY_MS).await;
    assert_eq!(
        types(&stand.events_after(seen).await),
        ["charge.failed", "payment_intent.payment_failed", "checkout.session.async_payment_failed"]
    );
    let failed = session_of(&stand, &session).await;
    assert_eq!((&failed["status"], &failed["payment_status"]), (&json!("complete"), &json!("unpaid")));
    let intent = &failed["payment_intent"];
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["payment_method"]["sepa_debit"]["country"], "DE");
    assert_eq!(debit(&stand, &session, "iban", PAYS).await.status, 400, "the session is over");
}

#[tokio::test]
async fn an_ach_debit_takes_four_days_and_fails_with_its_own_code() {
    let stand = Stand::start().await;
    for (account, code) in [
        ("000123456789", ""),
        ("000111111113", "account_closed"),
        ("000111111116", "no_account"),
        ("000222222227", "insufficient_funds"),
        ("000333333335", "debit_not_authorized"),
    ] {
        let method = method(&stand, &ach(account)).await;
        let form = format!(
            "amount=999&currency=usd&payment_method_types[]=us_bank_account&payment_method={method}\
             &confirm=true&{AGREED}"
        );
        let asked = stand.post("/v1/payment_intents", &form).await;
        assert_eq!(asked["status"], "processing");
        stand.live(3 * DAY_MS).await;
        let path = format!("/v1/payment_intents/{}", id(&asked));
        assert_eq!(stand.get(&path).await["status"], "processing");
        stand.live(DAY_MS).await;
        let settled = stand.get(&path).await;
        let expected = if code.is_empty() { "succeeded" } else { "requires_payment_method" };
        assert_eq!(settled["status"], expected);
        assert_eq!(settled["last_payment_error"]["code"].as_str().unwrap_or_default(), code);
    }
}

#[tokio::test]
async fn a_debit_can_be_hurried_to_either_end_once() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 999).await;
    for (outcome, status, event) in [
        ("succeed", "succeeded", "checkout.session.async_payment_succeeded"),
        ("fail", "requires_payment_method", "checkout.session.async_payment_failed"),
    ] {
        let session = stand.session(&price, SEPA).await;
        let done = debit(&stand, &session, "iban", PAYS).await.json();
        let intent = done["payment_intent"].as_str().unwrap();
        assert_eq!(settle(&stand, intent, outcome).await.json()["status"], status);
        assert!(stand.event_types().await.contains(&event.to_owned()));
        assert_eq!(settle(&stand, intent, outcome).await.status, 400, "it is settled once");
    }
    stand.live(4 * DAY_MS).await;
    let settled = stand.get("/v1/events?type=checkout.session.async_payment_*").await;
    assert_eq!(settled["data"].as_array().unwrap().len(), 2, "nothing settles it again");
}

#[tokio::test]
async fn some_accounts_never_answer_and_some_dispute_what_they_paid() {
    let stand = Stand::start().await;
    let form = |method: &str| {
        format!(
            "amount=999&currency=usd&payment_method_types[]=us_bank_account&payment_method={method}\
             &confirm=true&{AGREED}"
        )
    };
    let silent = stand.post("/v1/payment_intents", &form("pm_usBankAccount_processing")).await;
    let disputing = stand.post("/v1/payment_intents", &form("pm_usBankAccount_dispute")).await;
    stand.live(30 * DAY_MS).await;
    let status = async |intent: &Value| {
        stand.get(&format!("/v1/payment_intents/{}", id(intent))).await["status"].clone()
    };
    assert_eq!((status(&silent).await, status(&disputing).await), (json!("processing"), json!("succeeded")));
    let disputes = stand.get(&format!("/v1/disputes?payment_intent={}", id(&disputing))).await;
    assert_eq!(disputes["data"][0]["reason"], "debit_not_authorized");
    let path = format!("/v1/payment_intents/{}/cancel", id(&silent));
    assert!(stand.try_post(&path, "", &[]).await.error()["message"].as_str().unwrap().contains("processing"));
}

#[tokio::test]
async fn a_debit_is_refunded_by_and_by() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 999).await;
    let session = stand.session(&price, SEPA).await;
    let intent = debit(&stand, &session, "iban", PAYS).await.json()["payment_intent"].clone();
    let form = format!("payment_intent={}", intent.as_str().unwrap());
    assert_eq!(stand.try_post("/v1/refunds", &form, &[]).await.status, 400, "nothing is there yet");
    stand.live(3 * DAY_MS).await;
    let refund = stand.post("/v1/refunds", &form).await;
    assert_eq!(refund["status"], "pending");
    assert!(refund["destination_details"].get("card").is_none());
    stand.live(HOUR_MS).await;
    assert_eq!(stand.get(&format!("/v1/refunds/{}", id(&refund))).await["status"], "succeeded");
}

#[tokio::test]
async fn a_subscription_bought_by_debit_is_active_at_once_and_past_due_if_the_bank_says_no() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let session = stand.subscription_session(&price, SEPA).await;
    let begun = debit(&stand, &session, "iban", FAILS).await.json();
    let subscription = begun["subscription"].as_str().unwrap();
    assert_eq!(stand.subscription(subscription).await["status"], "active");
    let invoice = stand.invoices(subscription).await.remove(0);
    assert_eq!(
        (&invoice["status"], &invoice["attempted"], &invoice["amount_paid"]),
        (&json!("open"), &json!(true), &json!(0))
    );
    for (path, form) in [("pay", ""), ("pay", "paid_out_of_band=true"), ("void", "")] {
        let refused = stand.try_post(&format!("/v1/invoices/{}/{path}", id(&invoice)), form, &[]).await;
        assert!(
            refused.error()["message"].as_str().unwrap().contains("still processing"),
            "{}",
            refused.text
        );
    }
    let seen = stand.event_types().await.len();
    stand.live(3 * DAY_MS).await;
    assert_eq!(
        types(&stand.events_after(seen).await),
        [
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.payment_failed",
            "customer.subscription.updated",
            "checkout.session.async_payment_failed",
        ]
    );
    assert_eq!(stand.subscription(subscription).await["status"], "past_due");
    let owed = stand.invoices(subscription).await.remove(0);
    assert_eq!(owed["next_payment_attempt"], stand.now() + 86_400);
}

#[tokio::test]
async fn a_subscription_bought_by_debit_renews_by_debit() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let session = stand.subscription_session(&price, SEPA).await;
    let begun = debit(&stand, &session, "iban", PAYS).await.json();
    let subscription = begun["subscription"].as_str().unwrap();
    let seen = stand.event_types().await.len();
    stand.live(3 * DAY_MS).await;
    assert_eq!(
        types(&stand.events_after(seen).await),
        [
            "payment_intent.succeeded",
            "charge.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice_payment.paid",
            "checkout.session.async_payment_succeeded",
        ]
    );
    stand.live(4 * DAY_MS).await;
    let seen = stand.event_types().await.len();
    stand.live(HOUR_MS).await;
    assert_eq!(
        types(&stand.events_after(seen).await),
        [
            "invoice.finalized",
            "payment_intent.created",
            "charge.pending",
            "payment_intent.processing",
            "invoice.updated",
        ]
    );
    stand.live(3 * DAY_MS).await;
    assert_eq!(stand.invoices(subscription).await[0]["status"], "paid");
    assert_eq!(stand.get("/v1/charges").await["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_subscription_that_waits_for_a_page_is_active_while_the_bank_is_asked() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let customer = stand.post("/v1/customers", "").await;
    let form = format!(
        "customer={}&items[0][price]={price}&payment_behavior=default_incomplete\
         &payment_settings[save_default_payment_method]=on_subscription\
         &expand[]=latest_invoice.confirmation_secret",
        id(&customer)
    );
    let subscription = stand.post("/v1/subscriptions", &form).await;
    let secret = subscription["latest_invoice"]["confirmation_secret"]["client_secret"].clone();
    let intent =
        json!({"id": secret.as_str().unwrap().split_once("_secret").unwrap().0, "client_secret": secret});
    let method = method(&stand, &sepa(&PAYS.replace(' ', ""))).await;
    let asked = by_page(&stand, &intent, &format!("&payment_method={method}")).await.json();
    assert_eq!(asked["status"], "processing");
    let active = stand.subscription(id(&subscription)).await;
    assert_eq!((&active["status"], &active["default_payment_method"]), (&json!("active"), &json!(method)));
    stand.live(2 * DAY_MS).await;
    assert_eq!(stand.subscription(id(&subscription)).await["status"], "active", "23 hours are no matter");
    stand.live(DAY_MS).await;
    assert_eq!(stand.invoices(id(&subscription)).await[0]["status"], "paid");
}

#[tokio::test]
async fn a_shop_shows_that_its_customer_agreed_to_a_debit() {
    let stand = Stand::start().await;
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let method = method(&stand, &sepa(&PAYS.replace(' ', ""))).await;
    let form = format!(
        "amount=999&currency=eur&customer={customer}&payment_method_types[]=sepa_debit\
         &setup_future_usage=off_session"
    );
    let made = stand.post("/v1/payment_intents", &form).await;
    let refused = confirm(&stand, &made, &format!("payment_method={method}")).await;
    assert_eq!((refused.status, &refused.error()["param"]), (400, &json!("mandate_data")));
    let asked = confirm(&stand, &made, &format!("payment_method={method}&{AGREED}")).await.json();
    let charge = stand.get(&format!("/v1/charges/{}", asked["latest_charge"].as_str().unwrap())).await;
    let mandate = charge["payment_method_details"]["sepa_debit"]["mandate"].as_str().unwrap();
    let mandate = stand.get(&format!("/v1/mandates/{mandate}")).await;
    assert_eq!((&mandate["status"], &mandate["payment_method"]), (&json!("active"), &json!(method)));
    let later = format!(
        "amount=500&currency=eur&customer={customer}&payment_method={method}&off_session=true&confirm=true\
         &payment_method_types[]=sepa_debit"
    );
    assert_eq!(stand.post("/v1/payment_intents", &later).await["status"], "processing", "once is enough");
}

#[tokio::test]
async fn a_session_takes_only_what_it_offers() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 999).await;
    let cards_only = stand.session(&price, "").await;
    assert_eq!(cards_only["payment_method_types"], json!(["card", "link"]));
    assert_eq!(debit(&stand, &cards_only, "iban", PAYS).await.status, 400);
    let sepa_only = stand.session(&price, "&payment_method_types[]=sepa_debit").await;
    assert_eq!(stand.pay(id(&sepa_only), "4242424242424242").await.status, 400);
    let unknown = debit(&stand, &sepa_only, "iban", "DE00").await;
    assert!(unknown.error()["message"].as_str().unwrap().contains("DE89370400440532013000 (pays)"));
    for (types, word) in [("us_bank_account", "usd"), ("klarna", "klarna")] {
        let form = format!(
            "mode=payment&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https://a.test\
             &payment_method_types[]={types}"
        );
        let refused = stand.try_post("/v1/checkout/sessions", &form, &[]).await;
        assert_eq!(refused.error()["param"], "payment_method_types");
        assert!(refused.error()["message"].as_str().unwrap().contains(word));
    }
}

#[tokio::test]
async fn the_page_offers_a_debit_where_the_session_does() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 999).await;
    let session = stand.session(&price, SEPA).await;
    let url = session["url"].as_str().unwrap();
    let page = stand.send("GET", url, &[], "").await.text;
    assert!(page.contains("Pay by SEPA Direct Debit") && page.contains("Test cards"), "{page}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let paid = stand.send("POST", url, &headers, "iban=DE89370400440532013000").await;
    assert_eq!(paid.status, 303);
    assert!(stand.send("GET", url, &[], "").await.text.contains("Under way"));
    let cards_only = stand.session(&price, "").await;
    let page = stand.send("GET", cards_only["url"].as_str().unwrap(), &[], "").await.text;
    assert!(!page.contains("Direct Debit"), "{page}");
    let empty = stand.send("POST", cards_only["url"].as_str().unwrap(), &headers, "card=").await;
    assert_eq!(empty.status, 402, "no card pays nothing");
}

#[tokio::test]
async fn renewals_can_be_moved_from_a_card_to_a_bank_account() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let path = format!("/_sandbox/subscriptions/{}/card", id(&bought));
    stand.shopper(&path, r#"{"iban":"DE89370400440532013000"}"#).await;
    stand.live(7 * DAY_MS + HOUR_MS).await;
    let invoice = stand.invoices(id(&bought)).await.remove(0);
    assert_eq!((&invoice["status"], &invoice["attempt_count"]), (&json!("open"), &json!(1)));
    let refused =
        stand.try_post(&format!("/v1/invoices/{}/pay", id(&invoice)), "off_session=false", &[]).await;
    assert_eq!(refused.error()["param"], "off_session");
    stand.live(3 * DAY_MS).await;
    assert_eq!(stand.invoices(id(&bought)).await[0]["status"], "paid");
    assert_eq!(stand.shopper(&path, r#"{"ibann":"x"}"#).await.status, 400, "a slip is not a card that pays");
}
