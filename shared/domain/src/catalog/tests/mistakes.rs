//! What is wrong with the form of a catalog, and with its product and checkout.

use super::{SHOP, changed, mistakes, refused};
use crate::catalog::Catalog;

#[test]
fn every_mistake_of_a_catalog_is_reported_in_the_order_of_its_lines() {
    let text = SHOP
        .replace("\"shop\"", "7")
        .replace("kind = \"flag\"", "kind = \"switch\"")
        .replace("requires = \"hd\"", "require = \"hd\"")
        .replace("level = 1\n", "")
        .replace("interval = \"month\", price = \"9.99\"", "interval = \"moon\", price = 9.99")
        .replace("messages = 10", "messages = \"lots\"")
        .replace("price = \"4.99\"", "price = \"4.999\"\nprice = \"4.99\"");
    let found = mistakes(&text).0;
    let places: Vec<_> = found.iter().map(|mistake| (mistake.line, mistake.path.as_str())).collect();
    let expected = [
        (2, "product.id"),
        (11, "features.hd.kind"),
        (19, "actions.photo.require"),
        (24, "plans.paid.level"),
        (26, "plans.paid.prices[0].interval"),
        (26, "plans.paid.prices[0].price"),
        (28, "plans.paid.features.messages"),
        (33, "packages.small.price"),
        (34, "packages.small.price"),
    ];
    assert_eq!(places, expected);
}

#[test]
fn an_empty_catalog_is_told_where_to_begin() {
    let expected = "1: product: is missing; add [product] with id, name and currency
1: checkout: is missing; add [checkout] with return_origins, success_url and cancel_url
1: plans: is missing; add [plans.free] with default = true";
    assert_eq!(mistakes("").to_string(), expected);
}

#[test]
fn what_is_unusual_but_right_is_accepted() {
    for change in [
        "level = 1 => level = 0\\ngroup = \"extras\"",
        "level = 1 => level = 1\\ndefault = false",
        r#""9.99" }] => "9.99" }, { interval = "year", price = "99" }]"#,
        r#""9.99" }] => "9.99" }, { interval = "month", price = "10.99", currency = "USD" }]"#,
        r#"["https://app.example"] => ["HTTPS://App.Example:443", "http://localhost:3000"]"#,
        r#"{ count = 500, every = "week" } => "unlimited""#,
        "messages = 10 => messages = 0",
        "messages = 10 => messages = 9007199254740991",
        "window = \"day\" => window = \"billing\"\\nzone = \"UTC\"",
        "level = 1 => level = 1\\ntexts.pt-BR.name = \"Pago\"",
        "min = 1, max = 9 => min = 9, max = 9",
        "\"eur\" => \"EUR\"",
        "tokens = 100 => tokens = 1_000",
        "tokens = 100 => tokens = 9007199254740981",
        "bonus = 10 => bonus = 0",
        r#""4.99" => "999999.99""#,
    ] {
        let read = Catalog::parse(&changed(change));
        assert!(read.is_ok(), "{change}: {}", read.unwrap_err());
    }
    Catalog::parse(&SHOP.replace('\n', "\r\n")).unwrap();
    Catalog::parse(&SHOP[..SHOP.find("[packages").unwrap()]).unwrap();
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    refused(
        r##"
"Small" => Small
    31: TOML: string values must be quoted; put quotes around a text, or a comma between two values
bonus = 10 => bonus
    33: TOML: key with no value; put `=` here
[plans.paid] => [plans.paid
    24: TOML: unclosed table; put `]` here
"Small" => "Small
    31: TOML: invalid basic string; put `"` here
price = "4.99"\n => price = [\n
    34: TOML: unclosed array; put `]` here
count = 500, => count = 500
    28: TOML: string values must be quoted; put quotes around a text, or a comma between two values
tokens = 100 => tokens.a = 1\ntokens.a.b = 2
    33: TOML: cannot extend value of type integer with a dotted key; correct this line
"##,
    );
}

#[test]
fn a_key_written_twice_is_refused() {
    refused(
        r##"
level = 1 => level = 1\nlevel = 2
    27: plans.paid.level: is written twice; keep one of the two
level = 1\n => level = 1\ntexts.fr.name = "Payant"\nname = "Pay"\n
    28: plans.paid.name: is written twice; keep one of the two
"9.99" }] => "9.99", price = "8.99" }]
    27: plans.paid.prices[0].price: is written twice; keep one of the two
[packages.small] => [plans.free]
    30: plans.free: is written twice; keep one of the two
    31: plans.free.name: is written twice; keep one of the two
    32: plans.free.tokens: does not say how often; write tokens = { count = 100, every = "week" }
    33: plans.free.bonus: unknown key; use name, description, texts, level, group, default, contact, prices, trial, seats, tokens, features or on_refund
    34: plans.free.price: unknown key; did you mean `prices`?
