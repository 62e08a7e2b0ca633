//! What the reader promises: the first catalog's numbers, every mistake's words, and no panic.

use super::{Catalog, Mistakes};

mod arbitrary;
mod companion;
mod mistakes;
mod offers;

const COMPANION: &str = include_str!("../../../../infra/catalogs/companion.toml");

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
