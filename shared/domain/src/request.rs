//! Telling one request from another under the same `Idempotency-Key`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cause::Operation;

/// Hash of operation, path parameters and the body with sorted keys: never of a Rust type, as types change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestHash(String);

impl RequestHash {
    pub fn of(operation: Operation, path: &[&str], body: &Value) -> RequestHash {
        let request = Value::Array(vec![operation.name().into(), path.into(), sorted(body)]);
        RequestHash(URL_SAFE_NO_PAD.encode(Sha256::digest(request.to_string())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Sorted here, not by serde_json's map, whose order depends on the features of the whole build.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn key_order_does_not_matter_and_everything_else_does() {
        let parse = |text| serde_json::from_str::<Value>(text).unwrap();
        let hash = |path: &[&str], body: Value| RequestHash::of(Operation::Consume, path, &body);
        let first = hash(&["u"], parse(r#"{"action":"photo","amount":1}"#));
        assert_eq!(first, hash(&["u"], parse(r#"{ "amount": 1, "action": "photo" }"#)));
        assert_ne!(first, hash(&["u"], json!({"action": "photo", "amount": 2})));
        assert_ne!(first, hash(&["v"], json!({"action": "photo", "amount": 1})));
        let grant = RequestHash::of(Operation::Grant, &["u"], &json!({"action": "photo", "amount": 1}));
        assert_ne!(first, grant);
    }

    #[test]
    fn the_hash_never_changes_between_deploys() {
        let hash = RequestHash::of(Operation::Consume, &["u"], &json!({"action": "photo"}));
        assert_eq!(hash.0, "KCdRM9-634dRvPgeI8Ar4lu054D2W3ZGXDmgGsLGN0c");
    }
}
