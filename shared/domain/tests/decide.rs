//! The decision, by example and by law.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::account::Account;
use domain::catalog::{Catalog, Published, Shelf};
use domain::cause::{Cause, Operation};
use domain::change::Change;
use domain::decide::{Act, Command, Grant, Refusal, Spend, What, decide};
use domain::entry::{Entry, RefundRequest};
use domain::hash::Hash;
use domain::ids::{ActionId, PaymentId, RequestKey, UserId};
use domain::item::Item;
use domain::lot::Source;
use domain::money::{Currency, Money, Tokens};
use domain::payment::{Envelope, Payment};
use domain::posting::Place;
use domain::time::{DAY_MS, Time};
use proptest::prelude::*;

fn shelf() -> Shelf {
    let catalog = Catalog::parse(include_str!("../../../infra/catalogs/companion.toml"))
        .expect("companion's catalog is valid");
    Shelf::new(Arc::new(Published { version: 1, catalog, prices: BTreeMap::new(), portal: None }), Vec::new())
}

fn user() -> UserId {
    UserId::parse("ada").unwrap()
}

fn tokens(count: u64) -> Tokens {
    Tokens::new(count).unwrap()
}

fn day(number: i64) -> Time {
    Time::from_millis(1_790_000_000_000 + number * DAY_MS)
}

fn purchase(package: &str, payment: &str) -> Command {
    let item: Item = format!("package:{package}").parse().unwrap();
    let payment = Payment {
        id: PaymentId::parse(payment).unwrap(),
        customer: None,
        paid: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        envelope: Envelope { item: Some(item.clone()), ..Envelope::default() },
    };
    let cause = Cause::Payment(payment.id.clone());
    Command { cause, request: None, act: Act::Purchase { payment, item, catalog: 1 } }
}

fn request(operation: Operation, key: &str, act: Act) -> Command {
    let cause = Cause::Request { user: user(), operation, key: RequestKey::parse(key).unwrap() };
    Command { cause, request: None, act }
}

fn grant(key: &str, count: u64, expires_at: Option<Time>) -> Command {
    request(
        Operation::Grant,
        key,
        Act::Grant(Grant { tokens: tokens(count), expires_at, operator: None, note: None }),
    )
}

fn spend(what: What, amount: u64) -> Command {
    request(Operation::Consume, "k", Act::Consume(Spend { what, amount }))
}

fn action(name: &str, within: Option<u64>) -> What {
    What::Action { action: ActionId::parse(name).unwrap(), tokens: within.map(tokens) }
}

fn after(account: &Account, command: &Command, now: Time) -> Change {
    decide(account, command, &shelf(), now).expect("accepted")
}

/// An account after some commands, each accepted at day 0.
fn having(commands: &[Command]) -> Account {
    commands.iter().fold(Account::new(user()), |account, command| after(&account, command, day(0)).account)
}

#[test]
fn a_purchase_opens_a_lot_for_what_was_bought_and_one_for_the_bonus() {
    let change = after(&Account::new(user()), &purchase("medium", "pi_1"), day(0));
    let lots: Vec<_> =
        change.account.lots.iter().map(|lot| (lot.id.as_str(), lot.source, lot.remaining.get())).collect();
    assert_eq!(lots, [("pi_1+bonus", Source::Bonus, 25), ("pi_1", Source::Purchase, 250)]);
    let [row] = change.payments.as_slice() else { panic!("a purchase writes its payment's row") };
    assert_eq!((row.granted, row.taken, row.paid.amount_minor), (tokens(275), Tokens::ZERO, 999));
    assert_eq!(change.entry.entry.credited(), tokens(275));
}

#[test]
fn a_package_without_a_bonus_opens_one_lot() {
    assert_eq!(having(&[purchase("small", "pi_1")]).lots.len(), 1);
}

