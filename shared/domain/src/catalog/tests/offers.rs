//! What is wrong with features, actions, plans and packages.

use super::{SHOP, changed, mistakes, refused};
use crate::catalog::{Allows, Catalog, OnRefund};
use crate::ids::{FeatureId, PackageId, PlanId};

#[test]
fn a_price_is_a_positive_decimal_in_quotes() {
    refused(
        r##"
"4.99" => 4.99
    34: packages.small.price: must be in quotes, so that no cent is lost to rounding; write price = "4.99"
"4.99" => 5
    34: packages.small.price: must be in quotes, so that no cent is lost to rounding; write price = "5"
"4.99" => "4.999"
    34: packages.small.price: must have at most 2 decimals in eur, not "4.999"; write price = "9.99"
"4.99" => "4,99"
    34: packages.small.price: must be a plain decimal, not "4,99"; write price = "4.99"
"4.99" => "€4.99"
    34: packages.small.price: must be a plain decimal, not "€4.99"; write price = "4.99"
"4.99" => "free"
    34: packages.small.price: must be a plain decimal, not "free"; write price = "9.99"
"4.99" => "0.00"
    34: packages.small.price: must be more than zero; write price = "9.99"
"4.99" => "1000000"
    34: packages.small.price: must be at most 999999.99, which is the most that Stripe charges; write price = "9.99"
"4.99" => true
    34: packages.small.price: must be a price in quotes, not true; write price = "9.99"
"eur" => "jpy"
    27: plans.paid.prices[0].price: must have no decimals in jpy, not "9.99"; write price = "999"
    34: packages.small.price: must have no decimals in jpy, not "4.99"; write price = "999"
"##,
    );
}

#[test]
fn plans_and_actions_name_declared_features() {
    refused(
        r##"
requires = "hd" => requires = "hdd"
    19: actions.photo.requires: no feature is called `hdd`; did you mean `hd`?
requires = "hd" => requires = "video"
    19: actions.photo.requires: no feature is called `video`; declare it as [features.video], or remove it here
hd = true, =>
    19: actions.photo.requires: no plan has the feature `hd`, so nobody could ever do this; give the feature to a plan, or remove requires
hd = true, => hd = false,
    19: actions.photo.requires: no plan has the feature `hd`, so nobody could ever do this; give the feature to a plan, or remove requires
messages = 10 => mesages = 10
    29: plans.paid.features.mesages: no feature is called `mesages`; did you mean `messages`?
messages = 10 => "two\u000Alines" = 10
    29: plans.paid.features."two\nlines": no feature is called `two\nlines`; declare it as [features.two\nlines], or remove it here
messages = 10 => calls = 10
    29: plans.paid.features.calls: no feature is called `calls`; declare it as [features.calls], or remove it here
"##,
    );
}

#[test]
fn what_a_plan_allows_fits_the_kind_of_the_feature() {
    refused(
        r##"
hd = true => hd = 1
    29: plans.paid.features.hd: must be true or false, as it is a flag, not 1; write hd = true
messages = 10 => messages = true
    29: plans.paid.features.messages: must be a number or "unlimited", as it is a meter, not true; write messages = 10, or "unlimited"
messages = 10 => messages = "unlimitd"
    29: plans.paid.features.messages: must be a number or "unlimited", as it is a meter, not "unlimitd"; write messages = 10, or "unlimited"
messages = 10 => messages = -1
    29: plans.paid.features.messages: must be from 0 to 9007199254740991, not -1; write messages = 10
"##,
    );
}

