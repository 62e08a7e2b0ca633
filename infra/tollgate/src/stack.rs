//! The local stack: table, queue, Stripe and the real functions in one process.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config;
use domain::catalog::Catalog;
use edge::{Env, StartError};
use futures_util::FutureExt;
use store::{HTTP_BUDGET, Store};
use stripe_sandbox::{Sandbox, WebhookTarget};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::functions::Functions;
use crate::gateway::{Gateway, Invoke};
use crate::keys::{LocalFile, LocalStack};
use crate::local::{Drain, Local};
use crate::poller::{HandleBatch, Poller};
use crate::ports::{self, Ports};
use crate::publish::publish;
use crate::queue::{self, Queue};
use crate::template::{Source, Template};

/// The table's name in every local stack.
pub const TABLE: &str = "tollgate";
/// The stack's name, which everything it creates in Stripe carries.
pub const STACK: &str = "local";

pub struct Options {
    /// The catalog as its author wrote it, and parsed.
    pub text: String,
    pub catalog: Catalog,
    pub port: u16,
    /// Where `.tollgate` is.
    pub folder: PathBuf,
    /// Keeps nothing but `local.json`.
    pub memory: bool,
    /// Stripe's own test mode instead of the sandbox.
    pub real_stripe: Option<RealStripe>,
    /// Whether the sandbox calls the webhook. Without, it is Stripe without a webhook endpoint.
    pub deliver_webhooks: bool,
    /// How long a record that failed stays hidden at first; then twice as long each time.
    pub first_retry: Duration,
}

/// Keys of a real Stripe account in test mode.
#[derive(Clone)]
pub struct RealStripe {
    pub secret_key: String,
    pub webhook_secret: String,
}

/// A running stack. Dropping it ends it at once; [`Stack::stop`] lets it finish what it has in hand.
pub struct Stack {
    pub local: LocalStack,
    pub catalog_version: u32,
    pub has_sandbox: bool,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
}

impl Stack {
    pub async fn start(options: Options) -> Result<Stack, StartError> {
        let template = Template::embedded()?;
        let ports = Ports::bind(options.port).await?;
        let file = LocalFile::below(&options.folder);
        let local = addressed(file.last_or_fresh(&options.catalog.product.id)?, &ports)?;
        let state = (!options.memory).then(|| file.state_folder(&local.product));
        if let Some(state) = &state {
            std::fs::create_dir_all(state)?;
        }
        let mut parts = Parts { state, stop: watch::channel(false).0, servers: JoinSet::new() };
        let clock = Clock::open(parts.file("clock"))?;
        let queue = parts.queue(&template, ports.sqs)?;
        parts.table(ports.dynamodb)?;
        let sandbox = match &options.real_stripe {
            None => Some(parts.sandbox(&local, options.deliver_webhooks, &clock, ports.stripe)?),
            Some(_) => None,
        };
        let source = template.functions.iter().find_map(|function| function.reads.clone());
        let source = source.ok_or("template.yaml feeds no function from a queue")?;
        let env = settings(&local, &source.queue, options.real_stripe.as_ref());
        let store = open_table(&env, &template).await?;
        let published = publish(&env, store, STACK, &options.text, &options.catalog, clock.now()).await?;
        for warning in &published.warnings {
            tracing::warn!("{warning}");
        }
        let functions = Functions::from_env(&env).await?;
        parts.poller(&env, &source, &clock, &functions, options.first_retry).await?;
        let drain = Drain { queue, names: vec![source.queue] };
        let has_sandbox = sandbox.is_some();
        let origins = [options.catalog.checkout.return_origins.clone(), env.list("RETURN_ORIGINS")].concat();
        let page =
            Local { clock: clock.clone(), sandbox, drain, stack: local.clone(), catalog: options.catalog };
        let gateway = Gateway::new(&template, origins, local.tokens(), invoke(functions, clock));
        let gateway = gateway.router(page.router());
        parts.serve_api(ports.api, gateway);
        file.record(&local)?;
        let catalog_version = published.version;
        Ok(Stack { local, catalog_version, has_sandbox, stop: parts.stop, servers: parts.servers })
    }

