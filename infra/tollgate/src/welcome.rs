//! What a developer sees first: a few commands to copy and paste.

use domain::catalog::{Action, Catalog, Cost};
use domain::ids::{PackageId, PlanId};
use domain::item::Interval;
use domain::money::Tokens;
use serde_json::{Value, json};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::local::{DEMO_TOKEN_TTL, DEMO_USER};
use crate::stack::Stack;

/// Warnings and worse: the terminal belongs to the commands below. `LOG_LEVEL=info` shows each request.
pub fn log_to_stderr() {
    let level = std::env::var("LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time();
    // The local table warns of every lost race, which is what it is there to decide.
    let shown = Targets::new()
        .with_default(level.unwrap_or(LevelFilter::WARN))
        .with_target("dynoxide", LevelFilter::ERROR);
    tracing_subscriber::registry().with(log).with(shown).init();
}

pub fn print(stack: &Stack, catalog: &Catalog) {
    println!(
        "Tollgate with the catalog of {} (version {}). Copy and paste:",
        stack.local.product, stack.catalog_version
    );
    println!();
    print_commands(stack, catalog);
    println!();
    println!("In a browser: {}/", stack.local.api);
    println!("ready {}", stack.local.api);
}

/// A pack bought and spent from, then a plan and its first week: what of it the catalog has.
fn print_commands(stack: &Stack, catalog: &Catalog) {
    let local = &stack.local;
    let api = &local.api;
    let token = local.tokens().mint(DEMO_USER, None, None, DEMO_TOKEN_TTL);
    let auth = "-H \"Authorization: Bearer $T\"";
    println!("export T={token}");
    if let Some(package) = package(catalog) {
        print_purchase(stack, auth, &json!({ "package": package }));
        let spend = spend(catalog);
        println!("curl -s {api}/v1/me/consume {auth} -H \"Idempotency-Key: $(date +%s%N)\" -d '{spend}'\n");
    }
    if let Some((plan, interval)) = plan(catalog) {
        let wanted = match interval {
            Some(interval) => json!({ "plan": plan, "interval": interval }),
            None => json!({ "plan": plan }),
        };
        print_purchase(stack, auth, &wanted);
    }
    if stack.has_sandbox {
        println!("curl -s {api}/_local/clock -d '{{\"advance\":\"7d\"}}'");
    }
    println!("curl -s {api}/v1/me {auth}");
}

/// Neither the cheapest nor the dearest, where there are enough.
fn package(catalog: &Catalog) -> Option<&PackageId> {
    let by_price = catalog.packages_covering(Tokens::ZERO);
    by_price.get(by_price.len().checked_sub(1)? / 2).copied()
}

/// What anyone who bought tokens may do with them.
fn spend(catalog: &Catalog) -> Value {
    let is_for_all = |action: &Action| action.requires.is_none() && matches!(action.cost, Cost::Fixed(_));
    match catalog.actions.iter().find(|(_, action)| is_for_all(action)) {
        Some((id, _)) => json!({ "action": id }),
        None => json!({ "tokens": 5 }),
    }
}

/// The least of those that are sold, and how often it is paid for if that has to be said.
fn plan(catalog: &Catalog) -> Option<(&PlanId, Option<Interval>)> {
    let sold = catalog.plans.iter().filter(|(_, plan)| !plan.prices.is_empty());
    let (id, plan) = sold.min_by_key(|(_, plan)| plan.level)?;
    let interval = plan.prices.first().filter(|_| plan.prices.len() > 1).map(|price| price.interval);
    Some((id, interval))
}

fn print_purchase(stack: &Stack, auth: &str, wanted: &Value) {
    let (api, stripe) = (&stack.local.api, &stack.local.stripe);
    // The answer is shown too: its url is where a person pays.
    let id = "tee -a /dev/stderr | grep -o 'cs_[A-Za-z0-9_]*' | head -n 1";
    println!("C=$(curl -s {api}/v1/me/checkout {auth} -d '{wanted}' | {id})");
    match stack.has_sandbox {
        true => {
            println!("curl -s {stripe}/_sandbox/checkout/$C/pay -d '{{\"card\":\"4242 4242 4242 4242\"}}'")
        }
        false => println!("echo 'open the url above in a browser, and pay with 4242 4242 4242 4242'"),
    }
    println!("curl -s {api}/v1/me/checkout/$C {auth}");
}