#[test]
fn a_kind_a_window_and_an_interval_have_known_names() {
    refused(
        r##"
kind = "flag" => kind = "falg"
    11: features.hd.kind: must be one of flag, gauge or meter, not "falg"; did you mean `flag`?
kind = "flag" => kind = "limit"
    11: features.hd.kind: must be one of flag, gauge or meter, not "limit"; write kind = "flag"
kind = "flag" => kind = true
    11: features.hd.kind: must be one of flag, gauge or meter, not true; write kind = "flag"
kind = "flag" => kind = "flag"\nwindow = "day"
    12: features.hd.window: only a meter has a window, not a flag; remove it, or write kind = "meter"
window = "day"\n =>
    12: features.messages.window: is missing; add window = "day"
window = "day" => window = "hour"
    15: features.messages.window: must be one of day, week, month or billing, not "hour"; write window = "day"
window = "day" => window = "day"\nzone = "Europe/Paris"
    16: features.messages.zone: windows turn at midnight UTC only; write zone = "UTC", or remove it
interval = "month" => interval = "monthly"
    27: plans.paid.prices[0].interval: must be one of week, month or year, not "monthly"; did you mean `month`?
interval = "month" => interval = "day"
    27: plans.paid.prices[0].interval: must be one of week, month or year, not "day"; write interval = "month"
every = "week" => every = "weekly"
    28: plans.paid.tokens.every: must be one of day, week, month or billing, not "weekly"; did you mean `week`?
"##,
    );
}

#[test]
fn one_plan_is_the_default_and_every_other_has_a_price() {
    refused(
        r##"
default = true\n =>
    20: plans.free: has no price; add prices = [{ interval = "month", price = "9.99" }], default = true, or a contact to ask for it
    20: plans: no plan is the default; add default = true to the plan of users without a subscription
default = true => default = "true"
    22: plans.free.default: must be true or false, not "true"; write default = true
level = 1 => level = 1\ndefault = "no"
    27: plans.paid.default: must be true or false, not "no"; write default = true
level = 1 => level = 1\ndefault = true
    27: plans.paid.default: `free` is the default plan already; remove one of the two
level = 0 => level = 0\nprices = [{ interval = "month", price = "1.00" }]
    24: plans.free.prices: the default plan is what users have without paying; remove prices, or default = true
prices = [{ interval = "month", price = "9.99" }]\n =>
    24: plans.paid: has no price; add prices = [{ interval = "month", price = "9.99" }], default = true, or a contact to ask for it
[{ interval = "month", price = "9.99" }] => []
    27: plans.paid.prices: has no price; write prices = [{ interval = "month", price = "9.99" }]
"##,
    );
}

#[test]
fn a_token_count_is_a_positive_number_that_javascript_can_read() {
    refused(
        r##"
min = 1, max = 9 => min = 10, max = 9
    18: actions.photo.tokens: min 10 is more than max 9; write { min = 9, max = 10 }
min = 1 => min = 0
    18: actions.photo.tokens.min: must be from 1 to 9007199254740991, not 0; write min = 10
min = 1, =>
    18: actions.photo.tokens.min: is missing; add min = 10
{ min = 1, max = 9 } => -5
    18: actions.photo.tokens: must be from 1 to 9007199254740991, not -5; write tokens = 5
{ min = 1, max = 9 } => 9007199254740992
    18: actions.photo.tokens: must be from 1 to 9007199254740991, not 9007199254740992; write tokens = 5
{ min = 1, max = 9 } => 5.5
    18: actions.photo.tokens: must be a whole number or { min = …, max = … }, not 5.5; write tokens = 5
{ min = 1, max = 9 } => "5"
    18: actions.photo.tokens: must be a number without quotes; write tokens = 5
count = 500 => count = 0
    28: plans.paid.tokens.count: must be from 1 to 9007199254740991, not 0; write count = 500
default = true => default = true\ntokens = { count = 9, every = "day" }
    23: plans.free.tokens: the default plan has no subscription whose weeks or months could be counted; remove tokens, or give them to a plan with a price
{ count = 500, every = "week" } => 500
    28: plans.paid.tokens: does not say how often; write tokens = { count = 500, every = "week" }
"9.99" }]\ntokens = { count = 500, every = "week" } => "9.99" }, { interval = "year", price = "99.00" }]\ntokens = { count = 500, every = "billing" }
    28: plans.paid.tokens: come with each invoice, be it for a month or a year; write every = "month", or make each interval a plan of its own
{ count = 500, every = "week" } => "unlimted"
    28: plans.paid.tokens: must be "unlimited" or { count = …, every = … }, not "unlimted"; write tokens = "unlimited"
