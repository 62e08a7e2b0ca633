//! SQS batches: every record stands alone, and only what failed comes back.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::FutureExt;
use futures_util::future::join_all;

/// Handles the records side by side. One that fails or panics is reported; the others are not disturbed.
pub async fn each<F, E>(event: SqsEvent, handle: impl Fn(SqsMessage) -> F) -> SqsBatchResponse
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let records = event.records.into_iter().map(|record| {
        let id = record.message_id.clone().unwrap_or_default();
        let outcome = AssertUnwindSafe(async { handle(record).await }).catch_unwind();
        async move {
            let cause = match outcome.await {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!("panicked: {}", panic_text(&*panic)),
            };
            tracing::error!(message_id = id, cause, "record failed; it stays on the queue");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            Some(failure)
        }
    });
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = join_all(records).await.into_iter().flatten().collect();
    response
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(ids: &[&str]) -> SqsEvent {
        let message = |id: &&str| {
            let mut message = SqsMessage::default();
            message.message_id = Some((*id).to_owned());
            message
        };
        let mut event = SqsEvent::default();
        event.records = ids.iter().map(message).collect();
        event
    }

    #[tokio::test]
    async fn a_record_that_fails_or_panics_comes_back_alone() {
        let response = each(batch(&["good", "bad", "panics", "fine"]), |record| async move {
            match record.message_id.as_deref() {
                Some("bad") => Err("refused"),
                Some("panics") => panic!("at once"),
                _ => Ok(()),
            }
        })
        .await;
        let failed: Vec<_> =
            response.batch_item_failures.iter().map(|failure| &*failure.item_identifier).collect();
        assert_eq!(failed, ["bad", "panics"]);
    }

    #[tokio::test]
    async fn a_batch_without_failures_reports_none() {
        let response = each(batch(&["good"]), |_| async { Ok::<_, String>(()) }).await;
        assert!(response.batch_item_failures.is_empty());
    }
}
