//! What is known of a payment beside the books: looks that cross, references, and accounts that are closed.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::{ChargeId, CheckoutId, CustomerId, InvoiceId, PaymentId};
use domain::money::{Currency, Money};
use domain::payment::AttemptOutcome::{self, Failed, Pending};
use domain::payment::{Attempt, PaymentRecord, PaymentStatus, References};
use serde_json::Value;
use store::items::{self, Item};
use store::{Noted, schema};

use crate::golden::{plain, stored};
use crate::observe::{interleavings, reset};
use crate::table::{NOW, TABLE, Table, payment_id, purchase, user};

const ATTEMPT: &str = include_str!("../golden/payment.attempt.1.json");
const INVOICES_ATTEMPT: &str = include_str!("../golden/payment.attempt.2.json");
const REFERENCES: &str = include_str!("../golden/payment.references.1.json");

fn attempt(outcome: AttemptOutcome) -> Attempt {
    Attempt {
        payment: id(),
        item: "package:medium".parse().unwrap(),
        amount: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        customer: Some(CustomerId::parse("cus_QabcdefGhijkl1").unwrap()),
        invoice: None,
        outcome,
        at: NOW,
    }
}

/// Of a renewal.
fn invoices_attempt() -> Attempt {
    let invoice = Some(InvoiceId::parse("in_1QabcdefGhijklmn").unwrap());
    Attempt { item: "plan:premium:month".parse().unwrap(), invoice, ..attempt(declined()) }
}

fn declined() -> AttemptOutcome {
    Failed("insufficient_funds".to_owned())
}

fn references() -> References {
    References {
        checkout: Some(CheckoutId::parse("cs_test_a1QabcdefGhijklmn").unwrap()),
        charge: Some(ChargeId::parse("ch_3QabcdefGhijklmn").unwrap()),
        receipt_url: Some("https://pay.stripe.com/receipts/payment/test".to_owned()),
    }
}

fn id() -> PaymentId {
    payment_id(1)
}

impl Table {
    async fn note(&self, outcome: AttemptOutcome, looks: u64) -> Noted {
        self.store.put_attempt(&user(), &attempt(outcome), looks).await.unwrap()
    }

    async fn looks(&self) -> Option<u64> {
        self.store.attempt_looks(&user(), &id()).await.unwrap()
    }

    async fn refer(&self, references: &References) -> bool {
        self.store.refer(&user(), &id(), references).await.unwrap()
    }

    async fn item(&self) -> Option<Item> {
        let key = schema::payment(&user(), &id());
        let get = self.client.get_item().table_name(TABLE).consistent_read(true);
        let get = get.key("PK", AttributeValue::S(key.pk)).key("SK", AttributeValue::S(key.sk));
        get.send().await.unwrap().item
    }

    async fn record(&self) -> Option<PaymentRecord> {
        items::to_record(user(), id(), self.item().await?).unwrap()
    }

    /// As erasing the user does.
    async fn close(&self) {
        let key = schema::account(&user());
        let update = self.client.update_item().table_name(TABLE);
        let update = update.key("PK", AttributeValue::S(key.pk)).key("SK", AttributeValue::S(key.sk));
        let at = AttributeValue::N(NOW.millis().to_string());
        let update = update.update_expression("SET closed = :at").expression_attribute_values(":at", at);
        update.send().await.unwrap();
    }
}

#[tokio::test]
async fn attempts_and_references_are_stored_as_they_always_were() {
    let table = Table::new().await;
    for (attempt, golden) in [(attempt(declined()), ATTEMPT), (invoices_attempt(), INVOICES_ATTEMPT)] {
        table.store.put_attempt(&user(), &attempt, 0).await.unwrap();
        let golden: Value = serde_json::from_str(golden).unwrap();
        let item = plain(&AttributeValue::M(table.item().await.unwrap()));
        assert_eq!(item, golden, "{item:#}");
        reset(&table).await;
    }
    table.refer(&references()).await;
    let golden: Value = serde_json::from_str(REFERENCES).unwrap();
    let item = plain(&AttributeValue::M(table.item().await.unwrap()));
    assert_eq!(item, golden, "{item:#}");
}

