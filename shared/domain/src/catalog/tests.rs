//! What the reader promises: each catalog's numbers, and every mistake's words.

use super::{Allowance, Allows, Catalog, FeatureKind, Mistakes, Plan};
use crate::ids::PlanId;
use crate::money::Money;

mod companion;
mod game;
mod lingua;
mod mistakes;
mod offers;
mod retainer;
mod settings;
mod vantage;

/// A right catalog, to be spoiled.
const SHOP: &str = r#"[product]
id = "shop"
name = "Shop"
currency = "eur"
[checkout]
return_origins = ["https://app.example"]
success_url = "https://app.example/paid?id={CHECKOUT_SESSION_ID}"
cancel_url = "https://app.example/canceled"
[features.hd]
name = "HD"
kind = "flag"
[features.messages]
name = "Messages"
kind = "meter"
window = "day"
[actions.photo]
name = "Photo"
tokens = { min = 1, max = 9 }
requires = "hd"
[plans.free]
name = "Free"
default = true
level = 0
[plans.paid]
name = "Paid"
level = 1
prices = [{ interval = "month", price = "9.99" }]
tokens = { count = 500, every = "week" }
features = { hd = true, messages = 10 }
[packages.small]
name = "Small"
tokens = 100
bonus = 10
price = "4.99"
"#;

fn read(text: &str) -> Catalog {
    Catalog::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn plan<'c>(catalog: &'c Catalog, id: &str) -> &'c Plan {
    &catalog.plans[&PlanId::parse(id).unwrap()]
}

/// Each plan as it is sold, worst first: `1 premium: 9.99 eur a month, 500 tokens a week`.
fn sold(catalog: &Catalog) -> Vec<String> {
    let mut plans: Vec<_> = catalog.plans.iter().collect();
    plans.sort_by_key(|(_, plan)| plan.level);
    plans.iter().map(|(id, plan)| format!("{} {id}: {}", plan.level, terms(plan).join(", "))).collect()
}

fn terms(plan: &Plan) -> Vec<String> {
    let price = |money: Money| format!("{} {}", money.decimal(), money.currency);
    let prices = plan.prices.iter();
    let mut terms: Vec<_> =
        prices.map(|each| format!("{} a {}", price(each.price), each.interval.name())).collect();
    terms.extend(plan.tokens.map(|tokens| match tokens {
        Allowance::Unlimited => "unlimited tokens".to_owned(),
        Allowance::Tokens { count, every, rollover } => {
            assert!(rollover.is_zero(), "{rollover} are kept");
            format!("{count} tokens a {}", every.name())
        }
    }));
    terms.extend(plan.trial.map(|trial| {
        assert!(trial.tokens.is_zero() && trial.needs_method, "{trial:?}");
        format!("trial of {} to {} days", trial.days, trial.most_days)
    }));
    terms.extend(plan.contact.as_ref().map(|contact| format!("ask {contact}")));
    assert_eq!((plan.group.as_str(), plan.seats), ("main", None));
    terms
}

/// What a plan allows, without what it does not: `hd_photos, messages 50, videos unlimited`.
fn allowed(catalog: &Catalog, id: &str) -> String {
    let features = &plan(catalog, id).features;
    assert_eq!(features.keys().collect::<Vec<_>>(), catalog.features.keys().collect::<Vec<_>>());
    let some = features.iter().filter(|(_, allows)| !allows.is_nothing());
    let some = some.map(|(id, allows)| match allows {
        Allows::Flag(_) => id.to_string(),
        Allows::AtMost(most) => format!("{id} {most}"),
        Allows::Unlimited => format!("{id} unlimited"),
    });
    some.collect::<Vec<_>>().join(", ")
}

/// Each feature with its kind: `messages meter day`.
fn features(catalog: &Catalog) -> Vec<String> {
    let words = catalog.features.iter().map(|(id, feature)| match feature.kind {
        FeatureKind::Meter(window) => format!("{id} meter {}", window.name()),
        kind => format!("{id} {}", kind.name()),
    });
    words.collect()
}

/// Each package: `medium: 250 + 25 for 9.99 eur`.
fn packages(catalog: &Catalog) -> Vec<String> {
    let words = catalog.packages.iter().map(|(id, package)| {
        let bonus = if package.bonus.is_zero() { String::new() } else { format!(" + {}", package.bonus) };
        format!("{id}: {}{bonus} for {} {}", package.tokens, package.price.decimal(), package.price.currency)
    });
    words.collect()
}

/// Reads lines of `FROM => TO`, each with the mistakes below it that this change of [`SHOP`] must cause.
fn refused(cases: &str) {
    let mut lines = cases.trim().lines().peekable();
    while let Some(change) = lines.next() {
        let mut expected = Vec::new();
        while let Some(mistake) = lines.next_if(|line| line.starts_with("    ")) {
            expected.push(mistake.trim());
        }
        assert!(!expected.is_empty(), "nothing is expected of {change}");
        assert_eq!(mistakes(&changed(change)).to_string(), expected.join("\n"), "{change}");
    }
}

fn changed(change: &str) -> String {
    let (from, to) = change.split_once("=>").unwrap();
    let (from, to) = (from.trim().replace("\\n", "\n"), to.trim().replace("\\n", "\n"));
    assert!(SHOP.contains(&from), "{from}");
    SHOP.replacen(&from, &to, 1)
}

fn mistakes(text: &str) -> Mistakes {
    Catalog::parse(text).unwrap_err()
}
