//! What the API version that a request names takes no longer. Where none is named, nothing is too old.

use serde_json::{Map, Value};

use crate::failure::{Answer, Failure};

const ENDIVE: &str = "2026-09-30";

/// `payment_method_types` can only be read since, where `allowed_payment_method_types` narrows what is offered.
pub fn check(version: Option<&str>, path: &str, fields: &Map<String, Value>) -> Answer<()> {
    let name = "payment_method_types";
    let is_newer =
        version.is_some_and(|version| version.get(..ENDIVE.len()).is_some_and(|day| day >= ENDIVE));
    if !is_newer || !fields.contains_key(name) {
        return Ok(());
    }
    match path.split('/').nth(2) {
        Some("checkout") => Err(Failure::unknown_param(name)),
        Some("payment_intents" | "setup_intents") => {
            let message = "`payment_method_types` is no longer supported. Use `allowed_payment_method_types` to \
                           limit what is offered, or leave it to the Dashboard.";
            let failure = Failure::invalid(message).code("payment_method_types_no_longer_supported");
            Err(failure.param(name))
        }
        _ => Ok(()),
    }
}
