//! What a developer sees first: a few commands to copy and paste.

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

pub fn print(stack: &Stack) {
    println!(
        "Tollgate with the catalog of {} (version {}). Copy and paste:",
        stack.local.product, stack.catalog_version
    );
    println!();
    print_commands(stack);
    println!();
    println!("In a browser: {}/", stack.local.api);
    println!("ready {}", stack.local.api);
}

/// A pack bought and spent from, then a plan and its first week.
fn print_commands(stack: &Stack) {
    let local = &stack.local;
    let api = &local.api;
    let token = local.tokens().mint(DEMO_USER, None, None, DEMO_TOKEN_TTL);
    let auth = "-H \"Authorization: Bearer $T\"";
    println!("export T={token}");
    print_purchase(stack, auth, r#"{"package":"medium"}"#);
    println!(
        "curl -s {api}/v1/me/consume {auth} -H \"Idempotency-Key: $(date +%s%N)\" -d '{{\"action\":\"photo\"}}'"
    );
    println!();
    print_purchase(stack, auth, r#"{"plan":"premium"}"#);
    if stack.has_sandbox {
        println!("curl -s {api}/_local/clock -d '{{\"advance\":\"7d\"}}'");
    }
    println!("curl -s {api}/v1/me {auth}");
}

fn print_purchase(stack: &Stack, auth: &str, wanted: &str) {
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
