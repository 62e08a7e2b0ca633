//! What a shop is told a change would cost, and what it then costs.

use serde_json::{Value, json};

use crate::stand::{DAY_MS, HOUR_MS, Stand, id, period};

const PREVIEW: &str = "/v1/invoices/create_preview";

/// Whatever is money on an invoice.
fn sums(invoice: &Value) -> Value {
    let lines = invoice["lines"]["data"].as_array().unwrap().iter();
    let lines: Vec<Value> = lines
        .map(|line| {
            let proration = &line["parent"]["subscription_item_details"]["proration"];
            json!([line["amount"], line["description"], line["period"], line["pricing"], proration])
        })
        .collect();
    let names = [
        "total",
        "subtotal",
        "total_discount_amounts",
        "total_taxes",
        "amount_due",
        "starting_balance",
        "currency",
        "billing_reason",
    ];
    let named: Vec<&Value> = names.iter().map(|name| &invoice[*name]).collect();
    json!({"lines": lines, "named": named})
}

async fn everything_stored(stand: &Stand) -> Vec<Value> {
    let mut all = Vec::new();
    for list in ["events", "invoices", "payment_intents", "prices", "products", "subscriptions", "customers"]
    {
        all.push(stand.get(&format!("/v1/{list}?limit=100")).await["data"].clone());
    }
    all
}

#[tokio::test]
async fn a_preview_is_what_the_change_then_bills_at_any_moment() {
    let stand = Stand::start().await;
    let plans = plans(&stand).await;
    let subscription = stand.subscribe(&plans[0], "").await;
    changes_cost_what_was_previewed(&stand, &plans, &subscription, 7).await;
}

#[tokio::test]
async fn a_preview_is_right_with_discounts_and_tax_as_well() {
    let stand = Stand::start().await;
    let plans = plans(&stand).await;
    let customer = stand.post("/v1/customers", "address[country]=DE").await;
    stand.post("/v1/coupons", "id=THIRD&percent_off=33.33&duration=forever").await;
    let more = format!("&customer={}&automatic_tax[enabled]=true&discounts[0][coupon]=THIRD", id(&customer));
    let subscription = stand.subscribe(&plans[0], &more).await;
    changes_cost_what_was_previewed(&stand, &plans, &subscription, 8).await;
}

async fn plans(stand: &Stand) -> Vec<String> {
    let mut plans = Vec::new();
    for (name, amount, interval) in
        [("S", 700, "week"), ("M", 1399, "week"), ("L", 9999, "month"), ("XL", 50_001, "year")]
    {
        plans.push(stand.plan(name, amount, interval).await);
    }
    plans
}

