//! Lists, from their first page to their last.

use futures_util::{StreamExt, TryStreamExt};
use stripe_client_core::{ListPaginator, PaginableList};
use stripe_types::List;

use crate::error::StripeError;
use crate::transport::Call;

/// No list we ask for has this many; a server that never stops is not Stripe.
const LONGEST: usize = 5_000;

/// All of a list, in Stripe's order.
pub(crate) async fn all<T>(list: ListPaginator<List<T>>, call: Call<'_>) -> Result<Vec<T>, StripeError>
where
    T: Send + Sync + 'static,
    List<T>: PaginableList<Data = T>,
{
    let all: Result<Vec<T>, StripeError> = list.stream(&call).take(LONGEST).try_collect().await;
    let all = all.map_err(|error| error.about(call.object()))?;
    match all.len() {
        LONGEST => Err(StripeError::malformed(call.object(), "the list has no end")),
        _ => Ok(all),
    }
}
