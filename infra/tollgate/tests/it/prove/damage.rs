//! Whatever is wrong with a stored item is named, with whose it is and where.

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tollgate::prove::Verdict;

use super::{Books, Copy, entry};

/// Proves that the command names this entry of ada's, and says so.
async fn names(books: &Books, seq: u64, what: &str) {
    let (code, said) = books.prove(&[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with(&format!("prove: ada, entry {seq}: ")), "{said}");
    assert!(said.contains(what), "{said}");
}

/// The last entry of ada's journal.
fn last(books: &Books) -> u64 {
    books.count("item_json ->> '$.user.S' = 'ada' AND item_json ->> '$.body.S' != ''")
}

/// Turns the lowest bit of one byte: "a" into "`", 4 into 5.
fn flipped(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] ^= 1;
    String::from_utf8(bytes).expect("an ASCII text with a low bit turned is one too")
}

pub fn flip(item: &mut Value, name: &str, kind: &str) {
    let text = item[name][kind].as_str().unwrap();
    let turned = flipped(text, text.len() / 2);
    item[name][kind] = json!(turned);
}

#[tokio::test]
async fn one_byte_of_a_body() {
    let books = Books::after_a_story().await;
    books.change(Copy::Table, &entry("ada", 3), |item| flip(item, "body", "S"));
    names(&books, 3, "their hash is another").await;
}

#[tokio::test]
async fn one_byte_of_any_readable_attribute() {
    for (name, kind) in
        [("kind", "S"), ("at", "N"), ("available", "N"), ("user", "S"), ("seq", "N"), ("GSI1SK", "S")]
    {
        let books = Books::after_a_story().await;
        books.change(Copy::Table, &entry("ada", 3), |item| flip(item, name, kind));
        names(&books, 3, &format!("its {name} is")).await;
    }
    let books = Books::after_a_story().await;
    books.change(Copy::Table, &entry("ada", 3), |item| item["more"] = json!({ "S": "of it" }));
    names(&books, 3, "an attribute more").await;
    books.change(Copy::Table, &entry("ada", 2), |item| drop(item.as_object_mut().unwrap().remove("kind")));
    names(&books, 2, "it has no kind").await;
}

#[tokio::test]
async fn one_byte_of_what_users_are_shown() {
    let books = Books::after_a_story().await;
    books.change(Copy::Index, &entry("ada", 3), |item| flip(item, "kind", "S"));
    names(&books, 3, "in its copy in the journal's index, its kind is").await;
}

#[tokio::test]
async fn an_entry_that_is_gone() {
    let books = Books::after_a_story().await;
    books.run(&format!("DELETE FROM tollgate WHERE {}", entry("ada", 4)));
    names(&books, 4, "it is missing; the journal's index still has a copy").await;
    books.run(&format!("DELETE FROM {} WHERE {}", Copy::Index.table(), entry("ada", 4)));
    names(&books, 4, "it is missing").await;
    let (code, said) = books.prove(&["--user", "ada"]).await;
    assert_eq!((code, said.starts_with("prove: ada, entry 4: it is missing")), (Some(1), true), "{said}");
}

#[tokio::test]
async fn the_last_entry_gone_with_every_copy() {
    let books = Books::after_a_story().await;
    let last = last(&books);
    for copy in [Copy::Table, Copy::Index] {
        books.run(&format!("DELETE FROM {} WHERE {}", copy.table(), entry("ada", last)));
    }
    names(&books, last, "it is missing").await;
}

#[tokio::test]
async fn an_entry_that_users_are_not_shown() {
    let books = Books::after_a_story().await;
    books.run(&format!("DELETE FROM {} WHERE {}", Copy::Index.table(), entry("ada", 4)));
    names(&books, 4, "the journal's index, which users are shown, lacks it").await;
}

#[tokio::test]
async fn a_lot_with_more_in_it() {
    let books = Books::after_a_story().await;
    books.change(Copy::Table, "item_json ->> '$.PK.S' = 'U#ada' AND item_json ->> '$.SK.S' = 'A'", |item| {
        item["lots"]["L"][0]["L"][2] = json!({ "N": "1000000" });
    });
    names(&books, last(&books), "the account's lots").await;
}

#[tokio::test]
async fn an_account_that_is_gone_or_behind() {
    let books = Books::after_a_story().await;
    let account = "item_json ->> '$.PK.S' = 'U#ada' AND item_json ->> '$.SK.S' = 'A'";
    let last = last(&books);
    books.change(Copy::Table, account, |item| item["seq"] = json!({ "N": (last - 1).to_string() }));
    names(&books, last, &format!("stands at entry {}", last - 1)).await;
    books.run(&format!("DELETE FROM tollgate WHERE {account}"));
    names(&books, last, "no account").await;
}

#[tokio::test]
async fn a_payment_of_which_more_was_taken_back() {
    let payment = "item_json ->> '$.PK.S' = 'U#ada' AND item_json ->> '$.item.S' = 'package:medium'";
    let books = Books::after_a_story().await;
    let reversal =
        format!("{} AND item_json ->> '$.kind.S' = 'reversal'", "item_json ->> '$.user.S' = 'ada'");
    let sql = format!("SELECT item_json ->> '$.seq.N' FROM tollgate WHERE {reversal}");
    let told_by: String = books.table().query_row(&sql, [], |row| row.get(0)).unwrap();
    let told_by = told_by.parse().unwrap();
    books.change(Copy::Table, payment, |item| item["taken"] = json!({ "N": "3" }));
    names(&books, told_by, "its taken is 3").await;
    books.change(Copy::Table, payment, |item| item["paid"] = json!({ "N": "4" }));
    names(&books, told_by, "its paid is 4").await;
    books.run(&format!("DELETE FROM tollgate WHERE {payment}"));
    names(&books, told_by, "has no item").await;
}

