//! The first step: is it TOML at all?

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::mistakes::Notes;

/// The tree, unless the text is so broken that what it means is anyone's guess.
pub(super) fn tree<'t>(text: &'t str, notes: &Notes<'_>) -> Option<Spanned<DeTable<'t>>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    // The tree keeps one of two equal keys, and is whole without the other.
    let (twice, mut broken): (Vec<_>, Vec<_>) =
        errors.iter().partition(|error| error.message() == "duplicate key");
    for error in twice {
        let key = Twice { text, span: place(error, text) };
        notes.note(key.span.start, &key.path(tree.get_ref()), "is written twice", "keep one of the two");
    }
    // One slip makes several errors; the first of its line says it best.
    broken.sort_by_key(|error| place(error, text).start);
    broken.dedup_by_key(|error| notes.line(place(error, text).start));
    for error in &broken {
        let (problem, fix) = explained(error);
        notes.note(place(error, text).start, "TOML", problem, fix);
    }
    broken.is_empty().then_some(tree)
}

fn place(error: &Error, text: &str) -> Range<usize> {
    error.span().unwrap_or(text.len()..text.len())
}

fn explained(error: &Error) -> (&str, String) {
    match error.message().split_once(", expected ") {
        Some((problem, "literal string")) => {
            (problem, "put quotes around a text, or a comma between two values".to_owned())
        }
        Some((problem, expected)) => (problem, format!("put {expected} here")),
        None => (error.message(), "correct this line".to_owned()),
    }
}

/// A key that stands where its table has one like it already.
struct Twice<'t> {
    text: &'t str,
    span: Range<usize>,
}

impl Twice<'_> {
    fn path(&self, tree: &DeTable<'_>) -> String {
        self.within(tree, 0..0).map_or_else(|| self.key().to_owned(), |(_, path)| path)
    }

    fn key(&self) -> &str {
        self.text.get(self.span.clone()).unwrap_or_default()
    }

    /// Of the tables begun before it that have such a key, the last: where it begins, and the key's path.
    fn within(&self, table: &DeTable<'_>, span: Range<usize>) -> Option<(usize, String)> {
        let is_before = |name: &Range<usize>| name.start <= self.span.start;
        let has_key = table.keys().any(|name| is_before(&name.span()) && self.is_key(name.span()));
        let here = has_key.then(|| (span.start, self.key().to_owned())).filter(|_| self.may_stand_in(&span));
        let inner = table.iter().filter_map(|(name, value)| {
            let (start, path) = self.inside(value)?;
            Some((start, format!("{}{path}", name.get_ref())))
        });
        inner.chain(here).max()
    }

    fn inside(&self, value: &Spanned<DeValue<'_>>) -> Option<(usize, String)> {
        match value.get_ref() {
            DeValue::Table(inner) => {
                let (start, path) = self.within(inner, value.span())?;
                Some((start, format!(".{path}")))
            }
            DeValue::Array(items) => {
                let places = items.iter().enumerate().filter_map(|(index, item)| {
                    let (start, path) = self.inside(item)?;
                    Some((start, format!("[{index}]{path}")))
                });
                places.max()
            }
            _ => None,
        }
    }

    fn is_key(&self, span: Range<usize>) -> bool {
        self.text.get(span) == Some(self.key())
    }

    /// Braces must be open here still; a table that only dotted keys name takes dotted keys only.
    fn may_stand_in(&self, span: &Range<usize>) -> bool {
        match self.text.get(span.clone()).and_then(|text| text.chars().next()) {
            Some('{') => self.span.end <= span.end,
            Some('[') | None => span.start <= self.span.start,
            Some(_) => self.text[..self.span.start].trim_end().ends_with('.'),
        }
    }
}
