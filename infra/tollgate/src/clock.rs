//! The stack's one clock: the wall clock, moved ahead by what a developer asked for.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::time::Time;

use crate::whole_file;

/// Clones share the clock.
#[derive(Clone)]
pub struct Clock(Arc<Shared>);

struct Shared {
    /// Also held while the offset is written, so that the file never falls behind.
    file: Mutex<Option<PathBuf>>,
    ahead_ms: AtomicI64,
    /// The latest instant that was told: a wall clock set back must not take the stack's with it.
    told_ms: AtomicI64,
}

impl Clock {
    /// A clock that remembers in a file how far it was moved, or one that forgets.
    pub fn open(file: Option<PathBuf>) -> io::Result<Clock> {
        let text = match &file {
            Some(file) if file.exists() => std::fs::read_to_string(file)?,
            _ => "0".to_owned(),
        };
        let wrong =
            |error| io::Error::new(io::ErrorKind::InvalidData, format!("the clock's offset: {error}"));
        let ahead_ms: i64 = text.trim().parse().map_err(wrong)?;
        let shared = Shared {
            file: Mutex::new(file),
            ahead_ms: AtomicI64::new(ahead_ms.max(0)),
            told_ms: AtomicI64::new(i64::MIN),
        };
        Ok(Clock(Arc::new(shared)))
    }

    pub fn now(&self) -> Time {
        let wall = edge::now();
        let moved = wall.plus_ms(self.0.ahead_ms.load(Ordering::SeqCst)).millis();
        Time::from_millis(self.0.told_ms.fetch_max(moved, Ordering::SeqCst).max(moved))
    }

    /// Moves the clock ahead, on disk before anywhere else.
    pub fn advance(&self, ms: i64) -> io::Result<Time> {
        let file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if ms < 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the clock never moves backwards"));
        }
        let ahead_ms = self.0.ahead_ms.load(Ordering::SeqCst).saturating_add(ms);
        if let Some(file) = &*file {
            whole_file::write(file, format!("{ahead_ms}\n").as_bytes())?;
        }
        self.0.ahead_ms.store(ahead_ms, Ordering::SeqCst);
        Ok(self.now())
    }

    /// Moves the clock to an instant; one that has passed changes nothing.
    pub fn advance_to(&self, at: Time) -> io::Result<Time> {
        self.advance(at.millis().saturating_sub(self.now().millis()).max(0))
    }
}

#[cfg(test)]
mod tests {
    use domain::time::{DAY_MS, HOUR_MS};

    use super::*;

    #[test]
    fn a_moved_clock_stays_moved_when_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("companion").join("clock");
        let before = edge::now();
        Clock::open(Some(file.clone())).unwrap().advance(7 * DAY_MS).unwrap();
        let clock = Clock::open(Some(file)).unwrap();
        assert!(clock.now() >= before.plus_ms(7 * DAY_MS));
        assert!(clock.now() < before.plus_ms(7 * DAY_MS + HOUR_MS));
    }

    #[test]
    fn the_clock_never_moves_backwards() {
        let clock = Clock::open(None).unwrap();
        let later = clock.now().plus_ms(DAY_MS);
        assert!(clock.advance_to(later).unwrap() >= later);
        assert!(clock.advance(-1).is_err());
        assert!(clock.advance_to(later.plus_ms(-DAY_MS)).unwrap() >= later);
        clock.0.ahead_ms.store(0, Ordering::SeqCst);
        assert!(clock.now() >= later, "as if the wall clock had been set back");
    }

    #[test]
    fn an_unreadable_offset_is_an_error_and_not_zero() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        std::fs::write(&file, "soon").unwrap();
        assert!(Clock::open(Some(file)).is_err());
    }
}
