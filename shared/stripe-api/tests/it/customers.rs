//! What a customer leaves, sees and changes: ways to pay, an address, invoices, and Stripe's page for all of it.

use domain::ids::{CustomerId, InvoiceId, PaymentMethodId, SetupId};
use domain::payment::Envelope;
use domain::subscription::Period;
use serde_json::{Value, json};
use stripe_api::{Billing, BillingAddress, PortalFlow, SetupOrder, SetupStatus};

use crate::changes::{REFUSED, stripe};
use crate::subscriptions::{END, MISSING, START, at, euros, invoice, line};
use crate::wire::{Step, Wire};

fn ada() -> CustomerId {
    CustomerId::parse("cus_1").unwrap()
}

fn pm(id: &str) -> PaymentMethodId {
    PaymentMethodId::parse(id).unwrap()
}

fn customer(changes: Value) -> Value {
    let mut customer = json!({"id": "cus_1", "object": "customer", "created": 1, "livemode": false,
        "invoice_settings": {"default_payment_method": "pm_card"}});
    for (name, value) in changes.as_object().unwrap() {
        customer[name] = value.clone();
    }
    customer
}

fn method(id: &str, kind: &str, details: Value, customer: Value) -> Value {
    let mut method = json!({
        "id": id, "object": "payment_method", "billing_details": {}, "created": START, "customer": customer,
        "livemode": false, "type": kind,
    });
    method[kind] = details;
    method
}

fn card(customer: Value) -> Value {
    let details = json!({"brand": "visa", "exp_month": 4, "exp_year": 2030, "fingerprint": "print_card",
        "funding": "credit", "last4": "4242"});
    method("pm_card", "card", details, customer)
}

fn ok(object: &Value) -> Step {
    Step::ok(object.to_string())
}

#[tokio::test]
async fn every_way_to_pay_is_told_by_what_its_owner_knows_it_by() {
    let sepa = json!({"bank_code": "37040044", "last4": "3000", "fingerprint": "print_sepa"});
    let account = json!({"bank_name": "STRIPE TEST BANK", "last4": "6789", "fingerprint": "print_account"});
    let data = json!([
        card(customer(json!({}))),
        method("pm_sepa", "sepa_debit", sepa, customer(json!({}))),
        method("pm_account", "us_bank_account", account, customer(json!({}))),
        method("pm_link", "link", json!({"email": "ada@example.com"}), customer(json!({}))),
        method("pm_new", "moon_dust", json!({}), customer(json!({}))),
    ]);
    let list = json!({"object": "list", "url": "/v1/payment_methods", "has_more": false, "data": data});
    let wire = Wire::play([ok(&list)]);
    let methods = stripe(&wire).payment_methods(&ada()).await.unwrap();
    let told: Vec<_> = methods.iter().map(|method| serde_json::to_value(method).unwrap()).collect();
    let expected = |id: &str, kind: &str, last4: Value, bank: Value| {
        json!({"id": id, "kind": kind, "brand": null, "last4": last4, "exp_month": null, "exp_year": null,
            "bank": bank, "is_default": false})
    };
    let visa = json!({"id": "pm_card", "kind": "card", "brand": "visa", "last4": "4242", "exp_month": 4,
        "exp_year": 2030, "bank": null, "is_default": true});
    assert_eq!(
        told,
        [
            visa,
            expected("pm_sepa", "sepa_debit", json!("3000"), json!("37040044")),
            expected("pm_account", "us_bank_account", json!("6789"), json!("STRIPE TEST BANK")),
            expected("pm_link", "link", json!(null), json!(null)),
            expected("pm_new", "moon_dust", json!(null), json!(null)),
        ]
    );
    let prints: Vec<_> = methods.iter().map(|method| method.fingerprint.as_deref()).collect();
    assert_eq!(prints, [Some("print_card"), Some("print_sepa"), Some("print_account"), None, None]);
    assert!(!format!("{methods:?}").contains("print_") && !format!("{methods:?}").contains("4242"));
    assert_eq!(wire.seen().len(), 1, "one request tells also which is the default");
}

