//! A queue's settings, and their form on the wire: a map of texts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::refusal::{Kind, Refusal};
use super::{ACCOUNT, REGION};

/// What SQS calls a queue's attributes, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub visibility_timeout_s: i64,
    pub delay_s: i64,
    pub receive_wait_s: i64,
    pub retention_s: i64,
    pub maximum_message_bytes: i64,
    pub redrive: Option<Redrive>,
}

/// Where a message goes that was received too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    pub dead_letter_queue: String,
    pub max_receive_count: i64,
}

pub(super) type Attributes = BTreeMap<String, String>;

/// `RedrivePolicy` as it is written in JSON; the service accepts a number or a text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: serde_json::Value,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            visibility_timeout_s: 30,
            delay_s: 0,
            receive_wait_s: 0,
            retention_s: 4 * 24 * 3600,
            maximum_message_bytes: 1024 * 1024,
            redrive: None,
        }
    }
}

impl Settings {
    /// These settings with some replaced. A name that means nothing here is refused rather than ignored.
    pub(super) fn with(mut self, attributes: &Attributes) -> Result<Settings, Refusal> {
        for (name, text) in attributes {
            match name.as_str() {
                "VisibilityTimeout" => self.visibility_timeout_s = number(name, text, 0, 43_200)?,
                "DelaySeconds" => self.delay_s = number(name, text, 0, 900)?,
                "ReceiveMessageWaitTimeSeconds" => self.receive_wait_s = number(name, text, 0, 20)?,
                "MessageRetentionPeriod" => self.retention_s = number(name, text, 60, 1_209_600)?,
                "MaximumMessageSize" => self.maximum_message_bytes = number(name, text, 1024, 1_048_576)?,
                "RedrivePolicy" => self.redrive = redrive(text)?,
                _ => {
                    return Err(Refusal::new(
                        Kind::InvalidAttributeName,
                        format!("Unknown Attribute {name}."),
                    ));
                }
            }
        }
        Ok(self)
    }

    pub(super) fn attributes(&self) -> Attributes {
        let numbers = [
            ("VisibilityTimeout", self.visibility_timeout_s),
            ("DelaySeconds", self.delay_s),
            ("ReceiveMessageWaitTimeSeconds", self.receive_wait_s),
            ("MessageRetentionPeriod", self.retention_s),
            ("MaximumMessageSize", self.maximum_message_bytes),
        ];
        let numbers = numbers.map(|(name, number)| (name.to_owned(), number.to_string()));
        let mut attributes = Attributes::from(numbers);
        if let Some(redrive) = &self.redrive {
            let policy = serde_json::json!({
                "deadLetterTargetArn": arn(&redrive.dead_letter_queue),
                "maxReceiveCount": redrive.max_receive_count,
            });
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
        }
        attributes
    }
}

pub(super) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

/// The queue that an ARN names.
pub(super) fn queue_of_arn(arn: &str) -> Result<String, Refusal> {
    match arn.rsplit_once(':') {
        Some((prefix, name)) if prefix.starts_with("arn:") && !name.is_empty() => Ok(name.to_owned()),
        _ => Err(Refusal::parameter(format!("`{arn}` is not the ARN of a queue."))),
    }
}

/// An empty policy takes the redrive away.
fn redrive(text: &str) -> Result<Option<Redrive>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong =
        || Refusal::new(Kind::InvalidAttributeValue, "Invalid value for the parameter RedrivePolicy.");
    let policy: RedrivePolicy = serde_json::from_str(text).map_err(|_| wrong())?;
    let count = policy.max_receive_count.to_string();
    let max_receive_count = number("maxReceiveCount", count.trim_matches('"'), 1, 1000)?;
    let dead_letter_queue = queue_of_arn(&policy.dead_letter_target_arn)?;
    Ok(Some(Redrive { dead_letter_queue, max_receive_count }))
}

fn number(name: &str, text: &str, least: i64, most: i64) -> Result<i64, Refusal> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => {
            Err(Refusal::new(Kind::InvalidAttributeValue, format!("Invalid value for the parameter {name}.")))
        }
    }
}
