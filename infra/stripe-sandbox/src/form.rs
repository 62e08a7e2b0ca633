//! Stripe's bracket notation (`items[0][price]=p&expand[]=customer`) as JSON. Every leaf is a string;
//! numbered elements stay objects keyed by number, because `metadata[1]` looks the same as an element.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

pub fn parse(encoded: &str) -> Map<String, Value> {
    let mut root = Value::Object(Map::new());
    for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        insert(&mut root, &path(&decode(key)), decode(value));
    }
    match root {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// `a[b][]` → `["a", "b", ""]`; anything that is not bracketed to its end is one plain name.
fn path(key: &str) -> Vec<String> {
    let Some((name, rest)) = key.split_once('[').filter(|(name, _)| !name.is_empty()) else {
        return vec![key.to_owned()];
    };
    let Some(inner) = rest.strip_suffix(']') else { return vec![key.to_owned()] };
    std::iter::once(name).chain(inner.split("][")).map(str::to_owned).collect()
}

fn insert(node: &mut Value, path: &[String], leaf: String) {
    let Some((step, rest)) = path.split_first() else {
        *node = Value::String(leaf);
        return;
    };
    let child = if step.is_empty() { element(node, rest) } else { field(node, step) };
    insert(child, rest, leaf);
}

fn field<'a>(node: &'a mut Value, name: &str) -> &'a mut Value {
    if !node.is_object() {
        *node = Value::Object(Map::new());
    }
    let fields = node.as_object_mut().expect("made an object above");
    fields.entry(name).or_insert(Value::Null)
}

/// The element `[]` means: a new one, unless the last one is an object that still lacks this very leaf.
fn element<'a>(node: &'a mut Value, rest: &[String]) -> &'a mut Value {
    if !node.is_array() {
        *node = Value::Array(Vec::new());
    }
    let elements = node.as_array_mut().expect("made an array above");
    let continues = elements.last().is_some_and(|last| last.is_object() && !reaches(last, rest));
    if !continues {
        elements.push(Value::Null);
    }
    elements.last_mut().expect("has at least the element pushed above")
}

fn reaches(node: &Value, path: &[String]) -> bool {
    match path.split_first() {
        Some((step, rest)) if !step.is_empty() => node.get(step).is_some_and(|child| reaches(child, rest)),
        Some(_) => false,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::{Value, json};

    fn parsed(text: &str) -> Value {
        Value::Object(parse(text))
    }

    #[test]
    fn brackets_become_nested_objects() {
        assert_eq!(parsed("a[b][c]=1&a[b][d]=x+y%26"), json!({"a": {"b": {"c": "1", "d": "x y&"}}}));
        assert_eq!(parsed("metadata%5B7%5D=x"), json!({"metadata": {"7": "x"}}));
    }

    #[test]
    fn empty_brackets_append() {
        assert_eq!(parsed("expand[]=a&expand[]=b"), json!({"expand": ["a", "b"]}));
        assert_eq!(
            parsed("i[][p][c]=1&i[][q]=2&i[][p][c]=3"),
            json!({"i": [{"p": {"c": "1"}, "q": "2"}, {"p": {"c": "3"}}]})
        );
    }

    #[test]
    fn odd_names_stay_plain_fields() {
        assert_eq!(parsed("[x]=1&y[=2&z"), json!({"[x]": "1", "y[": "2", "z": ""}));
    }
}
