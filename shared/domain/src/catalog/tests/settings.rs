//! How checkout and subscriptions are set up, and what is wrong with it.

use super::{SHOP, changed, plan, read, refused};
use crate::access::Access;
use crate::catalog::{Proration, SecondPaid, SubscriptionPolicy, Trial, When};
use crate::money::Tokens;
use crate::time::{DAY_MS, HOUR_MS};

/// [`SHOP`] with a line more of its paid plan.
fn paid_with(line: &str) -> crate::catalog::Plan {
    plan(&read(&changed(&format!("level = 1 => level = 1\\n{line}"))), "paid").clone()
}

#[test]
fn a_checkout_that_says_no_more_offers_what_stripe_does_and_asks_for_nothing() {
    let checkout = read(SHOP).checkout;
    assert!(checkout.payment_methods.is_empty());
    assert!(!checkout.automatic_tax && !checkout.collect_address && !checkout.promotion_codes);
}

#[test]
fn tax_asks_for_an_address_and_an_address_does_not_ask_for_tax() {
    let checkout = |line: &str| read(&changed(&format!("[checkout] => [checkout]\\n{line}"))).checkout;
    let taxed = checkout("automatic_tax = true");
    assert!(taxed.automatic_tax && taxed.collect_address);
    let asked = checkout("collect_address = true");
    assert!(asked.collect_address && !asked.automatic_tax);
    assert!(checkout("promotion_codes = true").promotion_codes);
    refused(
        r##"
[checkout] => [checkout]\nautomatic_tax = true\ncollect_address = false
    7: checkout.collect_address: must not be false beside automatic_tax, which goes by the buyer's address; write collect_address = true, or remove it
[checkout] => [checkout]\nautomatic_tax = "yes"
    6: checkout.automatic_tax: must be true or false, not "yes"; write automatic_tax = true
[checkout] => [checkout]\npromotions = true
    6: checkout.promotions: unknown key; did you mean `promotion_codes`?
"##,
    );
}

#[test]
fn ways_to_pay_are_named_in_stripes_words() {
    refused(
        r##"
[checkout] => [checkout]\npayment_methods = ["card", "sepa"]
    6: checkout.payment_methods[1]: Stripe knows no way to pay called "sepa"; did you mean `sepa_debit`?
[checkout] => [checkout]\npayment_methods = ["ach"]
    6: checkout.payment_methods[0]: Stripe knows no way to pay called "ach"; did you mean `us_bank_account`?
[checkout] => [checkout]\npayment_methods = ["cash on delivery"]
    6: checkout.payment_methods[0]: Stripe knows no way to pay called "cash on delivery"; write "card", or another of Stripe's payment method types
[checkout] => [checkout]\npayment_methods = ["card", "ideal", "card"]
    6: checkout.payment_methods[2]: lists "card" twice; remove one of the two
[checkout] => [checkout]\npayment_methods = []
    6: checkout.payment_methods: names no way to pay; write payment_methods = ["card"], or remove it for all that the Stripe account offers
[checkout] => [checkout]\npayment_methods = "card"
    6: checkout.payment_methods: must be a list in [brackets], not "card"; write payment_methods = ["card"]
[checkout] => [checkout]\npayment_methods = ["us_bank_account", "swish"]
    6: checkout.payment_methods: nothing of it can be paid with in eur; add "card", or remove it for all that the Stripe account offers in eur
"##,
    );
}

#[test]
fn subscriptions_change_as_the_catalog_says() {
    let usual = SubscriptionPolicy::default();
    assert_eq!(read(SHOP).subscriptions, usual);
    assert_eq!(read(&changed("[checkout] => [subscriptions]\\n[checkout]")).subscriptions, usual);
    let text = r#"
[subscriptions]
upgrade = "period_end"
upgrade_tokens = "wait"
downgrade = "now"
proration = "next_invoice"
second = "flag"
renewal_grace = "36h"
access = { past_due = false, unpaid = true, paused = true }
"#;
    let read = read(&[SHOP, text].concat()).subscriptions;
    assert_eq!((read.upgrade.when, read.upgrade.tokens_wait), (When::PeriodEnd, true));
    assert_eq!((read.downgrade.when, read.proration), (When::Now, Proration::NextInvoice));
    assert_eq!(read.second, SecondPaid::Flag);
    let access = Access { past_due: false, unpaid: true, paused: true, renewal_grace_ms: 36 * HOUR_MS };
    assert_eq!(read.access, access);
}

