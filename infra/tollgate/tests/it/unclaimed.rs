//! What is nobody's that we know: kept, listed, and given to whom it belongs.

use hyper::StatusCode;
use serde_json::{Value, json};
use store::Unclaimed;
use store::items::from_unclaimed;

use crate::catalog::selling;
use crate::harness::{Answer, COMPANION, PAID, World, eventually};
use crate::refunds::{OURS, sold_elsewhere};
use crate::subscribe::{customer, plan, subscribe, subscribed_to};

async fn handled(world: &World) {
    eventually("an empty queue", async || world.waiting("WebhookQueue").await == 0).await;
    assert_eq!(world.waiting("WebhookDeadLetters").await, 0);
}

async fn deliver(world: &World, event: &Value) {
    assert_eq!(world.deliver(event).await.status, StatusCode::OK);
    handled(world).await;
}

/// A pack that was sold beside Tollgate, for nobody in particular; its event was heard of.
async fn sold_to_nobody(world: &World, metadata: &[(&str, &str)]) -> String {
    let intent = sold_elsewhere(world, metadata).await;
    deliver(world, &world.event("payment_intent.succeeded").await).await;
    assert!(world.item("Z#", &intent).await.is_some(), "{intent} is not unclaimed");
    intent
}

/// Ada's subscription, of which nobody can tell any more that it is hers; its event was heard of.
async fn subscribed_by_nobody(world: &World) -> String {
    let id = subscribed(world, "metadata[tollgate_user]=&metadata[tollgate_stack]=").await;
    let bare = "metadata[tollgate_user]=&metadata[tollgate_stack]=";
    let customer = customer(world, "ada").await;
    world.stripe_update(&format!("/v1/customers/{customer}"), bare).await;
    deliver(world, &nameless(world).await).await;
    assert!(world.item("Z#", &id).await.is_some(), "{id} is not unclaimed");
    id
}

/// Ada's subscription, its metadata changed, and our pointer of its customer lost.
async fn subscribed(world: &World, metadata: &str) -> String {
    subscribe(world, &world.user("ada"), "premium").await;
    let created = world.event("customer.subscription.created").await;
    let object = &created["data"]["object"];
    let id = object["id"].as_str().unwrap().to_owned();
    world.stripe_update(&format!("/v1/subscriptions/{id}"), metadata).await;
    world.forget("C#", object["customer"].as_str().unwrap(), "P").await;
    id
}

/// That it was created, as if nothing of ours had ever been in it.
async fn nameless(world: &World) -> Value {
    let mut event = world.event("customer.subscription.created").await;
    event["data"]["object"]["metadata"] = json!({});
    event
}

async fn attach(world: &World, object: &str, body: Value) -> Answer {
    world.operator().post(&format!("/v1/admin/unclaimed/{object}/attach"), body).await
}

/// The ids that the list shows, in its order.
async fn listed(world: &World) -> Vec<String> {
    let list = world.operator().get("/v1/admin/unclaimed").await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.text);
    let records = list.json["unclaimed"].as_array().unwrap();
    records.iter().map(|record| record["object"].as_str().unwrap().to_owned()).collect()
}

/// Puts a record of an object that nobody has looked at.
async fn keep(world: &World, object: &str) {
    let (event, reason) = ("evt_1".to_owned(), "no owner".to_owned());
    let unclaimed = Unclaimed { object: object.to_owned(), event, reason, at: world.now().await };
    let put = world.table().await.put_item().table_name(tollgate::stack::TABLE);
    put.set_item(Some(from_unclaimed(&unclaimed))).send().await.unwrap();
}

#[tokio::test]
async fn what_is_nobodys_is_listed_newest_first_page_by_page() {
    let world = World::without_webhooks().await;
    let subscription = subscribed_by_nobody(&world).await;
    let mut expected = vec![subscription];
    for _ in 0..2 {
        world.advance("1m").await;
        expected.insert(0, sold_to_nobody(&world, &[OURS]).await);
    }
    assert_eq!(listed(&world).await, expected);
    let first = world.operator().get("/v1/admin/unclaimed?limit=2").await.json;
    let record = &first["unclaimed"][0];
    assert_eq!((&record["reason"], first["unclaimed"].as_array().unwrap().len()), (&json!("no owner"), 2));
    assert!(record["event"].as_str().unwrap().starts_with("evt_"), "{record}");
    assert!(record["at"].as_str().unwrap().ends_with('Z'), "{record}");
    let next = format!("/v1/admin/unclaimed?limit=2&cursor={}", first["next"].as_str().unwrap());
    let second = world.operator().get(&next).await.json;
    assert_eq!((&second["unclaimed"][0]["object"], &second["next"]), (&json!(expected[2]), &Value::Null));
}

