//! How far something has come, on a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const WIDTH: u64 = 40;
/// What is over sooner needs no bar.
const MUCH: Duration = Duration::from_secs(1);
const REDRAWN: Duration = Duration::from_millis(100);

/// A bar with its numbers.
pub fn drawn(done: u64, total: u64) -> String {
    let filled = usize::try_from(done.min(total) * WIDTH / total.max(1)).unwrap_or_default();
    let (full, empty) = ("█".repeat(filled), "░".repeat(WIDTH as usize - filled));
    format!("{full}{empty} {done} of {total}")
}

/// A bar on the error stream, if that is a terminal, for what takes long. Its line is free again when it is dropped.
pub struct Bar {
    what: &'static str,
    total: u64,
    done: u64,
    next: Option<Instant>,
    drew: bool,
}

impl Bar {
    pub fn new(what: &'static str, total: u64) -> Bar {
        let next = std::io::stderr().is_terminal().then(|| Instant::now() + MUCH);
        Bar { what, total, done: 0, next, drew: false }
    }

    pub fn add(&mut self, done: u64) {
        self.done += done;
        let now = Instant::now();
        if self.next.is_some_and(|next| now >= next) {
            self.next = Some(now + REDRAWN);
            self.drew = true;
            // The total is an estimate.
            self.write(&format!("\r{} {}", drawn(self.done, self.total.max(self.done)), self.what));
        }
    }

    fn write(&self, text: &str) {
        // A terminal that is gone shows nothing.
        drop(std::io::stderr().write_all(text.as_bytes()));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drew {
            self.write("\r\x1b[K");
        }
    }
}