#[test]
fn what_is_said_of_access_leaves_the_rest_as_it_is() {
    let access = |lines: &str| {
        read(&changed(&format!("[checkout] => [subscriptions.access]\\n{lines}\\n[checkout]")))
            .subscriptions
            .access
    };
    let usual = Access::default();
    assert_eq!(access("unpaid = true"), Access { unpaid: true, ..usual });
    assert_eq!(access("past_due = true"), usual);
    for (grace, ms) in [("1h", HOUR_MS), ("3d", 3 * DAY_MS), ("30d", 30 * DAY_MS)] {
        let change = format!("[checkout] => [subscriptions]\\nrenewal_grace = \"{grace}\"\\n[checkout]");
        assert_eq!(read(&changed(&change)).subscriptions.access, Access { renewal_grace_ms: ms, ..usual });
    }
}

#[test]
fn what_is_wrong_with_subscriptions_is_refused() {
    refused(
        r##"
[checkout] => [subscriptions]\nupgrade = "later"\n[checkout]
    6: subscriptions.upgrade: must be one of now or period_end, not "later"; write upgrade = "now"
[checkout] => [subscriptions]\ndowngrade = "periodend"\n[checkout]
    6: subscriptions.downgrade: must be one of now or period_end, not "periodend"; did you mean `period_end`?
[checkout] => [subscriptions]\nproration = "atonce"\n[checkout]
    6: subscriptions.proration: must be one of at_once, next_invoice or none, not "atonce"; did you mean `at_once`?
[checkout] => [subscriptions]\nupgrade_tokens = true\n[checkout]
    6: subscriptions.upgrade_tokens: must be one of top_up or wait, not true; write upgrade_tokens = "top_up"
[checkout] => [subscriptions]\nsecond = "keep"\n[checkout]
    6: subscriptions.second: must be one of refund or flag, not "keep"; write second = "refund"
[checkout] => [subscriptions]\nrenewal_grace = 3\n[checkout]
    6: subscriptions.renewal_grace: must be text in quotes, not 3; write renewal_grace = "3d"
[checkout] => [subscriptions]\nrenewal_grace = "3 days"\n[checkout]
    6: subscriptions.renewal_grace: must be a time such as "36h" or "3d", not "3 days"; write renewal_grace = "3d"
[checkout] => [subscriptions]\nrenewal_grace = "59m"\n[checkout]
    6: subscriptions.renewal_grace: must be from 1h to 30d, not "59m"; write renewal_grace = "3d"
[checkout] => [subscriptions]\nrenewal_grace = "31d"\n[checkout]
    6: subscriptions.renewal_grace: must be from 1h to 30d, not "31d"; write renewal_grace = "3d"
[checkout] => [subscriptions]\naccess = ["past_due"]\n[checkout]
    6: subscriptions.access: must be a table, not a list; write [subscriptions.access]
[checkout] => [subscriptions.access]\npast_due = "yes"\npausd = true\n[checkout]
    6: subscriptions.access.past_due: must be true or false, not "yes"; write past_due = true
    7: subscriptions.access.pausd: unknown key; did you mean `paused`?
[checkout] => [subscription]\n[checkout]
    5: subscription: unknown key; did you mean `subscriptions`?
[product] => subscriptions = "now"\n[product]
    1: subscriptions: must be a table, not "now"; write [subscriptions]
"##,
    );
}

#[test]
fn a_trial_is_as_long_as_its_days_unless_more_may_be_asked_for() {
    let trial = |text: &str| paid_with(&format!("trial = {text}")).trial.unwrap();
    let week = Trial { days: 7, most_days: 7, tokens: Tokens::ZERO, needs_method: true };
    assert_eq!(paid_with("").trial, None);
    assert_eq!(trial("{ days = 7 }"), week);
    assert_eq!(trial("{ days = 1, most_days = 730 }"), Trial { days: 1, most_days: 730, ..week });
    let tokens = Tokens::new(100).unwrap();
    let given = trial("{ days = 7, most_days = 14, tokens = 100, needs_payment_method = false }");
    assert_eq!(given, Trial { days: 7, most_days: 14, tokens, needs_method: false });
}

