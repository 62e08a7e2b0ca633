//! In whatever order Stripe's events arrive, how often, in which form and in which company: the books end the same.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::slice;

use fastrand::Rng;
use serde_json::{Value, json};
use store::Read;

use crate::histories::{self, Deed};
use crate::images::{Image, Meaning};
use crate::tales::{Tale, Told, says_something};
use crate::world::{World, thin};

/// Something that leads to a look.
#[derive(Clone)]
enum Telling<'a> {
    /// What Stripe sends, and what it is called.
    Event(Cow<'a, str>, Cow<'a, Value>),
    /// The buyer comes back from the checkout that was paid last.
    Page(&'a str),
}

/// A few of them, and the books that they come into.
struct Window<'a> {
    world: &'a World,
    tale: &'a Tale,
    tellings: Vec<Telling<'a>>,
    start: Rc<Image>,
    from: &'static str,
    /// The table as it is.
    is: RefCell<Rc<Image>>,
}

/// The books after some of them, and one order in which those came.
#[derive(Clone)]
struct Reached {
    image: Rc<Image>,
    meaning: Meaning,
    order: Vec<String>,
}

/// How much is tried of each history.
struct Measure {
    /// So many consecutive events in every order.
    every_order_of: usize,
    /// Only at the ends of every so many deeds.
    of_every: usize,
    /// Orders drawn of the last six events at each deed's end.
    drawn: usize,
    /// Orders drawn of the whole history.
    whole: usize,
    /// Whether each deed is told both to books that know nothing and to those that know what was before, or in turns.
    both_starts: bool,
}

/// Without optimization all there is would take minutes a history.
const MEASURE: Measure = match cfg!(debug_assertions) {
    true => Measure { every_order_of: 4, of_every: 4, drawn: 1, whole: 1, both_starts: false },
    false => Measure { every_order_of: AT_ONCE, of_every: 1, drawn: 12, whole: 100, both_starts: true },
};
const AT_ONCE: usize = 6;
/// As the queue hands them out.
const BATCH: usize = 10;

impl Measure {
    fn starts(&self, number: usize) -> Vec<bool> {
        if self.both_starts { vec![true, false] } else { vec![number.is_multiple_of(2)] }
    }
}

impl Telling<'_> {
    /// Some are told thin, where that tells as much.
    fn in_some_form(&self, rng: &mut Rng) -> Self {
        if let Telling::Event(name, event) = self
            && rng.u8(0..3) == 0
            && let shape = thin(event)
            && says_something(&shape)
        {
            return Telling::Event(format!("{name} (thin)").into(), Cow::Owned(shape));
        }
        self.clone()
    }
}

impl<'a> Window<'a> {
    /// The last events, and the page.
    fn of_last(tale: &'a Tale, most: usize, is_fresh: bool, is: &Rc<Image>) -> Window<'a> {
        let told = &tale.told[tale.told.len().saturating_sub(most)..];
        let event = |told: &'a Told| Telling::Event((&told.name).into(), Cow::Borrowed(&told.event));
        let tellings = told.iter().map(event).collect();
        let (start, from) = match is_fresh {
            true => (&tale.fresh, "with nothing known"),
            false => (&told[0].before, "with all known that was before"),
        };
        let (start, is) = (start.clone(), RefCell::new(is.clone()));
        Window { world: &tale.world, tale, tellings, start, from, is }
    }

    fn with_page(mut self) -> Window<'a> {
        let session = self.tale.session.as_deref();
        self.tellings.extend(session.map(Telling::Page));
        self
    }

    /// From every subset by every one to the next: all orders there are, in which each may also come again. Books that
    /// mean the same go on alike, so none is gone twice. Each keeps one form: before all is told, a snapshot may say
    /// less than a look at Stripe.
    async fn every_order(&self, rng: &mut Rng) {
        let tellings: Vec<_> = self.tellings.iter().map(|telling| telling.in_some_form(rng)).collect();
        let all = (1usize << self.tellings.len()) - 1;
        let mut reached: Vec<Option<Reached>> = vec![None; all + 1];
        reached[0] = Some(self.begin().await);
        for subset in 0..=all {
            for (index, telling) in tellings.iter().enumerate() {
                let from = reached[subset].as_ref().expect("every smaller subset was reached");
                let next = self.after(from, slice::from_ref(telling)).await;
                match &mut reached[subset | (1 << index)] {
                    Some(known) => known.expect_same(&next),
                    unknown => *unknown = Some(next),
                }
            }
        }
    }

