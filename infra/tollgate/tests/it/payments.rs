//! The record of what was paid: a user's own, what entries say of it, and what operators find.

use domain::catalog::Catalog;
use domain::ids::{CustomerId, PaymentId, UserId};
use domain::money::{Currency, Money};
use domain::payment::{Attempt, AttemptOutcome};
use domain::time::{DAY_MS, Time};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use store::items;
use tollgate::stack::Options;

use crate::harness::{Answer, Caller, DECLINED, PAID, World, eventually};

const VANTAGE: &str = r#"
[product]
id = "vantage"
name = "Vantage"
currency = "usd"

[checkout]
return_origins = ["https://vantage.example"]
success_url = "https://vantage.example/success?session_id={CHECKOUT_SESSION_ID}"
cancel_url = "https://vantage.example/cancel"

[plans.free]
name = "Free"
level = 0
default = true

[packages.starter]
name = "Starter"
tokens = 10
price = "9.99"

[packages.professional]
name = "Professional"
tokens = 50
price = "39.99"

[packages.enterprise]
name = "Enterprise"
tokens = 150
price = "99.99"
"#;

fn admin(world: &World) -> Caller<'_> {
    let mut caller = world.user("grace");
    let an_hour = std::time::Duration::from_secs(3600);
    caller.token = world.local().tokens().mint("grace", None, Some("admin"), an_hour);
    caller
}

/// The intent of a pack that was bought and credited.
async fn bought(world: &World, user: &Caller<'_>, package: &str) -> String {
    let session = user.opens(package).await;
    assert_eq!(world.pay(&session, PAID).await.status, StatusCode::OK);
    let session = world.stripe(&format!("/v1/checkout/sessions/{session}")).await;
    let intent = session["payment_intent"].as_str().unwrap().to_owned();
    eventually("the payment", async || listed(user, "status=completed").await.contains(&intent)).await;
    intent
}

async fn refund(world: &World, intent: &str) {
    let bearer = format!("Bearer {}", world.local().stripe_secret_key);
    let form = "application/x-www-form-urlencoded";
    let headers = [("authorization", bearer.as_str()), ("content-type", form)];
    let url = format!("{}/v1/refunds", world.local().stripe);
    let made = world.http.send(Method::POST, &url, &headers, format!("payment_intent={intent}")).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
}

/// A payment that was begun and is not paid, as it stands in the table.
async fn begun(world: &World, user: &str, payment: &str, at: Time, outcome: AttemptOutcome) {
    let attempt = Attempt {
        payment: PaymentId::parse(payment).unwrap(),
        item: "package:medium".parse().unwrap(),
        amount: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        customer: CustomerId::parse("cus_begun").ok(),
        invoice: None,
        outcome,
        at,
    };
    let item = items::from_attempt(&UserId::parse(user).unwrap(), &attempt);
    let put = world.table().await.put_item().table_name(tollgate::stack::TABLE);
    put.set_item(Some(item)).send().await.unwrap();
}

