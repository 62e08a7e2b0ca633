//! Accounts and payments as their journals tell them: said first, and written only when that is meant.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::UserId;
use hyper::StatusCode;
use serde_json::json;
use store::proof::Replacement;
use tollgate::prove::{At, Verdict};
use tollgate::stack::TABLE;

use super::damage::flip;
use super::{Books, Copy, entry, lived, tollgate_prove};
use crate::harness::World;

const ACCOUNT: &str = "item_json ->> '$.PK.S' = 'U#ada' AND item_json ->> '$.SK.S' = 'A'";
const PAYMENT: &str = "item_json ->> '$.PK.S' = 'U#ada' AND item_json ->> '$.item.S' = 'package:medium'";

/// Every stored byte, in order.
fn stored(books: &Books) -> Vec<String> {
    let table = books.table();
    let mut rows = table.prepare("SELECT pk || sk || item_json FROM tollgate ORDER BY pk, sk").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn what_would_change_is_said_and_written_only_with_yes() {
    let books = Books::after_a_story().await;
    books.change(Copy::Table, ACCOUNT, |item| {
        item["lots"]["L"][0]["L"][2] = json!({ "N": "1000000" });
        item["debt"] = json!({ "N": "9" });
    });
    books.change(Copy::Table, PAYMENT, |item| item["taken"] = json!({ "N": "3" }));
    let before = stored(&books);
    let (code, said) = books.prove(&["--rebuild"]).await;
    assert_eq!(code, Some(1), "{said}");
    for part in
        ["ada: the account\n", "  debt: 9 → 0\n", " 1000000 ", "ada: the payment pi_", "  taken: 3 → 8"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(
        said.ends_with("1 accounts and 1 payments to rebuild; nothing is written without --yes\n"),
        "{said}"
    );
    assert_eq!(stored(&books), before, "nothing was written");
    let (code, said) = books.prove(&["--rebuild", "--yes", "--user", "ada"]).await;
    assert_eq!((code, said.contains("1 accounts and 1 payments, rebuilt")), (Some(0), true), "{said}");
    let (code, said) = books.prove(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    let again = books.prove(&["--rebuild", "--yes"]).await;
    assert_eq!(again, (Some(0), "prove: nothing to rebuild\n".to_owned()));
    let unlike = stored(&books).iter().filter(|row| !before.contains(row)).count();
    assert_eq!(unlike, 2, "and nothing else was");
}

#[tokio::test]
async fn what_is_gone_comes_back_and_what_never_was_goes() {
    let books = Books::after_a_story().await;
    let looks = "SELECT item_json ->> '$.obs.N' FROM tollgate WHERE item_json ->> '$.PK.S' = 'U#ada' AND item_json ->> '$.SK.S' = 'A'";
    let looks = || books.table().query_row(looks, [], |row| row.get::<_, String>(0)).unwrap();
    books.change(Copy::Table, ACCOUNT, |item| item["obs"] = json!({ "N": "40" }));
    books.run(&format!("DELETE FROM tollgate WHERE {PAYMENT}"));
    books.run("DELETE FROM tollgate WHERE item_json ->> '$.PK.S' = 'U#bob' AND item_json ->> '$.SK.S' = 'A'");
    books.run(
        "INSERT INTO tollgate SELECT pk, replace(sk, 'pi_', 'pi_forged'), replace(item_json, 'P#pi_', 'P#pi_forged'),
         item_size, cached_at, hash_prefix FROM tollgate WHERE pk LIKE '%U#ada' AND sk LIKE '%P#pi_%'",
    );
    books.change(Copy::Table, ACCOUNT, |item| item["lots"] = json!({ "L": [] }));
    let (code, said) = books.prove(&["--rebuild", "--yes"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("goes, as no entry tells of it"), "{said}");
    let (code, said) = books.prove(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(looks(), "41", "whoever read it before must not write it");
}

#[tokio::test]
async fn nothing_is_rebuilt_from_a_journal_that_is_wrong_itself() {
    let books = Books::after_a_story().await;
    books.change(Copy::Table, &entry("ada", 3), |item| flip(item, "body", "S"));
    books.change(Copy::Table, ACCOUNT, |item| item["lots"] = json!({ "L": [] }));
    books.run("DELETE FROM tollgate WHERE item_json ->> '$.PK.S' = 'U#bob' AND item_json ->> '$.SK.S' = 'A'");
    let before = stored(&books);
    let (code, said) = books.prove(&["--rebuild", "--yes"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("prove: not rebuilt: ada, entry 3: "), "{said}");
    assert!(said.contains("1 accounts and 0 payments, rebuilt"), "{said}");
    let after = stored(&books);
    assert_eq!(after.len(), before.len() + 1, "bob's account is there again");
    assert!(before.iter().all(|row| after.contains(row)), "and ada's is as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rebuilding_beside_writers_loses_none_of_what_they_write() {
    let world = World::new().await;
    lived(&world).await;
    let (ada, done) = (world.user("ada"), AtomicBool::new(false));
    let table = world.table().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let payments =
        table.query().table_name(TABLE).key_condition_expression("PK = :u AND begins_with(SK, :p)");
    let payments = payments.expression_attribute_values(":u", text("U#ada"));
    let payments = payments.expression_attribute_values(":p", text("P#")).send().await.unwrap();
    let payment = payments.items()[0]["SK"].clone();
    let before = ada.available().await;
    let writing = async {
        let mut spent = 0;
        while !done.load(Ordering::Relaxed) {
            spent += 1;
            let answer = ada.post_once("/v1/me/consume", &format!("k{spent}"), json!({ "tokens": 1 })).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        spent
    };
    let rebuilding = async {
        for _ in 0..3 {
            let update =
                table.update_item().table_name(TABLE).key("PK", text("U#ada")).key("SK", payment.clone());
            let update = update.update_expression("SET granted = :n");
            update.expression_attribute_values(":n", AttributeValue::N("7".to_owned())).send().await.unwrap();
            let output = tollgate_prove(world.folder(), &["--rebuild", "--yes"]).await;
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        done.store(true, Ordering::Relaxed);
    };
    let (spent, ()) = tokio::join!(writing, rebuilding);
    assert_eq!(ada.available().await, before - spent);
    let output = tollgate_prove(world.folder(), &[]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test]
async fn an_item_that_moved_since_it_was_read_is_left_alone() {
    let books = Books::after_a_story().await;
    let at = At::Local { folder: books.0.path().to_owned(), product: None };
    let table = tollgate::prove::open(&at).await.unwrap();
    let bob = UserId::parse("bob").unwrap();
    let read = table.store.partition(&bob).await.unwrap().unwrap();
    let account = read.iter().find(|item| item["SK"].as_s().unwrap() == "A").unwrap();
    let mut stale = account.clone();
    stale.insert("obs".to_owned(), AttributeValue::N("77".to_owned()));
    let put_back =
        async |was| table.store.put_back(&[Replacement { was, is: Ok(stale.clone()) }]).await.unwrap();
    assert!(!put_back(Some(stale.clone())).await);
    assert!(!put_back(None).await);
    assert_eq!(table.store.partition(&bob).await.unwrap().unwrap(), read);
    assert!(put_back(Some(account.clone())).await);
    assert!(matches!(books.verdict().await, Verdict::Proved { .. }), "looks are nothing to the books");
}
