//! The files in `events/` are what these commands print, and what a function can be invoked with.

use stripe_event::Verifier;

use super::*;

const SECRET: &str = "whsec_1";

fn file_time() -> Time {
    Time::from_millis(1_793_600_003_000)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn local() -> LocalStack {
    LocalStack {
        api: "http://127.0.0.1:9000".to_owned(),
        stripe: "http://127.0.0.1:9001".to_owned(),
        dynamodb: "http://127.0.0.1:9002".to_owned(),
        sqs: "http://127.0.0.1:9003".to_owned(),
        ..LocalStack::fresh("companion")
    }
}

#[test]
fn the_webhook_file_lacks_nothing_but_a_signature() {
    let mut event = webhook(HARMLESS, SECRET, file_time()).unwrap();
    let unsigned = parsed(WEBHOOK);
    event["headers"]["stripe-signature"] = unsigned["headers"]["stripe-signature"].clone();
    assert_eq!(event, unsigned);
}

#[test]
fn a_printed_webhook_event_is_signed_with_the_stacks_own_secret() {
    let event = webhook(HARMLESS, SECRET, file_time()).unwrap();
    let signature = event["headers"]["stripe-signature"].as_str();
    let verify = |secret: &str| {
        Verifier::new([secret.to_owned()]).unwrap().verify(signature, HARMLESS.as_bytes(), file_time())
    };
    assert!(verify(SECRET).is_ok() && verify("whsec_2").is_err());
    assert_eq!(event["body"], HARMLESS);
}

#[test]
fn the_credit_file_holds_the_message_of_a_harmless_event() {
    assert_eq!(credit(HARMLESS, file_time()).unwrap(), parsed(CREDIT));
    let message = parsed(CREDIT)["Records"][0]["body"].as_str().map(Message::parse);
    let Some(Ok(Message::StripeV1 { body, .. })) = message else { panic!("{message:?}") };
    assert_eq!(body, HARMLESS);
    assert!(credit("{}", file_time()).is_err());
}

#[test]
fn each_function_is_given_what_its_template_names() {
    let template = Template::embedded().unwrap();
    let variables = variables(&template, &local(), None, "127.0.0.1");
    for function in &template.functions {
        // What a function does without, or what `sam local` reads from the template's defaults.
        let left_out = ["LOG_LEVEL", "SCOPE_CLAIM"];
        let given = &by_function(&template, &variables)[&function.logical_id];
        for name in function.settings.iter().filter(|name| !left_out.contains(&name.as_str())) {
            assert!(given.contains_key(name.as_str()), "{} needs {name}", function.name);
        }
    }
}

#[test]
fn the_environment_file_is_that_of_a_stack_on_the_usual_ports_as_containers_reach_it() {
    let template = Template::embedded().unwrap();
    let variables = variables(&template, &local(), None, "host.docker.internal");
    let mut expected = by_function(&template, &variables);
    expected.get_mut("Webhook").unwrap().remove("STRIPE_WEBHOOK_SECRET").expect("it is each stack's own");
    for function in ["Admin", "Checkout", "Entitlements", "Wallet"] {
        expected.get_mut(function).unwrap().remove("PRIVACY_KEYS").expect("they are each stack's own");
    }
    assert_eq!(parsed(include_str!("../../../../events/env.json")), json!(expected));
}

#[test]
fn another_host_is_named_where_servers_are_and_not_where_browsers_return_to() {
    let template = Template::embedded().unwrap();
    let variables = variables(&template, &local(), None, "host.docker.internal");
    assert_eq!(variables["AWS_ENDPOINT_URL_DYNAMODB"], "http://host.docker.internal:9002");
    assert!(variables["QUEUE_URL"].starts_with("http://host.docker.internal:9003/"));
    assert_eq!(variables["RETURN_ORIGINS"], "http://127.0.0.1:9000,http://localhost:9000");
}

#[test]
fn a_stack_on_real_stripe_gives_its_keys_and_stripes_own_address() {
    let template = Template::embedded().unwrap();
    let real = RealStripe { secret_key: "sk_test_1".to_owned(), webhook_secret: "whsec_9".to_owned() };
    let variables = variables(&template, &local(), Some(&real), "127.0.0.1");
    assert_eq!(
        (&variables["STRIPE_SECRET_KEY"][..], &variables["STRIPE_WEBHOOK_SECRET"][..]),
        ("sk_test_1", "whsec_9")
    );
    assert!(!variables.contains_key("STRIPE_API_BASE"));
}
