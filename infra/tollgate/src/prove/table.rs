//! Where the books are: beside a running stack, in the file of one that does not run, or on AWS.

use std::path::PathBuf;
use std::time::Duration;

use edge::{Env, StartError};
use hyper::{Method, Uri};
use serde_json::Value;
use store::Store;
use tokio::net::{TcpListener, TcpStream};

use super::Table;
use crate::api::Api;
use crate::keys::{LocalFile, LocalStack};
use crate::local::DEMO_TOKEN_TTL;
use crate::stack::{TABLE, settings};

pub enum At {
    /// A stack that was started in a folder.
    Local { folder: PathBuf, product: Option<String> },
    /// The table of a deployed one, by the process's own credentials.
    Aws { table: String },
}

/// Nobody waits for an answer but who started it.
const BUDGET: Duration = Duration::from_secs(20);
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// An index of DynamoDB's is behind by less, as good as always.
const INDEX_FOLLOWS: Duration = Duration::from_secs(3);
/// Nobody; whose account is asked for to learn whose stack it is that answers.
const ASKER: &str = "prove";

pub async fn open(at: &At) -> Result<Table, StartError> {
    match at {
        At::Aws { table } => {
            let aws = edge::aws::config(&Env::Process).await?;
            let endpoint = Env::Process.optional("AWS_ENDPOINT_URL_DYNAMODB");
            let store = Store::open(&aws, endpoint, table, BUDGET);
            store.size().await.map_err(|error| {
                format!("{table}: {error}; the table's name, AWS_REGION and credentials have to be right")
            })?;
            Ok(Table { store, looks_up: false, patience: INDEX_FOLLOWS })
        }
        At::Local { folder, product } => {
            let file = LocalFile::below(folder);
            let stack = file.find(product.as_deref())?;
            let endpoint = match runs(&stack).await {
                true => stack.dynamodb.clone(),
                false => serve(file.state_folder(&stack.product).join("table.db")).await?,
            };
            let aws = edge::aws::config(&settings(&stack, "", None)).await?;
            let store = Store::open(&aws, Some(endpoint), TABLE, BUDGET);
            Ok(Table { store, looks_up: true, patience: Duration::ZERO })
        }
    }
}

/// Whether it is this stack that answers at the addresses it had: another may have taken them since.
async fn runs(stack: &LocalStack) -> bool {
    for address in [&stack.dynamodb, &stack.api] {
        let Some(authority) = address.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned()) else {
            return false;
        };
        let connected = tokio::time::timeout(ANSWERS_WITHIN, TcpStream::connect(authority.as_str())).await;
        if !matches!(connected, Ok(Ok(_))) {
            return false;
        }
    }
    // Only the stack that has the key takes the token.
    let token = stack.tokens().mint(ASKER, None, None, DEMO_TOKEN_TTL);
    let Ok(api) = Api::new(&stack.api, &token) else { return false };
    let asked = api.send(Method::GET, "/v1/me/wallet", None, Value::Null).await;
    asked.is_ok()
}

/// Serves a table's file for as long as this process runs. Answers with the address.
async fn serve(file: PathBuf) -> Result<String, StartError> {
    if !file.exists() {
        let path = file.display();
        return Err(format!(
            "the stack does not run, and there is no {path}: it was started with --memory, or never"
        )
        .into());
    }
    let database = dynoxide::Database::new(&file.to_string_lossy());
    let database = database.map_err(|error| format!("{}: {error}", file.display()))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending::<()>()));
    Ok(address)
}
