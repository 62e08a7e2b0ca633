//! Stripe in this process: the real client talks HTTP to the sandbox through a pipe.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use stripe_api::InProcess;
use stripe_sandbox::Sandbox;

use crate::faults::{Fate, Faults, Luck};

/// Room for the largest answer, so that a pipe never has to wait for its reader.
const PIPE: usize = 1 << 20;

/// What the Stripe client connects to.
pub fn to(sandbox: &Sandbox, faults: Faults) -> InProcess {
    let router = sandbox.clone().router().layer(from_fn_with_state(faults, fail_sometimes));
    InProcess::new(move || {
        let (client, server) = tokio::io::duplex(PIPE);
        tokio::spawn(serve(server, router.clone()));
        client
    })
}

async fn serve(server: tokio::io::DuplexStream, router: Router) {
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(server), TowerToHyperService::new(router));
    // A client that was killed hangs up; that is not the server's failure.
    drop(served.await);
}

async fn fail_sometimes(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    let Luck { fate, there, back } = faults.of_stripe();
    tokio::time::sleep(there).await;
    if let Fate::Refused(_) = fate {
        tokio::time::sleep(back).await;
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let answer = next.run(request).await;
    tokio::time::sleep(back).await;
    match fate {
        Fate::Lost(_) => StatusCode::BAD_GATEWAY.into_response(),
        _ => answer,
    }
}
