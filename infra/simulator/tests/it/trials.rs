//! A person has one trial, by whatever name, address or card they come back, and also where they come twice at once.

use std::time::Duration;

use domain::time::DAY_MS;
use fastrand::Rng;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::rounds::{Post, each, proved};
use crate::tales::named;
use crate::world::{CATALOG, Caller, PAID, World};

const OTHER_CARD: &str = "5555555555554444";

/// Opens a page for a plan, and answers with it and with the length of the trial it gives.
async fn page(world: &World, who: &Caller, plan: &str) -> (String, i64) {
    let opened = world.granted(who, "POST /v1/me/checkout", json!({ "plan": plan })).await;
    (named(&opened, "id"), opened["trial_days"].as_i64().unwrap())
}

async fn pays(world: &World, page: &str, card: &str) {
    world.person(&format!("checkout/{page}/pay"), json!({ "card": card })).await;
}

/// Opens a page, pays there, and everything that Stripe says of it arrives.
async fn tries(world: &World, post: &mut Post, who: &Caller, plan: &str, card: &str) -> i64 {
    let (page, days) = page(world, who, plan).await;
    pays(world, &page, card).await;
    post.deliver_all(world, &mut Rng::with_seed(1), &[]).await;
    days
}

/// Makes a card known to Stripe, as the app's page does.
async fn method(world: &World, card: &str) -> String {
    let form = format!("type=card&card[number]={card}&card[exp_month]=12&card[exp_year]=2034&card[cvc]=123");
    named(&world.post("/v1/payment_methods", &form).await, "id")
}

/// Of somebody, oldest first.
async fn subscriptions(world: &World, who: &Caller) -> Vec<Value> {
    let mut found = Vec::new();
    for subscription in world.all("/v1/subscriptions?status=all").await {
        if owner(world, &subscription).await == who.user.as_str() {
            found.push(subscription);
        }
    }
    found
}

async fn owner(world: &World, subscription: &Value) -> String {
    let customer = world.get(&format!("/v1/customers/{}", named(subscription, "customer"))).await;
    named(&customer["metadata"], "tollgate_user")
}

async fn statuses(world: &World, who: &Caller) -> Vec<String> {
    subscriptions(world, who).await.iter().map(|subscription| named(subscription, "status")).collect()
}

fn was_ended_as_a_second(subscription: &Value) -> bool {
    subscription["status"] == "canceled"
        && subscription["cancellation_details"]["comment"] == "Tollgate: this customer had a trial before"
}

