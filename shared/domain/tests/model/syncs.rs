//! Workers that look at one subscription while Stripe changes it: the books end where Stripe did.

use domain::account::Account;
use domain::change::Change;
use domain::follow::observe;
use domain::ids::SubscriptionId;
use domain::item::Interval;
use domain::money::{Currency, Money};
use domain::subscription::{Seen, Status, Terms};

use crate::books::{Books, spend, start};
use crate::explore::{self, Counterexample, World, explore};
use crate::table::{Attempt, Fenced, OURS, Rules, Table};

/// A subscription that Stripe still changes, told of by events, each of which sets off one sync.
#[derive(Debug, Clone)]
struct Following {
    /// With whoever spends meanwhile.
    books: Books,
    stripe: Status,
    changes_to_come: u32,
    events: u32,
    syncs: Vec<Sync>,
}

/// What a worker that syncs does next, as `Store::observe` goes.
#[derive(Debug, Clone)]
enum Sync {
    Waits,
    Reads,
    /// Asks Stripe, having read this account.
    Looks(Account),
    /// Has asked first, and reads then: what no rule of ours lets it do.
    ReadsLate(Seen),
    Writes {
        known: Account,
        look: Seen,
    },
    /// The entry's own key was taken: reads what the account is now.
    ReadsAgain {
        known: Account,
        look: Seen,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Stripe changes the subscription, and sends an event.
    Stripe,
    Sync(usize),
    /// Its write, whose answer gets lost.
    Unheard(usize),
    Others(crate::books::Step),
}

fn premium(status: Status) -> Seen {
    Seen {
        id: SubscriptionId::parse("sub_1").unwrap(),
        plan: "premium".parse().unwrap(),
        group: "main".to_owned(),
        catalog: 1,
        interval: Interval::Month,
        price: Money { amount_minor: 999, currency: Currency::parse("eur").unwrap() },
        status,
        anchor: start(),
        period_start: start(),
        period_end: start().plus_months(1),
        trial_end: None,
        cancel_at: None,
        ended_at: None,
        allowance: None,
        quantity: 1,
        next: None,
        terms: Terms::default(),
    }
}

impl Sync {
    fn go_on(&self, table: &mut Table, stripe: Status, now: domain::time::Time) -> Sync {
        match self {
            Sync::Waits | Sync::Reads if table.rules.reads_before_looking => {
                Sync::Looks(table.account.clone())
            }
            Sync::Waits | Sync::Reads => Sync::ReadsLate(premium(stripe)),
            Sync::ReadsLate(look) => Sync::Writes { known: table.account.clone(), look: look.clone() },
            Sync::Looks(known) => Sync::Writes { known: known.clone(), look: premium(stripe) },
            Sync::Writes { known, look } => {
                let change = observe(known, look, now);
                match write(table, known, change.as_ref()) {
                    Attempt::Written => Sync::Waits,
                    Attempt::Exists { .. } => Sync::ReadsAgain { known: known.clone(), look: look.clone() },
                    Attempt::Moved(moved) => moved_on(table.rules, known, moved, look),
                }
            }
            Sync::ReadsAgain { known, look } => moved_on(table.rules, known, table.account.clone(), look),
        }
    }
}

fn write(table: &mut Table, known: &Account, change: Option<&Change>) -> Attempt {
    match change {
        Some(change) => table.commit(change),
        None => table.note_look(known),
    }
}

/// If somebody else looked meanwhile, this look may be the older one.
fn moved_on(rules: Rules, known: &Account, moved: Account, look: &Seen) -> Sync {
    match moved.obs != known.obs && rules.looks_again {
        true => Sync::Looks(moved),
        false => Sync::Writes { known: moved, look: look.clone() },
    }
}

impl World for Following {
    type Step = Step;

    fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self.books.steps().into_iter().map(Step::Others).collect();
        if self.changes_to_come > 0 {
            steps.push(Step::Stripe);
        }
        for (index, sync) in self.syncs.iter().enumerate() {
            if self.events > 0 || !matches!(sync, Sync::Waits) {
                steps.push(Step::Sync(index));
            }
            if self.books.loses_an_answer && matches!(sync, Sync::Writes { .. }) {
                steps.push(Step::Unheard(index));
            }
        }
        steps
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Others(step) => self.books.take(step),
            Step::Stripe => {
                let was_active = self.stripe == Status::Active;
                self.stripe = if was_active { Status::PastDue } else { Status::Active };
                self.changes_to_come -= 1;
                self.events += 1;
            }
            Step::Sync(index) => {
                let begins = matches!(self.syncs[index], Sync::Waits);
                self.events -= u32::from(begins);
                let now = self.books.now;
                self.syncs[index] = self.syncs[index].go_on(&mut self.books.table, self.stripe, now);
            }
            // The message becomes visible again, and is worked from the start.
            Step::Unheard(index) => {
                let now = self.books.now;
                self.syncs[index].go_on(&mut self.books.table, self.stripe, now);
                self.syncs[index] = Sync::Reads;
                self.books.loses_an_answer = false;
            }
        }
    }

    fn fault(&self) -> Option<String> {
        self.books.fault()
    }

    fn fault_at_end(&self) -> Option<String> {
        let held = &self.books.table.account.subscriptions[0].seen;
        let differs = (held.status != self.stripe)
            .then(|| format!("stripe says {}, the books {}", self.stripe.name(), held.status.name()));
        differs.or(self.books.fault_at_end())
    }
}

/// The books know the subscription as active, and Stripe changes it so often.
fn following(rules: Rules, changes: u32, workers: usize) -> Following {
    let mut books = Books::with(5, rules);
    let first = observe(&books.table.account, &premium(Status::Active), start()).unwrap();
    assert!(matches!(books.table.commit(&first), Attempt::Written));
    let syncs = vec![Sync::Waits; workers];
    Following { books, stripe: Status::Active, changes_to_come: changes, events: 0, syncs }
}

/// Two workers that sync, one that spends, and its retry.
fn with_a_spending(rules: Rules) -> Result<explore::Seen, Counterexample<Step>> {
    let world = following(rules, 2, 2);
    explore(Following { books: world.books.writing([spend("photo", 3), spend("photo", 3)]), ..world })
}

#[test]
fn two_workers_and_a_retried_spending_end_where_a_changing_subscription_ended() {
    let seen = with_a_spending(OURS).unwrap();
    assert!(seen.states > 1_000 && seen.ends > 1, "{seen:?}");
}

#[test]
fn three_changes_three_workers_and_a_lost_answer_end_where_stripe_did() {
    let world = following(OURS, 3, 3);
    let seen = explore(Following { books: world.books.losing_an_answer(), ..world }).unwrap();
    assert!(seen.states > 3_000 && seen.ends > 1, "{seen:?}");
}

/// Everybody is at rest, and the books say what Stripe said before.
fn diverges(rules: Rules) {
    let broken = explore(following(rules, 2, 2)).unwrap_err();
    assert_eq!(broken.fault, "stripe says active, the books past_due", "{rules:?}: {:?}", broken.steps);
}

#[test]
fn an_older_look_would_overwrite_a_newer_one_if_a_write_did_not_compare_obs() {
    diverges(Rules { fence: Fenced::BySeq, ..OURS });
}

#[test]
fn an_older_look_would_overwrite_a_newer_one_if_looks_without_news_were_not_counted() {
    diverges(Rules { counts_every_look: false, ..OURS });
}

#[test]
fn an_older_look_would_overwrite_a_newer_one_if_stripe_were_asked_before_the_account_is_read() {
    diverges(Rules { reads_before_looking: false, ..OURS });
}

#[test]
fn an_older_look_would_overwrite_a_newer_one_if_stripe_were_not_asked_again() {
    diverges(Rules { looks_again: false, ..OURS });
}

#[test]
fn a_look_would_lose_a_spending_if_a_write_did_not_compare_seq() {
    for fence in [Fenced::ByObs, Fenced::Not] {
        let broken = with_a_spending(Rules { fence, ..OURS }).unwrap_err();
        assert!(broken.fault.ends_with("is missing"), "{fence:?}: {broken:?}");
    }
}
