//! Proving the books: what is right is counted, and whatever is wrong is named.

mod damage;
mod large;
mod rebuild;

use std::path::Path;
use std::process::Output;

use hyper::StatusCode;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tollgate::prove::{At, Finding, Verdict};
use tollgate::stack::Options;

use crate::harness::{Caller, PAID, World, eventually};

/// The folder of a stack that has been stopped.
struct Books(TempDir);

static STORY: OnceCell<TempDir> = OnceCell::const_new();

/// Everything that can happen to an account: `ada` buys, spends, sets aside, subscribes and is refunded; `bob` is given
/// something; `carol` buys and is erased.
async fn lived(world: &World) {
    let (ada, carol, operator) = (world.user("ada"), world.user("carol"), world.operator());
    let session = ada.opens("medium").await;
    world.pay(&session, PAID).await;
    ada.until_available(275).await;
    done(&ada, "/v1/me/consume", "k", json!({ "tokens": 30 })).await;
    let held = done(&ada, "/v1/me/holds", "h", json!({ "tokens": 20 })).await;
    let capture = format!("/v1/me/holds/{}/capture", held["id"].as_str().unwrap());
    done(&ada, &capture, "c", json!({ "tokens": 5 })).await;
    done(&ada, "/v1/me/holds", "open", json!({ "tokens": 7 })).await;
    let plan = ada.opens_plan("premium").await;
    world.pay(&plan, PAID).await;
    ada.until_available(733).await;
    let paid = world.stripe(&format!("/v1/checkout/sessions/{session}")).await;
    let refund = json!({ "payment": paid["payment_intent"], "amount_minor": 300, "note": "Half of it" });
    done(&operator, "/v1/admin/refunds", "r", refund).await;
    eventually("a refund", async || ada.available().await < 733).await;
    done(&operator, "/v1/admin/grants", "g", json!({ "user": "bob", "tokens": 5, "note": "hello" })).await;
    let session = carol.opens("small").await;
    world.pay(&session, PAID).await;
    eventually("carol's pack", async || carol.available().await > 0).await;
    done(&operator, "/v1/admin/users/carol/erase", "e", json!({})).await;
    let quiet = async || world.waiting("WebhookQueue").await == 0;
    eventually("quiet", quiet).await;
}

async fn done(caller: &Caller<'_>, path: &str, key: &str, body: Value) -> Value {
    let answer = caller.post_once(path, key, body).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text);
    answer.json
}

impl Books {
    /// After a whole story, of which each test has its own copy.
    async fn after_a_story() -> Books {
        let story = STORY.get_or_init(|| async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().to_owned();
            let world = World::with(|options| Options { folder: path, memory: false, ..options }).await;
            lived(&world).await;
            world.stack.stop().await;
            folder
        });
        let (story, folder) = (story.await, tempfile::tempdir().unwrap());
        let kept = ".tollgate/companion/table.db";
        std::fs::create_dir_all(folder.path().join(".tollgate/companion")).unwrap();
        let local = ".tollgate/local.json";
        std::fs::copy(story.path().join(local), folder.path().join(local)).unwrap();
        let source = Connection::open(story.path().join(kept)).unwrap();
        let target = folder.path().join(kept);
        source.execute("VACUUM INTO ?1", [target.to_str().unwrap()]).unwrap();
        Books(folder)
    }

    fn table(&self) -> Connection {
        Connection::open(self.0.path().join(".tollgate/companion/table.db")).unwrap()
    }

    fn count(&self, what: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM tollgate WHERE {what}");
        self.table().query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    /// Changes an item, and nothing else, as no client could.
    fn change(&self, of: Copy, is: &str, change: impl Fn(&mut Value)) {
        let sql = format!("SELECT rowid, item_json FROM {} WHERE {is}", of.table());
        let table = self.table();
        let read = |row: &rusqlite::Row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let (row, text) = table.query_row(&sql, [], read).unwrap();
        let mut item = serde_json::from_str(&text).unwrap();
        change(&mut item);
        let sql = format!("UPDATE {} SET item_json = ?1 WHERE rowid = ?2", of.table());
        assert_ne!(item.to_string(), text);
        assert_eq!(table.execute(&sql, (item.to_string(), row)).unwrap(), 1);
    }

    fn run(&self, sql: &str) {
        assert!(self.table().execute(sql, []).unwrap() > 0, "{sql}");
    }

    async fn prove(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = tollgate_prove(self.0.path(), arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }

    /// In this process, and so without starting another.
    async fn verdict(&self) -> Verdict {
        let at = At::Local { folder: self.0.path().to_owned(), product: None };
        tollgate::prove::prove(&tollgate::prove::open(&at).await.unwrap(), None).await.unwrap()
    }

    async fn finding(&self) -> Finding {
        match self.verdict().await {
            Verdict::Fault(finding) => finding,
            verdict => panic!("{verdict}"),
        }
    }
}

/// Where an item is stored.
#[derive(Clone, Copy)]
enum Copy {
    Table,
    Index,
}

impl Copy {
    fn table(self) -> &'static str {
        match self {
            Copy::Table => "\"tollgate\"",
            Copy::Index => "\"tollgate::gsi::GSI1\"",
        }
    }
}

