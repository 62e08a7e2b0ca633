//! One batch. Its events are read ahead, so that what several of them lead to is looked at once, with what any of
//! them hints at; every record is told what came of that.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use domain::ids::{CheckoutId, InvoiceId, SubscriptionId, UserId};
use domain::payment::References;
use domain::time::Time;
use futures_util::FutureExt;
use stripe_event::{Event, Fact, Hint, Lead, Message, Sighting};

use crate::once::Once;
use crate::reach::{Question, Reached, Target};
use crate::{Credit, Failed, NotSettled, PATIENCE};

pub(crate) struct Visit<'a> {
    credit: &'a Credit,
    /// By message.
    events: &'a BTreeMap<String, Event>,
    now: Time,
    asked: Once<'a, Question, Result<Vec<Target>, Failed>>,
    reached: Once<'a, Target, Result<Reached, Failed>>,
}

/// An invoice of no subscription, a session that is still open, a schedule that has not begun.
const LEADS_NOWHERE: &str = "leads nowhere";

/// What can be read of a batch. What cannot, or panics, is read again where it fails alone.
pub(crate) fn read_ahead(batch: &SqsEvent) -> BTreeMap<String, Event> {
    let read_ahead = |record: &SqsMessage| {
        let event = catch_unwind(AssertUnwindSafe(|| read(record))).ok()?.ok()?;
        Some((record.message_id.clone()?, event))
    };
    batch.records.iter().filter_map(read_ahead).collect()
}

fn read(record: &SqsMessage) -> Result<Event, NotSettled> {
    let Message::StripeV1 { body, .. } = Message::parse(record.body.as_deref().unwrap_or_default())?;
    Ok(stripe_event::decode(&body)?)
}

