//! A server on a real socket that answers by script, to do what a healthy Stripe rarely does.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::Settings;

pub const KEY: &str = "sk_test_never_to_be_seen";

#[derive(Clone)]
pub enum Step {
    Answer {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: String,
    },
    /// Reads the request, then closes the connection.
    Hangup,
    /// Reads the request and says nothing.
    Silence,
}

impl Step {
    pub fn status(status: u16) -> Step {
        Step::Answer { status, headers: Vec::new(), body: "{}".to_owned() }
    }

    pub fn ok(body: impl Into<String>) -> Step {
        Step::Answer { status: 200, headers: Vec::new(), body: body.into() }
    }

    pub fn body(mut self, text: impl Into<String>) -> Step {
        if let Step::Answer { body, .. } = &mut self {
            *body = text.into();
        }
        self
    }

    pub fn header(mut self, name: &'static str, value: &'static str) -> Step {
        if let Step::Answer { headers, .. } = &mut self {
            headers.push((name, value));
        }
        self
    }
}

#[derive(Clone)]
pub struct Seen {
    /// Which accepted connection it came over.
    pub connection: usize,
    pub head: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Seen {
    /// What its body says, decoded, by name.
    pub fn fields(&self) -> BTreeMap<String, String> {
        let decoded =
            |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
        let pairs = self.body.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
    }

    /// `POST /v1/customers`.
    pub fn call(&self) -> &str {
        self.head.strip_suffix(" HTTP/1.1").unwrap()
    }

    pub fn key(&self) -> Option<&str> {
        self.headers.get("idempotency-key").map(String::as_str)
    }
}

pub struct Wire {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Wire {
    /// Answers the n-th request by the n-th step, and whatever comes after the script with a hang-up.
    pub fn play(steps: impl IntoIterator<Item = Step>) -> Wire {
        let script = Mutex::new(steps.into_iter().collect::<VecDeque<Step>>());
        Wire::answer(move |_| script.lock().unwrap().pop_front().unwrap_or(Step::Hangup))
    }

    /// Answers each request by itself: those that are under way at once come in any order.
    pub fn answer(answer: impl Fn(&Seen) -> Step + Send + Sync + 'static) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let noted = Arc::clone(&seen);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (answer, noted) = (Arc::clone(&answer), Arc::clone(&noted));
                thread::spawn(move || serve(stream.unwrap(), connection, &*answer, &noted));
            }
        });
        Wire { address, seen }
    }

    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new(KEY, "main");
        settings.api_base = Some(self.address.clone());
        settings.attempt_timeout = Duration::from_millis(400);
        settings
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What was asked for, in this order.
    pub fn calls(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.call().to_owned()).collect()
    }
}

fn serve(stream: TcpStream, connection: usize, answer: &dyn Fn(&Seen) -> Step, noted: &Mutex<Vec<Seen>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(request) = read_request(&mut reader, connection) {
        noted.lock().unwrap().push(request.clone());
        match answer(&request) {
            Step::Answer { status, headers, body } => {
                let headers: String =
                    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            Step::Hangup => return,
            Step::Silence => thread::sleep(Duration::from_secs(60)),
        }
    }
}

fn read_request(reader: &mut impl BufRead, connection: usize) -> Option<Seen> {
    let mut lines = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let head = lines.next()?;
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { connection, head, headers, body: String::from_utf8(body).unwrap() })
}
