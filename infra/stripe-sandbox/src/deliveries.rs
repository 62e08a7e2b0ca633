//! Webhook deliveries: signed, repeated with growing gaps for three days, and the work that falls due. Events go
//! to the endpoint of the options, and to those made by request that are on this machine.

use std::time::Duration;

use axum::body::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rusqlite::{OptionalExtension, params};
use serde_json::Value;
use sha2::Sha256;
use tokio::task::JoinSet;

use crate::failure::Answer;
use crate::tx::{Cause, Tx};
use crate::{Sandbox, WebhookTarget, endpoints, lock, outage, settings, thin};

pub type Client = legacy::Client<HttpConnector, Full<Bytes>>;

const TIMEOUT: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 8;
const GIVE_UP_MS: i64 = 3 * 24 * 60 * 60 * 1000;
/// The gap after each failure, in seconds; the last one repeats.
const GAPS: [i64; 8] = [2, 10, 60, 300, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600];

pub fn client() -> Client {
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

impl Sandbox {
    /// The earliest moment at which something happens by itself: a delivery, or an alarm (a session expires,
    /// a subscription renews, an invoice is charged).
    pub fn next_due(&self) -> Option<i64> {
        let delivers = self.inner.webhook.is_some();
        let database = lock(&self.inner.database);
        let due = database.query_row(
            "SELECT min(due_ms) FROM (SELECT due_ms FROM alarms UNION ALL
             SELECT due_ms FROM deliveries WHERE state = 'pending' AND (endpoint <> '' OR ?1))",
            [delivers],
            |row| row.get(0),
        );
        due.unwrap_or_else(|cause| {
            tracing::error!(%cause, "cannot tell what is due next");
            None
        })
    }

    /// Does everything that is due by the clock, and returns when it is done, deliveries included.
    pub async fn run_due(&self) {
        let _only_one = self.inner.due_work.lock().await;
        loop {
            match self.deliver_due().await {
                Ok(0) => return,
                Ok(_) => {}
                Err(failure) => {
                    tracing::error!(failure = failure.message, "due work stopped early");
                    return;
                }
            }
        }
    }

    /// Runs while the sandbox serves: at once for new events, every second for what falls due.
    pub(crate) async fn keep_delivering(self) {
        loop {
            self.run_due().await;
            tokio::select! {
                () = self.inner.new_events.notified() => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Rings the alarms and attempts each due delivery once; how many that was.
    async fn deliver_due(&self) -> Answer<usize> {
        let due = self.transact(Cause::default(), due_deliveries)?;
        let attempted = due.len();
        let mut running = JoinSet::new();
        for Delivery { key, way } in due {
            if running.len() >= AT_ONCE {
                self.record_next(&mut running).await?;
            }
            let now = self.now_ms().div_euclid(1000);
            let client = self.inner.http.clone();
            running.spawn(async move {
                let outcome = match way {
                    Way::Open { target, body } => attempt(client, signed(&target, &body, now)).await,
                    Way::Closed(why) => Err(why.to_owned()),
                };
                (key, outcome)
            });
        }
        while !running.is_empty() {
            self.record_next(&mut running).await?;
        }
        Ok(attempted)
    }

    async fn record_next(&self, running: &mut JoinSet<(Key, Result<u16, String>)>) -> Answer<()> {
        match running.join_next().await {
            Some(Ok((key, outcome))) => self.transact(Cause::default(), |tx| record(tx, &key, &outcome)),
            Some(Err(cause)) => {
                tracing::error!(%cause, "a delivery was cut short");
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Who gets an event of this type: the endpoint of the options, whose name is empty, and those made by request.
pub fn endpoints_for(tx: &Tx, event_type: &str) -> Answer<Vec<String>> {
    let configured = tx.webhook.map(|_| String::new());
    let made = endpoints::wanting(tx, event_type)?;
    Ok(configured.into_iter().chain(made).collect())
}

/// A new event is on its way. While an outage lasts that nobody will make up for, it has failed for good already.
pub fn expect(tx: &Tx, event: &str, endpoints: &[String]) -> Answer<()> {
    let (state, outcome) = match outage::misses(tx)? {
        true => ("failed", "no answer in three days"),
        false => ("pending", ""),
    };
    for endpoint in endpoints {
        tx.sql
            .prepare_cached(
                "INSERT INTO deliveries (event, endpoint, state, created_ms, due_ms, outcome)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
            )?
            .execute(params![event, endpoint, state, tx.now_ms, outcome])?;
    }
    Ok(())
}

/// Sends it again, whatever became of it before.
pub fn expect_again(tx: &Tx, event: &str, endpoints: &[String]) -> Answer<()> {
    for endpoint in endpoints {
        tx.sql
            .prepare_cached(
                "INSERT INTO deliveries (event, endpoint, state, created_ms, due_ms)
                 VALUES (?1, ?2, 'pending', ?3, ?3)
                 ON CONFLICT (event, endpoint) DO UPDATE SET state = 'pending', due_ms = excluded.due_ms",
            )?
            .execute(params![event, endpoint, tx.now_ms])?;
    }
    Ok(())
}

struct Key {
    event: String,
    endpoint: String,
}

struct Delivery {
    key: Key,
    way: Way,
}

enum Way {
    Open { target: WebhookTarget, body: String },
    Closed(&'static str),
}

fn due_deliveries(tx: &Tx) -> Answer<Vec<Delivery>> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT event, endpoint, shown, created_ms
         FROM deliveries JOIN objects ON objects.kind = 'event' AND objects.id = event
         WHERE state = 'pending' AND due_ms <= ?1 AND (endpoint <> '' OR ?2)
         ORDER BY due_ms, deliveries.rowid LIMIT 100",
    )?;
    let rows = statement.query_map(params![tx.now_ms, tx.webhook.is_some()], |row| {
        let key = Key { event: row.get(0)?, endpoint: row.get(1)? };
        Ok((key, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    })?;
    let is_out = outage::is_on(tx)?;
    let mut due = Vec::new();
    for row in rows {
        let (key, shown, created_ms) = row?;
        let way = match target(tx, &key.endpoint)? {
            _ if is_out => Way::Closed("no answer: the endpoint is taken as unreachable"),
            None => Way::Closed("the endpoint is disabled"),
            Some(target) => Way::Open { target, body: body(tx, &key, shown, created_ms)? },
        };
        due.push(Delivery { key, way });
    }
    Ok(due)
}

fn target(tx: &Tx, endpoint: &str) -> Answer<Option<WebhookTarget>> {
    if endpoint.is_empty() { Ok(tx.webhook.cloned()) } else { endpoints::target(tx, endpoint) }
}

/// Endpoints made by `/v1/webhook_endpoints` get snapshots, as at Stripe.
fn body(tx: &Tx, key: &Key, shown: String, created_ms: i64) -> Answer<String> {
    if !key.endpoint.is_empty() || !settings::is_on(tx, &settings::THIN)? {
        return Ok(shown);
    }
    let event: Value = serde_json::from_str(&shown)?;
    Ok(format!("{:#}", thin::of(&event, created_ms)))
}

async fn attempt(client: Client, request: Result<Request<Full<Bytes>>, http::Error>) -> Result<u16, String> {
    let exchange = async {
        let request = request.map_err(|cause| cause.to_string())?;
        let response = client.request(request).await.map_err(|cause| format!("no answer: {cause}"))?;
        let status = response.status().as_u16();
        // Read to the end, so that the connection can be used again.
        response.into_body().collect().await.map_err(|cause| format!("no whole answer: {cause}"))?;
        Ok(status)
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| Err("no answer in 10 s".to_owned()))
}

fn signed(target: &WebhookTarget, body: &str, now: i64) -> Result<Request<Full<Bytes>>, http::Error> {
    Request::post(&target.url)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("stripe-signature", signature(&target.secret, now, body))
        .body(Full::new(Bytes::from(body.to_owned())))
}

fn signature(secret: &str, now: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("{now}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={now},v1={hex}")
}

fn record(tx: &Tx, key: &Key, outcome: &Result<u16, String>) -> Answer<()> {
    let mut statement = tx
        .sql
        .prepare_cached("SELECT attempts, created_ms FROM deliveries WHERE event = ?1 AND endpoint = ?2")?;
    let row = statement
        .query_row([&key.event, &key.endpoint], |row| Ok((row.get::<_, usize>(0)?, row.get::<_, i64>(1)?)));
    let Some((attempts, created_ms)) = row.optional()? else { return Ok(()) };
    let due_ms = tx.now_ms + GAPS[attempts.min(GAPS.len() - 1)] * 1000;
    let state = match outcome {
        Ok(200..=299) => "delivered",
        _ if due_ms > created_ms + GIVE_UP_MS => "failed",
        _ => "pending",
    };
    let outcome = outcome.as_ref().map_or_else(String::clone, |status| format!("HTTP {status}"));
    tracing::info!(event = key.event, endpoint = key.endpoint, state, outcome, "webhook delivery");
    tx.sql
        .prepare_cached(
            "UPDATE deliveries SET attempts = ?3, state = ?4, due_ms = ?5, outcome = ?6
             WHERE event = ?1 AND endpoint = ?2",
        )?
        .execute(params![key.event, key.endpoint, attempts + 1, state, due_ms, outcome])?;
    Ok(())
}
