//! Lists and searches over the object table, newest first, with Stripe's cursors.

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, params_from_iter};
use serde_json::{Value, json};

use crate::failure::{Answer, Failure};
use crate::params::Params;
use crate::tx::{Tx, id_of};

/// The objects of one kind that fulfil every condition.
pub struct Query {
    kind: &'static str,
    conditions: Vec<String>,
    values: Vec<Sql>,
}

impl Query {
    pub fn of(kind: &'static str) -> Self {
        Self {
            kind,
            conditions: vec!["kind = ?".into(), "json_extract(shown, '$.deleted') IS NULL".into()],
            values: vec![Sql::Text(kind.into())],
        }
    }

    pub fn equal(&mut self, field: &str, value: Option<impl Into<Sql>>) {
        if let Some(value) = value {
            self.condition(format!("json_extract(shown, '$.{field}') = ?"), [value.into()]);
        }
    }

    pub fn is(&mut self, field: &str, value: Option<bool>) {
        self.equal(field, value.map(i64::from));
    }

    pub fn any_of(&mut self, field: &str, values: Option<Vec<String>>) {
        if let Some(values) = values {
            let marks = vec!["?"; values.len()].join(", ");
            let condition = format!("json_extract(shown, '$.{field}') IN ({marks})");
            self.condition(condition, values.into_iter().map(Sql::Text));
        }
    }

    pub fn condition(&mut self, condition: String, values: impl IntoIterator<Item = Sql>) {
        self.conditions.push(condition);
        self.values.extend(values);
    }

    /// `created=T` or `created[gte]=T` and its like.
    pub fn created(&mut self, params: &mut Params) -> Answer<()> {
        if !params.is_section("created") {
            self.equal("created", params.integer("created")?);
            return Ok(());
        }
        let Some(mut range) = params.section("created")? else { return Ok(()) };
        for (name, sign) in [("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<=")] {
            if let Some(bound) = range.integer(name)? {
                self.condition(format!("json_extract(shown, '$.created') {sign} ?"), [bound.into()]);
            }
        }
        range.finish()
    }

    /// Lists filtered by a customer refuse one that never was.
    pub fn customer(&mut self, tx: &Tx, params: &mut Params) -> Answer<()> {
        if let Some(id) = params.text("customer")? {
            if tx.find("customer", &id)?.is_none() {
                return Err(Failure::no_such_reference("customer", &id, "customer"));
            }
            self.equal("customer", Some(id));
        }
        Ok(())
    }

    /// One page, by `limit`, `starting_after` and `ending_before`; takes the last of the parameters.
    pub fn page(mut self, tx: &Tx, mut params: Params, url: &str) -> Answer<Value> {
        let limit = limit(&mut params)?;
        let after = params.text("starting_after")?;
        let before = params.text("ending_before")?;
        params.finish()?;
        let backwards = match (after, before) {
            (Some(_), Some(_)) => {
                return Err(Failure::invalid("Pass only one of starting_after and ending_before."));
            }
            (Some(id), None) => self.go_on_from(tx, "<", &id, "starting_after")?,
            (None, Some(id)) => self.go_on_from(tx, ">", &id, "ending_before")?,
            (None, None) => false,
        };
        let mut data = self.fetch(tx, limit + 1, backwards)?;
        let has_more = data.len() > limit;
        data.truncate(limit);
        if backwards {
            data.reverse();
        }
        Ok(json!({"object": "list", "data": data, "has_more": has_more, "url": url}))
    }

    /// One page of a search, whose `page` is opaque: the id it goes on after.
    pub fn search_page(mut self, tx: &Tx, mut params: Params, url: &str) -> Answer<Value> {
        let limit = limit(&mut params)?;
        if let Some(id) = params.text("page")? {
            self.go_on_from(tx, "<", &id, "page")?;
        }
        params.finish()?;
        let mut data = self.fetch(tx, limit + 1, false)?;
        let has_more = data.len() > limit;
        data.truncate(limit);
        let next_page = data.last().filter(|_| has_more).map(|last| id_of(last).to_owned());
        Ok(json!({
            "object": "search_result", "data": data, "has_more": has_more, "next_page": next_page, "url": url,
        }))
    }