#[tokio::test]
async fn a_method_says_whose_it_is() {
    let wire =
        Wire::play([ok(&card(customer(json!({})))), ok(&card(json!(null))), Step::status(404).body(MISSING)]);
    let stripe = stripe(&wire);
    let owned = stripe.payment_method(&pm("pm_card")).await.unwrap().unwrap();
    assert_eq!((owned.customer, owned.is_default, owned.created), (Some(ada()), true, at(START)));
    let free = stripe.payment_method(&pm("pm_card")).await.unwrap().unwrap();
    assert_eq!((free.customer, free.is_default), (None, false));
    assert_eq!(stripe.payment_method(&pm("pm_card")).await.unwrap(), None);
}

#[tokio::test]
async fn a_default_is_chosen_there_and_back_again() {
    let wire = Wire::play(vec![ok(&customer(json!({}))); 3]);
    for id in ["pm_a", "pm_b", "pm_a"] {
        stripe(&wire).make_default(&ada(), &pm(id)).await.unwrap();
    }
    let seen = wire.seen();
    assert_eq!(seen[0].call(), "POST /v1/customers/cus_1");
    assert_eq!(seen[2].fields()["invoice_settings[default_payment_method]"], "pm_a");
    assert_ne!(seen[0].key(), seen[2].key(), "or the last would only be the first again");
}

#[tokio::test]
async fn a_method_is_attached_once_and_another_customers_is_refused() {
    let attached = ok(&card(customer(json!({}))));
    let refused = || Step::status(400).body(REFUSED);
    let wire = Wire::play([
        attached.clone(),
        refused(),
        attached,
        refused(),
        ok(&card(customer(json!({"id": "cus_2"})))),
    ]);
    let stripe = stripe(&wire);
    assert_eq!(stripe.attach(&pm("pm_card"), &ada()).await.unwrap().customer, Some(ada()));
    assert_eq!(
        stripe.attach(&pm("pm_card"), &ada()).await.unwrap().customer,
        Some(ada()),
        "it is there already"
    );
    assert!(stripe.attach(&pm("pm_card"), &ada()).await.is_err(), "it is another's");
    assert_eq!(wire.calls()[0], "POST /v1/payment_methods/pm_card/attach");
}

#[tokio::test]
async fn a_declined_card_is_not_attached() {
    let declined = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"stolen_card"}}"#;
    let wire = Wire::play([Step::status(402).body(declined), ok(&card(json!(null)))]);
    let error = stripe(&wire).attach(&pm("pm_card"), &ada()).await.unwrap_err();
    assert_eq!(error.decline(), Some("stolen_card"));
}

#[tokio::test]
async fn what_is_nobodys_is_detached() {
    let refused = || Step::status(400).body(REFUSED);
    let wire = Wire::play([
        ok(&card(json!(null))),
        refused(),
        ok(&card(json!(null))),
        Step::status(404).body(MISSING),
        Step::status(404).body(MISSING),
        refused(),
        ok(&card(customer(json!({})))),
    ]);
    let stripe = stripe(&wire);
    for _ in 0..3 {
        stripe.detach(&pm("pm_card")).await.unwrap();
    }
    assert!(stripe.detach(&pm("pm_card")).await.is_err(), "it is still somebody's");
}

#[tokio::test]
async fn billing_details_are_read_written_and_emptied() {
    let ada_lovelace = Billing {
        name: Some("Ada Lovelace".to_owned()),
        email: Some("ada@example.com".to_owned()),
        phone: None,
        address: Some(BillingAddress {
            line1: Some("12 Rue de l'Église".to_owned()),
            country: Some("FR".to_owned()),
            ..BillingAddress::default()
        }),
    };
    let address = json!({"line1": "12 Rue de l'Église", "line2": "", "country": "FR", "city": null});
    let found = customer(
        json!({"name": "Ada Lovelace", "email": "ada@example.com", "phone": "", "address": address}),
    );
    let wire = Wire::play([ok(&found), ok(&found), ok(&customer(json!({})))]);
    let stripe = stripe(&wire);
    assert_eq!(stripe.billing(&ada()).await.unwrap(), Some(ada_lovelace.clone()));
    assert_eq!(stripe.set_billing(&ada(), &ada_lovelace, "key").await.unwrap(), Some(ada_lovelace.clone()));
    let sent = wire.seen()[1].fields();
    let expected = [
        ("address[city]", ""),
        ("address[country]", "FR"),
        ("address[line1]", "12 Rue de l'Église"),
        ("address[line2]", ""),
        ("address[postal_code]", ""),
        ("address[state]", ""),
        ("email", "ada@example.com"),
        ("name", "Ada Lovelace"),
        ("phone", ""),
    ];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());

    assert_eq!(
        stripe.set_billing(&ada(), &Billing::default(), "gone").await.unwrap(),
        Some(Billing::default())
    );
    let expected = ["address", "email", "name", "phone"].map(|name| (name.to_owned(), String::new()));
    assert_eq!(wire.seen()[2].fields(), expected.into());
    let printed = format!("{ada_lovelace:?} {:?}", ada_lovelace.address);
    assert!(!printed.contains("Ada") && !printed.contains("Rue"), "{printed}");
}