tokens = 100 => tokens = 0
    32: packages.small.tokens: must be from 1 to 9007199254740991, not 0; write tokens = 100
tokens = 100 => tokens = 9007199254740991
    30: packages.small: tokens and bonus together are more than 9007199254740991; make them smaller
bonus = 10 => bonus = -1
    33: packages.small.bonus: must be from 0 to 9007199254740991, not -1; write bonus = 25
tokens = 100 => tokens = "100"
    32: packages.small.tokens: must be a number without quotes; write tokens = 100
"##,
    );
}

#[test]
fn a_plan_has_one_level_in_its_group_and_one_price_per_interval_and_currency() {
    refused(
        r##"
price = "9.99" }] => price = "9.99" }, { interval = "month", price = "8.99" }]
    27: plans.paid.prices[1]: a second price per month in eur; remove one of the two
"9.99" }] => "9.99", currency = "usd" }, { interval = "month", price = "8.99", currency = "USD" }]
    27: plans.paid.prices[1]: a second price per month in usd; remove one of the two
level = 1 => level = 0
    26: plans.paid.level: `free` of the same group has level 0 too; give the better plan a higher level, or another group
level = 1 => level = -1
    26: plans.paid.level: must be from 0 to 4294967295, not -1; write level = 1
level = 1\n =>
    24: plans.paid.level: is missing; add level = 1
"##,
    );
}

#[test]
fn a_plan_says_whether_it_outlives_a_full_refund() {
    let plan = |text: &str| Catalog::parse(text).unwrap().plans[&PlanId::parse("paid").unwrap()].on_refund;
    assert_eq!(plan(SHOP), OnRefund::Cancel);
    assert_eq!(plan(&changed("level = 1 => level = 1\\non_refund = \"cancel\"")), OnRefund::Cancel);
    assert_eq!(plan(&changed("level = 1 => level = 1\\non_refund = \"keep\"")), OnRefund::Keep);
    refused(
        r##"
level = 1 => level = 1\non_refund = "kepp"
    27: plans.paid.on_refund: must be one of cancel or keep, not "kepp"; did you mean `keep`?
level = 1 => level = 1\non_refund = true
    27: plans.paid.on_refund: must be one of cancel or keep, not true; write on_refund = "keep"
level = 0 => level = 0\non_refund = "keep"
    24: plans.free.on_refund: the default plan is never paid for, so nothing of it is refunded; remove on_refund
"##,
    );
}

#[test]
fn texts_are_filed_under_languages_and_say_something() {
    refused(
        r##"
level = 1\n => level = 1\ntexts.french.name = "Payant"\n
    27: plans.paid.texts.french: "french" is not a language; use its code, such as fr or pt-BR
level = 1\n => level = 1\ntexts.fr = {}\n
    27: plans.paid.texts.fr: says nothing; give it a name, a description or both, or remove it
"##,
    );
}

#[test]
fn a_feature_that_is_declared_wrongly_does_not_spoil_its_uses() {
    let text = SHOP.replace("kind = \"flag\"", "kind = 5");
    assert_eq!(mistakes(&text).0.len(), 1, "{}", mistakes(&text));
}

#[test]
fn what_is_left_out_has_its_plainest_meaning() {
    let catalog = Catalog::parse(&SHOP.replace("bonus = 10\n", "")).unwrap();
    let free = &catalog.plans[&PlanId::parse("free").unwrap()];
    let allows = |feature| free.features[&FeatureId::parse(feature).unwrap()];
    assert_eq!((allows("hd"), allows("messages")), (Allows::Flag(false), Allows::AtMost(0)));
    assert_eq!((free.group.as_str(), free.tokens), ("main", None));
    assert!(catalog.packages[&PackageId::parse("small").unwrap()].bonus.is_zero());
}
