//! Erasing a user: who they were is gone, what was paid and spent is still in the books.

mod command;
mod export;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::entry::{Entry, Sealed};
use domain::hash::Hash;
use domain::ids::{CustomerId, PaymentId, UserId};
use domain::payment::References;
use domain::replay::Replay;
use hyper::StatusCode;
use serde_json::{Value, json};
use store::{HTTP_BUDGET, Pointed, Read, Store, schema};
use tollgate::stack::TABLE;

use crate::harness::{Answer, Caller, PAID, World, eventually};

const EMAIL: &str = "ada@app.example";
const NOTE: &str = "she waited for a week";
const THANKS: &str = "https://app.dreamaigirl.com/thanks?for=lovelace";
const RECEIPT: &str = "https://pay.stripe.com/receipts/lovelace";
const ERASE: &str = "/v1/admin/users/ada/erase";

type Item = std::collections::HashMap<String, AttributeValue>;

fn ada(world: &World) -> Caller<'_> {
    let mut ada = world.user("ada");
    ada.token = world.local().tokens().mint("ada", Some(EMAIL), None, Duration::from_secs(3600));
    ada
}

fn ada_id() -> UserId {
    UserId::parse("ada").unwrap()
}

/// The table as functions see it.
async fn store(world: &World) -> Store {
    let env = tollgate::stack::settings(world.local(), "", None);
    let (aws, endpoint, table) = edge::aws::table(&env).await.unwrap();
    Store::open(&aws, endpoint, &table, HTTP_BUDGET)
}

/// Every item, by its key.
async fn everything(world: &World) -> BTreeMap<(String, String), Item> {
    let (mut items, mut from) = (BTreeMap::new(), None);
    loop {
        let scan = world.table().await.scan().table_name(TABLE).consistent_read(true);
        let page = scan.set_exclusive_start_key(from).send().await.unwrap();
        for item in page.items() {
            let part = |name: &str| item[name].as_s().unwrap().clone();
            items.insert((part("PK"), part("SK")), item.clone());
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return items;
        }
    }
}

async fn erased(world: &World) -> Answer {
    erased_under(world, "k").await
}

