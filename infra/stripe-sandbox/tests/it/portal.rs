//! The customer portal, by its page's own forms.

mod customers;
mod flows;
mod leaving;
mod plans;

use serde_json::{Value, json};

use crate::stand::{Answer, MINUTE_MS, Stand, id, period};

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];
const EVERYTHING: &str = "features[customer_update][enabled]=true\
     &features[customer_update][allowed_updates][0]=email&features[customer_update][allowed_updates][1]=address\
     &features[invoice_history][enabled]=true&features[payment_method_update][enabled]=true\
     &features[subscription_cancel][enabled]=true\
     &features[subscription_cancel][cancellation_reason][enabled]=true\
     &features[subscription_cancel][cancellation_reason][options][0]=too_expensive";

/// A customer with a subscription, a second plan, and a portal that lets them do everything.
struct Desk {
    stand: Stand,
    small: String,
    large: String,
    subscription: Value,
    configuration: Value,
}

impl Desk {
    async fn open(more: &str) -> Self {
        let stand = Stand::start().await;
        let small = stand.plan("Small", 700, "month").await;
        let large = stand.plan("Large", 1400, "month").await;
        let mut form = EVERYTHING.to_owned();
        form += "&features[subscription_update][enabled]=true\
                 &features[subscription_update][default_allowed_updates][0]=price\
                 &features[subscription_update][default_allowed_updates][1]=quantity\
                 &features[subscription_update][proration_behavior]=always_invoice";
        for (index, price) in [&small, &large].into_iter().enumerate() {
            let product = stand.get(&format!("/v1/prices/{price}")).await["product"].clone();
            let product = product.as_str().unwrap();
            form += &format!(
                "&features[subscription_update][products][{index}][product]={product}\
                 &features[subscription_update][products][{index}][prices][0]={price}"
            );
        }
        let configuration = stand.post("/v1/billing_portal/configurations", &format!("{form}{more}")).await;
        let subscription = stand.subscribe(&small, "").await;
        Self { stand, small, large, subscription, configuration }
    }

    fn customer(&self) -> &str {
        self.subscription["customer"].as_str().unwrap()
    }

    async fn session(&self, more: &str) -> Value {
        let form = format!(
            "customer={}&configuration={}&return_url=https://shop.test/account{more}",
            self.customer(),
            id(&self.configuration)
        );
        self.stand.post("/v1/billing_portal/sessions", &form).await
    }

    async fn show(&self, session: &Value) -> Answer {
        self.stand.send("GET", session["url"].as_str().unwrap(), &[], "").await
    }

    async fn try_to(&self, deed: &str, form: &str) -> Answer {
        let session = self.session("").await;
        self.press(&session, deed, form).await
    }

    async fn press(&self, session: &Value, deed: &str, form: &str) -> Answer {
        let subscription = id(&self.subscription);
        let form = match deed {
            "card" | "details" => form.to_owned(),
            _ => format!("subscription={subscription}&{form}"),
        };
        let url = format!("{}/{deed}", session["url"].as_str().unwrap());
        self.stand.send("POST", &url, &FORM, &form).await
    }

    async fn done(&self, deed: &str, form: &str) -> Value {
        let answer = self.try_to(deed, form).await;
        assert_eq!(answer.status, 303, "{:?}", alert(&answer.text));
        self.stand.subscription(id(&self.subscription)).await
    }
}

/// What a page says went wrong.
fn alert(page: &str) -> Option<&str> {
    page.split_once("role=\"alert\">")?.1.split_once("</p>").map(|(alert, _)| alert)
}