#[tokio::test]
async fn a_payment_is_attached_to_whom_it_belongs_once() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = sold_to_nobody(&world, &[OURS]).await;
    let wanted = json!({ "user": "ada", "item": "package:medium" });
    let attached = attach(&world, &intent, wanted.clone()).await;
    assert_eq!(attached.status, StatusCode::OK, "{}", attached.text);
    assert_eq!(
        (&attached.json["user"], &attached.json["operator"], &attached.json["wallet"]["available"]),
        (&json!("ada"), &json!("grace"), &json!(275))
    );
    assert_eq!((ada.available().await, listed(&world).await), (275, Vec::<String>::new()));
    let metadata = &world.stripe(&format!("/v1/payment_intents/{intent}")).await["metadata"];
    let envelope = json!({
        "tollgate_stack": "local", "tollgate_user": "ada", "tollgate_item": "package:medium",
        "tollgate_catalog": "1",
    });
    assert_eq!(metadata, &envelope);

    world.advance("1h").await;
    let again = attach(&world, &intent, wanted).await;
    assert_eq!((again.status, &again.json), (StatusCode::OK, &attached.json), "who and when stay");
    attach(&world, &intent, json!({ "user": "bob", "item": "package:medium" }))
        .await
        .expect_problem(409, "already_owned");
    // What Stripe tells from now on finds its owner by the ordinary rule.
    let mut event = world.event("payment_intent.succeeded").await;
    event["data"]["object"]["metadata"] = envelope;
    deliver(&world, &event).await;
    assert_eq!((ada.available().await, listed(&world).await), (275, Vec::<String>::new()));
    let payments = ada.get("/v1/me/payments").await.json;
    assert_eq!((&payments["payments"][0]["id"], &payments["payments"][1]), (&json!(intent), &Value::Null));
}

#[tokio::test]
async fn of_a_payment_that_was_refunded_meanwhile_nothing_is_left_to_have() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = sold_to_nobody(&world, &[OURS]).await;
    world.stripe_update("/v1/refunds", &format!("payment_intent={intent}")).await;
    let attached = attach(&world, &intent, json!({ "user": "ada", "item": "package:medium" })).await;
    assert_eq!((attached.status, &attached.json["wallet"]["available"]), (StatusCode::OK, &json!(0)));
    assert_eq!(ada.get("/v1/me/payments").await.json["payments"][0]["status"], "refunded");
}

#[tokio::test]
async fn what_a_payment_itself_says_it_paid_for_need_not_be_said_again() {
    let world = World::without_webhooks().await;
    let item = ("tollgate_item", "package:medium");
    let intent = sold_to_nobody(&world, &[OURS, item]).await;
    let attached = attach(&world, &intent, json!({ "user": "ada" })).await;
    assert_eq!((attached.status, &attached.json["wallet"]["available"]), (StatusCode::OK, &json!(275)));
}

#[tokio::test]
async fn a_subscription_is_attached_with_its_plan_and_tokens_and_renews_as_its_owners() {
    let world = World::without_webhooks().await;
    let bob = world.user("bob");
    let id = subscribed_by_nobody(&world).await;
    assert_eq!(plan(&world.user("ada")).await.0, "free");
    let attached = attach(&world, &id, json!({ "user": "bob" })).await;
    assert_eq!((attached.status, &attached.json["wallet"]["available"]), (StatusCode::OK, &json!(500)));
    assert_eq!((plan(&bob).await.0.as_str(), listed(&world).await), ("premium", Vec::<String>::new()));
    attach(&world, &id, json!({ "user": "ada" })).await.expect_problem(409, "already_owned");
    world.advance("32d").await;
    deliver(&world, &world.event("invoice.paid").await).await;
    assert_eq!((plan(&bob).await.1.as_str(), bob.available().await), ("active", 500));
    assert_eq!(plan(&world.user("ada")).await.0, "free");
}

