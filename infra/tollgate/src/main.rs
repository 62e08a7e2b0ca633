//! The `tollgate` command. Without a subcommand it runs the local stack.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use domain::ids::UserId;
use edge::{Env, StartError};
use serde_json::json;
use store::{HTTP_BUDGET, Store};
use tollgate::keys::{LocalFile, LocalStack};
use tollgate::publish::{Publication, publish};
use tollgate::stack::{Options, RealStripe, STACK, Stack, TABLE};
use tollgate::template::Template;
use tollgate::{catalogs, erase, event, export, grants, local, prove, welcome};

/// Takes the money and opens the gate: a Stripe monetization backend, here on your machine.
#[derive(Parser)]
#[command(name = "tollgate", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    local: LocalArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything locally: API, Stripe sandbox, table, queue (the default)
    Local(LocalArgs),
    /// Print a token that the local stack accepts
    Token(TokenArgs),
    /// Print an event to invoke a function with, or the variables it needs to work on this stack
    #[command(subcommand)]
    Event(EventCommand),
    /// Give tokens to everybody whom a file names: `email_or_user,tokens` to a line, or JSON rows
    Grants(GrantsArgs),
    /// Write down everything that is kept of one user, as one JSON document
    Export(ExportArgs),
    /// Erase one user: subscriptions end, tokens expire, and nothing says any more who they were
    Erase(EraseArgs),
    /// Walk the books, and name the first thing in them that is wrong
    Prove(ProveArgs),
    /// Check or publish a catalog
    #[command(subcommand)]
    Catalog(CatalogCommand),
}

#[derive(Args)]
struct LocalArgs {
    /// The product's catalog: a file, or one that is built in
    #[arg(long, value_name = "FILE|NAME", default_value = catalogs::DEFAULT)]
    catalog: PathBuf,
    /// The first of four consecutive ports; 0 picks free ones
    #[arg(long, value_name = "N", default_value_t = 9000)]
    port: u16,
    /// Keep nothing from run to run
    #[arg(long)]
    memory: bool,
}

#[derive(Args)]
struct TokenArgs {
    /// The user the token is for
    #[arg(long)]
    user: String,
    /// The user's verified email
    #[arg(long)]
    email: Option<String>,
    /// Lets the caller act for any user
    #[arg(long, value_parser = ["admin", "service"])]
    scope: Option<String>,
    /// Which stack, if several were started in this folder
    #[arg(long)]
    product: Option<String>,
}

#[derive(Args)]
struct GrantsArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Why, for the people who look at it later
    #[arg(long)]
    note: Option<String>,
    /// When what is left of it ends, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Args)]