#[test]
fn three_of_a_package_are_three_times_its_tokens() {
    let mut command = purchase("medium", "pi_1");
    let Act::Purchase { item, .. } = &mut command.act else { unreachable!() };
    *item = "package:medium:3".parse().unwrap();
    assert_eq!(having(&[command]).balances().available, tokens(825));
}

#[test]
fn a_credit_pays_the_debt_first() {
    let account = Account { debt: tokens(110), ..Account::new(user()) };
    let change = after(&account, &purchase("small", "pi_1"), day(0));
    assert_eq!((change.account.balances().available, change.account.debt), (Tokens::ZERO, tokens(10)));
    assert!(change.account.lots.is_empty(), "nothing was left for a lot");
    let change = after(&change.account, &purchase("small", "pi_2"), day(0));
    assert_eq!((change.account.balances().available, change.account.debt), (tokens(90), Tokens::ZERO));
}

#[test]
fn the_earliest_expiry_burns_first_then_grant_then_bonus_then_purchase() {
    let account = having(&[
        purchase("medium", "pi_1"),
        grant("soon", 10, Some(day(5))),
        grant("later", 10, Some(day(9))),
        grant("never", 10, None),
    ]);
    let order: Vec<_> = account.lots.iter().map(|lot| (lot.source, lot.expires_at)).collect();
    assert_eq!(
        order,
        [
            (Source::Grant, Some(day(5))),
            (Source::Grant, Some(day(9))),
            (Source::Grant, None),
            (Source::Bonus, None),
            (Source::Purchase, None),
        ]
    );
    let change = after(&account, &spend(What::Tokens(tokens(60)), 1), day(1));
    let taken: Vec<u64> = change.entry.entry.taken().map(|(_, taken)| taken.get()).collect();
    assert_eq!(taken, [10, 10, 10, 25, 5]);
}

#[test]
fn more_than_there_is_is_refused_with_what_there_is() {
    let account = having(&[grant("g", 9, None)]);
    let refused = decide(&account, &spend(action("photo", None), 2), &shelf(), day(0));
    assert_eq!(refused, Err(Refusal::Short { needed: tokens(10), available: tokens(9) }));
}

#[test]
fn the_last_token_can_be_spent() {
    let account = having(&[grant("g", 10, None)]);
    let change = after(&account, &spend(action("photo", None), 2), day(0));
    assert!(change.account.lots.is_empty());
}

#[test]
fn an_action_priced_by_a_range_needs_tokens_within_it() {
    let account = having(&[purchase("mega", "pi_1")]);
    let out_of_range = Err(Refusal::TokensOutOfRange { min: tokens(10), max: tokens(50) });
    for within in [None, Some(9), Some(51)] {
        assert_eq!(decide(&account, &spend(action("skip_level", within), 1), &shelf(), day(0)), out_of_range);
    }
    let change = after(&account, &spend(action("skip_level", Some(50)), 1), day(0));
    assert_eq!(change.account.balances().available, tokens(1750));
}

#[test]
fn what_the_plan_does_not_include_is_refused_however_many_tokens_there_are() {
    let account = having(&[purchase("mega", "pi_1")]);
    let refused = decide(&account, &spend(action("video", None), 1), &shelf(), day(0)).unwrap_err();
    assert!(
        matches!(refused, Refusal::FeatureNotIncluded(feature) if feature.as_str() == "video_generation")
    );
}

#[test]
fn unknown_actions_and_items_are_named() {
    let account = Account::new(user());
    let dance = decide(&account, &spend(action("dance", None), 1), &shelf(), day(0));
    assert!(matches!(dance, Err(Refusal::UnknownAction(id)) if id.as_str() == "dance"));
    let huge = decide(&account, &purchase("huge", "pi_1"), &shelf(), day(0));
    assert!(matches!(huge, Err(Refusal::UnknownItem(_))));
}

