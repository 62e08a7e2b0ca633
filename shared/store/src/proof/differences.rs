//! In which attributes two items differ, in words.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::items::Item;

/// The first attribute, by name, in which a stored item is not what it should be.
pub fn differences(stored: &Item, expected: &Item) -> Option<String> {
    names(stored, expected).into_iter().find_map(|name| match (stored.get(name), expected.get(name)) {
        (stored, expected) if stored == expected => None,
        (None, Some(_)) => Some(format!("it has no {name}")),
        (Some(_), None) => Some(format!("it has an attribute {name}, which is none of its own")),
        (Some(stored), Some(expected)) => {
            Some(format!("its {name} is {}, and should be {}", shown(stored), shown(expected)))
        }
        (None, None) => None,
    })
}

/// Every attribute that a replacement changes: of lists, what goes and what comes.
pub fn changed(was: &Item, is: &Item) -> Vec<String> {
    let mut lines = Vec::new();
    for name in names(was, is) {
        match (was.get(name), is.get(name)) {
            (was, is) if was == is => {}
            (Some(AttributeValue::L(was)), Some(AttributeValue::L(is))) => {
                let gone = was.iter().filter(|value| !is.contains(value)).map(shown);
                let come = is.iter().filter(|value| !was.contains(value)).map(shown);
                let (gone, come): (Vec<_>, Vec<_>) = (gone.collect(), come.collect());
                lines.push(format!("{name}: {} → {}", or_nothing(&gone), or_nothing(&come)));
            }
            (was, is) => {
                let word = |value: Option<&AttributeValue>| value.map_or("nothing".to_owned(), shown);
                lines.push(format!("{name}: {} → {}", word(was), word(is)));
            }
        }
    }
    lines
}

fn names<'a>(one: &'a Item, other: &'a Item) -> BTreeSet<&'a String> {
    one.keys().chain(other.keys()).collect()
}

fn or_nothing(shown: &[String]) -> String {
    if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") }
}

/// A value, short enough to stand in a line.
fn shown(value: &AttributeValue) -> String {
    const LONGEST: usize = 100;
    let text = spelled(value);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn spelled(value: &AttributeValue) -> String {
    let list = |values: &[AttributeValue]| values.iter().map(spelled).collect::<Vec<_>>().join(" ");
    match value {
        AttributeValue::S(text) => format!("{text:?}"),
        AttributeValue::N(number) => number.clone(),
        AttributeValue::Bool(truth) => truth.to_string(),
        AttributeValue::Null(_) => "–".to_owned(),
        AttributeValue::L(values) => format!("[{}]", list(values)),
        AttributeValue::M(fields) => {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}={}", spelled(value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(" "))
        }
        _ => "of a kind that is never written".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(fields: &[(&str, AttributeValue)]) -> Item {
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn number(number: &str) -> AttributeValue {
        AttributeValue::N(number.to_owned())
    }

    #[test]
    fn the_first_difference_is_named_with_both_values() {
        let stored = item(&[("kind", AttributeValue::S("grans".to_owned())), ("seq", number("1"))]);
        let expected = item(&[("kind", AttributeValue::S("grant".to_owned())), ("seq", number("2"))]);
        let found = differences(&stored, &expected).unwrap();
        assert_eq!(found, r#"its kind is "grans", and should be "grant""#);
        assert_eq!(differences(&stored, &stored), None);
        let (less, more) = (item(&[]), item(&[("seq", number("1"))]));
        assert_eq!(differences(&less, &more).unwrap(), "it has no seq");
        assert_eq!(differences(&more, &less).unwrap(), "it has an attribute seq, which is none of its own");
    }

    #[test]
    fn a_change_of_a_list_shows_only_what_goes_and_what_comes() {
        let list = |numbers: &[&str]| AttributeValue::L(numbers.iter().map(|each| number(each)).collect());
        let was = item(&[("lots", list(&["1", "2"])), ("debt", number("0")), ("at", number("5"))]);
        let is = item(&[("lots", list(&["1", "3"])), ("debt", number("7")), ("at", number("5"))]);
        assert_eq!(changed(&was, &is), ["debt: 0 → 7", "lots: 2 → 3"]);
    }
}
