//! JSON, with fields that are missing, of another kind, somebody else's or new.

use bolero::TypeGenerator;
use bolero::generator::*;
use serde_json::{Map, Value, json};

/// A few fields changed.
#[derive(Debug, Clone, TypeGenerator)]
pub struct JsonDamage {
    #[generator(produce::<Vec<Edit>>().with().len(0_usize..5))]
    edits: Vec<Edit>,
}

#[derive(Debug, Clone, TypeGenerator)]
struct Edit {
    at: u16,
    how: How,
}

#[derive(Debug, Clone, TypeGenerator)]
enum How {
    Becomes(Odd),
    /// What another place of the same document has.
    BecomesAnother(u16),
    Vanishes,
    /// A field that nobody knows, or one more of a list.
    Gains(Odd),
    GoesIntoAList,
}

/// What a careless or hostile sender writes where something else is expected.
#[derive(Debug, Clone, TypeGenerator)]
pub enum Odd {
    Null,
    Bool(bool),
    Number(i64),
    /// At and around the bounds of what is counted in.
    Bound(u8),
    Fraction(u8),
    Text(String),
    /// Something that reads as an id, a time, a number.
    Word(u8),
    Long(u16),
    Deep(u8),
    EmptyList,
    EmptyObject,
}

const WORDS: [&str; 16] = [
    "",
    " ",
    "0",
    "-1",
    "null",
    "true",
    "pi_1",
    "cs_1",
    "sub_1",
    "in_1",
    "cus_1",
    "2026-09-30T12:00:00Z",
    "9999-12-31T23:59:59Z",
    "eur",
    "\u{0}",
    "é\u{202e}\u{fffe}",
];

/// A name that no document has, so that a field of this name is new wherever it is put.
const UNKNOWN: &str = "not_known_here";

impl JsonDamage {
    /// Always the same damage to the same document.
    pub fn to(&self, good: &Value) -> Value {
        let mut value = good.clone();
        for edit in &self.edits {
            let places = places(&value);
            let place = &places[usize::from(edit.at) % places.len()];
            edit.how.befall(&mut value, place, &places);
        }
        value
    }
}

impl Odd {
    pub fn value(&self) -> Value {
        match self {
            Odd::Null => Value::Null,
            Odd::Bool(bool) => json!(bool),
            Odd::Number(number) => json!(number),
            Odd::Bound(which) => {
                let exponent = [0, 31, 32, 53, 62][usize::from(which / 3) % 5];
                json!((1_u64 << exponent) + u64::from(which % 3) - 1)
            }
            Odd::Fraction(which) => json!([0.5, 1.0, -0.0, 1e300][usize::from(which % 4)]),
            Odd::Text(text) => json!(text),
            Odd::Word(which) => json!(WORDS[usize::from(*which) % WORDS.len()]),
            Odd::Long(length) => json!("x".repeat(usize::from(*length) % 2_000)),
            // A few together stay within what a JSON reader takes.
            Odd::Deep(depth) => (0..depth % 25).fold(json!({}), |inner, _| json!([inner])),
            Odd::EmptyList => json!([]),
            Odd::EmptyObject => json!({}),
        }
    }

    /// Puts a field that nobody knows into every one of these objects.
    pub fn put_into(&self, value: &mut Value, is_chosen: &mut impl FnMut() -> bool) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(|inner| self.put_into(inner, is_chosen));
                if is_chosen() {
                    fields.insert(UNKNOWN.to_owned(), self.value());
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|inner| self.put_into(inner, is_chosen)),
            _ => {}
        }
    }
}

impl How {
    fn befall(&self, document: &mut Value, place: &str, places: &[String]) {
        match self {
            How::Becomes(odd) => set(document, place, odd.value()),
            How::BecomesAnother(which) => {
                let other = &places[usize::from(*which) % places.len()];
                let other = document.pointer(other).cloned().unwrap_or_default();
                set(document, place, other);
            }
            How::Vanishes => vanish(document, place),
            How::Gains(odd) => match document.pointer_mut(place) {
                Some(Value::Object(fields)) => drop(fields.insert(UNKNOWN.to_owned(), odd.value())),
                Some(Value::Array(items)) => items.push(odd.value()),
                _ => {}
            },
            How::GoesIntoAList => {
                let value = document.pointer(place).cloned().unwrap_or_default();
                set(document, place, json!([value]));
            }
        }
    }
}

fn set(document: &mut Value, place: &str, value: Value) {
    if let Some(at) = document.pointer_mut(place) {
        *at = value;
    }
}

fn vanish(document: &mut Value, place: &str) {
    let Some((parent, name)) = place.rsplit_once('/') else {
        *document = Value::Object(Map::new());
        return;
    };
    match document.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(&name.replace("~1", "/").replace("~0", "~"))),
        Some(Value::Array(items)) => drop(name.parse().map(|index: usize| items.remove(index))),
        _ => {}
    }
}

/// A pointer to everything in a document, itself first.
fn places(document: &Value) -> Vec<String> {
    let mut places = vec![String::new()];
    let mut next = 0;
    while next < places.len() {
        let here = places[next].clone();
        let inner: Vec<String> = match document.pointer(&here) {
            Some(Value::Object(fields)) => {
                fields.keys().map(|name| name.replace('~', "~0").replace('/', "~1")).collect()
            }
            Some(Value::Array(items)) => (0..items.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        };
        places.extend(inner.into_iter().map(|name| format!("{here}/{name}")));
        next += 1;
    }
    places
}
