//! Promotion codes: words that shoppers enter, and who may.

use serde_json::{Value, json};

use crate::coupons::{coupon, customer, promotion};
use crate::stand::{Answer, PAYS, Stand, id};

async fn enter(stand: &Stand, session: &Value, code: &str) -> Answer {
    let path = format!("/_sandbox/checkout/{}/promotion", id(session));
    stand.shopper(&path, &format!(r#"{{"code":"{code}"}}"#)).await
}

#[tokio::test]
async fn a_shopper_enters_a_code_at_the_till() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 1000).await;
    let coupon = coupon(&stand, "amount_off=400&currency=eur&max_redemptions=1").await;
    promotion(&stand, &coupon, "code=Hello-4").await;
    let session = stand.session(&price, "&allow_promotion_codes=true").await;
    let page = stand.send("GET", session["url"].as_str().unwrap(), &[], "").await.text;
    assert!(page.contains("Promotion code"), "{page}");
    assert_eq!(enter(&stand, &session, "nope").await.error()["param"], "code");
    let cheaper = enter(&stand, &session, "HELLO-4").await.json();
    assert_eq!((&cheaper["amount_total"], &cheaper["discounts"][0]["coupon"]), (&json!(600), &json!(null)));
    assert_eq!(enter(&stand, &session, "").await.json()["amount_total"], 1000, "taken back");

    let body = r#"{"card":"4000 0000 0000 0002"}"#;
    let pay = format!("/_sandbox/checkout/{}/pay", id(&session));
    assert_eq!(stand.shopper(&pay, body).await.status, 402);
    let done = stand.shopper(&pay, r#"{"promotion_code":"hello-4"}"#).await.json();
    let intent =
        stand.get(&format!("/v1/payment_intents/{}", done["payment_intent"].as_str().unwrap())).await;
    assert_eq!((&intent["amount"], &intent["amount_received"]), (&json!(600), &json!(600)));
    assert_eq!(stand.get(&format!("/v1/coupons/{coupon}")).await["valid"], false, "it was the only one");

    let next = stand.session(&price, "&allow_promotion_codes=true").await;
    assert_eq!(enter(&stand, &next, "hello-4").await.error()["code"], "coupon_expired");
    let closed = stand.session(&price, "").await;
    assert_eq!(enter(&stand, &closed, "hello-4").await.status, 400);
}

#[tokio::test]
async fn a_code_can_be_posted_by_the_page_itself() {
    let stand = Stand::start().await;
    let price = stand.price("Medium", 1000).await;
    let coupon = coupon(&stand, "percent_off=100").await;
    promotion(&stand, &coupon, "code=FREE").await;
    let session = stand.session(&price, "&allow_promotion_codes=true").await;
    let page = session["url"].as_str().unwrap();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let wrong = stand.send("POST", &format!("{page}/promotion"), &form, "code=nope").await;
    assert_eq!(wrong.status, 400);
    let complaint = "required aria-invalid=\"true\" aria-describedby=\"alert\" autofocus>\
                     <button type=\"submit\" class=\"quiet\">Apply</button></form>\
                     <p class=\"alert\" role=\"alert\" id=\"alert\">This code is invalid.</p>";
    assert!(wrong.text.contains(complaint), "it is the code that is wrong, not the card: {}", wrong.text);
    assert!(wrong.text.contains("<title>Pay</title>"), "no payment has failed");
    assert_eq!(stand.send("POST", &format!("{page}/promotion"), &form, "code=free").await.status, 303);
    let free = stand.get(&format!("/v1/checkout/sessions/{}", id(&session))).await;
    assert_eq!((&free["amount_total"], &free["payment_status"]), (&json!(0), &json!("no_payment_required")));
    let done = stand.pay(id(&session), PAYS).await.json();
    assert_eq!((&done["status"], &done["payment_intent"]), (&json!("complete"), &json!(null)));
    let wrong = stand.send("POST", &format!("{page}/promotion"), &form, "code=free").await;
    assert!(wrong.status == 200 || wrong.status == 400, "{}", wrong.status);
}

#[tokio::test]
async fn promotion_codes_have_their_terms() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 1000, "month").await;
    let off = coupon(&stand, "percent_off=10&duration=forever").await;
    let mine = customer(&stand).await;
    let ours = format!("customer={mine}&items[0][price]={price}");
    let try_with = async |code: &Value| {
        let form = format!("{ours}&discounts[0][promotion_code]={}", id(code));
        stand.try_post("/v1/subscriptions", &form, &[]).await
    };
    let stranger = customer(&stand).await;
    let refused = [
        promotion(&stand, &off, &format!("customer={stranger}")).await,
        promotion(&stand, &off, "active=false").await,
        promotion(
            &stand,
            &off,
            "restrictions[minimum_amount]=1001&restrictions[minimum_amount_currency]=eur",
        )
        .await,
        promotion(&stand, &off, &format!("expires_at={}", stand.now() + 60)).await,
    ];
    stand.live(61_000).await;
    for code in &refused {
        let answer = try_with(code).await;
        assert_eq!(
            (answer.status, &answer.error()["param"]),
            (400, &json!("discounts[0][promotion_code]")),
            "{code}"
        );
    }
    assert_eq!(stand.get(&format!("/v1/promotion_codes/{}", id(&refused[3]))).await["active"], false);
    let first = promotion(&stand, &off, "restrictions[first_time_transaction]=true").await;
    assert_eq!(try_with(&first).await.status, 200);
    assert_eq!(try_with(&first).await.status, 400, "the second is not the first");
    let once = promotion(&stand, &off, "max_redemptions=1&code=ONCE").await;
    assert_eq!(try_with(&once).await.status, 200);
    assert_eq!(try_with(&once).await.status, 400);
    let path = format!("/v1/promotion_codes/{}", id(&once));
    assert_eq!(stand.try_post(&path, "active=true", &[]).await.status, 400, "it is used up");
}

