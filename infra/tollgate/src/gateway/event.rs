//! Events in payload format 2.0, as API Gateway and function URLs send them.

use std::collections::BTreeMap;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::percent_decode;
use serde_json::{Map, Value, json};

use super::routes::{Matched, decode};
use crate::keys::Claims;
use crate::queue::{ACCOUNT, REGION};

const API_ID: &str = "local";

/// A request as it came in.
pub(super) struct Incoming<'a> {
    pub id: &'a str,
    pub parts: &'a Parts,
    pub body: &'a [u8],
}

pub(super) fn of_api(request: &Incoming, matched: &Matched, claims: Option<&Claims>) -> Value {
    // API Gateway hands on the decoded path, function URLs the path as it came.
    let mut event = common(request, &decode(request.parts.uri.path()));
    let context = &mut event["requestContext"];
    context["accountId"] = json!(ACCOUNT);
    context["apiId"] = json!(API_ID);
    context["domainName"] = json!(format!("{API_ID}.execute-api.{REGION}.amazonaws.com"));
    context["domainPrefix"] = json!(API_ID);
    context["routeKey"] = json!(matched.key());
    if let Some(claims) = claims {
        let claims: Map<_, _> =
            claims.iter().map(|(name, value)| (name.clone(), flat(value).into())).collect();
        context["authorizer"] = json!({ "jwt": { "claims": claims, "scopes": null } });
    }
    event["routeKey"] = json!(matched.key());
    if !matched.parameters.is_empty() {
        event["pathParameters"] = json!(matched.parameters);
    }
    event
}

pub(super) fn of_function_url(request: &Incoming, name: &str, path: &str) -> Value {
    let mut event = common(request, path);
    let context = &mut event["requestContext"];
    context["accountId"] = json!("anonymous");
    context["apiId"] = json!(name);
    context["domainName"] = json!(format!("{name}.lambda-url.{REGION}.on.aws"));
    context["domainPrefix"] = json!(name);
    context["routeKey"] = json!("$default");
    event["routeKey"] = json!("$default");
    event
}

fn common(request: &Incoming, path: &str) -> Value {
    let Incoming { parts, body, .. } = request;
    let (cookies, headers) = headers(&parts.headers);
    let mut event = json!({
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": context(request, path),
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if let Some(query) = parts.uri.query().filter(|query| !query.is_empty()) {
        event["queryStringParameters"] = json!(query_parameters(query));
    }
    if !body.is_empty() {
        let (body, encoded) = body_text(&parts.headers, body);
        event["body"] = json!(body);
        event["isBase64Encoded"] = json!(encoded);
    }
    event
}

fn context(request: &Incoming, path: &str) -> Value {
    let user_agent = request.parts.headers.get(header::USER_AGENT);
    let now = jiff::Timestamp::now();
    json!({
        "http": {
            "method": request.parts.method.as_str(),
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": user_agent.map_or("", |agent| agent.to_str().unwrap_or_default()),
        },
        "requestId": request.id,
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        "timeEpoch": now.as_millisecond(),
    })
}

pub(super) fn fresh_request_id() -> String {
    let random = fastrand::u128(..).to_be_bytes();
    URL_SAFE.encode(&random[..11])
}

/// Cookies apart; names in lower case, values of the same name joined; and what the edge adds.
fn headers(headers: &HeaderMap) -> (Vec<String>, BTreeMap<String, String>) {
    let (mut cookies, mut joined) = (Vec::new(), BTreeMap::<String, String>::new());
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name == header::COOKIE {
            cookies.extend(value.split(';').map(|cookie| cookie.trim().to_owned()));
            continue;
        }
        let all = joined.entry(name.as_str().to_owned()).or_default();
        if !all.is_empty() {
            all.push(',');
        }
        all.push_str(&value);
    }
    let host = joined.get("host").cloned().unwrap_or_default();
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port).to_owned();
    let trace =
        format!("Root=1-{:08x}-{:024x}", jiff::Timestamp::now().as_second(), fastrand::u128(..) >> 32);
    let added = [
        ("x-amzn-trace-id", trace),
        ("x-forwarded-for", "127.0.0.1".to_owned()),
        ("x-forwarded-port", port),
        ("x-forwarded-proto", "http".to_owned()),
    ];
    joined.extend(added.map(|(name, value)| (name.to_owned(), value)));
    (cookies, joined)
}

/// Decoded; values of the same name are joined.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let text = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
    };
    let mut parameters = BTreeMap::<String, String>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = text(value);
        parameters.entry(text(name)).and_modify(|all| *all = format!("{all},{value}")).or_insert(value);
    }
    parameters
}

/// Text stays text; anything else goes as Base64.
fn body_text(headers: &HeaderMap, body: &[u8]) -> (String, bool) {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind =
        kind.and_then(|kind| kind.split(';').next()).unwrap_or("text/plain").trim().to_ascii_lowercase();
    let is_text = kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(kind.as_str(), "application/json" | "application/xml" | "application/javascript");
    match std::str::from_utf8(body) {
        Ok(text) if is_text => (text.to_owned(), false),
        _ => (STANDARD.encode(body), true),
    }
}

/// Claims reach a function as texts: `true`, `[a b]`, `map[k:v]`.
fn flat(claim: &Value) -> String {
    match claim {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(claim) => claim.to_string(),
        Value::Number(claim) => claim.to_string(),
        Value::String(claim) => claim.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}:{}", flat(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::routes::Routes;
    use super::*;
    use crate::event::{ADMIN, CHECKOUT, ENTITLEMENTS, WALLET};
    use crate::template::Template;

    /// Which fields there are, and of which kind, whatever they say.
    fn shape(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
            }
            Value::String(_) => json!("text"),
            Value::Number(_) => json!("number"),
            other => other.clone(),
        }
    }

    #[test]
    fn the_files_in_events_are_what_a_function_is_sent() {
        let template = Template::embedded().unwrap();
        let routes = Routes::new(template.routes());
        for file in [ADMIN, CHECKOUT, ENTITLEMENTS, WALLET] {
            let file: Value = serde_json::from_str(file).unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let context = &file["requestContext"];
            let mut request = axum::http::Request::builder();
            request = request.method(&text(&context["http"]["method"])[..]).uri(text(&file["rawPath"]));
            for (name, value) in file["headers"].as_object().unwrap() {
                request = request.header(name, text(value));
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let matched = routes.find(&parts.method, parts.uri.path()).unwrap();
            let claims = context["authorizer"]["jwt"]["claims"].as_object();
            let body = text(&file["body"]);
            let sent = of_api(&Incoming { id: "id", parts: &parts, body: body.as_bytes() }, &matched, claims);
            assert_eq!(shape(&sent), shape(&file));
            assert_eq!((&sent["routeKey"], &sent["body"]), (&file["routeKey"], &file["body"]));
        }
    }

    #[test]
    fn claims_are_flattened_as_api_gateway_does() {
        let flattened = [
            (json!("a b"), "a b"),
            (json!(true), "true"),
            (json!(1_700_000_000), "1700000000"),
            (json!(["a", "b"]), "[a b]"),
            (json!({ "k": "v" }), "map[k:v]"),
        ];
        for (claim, text) in flattened {
            assert_eq!(flat(&claim), text);
        }
    }

    #[test]
    fn repeated_query_parameters_are_joined() {
        let parameters = query_parameters("a=1&b=x%20y&a=2+3&c");
        let expected = [("a", "1,2 3"), ("b", "x y"), ("c", "")];
        assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