#[test]
fn what_is_wrong_with_a_trial_is_refused() {
    refused(
        r##"
level = 1 => level = 1\ntrial = { most_days = 14 }
    27: plans.paid.trial.days: is missing; add days = 14
level = 1 => level = 1\ntrial = 14
    27: plans.paid.trial: must be a table; write trial = { days = 14 }
level = 1 => level = 1\ntrial = true
    27: plans.paid.trial: must be { days = … }, not true; write trial = { days = 14 }
level = 1 => level = 1\ntrial = { days = 0 }
    27: plans.paid.trial.days: must be from 1 to 730, not 0; write days = 14
level = 1 => level = 1\ntrial = { days = 731 }
    27: plans.paid.trial.days: must be from 1 to 730, not 731; write days = 14
level = 1 => level = 1\ntrial = { days = 7, most_days = 5 }
    27: plans.paid.trial.most_days: must not be less than days, which is 7; write most_days = 7, or remove it
level = 1 => level = 1\ntrial = { days = 7, tokens = -1 }
    27: plans.paid.trial.tokens: must be from 0 to 9007199254740991, not -1; write tokens = 100
level = 1 => level = 1\ntrial = { days = 7, need_payment_method = false }
    27: plans.paid.trial.need_payment_method: unknown key; did you mean `needs_payment_method`?
tokens = { count = 500, every = "week" } => trial = { days = 7, tokens = 10 }
    28: plans.paid.trial.tokens: the plan brings no tokens, so its trial has none; remove it, or give the plan tokens = { count = …, every = … }
{ count = 500, every = "week" } => "unlimited"\ntrial = { days = 7, tokens = 10 }
    29: plans.paid.trial.tokens: the plan's tokens are unlimited, in its trial too; remove it, or give the plan tokens = { count = …, every = … }
{ count = 500, every = "week" } => 500\ntrial = { days = 7, tokens = 10 }
    28: plans.paid.tokens: does not say how often; write tokens = { count = 500, every = "week" }
level = 0 => level = 0\ntrial = { days = 7 }
    24: plans.free.trial: the default plan is never paid for, so there is nothing to try; remove trial
"##,
    );
}

#[test]
fn a_plan_is_sold_by_the_seat_up_to_some() {
    assert_eq!([paid_with("").seats, paid_with("seats = 2").seats], [None, Some(2)]);
    assert_eq!(paid_with("seats = 10000").seats, Some(10_000));
    refused(
        r##"
level = 1 => level = 1\nseats = 1
    27: plans.paid.seats: must be from 2 to 10000, not 1; write seats = 50
level = 1 => level = 1\nseats = 10001
    27: plans.paid.seats: must be from 2 to 10000, not 10001; write seats = 50
level = 1 => level = 1\nseats = "50"
    27: plans.paid.seats: must be a number without quotes; write seats = 50
count = 500, every = "week" } => count = 9007199254740, every = "week" }\nseats = 10000
    29: plans.paid.seats: the tokens of all seats are more than 9007199254740991; write fewer seats
level = 0 => level = 0\nseats = 50
    24: plans.free.seats: the default plan is never paid for, so there are no seats to pay for; remove seats
"##,
    );
}

#[test]
fn a_plan_without_a_price_names_whom_to_ask() {
    let price = r#"prices = [{ interval = "month", price = "9.99" }]"#;
    for contact in ["sales@app.example", "https://app.example/contact?plan=paid"] {
        let catalog = read(&changed(&format!("{price} => contact = \"{contact}\"")));
        let paid = plan(&catalog, "paid");
        assert_eq!((paid.contact.as_deref(), paid.prices.len()), (Some(contact), 0));
        assert_eq!(catalog.plan_items().count(), 0);
    }
    assert_eq!(plan(&read(SHOP), "paid").contact, None);
}

#[test]
fn what_is_wrong_with_a_contact_is_refused() {
    refused(
        r##"
prices = [{ interval = "month", price = "9.99" }] => contact = "our sales team"
    27: plans.paid.contact: must be a mail address, or a web address with https://, not "our sales team"; write contact = "sales@app.example"
prices = [{ interval = "month", price = "9.99" }] => contact = "mailto:sales@app.example"
    27: plans.paid.contact: must be a mail address, or a web address with https://, not "mailto:sales@app.example"; write contact = "sales@app.example"
prices = [{ interval = "month", price = "9.99" }] => contact = "http://app.example"
    27: plans.paid.contact: "http://app.example" must start with https://; use https:// (http:// is for localhost and 127.0.0.1 only)
prices = [{ interval = "month", price = "9.99" }] => contact = true
    27: plans.paid.contact: must be text in quotes, not true; write contact = "sales@app.example"
level = 1 => level = 1\ncontact = "sales@app.example"
    28: plans.paid.prices: what a plan with a contact costs is agreed on with who asks for it; remove prices, or contact
level = 0 => level = 0\ncontact = "sales@app.example"
    24: plans.free.contact: the default plan is had without asking; remove contact, or default = true
prices = [{ interval = "month", price = "9.99" }] => contact = "sales@app.example"\ntrial = { days = 7 }\nseats = 9\non_refund = "keep"
    28: plans.paid.trial: a plan with a contact is not sold here, so there is nothing to try; remove trial
    29: plans.paid.seats: a plan with a contact is not sold here, so there are no seats to pay for; remove seats
    30: plans.paid.on_refund: a plan with a contact is not sold here, so nothing of it is refunded; remove on_refund
"##,
    );
}
