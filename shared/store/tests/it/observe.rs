//! Looks at a subscription that cross each other and other writes: the books end where Stripe did.

use std::cell::Cell;
use std::rc::Rc;

use domain::account::Account;
use domain::change::Change;
use domain::follow::observe;
use domain::subscription::{Seen, Status};
use store::{Read, Store, StoreError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};

use crate::table::{NOW, Table, consume, premium, purchase, subscription_id, user};

fn at_now(account: &Account, seen: &Seen) -> Option<Change> {
    observe(account, seen, NOW)
}

/// One move of the world, in one of its possible orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Stripe's state changes for the first time, or the second.
    Toggle,
    /// A sync reads the account, asks Stripe, writes.
    Read(usize),
    Fetch(usize),
    Write(usize),
    /// Somebody else writes the account.
    Purchase,
}

/// Every order of the steps that keeps each of the lists in its own order.
pub fn interleavings<S: Copy>(lists: &[Vec<S>]) -> Vec<Vec<S>> {
    if lists.iter().all(Vec::is_empty) {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, list) in lists.iter().enumerate().filter(|(_, list)| !list.is_empty()) {
        let mut rest = lists.to_vec();
        rest[index].remove(0);
        for mut order in interleavings(&rest) {
            order.insert(0, list[0]);
            all.push(order);
        }
    }
    all
}

/// A sync that stops before it asks Stripe and before it writes, until it is told to go on.
struct Sync {
    go: UnboundedSender<()>,
    stopped: UnboundedReceiver<bool>,
    done: bool,
}

impl Sync {
    /// Starts it: it reads the account and stops.
    async fn start(store: Store, stripe: Rc<Cell<Status>>) -> Sync {
        let (go, gate) = unbounded_channel();
        let (stopping, stopped) = unbounded_channel();
        let gate = tokio::sync::Mutex::new(gate);
        let stop = stopping.clone();
        spawn_local(async move {
            let look = async |_| {
                stop.send(false).unwrap();
                gate.lock().await.recv().await.unwrap();
                let seen = Seen { status: stripe.get(), ..premium() };
                stop.send(false).unwrap();
                gate.lock().await.recv().await.unwrap();
                Ok::<_, StoreError>(seen)
            };
            store.observe(&user(), look, at_now).await.unwrap();
            stopping.send(true).unwrap();
        });
        let mut sync = Sync { go, stopped, done: false };
        sync.arrive().await;
        sync
    }

    async fn go_on(&mut self) {
        if !self.done {
            self.go.send(()).unwrap();
            self.arrive().await;
        }
    }

    async fn arrive(&mut self) {
        self.done = self.stopped.recv().await.unwrap();
    }
}

async fn play(table: &Table, order: &[Step]) -> Status {
    let stripe = Rc::new(Cell::new(Status::Active));
    let mut syncs: [Option<Sync>; 2] = [None, None];
    for step in order {
        match *step {
            Step::Toggle if stripe.get() == Status::Active => stripe.set(Status::PastDue),
            Step::Toggle => stripe.set(Status::Active),
            Step::Read(which) => {
                syncs[which] = Some(Sync::start(table.another_store(), stripe.clone()).await);
            }
            Step::Fetch(which) | Step::Write(which) => syncs[which].as_mut().unwrap().go_on().await,
            Step::Purchase => drop(table.apply(&purchase("medium", 1)).await),
        }
    }
    for sync in syncs.iter_mut().flatten() {
        while !sync.done {
            sync.go_on().await;
        }
    }
    stripe.get()
}

/// What happens between one start of the world and its end, for every order: the books say what Stripe says.
async fn ends_as_stripe_does(orders: Vec<Vec<Step>>) {
    let table = Table::new().await;
    for order in &orders {
        reset(&table).await;
        table.see(premium()).await;
        let truth = play(&table, order).await;
        let account = table.store.account(&user(), Read::Consistent).await.unwrap();
        assert_eq!(account.subscriptions[0].seen.status, truth, "{order:?}");
        assert_eq!(account.subscriptions.len(), 1);
    }
    println!("{} orders", orders.len());
}

pub async fn reset(table: &Table) {
    let scan = table.client.scan().table_name(crate::table::TABLE).send().await.unwrap();
    for item in scan.items() {
        if !item["PK"].as_s().unwrap().starts_with('K') {
            let delete = table.client.delete_item().table_name(crate::table::TABLE);
            delete.key("PK", item["PK"].clone()).key("SK", item["SK"].clone()).send().await.unwrap();
        }
    }
}

fn sync(which: usize) -> Vec<Step> {
    vec![Step::Read(which), Step::Fetch(which), Step::Write(which)]
}

/// The last change sets off a sync, so at least one starts after it.
fn is_followed_by_a_sync(order: &[Step]) -> bool {
    let last_toggle = order.iter().rposition(|step| *step == Step::Toggle);
    order.iter().rposition(|step| matches!(step, Step::Read(_))) > last_toggle
}

#[tokio::test]
async fn two_syncs_in_any_order_end_where_a_toggling_subscription_ended() {
    let lists = [vec![Step::Toggle, Step::Toggle], sync(0), sync(1)];
    let mut orders = interleavings(&lists);
    orders.retain(|order| is_followed_by_a_sync(order));
    assert!(orders.len() > 80, "{}", orders.len());
    LocalSet::new().run_until(ends_as_stripe_does(orders)).await;
}

#[tokio::test]
async fn a_purchase_between_read_and_write_does_not_lose_what_was_seen() {
    let mut orders = interleavings(&[vec![Step::Toggle], sync(0), vec![Step::Purchase]]);
    orders.retain(|order| is_followed_by_a_sync(order));
    LocalSet::new().run_until(ends_as_stripe_does(orders)).await;
}

#[tokio::test]
async fn a_subscription_that_ended_before_anybody_heard_of_it_is_counted_and_changes_nothing() {
    let table = Table::new().await;
    let ended = Seen { status: Status::Canceled, ended_at: Some(NOW), ..premium() };
    assert_eq!(table.see(ended).await, None);
    let account = table.store.account(&user(), Read::Consistent).await.unwrap();
    assert_eq!((account.seq, account.obs, account.subscriptions.len()), (0, 1, 0));
    table.done(&purchase("medium", 1)).await;
    let account = table.store.account(&user(), Read::Consistent).await.unwrap();
    assert_eq!((account.seq, account.obs), (1, 1));
}

#[tokio::test]
async fn twenty_looks_at_once_are_one_entry() {
    let table = Table::new().await;
    let mut looks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = table.another_store();
        looks.spawn(async move {
            let look = |_| std::future::ready(Ok(premium()));
            loop {
                match store.observe(&user(), look, at_now).await {
                    Ok(observed) => return observed,
                    Err(StoreError::Busy(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    let observed = looks.join_all().await;
    assert_eq!(observed.iter().filter(|observed| observed.news.is_some()).count(), 1);
    let account = table.store.account(&user(), Read::Consistent).await.unwrap();
    assert_eq!((account.seq, account.obs), (1, 20));
    assert_eq!(account.subscriptions[0].seen.id, subscription_id());
    assert!(matches!(table.apply(&consume(1, 1)).await, store::Applied::Refused(_)), "nothing is paid yet");
}