#[test]
fn attempts_and_references_once_stored_read_as_what_they_meant() {
    let read = |golden| items::to_record(user(), id(), stored(golden)).unwrap();
    let record = read(ATTEMPT).unwrap();
    assert_eq!(
        (record.status, record.failure.as_deref()),
        (PaymentStatus::Failed, Some("insufficient_funds"))
    );
    let Attempt { item, amount, customer, at, .. } = attempt(declined());
    assert_eq!((record.item, record.amount, record.customer, record.at), (item, amount, customer, at));
    assert_eq!(record.invoice, None);
    let record = read(INVOICES_ATTEMPT).unwrap();
    assert_eq!((record.invoice, record.item), (invoices_attempt().invoice, invoices_attempt().item));
    assert_eq!(read(REFERENCES), None, "references alone are no payment yet");
    let both: Item = stored(ATTEMPT).into_iter().chain(stored(REFERENCES)).collect();
    let record = items::to_record(user(), id(), both).unwrap().unwrap();
    assert_eq!((record.status, record.references), (PaymentStatus::Failed, references()));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Stripe's intent fails, and later waits for another try.
    Change,
    /// A look reads how often was looked, asks Stripe, writes.
    Read(usize),
    Ask(usize),
    Write(usize),
    Book,
}

async fn play(table: &Table, order: &[Step]) -> AttemptOutcome {
    let mut stripe = Pending;
    let mut looks = [(None, Pending), (None, Pending)];
    for step in order {
        match *step {
            Step::Change => stripe = if stripe == Pending { declined() } else { Pending },
            Step::Read(which) => looks[which].0 = table.looks().await,
            Step::Ask(which) => looks[which].1 = stripe.clone(),
            Step::Write(which) => {
                let (mut read, mut seen) = looks[which].clone();
                while let Some(looks) = read
                    && table.note(seen, looks).await == Noted::Moved
                {
                    (read, seen) = (table.looks().await, stripe.clone());
                }
            }
            Step::Book => drop(table.done(&purchase("medium", 1)).await),
        }
    }
    stripe
}

fn look(which: usize) -> Vec<Step> {
    vec![Step::Read(which), Step::Ask(which), Step::Write(which)]
}

#[tokio::test]
async fn two_looks_in_any_order_end_where_the_intent_ended() {
    let table = Table::new().await;
    let mut orders = interleavings(&[vec![Step::Change, Step::Change], look(0), look(1)]);
    // The last change sets off a look, so at least one starts after it.
    let last = |order: &[Step], is: fn(&Step) -> bool| order.iter().rposition(is);
    orders.retain(|order| {
        last(order, |step| matches!(step, Step::Read(_))) > last(order, |step| *step == Step::Change)
    });
    assert!(orders.len() > 80, "{}", orders.len());
    for order in &orders {
        reset(&table).await;
        let truth = play(&table, order).await;
        let record = table.record().await.unwrap();
        let failure = if let Failed(reason) = &truth { Some(reason.clone()) } else { None };
        assert_eq!((record.status, record.failure), (truth.status(), failure), "{order:?}");
        assert_eq!(table.looks().await, Some(2), "{order:?}");
    }
}

#[tokio::test]
async fn a_look_that_crosses_the_booking_never_changes_what_is_paid() {
    let table = Table::new().await;
    for order in interleavings(&[vec![Step::Change], look(0), vec![Step::Book]]) {
        reset(&table).await;
        play(&table, &order).await;
        let record = table.record().await.unwrap();
        assert_eq!((record.status, record.granted.get()), (PaymentStatus::Completed, 275), "{order:?}");
        assert_eq!((record.failure, table.looks().await), (None, None), "{order:?}");
        let index = schema::payment_search(PaymentStatus::Completed, &id(), record.at);
        assert_eq!(table.item().await.unwrap()[schema::GSI2_PK], AttributeValue::S(index.pk), "{order:?}");
    }
}

