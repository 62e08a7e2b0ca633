//! What the service answers when it does not do as asked, under the names that the SDK knows.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{1}")]
    Refused(Kind, String),
    /// Nothing was changed; the SDK sends such a request again.
    #[error("the queue's store failed: {0}")]
    Broken(#[from] rusqlite::Error),
}

macro_rules! kinds {
    ($($kind:ident = $code:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind { $($kind),* }

        impl Kind {
            /// The shape's name, and the code that clients of the older query protocol go by.
            fn names(self) -> (&'static str, &'static str) {
                match self { $(Kind::$kind => (stringify!($kind), $code)),* }
            }
        }
    };
}

kinds! {
    BatchEntryIdsNotDistinct = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
    BatchRequestTooLong = "AWS.SimpleQueueService.BatchRequestTooLong";
    EmptyBatchRequest = "AWS.SimpleQueueService.EmptyBatchRequest";
    InvalidAttributeName = "InvalidAttributeName";
    InvalidAttributeValue = "InvalidAttributeValue";
    InvalidMessageContents = "InvalidMessageContents";
    InvalidParameterValue = "InvalidParameterValue";
    MessageNotInflight = "AWS.SimpleQueueService.MessageNotInflight";
    QueueDoesNotExist = "AWS.SimpleQueueService.NonExistentQueue";
    QueueNameExists = "QueueAlreadyExists";
    ReceiptHandleIsInvalid = "ReceiptHandleIsInvalid";
    ResourceNotFoundException = "ResourceNotFoundException";
    TooManyEntriesInBatchRequest = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
    UnsupportedOperation = "AWS.SimpleQueueService.UnsupportedOperation";
}

impl Refusal {
    pub fn new(kind: Kind, message: impl Into<String>) -> Refusal {
        Refusal::Refused(kind, message.into())
    }

    pub fn parameter(message: impl Into<String>) -> Refusal {
        Refusal::new(Kind::InvalidParameterValue, message)
    }

    pub fn no_such_queue() -> Refusal {
        Refusal::new(Kind::QueueDoesNotExist, "The specified queue does not exist.")
    }

    /// The code under which one entry of a batch fails.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Refused(kind, _) => kind.names().1,
            Refusal::Broken(_) => "InternalFailure",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, shape, fault) = match &self {
            Refusal::Refused(kind, _) => (StatusCode::BAD_REQUEST, kind.names().0, "Sender"),
            Refusal::Broken(cause) => {
                tracing::error!(%cause, "the queue's store failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", "Receiver")
            }
        };
        let query_error = format!("{};{fault}", self.code());
        let body = json!({ "__type": format!("com.amazonaws.sqs#{shape}"), "message": self.to_string() });
        (status, [("x-amzn-query-error", query_error)], super::wire::json(&body)).into_response()
    }
}
