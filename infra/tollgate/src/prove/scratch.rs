//! What was read, put in the order in which it is proved. A file of SQLite's own that it deletes by itself, so that a
//! table may be larger than memory.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use edge::StartError;
use rusqlite::{Connection, Row, params};
use store::items::Item;
use store::proof::{self, Kind};
use store::schema::Key;

/// What was read of one item.
#[derive(Debug, Clone)]
pub struct Found {
    pub part: Part,
    /// Of an entry.
    pub seq: u64,
    pub key: Option<Key>,
    pub item: Result<Item, String>,
}

/// In the order in which they are proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Entry,
    /// Of an entry, in the journal's index.
    Copy,
    Account,
    Payment,
}

pub struct Scratch {
    db: Connection,
}

impl Scratch {
    pub fn new() -> Result<Scratch, StartError> {
        // Without a name, SQLite keeps it to itself and on disk only what does not fit into memory.
        let db = Connection::open("")?;
        db.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -64000;
             CREATE TABLE found (user TEXT, part INTEGER, seq INTEGER, pk TEXT, sk TEXT, item BLOB, flaw TEXT);
             BEGIN",
        )?;
        Ok(Scratch { db })
    }

    /// Files an item under the user whose it is. `false` where it is nobody's.
    pub fn file(&self, item: Item) -> Result<bool, StartError> {
        let Some(whose) = proof::whose(&item) else { return Ok(false) };
        let part = match whose.kind {
            Kind::Entry => Part::Entry,
            Kind::Account => Part::Account,
            Kind::Payment => Part::Payment,
        };
        let key = proof::key_of(&item);
        self.put(&whose.user, &Found { part, seq: whose.seq, key, item: Ok(item) })?;
        Ok(true)
    }

    /// Files an entry's copy in the index.
    pub fn file_copy(&self, item: Item) -> Result<(), StartError> {
        let whose = proof::whose(&item);
        let (user, seq) = whose.map(|whose| (whose.user, whose.seq)).unwrap_or_default();
        let key = proof::key_of(&item);
        self.put(&user, &Found { part: Part::Copy, seq, key, item: Ok(item) })
    }

    pub fn put(&self, user: &str, found: &Found) -> Result<(), StartError> {
        let mut insert = self.db.prepare_cached("INSERT INTO found VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        let (item, flaw) = match &found.item {
            Ok(item) => match packed(item) {
                Some(packed) => (Some(packed), None),
                None => (None, Some("it has an attribute of a kind that is never written")),
            },
            Err(flaw) => (None, Some(flaw.as_str())),
        };
        let key = found.key.as_ref();
        let (pk, sk) = (key.map(|key| &key.pk), key.map(|key| &key.sk));
        // Beyond what SQLite counts to it is wrong anyway, and stays so.
        let seq = i64::try_from(found.seq).unwrap_or(i64::MAX);
        insert.execute(params![user, found.part as u8, seq, pk, sk, item, flaw])?;
        Ok(())
    }

    /// Lets go of entries after a seq.
    pub fn forget_after(&self, seq: u64) -> Result<(), StartError> {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        self.db.execute("DELETE FROM found WHERE part < 2 AND seq > ?1", [seq])?;
        Ok(())
    }

    /// Puts what was filed so far in order.
    pub fn order(&self) -> Result<(), StartError> {
        Ok(self
            .db
            .execute_batch("CREATE INDEX IF NOT EXISTS ordered ON found (user, part >= 2, seq, part)")?)
    }

    /// The first user after another, in the order of their ids.
    pub fn user_after(&self, last: Option<&str>) -> Result<Option<String>, StartError> {
        let mut next = self.db.prepare_cached("SELECT min(user) FROM found WHERE ?1 IS NULL OR user > ?1")?;
        Ok(next.query_row([last], |row| row.get(0))?)
    }

    /// How many entries there are, and how many accounts.
    pub fn counts(&self, user: Option<&str>) -> Result<(u64, u64), StartError> {
        let sql = "SELECT count(*) FILTER (WHERE part = 0), count(*) FILTER (WHERE part = 2) FROM found
                   WHERE ?1 IS NULL OR user = ?1";
        Ok(self.db.query_row(sql, [user], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// Everything of one user: their entries in order, each before its copies, then account and payments.
    /// Ends where `each` answers with an error of its own.
    pub fn each<E>(
        &self,
        user: &str,
        mut each: impl FnMut(Found) -> Result<(), E>,
    ) -> Result<Result<(), E>, StartError> {
        let mut all = self.db.prepare_cached(
            "SELECT part, seq, pk, sk, item, flaw FROM found WHERE user = ?1 ORDER BY part >= 2, seq, part, rowid",
        )?;
        let mut rows = all.query([user])?;
        while let Some(row) = rows.next()? {
            if let Err(error) = each(found(row)?) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Of the entries of a user, wherever they should be.
    pub fn seqs(&self, user: &str) -> Result<BTreeSet<u64>, StartError> {
        let mut seqs = self.db.prepare_cached("SELECT seq FROM found WHERE user = ?1 AND part = 0")?;
        let seqs = seqs.query_map([user], |row| row.get(0))?;
        Ok(seqs.collect::<Result<_, _>>()?)
    }

    pub fn account(&self, user: &str) -> Result<Option<Item>, StartError> {
        let mut account = None;
        let take = |found: Found| {
            if found.part == Part::Account {
                account = found.item.ok();
            }
            Ok::<_, StartError>(())
        };
        self.each(user, take)??;
        Ok(account)
    }
}

fn found(row: &Row) -> Result<Found, StartError> {
    let key = match (row.get(2)?, row.get(3)?) {
        (Some(pk), Some(sk)) => Some(Key { pk, sk }),
        _ => None,
    };
    let part = [Part::Entry, Part::Copy, Part::Account, Part::Payment][row.get::<_, usize>(0)?];
    let item = match row.get_ref(4)?.as_blob_or_null()? {
        Some(packed) => Ok(unpacked(packed).ok_or("what was put aside does not read")?),
        None => Err(row.get(5)?),
    };
    Ok(Found { part, seq: row.get(1)?, key, item })
}

/// An item as bytes: of each value a letter for its kind, its length, and what it holds. Nothing of it is lost, and as
/// JSON it would take longer than all the rest of a proof.
fn packed(item: &Item) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(2048);
    pack_fields(item, &mut bytes)?;
    Some(bytes)
}

fn pack_fields(fields: &Item, bytes: &mut Vec<u8>) -> Option<()> {
    fields.iter().try_for_each(|(name, value)| {
        pack_text(b'S', name, bytes);
        pack(value, bytes)
    })
}

fn pack(value: &AttributeValue, bytes: &mut Vec<u8>) -> Option<()> {
    match value {
        AttributeValue::S(text) => pack_text(b'S', text, bytes),
        AttributeValue::N(number) => pack_text(b'N', number, bytes),
        AttributeValue::Bool(truth) => pack_head(b'B', usize::from(*truth), bytes),
        AttributeValue::Null(_) => pack_head(b'0', 0, bytes),
        AttributeValue::L(values) => {
            pack_head(b'L', values.len(), bytes);
            values.iter().try_for_each(|value| pack(value, bytes))?;
        }
        AttributeValue::M(fields) => {
            pack_head(b'M', fields.len(), bytes);
            pack_fields(fields, bytes)?;
        }
        _ => return None,
    }
    Some(())
}

fn pack_text(kind: u8, text: &str, bytes: &mut Vec<u8>) {
    pack_head(kind, text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

fn pack_head(kind: u8, length: usize, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend_from_slice(&(length as u64).to_be_bytes());
}

fn unpacked(mut bytes: &[u8]) -> Option<Item> {
    let mut item = Item::new();
    while !bytes.is_empty() {
        let (name, value) = unpack_field(&mut bytes)?;
        item.insert(name, value);
    }
    Some(item)
}

fn unpack_field(bytes: &mut &[u8]) -> Option<(String, AttributeValue)> {
    match unpack(bytes)? {
        AttributeValue::S(name) => Some((name, unpack(bytes)?)),
        _ => None,
    }
}

fn unpack(bytes: &mut &[u8]) -> Option<AttributeValue> {
    let ([kind, length @ ..], rest) = bytes.split_first_chunk::<9>()?;
    let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
    *bytes = rest;
    let mut text = || {
        let (text, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    };
    Some(match kind {
        b'S' => AttributeValue::S(text()?),
        b'N' => AttributeValue::N(text()?),
        b'B' => AttributeValue::Bool(length == 1),
        b'L' => AttributeValue::L((0..length).map(|_| unpack(bytes)).collect::<Option<_>>()?),
        b'M' => AttributeValue::M((0..length).map(|_| unpack_field(bytes)).collect::<Option<_>>()?),
        _ => AttributeValue::Null(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_the_same_after_it_was_put_aside() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = AttributeValue::N("9007199254740991.50".to_owned());
        let fields =
            Item::from([("S".to_owned(), text("N")), ("L".to_owned(), AttributeValue::L(Vec::new()))]);
        let item = Item::from([
            ("PK".to_owned(), text("U#a")),
            ("SK".to_owned(), text("A")),
            (
                "list".to_owned(),
                AttributeValue::L(vec![number, AttributeValue::Null(true), text("ü\"\u{7}")]),
            ),
            ("map".to_owned(), AttributeValue::M(fields)),
            ("flag".to_owned(), AttributeValue::Bool(false)),
        ]);
        let scratch = Scratch::new().unwrap();
        assert!(scratch.file(item.clone()).unwrap());
        let mut found = Vec::new();
        let keep = |each: Found| {
            found.push(each.item);
            Ok::<_, ()>(())
        };
        scratch.each("a", keep).unwrap().unwrap();
        assert_eq!(found, [Ok(item)]);
    }
}
