//! Starting a function: logs, then init, then the runtime's loop.

use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::time::Time;
use lambda_http::{Body, Request, Response};
use lambda_runtime::{LambdaEvent, service_fn};
use tracing_subscriber::filter::LevelFilter;

use crate::env::Env;

/// The wall clock. Functions read it once per request, and pass it on as a value.
pub fn now() -> Time {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Builds a function from its settings, or says why not and ends the process.
pub async fn start<F, E: std::fmt::Display>(build: impl AsyncFnOnce(&Env) -> Result<F, E>) -> F {
    let level = std::env::var("LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .init();
    crate::metrics::print_counts();
    match build(&Env::Process).await {
        Ok(function) => function,
        Err(error) => {
            tracing::error!(cause = %error, "not started");
            std::process::exit(1);
        }
    }
}

/// Serves HTTP requests until Lambda ends the process.
pub async fn serve_http<F>(handle: impl Fn(Request) -> F) -> Result<(), lambda_runtime::Error>
where
    F: Future<Output = Response<Body>> + Send,
{
    lambda_http::run(service_fn(|request: Request| {
        let response = handle(request);
        async { Ok::<_, std::convert::Infallible>(response.await) }
    }))
    .await
}

/// Serves SQS batches until Lambda ends the process.
pub async fn serve_batches<F>(handle: impl Fn(SqsEvent) -> F) -> Result<(), lambda_runtime::Error>
where
    F: Future<Output = SqsBatchResponse>,
{
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| {
        let response = handle(event.payload);
        async { Ok::<_, std::convert::Infallible>(response.await) }
    }))
    .await
}
