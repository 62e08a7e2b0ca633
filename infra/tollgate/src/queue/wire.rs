//! The service's protocol (awsJson 1.0): one POST per action, named in `x-amz-target`.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json as object};

use super::message::{Message, md5_of_attributes, md5_of_body};
use super::refusal::{Kind, Refusal};
use super::rows::{Claim, Receipt, Rows};
use super::settings::{Settings, queue_of_arn};
use super::shapes::{
    Addressed, Batch, ChangeMessageVisibility, CreateQueue, DeleteMessage, GetQueueAttributes, Handle,
    ListQueues, Named, ReceiveMessage, SendMessage, SetQueueAttributes, StartMessageMoveTask, all_attributes,
    within,
};
use super::{ACCOUNT, Queue, now_ms};
use crate::loopback;

/// A batch of the largest messages, with every character escaped.
const LARGEST_REQUEST: usize = 8 * 1024 * 1024;
const LARGEST_BATCH: usize = 1024 * 1024;
const LONGEST_TIMEOUT_S: i64 = 43_200;

pub(super) fn router(queue: Queue) -> axum::Router {
    axum::Router::new()
        .route("/", post(answer))
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .layer(middleware::from_fn(loopback::only))
        .with_state(queue)
}

async fn answer(State(queue): State<Queue>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let action = text("x-amz-target").strip_prefix("AmazonSQS.").unwrap_or_default();
    let request = Request { queue, host: text("host").to_owned(), body };
    match request.act(action).await {
        Ok(reply) => json(&reply),
        Err(refusal) => refusal.into_response(),
    }
}

pub(super) fn json(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body.to_string()).into_response()
}

struct Request {
    queue: Queue,
    host: String,
    body: Bytes,
}

type Reply = Result<Value, Refusal>;

impl Request {
    async fn act(self, action: &str) -> Reply {
        match action {
            "CreateQueue" => self.create_queue(),
            "GetQueueUrl" => self.get_queue_url(),
            "GetQueueAttributes" => self.get_queue_attributes(),
            "SetQueueAttributes" => self.set_queue_attributes(),
            "ListQueues" => self.list_queues(),
            "SendMessage" => self.send_message(),
            "SendMessageBatch" => self.send_message_batch(),
            "ReceiveMessage" => self.receive_message().await,
            "DeleteMessage" => self.delete_message(),
            "DeleteMessageBatch" => self.delete_message_batch(),
            "ChangeMessageVisibility" => self.change_message_visibility(),
            "PurgeQueue" => self.purge_queue(),
            "StartMessageMoveTask" => self.start_message_move_task(),
            _ => Err(Refusal::new(
                Kind::UnsupportedOperation,
                format!("The action `{action}` is not known here."),
            )),
        }
    }

    fn create_queue(self) -> Reply {
        let CreateQueue { queue_name, attributes } = self.input()?;
        self.queue.change(|rows| match rows.find(&queue_name)? {
            None => rows.declare(&queue_name, &Settings::default().with(&attributes)?, now_ms()),
            Some((settings, _)) if settings == settings.clone().with(&attributes)? => Ok(()),
            Some(_) => {
                let problem =
                    "A queue already exists with the same name and a different value for an attribute.";
                Err(Refusal::new(Kind::QueueNameExists, problem))
            }
        })?;
        Ok(object!({ "QueueUrl": self.url(&queue_name) }))
    }

    fn get_queue_url(self) -> Reply {
        let Named { queue_name } = self.input()?;
        self.queue.rows().settings(&queue_name)?;
        Ok(object!({ "QueueUrl": self.url(&queue_name) }))
    }

    fn get_queue_attributes(self) -> Reply {
        let input: GetQueueAttributes = self.input()?;
        let mut attributes =
            self.queue.rows().transaction(|rows| all_attributes(rows, &input.queue_url.0))?;
        attributes
            .retain(|name, _| input.attribute_names.iter().any(|wanted| wanted == name || wanted == "All"));
        Ok(object!({ "Attributes": attributes }))
    }

    fn set_queue_attributes(self) -> Reply {
        let input: SetQueueAttributes = self.input()?;
        let queue = &input.queue_url.0;
        self.queue.change(|rows| {
            let settings = rows.settings(queue)?.with(&input.attributes)?;
            rows.declare(queue, &settings, now_ms())
        })?;
        Ok(object!({}))
    }

    fn list_queues(self) -> Reply {
        let input: ListQueues = self.input()?;
        let names = self.queue.rows().names(&input.queue_name_prefix)?;
        let urls: Vec<_> = names.iter().map(|name| self.url(name)).collect();
        Ok(object!({ "QueueUrls": urls }))
    }

