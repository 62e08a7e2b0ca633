//! `[plans.…]`: what is sold by the week, month or year, and what everybody has without paying.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;

use super::amounts::{currency, price, tokens};
use super::had::{Had, contact, had, of_the_paid, seats, trial};
use super::tree::{Field, TABLE, Table, shown};
use super::usage::{Features, declared};
use super::{Allowance, Allows, FeatureKind, Interval, OnRefund, Plan, PlanPrice, Text, Window};
use crate::ids::{FeatureId, PlanId};
use crate::money::{Currency, Tokens};

const PRICES: &str = r#"[{ interval = "month", price = "9.99" }]"#;
const KEYS: [&str; 13] = [
    "name",
    "description",
    "texts",
    "level",
    "group",
    "default",
    "contact",
    "prices",
    "trial",
    "seats",
    "tokens",
    "features",
    "on_refund",
];
const MAX_LIMIT: u64 = Tokens::MAX.get();

/// The plans read so far, and what the next ones are held against.
#[derive(Default)]
pub(super) struct Plans {
    pub plans: BTreeMap<PlanId, Plan>,
    pub default: Option<PlanId>,
    /// The features that some plan has.
    pub offered: BTreeSet<FeatureId>,
    /// Who has which level of which group.
    levels: BTreeMap<(String, u32), PlanId>,
}

pub(super) fn plans(root: &Table<'_>, features: &Features, currency: Option<Currency>) -> Plans {
    let mut plans = Plans::default();
    let Some(all) = root.section("plans", "[plans.free] with default = true") else {
        return plans;
    };
    for (id, table) in all.tables(PlanId::parse) {
        if let Some(plan) = plans.plan(&id, &table, features, currency) {
            plans.plans.insert(id, plan);
        }
    }
    if plans.default.is_none() {
        let fix = "add default = true to the plan of users without a subscription";
        all.wrong("no plan is the default", fix);
    }
    plans
}

impl Plans {
    fn plan(
        &mut self,
        id: &PlanId,
        table: &Table<'_>,
        features: &Features,
        currency: Option<Currency>,
    ) -> Option<Plan> {
        table.allow(&KEYS);
        let had = had(id, table, &mut self.default);
        let name = table.required("name", "\"Premium\"").and_then(|field| field.text());
        let description = table.optional("description", "\"Premium plan\"").and_then(|field| field.text());
        let texts = texts(table);
        let rank = self.rank(id, table);
        let prices = prices(table, had, currency);
        let brings = table.optional("tokens", "\"unlimited\"").map(|field| allowance(&field, had, &prices));
        let tokens = brings.flatten();
        let (trial, seats) = (trial(table, had, brings), seats(table, had, tokens));
        let (on_refund, contact) = (on_refund(table, had), contact(table));
        let features = self.features(table, features);
        let (group, level) = rank?;
        Some(Plan {
            name: name?.to_owned(),
            description: description.map(str::to_owned),
            texts,
            level,
            group,
            prices,
            features,
            tokens,
            on_refund: on_refund?,
            trial,
            seats,
            contact,
        })
    }

    /// Its group and level; no other plan of the group may have the same.
    fn rank(&mut self, id: &PlanId, table: &Table<'_>) -> Option<(String, u32)> {
        let group = match table.optional("group", "\"main\"") {
            Some(field) => field.word().map(str::to_owned),
            None => Some("main".to_owned()),
        };
        let field = table.required("level", "1")?;
        let rank = (group?, field.small(0..=u32::MAX)?);
        if let Some(other) = self.levels.insert(rank.clone(), id.clone()) {
            let problem = format!("`{other}` of the same group has level {} too", rank.1);
            field.wrong(problem, "give the better plan a higher level, or another group");
        }
        Some(rank)
    }

    fn features(&mut self, table: &Table<'_>, features: &Features) -> BTreeMap<FeatureId, Allows> {
        let known = features.iter().filter_map(|(id, feature)| Some((id, feature.as_ref()?.kind)));
        let mut allowed: BTreeMap<_, _> = known.map(|(id, kind)| (id.clone(), kind.nothing())).collect();
        let given = table.optional("features", TABLE).and_then(|field| field.table());
        for field in given.iter().flat_map(|table| table.fields("10")) {
            let Some(id) = declared(&field, field.key(), features) else { continue };
            let allows = match features.get(&id) {
                Some(Some(feature)) => allows(&field, feature.kind),
                _ => None,
            };
            // What cannot be judged is taken as offered.
            if allows.is_none_or(|allows| !allows.is_nothing()) {
                self.offered.insert(id.clone());
            }
            allowed.extend(allows.map(|allows| (id, allows)));
        }
        allowed
    }
}

fn allows(field: &Field<'_>, kind: FeatureKind) -> Option<Allows> {
    match (kind, field.value()) {
        (FeatureKind::Flag, DeValue::Boolean(has)) => Some(Allows::Flag(*has)),
        (FeatureKind::Flag, wrong) => {
            let problem = format!("must be true or false, as it is a flag, not {}", shown(wrong));
            field.wrong(problem, field.write("true"));
            None
        }
        (_, DeValue::Integer(_)) => field.number(0..=MAX_LIMIT).map(Allows::AtMost),
        (_, DeValue::String(text)) if text == "unlimited" => Some(Allows::Unlimited),
        (_, wrong) => {
            let due = "must be a number or \"unlimited\"";
            let problem = format!("{due}, as it is a {}, not {}", kind.name(), shown(wrong));
            let fix = format!("{}, or \"unlimited\"", field.write("10"));
            field.wrong(problem, fix);
            None
        }
    }
}

