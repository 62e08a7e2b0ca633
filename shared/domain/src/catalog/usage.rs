//! `[features.…]` and `[actions.…]`: what plans allow, and what costs tokens.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;

use super::amounts::tokens;
use super::suggest;
use super::tree::{Field, Table};
use super::{Action, Cost, Feature, FeatureKind, Window};
use crate::ids::{ActionId, FeatureId};

/// Every declared feature; `None` where its declaration is wrong, so that its uses are not called wrong too.
pub(super) type Features = BTreeMap<FeatureId, Option<Feature>>;

pub(super) fn features(root: &Table<'_>) -> Features {
    let all = root.optional_section("features", "[features.some_id]");
    let all = all.into_iter().flat_map(|all| all.tables(FeatureId::parse));
    all.map(|(id, table)| (id, feature(&table))).collect()
}

fn feature(table: &Table<'_>) -> Option<Feature> {
    table.allow(&["name", "kind", "window", "zone"]);
    let name = table.required("name", "\"Messages\"").and_then(|field| field.text());
    let kind = table.required("kind", "\"flag\"").and_then(|field| {
        field.choice(&[("flag", Kind::Flag), ("gauge", Kind::Gauge), ("meter", Kind::Meter)])
    });
    let kind = match kind? {
        Kind::Flag => no_window(table, FeatureKind::Flag),
        Kind::Gauge => no_window(table, FeatureKind::Gauge),
        Kind::Meter => window(table).map(FeatureKind::Meter),
    };
    Some(Feature { name: name?.to_owned(), kind: kind? })
}

#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Gauge,
    Meter,
}

fn no_window(table: &Table<'_>, kind: FeatureKind) -> Option<FeatureKind> {
    for field in ["window", "zone"].iter().filter_map(|key| table.optional(key, "")) {
        let problem = format!("only a meter has a {}, not a {}", field.key(), kind.name());
        field.wrong(problem, "remove it, or write kind = \"meter\"");
    }
    Some(kind)
}

fn window(table: &Table<'_>) -> Option<Window> {
    let zone = table.optional("zone", "\"UTC\"");
    if let Some((field, text)) = zone.and_then(|field| field.text().map(|text| (field, text)))
        && text != "UTC"
    {
        field.wrong("windows turn at midnight UTC only", "write zone = \"UTC\", or remove it");
    }
    table.required("window", "\"day\"")?.choice(&Window::ALL.map(|window| (window.name(), window)))
}

/// `offered` are the features that some plan has.
pub(super) fn actions(
    root: &Table<'_>,
    features: &Features,
    offered: &BTreeSet<FeatureId>,
) -> BTreeMap<ActionId, Action> {
    let all = root.optional_section("actions", "[actions.some_id]");
    let all = all.into_iter().flat_map(|all| all.tables(ActionId::parse));
    all.filter_map(|(id, table)| Some((id, action(&table, features, offered)?))).collect()
}

fn action(table: &Table<'_>, features: &Features, offered: &BTreeSet<FeatureId>) -> Option<Action> {
    table.allow(&["name", "tokens", "requires"]);
    let name = table.required("name", "\"Photo\"").and_then(|field| field.text());
    let cost = table.required("tokens", "5").and_then(|field| cost(&field));
    let requires = table.optional("requires", "\"feature_id\"").and_then(|field| {
        let feature = declared(&field, field.text()?, features)?;
        if !offered.contains(&feature) {
            let problem = format!("no plan has the feature `{feature}`, so nobody could ever do this");
            field.wrong(problem, "give the feature to a plan, or remove requires");
        }
        Some(feature)
    });
    Some(Action { name: name?.to_owned(), cost: cost?, requires })
}

fn cost(field: &Field<'_>) -> Option<Cost> {
    match field.value() {
        DeValue::Table(_) => range(&field.table()?),
        DeValue::Integer(_) | DeValue::String(_) => tokens(field, 1).map(Cost::Fixed),
        _ => field.mismatch("a whole number or { min = …, max = … }"),
    }
}

fn range(table: &Table<'_>) -> Option<Cost> {
    table.allow(&["min", "max"]);
    let min = table.required("min", "10").and_then(|field| tokens(&field, 1));
    let max = table.required("max", "50").and_then(|field| tokens(&field, 1));
    let (min, max) = (min?, max?);
    if min > max {
        table.wrong(
            format!("min {min} is more than max {max}"),
            format!("write {{ min = {max}, max = {min} }}"),
        );
    }
    Some(Cost::Range { min, max })
}

/// The feature that a plan or an action names; noted if there is none.
pub(super) fn declared(field: &Field<'_>, id: &str, features: &Features) -> Option<FeatureId> {
    let feature = FeatureId::parse(id).ok().filter(|id| features.contains_key(id));
    if feature.is_none() {
        let known = features.keys().map(FeatureId::as_str);
        let fix = suggest::fix(id, known, format!("declare it as [features.{id}], or remove it here"));
        field.wrong(format!("no feature is called `{id}`"), fix);
    }
    feature
}
