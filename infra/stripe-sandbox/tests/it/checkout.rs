//! A shopper at the till.

use serde_json::json;
use tokio::task::JoinSet;

use crate::stand::{HOUR_MS, MINUTE_MS, Stand, id};

const PAYS: &str = "4242 4242 4242 4242";
const DECLINED: &str = "4000 0000 0000 0002";
const ASKS: &str = "4000 0025 0000 3155";

#[tokio::test]
async fn a_paid_session_completes_once_and_sends_its_two_events() {
    let stand = Stand::start().await;
    let customer = stand.post("/v1/customers", "email=ada@example.com").await;
    let price = stand.price("Medium", 999).await;
    let more = format!(
        "&customer={}&client_reference_id=u-1&metadata[user]=u-1&payment_intent_data[metadata][package]=medium",
        id(&customer)
    );
    let session = stand.session(&price, &more).await;
    assert_eq!(session["payment_status"], "unpaid");
    assert_eq!(session["payment_intent"], json!(null));

    let paid = stand.pay(id(&session), PAYS).await.json();
    assert_eq!(paid["status"], "complete");
    assert_eq!(paid["redirect"], format!("https://shop.test/done?s={}", id(&session)));

    let session = stand.get(&format!("/v1/checkout/sessions/{}?expand[]=payment_intent", id(&session))).await;
    assert_eq!(session["status"], "complete");
    assert_eq!(session["payment_status"], "paid");
    assert_eq!(session["customer"], customer["id"]);
    assert_eq!(session["metadata"], json!({"user": "u-1"}));
    let intent = &session["payment_intent"];
    assert_eq!(intent["id"], paid["payment_intent"]);
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(intent["amount_received"], 999);
    assert_eq!(intent["metadata"], json!({"package": "medium"}));
    let charge = stand.get(&format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap())).await;
    assert_eq!(charge["paid"], true);
    assert_eq!(charge["metadata"], intent["metadata"]);

    stand.sandbox.run_due().await;
    for (kind, object) in
        [("checkout.session.completed", id(&session)), ("payment_intent.succeeded", id(intent))]
    {
        let received = stand.hook.received_of(kind);
        assert_eq!(received.len(), 1, "{kind}");
        assert_eq!(received[0].event()["data"]["object"]["id"], object);
    }
}

