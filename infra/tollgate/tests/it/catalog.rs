//! Catalogs: checked, published, sold from.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use domain::catalog::Catalog;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tollgate::keys::LocalFile;
use tollgate::stack::Options;

use crate::harness::{COMPANION, Http, World};

const BUILT_IN: [&str; 5] = ["companion", "game", "lingua", "retainer", "vantage"];
const RETAINER: &str = include_str!("../../../catalogs/retainer.toml");
pub const LINGUA: &str = include_str!("../../../catalogs/lingua.toml");

pub async fn selling(text: &str) -> World {
    let (text, catalog) = (text.to_owned(), Catalog::parse(text).unwrap());
    World::with(|options| Options { text, catalog, ..options }).await
}

pub async fn tollgate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).current_dir(folder).env_remove("STRIPE_SECRET_KEY");
    tokio::task::spawn_blocking(move || command.output().expect("the program runs")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_catalog_sells_at_its_new_price_within_a_minute() {
    let world = World::new().await;
    let dearer = COMPANION.replacen("price = \"9.99\"\n", "price = \"10.99\"\n", 1);
    assert_ne!(dearer, COMPANION);
    std::fs::write(world.folder().join("dearer.toml"), dearer).unwrap();
    for _ in 0..2 {
        let pushed = tollgate(world.folder(), &["catalog", "push", "dearer.toml"]).await;
        let told = String::from_utf8_lossy(&pushed.stdout);
        assert!(told.contains("version 2 is current"), "{told}{}", String::from_utf8_lossy(&pushed.stderr));
    }
    world.advance("1m").await;
    let opened = world.user("ada").post("/v1/me/checkout", json!({ "package": "medium" })).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
    let session =
        world.stripe(&format!("/v1/checkout/sessions/{}", opened.json["id"].as_str().unwrap())).await;
    assert_eq!(session["amount_total"], 1099);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_catalog_is_refused_with_file_line_and_fix() {
    let world = World::new().await;
    let broken = COMPANION.replacen("tokens = 250", "tokns = 250", 1);
    std::fs::write(world.folder().join("broken.toml"), &broken).unwrap();
    let line = broken.lines().position(|line| line.contains("tokns")).unwrap() + 1;
    for command in ["check", "push"] {
        let refused = tollgate(world.folder(), &["catalog", command, "broken.toml"]).await;
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && told.contains(&format!("broken.toml:{line}: ")), "{told}");
        assert!(told.contains("`tokens`"), "{told}");
    }
}

#[tokio::test]
async fn every_built_in_catalog_is_right_by_its_name_and_by_its_file() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in BUILT_IN {
        for wanted in [name, &format!("../catalogs/{name}.toml")] {
            let checked = tollgate(here, &["catalog", "check", wanted]).await;
            let told = String::from_utf8_lossy(&checked.stdout);
            assert!(checked.status.success() && told.ends_with(", ok\n"), "{told}");
            assert!(checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
        }
    }
    let unknown = tollgate(here, &["catalog", "check", "nothing"]).await;
    let told = String::from_utf8_lossy(&unknown.stderr);
    assert!(!unknown.status.success() && BUILT_IN.iter().all(|name| told.contains(name)), "{told}");
}

/// The program with one of its own catalogs.
struct Program(Child);

impl Program {
    /// With what it prints before it is ready.
    fn start(folder: &Path, catalog: &str) -> (Program, Vec<String>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["local", "--catalog", catalog, "--port", "0", "--memory"])
            .current_dir(folder)
            .env_remove("STRIPE_SECRET_KEY")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let printed = lines.take_while(|line| !line.starts_with("ready http://")).collect();
        (Program(child), printed)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a printed command sends to a path.
fn sent<'l>(lines: &'l [String], path: &str) -> Vec<&'l str> {
    let commands = lines.iter().filter(|line| line.contains(&format!("{path} ")));
    commands.filter_map(|line| line.split_once("-d '")?.1.split('\'').next()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_with_any_built_in_catalog_prints_what_can_be_bought_there() {
    for (name, bought, spent) in [
        (
            "companion",
            vec![json!({ "package": "medium" }), json!({ "plan": "premium" })],
            vec![json!({ "action": "photo" })],
        ),
        ("game", vec![json!({ "plan": "basic" })], vec![]),
        ("lingua", vec![json!({ "plan": "premium" })], vec![]),
        ("retainer", vec![json!({ "plan": "basic" })], vec![]),
        (
            "vantage",
            vec![json!({ "package": "professional" }), json!({ "plan": "monthly_basic" })],
            vec![json!({ "tokens": 5 })],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (_program, printed) = Program::start(folder.path(), name);
        let stack = LocalFile::below(folder.path()).find(Some(name)).unwrap();
        let token = stack.tokens().mint("ada", None, None, Duration::from_secs(3600));
        let bearer = format!("Bearer {token}");
        let read = |texts: Vec<&str>| -> Vec<Value> {
            texts.into_iter().map(|text| serde_json::from_str(text).unwrap()).collect()
        };
        assert_eq!(read(sent(&printed, "/v1/me/checkout")), bought, "{name}");
        assert_eq!(read(sent(&printed, "/v1/me/consume")), spent, "{name}");
        for wanted in bought {
            let url = format!("{}/v1/me/checkout", stack.api);
            let headers = [("authorization", bearer.as_str())];
            let opened = Http::new().send(Method::POST, &url, &headers, wanted.to_string()).await;
            assert_eq!(opened.status, StatusCode::CREATED, "{name}: {}", opened.text);
        }
    }
}

#[tokio::test]
async fn what_is_paid_by_the_week_has_a_weekly_price_in_stripe() {
    let world = selling(RETAINER).await;
    for (tier, amount_minor) in [("basic", 15_000), ("premium", 25_000), ("enterprise", 50_000)] {
        let prices =
            world.stripe(&format!("/v1/prices?lookup_keys[]=local:retainer:plan:{tier}:week:usd")).await;
        let price = &prices["data"][0];
        assert_eq!(prices["data"].as_array().map(Vec::len), Some(1), "{prices}");
        assert_eq!((&price["unit_amount"], &price["currency"]), (&json!(amount_minor), &json!("usd")));
        let recurring = &price["recurring"];
        assert_eq!((&recurring["interval"], &recurring["interval_count"]), (&json!("week"), &json!(1)));
        assert_eq!(price["product"], format!("local-retainer-plan-{tier}"));
    }
}

#[tokio::test]
async fn a_catalog_published_again_makes_no_other_price() {
    let world = selling(RETAINER).await;
    let before = world.stripe("/v1/prices?limit=100").await;
    let pushed = tollgate(world.folder(), &["catalog", "push", "retainer"]).await;
    let told = String::from_utf8_lossy(&pushed.stdout);
    assert!(told.contains("version 1 is current"), "{told}{}", String::from_utf8_lossy(&pushed.stderr));
    assert_eq!(world.stripe("/v1/prices?limit=100").await, before);
    assert_eq!(before["data"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn plans_show_their_trials_their_seats_and_whom_to_ask() {
    let seats = LINGUA.replacen("[plans.plus]\n", "[plans.plus]\nseats = 50\n", 1);
    let longer = seats.replacen("trial = { days = 14 }", "trial = { days = 7, most_days = 30 }", 1);
    let world = selling(&longer).await;
    let plans = world.user("ada").get("/v1/plans").await.json["plans"].clone();
    let shown: Vec<_> = plans
        .as_array()
        .unwrap()
        .iter()
        .map(|plan| {
            json!([
                plan["id"],
                plan["trial"],
                plan["seats"],
                plan["contact"],
                plan["prices"].as_array().unwrap().len()
            ])
        })
        .collect();
    let expected = [
        json!(["free", null, null, null, 0]),
        json!(["premium", { "days": 7, "most_days": 30 }, null, null, 1]),
        json!(["plus", { "days": 14, "most_days": 14 }, 50, null, 1]),
        json!(["enterprise", null, null, "sales@lingua.example", 0]),
    ];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn what_has_to_be_asked_for_cannot_be_bought_and_the_refusal_says_where_to_ask() {
    let world = selling(LINGUA).await;
    for wanted in [json!({ "plan": "enterprise" }), json!({ "plan": "enterprise", "interval": "year" })] {
        let refused = world.user("ada").post("/v1/me/checkout", wanted).await;
        refused.expect_problem(422, "not_for_sale");
        assert_eq!(refused.json["contact"], "sales@lingua.example");
        assert!(
            refused.json["detail"].as_str().unwrap().contains("sales@lingua.example"),
            "{}",
            refused.text
        );
    }
    let products = world.stripe("/v1/products?limit=100").await;
    let names: Vec<_> = products["data"].as_array().unwrap().iter().map(|product| &product["name"]).collect();
    assert!(!names.contains(&&json!("Enterprise")) && names.contains(&&json!("Plus")), "{names:?}");
}