struct ExportArgs {
    #[arg(long)]
    user: String,
    /// Where to write it [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Args)]
struct EraseArgs {
    #[arg(long)]
    user: String,
    /// Do not ask for the user's id to be typed
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    stack: StackArgs,
}

/// The stack that an operator works on.
#[derive(Args)]
struct StackArgs {
    /// The API of a deployed stack [default: this folder's local stack]
    #[arg(long, value_name = "URL", requires = "token")]
    api: Option<String>,
    /// A token of that stack's identity provider with the scope `admin`
    #[arg(long, value_name = "T", requires = "api")]
    token: Option<String>,
    /// Which stack, if several were started in this folder
    #[arg(long, conflicts_with = "api")]
    product: Option<String>,
}

#[derive(Args)]
struct ProveArgs {
    /// Only this user's books
    #[arg(long)]
    user: Option<UserId>,
    /// Say what accounts and payments would be, were they rebuilt from their journals
    #[arg(long)]
    rebuild: bool,
    /// Rebuild them, without asking
    #[arg(long, requires = "rebuild")]
    yes: bool,
    /// The table of a deployed stack; AWS credentials come from the environment
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Which stack, if several were started in this folder
    #[arg(long, conflicts_with = "table")]
    product: Option<String>,
}

#[derive(Subcommand)]
enum EventCommand {
    /// An operator gives tokens
    Admin,
    /// A user buys a package
    Checkout,
    /// A user asks for their account
    Entitlements,
    /// A user spends tokens
    Wallet,
    /// The queue hands over what Stripe sent
    Credit {
        /// An event of Stripe's [default: one that changes nothing]
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
    },
    /// Stripe calls the webhook: freshly signed, good for five minutes
    Webhook {
        /// An event of Stripe's [default: one that changes nothing]
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
        /// Which stack, if several were started in this folder
        #[arg(long)]
        product: Option<String>,
    },
    /// The variables of every function, for `sam local … --env-vars`
    Env(EnvArgs),
}

#[derive(Args)]
struct EnvArgs {
    /// One list of NAME='value' for all functions, for `cargo lambda watch --env-file` or a shell
    #[arg(long)]
    dotenv: bool,
    /// This machine's name where the functions run, such as host.docker.internal
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Which stack, if several were started in this folder
    #[arg(long)]
    product: Option<String>,
}

#[derive(Subcommand)]
enum CatalogCommand {
    /// Report every mistake with its line and what to write instead
    Check {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Create what is missing in Stripe and publish a new version: to the local stack, or to a deployed one
    Push(PushArgs),
}

#[derive(Args)]
struct PushArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The table of a deployed stack; AWS credentials and STRIPE_SECRET_KEY come from the environment
    #[arg(long, value_name = "NAME", requires = "stack")]
    table: Option<String>,
    /// The deployed stack's name, as its functions' STACK_NAME says it
    #[arg(long, value_name = "NAME", requires = "table")]
    stack: Option<String>,
}

/// Whoever operates a local stack. Always the same, as keys are each operator's own.
const LOCAL_OPERATOR: &str = "operator";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => run_local(cli.local),
        Some(Command::Local(args)) => run_local(args),
        Some(Command::Token(args)) => print_token(&args),
        Some(Command::Event(wanted)) => print_event(wanted),
        Some(Command::Grants(args)) => give(args),
        Some(Command::Export(args)) => write_down(args),
        Some(Command::Erase(args)) => forget(args),
        Some(Command::Prove(args)) => return prove(args),
        Some(Command::Catalog(CatalogCommand::Check { file })) => check(&file),
        Some(Command::Catalog(CatalogCommand::Push(args))) => push(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollgate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_local(args: LocalArgs) -> Result<(), StartError> {
    let (text, catalog) = catalogs::read(&args.catalog)?;
    let options = Options {
        text,
        catalog: catalog.clone(),
        port: args.port,
        folder: std::env::current_dir()?,
        memory: args.memory,
        real_stripe: RealStripe::from_process()?,
        deliver_webhooks: true,
        first_retry: Duration::from_secs(2),
    };
    welcome::log_to_stderr();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut stack = Stack::start(options).await?;
        welcome::print(&stack, &catalog);
        tokio::select! {
            stopped = stop_requested() => stopped?,
            () = stack.failed() => return Err("a server of the stack ended".into()),
        }
        stack.stop().await;
        Ok(())
    })
}

/// Ctrl-C, or what a supervisor sends.
async fn stop_requested() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

fn print_token(args: &TokenArgs) -> Result<(), StartError> {
    let stack = running(args.product.as_deref())?;
    let (email, scope) = (args.email.as_deref(), args.scope.as_deref());
    println!("{}", stack.tokens().mint(&args.user, email, scope, local::DEMO_TOKEN_TTL));
    Ok(())
}

fn give(args: GrantsArgs) -> Result<(), StartError> {
    let (api, token) = operated(args.stack)?;
    let order = grants::Order { file: args.file, note: args.note, expires_at: args.expires_at, api, token };
    call(grants::give(&order))
}

fn write_down(args: ExportArgs) -> Result<(), StartError> {
    let (api, token) = operated(args.stack)?;
    call(export::export(&export::Order { user: args.user, out: args.out, api, token }))
}

fn forget(args: EraseArgs) -> Result<(), StartError> {
    let (api, token) = operated(args.stack)?;
    call(erase::erase(&erase::Order { user: args.user, yes: args.yes, api, token }))
}

/// Where the API is that an operator calls, and with what token.
fn operated(args: StackArgs) -> Result<(String, String), StartError> {
    if let (Some(api), Some(token)) = (args.api, args.token) {
        return Ok((api, token));
    }
    let stack = running(args.product.as_deref())?;
    let token = stack.tokens().mint(LOCAL_OPERATOR, None, Some("admin"), local::DEMO_TOKEN_TTL);
    Ok((stack.api, token))
}

fn call(calls: impl Future<Output = Result<(), StartError>>) -> Result<(), StartError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(calls)
}

