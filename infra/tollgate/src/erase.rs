//! `tollgate erase --user U`: everything that says who a user is, gone for good.

use std::io::{BufRead, Write};

use edge::StartError;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::api::Api;

pub struct Order {
    pub user: String,
    /// Does not ask whether it is meant.
    pub yes: bool,
    /// The API's address, such as `http://127.0.0.1:9000`.
    pub api: String,
    pub token: String,
}

#[derive(Deserialize)]
struct Gone {
    closed_at: String,
    entry: String,
    erased: Erased,
}

#[derive(Deserialize)]
struct Erased {
    notes: u64,
    emails: u64,
    customers: u64,
    payments: u64,
}

pub async fn erase(order: &Order) -> Result<(), StartError> {
    if !order.yes {
        confirm(&order.user)?;
    }
    let api = Api::new(&order.api, &order.token)?;
    let path = format!("/v1/admin/users/{}/erase", Api::segment(&order.user));
    let answer: Value = api.send(Method::POST, &path, Some(&key(&order.user)), json!({})).await?;
    let gone: Gone =
        serde_json::from_value(answer).map_err(|error| format!("the API answers something else: {error}"))?;
    let Erased { notes, emails, customers, payments } = gone.erased;
    println!("{}: closed at {} by {}", order.user, gone.closed_at, gone.entry);
    println!("erased: notes {notes}, emails {emails}, customers {customers}, buyers of payments {payments}");
    Ok(())
}

/// The same command again goes on where it was cut off.
fn key(user: &str) -> String {
    let digest: String = Sha256::digest(user).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("erase-{digest}")
}

/// What is gone cannot be brought back, so it takes more than a slip of the hand.
fn confirm(user: &str) -> Result<(), StartError> {
    eprintln!(
        "This ends what {user} subscribes to, lets all their tokens expire, and deletes who they are, for good."
    );
    eprint!("Type the user's id to go on: ");
    std::io::stderr().flush()?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    if typed.trim() == user { Ok(()) } else { Err("that is not their id; nothing was erased".into()) }
}
