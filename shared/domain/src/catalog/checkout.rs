//! `[checkout]`: where a buyer comes from and goes back to, how they may pay, and what they are asked for.

use std::collections::BTreeSet;

use super::tree::{Field, Table, listed};
use super::{CheckoutPolicy, methods, origin};
use crate::money::Currency;

/// Stripe puts the session's id in its place.
const SESSION_ID: &str = "{CHECKOUT_SESSION_ID}";
const SUCCESS_URL: &str = "\"https://app.example/paid?session_id={CHECKOUT_SESSION_ID}\"";
const KEYS: [&str; 7] = [
    "return_origins",
    "success_url",
    "cancel_url",
    "payment_methods",
    "automatic_tax",
    "collect_address",
    "promotion_codes",
];

pub(super) fn checkout(table: &Table<'_>, currency: Option<Currency>) -> Option<CheckoutPolicy> {
    table.allow(&KEYS);
    let origins = table.required("return_origins", r#"["https://app.example"]"#);
    let origins = origins.and_then(|field| return_origins(&field));
    let success = table.required("success_url", SUCCESS_URL);
    let success = success.and_then(|field| success_url(&field, origins.as_deref()));
    let cancel = table.required("cancel_url", "\"https://app.example/canceled\"");
    let cancel = cancel.and_then(|field| return_url(&field, origins.as_deref()));
    let payment_methods = table.optional("payment_methods", r#"["card"]"#);
    let payment_methods = payment_methods.and_then(|field| payment_methods_of(&field, currency));
    let automatic_tax = table.switch("automatic_tax").unwrap_or_default();
    Some(CheckoutPolicy {
        return_origins: origins?,
        success_url: success?.to_owned(),
        cancel_url: cancel?.to_owned(),
        payment_methods: payment_methods.unwrap_or_default(),
        automatic_tax,
        collect_address: collect_address(table, automatic_tax),
        promotion_codes: table.switch("promotion_codes").unwrap_or_default(),
    })
}

/// Tax depends on where the buyer is.
fn collect_address(table: &Table<'_>, automatic_tax: bool) -> bool {
    let asked = table.switch("collect_address");
    if automatic_tax && asked == Some(false) {
        let field = table.optional("collect_address", "true");
        field.iter().for_each(|field| {
            let problem = "must not be false beside automatic_tax, which goes by the buyer's address";
            field.wrong(problem, "write collect_address = true, or remove it");
        });
    }
    asked.unwrap_or(automatic_tax)
}

/// `None` if any is wrong: then nothing can be held against them.
fn return_origins(field: &Field<'_>) -> Option<Vec<String>> {
    let items = field.list("\"https://app.example\"")?;
    if items.is_empty() {
        field.wrong("names no origin, so no buyer could come back", field.write_example());
        return None;
    }
    let read: Vec<_> = items.iter().map(return_origin).collect();
    read.into_iter().collect()
}

fn return_origin(field: &Field<'_>) -> Option<String> {
    let (origin, after) = split_url(field)?;
    if !after.is_empty() {
        let problem = format!("must end after the host, without {after:?}");
        field.wrong(problem, field.write(&format!("{origin:?}")));
        return None;
    }
    Some(origin)
}

fn success_url<'a>(field: &Field<'a>, origins: Option<&[String]>) -> Option<&'a str> {
    let url = return_url(field, origins)?;
    if !url.contains(SESSION_ID) {
        let joint = if url.contains('?') { '&' } else { '?' };
        let fix = field.write(&format!("\"{url}{joint}session_id={SESSION_ID}\""));
        field.wrong(format!("lacks {SESSION_ID}, by which the page learns what was paid"), fix);
    }
    Some(url)
}

fn return_url<'a>(field: &Field<'a>, origins: Option<&[String]>) -> Option<&'a str> {
    let (origin, _) = split_url(field)?;
    if let Some(origins) = origins.filter(|origins| !origins.contains(&origin)) {
        let known: Vec<&str> = origins.iter().map(String::as_str).collect();
        let fix = format!("add {origin:?} to return_origins, or use {}", listed(&known));
        field.wrong(format!("{origin} is not among return_origins"), fix);
    }
    field.text()
}

fn split_url<'a>(field: &Field<'a>) -> Option<(String, &'a str)> {
    let url = field.text()?;
    origin::split(url).map_err(|bad| field.wrong(format!("{url:?} {}", bad.problem), bad.fix)).ok()
}

fn payment_methods_of(field: &Field<'_>, currency: Option<Currency>) -> Option<Vec<String>> {
    let items = field.list("\"card\"")?;
    if items.is_empty() {
        let fix = format!("{}, or remove it for all that the Stripe account offers", field.write_example());
        field.wrong("names no way to pay", fix);
        return None;
    }
    let mut seen = BTreeSet::new();
    let read: Vec<&str> = items.iter().filter_map(|item| payment_method(item, &mut seen)).collect();
    let fits = |currency| read.iter().any(|method| methods::takes(method, currency));
    if let Some(currency) = currency.filter(|currency| read.len() == items.len() && !fits(*currency)) {
        let problem = format!("nothing of it can be paid with in {currency}");
        let fix = format!("add \"card\", or remove it for all that the Stripe account offers in {currency}");
        field.wrong(problem, fix);
    }
    Some(read.into_iter().map(str::to_owned).collect())
}

fn payment_method<'a>(field: &Field<'a>, seen: &mut BTreeSet<&'a str>) -> Option<&'a str> {
    let word = field.text()?;
    if !methods::is_known(word) {
        let otherwise = || format!("{}, or another of Stripe's payment method types", field.write_example());
        let fix = methods::meant(word).map_or_else(otherwise, |known| format!("did you mean `{known}`?"));
        field.wrong(format!("Stripe knows no way to pay called {word:?}"), fix);
        return None;
    }
    if !seen.insert(word) {
        field.wrong(format!("lists {word:?} twice"), "remove one of the two");
    }
    Some(word)
}
