//! A catalog with any mistake: each is named with a line of the file, or there is none and the catalog is whole.

use bolero::TypeGenerator;
use domain::catalog::{Allowance, Allows, Catalog, Cost, Plan};
use domain::item::Item;
use domain::money::Tokens;
use domain::time::{DAY_MS, HOUR_MS};
use fuzz::{TextDamage, check, one_of};

use crate::files;

/// What TOML and a catalog are made of.
const PIECES: [&str; 47] = [
    "\n",
    "\r\n",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "'''",
    "\"\"\"",
    "#",
    "true",
    "0",
    "-1",
    "9.99",
    "\"9.99\"",
    "\"0\"",
    "inf",
    "2026-09-30",
    "9007199254740992",
    "99999999999999999999",
    "\"week\"",
    "\"billing\"",
    "\"month\"",
    "unlimited",
    "tokens",
    "default = true\n",
    "\n[plans.free]\n",
    "\n[packages.small]\n",
    "\n[subscriptions]\n",
    "\n[subscriptions.access]\nunpaid = ",
    "\n[[plans]]\n",
    "\nrenewal_grace = ",
    "\"36h\"",
    "\nproration = ",
    "\"none\"",
    "\npayment_methods = [",
    "\"sepa_debit\"",
    "\nautomatic_tax = ",
    "\ntrial = { days = ",
    ", most_days = 31",
    "\nseats = ",
    "\ncontact = ",
    "\"sales@app.example\"",
];

/// A part of a text that was never a catalog.
#[derive(Debug, TypeGenerator)]
enum Scrap {
    /// A line of some catalog, wherever it stood.
    Line(u16, u16),
    Piece(u16),
    Text(String),
}

#[test]
fn any_damage_to_a_catalog_is_named_with_its_line() {
    let good = catalogs();
    check!().with_type::<(u16, TextDamage)>().for_each(|(which, damage)| {
        answers(&damage.to(one_of::<String>(*which, &good), &PIECES));
    });
}

#[test]
fn any_mixture_of_lines_words_and_letters_is_answered() {
    let good = catalogs();
    check!().with_type::<Vec<Scrap>>().for_each(|scraps| {
        let text = scraps.iter().map(|scrap| match scrap {
            Scrap::Line(which, line) => {
                let lines: Vec<&str> = one_of::<String>(*which, &good).lines().collect();
                format!("{}\n", one_of::<&str>(*line, &lines))
            }
            Scrap::Piece(which) => (*one_of::<&str>(*which, &PIECES)).to_owned(),
            Scrap::Text(text) => text.clone(),
        });
        answers(&text.collect::<String>());
    });
}

fn catalogs() -> Vec<String> {
    files("infra/catalogs", |name| name.ends_with(".toml"))
}

fn answers(text: &str) {
    match Catalog::parse(text) {
        Ok(catalog) => is_whole(&catalog),
        Err(mistakes) => {
            let lines: Vec<usize> = mistakes.0.iter().map(|mistake| mistake.line).collect();
            assert!(!lines.is_empty() && lines.is_sorted(), "{lines:?}");
            assert!(lines.iter().all(|line| (1..=text.split('\n').count()).contains(line)), "{mistakes}");
            assert_eq!(mistakes.to_string().lines().count(), lines.len(), "{mistakes}");
            assert!(mistakes.0.iter().all(|mistake| !mistake.problem.is_empty() && !mistake.fix.is_empty()));
        }
    }
}

/// What the rest of the code takes for granted.
fn is_whole(catalog: &Catalog) {
    for (id, plan) in &catalog.plans {
        is_had_in_one_way(plan, *id == catalog.default_plan);
        assert!(
            plan.features.keys().eq(catalog.features.keys()),
            "a plan says what it allows of each feature"
        );
        assert!(plan.prices.iter().all(|price| price.price.amount_minor > 0));
        let currency = catalog.product.currency;
        assert!(plan.prices.iter().all(|price| price.price.currency == currency));
    }
    let grace_ms = catalog.subscriptions.access.renewal_grace_ms;
    assert!((HOUR_MS..=30 * DAY_MS).contains(&grace_ms), "{grace_ms}");
    let checkout = &catalog.checkout;
    assert!(checkout.collect_address || !checkout.automatic_tax, "tax goes by the address");
    let fitting = checkout.payment_methods_in(catalog.product.currency);
    assert_eq!(fitting.is_empty(), checkout.payment_methods.is_empty());
    for item in catalog.plan_items() {
        assert_eq!(item.to_string().parse::<Item>(), Ok(item));
    }
    for package in catalog.packages.values() {
        assert!(!package.tokens.is_zero() && package.price.amount_minor > 0);
    }
    for action in catalog.actions.values() {
        let is_priced = match action.cost {
            Cost::Fixed(tokens) => tokens > Tokens::ZERO,
            Cost::Range { min, max } => min > Tokens::ZERO && min <= max,
        };
        assert!(is_priced, "{:?}", action.cost);
        let known = action.requires.as_ref().is_none_or(|feature| catalog.features.contains_key(feature));
        assert!(known, "an action requires what no plan has");
    }
    let flags = catalog.plans.values().flat_map(|plan| &plan.features);
    for (id, allows) in flags {
        let is_flag = matches!(allows, Allows::Flag(_));
        assert_eq!(is_flag, matches!(catalog.features[id].kind, domain::catalog::FeatureKind::Flag));
    }
}

/// For nothing, for a price or for the asking; what is tried or sold by the seat has a price.
fn is_had_in_one_way(plan: &Plan, is_default: bool) {
    let ways = [is_default, !plan.prices.is_empty(), plan.contact.is_some()];
    assert_eq!(ways.iter().filter(|way| **way).count(), 1, "{ways:?}");
    assert!(!plan.prices.is_empty() || (plan.trial, plan.seats) == (None, None));
    if let Some(trial) = plan.trial {
        assert!((1..=trial.most_days).contains(&trial.days) && trial.most_days <= 730, "{trial:?}");
        let brings = matches!(plan.tokens, Some(Allowance::Tokens { .. }));
        assert!(brings || trial.tokens.is_zero(), "{trial:?}");
    }
    assert!(plan.seats.is_none_or(|seats| (2..=10_000).contains(&seats)));
}
