//! A small SQS on a loopback port: it keeps what is sent, or fails the way SQS does.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    Well,
    /// Answers 400, which no client tries again.
    Refusing,
    /// Answers 503, which clients try again.
    Overloaded,
    /// Takes the request and never answers.
    Silent,
}

#[derive(Clone)]
pub struct Sqs {
    pub endpoint: String,
    state: Arc<Mutex<(Mood, Vec<String>)>>,
}

impl Sqs {
    pub async fn start() -> Sqs {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let sqs = Sqs { endpoint, state: Arc::new(Mutex::new((Mood::Well, Vec::new()))) };
        let router = Router::new().route("/", post(answer)).with_state(sqs.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        sqs
    }

    pub fn turns(&self, mood: Mood) {
        self.state.lock().unwrap().0 = mood;
    }

    /// The bodies of all messages so far.
    pub fn messages(&self) -> Vec<String> {
        self.state.lock().unwrap().1.clone()
    }
}

async fn answer(State(sqs): State<Sqs>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let mood = sqs.state.lock().unwrap().0;
    match mood {
        Mood::Well => {}
        Mood::Refusing => return failure(StatusCode::BAD_REQUEST, "QueueDoesNotExist"),
        Mood::Overloaded => return failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Mood::Silent => std::future::pending().await,
    }
    let request: Value = serde_json::from_str(&body).unwrap();
    match headers["x-amz-target"].to_str().unwrap() {
        "AmazonSQS.SendMessage" => {
            let message = request["MessageBody"].as_str().unwrap().to_owned();
            sqs.state.lock().unwrap().1.push(message);
            (StatusCode::OK, json!({ "MessageId": "1", "MD5OfMessageBody": "0" }).to_string())
        }
        "AmazonSQS.GetQueueAttributes" => (StatusCode::OK, json!({ "Attributes": {} }).to_string()),
        other => panic!("the webhook has no business with {other}"),
    }
}

fn failure(status: StatusCode, code: &str) -> (StatusCode, String) {
    (status, json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "as told" }).to_string())
}
