//! A catalog with any mistake: each is named with a line of the file, or there is none and the catalog is whole.

use domain::catalog::{Allows, Catalog, Cost};
use domain::item::Item;
use domain::money::Tokens;
use fuzz::{TextDamage, check, one_of};

use crate::files;

/// What TOML and a catalog are made of.
const PIECES: [&str; 32] = [
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
];

#[test]
fn any_damage_to_a_catalog_is_named_with_its_line() {
    let good = files("infra/catalogs", |name| name.ends_with(".toml"));
    check!().with_type::<(u16, TextDamage)>().for_each(|(which, damage)| {
        let text = damage.to(one_of::<String>(*which, &good), &PIECES);
        match Catalog::parse(&text) {
            Ok(catalog) => is_whole(&catalog),
            Err(mistakes) => {
                let lines: Vec<usize> = mistakes.0.iter().map(|mistake| mistake.line).collect();
                assert!(!lines.is_empty() && lines.is_sorted(), "{lines:?}");
                assert!(lines.iter().all(|line| (1..=text.split('\n').count()).contains(line)), "{mistakes}");
                assert_eq!(mistakes.to_string().lines().count(), lines.len(), "{mistakes}");
                assert!(
                    mistakes.0.iter().all(|mistake| !mistake.problem.is_empty() && !mistake.fix.is_empty())
                );
            }
        }
    });
}

/// What the rest of the code takes for granted.
fn is_whole(catalog: &Catalog) {
    assert!(catalog.plans[&catalog.default_plan].prices.is_empty(), "nobody pays for the default plan");
    for plan in catalog.plans.values() {
        assert!(
            plan.features.keys().eq(catalog.features.keys()),
            "a plan says what it allows of each feature"
        );
        assert!(plan.prices.iter().all(|price| price.price.amount_minor > 0));
        let currency = catalog.product.currency;
        assert!(plan.prices.iter().all(|price| price.price.currency == currency));
    }
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
