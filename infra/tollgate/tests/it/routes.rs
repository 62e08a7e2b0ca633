//! template.yaml is the one list of routes: each must reach a handler that knows it.

use std::collections::BTreeSet;

use domain::catalog::Catalog;
use hyper::Method;
use tollgate::template::Template;

use crate::harness::{COMPANION, World};

#[tokio::test]
async fn every_route_of_the_template_reaches_its_handler() {
    let world = World::new().await;
    let template = Template::embedded().unwrap();
    let service = world.service();
    let mut answered = 0;
    for route in template.routes() {
        let path = route.path.replace("{user}", "ada").replace("{id}", "cs_test_1");
        let method = Method::from_bytes(route.method.as_bytes()).unwrap();
        let answer = service.send(method, &path, None, "{}".to_owned()).await;
        let unrouted =
            answer.json["detail"].as_str().is_some_and(|detail| detail.starts_with("no handler for"));
        assert!(
            !unrouted && !answer.status.is_server_error(),
            "{} {}: {}",
            route.method,
            route.path,
            answer.text
        );
        answered += 1;
    }
    assert!(answered >= 14, "only {answered} routes");
}

/// A typo in a handler's route would otherwise be dead code that nobody notices.
#[test]
fn every_route_that_a_handler_knows_is_in_the_template() {
    let template = Template::embedded().unwrap();
    let routed: BTreeSet<String> =
        template.routes().map(|route| format!("{} {}", route.method, route.path)).collect();
    let mut known = BTreeSet::new();
    for function in &template.functions {
        let source =
            std::fs::read_to_string(format!("../../functions/{}/src/lib.rs", function.name)).unwrap();
        let quoted = source.split('"').skip(1).step_by(2);
        for route in quoted.filter(|text| text.contains(" /v1/")) {
            // Who answers a user answers a service that asks for one.
            known.insert(route.replacen("/v1/me", "/v1/users/{user}", 1));
            known.insert(route.to_owned());
        }
    }
    assert_eq!(known, routed);
}

#[test]
fn the_built_in_catalog_is_valid() {
    assert_eq!(Catalog::parse(COMPANION).unwrap().product.id, "companion");
}
