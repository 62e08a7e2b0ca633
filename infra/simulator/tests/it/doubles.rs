//! Whoever buys two plans of one group at once, in whatever way, and pays for both: one stays, as if the other had
//! never been bought.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use domain::ids::PaymentId;
use domain::replay::Replay;
use fastrand::Rng;
use futures_util::future::{join, join_all, join3};
use serde_json::{Value, json};

use crate::rounds::{Post, each, proved};
use crate::tales::named;
use crate::world::{CATALOG, Caller, PAID, World};

/// How somebody comes to buy twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// On two pages of Stripe's, asked for at the same time.
    TwoPages,
    /// One on a page, and one at once with a card.
    PageAndCard,
    /// The first page is paid while the second is asked for.
    LastMoment,
    /// The first is begun without a page, and paid while another is asked for.
    Unfinished,
    /// Stripe's dashboard makes another beside one that is paid.
    Beside,
    /// The same while a page is being paid, and another asked for.
    Meanwhile,
}

const WAYS: [Way; 6] =
    [Way::TwoPages, Way::PageAndCard, Way::LastMoment, Way::Unfinished, Way::Beside, Way::Meanwhile];

/// What becomes of the money for the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Refund,
    Flag,
}

struct Plan {
    id: &'static str,
    minor: i64,
    tokens: i64,
}

const GROUPS: [[Plan; 2]; 2] = [
    [Plan { id: "weekly", minor: 999, tokens: 70 }, Plan { id: "grand", minor: 4999, tokens: 150 }],
    [Plan { id: "billed", minor: 1999, tokens: 300 }, Plan { id: "larger", minor: 3999, tokens: 800 }],
];

/// A way to ask for a plan.
#[derive(Debug, Clone, Copy)]
enum Form {
    Page,
    Card,
    /// Begun, and to be paid by what the app collects.
    Unpaid,
}

struct Buyer {
    world: World,
    caller: Caller,
    /// That were opened.
    pages: RefCell<Vec<String>>,
}

/// What a round came to.
struct Came {
    way: Way,
    /// How many subscriptions were paid for.
    paid: usize,
}

/// As long as a request takes with all that it asks, about.
const WHILE_ASKED_MS: u64 = 2_500;

#[test]
fn of_two_that_are_paid_at_once_one_stays_and_nobody_pays_for_the_other() {
    count(0..100);
}

#[test]
fn of_two_that_are_paid_at_once_one_stays_whatever_comes_in_between() {
    count(100..200);
}

/// Runs them, and sees that the ways to buy twice still lead there.
fn count(seeds: Range<u64>) {
    let Some(came) = each(seeds, round) else { return };
    let twice = |ways: &[Way]| came.iter().filter(|came| came.paid > 1 && ways.contains(&came.way)).count();
    assert!(twice(&WAYS) >= came.len() / 3, "too few rounds end with two that are paid: {}", twice(&WAYS));
    // Without anybody in Stripe's dashboard.
    assert!(twice(&[Way::Unfinished]) >= 3, "nobody pays for what another request gives up");
}

async fn round(seed: u64) -> Came {
    let mut rng = Rng::with_seed(seed);
    let way = WAYS[seed as usize % WAYS.len()];
    let policy = if rng.bool() { Policy::Refund } else { Policy::Flag };
    let world = World::jostled(&catalog(policy), seed).await;
    let mut post = Post::from_now(&world).await;
    let buyer = Buyer { world, caller: Caller::named("ada"), pages: RefCell::default() };
    let plans = &GROUPS[rng.usize(0..GROUPS.len())];
    buyer.buys_twice(way, plans, &mut rng).await;
    buyer.pays_open_pages(&mut rng).await;
    let is_given_another = matches!(way, Way::TwoPages | Way::PageAndCard) && rng.bool();
    if way == Way::Beside || is_given_another {
        post.collect(&buyer.world, &mut rng).await;
        let another = buyer.is_given(&plans[rng.usize(0..2)], draw(&mut rng));
        let pages = buyer.pages();
        join(another, post.deliver_some(&buyer.world, &mut rng.fork(), &pages)).await;
    }
    let spent = match policy {
        Policy::Refund if rng.u8(0..3) == 0 => buyer.spends(&mut post, &mut rng).await,
        _ => 0,
    };
    post.deliver_all(&buyer.world, &mut rng, &buyer.pages()).await;
    let paid = buyer.expect_one(plans, policy, spent).await;
    Came { way, paid }
}

/// Without what is not bought here: each round has to publish it.
fn catalog(policy: Policy) -> String {
    let is_bought = |part: &&str| !part.starts_with("[packages.") && !part.contains("trial =");
    let parts: Vec<&str> = CATALOG.split("\n\n").filter(is_bought).collect();
    let policy = match policy {
        Policy::Refund => "refund",
        Policy::Flag => "flag",
    };
    format!("{}\n\n[subscriptions]\nsecond = \"{policy}\"\n", parts.join("\n\n"))
}