fn prices(table: &Table<'_>, had: Option<Had>, currency: Option<Currency>) -> Vec<PlanPrice> {
    let Some(field) = table.optional("prices", PRICES) else {
        if had == Some(Had::Paid) {
            let fix = format!("add prices = {PRICES}, default = true, or a contact to ask for it");
            table.wrong("has no price", fix);
        }
        return Vec::new();
    };
    let items = field.list(r#"{ interval = "month", price = "9.99" }"#).unwrap_or_default();
    match had {
        Some(Had::Free) => {
            let problem = "the default plan is what users have without paying";
            field.wrong(problem, "remove prices, or default = true");
        }
        Some(Had::OnRequest) => {
            let problem = "what a plan with a contact costs is agreed on with who asks for it";
            field.wrong(problem, "remove prices, or contact");
        }
        _ if matches!(field.value(), DeValue::Array(_)) && items.is_empty() => {
            field.wrong("has no price", field.write_example());
        }
        _ => {}
    }
    let mut seen: BTreeSet<(Interval, Currency)> = BTreeSet::new();
    let read = items.iter().filter_map(|item| {
        let table = item.table()?;
        let read = plan_price(&table, currency)?;
        if !seen.insert((read.interval, read.price.currency)) {
            let problem = format!("a second price per {} in {}", read.interval.name(), read.price.currency);
            table.wrong(problem, "remove one of the two");
        }
        Some(read)
    });
    read.collect()
}

fn plan_price(table: &Table<'_>, catalog_currency: Option<Currency>) -> Option<PlanPrice> {
    table.allow(&["interval", "price", "currency"]);
    let intervals = Interval::ALL.map(|interval| (interval.name(), interval));
    let interval = table.required("interval", "\"month\"").and_then(|field| field.choice(&intervals));
    let currency = match table.optional("currency", "\"eur\"") {
        Some(field) => currency(&field),
        None => catalog_currency,
    };
    let price = table.required("price", "\"9.99\"").and_then(|field| price(&field, currency));
    Some(PlanPrice { interval: interval?, price: price? })
}

fn allowance(field: &Field<'_>, had: Option<Had>, prices: &[PlanPrice]) -> Option<Allowance> {
    let allowance = any_allowance(field)?;
    let intervals: BTreeSet<Interval> = prices.iter().map(|price| price.interval).collect();
    // Whoever goes over from one to the other would be owed a part of either.
    if matches!(allowance, Allowance::Tokens { every: Window::Billing, .. }) && intervals.len() > 1 {
        let names: Vec<_> = intervals.iter().map(|interval| interval.name()).collect();
        let problem = format!("come with each invoice, be it for a {}", names.join(" or a "));
        field.wrong(problem, "write every = \"month\", or make each interval a plan of its own");
    }
    if had == Some(Had::Free) && allowance != Allowance::Unlimited {
        let problem = "the default plan has no subscription whose weeks or months could be counted";
        field.wrong(problem, "remove tokens, or give them to a plan with a price");
    }
    Some(allowance)
}

fn any_allowance(field: &Field<'_>) -> Option<Allowance> {
    match field.value() {
        DeValue::String(text) if text == "unlimited" => Some(Allowance::Unlimited),
        DeValue::Table(_) => {
            let table = field.table()?;
            table.allow(&["count", "every", "rollover"]);
            let count = table.required("count", "500").and_then(|field| tokens(&field, 1));
            let windows = Window::ALL.map(|window| (window.name(), window));
            let every = table.required("every", "\"week\"").and_then(|field| field.choice(&windows));
            let rollover = match table.optional("rollover", "1000") {
                Some(field) => tokens(&field, 0)?,
                None => Tokens::ZERO,
            };
            Some(Allowance::Tokens { count: count?, every: every?, rollover })
        }
        DeValue::Integer(digits) => {
            let fix = field.write(&format!("{{ count = {digits}, every = \"week\" }}"));
            field.wrong("does not say how often", fix);
            None
        }
        _ => field.mismatch("\"unlimited\" or { count = …, every = … }"),
    }
}

fn on_refund(table: &Table<'_>, had: Option<Had>) -> Option<OnRefund> {
    match of_the_paid(table, had, ("on_refund", "\"keep\""), "nothing of it is refunded") {
        Some(field) => field.choice(&[("cancel", OnRefund::Cancel), ("keep", OnRefund::Keep)]),
        None => Some(OnRefund::default()),
    }
}

fn texts(table: &Table<'_>) -> BTreeMap<String, Text> {
    let all = table.optional("texts", TABLE).and_then(|field| field.table());
    all.iter().flat_map(|all| all.fields(TABLE)).filter_map(|field| text(&field)).collect()
}

fn text(field: &Field<'_>) -> Option<(String, Text)> {
    let language = field.key();
    if !is_language(language) {
        field.wrong(format!("{language:?} is not a language"), "use its code, such as fr or pt-BR");
    }
    let table = field.table()?;
    table.allow(&["name", "description"]);
    let read = |key, example| table.optional(key, example).and_then(|field| field.text()).map(str::to_owned);
    let text =
        Text { name: read("name", "\"Premium\""), description: read("description", "\"Offre Premium\"") };
    if table.is_empty() {
        table.wrong("says nothing", "give it a name, a description or both, or remove it");
    }
    Some((language.to_owned(), text))
}

/// `fr`, or with a region, `pt-BR`.
fn is_language(code: &str) -> bool {
    let (language, region) = code.split_once('-').unwrap_or((code, "XX"));
    let is = |part: &str, letter: fn(&u8) -> bool| part.bytes().all(|byte| letter(&byte));
    matches!(language.len(), 2 | 3)
        && is(language, u8::is_ascii_lowercase)
        && region.len() == 2
        && is(region, u8::is_ascii_uppercase)
}
