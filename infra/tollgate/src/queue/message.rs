//! What a message may contain, and the checksums that let a sender see that it arrived whole.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::refusal::{Kind, Refusal};
use super::settings::Settings;

/// A message as it is sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    pub message_body: String,
    pub delay_seconds: Option<i64>,
    #[serde(default)]
    pub message_attributes: Values,
}

/// The sender's own attributes of a message.
pub(super) type Values = BTreeMap<String, Attribute>;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attribute {
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    /// Base64, as on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

impl Message {
    pub fn check(&self, settings: &Settings) -> Result<(), Refusal> {
        if self.message_body.is_empty() {
            return Err(Refusal::parameter("The request must contain the parameter MessageBody."));
        }
        if !self.message_body.chars().all(is_allowed) {
            let problem = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to \
                           #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.";
            return Err(Refusal::new(Kind::InvalidMessageContents, problem));
        }
        if !(0..=900).contains(&self.delay_seconds.unwrap_or(0)) {
            return Err(Refusal::parameter("DelaySeconds must be >= 0 and <= 900."));
        }
        let most = settings.maximum_message_bytes;
        match i64::try_from(self.bytes()) {
            Ok(bytes) if bytes <= most => Ok(()),
            _ => Err(Refusal::parameter(format!("Message must be shorter than {most} bytes."))),
        }
    }

    /// The size that limits apply to: body and attributes with their names and types.
    pub fn bytes(&self) -> usize {
        let attributes = self.message_attributes.iter();
        let attributes =
            attributes.map(|(name, value)| name.len() + value.data_type.len() + value.bytes().1.len());
        self.message_body.len() + attributes.sum::<usize>()
    }
}

/// XML 1.0's characters: all that the service carries.
fn is_allowed(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

pub(super) fn md5_of_body(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// Over name, type and value of each attribute, sorted by name, every part led by its length.
pub(super) fn md5_of_attributes(values: &Values) -> Option<String> {
    if values.is_empty() {
        return None;
    }
    let mut context = md5::Context::new();
    let part = |context: &mut md5::Context, bytes: &[u8]| {
        context.consume(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        context.consume(bytes);
    };
    for (name, value) in values {
        let (transport, bytes) = value.bytes();
        part(&mut context, name.as_bytes());
        part(&mut context, value.data_type.as_bytes());
        context.consume([transport]);
        part(&mut context, &bytes);
    }
    Some(format!("{:x}", context.compute()))
}

impl Attribute {
    /// The value, led by the number that tells texts (1) from bytes (2).
    fn bytes(&self) -> (u8, Vec<u8>) {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => (1, text.clone().into_bytes()),
            (None, Some(encoded)) => (2, STANDARD.decode(encoded).unwrap_or_default()),
            (None, None) => (1, Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_control_characters_is_refused() {
        let message = |body: &str| Message {
            message_body: body.to_owned(),
            delay_seconds: None,
            message_attributes: Values::new(),
        };
        let settings = Settings::default();
        assert!(message("plain\ttext\n é 🎟").check(&settings).is_ok());
        for body in ["", "\u{0}", "a\u{1b}b", "\u{ffff}"] {
            assert!(message(body).check(&settings).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_body_over_the_queues_limit_is_refused() {
        let settings = Settings { maximum_message_bytes: 1024, ..Settings::default() };
        let message = |bytes| Message {
            message_body: "x".repeat(bytes),
            delay_seconds: None,
            message_attributes: Values::new(),
        };
        assert!(message(1024).check(&settings).is_ok());
        assert!(message(1025).check(&settings).is_err());
    }

    #[test]
    fn checksums_cover_every_part() {
        assert_eq!(md5_of_body("This is a test message"), "fafb00f5732ab283681e124bf8747ed1");
        let value = |text: &str| Attribute {
            data_type: "String".to_owned(),
            string_value: Some(text.to_owned()),
            binary_value: None,
        };
        let values = |name: &str, text: &str| Values::from([(name.to_owned(), value(text))]);
        assert_eq!(md5_of_attributes(&Values::new()), None);
        let first = md5_of_attributes(&values("a", "bc"));
        assert_ne!(first, md5_of_attributes(&values("ab", "c")));
        assert_ne!(first, md5_of_attributes(&values("a", "bd")));
    }
}