#[test]
fn no_account_grows_beyond_the_bound() {
    let account = having(&[grant("g", Tokens::MAX.get(), None)]);
    assert_eq!(decide(&account, &grant("h", 1, None), &shelf(), day(0)), Err(Refusal::TooManyTokens));
    let all = spend(What::Tokens(Tokens::MAX), u64::MAX);
    assert_eq!(decide(&account, &all, &shelf(), day(0)), Err(Refusal::TooManyTokens));
}

#[test]
fn a_lapsed_lot_is_posted_first_dated_when_it_lapsed_inside_the_next_entry() {
    let account = having(&[grant("soon", 10, Some(day(5))), grant("never", 10, None)]);
    let change = after(&account, &spend(action("photo", None), 1), day(7));
    let posted: Vec<_> = change.entry.entry.postings.iter().map(|p| (p.to, p.amount.get(), p.at)).collect();
    assert_eq!(posted, [(Place::Expired, 10, Some(day(5))), (Place::Spent, 5, None)]);
    assert_eq!(change.account.balances().available, tokens(5));
}

#[test]
fn reading_shows_a_lapse_and_changes_nothing() {
    let account = having(&[grant("soon", 10, Some(day(5)))]);
    let shown = account.advance(day(5));
    assert_eq!((shown.account.balances().available, shown.postings.len()), (Tokens::ZERO, 1));
    assert_eq!(account.balances().available, tokens(10));
}

#[test]
fn a_clock_that_steps_back_changes_nothing() {
    let account = having(&[grant("soon", 10, Some(day(5)))]);
    let late = after(&account, &grant("g", 1, None), day(6)).account;
    let change = after(&late, &spend(What::Tokens(tokens(1)), 1), day(2));
    assert_eq!(change.entry.entry.at, day(6));
    assert!(change.account.lots.is_empty());
}

#[test]
fn the_same_decision_has_the_same_bytes() {
    let account = Account::new(user());
    let (one, two) = (
        after(&account, &purchase("medium", "pi_1"), day(0)),
        after(&account, &purchase("medium", "pi_1"), day(0)),
    );
    assert_eq!(one.entry.body, two.entry.body);
    assert_eq!(one.entry.hash, Hash::of(Hash::START, &one.entry.body));
}

/// A refund of a part, as an operator asks for it.
fn refund(key: &str) -> Command {
    let request = RefundRequest {
        payment: PaymentId::parse("pi_1").unwrap(),
        amount: Money { amount_minor: 333, currency: Currency::parse("eur").unwrap() },
        reason: None,
        operator: UserId::parse("grace").unwrap(),
        note: None,
    };
    let (user, key) = (request.operator.clone(), RequestKey::parse(key).unwrap());
    let cause = Cause::Request { user, operation: Operation::Refund, key };
    Command { cause, request: None, act: Act::Refund(request) }
}

#[test]
fn money_is_asked_back_and_given_back_to_a_closed_account_too() {
    let open = having(&[purchase("medium", "pi_1")]);
    let close = request(Operation::Erase, "k", Act::Close { operator: UserId::parse("grace").unwrap() });
    let closed = after(&open, &close, day(1)).account;
    let asked = after(&closed, &refund("k"), day(2));
    assert_eq!((asked.account.seq, asked.account.balances()), (closed.seq + 1, closed.balances()));
    assert_eq!(asked.account.closed, Some(day(1)));
}

#[test]
fn an_entry_is_written_as_it_was_the_day_it_was_first_stored() {
    let change = after(&Account::new(user()), &purchase("medium", "pi_1"), day(0));
    assert_eq!(
        change.entry.body,
        r#"{"user":"ada","seq":1,"at":1790000000000,"cause":"pay:pi_1","kind":"purchase","item":"package:medium","catalog":1,"paid":{"amount_minor":999,"currency":"eur"},"tokens":250,"bonus":25,"postings":[["world","lot",250,"pi_1",null],["world","lot",25,"pi_1+bonus",null]],"opened":[["pi_1","purchase",null],["pi_1+bonus","bonus",null]],"after":{"available":275,"held":0,"debt":0}}"#
    );
    let change = after(&change.account, &spend(action("photo", None), 1), day(1));
    assert_eq!(
        change.entry.body,
        r#"{"user":"ada","seq":2,"at":1790086400000,"cause":"req:ada:consume:k","kind":"consume","action":"photo","amount":1,"postings":[["lot","spent",5,"pi_1+bonus",null]],"after":{"available":270,"held":0,"debt":0}}"#
    );
}

