//! The queue as the real SDK sees it, over loopback.

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName, SendMessageBatchRequestEntry,
};
use edge::Env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// A served queue, and the SDK's client for it.
pub(crate) struct Served {
    pub queue: Queue,
    pub client: Client,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

pub(crate) async fn serve(queue: Queue) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { stopped.await.unwrap_or_default() };
    let server = tokio::spawn(queue.clone().serve(listener, shutdown));
    let setting = |name, value: &str| (name, value.to_owned());
    let env = Env::given([
        setting("AWS_ACCESS_KEY_ID", "local"),
        setting("AWS_SECRET_ACCESS_KEY", "local"),
        setting("AWS_REGION", REGION),
    ]);
    let config = edge::aws::config(&env).await.unwrap();
    let endpoint = format!("http://{address}");
    let config = aws_sdk_sqs::config::Builder::from(&config).endpoint_url(endpoint).build();
    Served { queue, client: Client::from_conf(config), address, stop, server }
}

impl Served {
    /// Creates a queue and answers its URL.
    pub async fn create(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
        let mut request = self.client.create_queue().queue_name(name);
        for (name, value) in attributes {
            request = request.attributes(name.clone(), *value);
        }
        request.send().await.unwrap().queue_url.unwrap()
    }

    pub async fn send(&self, url: &str, body: &str) {
        self.client.send_message().queue_url(url).message_body(body).send().await.unwrap();
    }

    async fn receive(&self, url: &str, wait_s: i32, timeout_s: i32) -> Vec<Message> {
        let request = self.client.receive_message().queue_url(url).max_number_of_messages(10);
        let request = request.wait_time_seconds(wait_s).visibility_timeout(timeout_s);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
        request.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default()
    }

    async fn delete(&self, url: &str, message: &Message) {
        let request = self.client.delete_message().queue_url(url);
        request.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    }
}

async fn in_memory() -> Served {
    serve(Queue::open(None).unwrap()).await
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

fn receives(message: &Message) -> &str {
    &message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount]
}

#[tokio::test]
async fn a_message_arrives_whole_and_is_gone_once_deleted() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[]).await;
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("1").build().unwrap();
    let send = served.client.send_message().queue_url(&url).message_body("{\"a\":\"é\"}");
    let sent = send.message_attributes("kind", attribute).send().await.unwrap();

    let received = served.receive(&url, 0, 30).await;
    let [message] = &received[..] else { panic!("{received:?}") };
    assert_eq!(message.body(), Some("{\"a\":\"é\"}"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert!(sent.md5_of_message_attributes().is_some());
    assert_eq!(message.message_attributes().unwrap()["kind"].string_value(), Some("1"));
    assert_eq!(receives(message), "1");
    let sent_ms: i64 =
        message.attributes().unwrap()[&MessageSystemAttributeName::SentTimestamp].parse().unwrap();
    assert!((now_ms() - sent_ms).abs() < 10_000);

    assert_eq!(served.queue.counts("webhooks"), Counts { visible: 0, in_flight: 1, delayed: 0 });
    served.delete(&url, message).await;
    assert_eq!(served.queue.counts("webhooks"), Counts::default());
}

#[tokio::test]
async fn a_long_poll_is_woken_by_a_send() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[]).await;
    let begun = Instant::now();
    let send_later = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        served.send(&url, "news").await;
    };
    let (received, ()) = tokio::join!(served.receive(&url, 20, 30), send_later);
    assert_eq!(bodies(&received), ["news"]);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_long_poll_without_news_ends_after_its_wait() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[]).await;
    let begun = Instant::now();
    assert!(served.receive(&url, 1, 30).await.is_empty());
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_message_is_received_again_when_its_timeout_ends() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[(QueueAttributeName::VisibilityTimeout, "1")]).await;
    served.send(&url, "again").await;
    let once = served.client.receive_message().queue_url(&url).send().await.unwrap().messages.unwrap();
    let begun = Instant::now();
    let twice = served.receive(&url, 20, 30).await;
    assert_eq!((bodies(&once), bodies(&twice)), (vec!["again"], vec!["again"]));
    assert_eq!(receives(&twice[0]), "2");
    assert!(begun.elapsed() < Duration::from_secs(5));

    served.delete(&url, &once[0]).await;
    assert_eq!(served.queue.counts("webhooks").in_flight, 1, "an old receipt deletes nothing");
    served.delete(&url, &twice[0]).await;
    assert_eq!(served.queue.counts("webhooks").in_flight, 0);
}