    /// Ends the servers once they have answered what they were asked.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let finished = async { while self.servers.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(5), finished).await.is_err() {
            tracing::warn!("the stack was stopped with requests in hand");
        }
    }

    /// Runs until one of its servers ends, which none should.
    pub async fn failed(&mut self) {
        while self.servers.join_next().await.is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// What has been started so far.
struct Parts {
    state: Option<PathBuf>,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
}

impl Parts {
    fn file(&self, name: &str) -> Option<PathBuf> {
        self.state.as_ref().map(|state| state.join(name))
    }

    /// Resolves when the stack stops, or is dropped.
    fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        async move { drop(stop.wait_for(|stop| *stop).await) }
    }

    fn queue(&mut self, template: &Template, listener: TcpListener) -> Result<Queue, StartError> {
        let queue = Queue::open(self.file("queue.db"))?;
        for shape in &template.queues {
            queue.declare(&shape.name, &shape.settings)?;
        }
        let served = queue.clone().serve(listener, self.stopped());
        self.servers.spawn(async { report("the queue", served.await) });
        Ok(queue)
    }

    fn table(&mut self, listener: TcpListener) -> Result<(), StartError> {
        let database = match self.file("table.db") {
            Some(file) => dynoxide::Database::new(&file.to_string_lossy()),
            None => dynoxide::Database::memory(),
        };
        let database = database.map_err(|error| format!("the table cannot be opened: {error}"))?;
        let served = dynoxide::server::serve_with_shutdown(listener, database, self.stopped());
        self.servers.spawn(async { report("the table", served.await) });
        Ok(())
    }

    fn sandbox(
        &mut self,
        local: &LocalStack,
        deliver: bool,
        clock: &Clock,
        listener: TcpListener,
    ) -> Result<Sandbox, StartError> {
        let clock = clock.clone();
        let url = format!("{}/lambda-url/webhook", local.api);
        let webhook = deliver.then(|| WebhookTarget { url, secret: local.webhook_secret.clone() });
        let sandbox = Sandbox::open(stripe_sandbox::Options {
            database: self.file("stripe.db"),
            secret_key: local.stripe_secret_key.clone(),
            webhook,
            clock: Arc::new(move || clock.now().millis()),
            public_url: local.stripe.clone(),
        })?;
        let served = sandbox.clone().serve(listener, self.stopped());
        self.servers.spawn(async { report("the Stripe sandbox", served.await) });
        Ok(sandbox)
    }

    /// Feeds the credit function from its queue.
    async fn poller(
        &mut self,
        env: &Env,
        source: &Source,
        clock: &Clock,
        functions: &Arc<Functions>,
        first_retry: Duration,
    ) -> Result<(), StartError> {
        let aws = edge::aws::config(env).await?;
        let endpoint = env.required("AWS_ENDPOINT_URL_SQS")?;
        let config = aws_sdk_sqs::config::Builder::from(&aws).endpoint_url(endpoint).build();
        let (functions, clock) = (functions.clone(), clock.clone());
        let handle: HandleBatch = Arc::new(move |event| {
            let (functions, now) = (functions.clone(), clock.now());
            async move { functions.credit(event, now).await }.boxed()
        });
        let client = aws_sdk_sqs::Client::from_conf(config);
        let poller = Poller::new(client, env.required("QUEUE_URL")?, source.batch_size, handle);
        self.servers.spawn(poller.retry_after(first_retry).run(self.stopped()));
        Ok(())
    }

    fn serve_api(&mut self, listener: TcpListener, router: axum::Router) {
        let served = axum::serve(listener, router).with_graceful_shutdown(self.stopped());
        self.servers.spawn(async { report("the API", served.await) });
    }
}

fn report(server: &str, ended: Result<(), impl std::fmt::Display>) {
    if let Err(error) = ended {
        tracing::error!(server, %error, "ended");
    }
}

fn addressed(local: LocalStack, ports: &Ports) -> std::io::Result<LocalStack> {
    Ok(LocalStack {
        api: ports::url(&ports.api)?,
        stripe: ports::url(&ports.stripe)?,
        dynamodb: ports::url(&ports.dynamodb)?,
        sqs: ports::url(&ports.sqs)?,
        ..local
    })
}

