//! A history as it is told: each deed is done, and everything that Stripe says of it is delivered and kept.

use std::rc::Rc;

use domain::time::HOUR_MS;
use serde_json::{Value, json};
use stripe_event::{Fact, decode};

use crate::histories::Deed;
use crate::images::Image;
use crate::world::{CATALOG, Caller, PAID, World};

pub struct Tale {
    pub world: World,
    pub caller: Caller,
    pub told: Vec<Told>,
    /// The table before anything was told, when only the first request was in it.
    pub fresh: Rc<Image>,
    /// The table as it is, everything having been told as it happened.
    pub now: Rc<Image>,
    /// The session that was opened last.
    pub session: Option<String>,
    subscription: String,
    newest: Option<String>,
}

/// Something that Stripe said, and that leads somewhere.
pub struct Told {
    pub name: String,
    pub event: Value,
    /// The table before it was delivered.
    pub before: Rc<Image>,
}

/// What one deed leads to comes to an end.
const MOST_AT_ONCE: usize = 60;

impl Tale {
    pub async fn begin() -> Tale {
        let world = World::prompt(CATALOG).await;
        let mut newest = None;
        world.told_since(&mut newest).await;
        Tale {
            world,
            caller: Caller::named("ada").with_email("ada@mail.example"),
            told: Vec::new(),
            fresh: Rc::default(),
            now: Rc::default(),
            session: None,
            subscription: String::new(),
            newest,
        }
    }

    /// Does it, and delivers one by one what Stripe says of it, and of what comes of that.
    pub async fn go_on(&mut self, deed: Deed) {
        self.act(deed).await;
        self.now = Rc::new(self.world.image().await);
        let known = self.told.len();
        loop {
            let events = self.world.told_since(&mut self.newest).await;
            if events.is_empty() {
                return;
            }
            for event in events {
                self.world.deliver(std::slice::from_ref(&event)).await;
                let after = Rc::new(self.world.image().await);
                let before = std::mem::replace(&mut self.now, after);
                if says_something(&event) {
                    let name = format!("{} ({})", event["type"].as_str().unwrap(), self.told.len());
                    self.told.push(Told { name, event, before });
                }
            }
            assert!(self.told.len() < known + MOST_AT_ONCE, "after {deed:?} Stripe does not come to rest");
        }
    }

    /// Whether Stripe has nothing more to say.
    pub async fn is_at_rest(&mut self) -> bool {
        self.world.told_since(&mut self.newest).await.is_empty()
    }

    /// Does it, and nobody hears of it yet.
    pub async fn act(&mut self, deed: Deed) {
        let debit = |iban: &str| json!({ "iban": iban, "email": "ada@mail.example" });
        match deed {
            Deed::Subscribes(plan) => self.buys(json!({ "plan": plan }), json!({ "card": PAID })).await,
            Deed::Buys(package) => self.buys(json!({ "package": package }), json!({ "card": PAID })).await,
            Deed::SubscribesByDebit(plan, iban) => self.buys(json!({ "plan": plan }), debit(iban)).await,
            Deed::BuysByDebit(package, iban) => self.buys(json!({ "package": package }), debit(iban)).await,
            Deed::BeginsDirectly(plan) => {
                let begun = self.granted("POST /v1/me/subscriptions", json!({ "plan": plan })).await;
                self.subscription = named(&begun, "id");
            }
            Deed::Spends(tokens) => {
                self.granted("POST /v1/me/consume", json!({ "tokens": tokens })).await;
            }
            Deed::AsksFor(plan) => {
                let (route, body) = ("POST /v1/me/subscriptions/{id}/change", json!({ "plan": plan }));
                let (status, answer) =
                    self.world.ask_about(&self.caller, route, &self.subscription, body).await;
                assert_eq!(status, 200, "{answer}");
            }
            Deed::Passes(time) => self.world.advance(time.hours() * HOUR_MS),
            Deed::IsRefunded(_) | Deed::RefundFails | Deed::Disputes(_) | Deed::BankDecides(_) => {
                self.take_back(deed).await;
            }
            _ => self.alter(deed).await,
        }
    }