#[tokio::test]
async fn promotion_codes_are_found_by_their_word_and_are_one_at_a_time() {
    let stand = Stand::start().await;
    let off = coupon(&stand, "percent_off=10").await;
    let made = promotion(&stand, &off, "code=SPRING&metadata[a]=b").await;
    assert_eq!(made["promotion"], json!({"type": "coupon", "coupon": off}));
    let form = format!("promotion[type]=coupon&promotion[coupon]={off}&code=spring");
    assert_eq!(stand.try_post("/v1/promotion_codes", &form, &[]).await.error()["param"], "code");
    let other = promotion(&stand, &off, "").await;
    assert_eq!(other["code"].as_str().unwrap().len(), 8);
    assert_eq!(stand.get("/v1/promotion_codes?code=spring").await["data"], json!([made]));
    assert_eq!(stand.get(&format!("/v1/promotion_codes?coupon={off}&active=true")).await["data"][1], made);
    let path = format!("/v1/promotion_codes/{}", id(&made));
    assert_eq!(stand.post(&path, "active=false").await["active"], false);
    promotion(&stand, &off, "code=spring").await;
    assert_eq!(stand.try_post(&path, "active=true", &[]).await.error()["param"], "code", "the word is taken");
    for (form, param) in [
        ("coupon=x", "promotion"),
        ("promotion[type]=coupon", "promotion[coupon]"),
        ("promotion[type]=coupon&promotion[coupon]=none", "promotion[coupon]"),
        (&format!("promotion[type]=coupon&promotion[coupon]={off}&code=a%20b"), "code"),
        (
            &format!("promotion[type]=coupon&promotion[coupon]={off}&restrictions[minimum_amount]=5"),
            "restrictions[minimum_amount_currency]",
        ),
    ] {
        let refused = stand.try_post("/v1/promotion_codes", form, &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)), "{form}");
    }
}
