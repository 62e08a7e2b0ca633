//! Reading the books: the whole table at once, or one user's key by key, which also finds what cannot be read.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use domain::catalog::Catalog;
use domain::ids::UserId;
use edge::StartError;
use store::Store;
use store::items::{self, CatalogItem, Item};
use store::proof::{self, Copies, payments_told};
use store::schema::{self, Key};

use super::scratch::{Found, Part, Scratch};
use crate::progress::Bar;

/// A table, and what can be asked of it.
pub struct Table {
    pub store: Store,
    /// Whether it keeps its keys beside the items, as the local one does: then each item is also looked up by its key.
    pub looks_up: bool,
    /// How long its index may be behind.
    pub patience: Duration,
}

/// How far the whole table was read.
pub struct Scanned {
    pub scratch: Scratch,
    /// Something could not be read, here or in the index.
    pub damaged: bool,
    /// What is wrong and belongs to no user.
    pub flaw: Option<String>,
}

/// One user's books at one moment.
pub struct AtOnce {
    pub scratch: Scratch,
    /// Its account is written all the time, so that what lies beside it may have been read a moment later.
    pub moves: bool,
}

const PAGE: i32 = 500;
const AT_ONCE: usize = 100;
/// An account that is written all the time is read again so often, and then as it was a moment ago.
const TRIES: u32 = 4;
pub const PAUSE: Duration = Duration::from_millis(200);
const UNREADABLE: &str = "it cannot be read";

impl Table {
    /// Everything, in two passes: the table itself, and the journal's index.
    pub async fn scan(&self) -> Result<Scanned, StartError> {
        let total = self.store.size().await?;
        let (scratch, mut flaw, mut bar) = (Scratch::new()?, None, Bar::new("items read", total));
        let mut pages = Pages::new(&self.store, Copies::Table);
        while let Some(page) = pages.next().await? {
            bar.add(page.len() as u64);
            let astray = if self.looks_up { self.astray(&page).await? } else { Vec::new() };
            for found in astray {
                scratch.put(&found.0, &found.1)?;
            }
            for item in page {
                flaw = flaw.or_else(|| wrong_catalog(&item));
                scratch.file(item)?;
            }
        }
        let mut copies = Pages::new(&self.store, Copies::Journal);
        while let Some(page) = copies.next().await? {
            page.into_iter().try_for_each(|copy| scratch.file_copy(copy))?;
        }
        scratch.order()?;
        if self.looks_up {
            self.unshown(&scratch).await?;
        }
        Ok(Scanned { scratch, damaged: pages.damaged || copies.damaged, flaw })
    }

    /// One user's books as they are at one moment: read until nobody wrote the account meanwhile. `known` are entries
    /// that the index may lack.
    pub async fn read(&self, user: &UserId, known: &[Found]) -> Result<AtOnce, StartError> {
        let scratch = Scratch::new()?;
        for some in known.chunks(AT_ONCE) {
            self.read_entries(&scratch, user, some).await?;
        }
        let mut read: HashSet<Place> = known.iter().filter_map(Found::place).collect();
        let (mut last, mut tries) = (0, 0);
        let (partition, moves) = loop {
            tries += 1;
            let before = self.store.partition(user).await?;
            last = self.read_journal(&scratch, user, &mut read, last).await?;
            let after = self.store.partition(user).await?;
            if account_among(&before) == account_among(&after) {
                break (after, false);
            }
            if tries == TRIES {
                break (before, true);
            }
            tokio::time::sleep(PAUSE).await;
        };
        if moves {
            // What came since is for the next time.
            scratch.forget_after(account_among(&partition).and_then(proof::seq_of).unwrap_or(last))?;
        }
        match partition {
            Some(items) => items.into_iter().try_for_each(|item| scratch.file(item).map(drop))?,
            None => self.read_partition(&scratch, user).await?,
        }
        scratch.order()?;
        Ok(AtOnce { scratch, moves })
    }