async fn erased_under(world: &World, key: &str) -> Answer {
    let answer = world.operator().post_once(ERASE, key, json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer
}

/// The intent of a pack that ada buys, who then returns to a page of her own.
async fn buys(world: &World, ada: &Caller<'_>) -> PaymentId {
    let wanted = json!({ "package": "medium", "success_url": THANKS });
    let session = ada.post_once("/v1/me/checkout", "pack", wanted).await;
    let session = session.json["id"].as_str().unwrap_or_else(|| panic!("{}", session.text)).to_owned();
    assert_eq!(world.pay(&session, PAID).await.status, StatusCode::OK);
    let had = ada.available().await;
    let shown = ada.get(&format!("/v1/me/checkout/{session}")).await;
    assert_eq!(shown.json["status"], "complete", "{}", shown.text);
    assert!(ada.available().await >= had, "{}", shown.text);
    let session = world.stripe(&format!("/v1/checkout/sessions/{session}")).await;
    PaymentId::parse(session["payment_intent"].as_str().unwrap()).unwrap()
}

/// Everything that the books can know of somebody.
async fn lives(world: &World) -> PaymentId {
    let (operator, ada) = (world.operator(), ada(world));
    let grant = json!({ "email": EMAIL, "tokens": 30, "note": NOTE });
    assert_eq!(operator.post_once("/v1/admin/grants", "g1", grant).await.status, StatusCode::CREATED);
    let payment = buys(world, &ada).await;
    let receipt_url = Some(RECEIPT.to_owned());
    let references = References { receipt_url, ..References::default() };
    let store = store(world).await;
    assert!(store.refer(&ada_id(), &payment, &references).await.unwrap());
    // Another payment, of which Stripe has told nothing but this.
    let other = PaymentId::parse("pi_heard_of").unwrap();
    assert!(store.refer(&ada_id(), &other, &references).await.unwrap());
    let spent = ada.post_once("/v1/me/consume", "c", json!({ "tokens": 5 })).await;
    assert_eq!(spent.status, StatusCode::OK, "{}", spent.text);
    let hold = ada.post_once("/v1/me/holds", "h", json!({ "tokens": 7 })).await;
    assert_eq!(hold.status, StatusCode::CREATED, "{}", hold.text);
    payment
}

/// The plan that ada subscribes to.
async fn subscribes(world: &World) -> String {
    let session = ada(world).opens_plan("premium").await;
    assert_eq!(world.pay(&session, PAID).await.status, StatusCode::OK);
    let me = ada(world);
    assert_eq!(me.get(&format!("/v1/me/checkout/{session}")).await.json["status"], "complete");
    me.get("/v1/me").await.json["subscriptions"][0]["id"].as_str().unwrap().to_owned()
}

/// Stripe tells of these, and all of it is handled.
async fn heard<const N: usize>(world: &World, events: [Value; N]) {
    for event in events {
        let answer = world.deliver(&event).await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!(world.waiting("WebhookDeadLetters").await, 0);
}

/// Under a user there is an account and what was paid, and nobody who paid it.
fn expect_no_buyer(items: &BTreeMap<(String, String), Item>) {
    for ((pk, sk), item) in items {
        assert!(!pk.starts_with("C#") && !pk.starts_with("M#"), "{pk} {sk}");
        if pk == "U#ada" {
            assert!(sk == "A" || sk.starts_with("P#"), "{sk}");
            let personal = ["customer", "charge", "checkout", "receipt_url", "failure"];
            assert!(!personal.iter().any(|name| item.contains_key(*name)), "{item:?}");
        }
    }
}

/// Reads the journal from its first entry, by the bytes that are stored.
fn proved(items: &BTreeMap<(String, String), Item>) -> Replay {
    let text = |item: &Item, name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    let hash = |item: &Item, name| serde_json::from_value::<Hash>(json!(text(item, name))).unwrap();
    let is_adas = |((_, sk), item): &(&(String, String), &Item)| {
        sk == "E" && text(item, "user").as_deref() == Some("ada")
    };
    let mut journal: Vec<Sealed> = items
        .iter()
        .filter(is_adas)
        .map(|(_, item)| {
            let body = text(item, "body").unwrap();
            let entry = Entry::parse(&body).unwrap();
            Sealed { prev: hash(item, "prev"), hash: hash(item, "hash"), entry, body }
        })
        .collect();
    journal.sort_by_key(|sealed| sealed.entry.seq);
    let mut replay = Replay::new(ada_id());
    for sealed in &journal {
        assert_eq!(replay.step(sealed), Ok(()), "{:?}", sealed.entry);
    }
    replay
}

#[tokio::test]
async fn nothing_is_left_that_says_who_it_was_and_the_journal_is_whole() {
    let world = World::without_webhooks().await;
    let payment = lives(&world).await;
    subscribes(&world).await;
    let charge = world.event("charge.succeeded").await;
    heard(&world, [charge.clone()]).await;
    let before = everything(&world).await;
    let customer = before.keys().find(|(pk, _)| pk.starts_with("C#")).unwrap().0.clone();
    let email = before.keys().find(|(pk, _)| pk.starts_with("M#")).unwrap().0.clone();
    let words = [EMAIL, NOTE, "lovelace"];
    for word in words {
        assert!(before.values().any(|item| format!("{item:?}").contains(word)), "{word} was never there");
    }
    let answer = erased(&world).await.json;
    assert_eq!(answer["user"], "ada");
    assert_eq!(answer["entry"], "req:grace:erase:k");
    assert_eq!(
        answer["erased"],
        json!({ "notes": 2, "emails": 1, "customers": 1, "payments": 3 }),
        "{answer}"
    );
    // Told again, it says nothing new.
    heard(&world, [charge, world.event("customer.subscription.deleted").await]).await;
    let after = everything(&world).await;
    expect_no_buyer(&after);
    for (key, item) in &after {
        let item = format!("{item:?}");
        assert!(!words.iter().any(|word| item.contains(word)), "{key:?}: {item}");
        assert!(key.0 != customer && key.0 != email, "{key:?}");
    }
    let entries =
        |items: &BTreeMap<_, Item>| items.keys().filter(|(_, sk): &&(String, String)| sk == "E").count();
    assert!(entries(&after) > entries(&before), "no entry is lost");
    let replay = proved(&after);
    let store = store(&world).await;
    let account = store.account(&ada_id(), Read::Consistent).await.unwrap();
    assert_eq!(replay.differs(&account), None);
    let row = store.payment(&ada_id(), &payment).await.unwrap().unwrap();
    assert_eq!((row.customer, row.paid.amount_minor), (None, replay.payments[&payment].paid.amount_minor));
    // Whoever may see it sees all that was paid and spent.
    let journal = world.service().get("/v1/users/ada/wallet/entries?limit=100").await.json;
    assert_eq!(journal["entries"].as_array().unwrap().len() as u64, account.seq);
    let me = ada(&world).get("/v1/me").await.json;
    assert_eq!(me["closed_at"], answer["closed_at"]);
    assert_eq!((&me["wallet"]["available"], &me["wallet"]["held"]), (&json!(0), &json!(0)));
    assert_eq!((&me["subscriptions"], &me["pending_grants"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn erased_twice_it_is_closed_once() {
    let world = World::without_webhooks().await;
    lives(&world).await;
    let first = erased(&world).await.json;
    let nothing = json!({ "notes": 0, "emails": 0, "customers": 0, "payments": 0 });
    for key in ["k", "another"] {
        let again = erased_under(&world, key).await.json;
        assert_eq!((&again["closed_at"], &again["entry"]), (&first["closed_at"], &first["entry"]));
        assert_eq!(again["erased"], nothing);
    }
}

/// In what order an erasure takes items away.
fn rank(item: &Item) -> usize {
    let (pk, sk) = (item["PK"].as_s().unwrap(), item["SK"].as_s().unwrap());
    let order =
        [("M#", "G#"), ("M#", "P"), ("U#", "M#"), ("C#", "P"), ("U#", "C#"), ("U#", "P#"), ("U#", "N#")];
    let place = order.iter().position(|(one, other)| pk.starts_with(one) && sk.starts_with(other));
    place.unwrap_or_else(|| panic!("{pk} {sk} was erased"))
}

/// A grant that is left to wait under the email of this link, though it is somebody's: a claim that was cut off.
fn waiting_under(link: &str) -> Item {
    let hash = link.trim_start_matches("M#").parse().unwrap();
    let cause = "req:grace:grant:waits";
    let key = schema::waiting(&hash, &cause.parse().unwrap());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: &str| AttributeValue::N(number.to_owned());
    [
        ("PK", text(&key.pk)),
        ("SK", text(&key.sk)),
        ("cause", text(cause)),
        ("operator", text("grace")),
        ("tokens", number("5")),
        ("at", number("1790000000000")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[tokio::test]
async fn cut_off_anywhere_and_sent_again_it_ends_the_same() {
    let world = World::without_webhooks().await;
    lives(&world).await;
    let before = everything(&world).await;
    // Cut off after it was in Stripe: nothing else was done yet.
    let (customer, _) = before.keys().find(|(pk, _)| pk.starts_with("C#")).unwrap();
    world.stripe_delete(&format!("/v1/customers/{}", customer.trim_start_matches("C#"))).await;
    erased(&world).await;
    let after = everything(&world).await;
    let is_gone = |(key, item): &(&(String, String), &Item)| key.1 != "A" && after.get(*key) != Some(*item);
    let mut gone: Vec<Item> = before.iter().filter(is_gone).map(|(_, item)| item.clone()).collect();
    let (_, link) = before.keys().find(|(pk, sk)| pk == "U#ada" && sk.starts_with("M#")).unwrap();
    gone.push(waiting_under(link));
    gone.sort_by_key(rank);
    assert!(gone.len() >= 9, "{gone:?}");
    for done in 0..gone.len() {
        for item in gone.iter().skip(done) {
            let put = world.table().await.put_item().table_name(TABLE);
            put.set_item(Some(item.clone())).send().await.unwrap();
        }
        erased(&world).await;
        assert_eq!(everything(&world).await, after, "cut off after {done}");
    }
}

#[tokio::test]
async fn a_subscription_ends_at_once_and_nothing_is_charged_any_more() {
    let world = World::without_webhooks().await;
    let subscription = subscribes(&world).await;
    let open = ada(&world).opens("large").await;
    let invoices = async || {
        let path = format!("/v1/invoices?subscription={subscription}&limit=100");
        world.stripe(&path).await["data"].as_array().unwrap().len()
    };
    let charged = invoices().await;
    erased(&world).await;
    assert_eq!(world.stripe(&format!("/v1/subscriptions/{subscription}")).await["status"], "canceled");
    assert_eq!(world.stripe(&format!("/v1/checkout/sessions/{open}")).await["status"], "expired");
    world.advance("40d").await;
    assert_eq!(invoices().await, charged);
    let me = ada(&world).get("/v1/me").await.json;
    assert_eq!((&me["plan"]["id"], &me["wallet"]["available"]), (&json!("free"), &json!(0)));
}

#[tokio::test]
async fn a_customer_who_is_somebody_elses_stays_and_its_subscription_ends() {
    let world = World::without_webhooks().await;
    let subscription = subscribes(&world).await;
    let customer = world.stripe("/v1/customers").await["data"][0]["id"].as_str().unwrap().to_owned();
    world.stripe_update(&format!("/v1/customers/{customer}"), "metadata[tollgate_user]=bob").await;
    erased(&world).await;
    assert_eq!(world.stripe(&format!("/v1/customers/{customer}")).await.get("deleted"), None);
    assert_eq!(world.stripe(&format!("/v1/subscriptions/{subscription}")).await["status"], "canceled");
    assert_eq!(ada(&world).get("/v1/me").await.json["subscriptions"], json!([]));
}

#[tokio::test]
async fn whoever_was_erased_can_do_nothing_any_more() {
    let world = World::without_webhooks().await;
    lives(&world).await;
    erased(&world).await;
    let ada = ada(&world);
    let pack = json!({ "package": "medium", "success_url": THANKS });
    for (path, key, body) in [
        ("/v1/me/consume", "n1", json!({ "tokens": 1 })),
        ("/v1/me/holds", "n2", json!({ "tokens": 1 })),
        ("/v1/me/checkout", "n3", json!({ "package": "small" })),
        ("/v1/me/checkout", "n4", json!({ "plan": "premium" })),
        // Asked before, and not to be brought up again.
        ("/v1/me/checkout", "pack", pack),
    ] {
        ada.post_once(path, key, body).await.expect_problem(410, "account_closed");
    }
    let grant =
        world.operator().post_once("/v1/admin/grants", "n6", json!({ "user": "ada", "tokens": 5 })).await;
    grant.expect_problem(410, "account_closed");
    // What was done before is answered as it was.
    let spent = ada.post_once("/v1/me/consume", "c", json!({ "tokens": 5 })).await;
    assert_eq!(spent.status, StatusCode::OK, "{}", spent.text);
    let customers = world.stripe("/v1/customers?limit=100").await;
    assert_eq!(customers["data"], json!([]), "nobody is made a customer again");
}

#[tokio::test]
async fn nothing_about_a_person_is_written_after_the_account_is_closed() {
    let world = World::without_webhooks().await;
    let payment = lives(&world).await;
    erased(&world).await;
    let after = everything(&world).await;
    let store = store(&world).await;
    let customer = CustomerId::parse("cus_late").unwrap();
    assert_eq!(store.point_customer(&customer, &ada_id()).await.unwrap(), Pointed::Never);
    let references = References { receipt_url: Some(RECEIPT.to_owned()), ..References::default() };
    assert!(!store.refer(&ada_id(), &payment, &references).await.unwrap());
    // A caller whose email is verified claims with each of these, if anything.
    ada(&world)
        .post_once("/v1/me/consume", "n", json!({ "tokens": 1 }))
        .await
        .expect_problem(410, "account_closed");
    assert_eq!(everything(&world).await, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_buys_and_claims_while_they_are_erased_leaves_nothing_either() {
    for round in 0..6 {
        let world = World::without_webhooks().await;
        let grant = json!({ "email": EMAIL, "tokens": 30, "note": NOTE });
        world.operator().post_once("/v1/admin/grants", "g1", grant.clone()).await;
        world.operator().post_once("/v1/admin/grants", "g2", json!({ "user": "ada", "tokens": 1 })).await;
        let buying = (0..8).map(async |number: u64| {
            tokio::time::sleep(Duration::from_millis(number * 20)).await;
            let wanted = json!({ "package": "small", "success_url": THANKS });
            let (ada, key) = (ada(&world), format!("b{number}"));
            ada.post_once("/v1/me/checkout", &key, wanted).await
        });
        let erasing = async {
            tokio::time::sleep(Duration::from_millis(10 + 60 * round)).await;
            erased(&world).await
        };
        let (bought, _) = tokio::join!(futures_util::future::join_all(buying), erasing);
        for answer in bought {
            assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", answer.text);
        }
        let items = everything(&world).await;
        let of_ada =
            items.into_iter().filter(|((pk, sk), _)| !(pk.starts_with("M#") && sk.starts_with("G#")));
        let of_ada: BTreeMap<_, _> = of_ada.collect();
        expect_no_buyer(&of_ada);
        proved(&of_ada);
        assert_eq!(world.stripe("/v1/customers?limit=100").await["data"], json!([]), "round {round}");
        let sessions = world.stripe("/v1/checkout/sessions?limit=100").await;
        for session in sessions["data"].as_array().unwrap() {
            let refused = world.pay(session["id"].as_str().unwrap(), PAID).await;
            assert!(!refused.status.is_success(), "round {round}: {}", refused.text);
        }
    }
}

#[tokio::test]
async fn money_that_comes_or_goes_late_is_booked_and_says_nothing_of_its_buyer() {
    let world = World::without_webhooks().await;
    let payment = lives(&world).await;
    let late = ada(&world).opens("small").await;
    assert_eq!(world.pay(&late, PAID).await.status, StatusCode::OK);
    let paid_late = world.event("checkout.session.completed").await;
    let charged_late = world.event("charge.succeeded").await;
    erased(&world).await;
    let refund = format!("payment_intent={payment}");
    world.stripe_update("/v1/refunds", &refund).await;
    heard(&world, [world.event("charge.refunded").await, paid_late, charged_late]).await;
    let journal = world.service().get("/v1/users/ada/wallet/entries?limit=100").await.json;
    let kinds: Vec<_> = journal["entries"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    let count = |kind: &str| kinds.iter().filter(|told| ***told == kind).count();
    assert_eq!((count("purchase"), count("reversal")), (2, 1), "{kinds:?}");
    let items = everything(&world).await;
    assert_eq!(
        proved(&items).differs(&store(&world).await.account(&ada_id(), Read::Consistent).await.unwrap()),
        None
    );
    expect_no_buyer(&items);
}

#[tokio::test]
async fn a_grant_to_an_erased_email_waits_for_whoever_proves_it_next() {
    let world = World::without_webhooks().await;
    lives(&world).await;
    erased(&world).await;
    let grant = json!({ "email": EMAIL, "tokens": 12 });
    let answer = world.operator().post_once("/v1/admin/grants", "g2", grant).await;
    assert_eq!(
        (answer.status, &answer.json["pending"]),
        (StatusCode::CREATED, &json!(true)),
        "{}",
        answer.text
    );
    let next = world.local().tokens().mint("ada-2", Some(EMAIL), None, Duration::from_secs(3600));
    let mut caller = world.user("ada-2");
    caller.token = next;
    let spent = caller.post_once("/v1/me/consume", "c", json!({ "tokens": 12 })).await;
    assert_eq!(spent.status, StatusCode::OK, "{}", spent.text);
}

#[tokio::test]
async fn only_an_operator_erases_and_only_whom_there_is() {
    let world = World::without_webhooks().await;
    lives(&world).await;
    ada(&world).post_once(ERASE, "k", json!({})).await.expect_problem(403, "forbidden");
    world.service().post_once(ERASE, "k", json!({})).await.expect_problem(403, "forbidden");
    let operator = world.operator();
    operator.post(ERASE, json!({})).await.expect_problem(400, "missing_idempotency_key");
    operator
        .post_once(ERASE, "k", json!({ "note": "asked to" }))
        .await
        .expect_problem(400, "invalid_request");
    operator.post_once("/v1/admin/users/nobody/erase", "k", json!({})).await.expect_problem(404, "not_found");
    // One key erases one user.
    world.user("bob").opens("small").await;
    erased(&world).await;
    operator
        .post_once("/v1/admin/users/bob/erase", "k", json!({}))
        .await
        .expect_problem(422, "idempotency_key_reused");
    let customers = world.stripe("/v1/customers?limit=100").await;
    assert_eq!(customers["data"].as_array().unwrap().len(), 1, "bob's is still there");
}

/// A hash that anybody can compute would tell whoever guesses.
#[tokio::test]
async fn an_entry_does_not_confirm_what_somebody_guesses() {
    let world = World::without_webhooks().await;
    let body = json!({ "email": EMAIL, "tokens": 30, "note": NOTE });
    world.operator().post_once("/v1/admin/grants", "g1", body.clone()).await;
    buys(&world, &ada(&world)).await;
    let wanted = json!({ "package": "medium", "success_url": THANKS });
    let guesses: Vec<String> = [
        (domain::cause::Operation::Grant, "grace", body),
        (domain::cause::Operation::Checkout, "ada", wanted),
    ]
    .map(|(operation, user, body)| {
        domain::request::RequestHash::of(operation, &[user], &body).as_str().to_owned()
    })
    .into();
    let items = everything(&world).await;
    assert!(!items.values().any(|item| guesses.iter().any(|guess| format!("{item:?}").contains(guess))));
}
