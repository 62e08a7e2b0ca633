//! Requests as the SDK writes them, and the parts of replies that several actions share.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::{Message, Values, md5_of_attributes, md5_of_body};
use super::refusal::{Kind, Refusal};
use super::rows::{Received, Rows};
use super::settings::{Attributes, arn};
use super::{ACCOUNT, now_ms};

/// The queue that a URL names: its last segment, so that a URL outlives a change of port.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct QueueUrl(pub String);

impl From<String> for QueueUrl {
    fn from(url: String) -> QueueUrl {
        QueueUrl(url.rsplit('/').next().unwrap_or_default().to_owned())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    pub queue_name: String,
    #[serde(default)]
    pub attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    pub queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Addressed {
    pub queue_url: QueueUrl,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    pub queue_url: QueueUrl,
    #[serde(default)]
    pub attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetQueueAttributes {
    pub queue_url: QueueUrl,
    pub attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default)]
    pub queue_name_prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    pub queue_url: QueueUrl,
    #[serde(flatten)]
    pub message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    pub queue_url: QueueUrl,
    #[serde(flatten)]
    pub handle: Handle,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Handle {
    pub receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeMessageVisibility {
    pub queue_url: QueueUrl,
    pub receipt_handle: String,
    pub visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartMessageMoveTask {
    pub source_arn: String,
    pub destination_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    pub queue_url: QueueUrl,
    pub max_number_of_messages: Option<i64>,
    pub visibility_timeout: Option<i64>,
    pub wait_time_seconds: Option<i64>,
    /// The older name of the next one.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

impl ReceiveMessage {
    /// A message as this receiver wants it: with the attributes it asked for.
    pub fn shape(&self, message: &Received) -> Value {
        let values = self.wanted_values(&message.values);
        let mut shape = json!({
            "MessageId": message.id,
            "ReceiptHandle": message.receipt,
            "Body": message.body,
            "MD5OfBody": md5_of_body(&message.body),
        });
        let system = self.wanted_system_attributes(message);
        let parts = [
            ("Attributes", (!system.is_empty()).then(|| json!(system))),
            ("MessageAttributes", (!values.is_empty()).then(|| json!(values))),
            ("MD5OfMessageAttributes", md5_of_attributes(&values).map(Value::from)),
        ];
        for (name, part) in parts {
            if let Some(part) = part {
                shape[name] = part;
            }
        }
        shape
    }

    fn wanted_system_attributes(&self, message: &Received) -> Attributes {
        let wanted = [&self.attribute_names[..], &self.message_system_attribute_names[..]].concat();
        let all = [
            ("ApproximateFirstReceiveTimestamp", Some(message.first_received_ms.to_string())),
            ("ApproximateReceiveCount", Some(message.receives.to_string())),
            ("DeadLetterQueueSourceArn", message.origin.as_deref().map(arn)),
            ("SenderId", Some(ACCOUNT.to_owned())),
            ("SentTimestamp", Some(message.sent_ms.to_string())),
        ];
        let all = all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        all.filter(|(name, _)| wanted.iter().any(|wanted| wanted == name || wanted == "All")).collect()
    }

    fn wanted_values(&self, values: &Values) -> Values {
        let matches = |name: &str| {
            self.message_attribute_names.iter().any(|wanted| match wanted.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => wanted == name || wanted == "All",
            })
        };
        values
            .iter()
            .filter(|(name, _)| matches(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// Several of one kind, each of which succeeds or fails alone.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    pub queue_url: QueueUrl,
    pub entries: Vec<BatchEntry<T>>,
}

#[derive(Deserialize)]
pub(super) struct BatchEntry<T> {
    #[serde(rename = "Id")]
    id: String,
    #[serde(flatten)]
    pub of: T,
}

impl<T> Batch<T> {
    pub fn check(&self) -> Result<(), Refusal> {
        let ids: std::collections::BTreeSet<_> = self.entries.iter().map(|entry| &entry.id).collect();
        let (kind, problem) = match self.entries.len() {
            0 => (Kind::EmptyBatchRequest, "There should be at least one entry in the request."),
            11.. => (Kind::TooManyEntriesInBatchRequest, "Maximum number of entries per request are 10."),
            count if ids.len() < count => (Kind::BatchEntryIdsNotDistinct, "Two entries have the same Id."),
            _ => return Ok(()),
        };
        Err(Refusal::new(kind, problem))
    }

    pub fn each(&self, act: impl Fn(&T) -> Result<Map<String, Value>, Refusal>) -> Result<Value, Refusal> {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            match act(&entry.of) {
                Ok(mut reply) => {
                    reply.insert("Id".to_owned(), json!(entry.id));
                    successful.push(reply);
                }
                Err(Refusal::Broken(cause)) => return Err(Refusal::Broken(cause)),
                Err(refusal) => failed.push(json!({
                    "Id": entry.id,
                    "SenderFault": true,
                    "Code": refusal.code(),
                    "Message": refusal.to_string(),
                })),
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }
}

/// All attributes of a queue, with its approximate counts.
pub(super) fn all_attributes(rows: &Rows, queue: &str) -> Result<Attributes, Refusal> {
    let (settings, created_ms) = rows.find(queue)?.ok_or_else(Refusal::no_such_queue)?;
    let counts = rows.counts(queue, now_ms())?;
    let created_s = (created_ms / 1000).to_string();
    let more = [
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("CreatedTimestamp", created_s.clone()),
        ("LastModifiedTimestamp", created_s),
        ("QueueArn", arn(queue)),
    ];
    let mut attributes = settings.attributes();
    attributes.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Ok(attributes)
}

pub(super) fn within(name: &str, number: i64, least: i64, most: i64) -> Result<i64, Refusal> {
    match (least..=most).contains(&number) {
        true => Ok(number),
        false => Err(Refusal::parameter(format!("Value {number} for parameter {name} is invalid."))),
    }
}
