//! The envelope as Stripe's metadata.

use std::collections::HashMap;

use domain::payment::Envelope;

use crate::Stripe;

/// Beside the envelope: which request of ours made the object.
pub(crate) const REQUEST: &str = "tollgate_request";

/// Beside the envelope of a subscription that we ended: why.
pub(crate) const ENDED: &str = "tollgate_ended";

/// Beside the envelope of a refund: who decided it.
pub(crate) const OPERATOR: &str = "tollgate_operator";

impl Stripe {
    /// What everything carries that is made for a request of ours. Its stack is always this connection's own.
    pub(crate) fn metadata(&self, envelope: &Envelope, request: &str) -> HashMap<String, String> {
        let mut metadata = pairs(&self.ours(envelope));
        metadata.insert(REQUEST.to_owned(), request.to_owned());
        metadata
    }

    pub(crate) fn ours(&self, envelope: &Envelope) -> Envelope {
        Envelope { stack: Some(self.stack().to_owned()), ..envelope.clone() }
    }
}

pub(crate) fn pairs(envelope: &Envelope) -> HashMap<String, String> {
    envelope.pairs().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn envelope(metadata: &HashMap<String, String>) -> Envelope {
    Envelope::read(|name| metadata.get(name).map(String::as_str))
}
