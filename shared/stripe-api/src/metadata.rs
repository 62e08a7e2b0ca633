//! The envelope as Stripe's metadata.

use std::collections::HashMap;

use domain::payment::Envelope;

/// Beside the envelope: which request of ours made the object.
pub(crate) const REQUEST: &str = "tollgate_request";

/// Beside the envelope of a refund: who decided it.
pub(crate) const OPERATOR: &str = "tollgate_operator";

pub(crate) fn pairs(envelope: &Envelope) -> HashMap<String, String> {
    envelope.pairs().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn envelope(metadata: &HashMap<String, String>) -> Envelope {
    Envelope::read(|name| metadata.get(name).map(String::as_str))
}
