//! TOML → [`Catalog`], collecting every mistake on the way.

use std::collections::BTreeMap;

use super::amounts::{currency, price, tokens};
use super::checkout::checkout;
use super::mistakes::{Mistakes, Notes};
use super::plans::plans;
use super::subscriptions::subscriptions;
use super::tree::Table;
use super::usage::{actions, features};
use super::{Catalog, Package, Product, syntax};
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
    root.allow(&["product", "checkout", "subscriptions", "features", "actions", "plans", "packages"]);
    let product = root.section("product", "[product] with id, name and currency");
    let (product, currency) = product.map(|table| product_of(&table)).unwrap_or_default();
    let policy = root.section("checkout", "[checkout] with return_origins, success_url and cancel_url");
    let policy = policy.and_then(|table| checkout(&table, currency));
    let subscriptions = subscriptions(root);
    let features = features(root);
    let plans = plans(root, &features, currency);
    let actions = actions(root, &features, &plans.offered);
    let packages = packages(root, currency);
    Some(Catalog {
        product: product?,
        checkout: policy?,
        subscriptions,
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