/// Random changes at random moments, each previewed before.
async fn changes_cost_what_was_previewed(stand: &Stand, plans: &[String], subscription: &Value, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let path = format!("/v1/subscriptions/{}", id(subscription));
    let item = id(&subscription["items"]["data"][0]).to_owned();
    let mut billed_at_once = 0;
    for round in 0..40 {
        stand.live(random.i64(1000..3 * DAY_MS)).await;
        let behavior = random.choice(["always_invoice", "create_prorations", "none"]).unwrap();
        let mut fields = vec![
            ("items", "[0][id]", item.clone()),
            ("items", "[0][price]", random.choice(plans).unwrap().clone()),
            ("items", "[0][quantity]", random.u8(1..4).to_string()),
            ("proration_behavior", "", behavior.to_owned()),
        ];
        if behavior != "none" {
            fields.push(("proration_date", "", stand.now().to_string()));
        }
        let form = |field: &dyn Fn(&str) -> String| -> String {
            let fields = fields.iter().map(|(name, rest, value)| format!("&{}{rest}={value}", field(name)));
            fields.collect()
        };
        let details = form(&|name| format!("subscription_details[{name}]"));
        let preview = format!("subscription={}{details}", id(subscription));
        let looks = round % 8 == 0;
        let before = if looks { everything_stored(stand).await } else { Vec::new() };
        let told = stand.post(PREVIEW, &preview).await;
        if looks {
            assert_eq!(everything_stored(stand).await, before, "round {round} left something behind");
        }

        stand.advance(random.i64(0..5) * 1000);
        let change = form(&str::to_owned);
        let owed = stand.get(&path).await["latest_invoice"].clone();
        let changed = stand.post(&path, &change).await;
        let at_once = changed["latest_invoice"] != owed;
        billed_at_once += i64::from(at_once);
        if !at_once {
            stand.live((period(&changed).1 - stand.now()) * 1000).await;
        }
        let billed = &stand.invoices(id(subscription)).await[0];
        let (mut told, mut came) = (sums(&told), sums(billed));
        if !at_once {
            // A draft learns of the balance when it is finalised.
            stand.live(HOUR_MS).await;
            came = sums(&stand.invoices(id(subscription)).await[0]);
        } else if told["lines"] != came["lines"] {
            // The seconds in between are in no amount, but in when a period of its own begins.
            for invoice in [&mut told, &mut came] {
                for line in invoice["lines"].as_array_mut().unwrap() {
                    line[2] = Value::Null;
                }
            }
        }
        assert_eq!(told, came, "round {round}: {change}");
    }
    assert!((10..36).contains(&billed_at_once), "{billed_at_once} were billed at once");
}

#[tokio::test]
async fn an_unchanged_subscription_has_an_upcoming_invoice() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 299, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let upcoming = stand.post(PREVIEW, &format!("subscription={}", id(&bought))).await;
    assert!(id(&upcoming).starts_with("upcoming_in_"), "{upcoming}");
    assert_eq!((&upcoming["status"], &upcoming["number"]), (&json!("draft"), &json!(null)));
    assert_eq!((&upcoming["amount_due"], &upcoming["amount_paid"]), (&json!(299), &json!(0)));
    assert_eq!(upcoming["created"], period(&bought).1);
    assert_eq!(upcoming["billing_reason"], "subscription_cycle");
    assert_eq!(stand.try_get(&format!("/v1/invoices/{}", id(&upcoming))).await.status, 404);
    let customer = bought["customer"].as_str().unwrap();
    let both = format!("subscription={}&customer={customer}", id(&bought));
    assert_eq!(stand.post(PREVIEW, &both).await["amount_due"], 299);
}

#[tokio::test]
async fn a_new_subscription_is_previewed_without_a_card() {
    let stand = Stand::start().await;
    let price = stand.plan("Premium", 999, "month").await;
    let customer = id(&stand.post("/v1/customers", "").await).to_owned();
    let form = format!(
        "customer={customer}&subscription_details[items][0][price]={price}\
         &subscription_details[items][0][quantity]=3"
    );
    let seen = stand.event_types().await.len();
    let first = stand.post(PREVIEW, &form).await;
    assert_eq!(
        (&first["amount_due"], &first["billing_reason"]),
        (&json!(2997), &json!("subscription_create"))
    );
    let trial = format!("{form}&subscription_details[trial_end]={}", stand.now() + 7 * 86_400);
    assert_eq!(stand.post(PREVIEW, &trial).await["amount_due"], 0);
    assert_eq!(stand.event_types().await.len(), seen);
    assert_eq!(stand.get("/v1/subscriptions?status=all").await["data"], json!([]));
}

#[tokio::test]
async fn canceling_now_is_previewed_as_what_is_given_back() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 700, "week").await;
    let bought = stand.subscribe(&price, "").await;
    stand.live(2 * DAY_MS).await;
    let form = format!("subscription={}&subscription_details[cancel_now]=true", id(&bought));
    let told = stand.post(PREVIEW, &form).await;
    assert_eq!((&told["total"], &told["amount_due"]), (&json!(-500), &json!(0)));
    let path = format!("/v1/subscriptions/{}?prorate=true&invoice_now=true", id(&bought));
    stand.delete(&path).await;
    let last = &stand.invoices(id(&bought)).await[0];
    assert_eq!(sums(&told), sums(last));
    let customer = stand.get(&format!("/v1/customers/{}", bought["customer"].as_str().unwrap())).await;
    assert_eq!(customer["balance"], -500);
}

