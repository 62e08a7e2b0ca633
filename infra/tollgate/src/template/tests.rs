//! The template says what the local stack is built from.

use super::*;

#[test]
fn the_template_lists_every_route_once() {
    let template = Template::embedded().unwrap();
    let routes: Vec<_> = template.routes().collect();
    let keys: BTreeSet<_> = routes.iter().map(|route| (&route.method, &route.path)).collect();
    assert_eq!(keys.len(), routes.len());
    let named = |function: &str, key: &str| {
        let (method, path) = key.split_once(' ').unwrap();
        let found = routes.iter().find(|route| route.method == method && route.path == path);
        assert_eq!(found.map(|route| route.function.as_str()), Some(function), "{key}");
    };
    for of_whom in ["me", "users/{user}"] {
        named("checkout", &format!("POST /v1/{of_whom}/checkout"));
        named("checkout", &format!("GET /v1/{of_whom}/checkout/{{id}}"));
        named("wallet", &format!("POST /v1/{of_whom}/consume"));
        named("entitlements", &format!("GET /v1/{of_whom}"));
        named("entitlements", &format!("GET /v1/{of_whom}/wallet"));
        named("entitlements", &format!("GET /v1/{of_whom}/wallet/entries"));
    }
}

/// SAM makes each route a statement of its function's policy, and Lambda takes 20 KB of those.
#[test]
fn a_functions_routes_fit_its_policy_however_long_the_stacks_name_is() {
    let (sid, function) = ("S".repeat(100), "F".repeat(64));
    let arn = |service: &str, what: &str| format!("arn:aws:{service}:ap-southeast-1:123456789012:{what}");
    for Function { name, routes, .. } in Template::embedded().unwrap().functions {
        let statements = routes.iter().map(|route| {
            let path = route.path.split('/').map(|part| if part.starts_with('{') { "*" } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            let source = arn("execute-api", &format!("abcdefghij/*/{}{path}", route.method));
            serde_json::json!({
                "Sid": sid, "Effect": "Allow", "Principal": { "Service": "apigateway.amazonaws.com" },
                "Action": "lambda:InvokeFunction", "Resource": arn("lambda", &format!("function:{function}")),
                "Condition": { "ArnLike": { "AWS:SourceArn": source } },
            })
        });
        let policy =
            serde_json::json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() });
        let bytes = policy.to_string().len();
        assert!(bytes <= 20 * 1024, "{name}: {bytes} bytes for {} routes", routes.len());
    }
}

#[test]
fn only_the_price_list_is_public() {
    let template = Template::embedded().unwrap();
    let public = template.routes().filter(|route| route.public).map(|route| route.path.as_str());
    assert_eq!(public.collect::<BTreeSet<_>>(), BTreeSet::from(["/v1/packages", "/v1/plans"]));
}

#[test]
fn stripe_reaches_the_webhook_alone_and_the_queue_feeds_credit() {
    let template = Template::embedded().unwrap();
    let with_url = template.functions.iter().filter(|function| function.has_url);
    assert_eq!(with_url.map(|function| function.name.as_str()).collect::<Vec<_>>(), ["webhook"]);
    let fed =
        template.functions.iter().filter_map(|function| Some((&function.name[..], function.reads.as_ref()?)));
    let source = Source { queue: "WebhookQueue".to_owned(), batch_size: 10 };
    assert_eq!(fed.collect::<Vec<_>>(), [("credit", &source)]);
}

#[test]
fn poison_goes_to_the_dead_letters_after_ten_receives() {
    let template = Template::embedded().unwrap();
    let [dead, webhook] = &template.queues[..] else { panic!("{:?}", template.queues) };
    assert_eq!((&dead.name[..], &webhook.name[..]), ("WebhookDeadLetters", "WebhookQueue"));
    let redrive = Redrive { dead_letter_queue: "WebhookDeadLetters".to_owned(), max_receive_count: 10 };
    let fourteen_days_s = 14 * 24 * 3600;
    assert_eq!(webhook.settings.redrive, Some(redrive));
    assert_eq!((webhook.settings.visibility_timeout_s, webhook.settings.retention_s), (180, fourteen_days_s));
    assert_eq!((dead.settings.retention_s, &dead.settings.redrive), (fourteen_days_s, &None));
}

#[test]
fn pages_may_send_what_the_routes_need() {
    let template = Template::embedded().unwrap();
    let methods: BTreeSet<_> = template.routes().map(|route| route.method.clone()).collect();
    assert_eq!(template.cors.allow_methods.iter().cloned().collect::<BTreeSet<_>>(), methods);
    for header in ["authorization", "content-type", "idempotency-key"] {
        assert!(template.cors.allow_headers.iter().any(|allowed| allowed == header), "{header}");
    }
}

#[test]
fn a_functions_settings_are_its_own_and_those_of_all() {
    let template = Template::embedded().unwrap();
    let webhook = template.functions.iter().find(|function| function.name == "webhook").unwrap();
    assert_eq!(webhook.logical_id, "Webhook");
    let settings: Vec<_> = webhook.settings.iter().map(String::as_str).collect();
    let expected = [
        "AWS_ENDPOINT_URL_SQS",
        "LOG_LEVEL",
        "QUEUE_URL",
        "STACK_NAME",
        "STRIPE_MODE",
        "STRIPE_WEBHOOK_SECRET",
    ];
    assert_eq!(settings, expected);
}

#[test]
fn a_mistake_is_named_with_its_place() {
    let broken = TEMPLATE.replace("BatchSize: 10", "BatchSize: ten");
    let error = Template::parse(&broken, STATE).unwrap_err().to_string();
    assert!(error.starts_with("template.yaml, Credit: "), "{error}");
}