async fn tollgate_prove(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("prove").args(arguments).current_dir(folder);
    command.output().await.unwrap()
}

/// Of an entry, wherever it lies.
fn entry(user: &str, seq: u64) -> String {
    format!(
        "item_json ->> '$.user.S' = '{user}' AND item_json ->> '$.seq.N' = '{seq}' AND item_json ->> '$.body.S' != ''"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_of_a_whole_story_are_proved_to_the_last_entry() {
    let books = Books::after_a_story().await;
    let entries = books.count("item_json ->> '$.body.S' != ''");
    assert!(entries > 12, "{entries}");
    let expected = format!("prove: 3 accounts, {entries} entries, ok\n");
    assert_eq!(books.prove(&[]).await, (Some(0), expected));
    let bob = books.prove(&["--user", "bob"]).await;
    assert_eq!(bob, (Some(0), "prove: 1 accounts, 1 entries, ok\n".to_owned()));
    let product = books.prove(&["--product", "companion", "--user", "carol"]).await;
    assert_eq!(product.0, Some(0), "{}", product.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_stack_is_asked_at_its_address_also_where_it_keeps_nothing() {
    let world = World::new().await;
    lived(&world).await;
    let output = tollgate_prove(world.folder(), &[]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("prove: 3 accounts, ") && said.ends_with(" entries, ok\n"), "{output:?}");
    let item = world.table().await.get_item().table_name(tollgate::stack::TABLE);
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let item = item.key("PK", text("U#bob")).key("SK", text("A")).send().await.unwrap().item.unwrap();
    world.forget("U#", "bob", "A").await;
    let output = tollgate_prove(world.folder(), &[]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let put = world.table().await.put_item().table_name(tollgate::stack::TABLE);
    put.set_item(Some(item)).send().await.unwrap();
    assert_eq!(tollgate_prove(world.folder(), &[]).await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accounts_that_are_written_meanwhile_are_no_fault() {
    let world = World::new().await;
    world.operator().post_once("/v1/admin/grants", "g", json!({ "user": "ada", "tokens": 9000 })).await;
    let (ada, done) = (world.user("ada"), std::sync::atomic::AtomicBool::new(false));
    let writing = async {
        let mut spent = 0;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            spent += 1;
            let key = format!("k{spent}");
            let answer = ada.post_once("/v1/me/consume", &key, json!({ "tokens": 1 })).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        }
        spent
    };
    let proving = async {
        for _ in 0..8 {
            let output = tollgate_prove(world.folder(), &[]).await;
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (spent, ()) = tokio::join!(writing, proving);
    assert!(spent > 20, "{spent}");
}

#[tokio::test]
async fn what_cannot_be_proved_is_no_fault_and_the_answer_says_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = tollgate_prove(nowhere.path(), &[]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.contains("start one with")), (Some(2), true), "{said}");
    let books = Books::after_a_story().await;
    let (code, said) = books.prove(&["--user", "nobody"]).await;
    assert_eq!((code, said.contains("no account of nobody")), (Some(2), true), "{said}");
    let (code, said) = books.prove(&["--product", "another"]).await;
    assert_eq!((code, said.contains("another")), (Some(2), true), "{said}");
    books.run("DELETE FROM _tables");
    let (code, said) = books.prove(&[]).await;
    assert_eq!((code, said.contains("ResourceNotFound")), (Some(2), true), "{said}");
    std::fs::remove_file(books.0.path().join(".tollgate/companion/table.db")).unwrap();
    let (code, said) = books.prove(&[]).await;
    assert_eq!((code, said.contains("--memory")), (Some(2), true), "{said}");
}

#[tokio::test]
async fn a_table_on_aws_is_read_with_the_credentials_of_the_process() {
    let world = World::new().await;
    lived(&world).await;
    let prove = |table: &'static str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["prove", "--table", table]).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
        command.env("AWS_ENDPOINT_URL_DYNAMODB", &world.local().dynamodb);
        async move { command.output().await.unwrap() }
    };
    let proved = prove(tollgate::stack::TABLE).await;
    assert_eq!(proved.status.code(), Some(0), "{proved:?}");
    let absent = prove("another").await;
    let said = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert_eq!((absent.status.code(), said.contains("AWS_REGION")), (Some(2), true), "{said}");
}
