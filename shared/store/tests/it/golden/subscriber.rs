//! A team that tries a plan with seats, pays for it, and asks for more, for its end, and to go on after all.

use domain::account::Account;
use domain::alteration::{Alteration, Deed, PlanChange, Wanted};
use domain::catalog::{Allowance, Proration, When, Window};
use domain::cause::{Cause, Operation};
use domain::change::Change;
use domain::decide::{Act, Command, decide};
use domain::entry::{CheckoutRequest, Direct, TrialRequest};
use domain::follow::observe;
use domain::ids::{CustomerId, PaymentMethodId, PlanId, PriceId, RequestKey};
use domain::item::Interval;
use domain::money::Tokens;
use domain::request::RequestHash;
use domain::subscription::{Scheduled, Seen, Status, Terms};
use domain::time::{DAY_MS, MINUTE_MS, Time};
use serde_json::json;
use store::items;

use super::{assert_written, stored};
use crate::table::{NOW, first_invoice, premium, shelf, subscription_id, user};

const ACCOUNT: &str = include_str!("../../golden/account.subscriber.4.json");
const ENTRY_CHECKOUT: &str = include_str!("../../golden/entry.checkout.trial.1.json");
const ENTRY_DIRECT: &str = include_str!("../../golden/entry.checkout.direct.1.json");
const ENTRY_SUBSCRIPTION: &str = include_str!("../../golden/entry.subscription.2.json");
const ENTRY_CHANGE: &str = include_str!("../../golden/entry.change.1.json");
const ENTRY_CANCEL: &str = include_str!("../../golden/entry.cancel.1.json");
const ENTRY_RESUME: &str = include_str!("../../golden/entry.resume.1.json");

struct Books {
    opened: Change,
    direct: Change,
    seen: Change,
    planned: Change,
    changed: Change,
    canceled: Change,
    resumed: Change,
}

impl Books {
    fn new() -> Books {
        let decided = |account: &Account, command: &Command| decide(account, command, &shelf(), NOW).unwrap();
        let opened = decided(&Account::new(user()), &asked(Operation::Checkout, Act::Checkout(trial())));
        let direct = decided(&Account::new(user()), &asked(Operation::Subscribe, Act::Checkout(collected())));
        let seen = observe(&opened.account, &tried(), NOW).unwrap();
        let paid = decided(&seen.account, &first_invoice());
        let planned = observe(&paid.account, &leaving_seats(), NOW).unwrap();
        let alter = |account: &Account, operation, deed| {
            decided(
                account,
                &asked(operation, Act::Alter(Alteration { subscription: subscription_id(), deed })),
            )
        };
        let changed = alter(&planned.account, Operation::Change, Deed::Change(more()));
        let canceled = alter(&planned.account, Operation::Cancel, Deed::Cancel { when: When::PeriodEnd });
        let resumed = alter(&planned.account, Operation::Resume, Deed::Resume);
        Books { opened, direct, seen, planned, changed, canceled, resumed }
    }

    fn entries(&self) -> [(&'static str, &Change); 6] {
        [
            (ENTRY_CHECKOUT, &self.opened),
            (ENTRY_DIRECT, &self.direct),
            (ENTRY_SUBSCRIPTION, &self.seen),
            (ENTRY_CHANGE, &self.changed),
            (ENTRY_CANCEL, &self.canceled),
            (ENTRY_RESUME, &self.resumed),
        ]
    }
}

#[test]
fn what_subscribers_have_and_ask_for_is_written_as_it_always_was() {
    let books = Books::new();
    assert_written(ACCOUNT, items::from_account(&books.planned.account));
    for (golden, change) in books.entries() {
        assert_written(golden, items::from_entry(&change.entry));
    }
}

#[test]
fn what_subscribers_had_and_asked_for_reads_as_what_it_meant() {
    let books = Books::new();
    assert_eq!(items::to_account(user(), stored(ACCOUNT)).unwrap(), books.planned.account);
    for (golden, change) in books.entries() {
        assert_eq!(items::to_entry(stored(golden)).unwrap(), change.entry.entry);
    }
}

/// As a client asks, its key a UUID.
fn asked(operation: Operation, act: Act) -> Command {
    let key = RequestKey::parse("9e2b4f70-3d5a-4c1e-8f96-000000000001").unwrap();
    let request = Some(RequestHash::of(operation, &[user().as_str()], &json!({ "plan": "premium" })));
    Command { cause: Cause::Request { user: user(), operation, key }, request, act }
}

/// A page of Stripe's for three seats that are tried first.
fn trial() -> CheckoutRequest {
    let email = Some("1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse().unwrap());
    CheckoutRequest { trial: Some(TrialRequest { days: 7, email }), direct: None, ..collected() }
}

/// The same without a page: the app has collected a card.
fn collected() -> CheckoutRequest {
    CheckoutRequest {
        customer: CustomerId::parse("cus_QabcdefGhijkl1").unwrap(),
        item: "plan:premium:month".parse().unwrap(),
        catalog: 1,
        price: PriceId::parse("price_1QabcdefGhijklmnOpqrstuv").unwrap(),
        expires_at: NOW.plus_ms(90 * MINUTE_MS),
        group: Some("main".to_owned()),
        replaces: None,
        joins: None,
        urls: None,
        seats: 3,
        trial: None,
        direct: Some(Direct { method: PaymentMethodId::parse("pm_1QabcdefGhijklmnOpqrstuv").ok() }),
    }
}

fn seats(count: u32) -> Seen {
    let each = Allowance::Tokens { count: tokens(500), every: Window::Week, rollover: tokens(250) };
    let mut terms = Terms { trial_tokens: tokens(50), tokens_wait: true, ..Terms::default() };
    (terms.access.past_due, terms.access.renewal_grace_ms) = (false, DAY_MS);
    Seen { quantity: count, allowance: Some(each.times(count)), terms, ..premium() }
}

fn tried() -> Seen {
    let trial_end = NOW.plus_ms(7 * DAY_MS);
    Seen { status: Status::Trialing, trial_end: Some(trial_end), period_end: trial_end, ..seats(3) }
}

/// Paid for, and with fewer seats from the next month on.
fn leaving_seats() -> Seen {
    let next = Scheduled {
        plan: PlanId::parse("premium").unwrap(),
        interval: Interval::Month,
        quantity: 2,
        at: premium().period_end,
    };
    Seen { next: Some(next), trial_end: Some(NOW), ..seats(3) }
}

fn more() -> PlanChange {
    PlanChange {
        to: Wanted { plan: PlanId::parse("elite").unwrap(), interval: Interval::Month, quantity: 1 },
        price: PriceId::parse("price_2QabcdefGhijklmnOpqrstuv").unwrap(),
        catalog: 1,
        when: When::Now,
        proration: Proration::AtOnce,
        counted_from: Time::from_seconds(NOW.seconds()),
    }
}

fn tokens(count: u64) -> Tokens {
    Tokens::new(count).unwrap()
}
