//! Plain sockets to and before the sandbox: what a browser does, and what a bad network does.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::wire::KEY;

/// Does what a buyer does on the hosted page.
pub fn pay(url: &str, session: &str) {
    person(url, &format!("checkout/{session}/pay"), r#"{"card":"4242424242424242"}"#);
}

/// The same with a card that is declined.
pub fn is_declined(url: &str, session: &str, card: &str) {
    let body = format!(r#"{{"card":"{card}"}}"#);
    let answer = post(url, &format!("checkout/{session}/pay"), &body);
    assert!(answer.starts_with("HTTP/1.1 402"), "{answer}");
}

/// Does what a person does, on a page of Stripe's, in its dashboard or at a bank.
pub fn person(url: &str, path: &str, body: &str) -> serde_json::Value {
    let answer = post(url, path, body);
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn post(url: &str, path: &str, body: &str) -> String {
    let head = format!(
        "POST /_sandbox/{path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}",
        body.len()
    );
    ask(url, &head, body)
}

/// What an app does with Stripe that Tollgate never does.
pub fn send(url: &str, path: &str, form: &str) -> serde_json::Value {
    let head = format!(
        "POST {path} HTTP/1.1\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}",
        form.len()
    );
    let answer = ask(url, &head, form);
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

pub fn get(url: &str, path: &str) -> serde_json::Value {
    let answer = ask(url, &format!("GET {path} HTTP/1.1\r\nauthorization: Bearer {KEY}"), "");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn ask(url: &str, head: &str, body: &str) -> String {
    let address = address(url);
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{head}\r\nhost: {address}\r\nconnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Passes everything on; the reply on the first connection is dropped after the request was carried out.
pub fn losing_the_first_reply(url: &str) -> String {
    let upstream = address(url).to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&upstream).unwrap());
            let requests = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass(requests.0, requests.1));
            thread::spawn(move || if number == 0 { lose(server, client) } else { pass(server, client) });
        }
    });
    url
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // Either side may hang up at any time.
    copy(&mut from, &mut to).ok();
    to.shutdown(Shutdown::Both).ok();
}

fn lose(mut reply: TcpStream, client: TcpStream) {
    let mut first = [0];
    reply.read_exact(&mut first).unwrap();
    thread::sleep(Duration::from_millis(20));
    client.shutdown(Shutdown::Both).unwrap();
}

fn address(url: &str) -> &str {
    url.strip_prefix("http://").unwrap()
}