    /// All of them shuffled, some twice, in batches of any length.
    async fn drawn_orders(&self, count: usize, rng: &mut Rng) {
        if count == 0 {
            return;
        }
        let mut usual = self.begin().await;
        for telling in &self.tellings {
            usual = self.after(&usual, &[telling.in_some_form(rng)]).await;
        }
        for _ in 0..count {
            let again = 1 + self.tellings.len() / AT_ONCE;
            let again: Vec<_> = (0..again).filter_map(|_| rng.choice(&self.tellings)).collect();
            let all = self.tellings.iter().chain(again);
            let mut order: Vec<_> = all.map(|telling| telling.in_some_form(rng)).collect();
            rng.shuffle(&mut order);
            let (mut reached, mut left) = (self.begin().await, &order[..]);
            while !left.is_empty() {
                let (batch, rest) = left.split_at(rng.usize(1..=left.len().min(BATCH)));
                reached = self.after(&reached, batch).await;
                left = rest;
            }
            usual.expect_same(&reached);
        }
    }

    async fn begin(&self) -> Reached {
        self.put_back(&self.start).await;
        let meaning = self.world.meaning(&self.tale.caller.user, &self.start).await;
        Reached { image: self.start.clone(), meaning, order: vec![self.from.to_owned()] }
    }

    async fn put_back(&self, was: &Rc<Image>) {
        let is = self.is.replace(was.clone());
        if !Rc::ptr_eq(was, &is) {
            self.world.put_back(was, &is).await;
        }
    }

    /// The events of a batch arrive at once.
    async fn after(&self, from: &Reached, batch: &[Telling<'_>]) -> Reached {
        self.put_back(&from.image).await;
        let (mut events, mut names) = (Vec::new(), Vec::new());
        for telling in batch {
            match telling {
                Telling::Event(name, event) => {
                    events.push(event.as_ref().clone());
                    names.push(name.to_string());
                }
                Telling::Page(session) => {
                    let route = "GET /v1/me/checkout/{id}";
                    let shown = self.world.ask_about(&self.tale.caller, route, session, json!(null)).await;
                    assert_eq!(shown.0, 200, "{}", shown.1);
                    names.push("the success page".to_owned());
                }
            }
        }
        self.world.deliver(&events).await;
        let image = Rc::new(self.world.image().await);
        self.is.replace(image.clone());
        let meaning = self.world.meaning(&self.tale.caller.user, &image).await;
        let order = from.order.iter().cloned().chain([names.join(" + ")]).collect();
        Reached { image, meaning, order }
    }
}

impl Reached {
    fn expect_same(&self, other: &Reached) {
        let (first, second) = (self.order.join("\n    "), other.order.join("\n    "));
        let differ = self.meaning.differs(&other.meaning);
        assert!(differ.is_empty(), "{first}\n  and\n    {second}\n  end {differ}");
    }
}

/// Where Stripe, by what the books did, comes to rest after each deed, everything it said is told anew: to books that know
/// nothing, and to those that know all that was before.
async fn tell(history: &[Deed]) {
    let mut rng = Rng::with_seed(7);
    let mut tale = Tale::begin().await;
    for (number, deed) in history.iter().enumerate() {
        let known = tale.told.len();
        tale.go_on(*deed).await;
        if tale.told.len() == known {
            continue;
        }
        let mut is = tale.now.clone();
        for is_fresh in MEASURE.starts(number) {
            let window = Window::of_last(&tale, AT_ONCE, is_fresh, &is).with_page();
            window.drawn_orders(MEASURE.drawn, &mut rng).await;
            is = window.is.into_inner();
            if number % MEASURE.of_every == MEASURE.of_every - 1 {
                let window = Window::of_last(&tale, MEASURE.every_order_of, is_fresh, &is);
                window.every_order(&mut rng).await;
                is = window.is.into_inner();
            }
        }
        assert!(tale.is_at_rest().await, "told again, it moved something in Stripe");
        tale.world.put_back(&tale.now, &is).await;
    }
    Window::of_last(&tale, usize::MAX, true, &tale.now).drawn_orders(MEASURE.whole, &mut rng).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_paid_period_brings_is_what_was_paid_whenever_a_change_is_heard_of() {
    for (change, expected) in [(Deed::IsMovedTo("larger"), 300), (Deed::MovesTo("larger"), 800)] {
        for is_heard_before in [true, false] {
            let mut tale = Tale::begin().await;
            match is_heard_before {
                true => tale.go_on(Deed::Subscribes("billed")).await,
                false => tale.act(Deed::Subscribes("billed")).await,
            }
            tale.go_on(change).await;
            let account = tale.world.store.account(&tale.caller.user, Read::Consistent).await.unwrap();
            assert_eq!(account.balances().available.get(), expected, "{change:?}, {is_heard_before}");
        }
    }
}

macro_rules! told_in_any_order {
    ($($name:ident: $history:ident,)*) => {
        $(#[tokio::test(start_paused = true)]
        async fn $name() {
            tell(histories::$history).await;
        })*
    };
}

told_in_any_order! {
    the_life_of_a_subscription: LIFE,
    changes_of_a_plan: CHANGES,
    refunds: REFUNDS,
    disputes: DISPUTES,
    a_plan_that_is_refunded: REFUNDED_PLAN,
    a_plan_that_is_disputed: DISPUTED_PLAN,
    debits_that_take_days: DEBITS,
    a_subscription_without_a_page: DIRECT,
    a_second_subscription: SECOND,
}
