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
    let local = &stack.local;
    let token = local.tokens().mint(DEMO_USER, None, None, DEMO_TOKEN_TTL);
    let (api, stripe) = (&local.api, &local.stripe);
    let pay = match stack.has_sandbox {
        true => {
            format!("curl -s {stripe}/_sandbox/checkout/$C/pay -d '{{\"card\":\"4242 4242 4242 4242\"}}'")
        }
        false => {
            "echo 'open the url of the line above in a browser, and pay with 4242 4242 4242 4242'".to_owned()
        }
    };
    println!(
        "Tollgate with the catalog of {} (version {}). Copy and paste:",
        local.product, stack.catalog_version
    );
    println!();
    println!("export T={token}");
    println!(
        "C=$(curl -s {api}/v1/me/checkout -H \"Authorization: Bearer $T\" -d '{{\"package\":\"medium\"}}' | grep -o 'cs_[A-Za-z0-9_]*' | head -n 1)"
    );
    println!("{pay}");
    println!("curl -s {api}/v1/me/checkout/$C -H \"Authorization: Bearer $T\"");
    println!(
        "curl -s {api}/v1/me/consume -H \"Authorization: Bearer $T\" -H \"Idempotency-Key: $(date +%s%N)\" -d '{{\"action\":\"photo\"}}'"
    );
    println!();
    println!("In a browser: {api}/");
    println!("ready {api}");
}