#[tokio::test]
async fn what_cannot_be_attached_is_said_and_why() {
    let world = World::without_webhooks().await;
    let ada = json!({ "user": "ada" });
    attach(&world, "pi_1", ada.clone()).await.expect_problem(404, "not_found");
    for object in ["cs_test_1", "in_1", "pi_gone", "sub_gone"] {
        keep(&world, object).await;
    }
    attach(&world, "cs_test_1", ada.clone()).await.expect_problem(422, "not_attachable");
    attach(&world, "in_1", ada.clone()).await.expect_problem(422, "not_attachable");
    attach(&world, "pi_gone", ada.clone()).await.expect_problem(404, "not_found");
    attach(&world, "sub_gone", ada.clone()).await.expect_problem(404, "not_found");

    let intent = sold_to_nobody(&world, &[OURS]).await;
    attach(&world, &intent, ada.clone()).await.expect_problem(422, "not_attachable");
    for (item, status, code) in [
        ("package:gold", 422, "unknown_package"),
        ("plan:premium:month", 422, "not_attachable"),
        ("seat", 400, "invalid_request"),
    ] {
        let refused = attach(&world, &intent, json!({ "user": "ada", "item": item })).await;
        refused.expect_problem(status, code);
    }
    let subscription = subscribed_by_nobody(&world).await;
    let refused = attach(&world, &subscription, json!({ "user": "ada", "item": "package:medium" })).await;
    refused.expect_problem(422, "not_attachable");
    assert_eq!(world.user("ada").available().await, 0);
    let mut left = vec![intent.as_str(), subscription.as_str(), "cs_test_1", "in_1", "pi_gone", "sub_gone"];
    let mut kept = listed(&world).await;
    left.sort();
    kept.sort();
    assert_eq!(kept, left);
}

#[tokio::test]
async fn what_is_somebodys_or_another_stacks_stays_theirs() {
    let world = World::without_webhooks().await;
    let stack = ("tollgate_stack", "staging");
    let anothers = sold_elsewhere(&world, &[stack]).await;
    keep(&world, &anothers).await;
    let wanted = json!({ "user": "eve", "item": "package:medium" });
    attach(&world, &anothers, wanted.clone()).await.expect_problem(409, "already_owned");
    let adas = sold_elsewhere(&world, &[OURS, ("tollgate_user", "ada")]).await;
    keep(&world, &adas).await;
    let refused = attach(&world, &adas, wanted).await;
    refused.expect_problem(409, "already_owned");
    assert_eq!(refused.json["user"], "ada");
    let metadata = &world.stripe(&format!("/v1/payment_intents/{anothers}")).await["metadata"];
    assert_eq!(metadata, &json!({ "tollgate_stack": "staging" }));
    assert_eq!(world.user("eve").available().await, 0);
}

#[tokio::test]
async fn an_invoices_payment_is_never_sold_again_as_a_package() {
    let world = World::without_webhooks().await;
    let id = subscribed_by_nobody(&world).await;
    let paid = world.stripe(&format!("/v1/invoices?subscription={id}&expand[]=data.payments")).await;
    let intent = paid["data"][0]["payments"]["data"][0]["payment"]["payment_intent"].as_str().unwrap();
    keep(&world, intent).await;
    let refused = attach(&world, intent, json!({ "user": "ada", "item": "package:mega" })).await;
    refused.expect_problem(422, "not_attachable");
    assert!(refused.json["detail"].as_str().unwrap().contains(&id), "{}", refused.text);
}

#[tokio::test]
async fn nothing_is_attached_to_somebody_who_was_erased() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let intent = sold_to_nobody(&world, &[OURS]).await;
    world.pay(&ada.opens("small").await, PAID).await;
    deliver(&world, &world.event("checkout.session.completed").await).await;
    let erased = world.operator().post_once("/v1/admin/users/ada/erase", "erase", json!({})).await;
    assert!(erased.status.is_success(), "{}", erased.text);
    let refused = attach(&world, &intent, json!({ "user": "ada", "item": "package:medium" })).await;
    refused.expect_problem(410, "account_closed");
    assert_eq!(listed(&world).await, [intent]);
}

#[tokio::test]
async fn only_operators_see_and_attach_what_is_nobodys() {
    let world = World::without_webhooks().await;
    for caller in [world.user("ada"), world.service()] {
        caller.get("/v1/admin/unclaimed").await.expect_problem(403, "forbidden");
        let body = json!({ "user": "ada" });
        caller.post("/v1/admin/unclaimed/pi_1/attach", body).await.expect_problem(403, "forbidden");
    }
    world.operator().get("/v1/admin/unclaimed?cursor=now").await.expect_problem(400, "invalid_request");
    let unknown = json!({ "user": "ada", "tokens": 5 });
    attach(&world, "pi_1", unknown).await.expect_problem(400, "invalid_request");
}

#[tokio::test]
async fn events_that_outrun_the_pointer_of_their_customer_find_their_owner_all_the_same() {
    for kind in ["customer.subscription.created", "checkout.session.completed", "invoice.paid"] {
        let world = World::without_webhooks().await;
        let ada = world.user("ada");
        subscribed(&world, "").await;
        // By the subscription's own metadata, whatever the event says.
        let mut event = world.event(kind).await;
        event["data"]["object"]["metadata"] = json!({});
        deliver(&world, &event).await;
        assert_eq!((plan(&ada).await.0.as_str(), ada.available().await), ("premium", 500), "{kind}");
    }
}