fn draw(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(0..WHILE_ASKED_MS))
}

impl Buyer {
    async fn buys_twice(&self, way: Way, plans: &[Plan; 2], rng: &mut Rng) {
        let first = rng.usize(0..2);
        // Mostly another.
        let second = if rng.u8(0..4) == 0 { first } else { 1 - first };
        let (first, second) = (&plans[first], &plans[second]);
        let form = if rng.bool() { Form::Page } else { Form::Card };
        let (before, later) = (draw(rng), draw(rng));
        match way {
            Way::TwoPages => drop(join(self.asks(first, Form::Page), self.asks(second, Form::Page)).await),
            Way::PageAndCard => {
                drop(join(self.asks(first, Form::Page), self.asks(second, Form::Card)).await);
            }
            Way::LastMoment => {
                let page = self.asks(first, Form::Page).await.expect("nothing is had yet");
                self.time_passes(rng);
                drop(join(self.asks(second, form), self.pays_page(&page, before)).await);
            }
            Way::Unfinished => {
                let begun = self.asks(first, Form::Unpaid).await.expect("nothing is had yet");
                self.time_passes(rng);
                drop(join(self.asks(second, form), self.pays_first_invoice(&begun, before)).await);
            }
            Way::Beside => {
                let page = self.asks(first, Form::Page).await.expect("nothing is had yet");
                self.pays_page(&page, before).await;
            }
            Way::Meanwhile => {
                let page = self.asks(first, Form::Page).await.expect("nothing is had yet");
                self.time_passes(rng);
                let another = &plans[rng.usize(0..2)];
                let (given, paid) = (self.is_given(another, later), self.pays_page(&page, before));
                drop(join3(self.asks(second, form), paid, given).await);
            }
        }
        self.time_passes(rng);
    }

    /// What was made of it, unless it is too late for it.
    async fn asks(&self, plan: &Plan, form: Form) -> Option<String> {
        let (route, body) = match form {
            Form::Page => ("POST /v1/me/checkout", json!({ "plan": plan.id })),
            Form::Card => {
                ("POST /v1/me/subscriptions", json!({ "plan": plan.id, "payment_method": "pm_card_visa" }))
            }
            Form::Unpaid => ("POST /v1/me/subscriptions", json!({ "plan": plan.id })),
        };
        let (status, answer) = self.world.ask(&self.caller, route, body).await;
        if status == 201 {
            let id = named(&answer, "id");
            if id.starts_with("cs_") {
                self.pages.borrow_mut().push(id.clone());
            }
            return Some(id);
        }
        let is_late = matches!(answer["code"].as_str(), Some("already_subscribed" | "checkout_expired"));
        assert!(status == 409 && is_late, "{status} {answer}");
        None
    }

    async fn pays_open_pages(&self, rng: &mut Rng) {
        let open = self.world.all("/v1/checkout/sessions?status=open").await;
        let paid = open.iter().map(|page| self.pays_page(page["id"].as_str().unwrap(), draw(rng)));
        join_all(paid.collect::<Vec<_>>()).await;
        self.time_passes(rng);
    }

    /// It may have expired.
    async fn pays_page(&self, page: &str, pause: Duration) {
        tokio::time::sleep(pause).await;
        drop(self.world.try_person(&format!("checkout/{page}/pay"), json!({ "card": PAID })).await);
    }

    /// It may have been canceled.
    async fn pays_first_invoice(&self, subscription: &str, pause: Duration) {
        tokio::time::sleep(pause).await;
        let begun = self.world.get(&format!("/v1/subscriptions/{subscription}")).await;
        let path = format!("invoices/{}/pay", named(&begun, "latest_invoice"));
        drop(self.world.try_person(&path, json!({ "card": PAID })).await);
    }

    /// In Stripe's dashboard, where nobody sees what else there is.
    async fn is_given(&self, plan: &Plan, pause: Duration) {
        tokio::time::sleep(pause).await;
        let world = &self.world;
        let (customer, price) = (self.customer().await, world.price(plan.id).await);
        let of = format!("customer={customer}");
        let card = named(&world.post("/v1/payment_methods/pm_card_visa/attach", &of).await, "id");
        let form = format!("{of}&items[0][price]={price}&default_payment_method={card}");
        world.post("/v1/subscriptions", &form).await;
    }

    async fn customer(&self) -> String {
        named(&self.world.get("/v1/customers").await["data"][0], "id")
    }