#[tokio::test]
async fn where_nothing_is_coming_the_preview_says_so() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 700, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let ours = format!("subscription={}", id(&bought));
    let leaving = format!("{ours}&subscription_details[cancel_at_period_end]=true");
    for form in [&leaving, &format!("{ours}&subscription_details[cancel_at]={}", stand.now() + 86_400)] {
        let none = stand.try_post(PREVIEW, form, &[]).await;
        assert_eq!((none.status, &none.error()["code"]), (404, &json!("invoice_upcoming_none")), "{form}");
    }
    stand.delete(&format!("/v1/subscriptions/{}", id(&bought))).await;
    assert_eq!(stand.try_post(PREVIEW, &ours, &[]).await.error()["code"], "invoice_upcoming_none");
}

#[tokio::test]
async fn a_preview_refuses_what_it_cannot_tell() {
    let stand = Stand::start().await;
    let price = stand.plan("Weekly", 700, "week").await;
    let bought = stand.subscribe(&price, "").await;
    let ours = format!("subscription={}", id(&bought));
    let item = id(&bought["items"]["data"][0]);
    let early = format!(
        "{ours}&subscription_details[items][0][id]={item}&subscription_details[proration_date]={}",
        stand.now() - 1
    );
    let unprorated = format!(
        "{ours}&subscription_details[proration_behavior]=none&subscription_details[proration_date]={}",
        stand.now()
    );
    for (form, param) in [
        ("subscription=sub_none", "subscription"),
        ("customer=cus_none", "customer"),
        (&format!("{ours}&schedule=sub_sched_1"), "schedule"),
        (&format!("{ours}&colour=red"), "colour"),
        (&format!("{ours}&subscription_details[colour]=red"), "subscription_details[colour]"),
        (&early, "subscription_details[proration_date]"),
        (&unprorated, "subscription_details[proration_date]"),
    ] {
        let refused = stand.try_post(PREVIEW, form, &[]).await;
        assert_eq!((refused.status, &refused.error()["param"]), (400, &json!(param)), "{form}");
    }
    let alone = format!("customer={}", bought["customer"].as_str().unwrap());
    let nothing = stand.try_post(PREVIEW, &alone, &[]).await;
    assert!(nothing.error()["message"].as_str().unwrap().starts_with("You must provide at least one of"));
}

#[tokio::test]
async fn a_proration_date_fixes_what_a_later_change_costs() {
    let stand = Stand::start().await;
    let (small, large) = (stand.plan("Small", 700, "week").await, stand.plan("Large", 1400, "week").await);
    let bought = stand.subscribe(&small, "").await;
    let path = format!("/v1/subscriptions/{}", id(&bought));
    let form = format!(
        "items[0][id]={}&items[0][price]={large}&proration_behavior=always_invoice",
        id(&bought["items"]["data"][0])
    );
    stand.live(2 * DAY_MS).await;
    let agreed = stand.now();
    stand.live(DAY_MS).await;
    for outside in [period(&bought).0 - 1, period(&bought).1 + 1] {
        let refused = stand.try_post(&path, &format!("{form}&proration_date={outside}"), &[]).await;
        assert_eq!(refused.error()["param"], "proration_date");
    }
    let changed = stand.post(&path, &format!("{form}&proration_date={agreed}&expand[]=latest_invoice")).await;
    let invoice = &changed["latest_invoice"];
    assert_eq!(invoice["amount_paid"], 500, "for five days, though only four are left");
    assert_eq!(invoice["lines"]["data"][0]["period"]["start"], agreed);
}
