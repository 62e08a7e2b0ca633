//! The parameters of one request. Each accessor takes what it names; [`Params::finish`] refuses the
//! rest, because Stripe refuses parameters it does not know.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::failure::{Answer, Failure};

#[derive(Debug, Default)]
pub struct Params {
    fields: Map<String, Value>,
    /// Where these fields stand, e.g. `line_items[0]`; empty at the top.
    prefix: String,
}

impl Params {
    pub fn new(fields: Map<String, Value>) -> Self {
        Self { fields, prefix: String::new() }
    }

    /// `quantity` of the second line item is `line_items[1][quantity]`.
    pub fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}[{name}]", self.prefix) }
    }

    pub fn finish(self) -> Answer<()> {
        match self.fields.keys().next() {
            Some(name) => Err(Failure::unknown_param(&self.full_name(name))),
            None => Ok(()),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    pub fn is_section(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(Value::is_object)
    }

    pub fn is_cleared(&self, name: &str) -> bool {
        self.is(name, "")
    }

    /// Whether this very word is given.
    pub fn is(&self, name: &str, word: &str) -> bool {
        self.fields.get(name).and_then(Value::as_str) == Some(word)
    }

    /// Parameters that change nothing here, whatever their shape.
    pub fn accept(&mut self, names: &[&str]) {
        for name in names {
            self.fields.remove(*name);
        }
    }

    /// Refuses every parameter but these.
    pub fn only(&self, names: &[&str]) -> Answer<()> {
        match self.fields.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(Failure::unknown_param(&self.full_name(name))),
            None => Ok(()),
        }
    }

    /// A parameter as it came, to be handed on.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name)
    }

    /// Takes over a parameter that stands among others, as it is.
    pub fn adopt(&mut self, from: &mut Params, name: &str) {
        if let Some(value) = from.fields.remove(name) {
            self.fields.insert(name.to_owned(), value);
        }
    }

    pub fn put(&mut self, name: &str, text: &str) {
        self.fields.insert(name.to_owned(), Value::String(text.to_owned()));
    }

    pub fn refuse(&self, names: &[&str]) -> Answer<()> {
        match names.iter().find(|name| self.has(name)) {
            Some(name) => Err(Failure::unsupported_param(&self.full_name(name))),
            None => Ok(()),
        }
    }

    /// A string that may be cleared: `Some(None)` for an empty one.
    pub fn clearable(&mut self, name: &str) -> Answer<Option<Option<String>>> {
        match self.fields.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Some(text).filter(|text| !text.is_empty()))),
            Some(_) => Err(Failure::invalid(format!("Invalid string: {name}")).param(self.full_name(name))),
        }
    }

    pub fn text(&mut self, name: &str) -> Answer<Option<String>> {
        match self.clearable(name)? {
            Some(None) => {
                let param = self.full_name(name);
                let message = format!("'{param}' is empty, and it cannot be unset.");
                Err(Failure::invalid(message).code("parameter_invalid_empty").param(param))
            }
            Some(text) => Ok(text),
            None => Ok(None),
        }
    }

    pub fn required(&mut self, name: &str) -> Answer<String> {
        self.text(name)?.ok_or_else(|| Failure::missing_param(&self.full_name(name)))
    }

    pub fn integer(&mut self, name: &str) -> Answer<Option<i64>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let parsed = text.parse().map_err(|_| {
            let failure = Failure::invalid(format!("Invalid integer: {text}"));
            failure.code("parameter_invalid_integer").param(self.full_name(name))
        });
        parsed.map(Some)
    }

    /// An integer that must not be below zero (prices) or below one (quantities).
    pub fn integer_from(&mut self, name: &str, least: i64) -> Answer<Option<i64>> {
        match self.integer(name)? {
            Some(number) if number < least => {
                let message = format!("This value must be greater than or equal to {least}.");
                let failure = Failure::invalid(message).code("parameter_invalid_integer");
                Err(failure.param(self.full_name(name)))
            }
            number => Ok(number),
        }
    }

    pub fn boolean(&mut self, name: &str) -> Answer<Option<bool>> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => {
                Err(Failure::invalid(format!("Invalid boolean: {text}")).param(self.full_name(name)))
            }
        }
    }

    pub fn one_of(&mut self, name: &str, allowed: &[&str]) -> Answer<Option<String>> {
        match self.text(name)? {
            Some(text) if !allowed.contains(&text.as_str()) => {
                let message = format!("Invalid {name}: must be one of {}", allowed.join(", "));
                Err(Failure::invalid(message).param(self.full_name(name)))
            }
            text => Ok(text),
        }
    }

    pub fn currency(&mut self, name: &str) -> Answer<Option<String>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Ok(Some(text.to_ascii_lowercase()));
        }
        Err(Failure::invalid(format!("Invalid currency: {text}.")).param(self.full_name(name)))
    }

    pub fn web_address(&mut self, name: &str) -> Answer<Option<String>> {
        let Some(url) = self.text(name)? else { return Ok(None) };
        let schemed = url.starts_with("https://") || url.starts_with("http://");
        if schemed && url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Some(url));
        }
        Err(Failure::invalid("Not a valid URL").code("url_invalid").param(self.full_name(name)))
    }

    /// A nested object, e.g. `payment_intent_data`.
    pub fn section(&mut self, name: &str) -> Answer<Option<Params>> {
        let prefix = self.full_name(name);
        match self.fields.remove(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Params { fields, prefix })),
            Some(_) => Err(Failure::invalid("Invalid object").param(prefix)),
        }
    }

    pub fn sections(&mut self, name: &str) -> Answer<Option<Vec<Params>>> {
        let Some(elements) = self.elements(name)? else { return Ok(None) };
        let sections = elements.into_iter().map(|(prefix, element)| match element {
            Value::Object(fields) => Ok(Params { fields, prefix }),
            _ => Err(Failure::invalid("Invalid object").param(prefix)),
        });
        sections.collect::<Answer<_>>().map(Some)
    }

    pub fn texts(&mut self, name: &str) -> Answer<Option<Vec<String>>> {
        let Some(elements) = self.elements(name)? else { return Ok(None) };
        let texts = elements.into_iter().map(|(prefix, element)| match element {
            Value::String(text) => Ok(text),
            _ => Err(Failure::invalid("Invalid string").param(prefix)),
        });
        texts.collect::<Answer<_>>().map(Some)
    }

    /// Elements in order, each with its full name; `a[0]=…` and `a[]=…` both make a list.
    fn elements(&mut self, name: &str) -> Answer<Option<Vec<(String, Value)>>> {
        let full = self.full_name(name);
        let not_a_list = || Failure::invalid("Invalid array").param(&full);
        let values: Vec<Value> = match self.fields.remove(name) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(Value::Object(numbered)) => {
                let mut ordered = BTreeMap::new();
                for (number, value) in numbered {
                    ordered.insert(number.parse::<u32>().map_err(|_| not_a_list())?, value);
                }
                ordered.into_values().collect()
            }
            Some(_) => return Err(not_a_list()),
        };
        let named = values.into_iter().enumerate();
        Ok(Some(named.map(|(index, value)| (format!("{full}[{index}]"), value)).collect()))
    }

    /// Applies `metadata` to what the object has: an empty value removes its key, an empty `metadata` all.
    pub fn metadata(&mut self, current: Value) -> Answer<Value> {
        let mut metadata = match current {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let changes = match self.fields.remove("metadata") {
            None => return Ok(Value::Object(metadata)),
            Some(Value::String(text)) if text.is_empty() => return Ok(Value::Object(Map::new())),
            Some(Value::Object(changes)) => changes,
            Some(_) => return Err(Failure::invalid("Invalid object").param(self.full_name("metadata"))),
        };
        for (key, value) in changes {
            let param = self.full_name(&format!("metadata[{key}]"));
            match value {
                Value::String(text) if text.is_empty() => metadata.remove(&key),
                Value::String(text) => {
                    check_metadata(&key, &text).map_err(|failure| failure.param(param))?;
                    metadata.insert(key, Value::String(text))
                }
                _ => return Err(Failure::invalid("Metadata values are strings.").param(param)),
            };
        }
        if metadata.len() > 50 {
            return Err(Failure::invalid("Metadata can have up to 50 keys.").param("metadata"));
        }
        Ok(Value::Object(metadata))
    }
}

fn check_metadata(key: &str, value: &str) -> Answer<()> {
    if key.chars().count() > 40 {
        return Err(Failure::invalid("Metadata keys can have up to 40 characters."));
    }
    if value.chars().count() > 500 {
        return Err(Failure::invalid("Metadata values can have up to 500 characters."));
    }
    Ok(())
}
