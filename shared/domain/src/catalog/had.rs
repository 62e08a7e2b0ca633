//! How a plan is had: for nothing, by paying or by asking; tried first, and by the seat.

use toml::de::DeValue;

use super::tree::{Field, Table};
use super::{Allowance, Trial, origin};
use crate::ids::PlanId;
use crate::money::Tokens;
use crate::privacy::Email;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Had {
    /// By everybody, without a subscription.
    Free,
    Paid,
    /// What it costs is agreed on with whom its contact names.
    OnRequest,
}

const MOST_TRIAL_DAYS: u32 = 730;
const MOST_SEATS: u32 = 10_000;
const CONTACT: &str = "\"sales@app.example\"";

/// `None` where that is in doubt, and already noted. `default` is the plan that was found to be it before.
pub(super) fn had(id: &PlanId, table: &Table<'_>, default: &mut Option<PlanId>) -> Option<Had> {
    let is_default = is_default(id, table, default);
    let Some(contact) = table.optional("contact", CONTACT) else {
        return is_default.map(|is_default| if is_default { Had::Free } else { Had::Paid });
    };
    if is_default == Some(true) {
        contact.wrong("the default plan is had without asking", "remove contact, or default = true");
        return Some(Had::Free);
    }
    Some(Had::OnRequest)
}

fn is_default(id: &PlanId, table: &Table<'_>, default: &mut Option<PlanId>) -> Option<bool> {
    let Some(field) = table.optional("default", "true") else { return Some(false) };
    let is_default = field.yes_or_no();
    match (is_default, &default) {
        (Some(true), Some(first)) => {
            field.wrong(format!("`{first}` is the default plan already"), "remove one of the two");
            return None;
        }
        (Some(true) | None, None) => *default = Some(id.clone()),
        _ => {}
    }
    is_default
}

/// A field about paying; `so` says what it comes to where nobody pays.
pub(super) fn of_the_paid<'a>(
    table: &Table<'a>,
    had: Option<Had>,
    (key, example): (&str, &'a str),
    so: &str,
) -> Option<Field<'a>> {
    let field = table.optional(key, example)?;
    let who = match had {
        Some(Had::Free) => "the default plan is never paid for",
        Some(Had::OnRequest) => "a plan with a contact is not sold here",
        Some(Had::Paid) | None => return Some(field),
    };
    field.wrong(format!("{who}, so {so}"), format!("remove {key}"));
    Some(field)
}

pub(super) fn contact(table: &Table<'_>) -> Option<String> {
    let field = table.optional("contact", CONTACT)?;
    let text = field.text()?;
    if text.contains("://") {
        origin::split(text).map_err(|bad| field.wrong(format!("{text:?} {}", bad.problem), bad.fix)).ok()?;
    } else if text.contains([':', '/']) || Email::parse(text).is_err() {
        let problem = format!("must be a mail address, or a web address with https://, not {text:?}");
        field.wrong(problem, field.write_example());
    }
    Some(text.to_owned())
}

/// `brings` is the plan's allowance: `Some(None)` if it is wrong, and already noted.
pub(super) fn trial(table: &Table<'_>, had: Option<Had>, brings: Option<Option<Allowance>>) -> Option<Trial> {
    let field = of_the_paid(table, had, ("trial", "{ days = 14 }"), "there is nothing to try")?;
    let table = match field.value() {
        DeValue::Table(_) => field.table()?,
        DeValue::Integer(days) => {
            field.wrong("must be a table", field.write(&format!("{{ days = {days} }}")));
            return None;
        }
        _ => return field.mismatch("{ days = … }"),
    };
    table.allow(&["days", "most_days", "tokens", "needs_payment_method"]);
    let days = table.required("days", "14").and_then(|field| field.small(1..=MOST_TRIAL_DAYS));
    let most_days = match table.optional("most_days", "14") {
        Some(field) => most_days(&field, days),
        None => days,
    };
    let tokens = match table.optional("tokens", "100") {
        Some(field) => trial_tokens(&field, brings)?,
        None => Tokens::ZERO,
    };
    let needs_method = table.switch("needs_payment_method").unwrap_or(true);
    Some(Trial { days: days?, most_days: most_days?, tokens, needs_method })
}

fn most_days(field: &Field<'_>, days: Option<u32>) -> Option<u32> {
    let most = field.small(1..=MOST_TRIAL_DAYS)?;
    if let Some(days) = days.filter(|days| *days > most) {
        let fix = format!("{}, or remove it", field.write(&days.to_string()));
        field.wrong(format!("must not be less than days, which is {days}"), fix);
    }
    Some(most)
}

fn trial_tokens(field: &Field<'_>, brings: Option<Option<Allowance>>) -> Option<Tokens> {
    let tokens = super::amounts::tokens(field, 0)?;
    let problem = match brings {
        _ if tokens.is_zero() => return Some(tokens),
        None => "the plan brings no tokens, so its trial has none",
        Some(Some(Allowance::Unlimited)) => "the plan's tokens are unlimited, in its trial too",
        Some(None | Some(Allowance::Tokens { .. })) => return Some(tokens),
    };
    field.wrong(problem, "remove it, or give the plan tokens = { count = …, every = … }");
    Some(tokens)
}

pub(super) fn seats(table: &Table<'_>, had: Option<Had>, brings: Option<Allowance>) -> Option<u32> {
    let field = of_the_paid(table, had, ("seats", "50"), "there are no seats to pay for")?;
    let seats = field.small(2..=MOST_SEATS)?;
    if let Some(Allowance::Tokens { count, rollover, .. }) = brings
        && [count, rollover].iter().any(|tokens| tokens.checked_mul(seats.into()).is_none())
    {
        field.wrong(format!("the tokens of all seats are more than {}", Tokens::MAX), "write fewer seats");
    }
    Some(seats)
}