#[tokio::test]
async fn a_session_that_is_paid_cannot_be_paid_again() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    stand.pay(id(&session), PAYS).await;
    let again = stand.pay(id(&session), PAYS).await;
    assert_eq!(again.status, 400);
    assert!(again.error()["message"].as_str().unwrap().contains("already complete"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_payments_pay_once() {
    let stand = std::sync::Arc::new(Stand::start().await);
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    let mut payments = JoinSet::new();
    for _ in 0..8 {
        let (stand, session) = (stand.clone(), id(&session).to_owned());
        payments.spawn(async move { stand.pay(&session, PAYS).await.status });
    }
    let statuses = payments.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    let charges = stand.get("/v1/charges").await;
    assert_eq!(charges["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;

    let declined = stand.pay(id(&session), DECLINED).await;
    assert_eq!(declined.status, 402);
    let error = declined.error();
    assert_eq!(error["type"], "card_error");
    assert_eq!(error["code"], "card_declined");
    assert_eq!(error["decline_code"], "generic_decline");
    let intent = error["payment_intent"]["id"].clone();

    let open = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
    assert_eq!(open["status"], "open");
    assert_eq!(open["payment_intent"], intent);
    assert_eq!(
        stand.event_types().await[2..],
        ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    );

    let paid = stand.pay(id(&session), PAYS).await.json();
    assert_eq!(paid["status"], "complete");
    assert_eq!(paid["payment_intent"], intent, "the same intent is tried again");
}

#[tokio::test]
async fn a_card_without_funds_says_so() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    let declined = stand.pay(id(&session), "4000000000009995").await;
    assert_eq!(declined.status, 402);
    assert_eq!(declined.error()["decline_code"], "insufficient_funds");
    let intent = declined.error()["payment_intent"]["id"].as_str().unwrap().to_owned();
    let intent = stand.get(&format!("/v1/payment_intents/{intent}")).await;
    let error = &intent["last_payment_error"];
    assert_eq!(
        (&error["code"], &error["decline_code"]),
        (&json!("card_declined"), &json!("insufficient_funds"))
    );
    let charge = stand.get(&format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap())).await;
    assert_eq!((&charge["status"], &charge["receipt_url"]), (&json!("failed"), &json!(null)));
}

#[tokio::test]
async fn an_unknown_card_is_answered_with_the_known_ones() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    let refused = stand.pay(id(&session), "5555555555554400").await;
    assert_eq!(refused.status, 402);
    let message = refused.error()["message"].as_str().unwrap().to_owned();
    for card in [PAYS, DECLINED, ASKS] {
        assert!(message.contains(card), "{message}");
    }
    let session = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
    assert_eq!(session["payment_intent"], json!(null), "nothing was attempted");
}

#[tokio::test]
async fn a_card_that_asks_pays_only_once_authenticated() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;

    let asked = stand.pay(id(&session), ASKS).await.json();
    assert_eq!(asked["status"], "requires_action");
    let open = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
    assert_eq!((&open["status"], &open["payment_status"]), (&json!("open"), &json!("unpaid")));

    let next = asked["next"].as_str().unwrap();
    let failed = stand.shopper(next, r#"{"outcome":"fail"}"#).await;
    assert_eq!(failed.status, 402);
    assert_eq!(failed.error()["code"], "payment_intent_authentication_failure");
    assert_eq!(stand.shopper(next, "").await.status, 400, "nothing is left to authenticate");

    stand.pay(id(&session), ASKS).await;
    let done = stand.shopper(next, "").await.json();
    assert_eq!(done["status"], "complete");
    let completed = stand.get("/v1/events?type=checkout.session.completed").await;
    assert_eq!(completed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_expires_when_its_time_comes() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let in_an_hour = stand.now() + 3600;
    let session = stand.session(&price, &format!("&expires_at={in_an_hour}")).await;
    stand.sandbox.run_due().await;
    assert_eq!(stand.sandbox.next_due(), Some(in_an_hour * 1000));

    stand.advance(HOUR_MS);
    stand.sandbox.run_due().await;
    assert_eq!(stand.sandbox.next_due(), None);
    let received = stand.hook.received_of("checkout.session.expired");
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].event()["data"]["object"]["status"], "expired");

    let late = stand.pay(id(&session), PAYS).await;
    assert_eq!(late.status, 400);
    assert!(late.error()["message"].as_str().unwrap().contains("expired"));
}

#[tokio::test]
async fn a_payment_in_the_moment_of_expiry_is_too_late() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    stand.advance(24 * HOUR_MS);
    assert_eq!(stand.pay(id(&session), PAYS).await.status, 400);
    let session = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
    assert_eq!(session["status"], "expired");
}

#[tokio::test]
async fn a_shop_can_expire_an_open_session_once() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let session = stand.session(&price, "").await;
    stand.pay(id(&session), DECLINED).await;
    let path = format!("/v1/checkout/sessions/{}/expire", id(&session));
    let expired = stand.post(&path, "").await;
    assert_eq!(expired["status"], "expired");
    assert_eq!(expired["url"], json!(null));
    let intent =
        stand.get(&format!("/v1/payment_intents/{}", expired["payment_intent"].as_str().unwrap())).await;
    assert_eq!(intent["status"], "canceled");
    assert_eq!(stand.try_post(&path, "", &[]).await.status, 400);
}