    fn send_message(self) -> Reply {
        let input: SendMessage = self.input()?;
        self.queue.change(|rows| send(rows, &input.queue_url.0, &input.message)).map(Value::Object)
    }

    fn send_message_batch(self) -> Reply {
        let input: Batch<Message> = self.input()?;
        input.check()?;
        if input.entries.iter().map(|entry| entry.of.bytes()).sum::<usize>() > LARGEST_BATCH {
            let problem = format!("Batch requests cannot be longer than {LARGEST_BATCH} bytes.");
            return Err(Refusal::new(Kind::BatchRequestTooLong, problem));
        }
        self.queue.change(|rows| input.each(|message| send(rows, &input.queue_url.0, message)))
    }

    async fn receive_message(self) -> Reply {
        let input: ReceiveMessage = self.input()?;
        let limit = within("MaxNumberOfMessages", input.max_number_of_messages.unwrap_or(1), 1, 10)?;
        if let Some(seconds) = input.visibility_timeout {
            within("VisibilityTimeout", seconds, 0, LONGEST_TIMEOUT_S)?;
        }
        let queue = input.queue_url.0.clone();
        let default_wait_s = self.queue.rows().settings(&queue)?.receive_wait_s;
        let wait_s = within("WaitTimeSeconds", input.wait_time_seconds.unwrap_or(default_wait_s), 0, 20)?;
        let claim = Claim { queue, limit, visibility_timeout_s: input.visibility_timeout };
        let received = self.queue.receive(&claim, Duration::from_secs(wait_s.unsigned_abs())).await?;
        if received.is_empty() {
            return Ok(object!({}));
        }
        let messages: Vec<_> = received.iter().map(|message| input.shape(message)).collect();
        Ok(object!({ "Messages": messages }))
    }

    fn delete_message(self) -> Reply {
        let input: DeleteMessage = self.input()?;
        self.queue.change(|rows| delete(rows, &input.queue_url.0, &input.handle)).map(Value::Object)
    }

    fn delete_message_batch(self) -> Reply {
        let input: Batch<Handle> = self.input()?;
        input.check()?;
        self.queue.change(|rows| input.each(|handle| delete(rows, &input.queue_url.0, handle)))
    }

    fn change_message_visibility(self) -> Reply {
        let input: ChangeMessageVisibility = self.input()?;
        let seconds = within("VisibilityTimeout", input.visibility_timeout, 0, LONGEST_TIMEOUT_S)?;
        let receipt = Receipt::decode(&input.receipt_handle)?;
        let queue = &input.queue_url.0;
        self.queue.change(|rows| {
            rows.settings(queue)?;
            rows.change_visibility(queue, &receipt, seconds, now_ms())
        })?;
        Ok(object!({}))
    }

    fn purge_queue(self) -> Reply {
        let Addressed { queue_url } = self.input()?;
        self.queue.change(|rows| {
            rows.settings(&queue_url.0)?;
            rows.purge(&queue_url.0)
        })?;
        Ok(object!({}))
    }

    fn start_message_move_task(self) -> Reply {
        let input: StartMessageMoveTask = self.input()?;
        let source = queue_of_arn(&input.source_arn)?;
        let destination = input.destination_arn.as_deref().map(queue_of_arn).transpose()?;
        let moves = |rows: &Rows| rows.move_dead_letters(&source, destination.as_deref(), now_ms());
        let moved = self.queue.change(moves)?;
        tracing::info!(queue = source, moved, "dead letters moved");
        Ok(object!({ "TaskHandle": source }))
    }

    fn input<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::parameter(format!("The request: {error}")))
    }

    fn url(&self, queue: &str) -> String {
        format!("http://{}/{ACCOUNT}/{queue}", self.host)
    }
}

fn send(rows: &Rows, queue: &str, message: &Message) -> Result<Map<String, Value>, Refusal> {
    let settings = rows.settings(queue)?;
    message.check(&settings)?;
    let id = rows.add(queue, message, message.delay_seconds.unwrap_or(settings.delay_s), now_ms())?;
    let mut reply = Map::new();
    reply.insert("MessageId".to_owned(), id.into());
    reply.insert("MD5OfMessageBody".to_owned(), md5_of_body(&message.message_body).into());
    if let Some(md5) = md5_of_attributes(&message.message_attributes) {
        reply.insert("MD5OfMessageAttributes".to_owned(), md5.into());
    }
    Ok(reply)
}

fn delete(rows: &Rows, queue: &str, handle: &Handle) -> Result<Map<String, Value>, Refusal> {
    rows.settings(queue)?;
    rows.delete(queue, &Receipt::decode(&handle.receipt_handle)?)?;
    Ok(Map::new())
}
