//! What only a local stack has: the page at `/`, and `/_local/…` for its clock and its demo user.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use domain::catalog::{Action, Catalog, Cost};
use domain::ids::ActionId;
use domain::time::{Time, parse_duration_ms};
use serde::Deserialize;
use serde_json::{Value, json};
use stripe_sandbox::Sandbox;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::keys::LocalStack;
use crate::queue::Queue;

const PAGE: &str = include_str!("../pages/index.html");
/// The user of the page and of the printed commands.
pub const DEMO_USER: &str = "demo";
/// Tokens end by the wall clock; a developer's should outlive the week.
pub const DEMO_TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

pub struct Local {
    pub clock: Clock,
    /// Absent with a real Stripe, whose clock nobody moves.
    pub sandbox: Option<Sandbox>,
    pub drain: Drain,
    pub stack: LocalStack,
    pub catalog: Catalog,
}

/// Knows when everything that was queued has been handled.
pub struct Drain {
    pub queue: Queue,
    pub names: Vec<String>,
}

impl Local {
    pub fn router(self) -> Router {
        let shared = Arc::new(Shared { local: self, moving: Mutex::new(()) });
        Router::new()
            .route("/", get(|| async { Html(PAGE) }))
            .route("/_local/session", get(session))
            .route("/_local/clock", get(read_clock))
            .route("/_local/clock", post(move_clock))
            .with_state(shared)
    }
}

struct Shared {
    local: Local,
    /// Two moves at once would skip each other's due moments.
    moving: Mutex<()>,
}

async fn session(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let local = &shared.local;
    let token = local.stack.tokens().mint(DEMO_USER, None, None, DEMO_TOKEN_TTL);
    Json(json!({
        "user": DEMO_USER,
        "token": token,
        "api": local.stack.api,
        "sandbox": local.sandbox.as_ref().map(|_| &local.stack.stripe),
        "now": local.clock.now().rfc3339(),
        "product": local.catalog.product.name,
        "actions": local.catalog.actions.iter().map(offered).collect::<Vec<_>>(),
    }))
}

/// An action as the page offers it: where its price is a range, for the least.
fn offered((id, action): (&ActionId, &Action)) -> Value {
    let (tokens, ranges) = match action.cost {
        Cost::Fixed(tokens) => (tokens, false),
        Cost::Range { min, .. } => (min, true),
    };
    json!({ "id": id, "name": action.name, "tokens": tokens, "ranges": ranges })
}

async fn read_clock(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "now": shared.local.clock.now().rfc3339() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    advance: String,
}

/// Returns when everything that fell due on the way has happened.
async fn move_clock(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let Ok(Move { advance }) = serde_json::from_str(&body) else {
        return refused("send {\"advance\":\"7d\"}");
    };
    let Some(ms) = parse_duration_ms(&advance) else {
        return refused("`advance` is a number and a unit: 90s, 15m, 36h, 7d or 2w");
    };
    let local = &shared.local;
    let Some(sandbox) = &local.sandbox else {
        return refused("the clock of a real Stripe account cannot be moved");
    };
    let _one_at_a_time = shared.moving.lock().await;
    match local.move_to(sandbox, local.clock.now().plus_ms(ms)).await {
        Ok(now) => Json(json!({ "now": now.rfc3339() })).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

impl Local {
    /// Steps from one due moment to the next, and lets each have its effects before time goes on.
    async fn move_to(&self, sandbox: &Sandbox, target: Time) -> std::io::Result<Time> {
        self.settle(sandbox).await;
        while let Some(due) = sandbox.next_due().map(Time::from_millis).filter(|due| *due <= target) {
            self.clock.advance_to(due)?;
            self.settle(sandbox).await;
        }
        self.clock.advance_to(target)?;
        self.settle(sandbox).await;
        Ok(self.clock.now())
    }

    async fn settle(&self, sandbox: &Sandbox) {
        sandbox.run_due().await;
        self.drain.wait().await;
    }
}

impl Drain {
    /// A record that keeps failing is left to its retries: nobody waits for poison.
    const PATIENCE: Duration = Duration::from_secs(10);

    async fn wait(&self) {
        let deadline = tokio::time::Instant::now() + Self::PATIENCE;
        while self.is_busy() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Dead letters wait for people, so they do not count.
    fn is_busy(&self) -> bool {
        self.names.iter().any(|name| {
            let counts = self.queue.counts(name);
            counts.visible + counts.in_flight > 0
        })
    }
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
}