impl<'a> Visit<'a> {
    pub fn new(credit: &'a Credit, events: &'a BTreeMap<String, Event>, now: Time) -> Visit<'a> {
        Visit { credit, events, now, asked: Once::new(), reached: Once::new() }
    }

    pub async fn record(&self, record: SqsMessage) -> Result<(), Failed> {
        let known = record.message_id.as_ref().and_then(|id| self.events.get(id));
        let event = match known {
            Some(event) => Cow::Borrowed(event),
            None => Cow::Owned(read(&record)?),
        };
        let settled = tokio::time::timeout(PATIENCE, self.settle(&event)).await;
        let settled = settled.unwrap_or_else(|_| Err(NotSettled::TookTooLong.into()));
        let outcome = settled.as_ref().copied().unwrap_or("failed");
        self.credit.audit(&event, outcome, self.now).await;
        settled.map(drop)
    }

    async fn settle(&self, event: &Event) -> Result<&'static str, Failed> {
        if event.livemode != self.credit.settle.livemode() {
            return Ok("another mode's");
        }
        match &event.fact {
            Fact::Paid(Sighting { payment, session }) => {
                self.sale(Target::Sale(payment.clone()), session.as_ref(), event).await
            }
            Fact::Subscription { id, hint } => {
                let target = Target::Subscription(id.clone());
                Ok(self.reach(target, self.credit.user_of(hint), event).await?.outcome)
            }
            Fact::Invoice(invoice) => self.follow(Question::SubscriptionOf(invoice.clone()), event).await,
            Fact::Declined { invoice, subscription, hint } => {
                self.declined(invoice, subscription.as_ref(), hint, event).await
            }
            Fact::Attempt { payment, hint } => {
                self.attempt(Target::Attempt(payment.clone()), hint, event).await
            }
            Fact::Charge { payment, charge, receipt_url, hint } => {
                let (charge, receipt_url) = (Some(charge.clone()), receipt_url.clone());
                let references = References { checkout: None, charge, receipt_url };
                Ok(self.credit.refer(payment, &references, hint).await?)
            }
            Fact::Reversal { payment } => {
                Ok(self.reach(Target::Reversal(payment.clone()), None, event).await?.outcome)
            }
            Fact::Lead(lead) => self.follow(Question::Behind(lead.clone()), event).await,
            Fact::Processing { .. } => Ok("processing"),
            Fact::Stranger => Ok("not ours"),
            Fact::Other => {
                edge::metrics::count("unhandled_event", "type", &event.kind, self.now);
                Ok("unhandled type")
            }
        }
    }

    async fn sale(
        &self,
        sale: Target,
        session: Option<&CheckoutId>,
        event: &Event,
    ) -> Result<&'static str, Failed> {
        let reached = self.reach(sale, None, event).await?;
        if let (Some((user, payment)), Some(session)) = (&reached.credited, session) {
            let references = References { checkout: Some(session.clone()), ..References::default() };
            self.credit.store.refer(user, payment, &references).await?;
        }
        Ok(reached.outcome)
    }

    /// An invoice's intent carries nothing of ours, and whose customer it is says whether to look.
    async fn attempt(&self, attempt: Target, hint: &Hint, event: &Event) -> Result<&'static str, Failed> {
        if self.credit.is_another_stacks(hint) {
            return Ok("another stack's");
        }
        let user = self.credit.hinted(hint).await?;
        let is_strangers = user.is_none() && hint.stack.is_none() && hint.customer.is_some();
        if is_strangers {
            return Ok("not ours");
        }
        Ok(self.reach(attempt, user, event).await?.outcome)
    }

    /// What the subscription is by now comes first: whose it is says whose the attempts to pay were.
    async fn declined(
        &self,
        invoice: &InvoiceId,
        subscription: Option<&SubscriptionId>,
        hint: &Hint,
        event: &Event,
    ) -> Result<&'static str, Failed> {
        let named = match subscription {
            Some(id) => Some(Target::Subscription(id.clone())),
            None => self.ask(Question::SubscriptionOf(invoice.clone())).await?.pop(),
        };
        let Some(subscription) = named else { return Ok(LEADS_NOWHERE) };
        let Reached { mut outcome, user, .. } =
            self.reach(subscription, self.credit.user_of(hint), event).await?;
        if user.is_some() {
            for attempt in self.ask(Question::IntentsOf(invoice.clone())).await? {
                outcome = self.reach(attempt, user.clone(), event).await?.outcome;
            }
        }
        Ok(outcome)
    }

    /// Where an event leads without saying so itself.
    async fn follow(&self, question: Question, event: &Event) -> Result<&'static str, Failed> {
        let session = match &question {
            Question::Behind(Lead::Session(session)) => Some(session.clone()),
            _ => None,
        };
        match self.ask(question).await?.pop() {
            Some(sale @ Target::Sale(_)) => self.sale(sale, session.as_ref(), event).await,
            Some(target) => Ok(self.reach(target, None, event).await?.outcome),
            None => Ok(LEADS_NOWHERE),
        }
    }

    async fn ask(&self, question: Question) -> Result<Vec<Target>, Failed> {
        let credit = self.credit;
        let answer = |question: &Question| {
            let question = question.clone();
            async move { Ok(credit.answer(&question).await?) }.boxed()
        };
        self.asked.of(question, answer).await
    }

    async fn reach(&self, target: Target, hint: Option<UserId>, event: &Event) -> Result<Reached, Failed> {
        let (credit, now) = (self.credit, self.now);
        let begin = |target: &Target| {
            let hint = hint.or_else(|| self.hinted_elsewhere(target));
            let (target, seen_in) = (target.clone(), event.id.clone());
            async move { Ok(credit.reach(&target, hint, &seen_in, now).await?) }.boxed()
        };
        self.reached.of(target, begin).await
    }

    /// Whose it is by another event of the batch.
    fn hinted_elsewhere(&self, target: &Target) -> Option<UserId> {
        self.events.values().find_map(|event| match (&event.fact, target) {
            (Fact::Subscription { id, hint }, Target::Subscription(wanted))
            | (Fact::Declined { subscription: Some(id), hint, .. }, Target::Subscription(wanted))
                if id == wanted =>
            {
                self.credit.user_of(hint)
            }
            (Fact::Attempt { payment, hint }, Target::Attempt(wanted)) if payment == wanted => {
                self.credit.user_of(hint)
            }
            _ => None,
        })
    }
}