#[tokio::test]
async fn nobody_has_no_billing_details() {
    let deleted = Step::ok(r#"{"id":"cus_1","object":"customer","deleted":true}"#);
    let missing = || Step::status(404).body(MISSING);
    let wire = Wire::play([deleted, missing(), missing()]);
    let stripe = stripe(&wire);
    assert_eq!(stripe.billing(&ada()).await.unwrap(), None);
    assert_eq!(stripe.billing(&ada()).await.unwrap(), None);
    assert_eq!(stripe.set_billing(&ada(), &Billing::default(), "key").await.unwrap(), None);
}

fn setup(changes: Value) -> Value {
    let mut setup = json!({
        "id": "seti_1", "object": "setup_intent", "client_secret": "seti_1_secret_2", "created": 1,
        "customer": "cus_1", "livemode": false, "payment_method_types": ["card"],
        "status": "requires_payment_method", "usage": "off_session", "metadata": {"tollgate_request": "req:1"},
    });
    for (name, value) in changes.as_object().unwrap() {
        setup[name] = value.clone();
    }
    setup
}

#[tokio::test]
async fn a_way_to_pay_is_left_for_later() {
    let order = SetupOrder {
        customer: ada(),
        payment_methods: vec!["sepa_debit".to_owned()],
        envelope: Envelope { user: "ada".parse().ok(), ..Envelope::default() },
        request: "req:1".to_owned(),
    };
    let wire = Wire::play([ok(&setup(json!({})))]);
    let opened = stripe(&wire).open_setup(&order, "key").await.unwrap();
    assert_eq!((opened.status, opened.request.as_deref()), (SetupStatus::RequiresMethod, Some("req:1")));
    assert!(opened.client_secret.as_ref().unwrap().is_of_setup());
    assert!(!format!("{opened:?}").contains("_secret_"), "{opened:?}");
    let expected = [
        ("allowed_payment_method_types[0]", "sepa_debit"),
        ("customer", "cus_1"),
        ("metadata[tollgate_request]", "req:1"),
        ("metadata[tollgate_stack]", "main"),
        ("metadata[tollgate_user]", "ada"),
        ("usage", "off_session"),
    ];
    assert_eq!(
        wire.seen()[0].fields(),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    );
}

#[tokio::test]
async fn a_setup_tells_what_it_left_or_why_it_failed() {
    let done = setup(json!({"status": "succeeded", "payment_method": "pm_card"}));
    let failed = setup(
        json!({"last_setup_error": {"type": "card_error", "code": "card_declined", "decline_code": "lost_card"}}),
    );
    let wire = Wire::play([
        ok(&done),
        ok(&failed),
        ok(&setup(json!({"status": "musing"}))),
        Step::status(404).body(MISSING),
    ]);
    let (stripe, id) = (stripe(&wire), SetupId::parse("seti_1").unwrap());
    let done = stripe.setup(&id).await.unwrap().unwrap();
    assert_eq!(
        (done.status, done.method, done.customer),
        (SetupStatus::Succeeded, Some(pm("pm_card")), Some(ada()))
    );
    assert_eq!(stripe.setup(&id).await.unwrap().unwrap().failure.as_deref(), Some("lost_card"));
    assert_eq!(stripe.setup(&id).await.unwrap().unwrap().status, SetupStatus::Unknown);
    assert_eq!(stripe.setup(&id).await.unwrap(), None);
}

#[tokio::test]
async fn the_portal_lets_a_customer_in_for_all_or_for_one_thing() {
    let session = json!({"id": "bps_1", "object": "billing_portal.session", "configuration": "bpc_1", "created": 1,
        "customer": "cus_1", "livemode": false, "url": "https://billing.example/p/session/1"});
    let wire = Wire::play(vec![ok(&session); 5]);
    let stripe = stripe(&wire);
    let flows = [
        None,
        None,
        Some(PortalFlow::ChangeMethod),
        Some(PortalFlow::Cancel("sub_1".parse().unwrap())),
        Some(PortalFlow::ChangePlan("sub_1".parse().unwrap())),
    ];
    for flow in &flows {
        let url =
            stripe.open_portal(&ada(), "https://app.example/account", None, flow.as_ref()).await.unwrap();
        assert_eq!(url, "https://billing.example/p/session/1");
    }
    let seen = wire.seen();
    let plain = [("customer", "cus_1"), ("return_url", "https://app.example/account")];
    assert_eq!(seen[0].fields(), plain.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_ne!(seen[0].key(), seen[1].key(), "an address that was used before may be dead");
    assert_eq!(seen[2].fields()["flow_data[type]"], "payment_method_update");
    assert_eq!(seen[3].fields()["flow_data[subscription_cancel][subscription]"], "sub_1");
    assert_eq!(seen[4].fields()["flow_data[subscription_update][subscription]"], "sub_1");
}

#[tokio::test]
async fn invoices_are_read_page_by_page() {
    let mut change = line("price_1", 100, START + 50, END + 500);
    change["parent"]["subscription_item_details"]["proration"] = json!(true);
    let credit = line("price_1", -900, START, END + 900);
    let lines = json!([change, credit, line("price_1", 999, START, END)]);
    let mut open = invoice("in_2", lines, json!([]));
    let taxes = json!([{"amount": 160, "tax_behavior": "exclusive", "taxability_reason": "standard_rated",
        "type": "tax_rate_details"}]);
    for (name, value) in [
        ("status", json!("open")),
        ("number", json!("A-2")),
        ("amount_paid", json!(0)),
        ("next_payment_attempt", json!(START + 7)),
        ("hosted_invoice_url", json!("https://invoice.example/2")),
        ("invoice_pdf", json!("https://invoice.example/2/pdf")),
        ("total_taxes", taxes),
    ] {
        open[name] = value;
    }
    let mut draft = invoice("in_1", json!([]), json!([]));
    (draft["status"], draft["parent"], draft["customer"]) = (json!(null), json!(null), json!(null));
    let list = json!({"object": "list", "url": "/v1/invoices", "has_more": true, "data": [open, draft]});
    let wire = Wire::play([ok(&list)]);
    let after = InvoiceId::parse("in_3").unwrap();
    let page = stripe(&wire).customer_invoices(&ada(), 2, Some(&after)).await.unwrap();
    assert!(page.has_more);
    let [open, draft] = &page.invoices[..] else { panic!("{page:?}") };
    assert_eq!(
        (open.id.as_str(), open.status.as_str(), open.number.as_deref()),
        ("in_2", "open", Some("A-2"))
    );
    assert_eq!((open.due_minor, open.paid_minor, open.total_minor, open.tax_minor), (999, 0, 999, 160));
    assert_eq!((open.currency, open.attempts), (euros(0).currency, 1));
    assert_eq!(open.period, Period { start: at(START), end: at(END) }, "what is charged whole");
    assert_eq!(draft.period, Period { start: at(START), end: at(START) });
    assert_eq!((open.next_attempt, open.created), (Some(at(START + 7)), at(START)));
    assert_eq!(open.subscription.as_ref().map(|id| id.as_str()), Some("sub_1"));
    assert_eq!(open.customer, Some(ada()));
    assert_eq!(open.hosted_url.as_deref(), Some("https://invoice.example/2"));
    assert_eq!(open.pdf.as_deref(), Some("https://invoice.example/2/pdf"));
    assert_eq!((draft.status.as_str(), &draft.subscription, &draft.customer), ("draft", &None, &None));
    assert!(!format!("{page:?}").contains("https://"), "{page:?}");
    let call = &wire.calls()[0];
    for wanted in ["customer=cus_1", "limit=2", "starting_after=in_3"] {
        assert!(call.contains(wanted), "{call}");
    }
}

#[tokio::test]
async fn one_invoice_says_whose_it_is() {
    let wire = Wire::play([ok(&invoice("in_1", json!([]), json!([]))), Step::status(404).body(MISSING)]);
    let (stripe, id) = (stripe(&wire), InvoiceId::parse("in_1").unwrap());
    assert_eq!(stripe.invoice(&id).await.unwrap().unwrap().customer, Some(ada()));
    assert_eq!(stripe.invoice(&id).await.unwrap(), None);
}