#[tokio::test]
async fn a_configuration_tells_what_it_allows_and_its_products_when_asked() {
    let desk = Desk::open("&metadata[catalog]=7&default_return_url=https://shop.test/home").await;
    let stand = &desk.stand;
    let path = format!("/v1/billing_portal/configurations/{}", id(&desk.configuration));
    let shown = stand.get(&path).await;
    assert_eq!(shown, desk.configuration);
    assert_eq!(shown["features"]["subscription_cancel"]["mode"], "at_period_end");
    assert_eq!(shown["features"]["subscription_update"].get("products"), None);
    let whole = stand.get(&format!("{path}?expand[]=features.subscription_update.products")).await;
    let products = &whole["features"]["subscription_update"]["products"];
    assert_eq!(products[1]["prices"], json!([desk.large]));
    assert_eq!(products[1]["adjustable_quantity"], json!({"enabled": true, "maximum": null, "minimum": 1}));

    let changed = stand.post(&path, "features[subscription_cancel][enabled]=false&name=Staff").await;
    assert_eq!(changed["features"]["subscription_cancel"]["enabled"], false);
    assert_eq!(changed["features"]["subscription_cancel"]["cancellation_reason"]["enabled"], true);
    assert_eq!((&changed["name"], &changed["metadata"]["catalog"]), (&json!("Staff"), &json!("7")));
    stand.post(&path, "active=false").await;
    let active = stand.get("/v1/billing_portal/configurations?active=true").await;
    assert_eq!(active["data"], json!([]));
    let form = format!("customer={}&configuration={}", desk.customer(), id(&desk.configuration));
    let refused = stand.try_post("/v1/billing_portal/sessions", &form, &[]).await;
    assert_eq!((refused.status, &refused.error()["param"]), (400, &json!("configuration")));
    let events = stand.event_types().await;
    let of_it = events.iter().filter(|event| event.starts_with("billing_portal.configuration."));
    assert_eq!(of_it.count(), 3);
}

#[tokio::test]
async fn a_configuration_that_could_not_work_is_refused() {
    let desk = Desk::open("").await;
    let product = desk.stand.get(&format!("/v1/prices/{}", desk.small)).await["product"].clone();
    let product = product.as_str().unwrap();
    let update = "features[subscription_update]";
    let refused = [
        (String::new(), "features"),
        ("features[invoice_history][x]=1".into(), "features[invoice_history][enabled]"),
        (format!("{update}[enabled]=true"), "features[subscription_update][default_allowed_updates]"),
        (
            format!("{update}[enabled]=true&{update}[default_allowed_updates][]=price"),
            "features[subscription_update][products]",
        ),
        (
            format!(
                "{update}[enabled]=false&{update}[products][0][product]={product}\
                 &{update}[products][0][prices][0]={}",
                desk.large
            ),
            "features[subscription_update][products][0][prices]",
        ),
        (
            "features[subscription_cancel][enabled]=true\
             &features[subscription_cancel][proration_behavior]=create_prorations"
                .into(),
            "features[subscription_cancel][proration_behavior]",
        ),
        (
            "features[subscription_cancel][enabled]=true&features[subscription_cancel][mode]=immediately\
             &features[subscription_cancel][proration_behavior]=always_invoice"
                .into(),
            "features[subscription_cancel][proration_behavior]",
        ),
        ("features[invoice_history][enabled]=true&login_page[enabled]=true".into(), "login_page[enabled]"),
        ("features[invoice_history][enabled]=true&is_default=true".into(), "is_default"),
    ];
    for (form, param) in refused {
        let answer = desk.stand.try_post("/v1/billing_portal/configurations", &form, &[]).await;
        assert_eq!((answer.status, &answer.error()["param"]), (400, &json!(param)), "{form}");
    }
}

