//! What a SIGKILL leaves behind. The test starts itself once more as the process to be killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use serde_json::json;
use tokio::task::JoinSet;

use crate::stand::{Hook, START_MS, Shop, Stand, id};

const NAME: &str = "kill::a_killed_sandbox_keeps_whole_payments_and_delivers_their_events";
const FILE: &str = "SANDBOX_TO_KILL_FILE";
const HOOK: &str = "SANDBOX_TO_KILL_HOOK";
const SAYS: &str = "serving at ";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_sandbox_keeps_whole_payments_and_delivers_their_events() {
    if let Ok(file) = std::env::var(FILE) {
        return serve_until_killed(file).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stripe.sqlite");
    let hook = Hook::start().await;
    hook.answer_with(500);
    let (mut child, shop) = start_child(file.to_str().unwrap(), &hook.url);
    let price = shop.price("Small", 499).await;
    let mut payments = JoinSet::new();
    for _ in 0..30 {
        let session = id(&shop.session(&price, "").await).to_owned();
        let shop = shop.clone();
        payments.spawn(async move { shop.try_pay(&session).await.map(|_| session) });
    }
    let mut answered = Vec::new();
    while let Some(payment) = payments.join_next().await {
        answered.extend(payment.unwrap());
        if answered.len() == 10 {
            child.kill();
        }
    }
    drop(child);

    let stand = Stand::start_with(Some(file), hook.clone(), Arc::new(AtomicI64::new(START_MS))).await;
    assert_payments_are_whole(&stand, &answered).await;
    hook.answer_with(200);
    stand.advance(3_600_000);
    stand.sandbox.run_due().await;
    let undelivered = stand.get("/v1/events?delivery_success=false").await;
    assert_eq!(undelivered["data"], json!([]));
}

async fn assert_payments_are_whole(stand: &Stand, answered: &[String]) {
    let sessions = stand.get("/v1/checkout/sessions?limit=100&expand[]=data.payment_intent").await;
    let events = stand.get("/v1/events?limit=100&type=checkout.session.completed").await;
    for session in sessions["data"].as_array().unwrap() {
        let told = events["data"].as_array().unwrap().iter();
        let told = told.filter(|event| event["data"]["object"]["id"] == session["id"]).count();
        if answered.contains(&id(session).to_owned()) {
            assert_eq!(session["status"], "complete", "what was answered is kept");
        }
        if session["status"] == "complete" {
            assert_eq!((told, &session["payment_intent"]["status"]), (1, &json!("succeeded")));
        } else {
            assert_eq!((told, &session["payment_intent"]), (0, &json!(null)));
        }
    }
}

/// Never outlives its test.
struct Doomed(Child);

impl Doomed {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start_child(file: &str, hook: &str) -> (Doomed, Shop) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(FILE, file)
        .env(HOOK, hook)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Doomed(child);
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let base = lines.map(Result::unwrap).find_map(|line| line.split(SAYS).nth(1).map(str::to_owned));
    (child, Shop::at(base.unwrap()))
}

async fn serve_until_killed(file: String) {
    let hook = Hook::at(std::env::var(HOOK).unwrap());
    let stand = Stand::start_with(Some(file.into()), hook, Arc::new(AtomicI64::new(START_MS))).await;
    println!("{SAYS}{}", stand.base);
    std::future::pending::<()>().await;
}
