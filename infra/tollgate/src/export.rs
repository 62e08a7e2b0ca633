//! `tollgate export --user U`: everything that is kept of one user, as one JSON document.

use std::io::Write;
use std::path::{Path, PathBuf};

use edge::StartError;
use hyper::Method;
use serde_json::Value;

use crate::api::Api;
use crate::whole_file;

/// Who asks for their data, and where it goes.
pub struct Order {
    pub user: String,
    /// Standard output, unless a file is named.
    pub out: Option<PathBuf>,
    /// The API's address, such as `http://127.0.0.1:9000`.
    pub api: String,
    pub token: String,
}

pub async fn export(order: &Order) -> Result<(), StartError> {
    let api = Api::new(&order.api, &order.token)?;
    let mut text = format!("{:#}", document(&api, &order.user).await?);
    text.push('\n');
    match &order.out {
        // A bare name has no folder to put it in.
        Some(out) => whole_file::write(&Path::new(".").join(out), text.as_bytes())
            .map_err(|error| format!("{}: {error}", out.display()).into()),
        None => Ok(std::io::stdout().write_all(text.as_bytes())?),
    }
}

/// All the pages as one.
async fn document(api: &Api, user: &str) -> Result<Value, StartError> {
    let path = format!("/v1/admin/users/{}/export", Api::segment(user));
    let mut document = api.send(Method::GET, &path, None, Value::Null).await?;
    let mut next = document["next"].take();
    while let Some(cursor) = next.as_str() {
        eprintln!("{} entries", entries(&mut document)?.len());
        let mut page = api.send(Method::GET, &format!("{path}?cursor={cursor}"), None, Value::Null).await?;
        entries(&mut document)?.append(entries(&mut page)?);
        next = page["next"].take();
    }
    eprintln!("{} entries, and that is all", entries(&mut document)?.len());
    if let Some(fields) = document.as_object_mut() {
        fields.remove("next");
    }
    Ok(document)
}

fn entries(page: &mut Value) -> Result<&mut Vec<Value>, StartError> {
    page["entries"].as_array_mut().ok_or_else(|| "the API answers something else: no `entries`".into())
}
