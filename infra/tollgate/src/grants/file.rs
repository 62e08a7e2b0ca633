//! The file that says who gets how much: CSV, `email_or_user,tokens` to a line, or a JSON list of rows.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Rows as the API takes them, and where each stands in the file.
#[derive(Debug)]
pub struct GrantFile {
    /// The hash of the file: the same for the same file, wherever and whenever.
    pub key: String,
    rows: Vec<Row>,
    unit: &'static str,
}

#[derive(Debug)]
struct Row {
    place: usize,
    json: Value,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadFile(String);

impl GrantFile {
    pub fn read(path: &Path) -> Result<GrantFile, BadFile> {
        let named = |error: &dyn std::fmt::Display| BadFile(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        GrantFile::parse(&text).map_err(|error| named(&error))
    }

    fn parse(text: &str) -> Result<GrantFile, BadFile> {
        let digest = Sha256::digest(text);
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_json = text.trim_start().starts_with(['[', '{']);
        let (rows, unit) = if is_json { (of_json(text)?, "row") } else { (of_csv(text)?, "line") };
        match rows.is_empty() {
            true => Err(BadFile("it names nobody".to_owned())),
            false => Ok(GrantFile { key: format!("grants-{hash}"), rows, unit }),
        }
    }

    pub fn rows(&self) -> Vec<&Value> {
        self.rows.iter().map(|row| &row.json).collect()
    }

    /// Where the so-manieth row stands, counted from 1.
    pub fn place(&self, row: usize) -> String {
        let place = row.checked_sub(1).and_then(|index| self.rows.get(index)).map_or(row, |row| row.place);
        format!("{} {place}", self.unit)
    }
}

/// A list of `{"email"|"user", "tokens"}`, by itself or as `rows`.
fn of_json(text: &str) -> Result<Vec<Row>, BadFile> {
    let mut json: Value = serde_json::from_str(text).map_err(|error| BadFile(error.to_string()))?;
    let rows = if json.is_object() { json["rows"].take() } else { json };
    let Value::Array(rows) = rows else { return Err(BadFile("it holds no list of rows".to_owned())) };
    Ok((1..).zip(rows).map(|(place, json)| Row { place, json }).collect())
}

fn of_csv(text: &str) -> Result<Vec<Row>, BadFile> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let mut rows = Vec::new();
    for (place, line) in lines {
        let wrong = || BadFile(format!("line {place} is not `email_or_user,tokens`"));
        let (subject, tokens) = line.rsplit_once(',').ok_or_else(wrong)?;
        let subject = unquoted(subject);
        match unquoted(tokens).parse::<u64>() {
            // Whoever has an @ is an email; a user whose id has one can be named in JSON.
            Ok(tokens) if subject.contains('@') => {
                rows.push(Row { place, json: json!({ "email": subject, "tokens": tokens }) });
            }
            Ok(tokens) => rows.push(Row { place, json: json!({ "user": subject, "tokens": tokens }) }),
            // The first line may be a header.
            Err(_) if place == 1 => {}
            Err(_) => return Err(wrong()),
        }
    }
    Ok(rows)
}

/// As spreadsheets write a field: perhaps in quotes, with quotes inside doubled.
fn unquoted(field: &str) -> String {
    let field = field.trim().trim_start_matches('\u{feff}');
    match field.strip_prefix('"').and_then(|field| field.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Value {
        json!(GrantFile::parse(text).unwrap().rows())
    }

    #[test]
    fn a_table_with_or_without_a_header_is_read_line_by_line() {
        let expected = json!([{ "email": "a@b.c", "tokens": 5 }, { "user": "auth0|1,2", "tokens": 7 }]);
        assert_eq!(rows("a@b.c,5\n\"auth0|1,2\", 7\n"), expected);
        assert_eq!(rows("\u{feff}email_or_user,tokens\r\na@b.c,5\r\n\r\n\"auth0|1,2\",\"7\"\r\n"), expected);
        let file = GrantFile::parse("who,tokens\na@b.c,5\n\nada,7").unwrap();
        assert_eq!((file.place(1), file.place(2)), ("line 2".to_owned(), "line 4".to_owned()));
    }

    #[test]
    fn a_list_in_json_may_name_a_user_like_an_email() {
        let list = r#"[{"user":"a@b.c","tokens":5}]"#;
        assert_eq!(rows(list), json!([{ "user": "a@b.c", "tokens": 5 }]));
        assert_eq!(rows(&format!("{{\"rows\":{list}}}")), rows(list));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, line) in [("ada,5\nbob\n", 2), ("ada,5\n\nbob,many", 3), ("ada", 1), ("ada,1\nbob,-5", 2)]
        {
            let error = GrantFile::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line} ")), "{error}");
        }
        for empty in ["", "\n", "email_or_user,tokens\n", "[]"] {
            assert!(GrantFile::parse(empty).unwrap_err().to_string().contains("nobody"), "{empty:?}");
        }
    }

    #[test]
    fn the_key_is_the_files_own() {
        let key = |text: &str| GrantFile::parse(text).unwrap().key;
        assert_eq!(key("ada,5"), key("ada,5"));
        assert_ne!(key("ada,5"), key("ada,6"));
        assert!(key("ada,5").len() <= 128);
    }
}