/// What template.yaml sets for deployed functions, pointed at the local servers.
pub fn settings(local: &LocalStack, queue: &str, real: Option<&RealStripe>) -> Env {
    let mut pairs = vec![
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_REGION", queue::REGION.to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", local.dynamodb.clone()),
        ("AWS_ENDPOINT_URL_SQS", local.sqs.clone()),
        ("TABLE_NAME", TABLE.to_owned()),
        ("QUEUE_URL", format!("{}/{}/{queue}", local.sqs, queue::ACCOUNT)),
        ("STACK_NAME", STACK.to_owned()),
        ("STRIPE_MODE", "test".to_owned()),
        ("GRANT_DAILY_CAP", "1000000".to_owned()),
        ("PRIVACY_KEYS", local.privacy_keys.clone()),
        ("RETURN_ORIGINS", format!("{},{}", local.api, local.api.replace("127.0.0.1", "localhost"))),
    ];
    match real {
        Some(real) => pairs.extend([
            ("STRIPE_SECRET_KEY", real.secret_key.clone()),
            ("STRIPE_WEBHOOK_SECRET", real.webhook_secret.clone()),
        ]),
        None => pairs.extend([
            ("STRIPE_SECRET_KEY", local.stripe_secret_key.clone()),
            ("STRIPE_WEBHOOK_SECRET", local.webhook_secret.clone()),
            ("STRIPE_API_BASE", local.stripe.clone()),
        ]),
    }
    Env::given(pairs)
}

async fn open_table(env: &Env, template: &Template) -> Result<Store, StartError> {
    let aws = edge::aws::config(env).await?;
    let endpoint = env.required("AWS_ENDPOINT_URL_DYNAMODB")?;
    let client =
        aws_sdk_dynamodb::Client::from_conf(config::Builder::from(&aws).endpoint_url(&endpoint).build());
    template.table.create(&client, TABLE).await?;
    Ok(Store::open(&aws, Some(endpoint), TABLE, HTTP_BUDGET))
}

fn invoke(functions: Arc<Functions>, clock: Clock) -> Invoke {
    Arc::new(move |name, request| {
        let (functions, now) = (functions.clone(), clock.now());
        async move {
            functions.http(&name, request, now).await.expect("the template names only functions of ours")
        }
        .boxed()
    })
}

impl RealStripe {
    /// `STRIPE_SECRET_KEY` in the environment means Stripe's test mode. A live key never reaches a local stack.
    pub fn from_process() -> Result<Option<RealStripe>, StartError> {
        RealStripe::from_env(&Env::Process)
    }

    fn from_env(env: &Env) -> Result<Option<RealStripe>, StartError> {
        let Some(secret_key) = env.optional("STRIPE_SECRET_KEY") else { return Ok(None) };
        if secret_key.starts_with("sk_live_") || secret_key.starts_with("rk_live_") {
            return Err("STRIPE_SECRET_KEY is a live key: the local stack takes test keys only".into());
        }
        let webhook_secret = env.required("STRIPE_WEBHOOK_SECRET").map_err(|missing| {
            format!("{missing}; `stripe listen --forward-to 127.0.0.1:9000/lambda-url/webhook` prints it")
        })?;
        Ok(Some(RealStripe { secret_key, webhook_secret }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_key_refuses_the_start() {
        for key in ["sk_live_1", "rk_live_1"] {
            let env = Env::given([("STRIPE_SECRET_KEY", key.to_owned())]);
            let error = RealStripe::from_env(&env).err().unwrap().to_string();
            assert!(error.contains("live key") && !error.contains(key), "{error}");
        }
    }

    #[test]
    fn a_real_test_key_needs_the_secret_that_stripe_listen_prints() {
        let env = Env::given([("STRIPE_SECRET_KEY", "sk_test_1".to_owned())]);
        let error = RealStripe::from_env(&env).err().unwrap().to_string();
        assert!(error.contains("STRIPE_WEBHOOK_SECRET") && error.contains("stripe listen"), "{error}");
        assert!(RealStripe::from_env(&Env::given([])).unwrap().is_none());
    }
}