#[tokio::test]
async fn without_a_configuration_a_session_takes_the_default_once_that_was_saved() {
    let stand = Stand::start().await;
    let customer = stand.post("/v1/customers", "email=a@b.test").await;
    let form = format!("customer={}", id(&customer));
    let refused = stand.try_post("/v1/billing_portal/sessions", &form, &[]).await;
    assert!(refused.error()["message"].as_str().unwrap().starts_with("No configuration provided"));

    let saved = stand.shopper("/_sandbox/portal/default", "").await.json();
    assert_eq!(stand.shopper("/_sandbox/portal/default", "").await.json(), saved, "once is enough");
    assert_eq!(saved["is_default"], true);
    let session = stand.post("/v1/billing_portal/sessions", &form).await;
    assert_eq!((&session["configuration"], &session["flow"]), (&saved["id"], &Value::Null));
    let path = format!("/v1/billing_portal/configurations/{}", id(&saved));
    assert_eq!(stand.try_post(&path, "active=false", &[]).await.status, 400);
    let entered = stand.shopper(&format!("/_sandbox/customers/{}/portal", id(&customer)), "").await;
    assert_eq!(entered.status, 303);
    assert_eq!(stand.send("GET", entered.header("location"), &[], "").await.status, 200);
}

#[tokio::test]
async fn the_page_shows_subscriptions_cards_invoices_and_the_way_back() {
    let desk = Desk::open("&business_profile[headline]=Hello%20%3Cthere%3E").await;
    let session = desk.session("").await;
    let shown = desk.show(&session).await;
    assert_eq!(shown.status, 200);
    let (_, end) = period(&desk.subscription);
    let renews = jiff::Timestamp::from_second(end).unwrap().strftime("Renews on %F").to_string();
    for text in [
        "Hello &lt;there&gt;",
        "https://shop.test/account",
        "<h3>Small</h3>",
        "7.00 EUR / month",
        "14.00 EUR / month",
        &renews,
        "visa •••• 4242",
        "/i/in_",
        "too expensive",
    ] {
        assert!(shown.text.contains(text), "{text} is missing from {}", shown.text);
    }
    assert!(!shown.text.contains("_secret_") && !shown.text.contains("sk_test"));
    let events = desk.stand.event_types().await;
    assert_eq!(events.last().unwrap(), "billing_portal.session.created");
}

#[tokio::test]
async fn a_feature_that_is_off_does_nothing() {
    let stand = Stand::start().await;
    let price = stand.plan("Small", 700, "month").await;
    let subscription = stand.subscribe(&price, "").await;
    let configuration =
        stand.post("/v1/billing_portal/configurations", "features[invoice_history][enabled]=true").await;
    let form = format!(
        "customer={}&configuration={}",
        subscription["customer"].as_str().unwrap(),
        id(&configuration)
    );
    let session = stand.post("/v1/billing_portal/sessions", &form).await;
    let url = session["url"].as_str().unwrap();
    for (deed, form) in [
        ("cancel", format!("subscription={}", id(&subscription))),
        ("switch", format!("subscription={}&price={price}", id(&subscription))),
        ("card", "card=4242424242424242".into()),
        ("details", "email=b@b.test".into()),
    ] {
        let refused = stand.send("POST", &format!("{url}/{deed}"), &FORM, &form).await;
        assert_eq!(refused.status, 400, "{deed}");
        assert!(refused.text.contains("is disabled in this portal"), "{deed}");
    }
    let shown = stand.send("GET", url, &[], "").await.text;
    assert!(!shown.contains("<form"), "{shown}");
}

#[tokio::test]
async fn a_link_into_the_portal_is_short_lived() {
    let desk = Desk::open("").await;
    let (early, late) = (desk.session("").await, desk.session("").await);
    desk.stand.advance(4 * MINUTE_MS);
    assert_eq!(desk.show(&early).await.status, 200);
    desk.stand.advance(59 * MINUTE_MS);
    assert_eq!(desk.show(&early).await.status, 200, "it is good for an hour after a visit");
    let gone = desk.show(&late).await;
    assert_eq!(gone.status, 410);
    assert!(gone.text.contains("https://shop.test/account"));
    assert_eq!(desk.press(&late, "cancel", "").await.status, 410);
    assert_eq!(desk.stand.subscription(id(&desk.subscription)).await["cancel_at"], Value::Null);
    assert_eq!(desk.stand.send("GET", "/p/session/bps_none", &[], "").await.status, 404);
}
