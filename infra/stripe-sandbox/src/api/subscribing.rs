//! The routes of what is paid again and again: subscriptions, their schedules, and what is taken off.

use super::Request;
use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::tx::Reply;
use crate::{coupons, discounts, previews, promotions, schedules, subscriptions};

pub fn dispatch<'a>(
    call: impl FnOnce(&'a str) -> Call<'a>,
    request: &Request,
    segments: &[&'a str],
) -> Answer<Reply> {
    let body = match (request.method.as_str(), segments) {
        ("POST", ["subscriptions"]) => subscriptions::create::create(call("")),
        ("GET", ["subscriptions"]) => subscriptions::list(call("")),
        ("GET", ["subscriptions", id]) => subscriptions::retrieve(call(id)),
        ("POST", ["subscriptions", id]) => subscriptions::change::change(call(id)),
        ("DELETE", ["subscriptions", id]) => subscriptions::cancel(call(id)),
        ("POST", ["subscriptions", id, "resume"]) => subscriptions::pausing::resume(call(id)),
        ("DELETE", ["subscriptions", id, "discount"]) => discounts::delete_of_subscription(call(id)),

        ("POST", ["subscription_schedules"]) => schedules::create(call("")),
        ("GET", ["subscription_schedules"]) => schedules::list(call("")),
        ("GET", ["subscription_schedules", id]) => schedules::retrieve(call(id)),
        ("POST", ["subscription_schedules", id]) => schedules::update(call(id)),
        ("POST", ["subscription_schedules", id, "release"]) => schedules::release(call(id)),
        ("POST", ["subscription_schedules", id, "cancel"]) => schedules::cancel(call(id)),

        ("POST", ["invoices", "create_preview"]) => previews::create(call("")),
        ("POST", ["coupons"]) => coupons::create(call("")),
        ("GET", ["coupons"]) => coupons::list(call("")),
        ("GET", ["coupons", id]) => coupons::retrieve(call(id)),
        ("POST", ["coupons", id]) => coupons::update(call(id)),
        ("DELETE", ["coupons", id]) => coupons::delete(call(id)),
        ("POST", ["promotion_codes"]) => promotions::create(call("")),
        ("GET", ["promotion_codes"]) => promotions::list(call("")),
        ("GET", ["promotion_codes", id]) => promotions::retrieve(call(id)),
        ("POST", ["promotion_codes", id]) => promotions::update(call(id)),

        (method, _) => return Err(Failure::unknown_url(method, &request.path)),
    };
    body.map(Reply::from)
}
