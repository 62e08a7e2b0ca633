//! What an event source mapping does: polls a queue, hands a function batches, deletes what it handled.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lambda_events::encodings::Base64Data;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage, SqsMessageAttribute};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
};
use futures_util::future::BoxFuture;

use crate::queue::{ACCOUNT, REGION};

/// Calls the function that the queue feeds.
pub type HandleBatch = Arc<dyn Fn(SqsEvent) -> BoxFuture<'static, SqsBatchResponse> + Send + Sync>;

const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// One queue's poller.
pub struct Poller {
    client: Client,
    queue_url: String,
    batch_size: i32,
    handle: HandleBatch,
    first_retry: Option<Duration>,
    busy: Busy,
}

/// Whether a poller has a batch in hand.
#[derive(Clone, Default)]
pub struct Busy(Arc<AtomicBool>);

impl Busy {
    pub fn is_idle(&self) -> bool {
        !self.0.load(Ordering::SeqCst)
    }
}

impl Poller {
    pub fn new(client: Client, queue_url: String, batch_size: i32, handle: HandleBatch) -> Poller {
        Poller { client, queue_url, batch_size, handle, first_retry: None, busy: Busy::default() }
    }

    /// Failed records come back after this long, then twice as long each time up to half a minute, so that a
    /// developer is not kept waiting. Without it they wait for the queue's own timeout, as on AWS.
    pub fn retry_after(mut self, first: Duration) -> Poller {
        self.first_retry = Some(first);
        self
    }

    pub fn busy(&self) -> Busy {
        self.busy.clone()
    }

    /// Polls until `shutdown`; a batch in hand is finished first.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        let mut failures = 0;
        loop {
            let polled = tokio::select! {
                biased;
                () = &mut shutdown => return,
                polled = self.poll() => polled,
            };
            let pause = match polled {
                Ok(messages) => {
                    failures = 0;
                    self.work(messages).await;
                    continue;
                }
                Err(cause) => {
                    tracing::warn!(cause, "the queue cannot be read");
                    failures += 1;
                    LONGEST_PAUSE.min(Duration::from_millis(100) * 2_u32.saturating_pow(failures))
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn poll(&self) -> Result<Vec<Message>, String> {
        let request = self.client.receive_message().queue_url(&self.queue_url);
        let request = request.max_number_of_messages(self.batch_size).wait_time_seconds(20);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
        let received = request.message_attribute_names("All").send().await;
        let received = received.map_err(|error| DisplayErrorContext(error).to_string())?;
        Ok(received.messages.unwrap_or_default())
    }

    async fn work(&self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        self.busy.0.store(true, Ordering::SeqCst);
        let event = self.event(&messages);
        // A panic outside the function's own care fails the whole batch, as a crash does on AWS.
        let handle = self.handle.clone();
        let response = tokio::spawn(async move { handle(event).await }).await;
        let failed = match response {
            Ok(response) => failed(&messages, &response),
            Err(error) => {
                tracing::error!(%error, "the function did not answer; its batch stays on the queue");
                messages.iter().filter_map(|message| message.message_id.clone()).collect()
            }
        };
        let is_failed = |message: &&Message| message.message_id().is_some_and(|id| failed.contains(id));
        let (failed, handled): (Vec<_>, Vec<_>) = messages.iter().partition(is_failed);
        self.delete(&handled).await;
        for message in failed {
            self.shorten(message).await;
        }
        self.busy.0.store(false, Ordering::SeqCst);
    }

    fn event(&self, messages: &[Message]) -> SqsEvent {
        let queue = self.queue_url.rsplit('/').next().unwrap_or_default();
        let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}");
        let mut event = SqsEvent::default();
        event.records = messages.iter().map(|message| record(message, &arn)).collect();
        event
    }

    async fn delete(&self, handled: &[&Message]) {
        let entry = |(index, message): (usize, &&Message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entry.set_receipt_handle(message.receipt_handle.clone()).build().ok()
        };
        let entries: Vec<_> = handled.iter().enumerate().filter_map(entry).collect();
        if entries.is_empty() {
            return;
        }
        let request =
            self.client.delete_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
        let problem = match request.send().await {
            Ok(deleted) if deleted.failed.is_empty() => return,
            Ok(deleted) => format!("{} were refused", deleted.failed.len()),
            Err(error) => DisplayErrorContext(error).to_string(),
        };
        tracing::warn!(problem, "handled records were not deleted; they will come again");
    }

    async fn shorten(&self, message: &Message) {
        let Some(first) = self.first_retry else { return };
        let attributes = message.attributes.as_ref();
        let receives =
            attributes.and_then(|all| all.get(&MessageSystemAttributeName::ApproximateReceiveCount));
        let receives: u32 = receives.and_then(|count| count.parse().ok()).unwrap_or(1);
        let delay = LONGEST_RETRY.min(first.saturating_mul(2_u32.saturating_pow(receives.saturating_sub(1))));
        let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX);
        let request = self.client.change_message_visibility().queue_url(&self.queue_url);
        let request = request.set_receipt_handle(message.receipt_handle.clone()).visibility_timeout(seconds);
        if let Err(error) = request.send().await {
            let cause = DisplayErrorContext(error).to_string();
            tracing::warn!(cause, "a failed record keeps the queue's own timeout");
        }
    }
}

/// The records that stay on the queue. A report that names none of ours means that nothing was handled.
fn failed(messages: &[Message], response: &SqsBatchResponse) -> BTreeSet<String> {
    let ours: BTreeSet<_> = messages.iter().filter_map(|message| message.message_id.clone()).collect();
    let reported = response.batch_item_failures.iter().map(|failure| failure.item_identifier.clone());
    let reported: BTreeSet<_> = reported.collect();
    match reported.is_subset(&ours) {
        true => reported,
        false => ours,
    }
}

fn record(message: &Message, arn: &str) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = message.message_id.clone();
    record.receipt_handle = message.receipt_handle.clone();
    record.body = message.body.clone();
    record.md5_of_body = message.md5_of_body.clone();
    record.md5_of_message_attributes = message.md5_of_message_attributes.clone();
    let attributes = message.attributes.iter().flatten();
    record.attributes = attributes.map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
    let attributes = message.message_attributes.iter().flatten();
    record.message_attributes = attributes.map(|(name, value)| (name.clone(), attribute(value))).collect();
    record.event_source = Some("aws:sqs".to_owned());
    record.event_source_arn = Some(arn.to_owned());
    record.aws_region = Some(REGION.to_owned());
    record
}

fn attribute(value: &MessageAttributeValue) -> SqsMessageAttribute {
    let mut attribute = SqsMessageAttribute::default();
    attribute.data_type = Some(value.data_type.clone());
    attribute.string_value = value.string_value.clone();
    attribute.binary_value = value.binary_value.as_ref().map(|bytes| {
        let mut data = Base64Data::default();
        data.extend_from_slice(bytes.as_ref());
        data
    });
    attribute
}