#[tokio::test]
async fn a_payment_that_no_entry_tells_of() {
    let books = Books::after_a_story().await;
    books.run(
        "INSERT INTO tollgate SELECT pk, replace(sk, 'pi_', 'pi_forged'), replace(item_json, 'P#pi_', 'P#pi_forged'),
         item_size, cached_at, hash_prefix FROM tollgate WHERE pk LIKE '%U#ada' AND item_json ->> '$.item.S' = 'package:medium'",
    );
    names(&books, last(&books), "no entry tells that it was paid").await;
}

#[tokio::test]
async fn two_entries_in_each_others_place() {
    let books = Books::after_a_story().await;
    books.change(Copy::Table, &entry("ada", 3), |item| {
        item["seq"] = json!({ "N": "4" });
        item["GSI1SK"] = json!({ "S": "0000000000000004" });
    });
    books.change(
        Copy::Table,
        &format!("{} AND item_json ->> '$.body.S' LIKE '%\"seq\":4,%'", entry("ada", 4)),
        |item| {
            item["seq"] = json!({ "N": "3" });
            item["GSI1SK"] = json!({ "S": "0000000000000003" });
        },
    );
    let finding = books.finding().await;
    assert!(finding.user == "ada" && [3, 4].contains(&finding.seq), "{finding}");
}

#[tokio::test]
async fn an_entry_under_another_cause() {
    let books = Books::after_a_story().await;
    books.change(Copy::Table, &entry("ada", 3), |item| {
        let key = item["PK"]["S"].as_str().unwrap().to_owned();
        item["PK"] = json!({ "S": format!("{key}2") });
    });
    names(&books, 3, "").await;
    // Its key alone, so that its cause could happen again.
    let books = Books::after_a_story().await;
    books.run(&format!("UPDATE tollgate SET pk = pk || '2' WHERE {}", entry("ada", 3)));
    names(&books, 3, "").await;
}

#[tokio::test]
async fn what_cannot_be_read_at_all() {
    let cut = "item_json = substr(item_json, 1, length(item_json) - 9)";
    let account = "item_json ->> '$.PK.S' = 'U#ada' AND item_json ->> '$.SK.S' = 'A'";
    let payment = "item_json ->> '$.PK.S' = 'U#ada' AND item_json ->> '$.item.S' = 'package:medium'";
    let entry = entry("ada", 5);
    let last = last(&Books::after_a_story().await);
    for (copy, is, seq, what) in [
        (Copy::Table, entry.as_str(), 5, "cannot be read"),
        (Copy::Index, entry.as_str(), 5, "in the journal's index: it cannot be read"),
        (Copy::Table, account, last, "cannot be read"),
        (Copy::Table, payment, last, "cannot be read"),
    ] {
        let books = Books::after_a_story().await;
        books.run(&format!("UPDATE {} SET {cut} WHERE {is}", copy.table()));
        names(&books, seq, what).await;
    }
}

#[tokio::test]
async fn a_catalog_that_no_longer_parses() {
    let books = Books::after_a_story().await;
    books.change(Copy::Table, "item_json ->> '$.SK.S' = 'V#1'", |item| {
        item["text"] = json!({ "S": "[plan" });
    });
    let (code, said) = books.prove(&[]).await;
    assert_eq!((code, said.starts_with("prove: catalog version 1")), (Some(1), true), "{said}");
}

/// The columns in which an entry is stored: its keys, its JSON, and the copy of it that users are shown.
const COLUMNS: [(Copy, &str); 5] = [
    (Copy::Table, "pk"),
    (Copy::Table, "sk"),
    (Copy::Table, "item_json"),
    (Copy::Index, "gsi_pk"),
    (Copy::Index, "item_json"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_flipped_bit_of_any_stored_entry_is_named() {
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let length = last(&Books::after_a_story().await);
    let flips: Vec<_> = (0..200)
        .map(|number| {
            let (seq, place, bit) = (random.u64(1..=length), random.usize(..), random.u8(0..8));
            // Mostly where there is most to be flipped.
            let (copy, column) = COLUMNS[if number % 4 == 0 { random.usize(0..5) } else { 2 }];
            (seq, place, bit, copy, column)
        })
        .collect();
    let proofs = stream::iter(flips).map(|(seq, place, bit, copy, column)| async move {
        let books = Books::after_a_story().await;
        let (sql, is) = (copy.table(), entry("ada", seq));
        let select = format!("SELECT rowid, {column} FROM {sql} WHERE {is}");
        let read = |row: &rusqlite::Row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let (row, text) = books.table().query_row(&select, [], read).unwrap();
        let mut bytes = text.clone().into_bytes();
        let at = place % bytes.len();
        bytes[at] ^= 1 << bit;
        let update = format!("UPDATE {sql} SET {column} = CAST(?1 AS TEXT) WHERE rowid = ?2");
        books.table().execute(&update, (&bytes, row)).unwrap();
        let said = books.verdict().await;
        let around =
            String::from_utf8_lossy(&bytes[at.saturating_sub(20)..(at + 20).min(bytes.len())]).into_owned();
        let flip = format!("entry {seq}, {column} of {sql} at {at}, bit {bit}: …{around}…");
        match said {
            Verdict::Fault(finding) if finding.user == "ada" && finding.seq == seq => None,
            verdict => Some(format!("{flip}: {verdict}")),
        }
    });
    let unnamed: Vec<String> = proofs.buffer_unordered(16).filter_map(std::future::ready).collect().await;
    assert!(unnamed.is_empty(), "{} flips: {unnamed:#?}", unnamed.len());
}