fn any_command() -> impl Strategy<Value = Command> {
    let key = "[a-z]{12}";
    let package = prop::sample::select(vec!["small", "medium", "large", "mega"]);
    prop_oneof![
        (package, key).prop_map(|(package, id)| purchase(package, &format!("pi_{id}"))),
        (key, 1u64..500, prop::option::of(0i64..40)).prop_map(|(key, count, end)| grant(
            &key,
            count,
            end.map(day)
        )),
        (1u64..400, 1u64..3).prop_map(|(count, amount)| spend(What::Tokens(tokens(count)), amount)),
        (1u64..5).prop_map(|amount| spend(action("photo", None), amount)),
    ]
}

proptest! {
    /// Asking Stripe takes nothing yet: its entry adds no posting to what time alone does, whatever the account has.
    #[test]
    fn a_refund_that_is_asked_for_moves_nothing(commands in prop::collection::vec(any_command(), 0..20), later in 0i64..40) {
        let shelf = shelf();
        let account = commands.iter().fold(Account::new(user()), |account, command| {
            decide(&account, command, &shelf, day(0)).map_or(account, |change| change.account)
        });
        let passed = account.advance(day(later));
        let change = decide(&account, &refund("key"), &shelf, day(later)).expect("it is never refused");
        prop_assert_eq!(change.entry.entry.postings, passed.postings);
        let expected = Account { seq: account.seq + 1, head: change.entry.hash, ..passed.account };
        prop_assert_eq!(change.account, expected);
        prop_assert_eq!(change.payments, Vec::new());
    }

    /// Any history: the journal has no gaps, chains by hash, reads back, and explains the account to the token.
    #[test]
    fn every_state_is_explained_by_its_history(commands in prop::collection::vec((any_command(), 0i64..3), 1..40)) {
        let shelf = shelf();
        let mut account = Account { debt: tokens(120), ..Account::new(user()) };
        let (mut now, mut head, mut sums) = (0, Hash::START, BTreeMap::<_, i128>::new());
        for (command, days) in commands {
            now += days;
            let before = account.clone();
            match decide(&account, &command, &shelf, day(now)) {
                Err(_) => prop_assert_eq!(&account, &before),
                Ok(change) => {
                    let entry = &change.entry.entry;
                    prop_assert_eq!(entry.seq, before.seq + 1);
                    prop_assert_eq!(change.entry.prev, head);
                    prop_assert_eq!(&Entry::parse(&change.entry.body).unwrap(), entry);
                    prop_assert_eq!(entry.after, change.account.balances());
                    for posting in &entry.postings {
                        prop_assert!(!posting.amount.is_zero());
                        *sums.entry(posting.from.name()).or_default() -= i128::from(posting.amount.get());
                        *sums.entry(posting.to.name()).or_default() += i128::from(posting.amount.get());
                    }
                    prop_assert!(change.account.lots.iter().all(|lot| !lot.remaining.is_zero()));
                    head = change.entry.hash;
                    account = change.account;
                }
            }
        }
        let of = |place: &str| sums.get(place).copied().unwrap_or_default();
        prop_assert_eq!(of("lot"), i128::from(account.balances().available.get()));
        prop_assert_eq!(of("debt"), 120 - i128::from(account.debt.get()));
        prop_assert_eq!(sums.values().sum::<i128>(), 0);
        prop_assert_eq!(account.head, head);
    }
}
