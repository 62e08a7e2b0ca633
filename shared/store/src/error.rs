//! Three ways in which the table fails its caller.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use domain::fault::Fault;

use crate::items::BadItem;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Contention, throttling or an outage. Nothing was decided; the same command may be sent again.
    #[error("the table is busy: {0}")]
    Busy(String),
    /// Nothing that a retry would mend: a wrong table name, missing rights, a bug.
    #[error("the table refused: {0}")]
    Refused(String),
    /// A stored item does not parse.
    #[error(transparent)]
    Corrupt(#[from] BadItem),
}

impl Fault for StoreError {
    fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Busy(_))
    }
}

impl StoreError {
    /// An outcome that is unknown (timeout, lost connection) counts as busy: causes make the retry safe.
    pub(crate) fn of<E, R>(error: SdkError<E, R>) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug,
    {
        // Never the raw response, which may hold an item.
        let code = error.code().unwrap_or_default();
        let text = match &error {
            SdkError::ServiceError(_) => format!("{code}: {}", error.message().unwrap_or("no message")),
            SdkError::ConstructionFailure(_) => "the request could not be made".to_owned(),
            SdkError::TimeoutError(_) => "no answer in time".to_owned(),
            SdkError::DispatchFailure(_) => "no connection".to_owned(),
            _ => "no readable answer".to_owned(),
        };
        match &error {
            // An answer that names no fault, such as a proxy's 503, does not say that nothing was done.
            SdkError::ServiceError(_) if !is_passing(code) && !code.is_empty() => StoreError::Refused(text),
            SdkError::ConstructionFailure(_) => StoreError::Refused(text),
            _ => StoreError::Busy(text),
        }
    }
}

/// The answer to a conditional write. `None` means that its condition did not hold.
pub(crate) fn if_held<T, E, R>(answer: Result<T, SdkError<E, R>>) -> Result<Option<T>, StoreError>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
        Err(error) => Err(StoreError::of(error)),
    }
}

/// Codes of failures that pass by themselves.
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "InternalServerError"
            | "LimitExceededException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ServiceUnavailable"
            | "ThrottlingException"
            | "TransactionConflictException"
            | "TransactionInProgressException"
    )
}