    /// While it is not settled yet which stays.
    async fn spends(&self, post: &mut Post, rng: &mut Rng) -> i64 {
        post.collect(&self.world, rng).await;
        post.deliver_some(&self.world, rng, &[]).await;
        let wanted = rng.i64(1..=60);
        let spent = self.world.ask(&self.caller, "POST /v1/me/consume", json!({ "tokens": wanted }));
        let pages = self.pages();
        let ((status, answer), ()) = join(spent, post.deliver_some(&self.world, rng, &pages)).await;
        assert!(matches!(status, 200 | 201 | 402), "{status} {answer}");
        if status == 402 { 0 } else { wanted }
    }

    fn time_passes(&self, rng: &mut Rng) {
        self.world.advance(rng.i64(0..40_000));
    }

    fn pages(&self) -> Vec<(&Caller, String)> {
        self.pages.borrow().iter().map(|page| (&self.caller, page.clone())).collect()
    }

    /// Answers with how many were paid for.
    async fn expect_one(&self, plans: &[Plan; 2], policy: Policy, spent: i64) -> usize {
        let books = proved(&self.world, &self.caller.user).await;
        let (mut live, mut paid) = (Vec::new(), 0);
        for subscription in self.world.all("/v1/subscriptions?status=all").await {
            let payments = self.payments_of(&subscription).await;
            paid += usize::from(!payments.is_empty());
            match subscription["status"].as_str() {
                Some("active") => live.push((subscription, payments)),
                Some("canceled" | "incomplete_expired") => {
                    self.expect_made_good(&subscription, &payments, policy, &books).await;
                }
                _ => panic!("{subscription}"),
            }
        }
        let [(subscription, payments)] = &live[..] else { panic!("not one is live: {live:#?}") };
        let [held] = &books.account.subscriptions[..] else { panic!("{:#?}", books.account) };
        assert_eq!(held.seen.id.as_str(), subscription["id"]);
        let plan = plans.iter().find(|plan| plan.id == held.seen.plan.as_str()).unwrap();
        self.expect_kept(plan, payments).await;
        expect_tokens(plan, &books, spent);
        paid
    }

    /// By us, and its money is back, or waits for an operator.
    async fn expect_made_good(&self, ended: &Value, payments: &[Value], policy: Policy, books: &Replay) {
        let comment = ended["cancellation_details"]["comment"].as_str().unwrap_or_default();
        assert!(comment.starts_with("Tollgate: "), "ended, and not by us: {ended}");
        for payment in payments {
            let (id, paid) = (named(payment, "id"), payment["amount_received"].as_i64().unwrap());
            let flagged = self.world.store.unclaimed(&id).await.unwrap();
            let reason = flagged.map(|(unclaimed, _)| unclaimed.reason);
            let refunded = self.refunded(&id).await;
            let row = books.payments.get(&PaymentId::parse(&id).unwrap()).unwrap();
            assert_eq!(row.reversed_minor, refunded, "the books of {id}");
            let made_good = (refunded, reason.as_deref());
            let expected = match policy {
                Policy::Refund => (paid, None),
                Policy::Flag => (0, Some("paid for a second subscription")),
            };
            assert_eq!(made_good, expected, "{id} of {paid} was paid for {ended}");
        }
    }

    async fn expect_kept(&self, plan: &Plan, payments: &[Value]) {
        let paid: i64 = payments.iter().map(|payment| payment["amount_received"].as_i64().unwrap()).sum();
        assert_eq!(paid, plan.minor, "{payments:#?}");
        for payment in payments {
            let id = named(payment, "id");
            assert_eq!(self.refunded(&id).await, 0, "{id} was paid for the one that stays");
            assert_eq!(self.world.store.unclaimed(&id).await.unwrap(), None);
        }
    }

    /// That succeeded.
    async fn payments_of(&self, subscription: &Value) -> Vec<Value> {
        let mut payments = Vec::new();
        let path = format!("/v1/invoices?subscription={}", named(subscription, "id"));
        for invoice in self.world.all(&path).await {
            let paid = format!("/v1/invoice_payments?invoice={}&status=paid", named(&invoice, "id"));
            for payment in self.world.all(&paid).await {
                let intent = named(&payment["payment"], "payment_intent");
                payments.push(self.world.get(&format!("/v1/payment_intents/{intent}")).await);
            }
        }
        payments
    }

    async fn refunded(&self, payment: &str) -> i64 {
        let refunds = self.world.all(&format!("/v1/refunds?payment_intent={payment}")).await;
        refunds.iter().map(|refund| refund["amount"].as_i64().unwrap()).sum()
    }
}

/// As if only this one had been paid.
fn expect_tokens(plan: &Plan, books: &Replay, spent: i64) {
    let balances = books.account.balances();
    let net = balances.available.get().cast_signed() - balances.debt.get().cast_signed();
    assert_eq!(net, plan.tokens - spent, "{:#?}", books.account);
    assert!(books.account.openings.is_empty(), "a lock is left: {:#?}", books.account.openings);
}