#[tokio::test]
async fn a_subscription_that_lost_its_metadata_is_its_customers_and_so_its_users() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    let id = subscribed(&world, "metadata[tollgate_user]=&metadata[tollgate_stack]=").await;
    deliver(&world, &nameless(&world).await).await;
    assert_eq!((plan(&ada).await.0.as_str(), ada.available().await), ("premium", 500));
    assert!(world.item("Z#", &id).await.is_none());
}

#[tokio::test]
async fn what_is_subscribed_to_in_stripes_dashboard_for_a_known_customer_is_its_users() {
    let world = World::without_webhooks().await;
    let ada = world.user("ada");
    world.pay(&ada.opens("small").await, PAID).await;
    deliver(&world, &world.event("checkout.session.completed").await).await;
    let customer = customer(&world, "ada").await;
    let attached = world.stripe("/v1/prices?lookup_keys[]=local:companion:plan:premium:month:eur").await;
    let price = attached["data"][0]["id"].as_str().unwrap();
    let card = format!("customer={customer}");
    world.stripe_update("/v1/payment_methods/pm_card_visa/attach", &card).await;
    let methods = world.stripe(&format!("/v1/customers/{customer}/payment_methods")).await;
    let method = methods["data"][0]["id"].as_str().unwrap();
    let form = format!("customer={customer}&items[0][price]={price}&default_payment_method={method}");
    world.stripe_update("/v1/subscriptions", &form).await;
    let created = world.event("customer.subscription.created").await;
    assert_eq!(created["data"]["object"]["metadata"], json!({}));
    deliver(&world, &created).await;
    assert_eq!((plan(&ada).await.0.as_str(), ada.available().await), ("premium", 600));
    assert_eq!(listed(&world).await, Vec::<String>::new());
}

/// What gave no access when its end was decided may have been paid before it came.
#[tokio::test]
async fn what_was_paid_for_an_idle_subscription_as_it_was_ended_is_listed() {
    let world = World::new().await;
    let ada = world.user("ada");
    let path = format!("/v1/subscriptions/{}", subscribed_to(&world, &ada, "premium").await);
    let why = "metadata[tollgate_ended]=idle_of_group&cancellation_details[comment]=Tollgate: it gave no access, and \
               another of this group was live";
    world.stripe_update(&path, why).await;
    world.stripe_delete(&path).await;
    eventually("a flag", async || !listed(&world).await.is_empty()).await;
    handled(&world).await;
    assert_eq!(listed(&world).await.len(), 1);
}

/// Where the catalog leaves it to an operator.
#[tokio::test]
async fn what_a_second_subscription_cost_is_listed_until_an_operator_gives_it_back() {
    let flagging = format!("{COMPANION}\n[subscriptions]\nsecond = \"flag\"\n");
    let world = selling(&flagging).await;
    let ada = world.user("ada");
    let first = subscribed_to(&world, &ada, "premium").await;
    world.advance("1m").await;
    let first = world.stripe(&format!("/v1/subscriptions/{first}")).await;
    let text = |field: &str| first[field].as_str().unwrap().to_owned();
    let elite = world.stripe("/v1/prices?lookup_keys[]=local:companion:plan:elite:month:eur").await;
    let form = format!(
        "customer={}&default_payment_method={}&items[0][price]={}",
        text("customer"),
        text("default_payment_method"),
        elite["data"][0]["id"].as_str().unwrap()
    );
    world.stripe_update("/v1/subscriptions", &form).await;
    eventually("a flag", async || !listed(&world).await.is_empty()).await;
    handled(&world).await;
    assert_eq!(plan(&ada).await.0, "premium", "the second was ended at once");
    let flagged = listed(&world).await;
    assert_eq!(flagged.len(), 1, "{flagged:?}");

    let refund = json!({ "payment": flagged[0] });
    let refunded = world.operator().post_once("/v1/admin/refunds", "decided", refund).await;
    assert_eq!(refunded.status, StatusCode::CREATED, "{}", refunded.text);
    eventually("an empty list", async || listed(&world).await.is_empty()).await;
    handled(&world).await;
    // Told once more of its end, nobody lists it again.
    let ended = world.event("customer.subscription.deleted").await;
    deliver(&world, &ended).await;
    assert_eq!(listed(&world).await, [""; 0]);
}
