//! One user's story: an account, its journal, and what Stripe is made to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::account::Account;
use domain::catalog::{Allowance, Catalog, Published, Shelf, Window};
use domain::cause::{Cause, Operation};
use domain::decide::{Act, Command, Grant, Refusal, Spend, What, decide};
use domain::entry::{CheckoutRequest, Entry};
use domain::follow::observe;
use domain::hash::Hash;
use domain::ids::{CustomerId, InvoiceId, PaymentId, PlanId, PriceId, RequestKey, SubscriptionId, UserId};
use domain::item::Interval;
use domain::money::{Currency, Money, Tokens};
use domain::payment::{Envelope, Payment};
use domain::replay::Replay;
use domain::subscription::{PaidFor, PaidInvoice, Period, Seen, Status, Terms};
use domain::time::{DAY_MS, HOUR_MS, Time};

/// One user's account, its journal, and what Stripe is made to say.
#[derive(Clone)]
pub struct Story {
    pub shelf: Shelf,
    pub account: Account,
    pub journal: Vec<Entry>,
    pub now: Time,
    pub seen: Seen,
    requests: u32,
}

pub fn tokens(count: u64) -> Tokens {
    Tokens::new(count).unwrap()
}

/// Tokens that an operator gives.
pub fn given(count: u64, expires_at: Option<Time>) -> Act {
    Act::Grant(Grant { tokens: tokens(count), expires_at, operator: None, note: None })
}

pub fn weekly(count: u64) -> Option<Allowance> {
    every(Window::Week, count)
}

pub fn every(window: Window, count: u64) -> Option<Allowance> {
    Some(Allowance::Tokens { count: tokens(count), every: window, rollover: Tokens::ZERO })
}

pub fn day(number: i64) -> Time {
    start().plus_ms(number * DAY_MS)
}

pub fn start() -> Time {
    Time::parse_rfc3339("2026-10-01T08:00:00Z").unwrap()
}

/// Premium as Stripe tells of it in its first month.
pub fn premium() -> Seen {
    Seen {
        id: SubscriptionId::parse("sub_1").unwrap(),
        plan: PlanId::parse("premium").unwrap(),
        group: "main".to_owned(),
        catalog: 1,
        interval: Interval::Month,
        price: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        status: Status::Active,
        anchor: start(),
        period_start: start(),
        period_end: start().plus_months(1),
        trial_end: None,
        cancel_at: None,
        ended_at: None,
        allowance: weekly(500),
        quantity: 1,
        next: None,
        terms: Terms::default(),
    }
}

impl Story {
    pub fn new() -> Story {
        Story::of(include_str!("../../../../infra/catalogs/companion.toml"))
    }

    /// Under a catalog of the test's own.
    pub fn of(catalog: &str) -> Story {
        let catalog = Catalog::parse(catalog).expect("a valid catalog");
        let published = Published { version: 1, catalog, prices: BTreeMap::new(), portal: None };
        Story {
            shelf: Shelf::new(Arc::new(published), Vec::new()),
            account: Account::new(UserId::parse("ada").unwrap()),
            journal: Vec::new(),
            now: start(),
            seen: premium(),
            requests: 0,
        }
    }

    /// Premium, seen and paid for its first month.
    pub fn subscribed() -> Story {
        let mut story = Story::new();
        story.sync();
        story.pay(1);
        story
    }

    pub fn wait(&mut self, days: i64) -> &mut Story {
        self.now = self.now.plus_ms(days * DAY_MS);
        self
    }

    /// Brings into the books what Stripe says.
    pub fn sync(&mut self) -> &mut Story {
        if let Some(change) = observe(&self.account, &self.seen, self.now) {
            assert_eq!((change.fence.seq, change.fence.obs), (self.account.seq, self.account.obs));
            self.journal.push(change.entry.entry);
            self.account = change.account;
        }
        self
    }

    /// The invoice of the so-manieth month is paid, and Stripe has moved on to that month.
    pub fn pay(&mut self, month: i64) -> &mut Story {
        let period = Period { start: start().plus_months(month - 1), end: start().plus_months(month) };
        if period.end > self.seen.period_end {
            (self.seen.period_start, self.seen.period_end) = (period.start, period.end);
        }
        self.sync();
        self.pay_for(&format!("in_{month}"), period)
    }

    pub fn pay_for(&mut self, id: &str, period: Period) -> &mut Story {
        self.pay_invoice(id, period, false)
    }