hd = true => hd = true, hd = false
    29: plans.paid.features.hd: is written twice; keep one of the two
"##,
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    refused(
        r##"
name = "Shop" => nmae = "Shop"
    1: product.name: is missing; add name = "My product"
    3: product.nmae: unknown key; did you mean `name`?
[checkout]\n => [chekout]\n
    1: checkout: is missing; add [checkout] with return_origins, success_url and cancel_url
    5: chekout: unknown key; did you mean `checkout`?
"##,
    );
}

#[test]
fn a_return_origin_is_a_scheme_a_host_and_a_port() {
    refused(
        r##"
["https://app.example"] => "https://app.example"
    6: checkout.return_origins: must be a list in [brackets], not "https://app.example"; write return_origins = ["https://app.example"]
["https://app.example"] => []
    6: checkout.return_origins: names no origin, so no buyer could come back; write return_origins = ["https://app.example"]
["https://app.example"] => ["https://app.example", "https://app.example:8443/shop"]
    6: checkout.return_origins[1]: must end after the host, without "/shop"; write "https://app.example:8443"
["https://app.example"] => ["https://*.example"]
    6: checkout.return_origins[0]: "https://*.example" has a wildcard, which would let strangers in; list each origin by its full name
["https://app.example"] => ["http://app.example"]
    6: checkout.return_origins[0]: "http://app.example" must start with https://; use https:// (http:// is for localhost and 127.0.0.1 only)
["https://app.example"] => ["https://app.example", "app.example"]
    6: checkout.return_origins[1]: "app.example" is not a web address; write one such as https://app.example
"##,
    );
}

#[test]
fn a_return_url_has_a_listed_origin_and_the_success_page_learns_its_session() {
    refused(
        r##"
https://app.example/canceled => https://www.example/canceled
    8: checkout.cancel_url: https://www.example is not among return_origins; add "https://www.example" to return_origins, or use https://app.example
https://app.example/canceled => /canceled
    8: checkout.cancel_url: "/canceled" is not a web address; write one such as https://app.example
{CHECKOUT_SESSION_ID} => 1
    7: checkout.success_url: lacks {CHECKOUT_SESSION_ID}, by which the page learns what was paid; write success_url = "https://app.example/paid?id=1&session_id={CHECKOUT_SESSION_ID}"
?id={CHECKOUT_SESSION_ID} =>
    7: checkout.success_url: lacks {CHECKOUT_SESSION_ID}, by which the page learns what was paid; write success_url = "https://app.example/paid?session_id={CHECKOUT_SESSION_ID}"
"##,
    );
}

#[test]
fn an_id_is_a_short_lower_case_word() {
    refused(
        r##"
"shop" => "My Shop"
    2: product.id: must be 1 to 64 lower-case letters, digits, `_` or `-`, not "My Shop"; write id = "my_shop"
[features.hd]\n => [features.HD]\n
    9: features.HD: feature id must be 1 to 64 lower-case letters, digits, `_` or `-`; rename it to `hd`
[plans.free]\n => [plans."Free!"]\nlevels = 0\n
    20: plans."Free!": plan id must be 1 to 64 lower-case letters, digits, `_` or `-`; rename it to `free_`
    21: plans."Free!".levels: unknown key; did you mean `level`?
[packages.small]\n => [packages.""]\n
    30: packages."": package id must be 1 to 64 lower-case letters, digits, `_` or `-`; use a short word such as `premium`
level = 1 => level = 1\ngroup = "Main Group"
    27: plans.paid.group: must be 1 to 64 lower-case letters, digits, `_` or `-`, not "Main Group"; write group = "main_group"
"##,
    );
}

#[test]
fn what_is_missing_or_of_another_type_is_refused() {
    refused(
        r##"
id = "shop"\n =>
    1: product.id: is missing; add id = "my_product"
"Shop" => 5
    3: product.name: must be text in quotes, not 5; write name = "My product"
"Shop" => " "
    3: product.name: must not be empty; write name = "My product"
"eur" => "euro"
    4: product.currency: "euro" is not a currency; write its three letters, such as "eur"
[{ interval = "month", price = "9.99" }] => "9.99"
    27: plans.paid.prices: must be a list in [brackets], not "9.99"; write prices = [{ interval = "month", price = "9.99" }]
[packages.small] => [packages]\nsmall = 5\n[packages.big]
    31: packages.small: must be a table, not 5; write [packages.small]
features = { hd = true, messages = 10 } => features.hd = true\n"two\u000Alines" = 1
    30: plans.paid."two\nlines": unknown key; use name, description, texts, level, group, default, contact, prices, trial, seats, tokens, features or on_refund
[packages.small] => [[packages]]
    30: packages: must be a table, not a list; write [packages.some_id]
"##,
    );
}