async fn expect_nothing_charged(world: &World) {
    assert_eq!(world.all("/v1/charges").await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn whoever_tries_one_plan_pays_for_the_next_one_of_any_group() {
    let world = World::prompt(CATALOG).await;
    let (mut post, ada) = (Post::from_now(&world).await, Caller::named("ada"));
    assert_eq!(tries(&world, &mut post, &ada, "tried", PAID).await, 7);
    assert_eq!(tries(&world, &mut post, &ada, "studied", OTHER_CARD).await, 0);
    assert_eq!(statuses(&world, &ada).await, ["trialing", "active"]);
}

#[tokio::test(start_paused = true)]
async fn another_spelling_of_an_address_gets_no_trial() {
    let world = World::prompt(CATALOG).await;
    let mut post = Post::from_now(&world).await;
    let ada = Caller::named("ada").with_email("ada.l@gmail.com");
    assert_eq!(tries(&world, &mut post, &ada, "tried", PAID).await, 7);
    for (name, email) in [("bob", "Ada.L+again@gmail.com"), ("cleo", "adal@googlemail.com")] {
        let who = Caller::named(name).with_email(email);
        assert_eq!(tries(&world, &mut post, &who, "tried", OTHER_CARD).await, 0, "{email}");
        assert_eq!(statuses(&world, &who).await, ["active"], "{email}");
    }
    let dora = Caller::named("dora").with_email("dora.l@gmail.com");
    assert_eq!(tries(&world, &mut post, &dora, "tried", OTHER_CARD).await, 7);
    assert_eq!(statuses(&world, &dora).await, ["trialing"]);
}

#[tokio::test(start_paused = true)]
async fn a_card_that_had_a_trial_is_told_from_others_wherever_it_comes_back() {
    let world = World::prompt(CATALOG).await;
    let mut post = Post::from_now(&world).await;
    let [ada, bob, cleo, dora] = ["ada", "bob", "cleo", "dora"].map(Caller::named);
    assert_eq!(tries(&world, &mut post, &ada, "tried", PAID).await, 7);
    // Stripe's page shows the card only once it is too late.
    assert_eq!(tries(&world, &mut post, &bob, "tried", PAID).await, 7);
    let ended = subscriptions(&world, &bob).await;
    assert!(matches!(&ended[..], [one] if was_ended_as_a_second(one)), "{ended:#?}");
    expect_nothing_charged(&world).await;
    let books = proved(&world, &bob.user).await;
    assert_eq!((books.account.subscriptions.len(), books.account.balances().available.get()), (0, 0));
    assert_eq!(page(&world, &bob, "tried").await.1, 0, "it was had");

    let wanted = async |card| json!({ "plan": "tried", "payment_method": method(&world, card).await });
    for (who, card, days, status) in [(&cleo, PAID, 0, "active"), (&dora, OTHER_CARD, 7, "trialing")] {
        let made = world.granted(who, "POST /v1/me/subscriptions", wanted(card).await).await;
        assert_eq!((&made["trial_days"], &made["status"]), (&json!(days), &json!(status)), "{made}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_catalog_says_how_long_a_trial_may_be() {
    let world = World::prompt(CATALOG).await;
    let cases = [
        ("tried", None, 7),
        ("tried", Some(3), 3),
        ("tried", Some(90), 14),
        ("tried", Some(0), 0),
        ("daily", Some(90), 5),
        ("weekly", Some(90), 0),
    ];
    for (number, (plan, asked, days)) in cases.into_iter().enumerate() {
        let mut wanted = json!({ "plan": plan });
        if let Some(asked) = asked {
            wanted["trial_days"] = json!(asked);
        }
        let who = Caller::named(&format!("user{number}"));
        let opened = world.granted(&who, "POST /v1/me/checkout", wanted).await;
        assert_eq!(opened["trial_days"], days, "{plan} for {asked:?} days");
        pays(&world, &named(&opened, "id"), PAID).await;
        let made = subscriptions(&world, &who).await.remove(0);
        let ends = made["trial_end"].as_i64().map_or(0, |end| end - made["start_date"].as_i64().unwrap());
        assert_eq!(ends, days * DAY_MS / 1_000, "{plan} for {asked:?} days: {made}");
    }
}

/// The later of two is ended, though it was heard of first, and took what its trial is remembered by.
#[tokio::test(start_paused = true)]
async fn a_trial_that_stays_beside_one_that_was_ended_is_remembered() {
    let world = World::prompt(CATALOG).await;
    let (mut post, ada) = (Post::from_now(&world).await, Caller::named("ada"));
    let (page, _) = page(&world, &ada, "tried").await;
    pays(&world, &page, PAID).await;
    let first = subscriptions(&world, &ada).await.remove(0);
    world.advance(5_000);
    let (customer, method) = (named(&first, "customer"), named(&first, "default_payment_method"));
    let price = world.price("daily").await;
    let form = format!("customer={customer}&items[0][price]={price}&default_payment_method={method}");
    let second = world.post("/v1/subscriptions", &format!("{form}&trial_period_days=5")).await;
    for one in [second, first] {
        post.deliver_apart(&world, &[one["id"].as_str().unwrap()]).await;
    }
    assert_eq!(statuses(&world, &ada).await, ["trialing", "canceled"]);

    let bob = Caller::named("bob");
    tries(&world, &mut post, &bob, "tried", PAID).await;
    assert_eq!(statuses(&world, &bob).await, ["canceled"]);
    expect_nothing_charged(&world).await;
}

/// What two trials that begin at the same time have in common.
#[derive(Debug, Clone, Copy)]
enum Common {
    Card,
    Address,
    Both,
    /// They are one user's, of two groups.
    User,
}

const COMMON: [Common; 4] = [Common::Card, Common::Address, Common::Both, Common::User];

#[test]
fn of_two_trials_that_begin_at_once_one_stays_and_nothing_is_charged() {
    each(0..40, begin_at_once);
}

async fn begin_at_once(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let common = COMMON[seed as usize % COMMON.len()];
    let world = World::jostled(CATALOG, seed).await;
    let mut post = Post::from_now(&world).await;
    let ada = Caller::named("ada").with_email("ada.l@gmail.com");
    let other = match common {
        Common::User => ada.clone(),
        Common::Card => Caller::named("bob").with_email("bob@mail.example"),
        Common::Address | Common::Both => Caller::named("bob").with_email("Adal+bob@googlemail.com"),
    };
    let other_card = if matches!(common, Common::Address) { OTHER_CARD } else { PAID };
    let pause = Duration::from_millis(rng.u64(0..400));
    let second = async {
        tokio::time::sleep(pause).await;
        page(&world, &other, "studied").await
    };
    let (first, second) = join(page(&world, &ada, "tried"), second).await;
    assert_eq!((first.1, second.1), (7, 3), "nobody had one yet");
    join(pays(&world, &first.0, PAID), pays(&world, &second.0, other_card)).await;
    let all = world.all("/v1/subscriptions?status=all").await;
    if rng.bool() {
        let names: Vec<&str> = all.iter().map(|one| one["id"].as_str().unwrap()).collect();
        post.deliver_apart(&world, &names).await;
        // What comes of it is told too, of the one that was ended.
        post.deliver_apart(&world, &names).await;
    } else {
        post.deliver_all(&world, &mut rng, &[(&ada, first.0), (&other, second.0)]).await;
    }

    let stays = expect_one(&world, [&ada, &other]).await;
    expect_remembered(&world, &mut post, &stays, &mut rng).await;
    expect_nothing_charged(&world).await;
}

/// Answers with the one that stays.
async fn expect_one(world: &World, people: [&Caller; 2]) -> Value {
    let all = world.all("/v1/subscriptions?status=all").await;
    let (stays, ended): (Vec<_>, Vec<_>) = all.iter().partition(|one| one["status"] == "trialing");
    assert_eq!((stays.len(), ended.len()), (1, 1), "{all:#?}");
    assert!(was_ended_as_a_second(ended[0]), "{}", ended[0]);
    for who in people {
        let account = proved(world, &who.user).await.account;
        let stays = owner(world, stays[0]).await == who.user.as_str();
        let brought = account.subscriptions.iter().map(|held| match held.seen.plan.as_str() {
            "tried" => 10,
            _ => 5,
        });
        assert_eq!(account.subscriptions.len(), usize::from(stays), "{account:#?}");
        assert_eq!(account.balances().available.get(), brought.sum::<u64>(), "{account:#?}");
    }
    stays[0].clone()
}

/// Whoever comes with the card of a trial has none.
async fn expect_remembered(world: &World, post: &mut Post, trial: &Value, rng: &mut Rng) {
    let method = named(trial, "default_payment_method");
    let method = world.get(&format!("/v1/payment_methods/{method}")).await;
    let card = if method["card"]["last4"] == "4242" { PAID } else { OTHER_CARD };
    let cleo = Caller::named("cleo");
    let (page, _) = page(world, &cleo, "tried").await;
    pays(world, &page, card).await;
    post.deliver_all(world, rng, &[]).await;
    let subscriptions = subscriptions(world, &cleo).await;
    assert!(was_ended_as_a_second(&subscriptions[0]), "{subscriptions:#?}");
}