    async fn buys(&mut self, wanted: Value, means: Value) {
        let opened = self.granted("POST /v1/me/checkout", wanted).await;
        let session = named(&opened, "id");
        self.world.person(&format!("checkout/{session}/pay"), means).await;
        let paid = self.world.get(&format!("/v1/checkout/sessions/{session}")).await;
        if let Some(subscription) = paid["subscription"].as_str() {
            self.subscription = subscription.to_owned();
        }
        self.session = Some(session);
    }

    async fn granted(&mut self, route: &str, body: Value) -> Value {
        let answer = self.world.granted(&self.caller, route, body).await;
        if self.told.is_empty() {
            self.fresh = Rc::new(self.world.image().await);
        }
        answer
    }

    /// What is done to the subscription.
    async fn alter(&self, deed: Deed) {
        let world = &self.world;
        let (by_hand, form) = (
            format!("subscriptions/{}", self.subscription),
            format!("/v1/subscriptions/{}", self.subscription),
        );
        let is = world.get(&form).await;
        match deed {
            Deed::TakesCard(card) => {
                world.person(&format!("{by_hand}/card"), json!({ "card": card })).await;
            }
            Deed::PaysFirstInvoice(card) => {
                let path = format!("invoices/{}/pay", named(&is, "latest_invoice"));
                // It may be declined, which is told too.
                drop(world.try_person(&path, json!({ "card": card })).await);
            }
            Deed::MovesTo(plan) | Deed::IsMovedTo(plan) => {
                let (item, price) = (named(&is["items"]["data"][0], "id"), self.world.price(plan).await);
                let change = format!("items[0][id]={item}&items[0][price]={price}");
                let is_paid = matches!(deed, Deed::MovesTo(_));
                let proration = if is_paid { "always_invoice" } else { "none" };
                world.post(&form, &format!("{change}&proration_behavior={proration}")).await;
            }
            Deed::CancelsAtPeriodEnd => {
                world.post(&form, "cancel_at_period_end=true").await;
            }
            Deed::Resumes => {
                world.post(&form, "cancel_at_period_end=false").await;
            }
            Deed::CancelsNow => {
                world.person(&format!("{by_hand}/cancel"), json!({})).await;
            }
            Deed::IsGivenAnother(plan) => {
                let (customer, price) = (named(&is, "customer"), self.world.price(plan).await);
                let method = named(&is, "default_payment_method");
                let form =
                    format!("customer={customer}&items[0][price]={price}&default_payment_method={method}");
                world.post("/v1/subscriptions", &form).await;
            }
            _ => unreachable!("{deed:?} is done elsewhere"),
        }
    }

    /// What is done to the latest payment.
    async fn take_back(&self, deed: Deed) {
        let world = &self.world;
        let latest = async |path: &str| named(&world.all(path).await.pop().unwrap(), "id");
        match deed {
            Deed::IsRefunded(amount) => {
                let amount = amount.map(|amount| format!("&amount={amount}")).unwrap_or_default();
                let form = format!("payment_intent={}{amount}", self.latest_payment().await);
                world.post("/v1/refunds", &form).await;
            }
            Deed::RefundFails => {
                let refund = latest("/v1/refunds").await;
                world.person(&format!("refunds/{refund}/fail"), json!({})).await;
            }
            Deed::Disputes(amount) => {
                let claim = amount.map_or(json!({}), |amount| json!({ "amount": amount }));
                world.person(&format!("payments/{}/dispute", self.latest_payment().await), claim).await;
            }
            Deed::BankDecides(outcome) => {
                let dispute = latest("/v1/disputes").await;
                world.person(&format!("disputes/{dispute}/resolve"), json!({ "outcome": outcome })).await;
            }
            _ => unreachable!("{deed:?} is done elsewhere"),
        }
    }

    async fn latest_payment(&self) -> String {
        let mut paid = self.world.all("/v1/payment_intents").await;
        paid.retain(|intent| intent["status"] == "succeeded");
        named(&paid.pop().unwrap(), "id")
    }
}

/// Most of what Stripe says leads nowhere.
pub fn says_something(event: &Value) -> bool {
    let fact = decode(&event.to_string()).unwrap().fact;
    !matches!(fact, Fact::Other | Fact::Stranger)
}

pub fn named(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("no {field}: {object}")).to_owned()
}
