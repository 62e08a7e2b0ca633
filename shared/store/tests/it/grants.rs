//! Grants as they are stored, what they cost, and what a new key means for those that wait.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::Account;
use domain::cause::{Cause, Operation, Subject};
use domain::decide::{Act, Command, Grant, decide};
use domain::ids::{JobId, RequestKey, UserId};
use domain::money::Tokens;
use domain::privacy::{Claimant, Email, PrivacyKeys};
use domain::request::RequestHash;
use domain::time::DAY_MS;
use serde_json::{Value, json};
use store::items::{self, Item};
use store::{
    Addressee, Applied, DailyCap, Failed, Gift, Given, Job, JobRow, Progress, Read, Recipient, Words, schema,
};

use crate::budgets::cost_of;
use crate::golden::{plain, stored};
use crate::table::{NOW, Table, consume, purchase, shelf, user};

const GOLDEN: &str = include_str!("../golden/grants.1.json");
const FIRST: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const BOTH: &str =
    "2:__________________________________________8,1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const CAP: DailyCap = DailyCap(Tokens::MAX);

fn keys(text: &str) -> PrivacyKeys {
    PrivacyKeys::parse(text).unwrap()
}

fn claimant(keys_text: &str) -> Claimant {
    keys(keys_text).claimant(Email::parse("ada@app.example").unwrap())
}

fn operator() -> UserId {
    UserId::parse("grace").unwrap()
}

fn tokens(count: u64) -> Tokens {
    Tokens::new(count).unwrap()
}

fn gift(key: &str, count: u64) -> Gift {
    let body = json!({ "email": "ada@app.example", "tokens": count });
    let key = RequestKey::parse(key).unwrap();
    Gift {
        cause: Cause::Request { user: operator(), operation: Operation::Grant, key },
        request: Some(RequestHash::of(Operation::Grant, &["grace"], &body)),
        tokens: tokens(count),
        expires_at: Some(NOW.plus_ms(DAY_MS)),
        operator: operator(),
        note: Some(("sorry".to_owned(), keys(FIRST).note("sorry"))),
        at: NOW,
    }
}

fn granted(operator: Option<UserId>) -> (Item, domain::entry::Entry) {
    let gift = gift("k1", 50);
    let note = operator.as_ref().and(gift.note.as_ref()).map(|(_, hash)| *hash);
    let act = Act::Grant(Grant { tokens: gift.tokens, expires_at: gift.expires_at, operator, note });
    let command = Command { cause: gift.cause, request: None, act };
    let change = decide(&Account::new(user()), &command, &shelf(), NOW).unwrap();
    (items::from_entry(&change.entry), change.entry.entry)
}

fn job() -> Job {
    let gift = gift("k1", 50);
    Job {
        id: JobId::parse("job_1").unwrap(),
        operator: operator(),
        request: gift.request.unwrap(),
        rows: 2,
        total: tokens(12),
        note: gift.note,
        expires_at: gift.expires_at,
        at: NOW,
    }
}

fn rows() -> Vec<JobRow> {
    let email = Subject::Email(claimant(FIRST).hashes[0]);
    vec![
        JobRow { subject: Subject::User(user()), tokens: tokens(5) },
        JobRow { subject: email, tokens: tokens(7) },
    ]
}

fn progress() -> Progress {
    let failures = vec![Failed { row: 2, why: "`expires_at` is over".to_owned() }];
    Progress { done: 2, granted: 1, pending: 0, failed: 1, failures }
}

fn written() -> BTreeMap<&'static str, Item> {
    let (hash, gift) = (claimant(FIRST).hashes[0], gift("k1", 50));
    let request = gift.request.clone().unwrap();
    let claimed = Account { obs: 1, claimed: claimant(FIRST).mark(), ..Account::new(user()) };
    let email = Some("ada@app.example".to_owned());
    let words = Words { email, ..Words::note(Some("sorry".to_owned())) };
    let urls = Words {
        success_url: Some("https://app.example/thanks".to_owned()),
        cancel_url: Some("https://app.example/shop".to_owned()),
        ..Words::default()
    };
    [
        ("account that claimed", items::from_account(&claimed)),
        ("bulk job", items::grants::from_job(&job())),
        ("bulk progress", items::grants::from_progress(schema::job_progress(&job().id), &progress())),
        ("bulk rows", items::grants::from_job_rows(schema::job_rows(&job().id, &request, 0), &rows())),
        ("email pointer", items::grants::from_email_pointer(schema::email(&hash), &user())),
        ("entry", granted(Some(operator())).0),
        ("entry before operators were named", granted(None).0),
        ("note", items::grants::from_note(&user(), &gift.cause, &words, NOW)),
        ("note of a checkout", items::grants::from_note(&user(), &gift.cause, &urls, NOW)),
        ("promise", items::grants::from_promise(&gift.cause, &request, NOW)),
        ("waiting grant", items::grants::from_waiting(&hash, &gift)),
    ]
    .into()
}

#[test]
fn what_grants_store_is_written_as_it_always_was() {
    let golden: BTreeMap<String, Value> = serde_json::from_str(GOLDEN).unwrap();
    for (name, item) in written() {
        let item = plain(&AttributeValue::M(item));
        assert_eq!(golden.get(name), Some(&item), "{name}: {item:#}");
    }
}