    /// What a change in mid-period costs.
    pub fn pay_proration(&mut self, id: &str, period: Period) -> &mut Story {
        self.pay_invoice(id, period, true)
    }

    fn pay_invoice(&mut self, id: &str, period: Period, proration: bool) -> &mut Story {
        let is_trial = self.seen.status == Status::Trialing;
        let paid = Money { amount_minor: if is_trial { 0 } else { 999 }, ..self.seen.price };
        let invoice = PaidInvoice {
            id: InvoiceId::parse(id).unwrap(),
            subscription: self.seen.id.clone(),
            customer: None,
            paid,
            payments: vec![(PaymentId::parse(format!("pi_{id}")).unwrap(), paid.amount_minor)],
            lines: Vec::new(),
        };
        let paid_for = PaidFor {
            item: "plan:premium:month".parse().unwrap(),
            catalog: 1,
            allowance: self.seen.allowance,
            period: Some(period),
            proration,
        };
        let cause = Cause::Invoice(invoice.id.clone());
        self.apply(cause, Act::Invoice { invoice, paid_for }).expect("an invoice is never refused");
        self
    }

    pub fn buy_medium(&mut self) -> &mut Story {
        let item: domain::item::Item = "package:medium".parse().unwrap();
        let payment = Payment {
            id: PaymentId::parse("pi_1").unwrap(),
            customer: None,
            paid: self.seen.price,
            envelope: Envelope::default(),
        };
        let cause = Cause::Payment(payment.id.clone());
        self.apply(cause, Act::Purchase { payment, item, catalog: 1 }).unwrap();
        self
    }

    pub fn spend(&mut self, count: u64) -> Result<(), Refusal> {
        let what = What::Tokens(tokens(count));
        let cause = self.request(Operation::Consume);
        self.apply(cause, Act::Consume(Spend { what, amount: 1 }))
    }

    /// A write that does nothing by itself: whatever is in its entry, time has done.
    pub fn touch(&mut self) {
        let cause = self.request(Operation::Grant);
        self.apply(cause, given(0, None)).unwrap();
    }

    pub fn request(&mut self, operation: Operation) -> Cause {
        self.requests += 1;
        let key = RequestKey::parse(self.requests.to_string()).unwrap();
        Cause::Request { user: self.account.user.clone(), operation, key }
    }

    pub fn apply(&mut self, cause: Cause, act: Act) -> Result<(), Refusal> {
        let change = decide(&self.account, &Command { cause, request: None, act }, &self.shelf, self.now)?;
        self.journal.push(change.entry.entry);
        self.account = change.account;
        Ok(())
    }

    pub fn checkout(&mut self, plan: &str, replaces: Option<Cause>) -> (Cause, Result<(), Refusal>) {
        let cause = self.request(Operation::Checkout);
        let request = CheckoutRequest {
            customer: CustomerId::parse("cus_1").unwrap(),
            item: format!("plan:{plan}:month").parse().unwrap(),
            catalog: 1,
            price: PriceId::parse("price_1").unwrap(),
            expires_at: self.now.plus_ms(HOUR_MS),
            group: Some("main".to_owned()),
            replaces,
            joins: None,
            urls: None,
            seats: 1,
            trial: None,
            direct: None,
        };
        (cause.clone(), self.apply(cause, Act::Checkout(request)))
    }

    /// The journal read again, each entry after the one before it.
    pub fn replayed(&self) -> Replay {
        let mut replay = Replay::new(self.account.user.clone());
        let mut head = Hash::START;
        for entry in &self.journal {
            let sealed = entry.clone().seal(head);
            head = sealed.hash;
            assert_eq!(replay.step(&sealed), Ok(()), "{entry:?}");
        }
        replay
    }

    pub fn available(&self) -> u64 {
        self.account.advance(self.now).account.balances().available.get()
    }

    pub fn plan(&self) -> (String, &'static str) {
        let account = self.account.advance(self.now).account;
        let in_force = account.plan(&self.shelf);
        let status = in_force.subscription.map_or("none", |held| held.seen.status_at(self.now).name());
        (in_force.id.to_string(), status)
    }

    /// How many tokens ever came to an account of the ledger, less what left it.
    pub fn totals(&self) -> BTreeMap<&'static str, i64> {
        let mut totals = BTreeMap::new();
        for posting in self.journal.iter().flat_map(|entry| &entry.postings) {
            let amount = i64::try_from(posting.amount.get()).unwrap();
            *totals.entry(posting.from.name()).or_default() -= amount;
            *totals.entry(posting.to.name()).or_default() += amount;
        }
        totals
    }
}