#[tokio::test]
async fn a_receiver_may_give_a_message_back_at_once() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[]).await;
    served.send(&url, "back").await;
    let received = served.receive(&url, 0, 600).await;
    let change = served.client.change_message_visibility().queue_url(&url).visibility_timeout(0);
    let change = change.receipt_handle(received[0].receipt_handle().unwrap());
    change.clone().send().await.unwrap();
    assert_eq!(served.queue.counts("webhooks").visible, 1);
    let error = change.send().await.unwrap_err().into_service_error();
    assert!(error.is_message_not_inflight(), "{error:?}");
    assert_eq!(bodies(&served.receive(&url, 0, 30).await), ["back"]);
}

#[tokio::test]
async fn a_delayed_message_waits() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[]).await;
    let begun = Instant::now();
    let send = served.client.send_message().queue_url(&url).message_body("later").delay_seconds(1);
    send.send().await.unwrap();
    assert_eq!(served.queue.counts("webhooks"), Counts { visible: 0, in_flight: 0, delayed: 1 });
    assert_eq!(bodies(&served.receive(&url, 20, 30).await), ["later"]);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_message_received_too_often_is_buried_alone_and_can_be_moved_back() {
    let served = in_memory().await;
    let dead = served.create("dead", &[]).await;
    let policy =
        format!(r#"{{"deadLetterTargetArn":"arn:aws:sqs:{REGION}:{ACCOUNT}:dead","maxReceiveCount":"2"}}"#);
    let url = served.create("webhooks", &[(QueueAttributeName::RedrivePolicy, &policy)]).await;
    served.send(&url, "poison").await;
    for _ in 0..2 {
        assert_eq!(bodies(&served.receive(&url, 0, 0).await), ["poison"]);
    }
    served.send(&url, "sound").await;
    assert_eq!(bodies(&served.receive(&url, 0, 30).await), ["sound"]);

    let buried = served.receive(&dead, 0, 0).await;
    assert_eq!(bodies(&buried), ["poison"]);
    let origin = &buried[0].attributes().unwrap()[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert!(origin.ends_with(":webhooks"), "{origin}");

    let source = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:dead");
    served.client.start_message_move_task().source_arn(source).send().await.unwrap();
    let again = served.receive(&url, 0, 30).await;
    assert_eq!((bodies(&again), receives(&again[0])), (vec!["poison"], "1"));
    assert_eq!(served.queue.counts("dead"), Counts::default());
}

#[tokio::test]
async fn each_entry_of_a_batch_succeeds_or_fails_alone() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[]).await;
    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
    };
    let entries = [entry("a", "one"), entry("b", "bad \u{1}"), entry("c", "two")];
    let send = served.client.send_message_batch().queue_url(&url).set_entries(Some(entries.to_vec()));
    let sent = send.send().await.unwrap();
    let ids: Vec<_> = sent.successful().iter().map(|entry| entry.id()).collect();
    assert_eq!(ids, ["a", "c"]);
    assert_eq!((sent.failed()[0].id(), sent.failed()[0].code()), ("b", "InvalidMessageContents"));

    let received = served.receive(&url, 0, 30).await;
    assert_eq!(bodies(&received), ["one", "two"]);
    let entry = |id: &str, receipt: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(receipt).build().unwrap()
    };
    let first = received[0].receipt_handle().unwrap();
    let entries = vec![entry("a", first), entry("b", "nonsense")];
    let delete = served.client.delete_message_batch().queue_url(&url).set_entries(Some(entries));
    let deleted = delete.send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed()[0].code()), (1, "ReceiptHandleIsInvalid"));
    assert_eq!(served.queue.counts("webhooks").in_flight, 1);

    let same = vec![entry("a", first), entry("a", first)];
    let delete = served.client.delete_message_batch().queue_url(&url).set_entries(Some(same));
    assert!(delete.send().await.unwrap_err().into_service_error().is_batch_entry_ids_not_distinct());
}

