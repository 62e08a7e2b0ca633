//! TOML → [`Catalog`], collecting every mistake on the way.

use std::collections::BTreeMap;

use super::amounts::{currency, price, tokens};
use super::mistakes::{Mistakes, Notes};
use super::plans::plans;
use super::tree::{Field, Table, listed};
use super::usage::{actions, features};
use super::{Catalog, CheckoutPolicy, Package, Product, origin, syntax};
use crate::ids::PackageId;
use crate::money::{Currency, Tokens};

pub(super) fn catalog(text: &str) -> Result<Catalog, Mistakes> {
    let notes = Notes::new(text);
    let tree = syntax::tree(text, &notes);
    let read = tree.as_ref().and_then(|tree| whole(&Table::root(&notes, tree)));
    let mistakes = notes.into_mistakes();
    match read {
        Some(catalog) if mistakes.0.is_empty() => Ok(catalog),
        _ => Err(mistakes),
    }
}

fn whole(root: &Table<'_>) -> Option<Catalog> {
    root.allow(&["product", "checkout", "features", "actions", "plans", "packages"]);
    let product = root.section("product", "[product] with id, name and currency");
    let (product, currency) = product.map(|table| product_of(&table)).unwrap_or_default();
    let checkout = root.section("checkout", "[checkout] with return_origins, success_url and cancel_url");
    let checkout = checkout.and_then(|table| checkout_of(&table));
    let features = features(root);
    let plans = plans(root, &features, currency);
    let actions = actions(root, &features, &plans.offered);
    let packages = packages(root, currency);
    Some(Catalog {
        product: product?,
        checkout: checkout?,
        features: features.into_iter().filter_map(|(id, feature)| Some((id, feature?))).collect(),
        actions,
        plans: plans.plans,
        packages,
        default_plan: plans.default?,
    })
}

/// The currency comes apart: prices can be judged by it even where something else is wrong.
fn product_of(table: &Table<'_>) -> (Option<Product>, Option<Currency>) {
    table.allow(&["id", "name", "currency", "support"]);
    let id = table.required("id", "\"my_product\"").and_then(|field| field.word());
    let name = table.required("name", "\"My product\"").and_then(|field| field.text());
    let currency = table.required("currency", "\"eur\"").and_then(|field| currency(&field));
    let support = table.optional("support", "\"help@app.example\"").and_then(|field| field.text());
    let whole = || {
        Some(Product {
            id: id?.to_owned(),
            name: name?.to_owned(),
            currency: currency?,
            support: support.map(str::to_owned),
        })
    };
    (whole(), currency)
}

fn checkout_of(table: &Table<'_>) -> Option<CheckoutPolicy> {
    table.allow(&["return_origins", "success_url", "cancel_url"]);
    let origins = table.required("return_origins", r#"["https://app.example"]"#);
    let origins = origins.and_then(|field| return_origins(&field));
    let success = table.required("success_url", SUCCESS_URL).and_then(|field| {
        let url = return_url(&field, origins.as_deref())?;
        if !url.contains(SESSION_ID) {
            let joint = if url.contains('?') { '&' } else { '?' };
            let fix = field.write(&format!("\"{url}{joint}session_id={SESSION_ID}\""));
            field.wrong(format!("lacks {SESSION_ID}, by which the page learns what was paid"), fix);
        }
        Some(url)
    });
    let cancel = table.required("cancel_url", "\"https://app.example/canceled\"");
    let cancel = cancel.and_then(|field| return_url(&field, origins.as_deref()));
    Some(CheckoutPolicy {
        return_origins: origins?,
        success_url: success?.to_owned(),
        cancel_url: cancel?.to_owned(),
    })
}

/// Stripe puts the session's id in its place.
const SESSION_ID: &str = "{CHECKOUT_SESSION_ID}";
const SUCCESS_URL: &str = "\"https://app.example/paid?session_id={CHECKOUT_SESSION_ID}\"";

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

fn packages(root: &Table<'_>, currency: Option<Currency>) -> BTreeMap<PackageId, Package> {
    let all = root.optional_section("packages", "[packages.some_id]");
    let all = all.into_iter().flat_map(|all| all.tables(PackageId::parse));
    all.filter_map(|(id, table)| Some((id, package(&table, currency)?))).collect()
}

fn package(table: &Table<'_>, currency: Option<Currency>) -> Option<Package> {
    table.allow(&["name", "tokens", "bonus", "price"]);
    let name = table.required("name", "\"100 tokens\"").and_then(|field| field.text());
    let count = table.required("tokens", "100").and_then(|field| tokens(&field, 1));
    let bonus = match table.optional("bonus", "25") {
        Some(field) => tokens(&field, 0),
        None => Some(Tokens::ZERO),
    };
    let price = table.required("price", "\"9.99\"").and_then(|field| price(&field, currency));
    let (count, bonus) = (count?, bonus?);
    if count.checked_add(bonus).is_none() {
        let problem = format!("tokens and bonus together are more than {}", Tokens::MAX);
        table.wrong(problem, "make them smaller");
    }
    Some(Package { name: name?.to_owned(), tokens: count, bonus, price: price? })
}
