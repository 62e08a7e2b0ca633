//! The table in this process: the real SDK talks to it over a connector without a socket.

use std::fmt;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde_json::json;

use crate::crash;
use crate::faults::{Fate, Fault, Faults, Luck};

/// One DynamoDB of one seed. Clones share it.
#[derive(Clone)]
pub struct Table {
    database: Database,
    /// `None` for whoever only looks: nothing fails them, and nothing takes time.
    faults: Option<Faults>,
}

impl Table {
    pub fn new(faults: Faults) -> Result<Table, DynoxideError> {
        Ok(Table { database: Database::memory()?, faults: Some(faults) })
    }

    pub fn without_faults(&self) -> Table {
        Table { faults: None, ..self.clone() }
    }

    /// What an SDK client needs to talk to it.
    pub async fn config(&self) -> SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        let client: SharedHttpClient = http_client_fn(move |_, _| connector.clone());
        aws_config::defaults(BehaviorVersion::latest())
            .http_client(client)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("simulated", "simulated", None, None, "simulated"))
            .load()
            .await
    }

    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let operation = named(request.headers().get("x-amz-target").unwrap_or_default());
        let body = request.body().bytes().unwrap_or_default();
        let Some(faults) = &self.faults else { return Ok(self.carry_out(operation, body)) };
        let is_write = !matches!(operation, "GetItem" | "BatchGetItem" | "Query" | "Scan");
        let Luck { fate, there, back } = faults.of_table(operation == "TransactWriteItems", is_write);
        crash::begins(operation);
        tokio::time::sleep(there).await;
        if let Fate::Refused(fault) = fate {
            tokio::time::sleep(back).await;
            return Ok(refusal(fault));
        }
        let answer = self.carry_out(operation, body);
        crash::done();
        tokio::time::sleep(back).await;
        match fate {
            Fate::Lost(_) => Err(ConnectorError::io("the connection was lost".into())),
            _ => Ok(answer),
        }
    }

    fn carry_out(&self, operation: &'static str, body: &[u8]) -> HttpResponse {
        match self.dispatch(operation, body) {
            Ok(json) => response(200, json),
            Err(error) => response(error.status_code(), error.to_json()),
        }
    }

    /// What the ledger uses of DynamoDB.
    fn dispatch(&self, operation: &'static str, body: &[u8]) -> Result<String, DynoxideError> {
        macro_rules! on {
            ($method:ident) => {{
                let request = serde_json::from_slice(body)
                    .map_err(|error| DynoxideError::ValidationException(error.to_string()))?;
                let answer = self.database.$method(request)?;
                Ok(serde_json::to_string(&answer).expect("an answer is JSON"))
            }};
        }
        match operation {
            "GetItem" => on!(get_item),
            "BatchGetItem" => on!(batch_get_item),
            "Query" => on!(query),
            "Scan" => on!(scan),
            "PutItem" => on!(put_item),
            "UpdateItem" => on!(update_item),
            "DeleteItem" => on!(delete_item),
            "TransactWriteItems" => on!(transact_write_items),
            "CreateTable" => on!(create_table),
            "UpdateTimeToLive" => on!(update_time_to_live),
            other => Err(DynoxideError::ValidationException(format!("no {other} here"))),
        }
    }
}

impl HttpConnector for Table {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().answer(request))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

/// The operation that a target such as `DynamoDB_20120810.GetItem` names.
fn named(target: &str) -> &'static str {
    const KNOWN: [&str; 10] = [
        "GetItem",
        "BatchGetItem",
        "Query",
        "Scan",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "TransactWriteItems",
        "CreateTable",
        "UpdateTimeToLive",
    ];
    let name = target.rsplit('.').next().unwrap_or_default();
    KNOWN.into_iter().find(|known| *known == name).unwrap_or("unknown")
}

/// As DynamoDB words it.
fn refusal(fault: Fault) -> HttpResponse {
    let error = |kind: &str| format!("com.amazonaws.dynamodb.v20120810#{kind}");
    match fault {
        Fault::Throttled => response(
            400,
            json!({ "__type": error("ThrottlingException"), "message": "slow down" }).to_string(),
        ),
        Fault::Conflict => {
            let reasons = [json!({ "Code": "TransactionConflict", "Message": "in conflict" })];
            let kind = error("TransactionCanceledException");
            let body = json!({ "__type": kind, "Message": "canceled", "CancellationReasons": reasons });
            response(400, body.to_string())
        }
        _ => {
            response(500, json!({ "__type": error("InternalServerError"), "message": "broken" }).to_string())
        }
    }
}

fn response(status: u16, json: String) -> HttpResponse {
    let status = status.try_into().expect("statuses are this module's own");
    let mut response = HttpResponse::new(status, SdkBody::from(json));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
