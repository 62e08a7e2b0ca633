//! The poller between a served queue and a function, through the real SDK.

use std::sync::Mutex;

use aws_lambda_events::event::sqs::BatchItemFailure;
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::queue::tests::{Served, serve};
use crate::queue::{Counts, Queue};

/// A running poller, and the bodies that its function saw.
struct Running {
    seen: Arc<Mutex<Vec<String>>>,
    busy: Busy,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn in_memory() -> Served {
    serve(Queue::open(None).unwrap()).await
}

/// Runs a function that handles each body after `takes`, or fails it, or names a stranger as failed, or panics.
fn run(served: &Served, url: &str, takes: Duration) -> Running {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    let handle: HandleBatch = Arc::new(move |event| {
        let seen = sees.clone();
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            let mut response = SqsBatchResponse::default();
            for record in event.records {
                let body = record.body.unwrap();
                let first_time = record.attributes["ApproximateReceiveCount"] == "1";
                seen.lock().unwrap().push(body.clone());
                let mut failure = BatchItemFailure::default();
                match body.as_str() {
                    "fails once" if first_time => failure.item_identifier = record.message_id.unwrap(),
                    "fails always" => failure.item_identifier = record.message_id.unwrap(),
                    "blames a stranger" if first_time => failure.item_identifier = "stranger".to_owned(),
                    "panics" if first_time => panic!("as asked"),
                    _ => continue,
                }
                response.batch_item_failures.push(failure);
            }
            response
        })
    });
    let poller = Poller::new(served.client.clone(), url.to_owned(), 10, handle).retry_after(Duration::ZERO);
    let busy = poller.busy();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(poller.run(async { stopped.await.unwrap_or_default() }));
    Running { seen, busy, stop, task }
}

impl Running {
    fn times(&self, body: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| *seen == body).count()
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within ten seconds: {what}");
}

#[tokio::test]
async fn what_failed_comes_again_and_the_rest_does_not() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[]).await;
    for body in ["sound", "fails once"] {
        served.send(&url, body).await;
    }
    let running = run(&served, &url, Duration::ZERO);
    until("the queue is empty", || served.queue.counts("webhooks") == Counts::default()).await;
    assert_eq!((running.times("sound"), running.times("fails once")), (1, 2));
    until("the poller is idle", || running.busy.is_idle()).await;
}

#[tokio::test]
async fn poison_ends_in_the_dead_letters_alone() {
    let served = in_memory().await;
    served.create("dead", &[]).await;
    let policy =
        format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:{REGION}:{ACCOUNT}:dead","maxReceiveCount":3}}"#);
    let url = served.create("webhooks", &[(QueueAttributeName::RedrivePolicy, &policy)]).await;
    for body in ["fails always", "sound"] {
        served.send(&url, body).await;
    }
    let running = run(&served, &url, Duration::ZERO);
    until("the poison is buried", || served.queue.counts("dead").visible == 1).await;
    assert_eq!((running.times("fails always"), running.times("sound")), (3, 1));
    assert_eq!(served.queue.counts("webhooks"), Counts::default());
}

#[tokio::test]
async fn a_panic_or_a_wrong_report_fails_the_whole_batch_and_polling_goes_on() {
    for body in ["panics", "blames a stranger"] {
        let served = in_memory().await;
        let url = served.create("webhooks", &[(QueueAttributeName::VisibilityTimeout, "30")]).await;
        served.send(&url, body).await;
        let running = run(&served, &url, Duration::ZERO);
        until("the record was handled", || served.queue.counts("webhooks") == Counts::default()).await;
        assert_eq!(running.times(body), 2, "{body}");
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_is_tried_again() {
    let served = in_memory().await;
    let url = served.create("other", &[]).await.replace("other", "webhooks");
    let running = run(&served, &url, Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(300)).await;
    served.create("webhooks", &[]).await;
    served.send(&url, "late").await;
    until("it was handled", || running.times("late") == 1).await;
}

#[tokio::test]
async fn a_shutdown_waits_for_the_batch_in_hand_and_for_nothing_else() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[]).await;
    served.send(&url, "in hand").await;
    let running = run(&served, &url, Duration::from_millis(500));
    until("the batch is in hand", || !running.busy.is_idle()).await;
    running.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), running.task).await.unwrap().unwrap();
    assert_eq!(running.seen.lock().unwrap().as_slice(), ["in hand"]);
    assert_eq!(served.queue.counts("webhooks"), Counts::default());
}