/// Ends with 1 where something is wrong in the books, and with 2 where they could not be read.
fn prove(args: ProveArgs) -> ExitCode {
    match prove_or_rebuild(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tollgate: {error}");
            ExitCode::from(2)
        }
    }
}

fn prove_or_rebuild(args: ProveArgs) -> Result<bool, StartError> {
    let at = match args.table {
        Some(table) => prove::At::Aws { table },
        None => prove::At::Local { folder: std::env::current_dir()?, product: args.product },
    };
    let (user, yes) = (args.user.as_ref(), args.yes);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let table = prove::open(&at).await?;
        match args.rebuild {
            false => {
                let verdict = prove::prove(&table, user).await?;
                println!("{verdict}");
                Ok(verdict.is_ok())
            }
            true => {
                let agreed = || if yes { Ok(true) } else { prove::confirm() };
                let rebuilt = prove::rebuild(&table, user, |line| println!("{line}"), agreed).await?;
                println!("{rebuilt}");
                Ok(rebuilt.is_ok())
            }
        }
    })
}

/// The stack of this folder, whether it runs just now or not.
fn running(product: Option<&str>) -> Result<LocalStack, StartError> {
    Ok(LocalFile::below(&std::env::current_dir()?).find(product)?)
}

fn print_event(wanted: EventCommand) -> Result<(), StartError> {
    // By the wall clock: a function that runs elsewhere knows no other, wherever the stack's has been moved to.
    let now = edge::now();
    let text = match wanted {
        EventCommand::Admin => event::ADMIN.to_owned(),
        EventCommand::Checkout => event::CHECKOUT.to_owned(),
        EventCommand::Entitlements => event::ENTITLEMENTS.to_owned(),
        EventCommand::Wallet => event::WALLET.to_owned(),
        EventCommand::Credit { event: file } => format!("{:#}\n", event::credit(&stripes(file)?, now)?),
        EventCommand::Webhook { event: file, product } => {
            let secret = &variables(product.as_deref(), "127.0.0.1")?["STRIPE_WEBHOOK_SECRET"];
            format!("{:#}\n", event::webhook(&stripes(file)?, secret, now)?)
        }
        EventCommand::Env(args) => {
            let variables = variables(args.product.as_deref(), &args.host)?;
            match args.dotenv {
                true => event::dotenv(&variables),
                false => format!("{:#}\n", json!(event::by_function(&Template::embedded()?, &variables))),
            }
        }
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn variables(product: Option<&str>, host: &str) -> Result<event::Variables, StartError> {
    let real_stripe = RealStripe::from_process()?;
    Ok(event::variables(&Template::embedded()?, &running(product)?, real_stripe.as_ref(), host))
}

fn stripes(file: Option<PathBuf>) -> Result<String, StartError> {
    let Some(file) = file else { return Ok(event::HARMLESS.to_owned()) };
    Ok(std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?)
}

fn check(file: &Path) -> Result<(), StartError> {
    let (_, catalog) = catalogs::read(file)?;
    let (plans, packages, actions) = (catalog.plans.len(), catalog.packages.len(), catalog.actions.len());
    println!("{}: {plans} plans, {packages} packages, {actions} actions, ok", file.display());
    Ok(())
}

fn push(args: &PushArgs) -> Result<(), StartError> {
    let (text, catalog) = catalogs::read(&args.file)?;
    let (env, table, stack) = match (&args.table, &args.stack) {
        (Some(table), Some(stack)) => (Env::Process, table.as_str(), stack.as_str()),
        _ => {
            let file = LocalFile::below(&std::env::current_dir()?);
            let local = file.find(Some(&catalog.product.id))?;
            let real = RealStripe::from_process()?;
            // Publishing needs no queue.
            (tollgate::stack::settings(&local, "", real.as_ref()), TABLE, STACK)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Publication { version, warnings } = runtime.block_on(async {
        let aws = edge::aws::config(&env).await?;
        let store = Store::open(&aws, env.optional("AWS_ENDPOINT_URL_DYNAMODB"), table, HTTP_BUDGET);
        publish(&env, store, stack, &text, &catalog, edge::now()).await
    })?;
    let file = args.file.display();
    warnings.iter().for_each(|warning| eprintln!("{file}: {warning}"));
    println!("{file}: version {version} is current; functions see it within a minute");
    Ok(())
}
