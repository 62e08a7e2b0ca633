//! What travels through the queue: tagged and versioned, so that an old message is understood for ever.

use domain::ids::EventId;
use domain::time::Time;
use serde::{Deserialize, Serialize};

/// A queue message. A kind that was ever sent is never changed; what must differ becomes another kind.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Message {
    /// A verified event of Stripe's, its body byte for byte.
    #[serde(rename = "stripe.v1")]
    StripeV1 { event: EventId, received_at: Time, body: String },
}

const KINDS: [&str; 1] = ["stripe.v1"];

/// Why a text from the queue is not one of our messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// Sent by a newer version: it belongs back on the queue until this one is deployed too.
    #[error("the message kind `{0}` is not known here; is this function older than its sender?")]
    UnknownKind(String),
    #[error("not a queue message")]
    Malformed,
}

#[derive(Deserialize)]
struct Tag {
    kind: String,
}

impl Message {
    pub fn parse(text: &str) -> Result<Message, BadMessage> {
        let Tag { kind } = serde_json::from_str(text).map_err(|_| BadMessage::Malformed)?;
        if !KINDS.contains(&kind.as_str()) {
            return Err(BadMessage::UnknownKind(kind));
        }
        serde_json::from_str(text).map_err(|_| BadMessage::Malformed)
    }

    /// The text that goes on the queue.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string(self).expect("strings and numbers always make JSON");
        // Valid in JSON but refused by SQS, for ever, however often Stripe delivers it.
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    }
}

/// Without the body, which holds personal data.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Message::StripeV1 { event, received_at, body } = self;
        write!(f, "StripeV1({event}, received at {}, {} bytes)", received_at.rfc3339(), body.len())
    }
}