#[test]
fn what_grants_stored_reads_as_what_it_meant() {
    let golden: BTreeMap<String, Value> = serde_json::from_str(GOLDEN).unwrap();
    let item = |name: &str| stored(&golden[name].to_string());
    assert_eq!(
        items::to_account(user(), item("account that claimed")).unwrap().claimed,
        claimant(FIRST).mark()
    );
    assert_eq!(items::grants::to_job(job().id, item("bulk job")).unwrap(), job());
    assert_eq!(items::grants::to_progress(item("bulk progress")).unwrap(), progress());
    assert_eq!(items::grants::to_job_rows(item("bulk rows")).unwrap(), rows());
    assert_eq!(items::grants::to_email_owner(item("email pointer")).unwrap(), user());
    assert_eq!(items::to_entry(item("entry")).unwrap(), granted(Some(operator())).1);
    let before = items::to_entry(item("entry before operators were named")).unwrap();
    assert_eq!(before, granted(None).1);
    assert_eq!(Some(items::grants::to_promise(item("promise")).unwrap()), gift("k1", 50).request);
    assert_eq!(items::grants::to_waiting(item("waiting grant")).unwrap(), gift("k1", 50));
}

impl Table {
    async fn give(&self, gift: &Gift, keys_text: &str) -> Given {
        let to = claimant(keys_text);
        let to = Recipient::Email(Addressee { hashes: &to.hashes, email: Some(&to.email) });
        self.store.give(gift, to, Some(CAP), &self.catalogs, NOW).await.unwrap()
    }

    /// A consume by somebody whose email is verified.
    async fn consume_as(&self, keys_text: &str, number: u32, count: u64) -> Applied {
        let store = self.store.claiming(Some(claimant(keys_text)));
        store.apply(&user(), &consume(number, count), &self.catalogs, NOW).await.unwrap()
    }
}

#[tokio::test]
async fn a_consume_by_somebody_who_claimed_costs_what_it_always_does() {
    for packs in [1, 2, 8] {
        let table = Table::new().await;
        for number in 0..packs {
            table.done(&purchase("medium", number)).await;
        }
        let first = cost_of(&table, async || drop(table.consume_as(FIRST, 0, 5).await)).await;
        let cost = cost_of(&table, async || drop(table.consume_as(FIRST, 1, 5).await)).await;
        println!("with {} lots: {first:?}, then {cost:?}", packs * 2);
        assert_eq!((cost.transactions, cost.round_trips), (1, 2), "one read, one transaction");
        assert!(cost.half_write_units <= 10, "{} lots: {cost:?}", packs * 2);
    }
}

#[tokio::test]
async fn what_waits_under_an_older_key_is_claimed_under_a_newer_one() {
    let table = Table::new().await;
    assert_eq!(table.give(&gift("k1", 50), FIRST).await, Given::Waits);
    assert_eq!(table.give(&gift("k2", 60), BOTH).await, Given::Waits);
    assert!(matches!(table.consume_as(BOTH, 0, 110).await, Applied::Done(_)));
    // Both keys know from now on whose email it is.
    for (key, keys_text) in [("k3", FIRST), ("k4", BOTH)] {
        assert!(
            matches!(table.give(&gift(key, 5), keys_text).await, Given::To(entry) if entry.user == user())
        );
    }
}

#[tokio::test]
async fn what_was_claimed_under_an_older_key_is_looked_for_again_under_a_newer_one() {
    let table = Table::new().await;
    table.done(&purchase("medium", 1)).await;
    table.consume_as(FIRST, 0, 5).await;
    // A function that knows the newer key alone finds no pointer, and lets it wait.
    let newer = &BOTH[..BOTH.find(',').unwrap()];
    assert_eq!(table.give(&gift("k1", 50), newer).await, Given::Waits);
    table.consume_as(BOTH, 1, 5).await;
    let account = table.store.account(&user(), Read::Consistent).await.unwrap();
    assert_eq!(account.balances().available, tokens(275 + 50 - 10));
    assert_eq!(account.claimed, claimant(BOTH).mark());
}

#[tokio::test]
async fn a_claim_that_was_cut_off_goes_on_where_it_stopped() {
    let table = Table::new().await;
    for (key, count) in [("k1", 50), ("k2", 60)] {
        assert_eq!(table.give(&gift(key, count), FIRST).await, Given::Waits);
    }
    // Killed after the pointer and the first grant: it is booked, and still lies there.
    let hash = claimant(FIRST).hashes[0];
    let pointer = items::grants::from_email_pointer(schema::email(&hash), &user());
    table.client.put_item().table_name(crate::table::TABLE).set_item(Some(pointer)).send().await.unwrap();
    let first = gift("k1", 50);
    let grant = Grant { tokens: first.tokens, expires_at: None, operator: None, note: None };
    table.done(&Command { cause: first.cause, request: first.request, act: Act::Grant(grant) }).await;
    assert!(matches!(table.consume_as(FIRST, 0, 110).await, Applied::Done(_)));
    assert!(table.store.waiting_for(&user(), &claimant(FIRST)).await.unwrap().is_empty());
}
