//! Takes Stripe's events in: verify the raw body, queue it, say so. Knows no event types.
//!
//! Stripe delivers again, for three days, whatever is not answered with 2xx. So an event is acknowledged
//! once it is on the queue and not before; that it may be queued twice is for `credit` not to mind.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::DisplayErrorContext;
use domain::time::Time;
use edge::{BadSetting, Code, Env, Problem, Reply};
use lambda_http::http::Method;
use lambda_http::{Body, Request, Response};
use serde_json::json;
use stripe_event::{Message, Rejected, VerifiedEvent, Verifier};

pub struct Webhook {
    verifier: Verifier,
    queue: Client,
    queue_url: String,
    livemode: bool,
}

impl Webhook {
    pub async fn from_env(env: &Env) -> Result<Webhook, BadSetting> {
        let verifier = verifier(env)?;
        let livemode = livemode(env)?;
        let queue_url = env.required("QUEUE_URL")?;
        let queue = queue(env).await?;
        let webhook = Webhook { verifier, queue, queue_url, livemode };
        webhook.warm_up().await;
        Ok(webhook)
    }

    pub async fn handle(&self, request: Request, now: Time) -> Response<Body> {
        edge::request::answer(&request, self.receive(&request, now)).await
    }

    async fn receive(&self, request: &Request, now: Time) -> Result<Reply, Problem> {
        if request.method() != Method::POST {
            return Err(Problem::new(Code::NotFound, "nothing is here but Stripe's events, sent with POST"));
        }
        let event = self.verified(request, now)?;
        let id = event.id().clone();
        self.send(event.into_message(now)).await?;
        tracing::info!(event = id.as_str(), "queued");
        Reply::ok(&json!({ "received": true, "event": id }))
    }

    /// The event, if Stripe signed it and it is of this stack's mode.
    fn verified(&self, request: &Request, now: Time) -> Result<VerifiedEvent, Problem> {
        // A value that is no text cannot be a signature, yet is not the same as none.
        let header =
            request.headers().get("stripe-signature").map(|value| value.to_str().unwrap_or_default());
        let body: &[u8] = request.body().as_ref();
        let event = self.verifier.verify(header, body, now).map_err(|rejected| {
            count_refused(rejected.reason(), now);
            Problem::new(code(rejected), rejected.to_string())
        })?;
        if event.livemode() != self.livemode {
            count_refused("wrong_mode", now);
            return Err(wrong_mode(self.livemode));
        }
        Ok(event)
    }

    async fn send(&self, message: Message) -> Result<(), Problem> {
        let send = self.queue.send_message().queue_url(&self.queue_url).message_body(message.to_json());
        match send.send().await {
            Ok(_) => Ok(()),
            // Also where the outcome is unknown: twice on the queue is harmless, not at all is not.
            Err(error) => {
                let mut problem = Problem::try_again(Code::Busy, DisplayErrorContext(error));
                problem.detail = "the event could not be queued; deliver it again".to_owned();
                Err(problem)
            }
        }
    }

    /// Makes the TLS handshake part of the start, which Lambda gives more CPU and Stripe does not wait for.
    /// A failure is only told: should the queue still be away when an event comes, Stripe delivers it again,
    /// while a function that refused to start could not recover with the queue.
    async fn warm_up(&self) {
        if let Err(error) = self.queue.get_queue_attributes().queue_url(&self.queue_url).send().await {
            tracing::warn!(cause = %DisplayErrorContext(error), "the queue did not answer at the start");
        }
    }
}

const SECRET: &str = "STRIPE_WEBHOOK_SECRET";

fn verifier(env: &Env) -> Result<Verifier, BadSetting> {
    env.required(SECRET)?;
    let wrong =
        |error: stripe_event::BadSecret| BadSetting::Wrong { name: SECRET, problem: error.to_string() };
    Verifier::new(env.list(SECRET)).map_err(wrong)
}

fn livemode(env: &Env) -> Result<bool, BadSetting> {
    // Without a default: a live stack that was told nothing would refuse every sale.
    env.required("STRIPE_MODE")?;
    Ok(env.choice("STRIPE_MODE", &["test", "live"])? == "live")
}

/// Stripe hangs up after some ten seconds; it should hear of a failure before that.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

async fn queue(env: &Env) -> Result<Client, BadSetting> {
    let timeouts =
        TimeoutConfig::builder().operation_timeout(SEND_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
    let mut config = Builder::from(&edge::aws::config(env).await?).timeout_config(timeouts.build());
    if let Some(endpoint) = env.optional("AWS_ENDPOINT_URL_SQS") {
        config = config.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(config.build()))
}

const fn code(rejected: Rejected) -> Code {
    match rejected {
        Rejected::TooLarge => Code::TooLarge,
        Rejected::Malformed => Code::InvalidRequest,
        Rejected::Unsigned
        | Rejected::UnreadableSignature
        | Rejected::Stale { .. }
        | Rejected::Future { .. }
        | Rejected::WrongSignature => Code::InvalidSignature,
    }
}

fn wrong_mode(livemode: bool) -> Problem {
    let (ours, theirs) = if livemode { ("live", "test") } else { ("test", "live") };
    let detail = format!(
        "this stack is in {ours} mode and the event is of {theirs} mode; \
         point the {theirs}-mode endpoint at a stack of its own"
    );
    Problem::new(Code::WrongMode, detail)
}

fn count_refused(reason: &str, now: Time) {
    edge::metrics::count("webhook_refused", "reason", reason, now);
}