fn ids(answer: &Answer) -> Vec<String> {
    let payments = answer.json["payments"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    payments.iter().map(|payment| payment["id"].as_str().unwrap().to_owned()).collect()
}

/// What a user's own list shows.
async fn listed(user: &Caller<'_>, query: &str) -> Vec<String> {
    ids(&user.get(&format!("/v1/me/payments?{query}")).await)
}

/// What an operator finds.
async fn found(operator: &Caller<'_>, query: &str) -> Vec<String> {
    let answer = operator.get(&format!("/v1/admin/payments?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    ids(&answer)
}

/// Every page of a list, so many at once.
async fn paged(caller: &Caller<'_>, path: &str, limit: usize) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = caller.get(&format!("{path}limit={limit}&cursor={cursor}")).await;
        let ids = ids(&page);
        assert!(ids.len() <= limit, "{}", page.text);
        all.extend(ids);
        match page.json["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return all,
        }
    }
}

#[tokio::test]
async fn a_payment_shows_what_a_token_of_its_pack_cost() {
    let vantage =
        |options| Options { text: VANTAGE.to_owned(), catalog: Catalog::parse(VANTAGE).unwrap(), ..options };
    let world = World::with(vantage).await;
    let ada = world.user("ada");
    for (package, amount_minor, tokens, price_per_token) in [
        ("starter", 999, 10, "0.999"),
        ("professional", 3999, 50, "0.799"),
        ("enterprise", 9999, 150, "0.666"),
    ] {
        let intent = bought(&world, &ada, package).await;
        let newest = ada.get("/v1/me/payments?limit=1").await.json["payments"][0].clone();
        assert_eq!((&newest["id"], &newest["status"]), (&json!(intent), &json!("completed")), "{newest}");
        assert_eq!(newest["amount"], json!({ "amount_minor": amount_minor, "currency": "usd" }));
        assert_eq!(
            (&newest["tokens"], &newest["price_per_token"]),
            (&json!(tokens), &json!(price_per_token))
        );
        assert_eq!(newest["item"], format!("package:{package}"));
        assert_eq!(
            (&newest["reversed_minor"], &newest["tokens_taken_back"], &newest["failure"]),
            (&json!(0), &json!(0), &Value::Null)
        );
        assert!(newest["customer"].as_str().is_some_and(|customer| customer.starts_with("cus_")), "{newest}");
        assert!(newest.get("user").is_none(), "{newest}");
    }
}

#[tokio::test]
async fn a_users_payments_are_listed_newest_first_and_page_by_page() {
    let world = World::new().await;
    let ada = world.user("ada");
    let first = bought(&world, &ada, "small").await;
    world.advance("1d").await;
    let second = bought(&world, &ada, "small").await;
    let now = world.now().await.plus_ms(DAY_MS);
    for payment in ["pi_a", "pi_c", "pi_b"] {
        begun(&world, "ada", payment, now, AttemptOutcome::Pending).await;
    }
    let failed = AttemptOutcome::Failed("insufficient_funds".to_owned());
    begun(&world, "ada", "pi_failed", now.plus_ms(1), failed).await;
    let all = ["pi_failed", "pi_c", "pi_b", "pi_a", &second, &first];
    for limit in 1..=7 {
        assert_eq!(paged(&ada, "/v1/me/payments?", limit).await, all);
    }
    let failed = ada.get("/v1/me/payments?status=failed").await.json["payments"][0].clone();
    assert_eq!((&failed["status"], &failed["failure"]), (&json!("failed"), &json!("insufficient_funds")));
    assert_eq!((&failed["tokens"], &failed["price_per_token"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn payments_can_be_asked_by_status_and_month_and_nonsense_is_told_what_is_right() {
    let world = World::new().await;
    let ada = world.user("ada");
    let paid = bought(&world, &ada, "small").await;
    let now = world.now().await;
    let earlier = now.plus_ms(-40 * DAY_MS);
    begun(&world, "ada", "pi_earlier", earlier, AttemptOutcome::Pending).await;
    assert_eq!(listed(&ada, "status=completed").await, [paid.as_str()]);
    assert_eq!(listed(&ada, &format!("month={}", earlier.month())).await, ["pi_earlier"]);
    assert_eq!(listed(&ada, &format!("month={}&status=failed", earlier.month())).await, [""; 0]);
    let operator = admin(&world);
    for (query, told) in [
        ("status=paid", "pending, failed, completed or refunded"),
        ("month=November", "2026-11"),
        ("month=2026-13", "2026-11"),
        ("limit=0", "from 1 to 100"),
        ("cursor=7", "`next`"),
    ] {
        for (caller, path) in [(&ada, "/v1/me/payments"), (&operator, "/v1/admin/payments")] {
            let refused = caller.get(&format!("{path}?{query}")).await;
            refused.expect_problem(400, "invalid_request");
            assert!(refused.json["detail"].as_str().unwrap().contains(told), "{}", refused.text);
        }
    }
}

#[tokio::test]
async fn nobody_sees_the_payments_of_another() {
    let world = World::new().await;
    let (ada, eve) = (world.user("ada"), world.user("eve"));
    let paid = bought(&world, &ada, "small").await;
    assert_eq!(listed(&eve, "").await, [""; 0]);
    eve.get("/v1/users/ada/payments").await.expect_problem(403, "forbidden");
    assert_eq!(ids(&world.service().get("/v1/users/ada/payments").await), [paid.as_str()]);
    for caller in [&ada, &eve, &world.service()] {
        caller.get(&format!("/v1/admin/payments?payment={paid}")).await.expect_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn an_operator_finds_payments_by_intent_customer_and_user() {
    let world = World::new().await;
    let (ada, eve, operator) = (world.user("ada"), world.user("eve"), admin(&world));
    let first = bought(&world, &ada, "small").await;
    world.advance("1h").await;
    let second = bought(&world, &ada, "medium").await;
    let hers = bought(&world, &eve, "small").await;
    begun(&world, "ada", "pi_begun", world.now().await.plus_ms(1), AttemptOutcome::Pending).await;
    let shown = operator.get(&format!("/v1/admin/payments?payment={first}")).await.json;
    assert_eq!((&shown["payments"][0]["id"], &shown["payments"][0]["user"]), (&json!(first), &json!("ada")));
    assert_eq!((shown["payments"].as_array().unwrap().len(), &shown["next"]), (1, &Value::Null));
    let customer = shown["payments"][0]["customer"].as_str().unwrap();
    let of_customer = format!("customer={customer}");
    assert_eq!(found(&operator, &of_customer).await, [second.as_str(), &first]);
    assert_eq!(
        paged(&operator, &format!("/v1/admin/payments?{of_customer}&"), 1).await,
        [second.as_str(), &first]
    );
    assert_eq!(found(&operator, "user=ada").await, ["pi_begun", &second, &first]);
    assert_eq!(found(&operator, "user=ada&status=pending").await, ["pi_begun"]);
    assert_eq!(found(&operator, "user=eve").await, [hers.as_str()]);
    assert_eq!(found(&operator, &format!("payment={hers}&status=completed")).await, [hers.as_str()]);
    for nothing in [
        format!("payment={hers}&status=refunded"),
        format!("payment={hers}&month=2020-01"),
        "payment=pi_unknown".to_owned(),
        "customer=cus_unknown".to_owned(),
        "user=nobody".to_owned(),
    ] {
        assert_eq!(found(&operator, &nothing).await, [""; 0], "{nothing}");
    }
    for wrong in ["payment=ch_1", "customer=ada", "user=ada&customer=cus_1"] {
        let refused = operator.get(&format!("/v1/admin/payments?{wrong}")).await;
        refused.expect_problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn an_operator_finds_by_its_intent_what_an_invoice_was_paid_with_and_what_is_not_paid_yet() {
    let world = World::without_webhooks().await;
    let (ada, operator) = (world.user("ada"), admin(&world));
    let session = ada.opens_plan("premium").await;
    world.pay(&session, PAID).await;
    assert_eq!(ada.get(&format!("/v1/me/checkout/{session}")).await.json["status"], "complete");
    let of_invoice = listed(&ada, "").await.remove(0);
    assert_eq!(found(&operator, &format!("payment={of_invoice}")).await, [of_invoice.as_str()]);
    let session = ada.opens("small").await;
    world.pay(&session, DECLINED).await;
    let failed = world.event("payment_intent.payment_failed").await["data"]["object"]["id"].clone();
    let failed = failed.as_str().unwrap();
    // Whose it is Stripe knows; but there is nothing to show yet.
    assert_eq!(found(&operator, &format!("payment={failed}")).await, [""; 0]);
    let why = AttemptOutcome::Failed("card_declined".to_owned());
    begun(&world, "ada", failed, world.now().await, why).await;
    assert_eq!(found(&operator, &format!("payment={failed}")).await, [failed]);
    assert_eq!(found(&operator, &format!("payment={failed}&status=completed")).await, [""; 0]);
}

#[tokio::test]
async fn an_operator_finds_everybodys_payments_by_status_and_month() {
    let world = World::new().await;
    let operator = admin(&world);
    let now = world.now().await;
    let mut expected = Vec::new();
    for number in 0..30 {
        // Ten of one millisecond, of several users.
        let at = now.plus_ms(number.max(10));
        let payment = format!("pi_{number:02}");
        begun(&world, &format!("user{}", number % 4), &payment, at, AttemptOutcome::Pending).await;
        expected.insert(0, payment);
    }
    let earlier = now.plus_ms(-40 * DAY_MS);
    begun(&world, "ada", "pi_earlier", earlier, AttemptOutcome::Pending).await;
    for limit in [4, 30] {
        assert_eq!(paged(&operator, "/v1/admin/payments?", limit).await, expected);
        assert_eq!(paged(&operator, "/v1/admin/payments?status=pending&", limit).await, expected);
    }
    assert_eq!(found(&operator, "status=failed").await, [""; 0]);
    assert_eq!(found(&operator, &format!("month={}", earlier.month())).await, ["pi_earlier"]);
}

#[tokio::test]
async fn a_refunded_payment_moves_from_completed_to_refunded() {
    let world = World::new().await;
    let (ada, operator) = (world.user("ada"), admin(&world));
    let refunded = bought(&world, &ada, "medium").await;
    let kept = bought(&world, &ada, "small").await;
    assert_eq!(found(&operator, "status=completed").await.len(), 2);
    refund(&world, &refunded).await;
    ada.until_available(100).await;
    assert_eq!(found(&operator, "status=completed").await, [kept.as_str()]);
    assert_eq!(found(&operator, "status=refunded").await, [refunded.as_str()]);
    let shown = ada.get("/v1/me/payments?status=refunded").await.json["payments"][0].clone();
    assert_eq!(
        (&shown["reversed_minor"], &shown["tokens"], &shown["tokens_taken_back"]),
        (&json!(999), &json!(275), &json!(275)),
        "{shown}"
    );
}

#[tokio::test]
async fn entries_show_the_payments_that_they_name_as_they_stand_now() {
    let world = World::new().await;
    let ada = world.user("ada");
    let pack = bought(&world, &ada, "medium").await;
    world.pay(&ada.opens_plan("premium").await, PAID).await;
    ada.until_available(775).await;
    ada.post_once("/v1/me/consume", "photo", json!({ "action": "photo" })).await;
    let body = json!({ "payment": pack });
    let refunded = admin(&world).post_once("/v1/admin/refunds", "back", body).await;
    assert_eq!(refunded.status, StatusCode::CREATED, "{}", refunded.text);
    ada.until_available(495).await;
    let entries = ada.get("/v1/me/wallet/entries").await.json["entries"].clone();
    let of_kind = |kind: &str| {
        let entries = entries.as_array().unwrap().iter().filter(|entry| entry["kind"] == kind);
        entries.cloned().collect::<Vec<_>>()
    };
    for kind in ["purchase", "refund", "reversal"] {
        let payments = &of_kind(kind)[0]["payments"];
        let shown = (&payments[0]["id"], &payments[0]["status"], &payments[0]["tokens_taken_back"]);
        assert_eq!(shown, (&json!(pack), &json!("refunded"), &json!(275)), "{kind}: {payments}");
        assert_eq!(payments.as_array().unwrap().len(), 1, "{kind}");
    }
    let invoice = &of_kind("invoice")[0];
    let payments = invoice["payments"].as_array().unwrap();
    assert_eq!((payments.len(), &payments[0]["status"]), (1, &json!("completed")), "{invoice}");
    assert_eq!((&payments[0]["invoice"], &payments[0]["amount"]), (&invoice["invoice"], &invoice["paid"]));
    for kind in ["consume", "checkout", "subscription"] {
        assert!(of_kind(kind)[0].get("payments").is_none(), "{kind}");
    }
    let by_cause = ada.get(&format!("/v1/me/wallet/entries?cause=pay:{pack}")).await.json;
    assert_eq!(by_cause["entries"][0]["payments"][0]["id"], pack);
}
