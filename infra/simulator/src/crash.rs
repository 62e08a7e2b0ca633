//! Pulling the plug: a future that is dropped at one of its await points, as a killed function would be.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Where an invocation stands: which call it is about to make or waits for, and how often it has waited since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Point {
    pub begun: u16,
    pub done: u16,
    pub call: &'static str,
    pub waited: u16,
}

thread_local! {
    /// Of the invocation that is polled now: everything runs on one thread.
    static HERE: Cell<Point> = const { Cell::new(Point { begun: 0, done: 0, call: "", waited: 0 }) };
}

/// Says that the invocation that is polled now begins a call.
pub fn begins(call: &'static str) {
    HERE.set(Point { begun: HERE.get().begun + 1, call, waited: 0, ..HERE.get() });
}

/// Says that its latest call was carried out; it is not told yet.
pub fn done() {
    HERE.set(Point { done: HERE.get().done + 1, waited: 0, ..HERE.get() });
}

/// How an invocation ended.
#[derive(Debug)]
pub enum Ended<T> {
    Answered(T),
    /// Dropped here.
    Crashed(Point),
}

/// Runs a future until it is done, or until it has waited so many times.
pub struct Mortal<F: ?Sized> {
    here: Point,
    waits_left: Option<u32>,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future + ?Sized> Mortal<F> {
    pub fn new(future: Pin<Box<F>>, waits: Option<u32>) -> Mortal<F> {
        Mortal { here: Point::default(), waits_left: waits, future: Some(future) }
    }
}

impl<F: Future + ?Sized> Future for Mortal<F> {
    type Output = Ended<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(future) = &mut this.future else { return Poll::Pending };
        let outside = HERE.replace(this.here);
        let polled = future.as_mut().poll(context);
        this.here = HERE.replace(outside);
        if let Poll::Ready(output) = polled {
            this.future = None;
            return Poll::Ready(Ended::Answered(output));
        }
        this.here.waited += 1;
        match &mut this.waits_left {
            Some(0) => {
                this.future = None;
                Poll::Ready(Ended::Crashed(this.here))
            }
            Some(left) => {
                *left -= 1;
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Point { begun, done, call, waited } = self;
        write!(f, "call {begun} ({call}), {done} done, waited {waited} times")
    }
}