    /// Whether the page runs towards newer objects.
    fn go_on_from(&mut self, tx: &Tx, sign: &str, id: &str, param: &str) -> Answer<bool> {
        let mut statement = tx.sql.prepare_cached("SELECT seq FROM objects WHERE kind = ?1 AND id = ?2")?;
        let seq: Option<i64> = statement.query_row([self.kind, id], |row| row.get(0)).optional()?;
        let seq = seq.ok_or_else(|| Failure::no_such_reference(self.kind, id, param))?;
        self.condition(format!("seq {sign} ?"), [seq.into()]);
        Ok(sign == ">")
    }

    fn fetch(&self, tx: &Tx, limit: usize, oldest_first: bool) -> Answer<Vec<Value>> {
        let conditions = self.conditions.join(" AND ");
        let order = if oldest_first { "ASC" } else { "DESC" };
        let select =
            format!("SELECT shown FROM objects WHERE {conditions} ORDER BY seq {order} LIMIT {limit}");
        let mut statement = tx.sql.prepare_cached(&select)?;
        let rows = statement.query_map(params_from_iter(&self.values), |row| row.get::<_, String>(0))?;
        rows.map(|json| Ok(serde_json::from_str(&json?)?)).collect()
    }

    /// Every object, for the few inner uses that need no page.
    pub fn all(&self, tx: &Tx) -> Answer<Vec<Value>> {
        self.fetch(tx, 1_000_000, false)
    }
}

/// One page of what stands in an object rather than in the table, oldest first.
pub fn slice(all: &[Value], limit: i64, after: Option<&str>, url: &str) -> Answer<Value> {
    let limit = usize::try_from(limit).unwrap_or(100).min(100);
    let start = match after {
        None => 0,
        Some(id) => match all.iter().position(|element| id_of(element) == id) {
            Some(position) => position + 1,
            None => return Err(Failure::no_such_reference("item", id, "starting_after")),
        },
    };
    let data: Vec<&Value> = all[start..].iter().take(limit).collect();
    let has_more = start + data.len() < all.len();
    Ok(json!({"object": "list", "data": data, "has_more": has_more, "url": url}))
}

fn limit(params: &mut Params) -> Answer<usize> {
    match params.integer("limit")? {
        None => Ok(10),
        Some(limit @ 1..=100) => Ok(usize::try_from(limit).expect("between 1 and 100")),
        Some(limit) => {
            let message = format!("limit is between 1 and 100 (it is '{limit}').");
            Err(Failure::invalid(message).code("parameter_invalid_integer").param("limit"))
        }
    }
}

/// `metadata['user']:'u-1' AND email:"a@b.c"`: exact matches, joined by AND.
pub fn search(tx: &Tx, mut params: Params, kind: &'static str, url: &str, fields: &[&str]) -> Answer<Value> {
    let text = params.required("query")?;
    let mut query = Query::of(kind);
    let mut rest = text.as_str();
    loop {
        let (field, value, after) = search_term(rest).ok_or_else(|| unreadable(&text))?;
        let path = match field.strip_prefix("metadata[").and_then(|key| key.strip_suffix(']')) {
            Some(key) => format!("$.metadata.\"{}\"", unquoted(key).ok_or_else(|| unreadable(&text))?),
            None if fields.contains(&field) => format!("$.{field}"),
            None => {
                return Err(Failure::invalid(format!("Field `{field}` cannot be searched.")).param("query"));
            }
        };
        query.condition("json_extract(shown, ?) = ?".into(), [Sql::Text(path), Sql::Text(value.into())]);
        match after.trim_start() {
            "" => return query.search_page(tx, params, url),
            more => rest = more.strip_prefix("AND ").ok_or_else(|| unreadable(&text))?,
        }
    }
}

fn unreadable(query: &str) -> Failure {
    let message =
        format!("The query `{query}` is not of the form field:'value' AND metadata['key']:'value'.");
    Failure::invalid(message).param("query")
}

/// The first `field:'value'` and what follows it.
fn search_term(text: &str) -> Option<(&str, &str, &str)> {
    let (field, rest) = text.trim_start().split_once(':')?;
    let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let (value, after) = rest[1..].split_once(quote)?;
    Some((field.trim(), value, after))
}

fn unquoted(key: &str) -> Option<&str> {
    let inner = |quote| key.strip_prefix(quote)?.strip_suffix(quote);
    inner('\'').or_else(|| inner('"')).filter(|key| !key.contains('"'))
}
