//! The TOML tree as the reader walks it: every value knows where it stands, what would be right there,
//! and where to note what is wrong instead.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistakes::Notes;
use super::suggest;
use crate::ids::{BadId, PlanId};

/// The example for a table; it is shown as the table's own `[header]`.
pub(super) const TABLE: &str = "{ … }";

/// A table, whether under a `[header]` or in `{ braces }`.
pub(super) struct Table<'a> {
    notes: &'a Notes<'a>,
    entries: &'a DeTable<'a>,
    path: String,
    at: usize,
}

/// A value, with an example of what is right in its place.
pub(super) struct Field<'a> {
    notes: &'a Notes<'a>,
    value: &'a Spanned<DeValue<'a>>,
    /// `None` in a list.
    key: Option<Key<'a>>,
    path: String,
    example: &'a str,
}

struct Key<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Table<'a> {
    pub(super) fn root(notes: &'a Notes<'a>, tree: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table { notes, entries: tree.get_ref(), path: String::new(), at: 0 }
    }

    /// Notes every key that is not one of these.
    pub(super) fn allow(&self, keys: &[&str]) {
        for key in self.entries.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let fix = suggest::fix(key.get_ref(), keys.iter().copied(), format!("use {}", listed(keys)));
            self.notes.note(key.span().start, &self.path_to(key.get_ref()), "unknown key", fix);
        }
    }

    pub(super) fn optional(&self, key: &str, example: &'a str) -> Option<Field<'a>> {
        let (key, value) = self.entries.get_key_value(key)?;
        let path = self.path_to(key.get_ref());
        let key = Key { text: key.get_ref(), at: key.span().start };
        Some(Field { notes: self.notes, value, key: Some(key), path, example })
    }

    /// Something that is on or off, if it is said.
    pub(super) fn switch(&self, key: &str) -> Option<bool> {
        self.optional(key, "true")?.yes_or_no()
    }

    pub(super) fn required(&self, key: &str, example: &'a str) -> Option<Field<'a>> {
        let field = self.optional(key, example);
        if field.is_none() {
            self.notes.note(self.at, &self.path_to(key), "is missing", format!("add {key} = {example}"));
        }
        field
    }

    /// A table that must be there; `due` is what to write if it is not: `[plans.free]`.
    pub(super) fn section(&self, key: &str, due: &str) -> Option<Table<'a>> {
        if !self.entries.contains_key(key) {
            self.notes.note(self.at, &self.path_to(key), "is missing", format!("add {due}"));
        }
        self.optional_section(key, due)
    }

    pub(super) fn optional_section(&self, key: &str, due: &str) -> Option<Table<'a>> {
        let field = self.optional(key, "")?;
        if !field.value().is_table() {
            field.wrong(format!("must be a table, not {}", shown(field.value())), format!("write {due}"));
            return None;
        }
        field.table()
    }

    /// Its tables by id, as `[plans]` has `[plans.free]` and `[plans.premium]`, in the order they are written.
    pub(super) fn tables<Id>(&self, parse: fn(String) -> Result<Id, BadId>) -> Vec<(Id, Table<'a>)> {
        let table = |field: Field<'a>| field.id(parse).zip(field.table());
        self.fields(TABLE).filter_map(table).collect()
    }

    /// Every entry of a table whose keys are free, in the order they are written.
    pub(super) fn fields(&self, example: &'a str) -> impl Iterator<Item = Field<'a>> {
        let mut keys: Vec<_> = self.entries.keys().collect();
        keys.sort_by_key(|key| key.span().start);
        let fields: Vec<_> =
            keys.into_iter().filter_map(|key| self.optional(key.get_ref(), example)).collect();
        fields.into_iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Notes something about the table as a whole.
    pub(super) fn wrong(&self, problem: impl Into<String>, fix: impl Into<String>) {
        self.notes.note(self.at, &self.path, problem, fix);
    }

    fn path_to(&self, key: &str) -> String {
        let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_bare = !key.is_empty() && key.bytes().all(bare);
        let key = if is_bare { key.to_owned() } else { format!("{key:?}") };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }
}

impl<'a> Field<'a> {
    pub(super) fn key(&self) -> &'a str {
        self.key.as_ref().map_or("", |key| key.text)
    }

    pub(super) fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// The key as an id. One that breaks the rules is read as what was probably meant, so that
    /// what stands under it is read too.
    fn id<Id>(&self, parse: fn(String) -> Result<Id, BadId>) -> Option<Id> {
        let key = self.key.as_ref()?;
        let bad = match parse(key.text.to_owned()) {
            Ok(id) => return Some(id),
            Err(bad) => bad,
        };
        let meant = as_id(key.text);
        let fix = match &meant {
            Some(id) => format!("rename it to `{id}`"),
            None => "use a short word such as `premium`".to_owned(),
        };
        self.notes.note(key.at, &self.path, bad.to_string(), fix);
        parse(meant.unwrap_or_else(|| "unnamed".to_owned())).ok()
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value() {
            DeValue::String(text) if text.trim().is_empty() => {
                self.wrong("must not be empty", self.write_example());
                None
            }
            DeValue::String(text) => Some(text),
            _ => self.mismatch("text in quotes"),
        }
    }

    /// Text that follows the rules of ids.
    pub(super) fn word(&self) -> Option<&'a str> {
        let text = self.text()?;
        if PlanId::parse(text).is_ok() {
            return Some(text);
        }
        let problem = format!("must be 1 to 64 lower-case letters, digits, `_` or `-`, not {text:?}");
        let fix = as_id(text).map_or_else(|| self.write_example(), |id| self.write(&format!("{id:?}")));
        self.wrong(problem, fix);
        None
    }

    pub(super) fn yes_or_no(&self) -> Option<bool> {
        self.value().as_bool().or_else(|| self.mismatch("true or false"))
    }

    /// A whole number between two bounds.
    pub(super) fn number(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        match self.value() {
            DeValue::Integer(digits) => {
                let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
                let fits = number.filter(|number| bounds.contains(number));
                if fits.is_none() {
                    let problem =
                        format!("must be from {} to {}, not {digits}", bounds.start(), bounds.end());
                    self.wrong(problem, self.write_example());
                }
                fits
            }
            DeValue::String(text) if text.parse::<u64>().is_ok_and(|number| bounds.contains(&number)) => {
                self.wrong("must be a number without quotes", self.write(text));
                None
            }
            _ => self.mismatch("a whole number"),
        }
    }

    /// A whole number that counts days, seats or levels.
    pub(super) fn small(&self, bounds: RangeInclusive<u32>) -> Option<u32> {
        let (least, most) = (*bounds.start(), *bounds.end());
        u32::try_from(self.number(least.into()..=most.into())?).ok()
    }

    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let DeValue::String(text) = self.value() else {
            return self.mismatch(&format!("one of {}", listed(&words)));
        };
        let choice = choices.iter().find(|(word, _)| *word == text.as_ref());
        if choice.is_none() {
            let fix = suggest::fix(text, words.iter().copied(), self.write_example());
            self.wrong(format!("must be one of {}, not {}", listed(&words), shown(self.value())), fix);
        }
        choice.map(|(_, choice)| *choice)
    }

    pub(super) fn list(&self, example: &'a str) -> Option<Vec<Field<'a>>> {
        let DeValue::Array(items) = self.value() else {
            return self.mismatch("a list in [brackets]");
        };
        let field = |(index, value)| Field {
            notes: self.notes,
            value,
            key: None,
            path: format!("{}[{index}]", self.path),
            example,
        };
        Some(items.iter().enumerate().map(field).collect())
    }

    pub(super) fn table(&self) -> Option<Table<'a>> {
        match self.value() {
            DeValue::Table(entries) => Some(Table {
                notes: self.notes,
                entries,
                path: self.path.clone(),
                at: self.value.span().start,
            }),
            _ => self.mismatch("a table"),
        }
    }

    /// Notes that another kind of value is due here.
    pub(super) fn mismatch<T>(&self, due: &str) -> Option<T> {
        self.wrong(format!("must be {due}, not {}", shown(self.value())), self.write_example());
        None
    }

    pub(super) fn wrong(&self, problem: impl Into<String>, fix: impl Into<String>) {
        self.notes.note(self.value.span().start, &self.path, problem, fix);
    }

    /// `write price = "9.99"`: the example in this field's place.
    pub(super) fn write_example(&self) -> String {
        match self.example {
            TABLE => format!("write [{}]", self.path),
            example => self.write(example),
        }
    }

    pub(super) fn write(&self, value: &str) -> String {
        match &self.key {
            Some(key) => format!("write {} = {value}", key.text),
            None => format!("write {value}"),
        }
    }
}

/// `a, b or c`.
pub(super) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A value as a message may show it: on one line, and short.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    let shown = match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(digits) => digits.to_string(),
        DeValue::Float(digits) => digits.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    if shown.chars().count() <= 80 {
        shown
    } else {
        format!("{}…", shown.chars().take(80).collect::<String>())
    }
}

/// What an id that breaks the rules was probably meant to be.
fn as_id(text: &str) -> Option<String> {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let id: String = text.trim().to_lowercase().chars().map(plain).collect();
    let has_a_letter = id.bytes().any(|byte| byte.is_ascii_alphanumeric());
    (has_a_letter && id.len() <= 64).then_some(id)
}
