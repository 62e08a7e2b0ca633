//! `tollgate grants FILE`: gives tokens to everybody whom a file names, through the API of a running stack.
//!
//! The file's own hash is the key of its job, so the same file again goes on where it stopped, and gives nothing twice.

mod file;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use edge::StartError;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

pub use file::BadFile;
use file::GrantFile;

use crate::api::{Api, Refused};
use crate::progress;

/// What is to be given, and where.
pub struct Order {
    pub file: PathBuf,
    pub note: Option<String>,
    pub expires_at: Option<String>,
    /// The API's address, such as `http://127.0.0.1:9000`.
    pub api: String,
    pub token: String,
}

#[derive(Deserialize)]
struct Accepted {
    job: String,
    rows: u32,
    total: u64,
}

#[derive(Deserialize)]
struct Status {
    rows: u32,
    done: u32,
    granted: u32,
    pending: u32,
    failed: Vec<Failed>,
    failed_rows: u32,
    finished: bool,
}

#[derive(Deserialize)]
struct Failed {
    row: usize,
    why: String,
}

/// Works the whole file, and prints what became of it. Rows that failed make it an error.
pub async fn give(order: &Order) -> Result<(), StartError> {
    let file = GrantFile::read(&order.file)?;
    let api = Api::new(&order.api, &order.token)?;
    let job = open(order, &file, &api).await?;
    println!("{}: {} rows, {} tokens, {}", order.file.display(), job.rows, job.total, job.job);
    let mut bar = Bar::new();
    let path = format!("/v1/admin/grants:bulk/{}/continue", job.job);
    let status = loop {
        let status: Status = read(api.send(Method::POST, &path, None, Value::Null).await?)?;
        bar.show(&status)?;
        if status.finished {
            break status;
        }
    };
    println!(
        "{} granted, {} wait for their users, {} failed",
        status.granted, status.pending, status.failed_rows
    );
    for Failed { row, why } in &status.failed {
        println!("{}: {why}", file.place(*row));
    }
    match status.failed_rows {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} rows failed", status.rows).into()),
    }
}

async fn open(order: &Order, file: &GrantFile, api: &Api) -> Result<Accepted, StartError> {
    let mut body = json!({ "rows": file.rows() });
    if let Some(note) = &order.note {
        body["note"] = json!(note);
    }
    if let Some(expires_at) = &order.expires_at {
        body["expires_at"] = json!(expires_at);
    }
    match api.send(Method::POST, "/v1/admin/grants:bulk", Some(&file.key), body).await {
        Ok(accepted) => read(accepted),
        Err(refused) => Err(explained(&refused, file).into()),
    }
}

/// A refusal with the lines that it is about.
fn explained(refused: &Refused, file: &GrantFile) -> String {
    let Refused::Problem { code, detail, body } = refused else { return refused.to_string() };
    if code == "idempotency_key_reused" {
        return "this file was given before, with another note or another end".to_owned();
    }
    let mut lines = vec![detail.clone()];
    let place = |row: &Value| file.place(row.as_u64().and_then(|row| usize::try_from(row).ok()).unwrap_or(0));
    for wrong in body["rows"].as_array().into_iter().flatten() {
        lines.push(format!("  {}: {}", place(&wrong["row"]), wrong["why"].as_str().unwrap_or_default()));
    }
    for twice in body["duplicates"].as_array().into_iter().flatten() {
        let places: Vec<String> = twice.as_array().into_iter().flatten().map(place).collect();
        lines.push(format!("  the same: {}", places.join(", ")));
    }
    lines.join("\n")
}

fn read<T: for<'a> Deserialize<'a>>(answer: Value) -> Result<T, StartError> {
    serde_json::from_value(answer).map_err(|error| format!("the API answers something else: {error}").into())
}

/// A bar that moves on a terminal; lines elsewhere.
struct Bar {
    moves: bool,
}

impl Bar {
    fn new() -> Bar {
        Bar { moves: std::io::stdout().is_terminal() }
    }

    fn show(&mut self, status: &Status) -> std::io::Result<()> {
        let Status { done, rows, finished, .. } = status;
        if !self.moves {
            println!("{done} of {rows} rows done");
            return Ok(());
        }
        let drawn = progress::drawn(u64::from(*done), u64::from(*rows));
        print!("\r{drawn}{}", if *finished { "\n" } else { "" });
        std::io::stdout().flush()
    }
}
