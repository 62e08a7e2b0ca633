//! Of whoever was erased nothing is left that says who it was, and nothing is charged any more.

use domain::ids::UserId;
use domain::payment::{PaymentRecord, References};
use serde_json::Value;
use store::StoreError;

use crate::books::Books;
use crate::world::World;

pub async fn check(world: &World, books: &Books) -> Result<(), String> {
    let subscriptions = world.all("/v1/subscriptions?status=all").await;
    for user in books.users.keys().filter(|user| books.is_closed(user)) {
        let is_charged = |subscription: &&Value| {
            let lives = !matches!(subscription["status"].as_str(), Some("canceled" | "incomplete_expired"));
            lives && subscription["metadata"]["tollgate_user"] == user.as_str()
        };
        let left = match subscriptions.iter().find(is_charged) {
            Some(subscription) => Some(format!("{} is still charged", subscription["id"])),
            None => left_of(world, user).await.map_err(|error| error.to_string())?,
        };
        if let Some(what) = left {
            return Err(format!("{user} was erased, and {what}"));
        }
    }
    Ok(())
}

async fn left_of(world: &World, user: &UserId) -> Result<Option<String>, StoreError> {
    let Some(traces) = world.truth.traces(user).await? else { return Ok(None) };
    if let Some(note) = traces.notes.first() {
        return Ok(Some(format!("{note:?} is kept")));
    }
    if let Some((email, _)) = traces.emails.first() {
        return Ok(Some(format!("the email {email} is kept")));
    }
    if let Some((payment, _)) = traces.references.first() {
        return Ok(Some(format!("references of {payment} are kept")));
    }
    if let Some(customer) = traces.customers.first() {
        return Ok(Some(format!("the customer {customer} is kept")));
    }
    let tells = |record: &&PaymentRecord| {
        let References { checkout, charge, receipt_url } = &record.references;
        record.customer.is_some()
            || record.failure.is_some()
            || checkout.is_some()
            || charge.is_some()
            || receipt_url.is_some()
    };
    let telling = traces.payments.iter().find(tells);
    Ok(telling.map(|record| format!("the payment {} tells of its buyer", record.payment)))
}