    /// The journal after a seq, from the index, with its entries from the table. Answers with the last seq.
    async fn read_journal(
        &self,
        scratch: &Scratch,
        user: &UserId,
        read: &mut HashSet<Place>,
        mut last: u64,
    ) -> Result<u64, StartError> {
        let mut limit = PAGE;
        loop {
            let Some(copies) = self.store.journal_copies(user, last, limit, None).await? else {
                if limit == 1 {
                    let found = Found::unreadable(Part::Copy, last + 1, None);
                    scratch.put(user.as_str(), &found)?;
                    (last, limit) = (last + 1, PAGE);
                } else {
                    limit = 1;
                }
                continue;
            };
            let Some(reached) = copies.iter().filter_map(schema::seq_of).max() else { return Ok(last) };
            let entries = copies.iter().filter_map(Found::named_by);
            let new = entries.filter(|found| found.place().is_some_and(|place| read.insert(place)));
            let new: Vec<Found> = new.collect();
            for copy in copies {
                scratch.file_copy(copy)?;
            }
            for some in new.chunks(AT_ONCE) {
                self.read_entries(scratch, user, some).await?;
            }
            // Never back, whatever a damaged copy says.
            last = reached.max(last + 1);
        }
    }

    async fn read_entries(
        &self,
        scratch: &Scratch,
        user: &UserId,
        wanted: &[Found],
    ) -> Result<(), StartError> {
        let keys: Vec<Key> = wanted.iter().filter_map(|found| found.key.clone()).collect();
        if let Some(items) = self.store.items_at(&keys).await? {
            return items.into_iter().try_for_each(|item| scratch.file(item).map(drop));
        }
        for found in wanted {
            let Some(key) = &found.key else { continue };
            match self.store.items_at(std::slice::from_ref(key)).await? {
                Some(items) => items.into_iter().try_for_each(|item| scratch.file(item).map(drop))?,
                None => {
                    let found = Found::unreadable(Part::Entry, found.seq, Some(key.clone()));
                    scratch.put(user.as_str(), &found)?;
                }
            }
        }
        Ok(())
    }

    /// Account and payments one by one: something beside them, or one of them, cannot be read.
    async fn read_partition(&self, scratch: &Scratch, user: &UserId) -> Result<(), StartError> {
        let mut keys = vec![(Part::Account, schema::account(user))];
        let told = |found: Found| {
            let entry = found.item.ok().and_then(|item| items::to_entry(item).ok());
            let payments = entry.iter().flat_map(payments_told);
            keys.extend(payments.map(|payment| (Part::Payment, schema::payment(user, &payment))));
            Ok::<_, StartError>(())
        };
        scratch.each(user.as_str(), told)??;
        let mut all_read = true;
        for (part, key) in keys {
            match self.store.items_at(std::slice::from_ref(&key)).await? {
                Some(items) => items.into_iter().try_for_each(|item| scratch.file(item).map(drop))?,
                None => {
                    all_read = false;
                    scratch.put(user.as_str(), &Found::unreadable(part, 0, Some(key)))?;
                }
            }
        }
        if all_read {
            scratch.put(user.as_str(), &Found::unreadable(Part::Payment, 0, Some(schema::account(user))))?;
        }
        Ok(())
    }

    /// Notes entries that their users are not shown, though the index has a copy.
    async fn unshown(&self, scratch: &Scratch) -> Result<(), StartError> {
        let mut last: Option<String> = None;
        while let Some(user) = scratch.user_after(last.as_deref())? {
            if let Ok(id) = UserId::parse(user.as_str()) {
                let Some(shown) = self.shown(&id).await? else { return Ok(()) };
                for seq in scratch.seqs(&user)?.difference(&shown) {
                    let item = Err("users are not shown it".to_owned());
                    scratch.put(&user, &Found { part: Part::Copy, seq: *seq, key: None, item })?;
                }
            }
            last = Some(user);
        }
        Ok(())
    }