#[tokio::test]
async fn a_session_lives_between_half_an_hour_and_a_day() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let form = |seconds: i64| {
        format!(
            "mode=payment&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https://a.test\
             &expires_at={}",
            stand.now() + seconds
        )
    };
    for (seconds, status) in [(1799, 400), (1800, 200), (86_400, 200), (86_401, 400)] {
        let answer = stand.try_post("/v1/checkout/sessions", &form(seconds), &[]).await;
        assert_eq!(answer.status, status, "{seconds} s: {}", answer.text);
        if status == 400 {
            assert_eq!(answer.error()["param"], "expires_at");
        }
    }
    stand.advance(MINUTE_MS);
}

#[tokio::test]
async fn a_free_session_needs_no_payment() {
    let stand = Stand::start().await;
    let price = stand.price("Gift", 0).await;
    let session = stand.session(&price, "").await;
    assert_eq!(session["payment_status"], "no_payment_required");
    let done = stand.pay(id(&session), PAYS).await.json();
    assert_eq!(done["status"], "complete");
    assert_eq!(done["payment_intent"], json!(null));
    assert_eq!(stand.get("/v1/payment_intents").await["data"], json!([]));
}

#[tokio::test]
async fn a_session_prices_its_lines_when_it_is_made() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let form = format!(
        "mode=payment&success_url=https://a.test&line_items[0][price]={price}&line_items[0][quantity]=3\
         &line_items[1][quantity]=1&line_items[1][price_data][currency]=eur\
         &line_items[1][price_data][unit_amount]=100&line_items[1][price_data][product_data][name]=Tip\
         &expand[]=line_items"
    );
    let session = stand.post("/v1/checkout/sessions", &form).await;
    assert_eq!(session["amount_total"], 3 * 499 + 100);
    assert_eq!(session["line_items"]["data"][1]["description"], "Tip");
    let lines = stand.get(&format!("/v1/checkout/sessions/{}/line_items?limit=1", id(&session))).await;
    assert_eq!(lines["has_more"], true);
    assert_eq!(lines["data"][0]["amount_total"], 3 * 499);
    let sellable = stand.get("/v1/prices?active=true").await;
    assert_eq!(sellable["data"].as_array().unwrap().len(), 1, "an inline price is for nobody else");
}

#[tokio::test]
async fn what_cannot_be_sold_is_refused() {
    let stand = Stand::start().await;
    let price = stand.price("Small", 499).await;
    let tiny = stand.price("Tiny", 49).await;
    let monthly = stand
        .post("/v1/prices", "currency=eur&unit_amount=999&recurring[interval]=month&product_data[name]=Plan")
        .await;
    let archived = stand.price("Old", 499).await;
    stand.post(&format!("/v1/prices/{archived}"), "active=false").await;
    let sell = |price: &str, more: &str| {
        format!(
            "mode=payment&success_url=https://a.test&line_items[0][price]={price}&line_items[0][quantity]=1{more}"
        )
    };
    let cases = [
        (sell("price_none", ""), "resource_missing", "line_items[0][price]"),
        (sell(&price, "&customer=cus_none"), "resource_missing", "customer"),
        (sell(&archived, ""), "", "line_items[0][price]"),
        (sell(id(&monthly), ""), "", "line_items[0][price]"),
        (sell(&tiny, ""), "amount_too_small", ""),
        (
            format!("mode=payment&success_url=https://a.test&line_items[0][price]={price}"),
            "parameter_missing",
            "line_items[0][quantity]",
        ),
        (
            format!("mode=payment&line_items[0][price]={price}&line_items[0][quantity]=1"),
            "parameter_missing",
            "success_url",
        ),
        (sell(&price, "&success_url=javascript:alert(1)"), "url_invalid", "success_url"),
        (sell(&price, "&line_items[0][colour]=red"), "parameter_unknown", "line_items[0][colour]"),
    ];
    for (form, code, param) in cases {
        let answer = stand.try_post("/v1/checkout/sessions", &form, &[]).await;
        assert_eq!(answer.status, 400, "{form}: {}", answer.text);
        let error = answer.error();
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["code"].as_str().unwrap_or_default(), code, "{form}");
        assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{form}");
    }
    assert_eq!(stand.get("/v1/checkout/sessions").await["data"], json!([]));
}