#[tokio::test]
async fn a_look_that_shows_nothing_new_is_counted_all_the_same() {
    let table = Table::new().await;
    assert_eq!(table.looks().await, Some(0));
    for looks in 0..3 {
        assert_eq!(table.note(Pending, looks).await, Noted::Written);
    }
    assert_eq!(table.note(declined(), 2).await, Noted::Moved);
    assert_eq!(
        (table.looks().await, table.record().await.unwrap().status),
        (Some(3), PaymentStatus::Pending)
    );
}

#[tokio::test]
async fn a_later_look_takes_back_what_an_earlier_one_said() {
    let table = Table::new().await;
    table.note(declined(), 0).await;
    table.note(Pending, 1).await;
    let record = table.record().await.unwrap();
    assert_eq!((record.status, record.failure), (PaymentStatus::Pending, None));
    let nobodys = Attempt { customer: None, ..attempt(Pending) };
    table.store.put_attempt(&user(), &nobodys, 2).await.unwrap();
    assert_eq!(table.record().await.unwrap().customer, None);
}

#[tokio::test]
async fn the_first_to_say_what_belongs_to_a_payment_is_right_whenever_it_is_booked() {
    let References { checkout, charge, receipt_url } = references();
    let by_charge = References { checkout: None, charge, receipt_url };
    let by_checkout = References { checkout, ..References::default() };
    let charge = ChargeId::parse("ch_later").ok();
    let checkout = CheckoutId::parse("cs_later").ok();
    let later = References { checkout, charge, receipt_url: Some("later".to_owned()) };
    for booked_after in 0..4 {
        let table = Table::new().await;
        for (number, told) in [&by_charge, &by_checkout, &later].into_iter().enumerate() {
            if number == booked_after {
                table.done(&purchase("medium", 1)).await;
            }
            assert!(table.refer(told).await);
        }
        if booked_after == 3 {
            assert_eq!(table.record().await, None);
            table.done(&purchase("medium", 1)).await;
        }
        let record = table.record().await.unwrap();
        assert_eq!((record.status, record.references), (PaymentStatus::Completed, references()));
    }
}

#[tokio::test]
async fn nothing_is_told_of_a_payment_that_has_no_reference() {
    let table = Table::new().await;
    assert!(table.refer(&References::default()).await);
    assert_eq!(table.item().await, None);
}

#[tokio::test]
async fn neither_an_attempt_nor_a_reference_makes_an_account() {
    let table = Table::new().await;
    table.note(Pending, 0).await;
    table.refer(&references()).await;
    let scan = table.client.scan().table_name(TABLE).send().await.unwrap();
    let users: Vec<_> =
        scan.items().iter().filter(|item| item["PK"].as_s().unwrap().starts_with('U')).collect();
    assert_eq!(users.len(), 1, "{users:?}");
}

#[tokio::test]
async fn nothing_is_written_of_a_user_who_was_erased() {
    let table = Table::new().await;
    table.done(&purchase("small", 2)).await;
    table.close().await;
    assert_eq!(table.note(declined(), 0).await, Noted::Closed);
    assert!(!table.refer(&references()).await);
    assert_eq!(table.item().await, None);
    // Nor of one who never had an account before.
    reset(&table).await;
    table.close().await;
    assert_eq!((table.note(declined(), 0).await, table.item().await), (Noted::Closed, None));
}

#[tokio::test]
async fn what_was_known_of_an_erased_user_is_not_added_to() {
    let table = Table::new().await;
    table.note(Pending, 0).await;
    table.done(&purchase("small", 2)).await;
    table.close().await;
    let before = table.item().await;
    assert_eq!(table.note(declined(), 1).await, Noted::Closed);
    assert!(!table.refer(&references()).await);
    assert_eq!(table.item().await, before);
}
