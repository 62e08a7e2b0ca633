//! One user's books, walked from the first entry to the last.

use domain::ids::UserId;
use edge::StartError;
use store::items::Item;
use store::proof::{Books, Flaw, differences};

use super::scratch::{Found, Part, Scratch};

/// A user whose journal explains everything, or the first thing that it does not.
pub struct Walked {
    pub entries: u64,
    pub flaw: Option<Flaw>,
    /// What the journal told, as far as it was right, and what it is to explain.
    pub told: Option<Told>,
}

pub struct Told {
    pub books: Books,
    pub account: Option<Item>,
    pub payments: Vec<Item>,
}

pub fn walk(scratch: &Scratch, user: &str) -> Result<Walked, StartError> {
    let Ok(id) = UserId::parse(user) else {
        let flaw = scratch.each(user, |found| Err(found.nobodys(user)))?.err();
        return Ok(Walked { entries: 0, flaw, told: None });
    };
    let told = Told { books: Books::new(id), account: None, payments: Vec::new() };
    let mut walk = Walk { told, entry: None, has_copy: true };
    let read = scratch.each(user, |found| walk.take(found))?;
    let journal = read.and_then(|()| walk.settle_copy());
    let entries = walk.told.books.seq();
    if let Err(flaw) = journal {
        return Ok(Walked { entries, flaw: Some(flaw), told: None });
    }
    let flaw = walk.told.compare().err();
    Ok(Walked { entries, flaw, told: Some(walk.told) })
}

struct Walk {
    told: Told,
    /// The last entry.
    entry: Option<Found>,
    /// Whether the index has it.
    has_copy: bool,
}

impl Walk {
    fn take(&mut self, found: Found) -> Result<(), Flaw> {
        match found.part {
            Part::Entry => self.entry(found),
            Part::Copy => self.copy(&found),
            Part::Account | Part::Payment => {
                let seq = self.told.books.seq();
                let item = found.item.map_err(|flaw| Flaw::at(seq, &flaw, found.key))?;
                match found.part {
                    Part::Account => self.told.account = Some(item),
                    _ => self.told.payments.push(item),
                }
                Ok(())
            }
        }
    }

    fn entry(&mut self, found: Found) -> Result<(), Flaw> {
        self.settle_copy()?;
        let books = &mut self.told.books;
        let expected = books.seq() + 1;
        if found.seq > expected {
            return Err(Flaw::missing(expected));
        }
        if found.seq < expected && books.seq() > 0 {
            let another = self.entry.as_ref().and_then(|entry| entry.key.as_ref());
            let another = another.map_or("elsewhere too", |key| &key.pk);
            return Err(Flaw::at(found.seq, &format!("it is there twice, as {another} also"), found.key));
        }
        let item = found.item.as_ref().map_err(|flaw| Flaw::at(expected, flaw, found.key.clone()))?;
        books.entry(item)?;
        (self.entry, self.has_copy) = (Some(found), false);
        Ok(())
    }

    fn copy(&mut self, copy: &Found) -> Result<(), Flaw> {
        let seq = self.told.books.seq();
        let flaw = |seq, what: String| Err(Flaw::at(seq, &what, copy.key.clone()));
        let item = match &copy.item {
            Ok(item) => item,
            Err(what) => return flaw(copy.seq, format!("its copy in the journal's index: {what}")),
        };
        match &self.entry {
            _ if copy.seq > seq + 1 => Err(Flaw::missing(seq + 1)),
            Some(Found { item: Ok(entry), .. }) if copy.seq == seq => {
                if let Some(difference) = differences(item, entry) {
                    return flaw(seq, format!("in its copy in the journal's index, {difference}"));
                }
                if self.has_copy {
                    return flaw(seq, "the journal's index has it twice".to_owned());
                }
                self.has_copy = true;
                Ok(())
            }
            _ => flaw(copy.seq, "it is missing; the journal's index still has a copy".to_owned()),
        }
    }

    /// Before the next entry the last must have had its copy.
    fn settle_copy(&mut self) -> Result<(), Flaw> {
        match &self.entry {
            Some(entry) if !self.has_copy => {
                let what = "the journal's index, which users are shown, lacks it";
                let flaw = Flaw::at(entry.seq, what, entry.key.clone());
                Err(Flaw { passes: true, ..flaw })
            }
            _ => Ok(()),
        }
    }
}

impl Told {
    fn compare(&mut self) -> Result<(), Flaw> {
        self.books.account(self.account.as_ref())?;
        for payment in &self.payments {
            self.books.payment(payment)?;
        }
        self.books.payment_without_item()
    }
}

impl Found {
    fn nobodys(&self, user: &str) -> Flaw {
        let what = match user {
            "" => "it does not say whose it is".to_owned(),
            _ => "no user can be called that".to_owned(),
        };
        Flaw::at(self.seq, &what, self.key.clone())
    }
}