    async fn shown(&self, user: &UserId) -> Result<Option<BTreeSet<u64>>, StartError> {
        let (mut shown, mut last) = (BTreeSet::new(), 0);
        loop {
            let copies = self.store.journal_copies(user, last, PAGE, Some(schema::GSI1_SK)).await?;
            let Some(copies) = copies else { return Ok(None) };
            shown.extend(copies.iter().filter_map(schema::seq_of));
            let Some(reached) = copies.iter().filter_map(schema::seq_of).max() else {
                return Ok(Some(shown));
            };
            // Never back, whatever a damaged copy says.
            last = reached.max(last + 1);
        }
    }

    /// Items that are not found under the keys that they have, each with its user.
    async fn astray(&self, page: &[Item]) -> Result<Vec<(String, Found)>, StartError> {
        let mut astray = Vec::new();
        for some in page.chunks(AT_ONCE) {
            let keys: Vec<Key> = some.iter().filter_map(proof::key_of).collect();
            let Some(items) = self.store.keys_at(&keys).await? else { continue };
            let there: Vec<Key> = items.iter().filter_map(proof::key_of).collect();
            let lost =
                some.iter().filter(|item| !proof::key_of(item).is_some_and(|key| there.contains(&key)));
            astray.extend(lost.filter_map(Found::astray));
        }
        Ok(astray)
    }
}

/// The pages of a scan, up to its end or to what cannot be read.
struct Pages<'a> {
    store: &'a Store,
    copies: Copies,
    after: Option<Item>,
    ended: bool,
    damaged: bool,
    starts: HashSet<Place>,
}

impl Pages<'_> {
    fn new(store: &Store, copies: Copies) -> Pages<'_> {
        Pages { store, copies, after: None, ended: false, damaged: false, starts: HashSet::new() }
    }

    async fn next(&mut self) -> Result<Option<Vec<Item>>, StartError> {
        if self.ended || self.damaged {
            return Ok(None);
        }
        let Some(page) = self.store.scan(self.copies, self.after.as_ref(), PAGE).await? else {
            self.damaged = true;
            return Ok(None);
        };
        self.ended = page.next.is_none();
        // A damaged key may lead back to where the scan has been.
        let start = page.next.as_ref().and_then(proof::key_of).map(|key| (key.pk, key.sk));
        self.damaged = start.is_some_and(|start| !self.starts.insert(start));
        self.after = page.next;
        Ok(Some(page.items))
    }
}

/// A primary key, to be remembered.
type Place = (String, String);

impl Found {
    fn place(&self) -> Option<Place> {
        self.key.clone().map(|key| (key.pk, key.sk))
    }

    fn unreadable(part: Part, seq: u64, key: Option<Key>) -> Found {
        Found { part, seq, key, item: Err(UNREADABLE.to_owned()) }
    }

    /// The entry that a copy in the index is of.
    fn named_by(copy: &Item) -> Option<Found> {
        let (key, seq) = (proof::key_of(copy)?, proof::whose(copy)?.seq);
        Some(Found::unreadable(Part::Entry, seq, Some(key)))
    }

    fn astray(item: &Item) -> Option<(String, Found)> {
        let whose = proof::whose(item)?;
        let part = match whose.kind {
            proof::Kind::Entry => Part::Entry,
            proof::Kind::Account => Part::Account,
            proof::Kind::Payment => Part::Payment,
        };
        let item_is = Err("it is not found under its key".to_owned());
        Some((whose.user, Found { part, seq: whose.seq, key: proof::key_of(item), item: item_is }))
    }
}

fn account_among(partition: &Option<Vec<Item>>) -> Option<&Item> {
    let is_account = |item: &&Item| proof::key_of(item).is_some_and(|key| key.sk == "A");
    partition.as_ref()?.iter().find(is_account)
}

fn wrong_catalog(item: &Item) -> Option<String> {
    let version = proof::key_of(item).filter(|key| key.pk == "K")?.sk.strip_prefix("V#")?.to_owned();
    match items::read::<CatalogItem>("catalog", item.clone()) {
        Err(bad) => Some(format!("catalog version {version}: {bad}")),
        Ok(stored) => {
            let mistakes = Catalog::parse(&stored.text).err()?;
            Some(format!("catalog version {version} does not parse: {mistakes}"))
        }
    }
}
