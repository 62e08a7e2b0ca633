//! Calls to the API of a stack, here or deployed. Every one may be sent again, so every one is.

use std::time::Duration;

use edge::StartError;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

pub struct Api {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    address: String,
    bearer: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{detail}")]
    Problem { code: String, detail: String, body: Value },
    #[error("the API answers {0}: {1}")]
    Unreadable(StatusCode, String),
    #[error("the API does not answer ({0}); run the same command again, and it goes on")]
    Silent(String),
}

/// Longer than API Gateway waits for a function.
const PATIENCE: Duration = Duration::from_secs(35);
const TRIES: u32 = 6;

impl Api {
    pub fn new(address: &str, token: &str) -> Result<Api, StartError> {
        let connector =
            HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let address = address.trim_end_matches('/').to_owned();
        Ok(Api { client, address, bearer: format!("Bearer {token}") })
    }

    /// A user's id, or whatever else may have any letters, as a part of a path.
    pub fn segment(id: &str) -> String {
        utf8_percent_encode(id, NON_ALPHANUMERIC).to_string()
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Value,
    ) -> Result<Value, Refused> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_send(&method, path, key, &body).await {
                Ok(answer) => return Ok(answer),
                Err(refused) if tries == TRIES || !refused.passes() => return Err(refused),
                Err(_) => tokio::time::sleep(Duration::from_millis(250 << tries)).await,
            }
        }
    }

    async fn try_send(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Result<Value, Refused> {
        let silent = |error: &dyn std::fmt::Display| Refused::Silent(error.to_string());
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        request = request.header(header::AUTHORIZATION, &self.bearer);
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::from(body)).map_err(|error| silent(&error))?;
        let answered = async {
            let response = self.client.request(request).await.map_err(|error| silent(&error))?;
            let status = response.status();
            let bytes = response.into_body().collect().await.map_err(|error| silent(&error))?.to_bytes();
            Ok((status, bytes))
        };
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        let (status, bytes) = answered.map_err(|error| silent(&error))??;
        understood(status, &bytes)
    }
}

fn understood(status: StatusCode, bytes: &[u8]) -> Result<Value, Refused> {
    let json: Option<Value> = serde_json::from_slice(bytes).ok();
    match json {
        Some(json) if status.is_success() => Ok(json),
        Some(body) if body["code"].is_string() => {
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            Err(Refused::Problem { code: text("code"), detail: text("detail"), body })
        }
        _ => Err(Refused::Unreadable(status, String::from_utf8_lossy(bytes).into_owned())),
    }
}

impl Refused {
    /// Whether the same request may fare better in a moment.
    fn passes(&self) -> bool {
        match self {
            Refused::Problem { code, .. } => code == "busy" || code == "stripe_unavailable",
            Refused::Unreadable(status, _) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Refused::Silent(_) => true,
        }
    }
}