#[tokio::test]
async fn refusals_have_the_names_that_the_sdk_knows() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[(QueueAttributeName::VisibilityTimeout, "180")]).await;
    let nowhere = url.replace("webhooks", "nowhere");
    let client = &served.client;

    let error = client.receive_message().queue_url(&nowhere).send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    let error = client.get_queue_url().queue_name("nowhere").send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    let delete = client.delete_message().queue_url(&url).receipt_handle("nonsense");
    assert!(delete.send().await.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
    let other =
        client.create_queue().queue_name("webhooks").attributes(QueueAttributeName::VisibilityTimeout, "30");
    assert!(other.send().await.unwrap_err().into_service_error().is_queue_name_exists());
    let fifo = client.create_queue().queue_name("fifo").attributes(QueueAttributeName::FifoQueue, "true");
    assert!(fifo.send().await.unwrap_err().into_service_error().is_invalid_attribute_name());
    let large = client.send_message().queue_url(&url).message_body("x".repeat(1024 * 1024 + 1));
    assert_eq!(large.send().await.unwrap_err().code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn attributes_can_be_read_and_changed() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[(QueueAttributeName::VisibilityTimeout, "180")]).await;
    assert_eq!(served.create("webhooks", &[(QueueAttributeName::VisibilityTimeout, "180")]).await, url);
    let change = served.client.set_queue_attributes().queue_url(&url);
    change.attributes(QueueAttributeName::MessageRetentionPeriod, "1209600").send().await.unwrap();
    served.send(&url, "one").await;
    let read = served.client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
    let attributes = read.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "180");
    assert_eq!(attributes[&QueueAttributeName::MessageRetentionPeriod], "1209600");
    assert_eq!(attributes[&QueueAttributeName::ApproximateNumberOfMessages], "1");
    assert!(attributes[&QueueAttributeName::QueueArn].ends_with(":webhooks"));

    served.create("other", &[]).await;
    let listed = served.client.list_queues().queue_name_prefix("web").send().await.unwrap();
    assert_eq!(listed.queue_urls(), std::slice::from_ref(&url));
    served.client.purge_queue().queue_url(&url).send().await.unwrap();
    assert_eq!(served.queue.counts("webhooks"), Counts::default());
}

/// What SIGKILL leaves behind is what stands in the files at that moment.
fn files_as_a_kill_leaves_them(folder: &std::path::Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_what_was_in_flight_is_visible_again() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(Queue::open(Some(folder.path().join("queue.db"))).unwrap()).await;
    let url = served.create("webhooks", &[]).await;
    for body in ["handled", "in flight", "waiting"] {
        served.send(&url, body).await;
    }
    let first =
        served.client.receive_message().queue_url(&url).max_number_of_messages(2).visibility_timeout(600);
    let received = first.send().await.unwrap().messages.unwrap();
    served.delete(&url, &received[0]).await;

    let copy = files_as_a_kill_leaves_them(folder.path());
    let again = serve(Queue::open(Some(copy.path().join("queue.db"))).unwrap()).await;
    let mut received = again.receive(&url, 0, 30).await;
    received.sort_by_key(|message| message.body().map(str::to_owned));
    assert_eq!(bodies(&received), ["in flight", "waiting"]);
    assert_eq!((receives(&received[0]), receives(&received[1])), ("2", "1"));
}

#[tokio::test]
async fn a_second_stack_on_the_same_file_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let _first = Queue::open(Some(path.clone())).unwrap();
    let second = Queue::open(Some(path)).err().unwrap();
    assert!(matches!(second, QueueError::InUse(_)), "{second}");
}

#[tokio::test]
async fn declaring_a_queue_again_gives_it_the_new_settings() {
    let queue = Queue::open(None).unwrap();
    let redrive = Redrive { dead_letter_queue: "dead".to_owned(), max_receive_count: 10 };
    let settings = Settings { visibility_timeout_s: 180, redrive: Some(redrive), ..Settings::default() };
    assert!(queue.declare("webhooks", &settings).is_err(), "its dead letter queue comes first");
    queue.declare("dead", &Settings::default()).unwrap();
    queue.declare("webhooks", &Settings::default()).unwrap();
    queue.declare("webhooks", &settings).unwrap();
    assert_eq!(queue.rows().settings("webhooks").unwrap(), settings);
}

#[tokio::test]
async fn a_shutdown_ends_long_polls_at_once() {
    let served = in_memory().await;
    let url = served.create("webhooks", &[]).await;
    let client = served.client.clone();
    let poll = tokio::spawn(async move {
        client.receive_message().queue_url(url).wait_time_seconds(20).send().await.unwrap().messages
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    served.stop.send(()).unwrap();
    let both = async { (poll.await.unwrap(), served.server.await.unwrap()) };
    let (received, served) = tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
    assert!(received.is_none());
    served.unwrap();
}

#[tokio::test]
async fn a_page_under_a_foreign_name_is_refused() {
    let served = in_memory().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let request = "POST / HTTP/1.1\r\nHost: evil.example\r\nX-Amz-Target: AmazonSQS.ListQueues\r\n\
                   Connection: close\r\nContent-Length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 403"), "{response}");
}
