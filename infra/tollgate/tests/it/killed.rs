//! Pulling the plug: the real program, killed between hearing of a payment and crediting it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use domain::time::DAY_MS;
use serde_json::{Value, json};
use tollgate::keys::{LocalFile, LocalStack};

use crate::harness::{Http, PAID, eventually};

/// The program itself, in a folder of its own.
pub struct Program {
    child: Child,
    pub stack: LocalStack,
}

impl Program {
    pub fn start(folder: &Path) -> Program {
        Program::spawn(folder, &mut Command::new(env!("CARGO_BIN_EXE_tollgate")))
    }

    /// With all that it can tell in a file.
    pub fn logging(folder: &Path, log: File) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        Program::spawn(folder, command.env("LOG_LEVEL", "debug").stderr(log))
    }

    fn spawn(folder: &Path, command: &mut Command) -> Program {
        let mut child = command
            .args(["local", "--port", "0"])
            .current_dir(folder)
            .env_remove("STRIPE_SECRET_KEY")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let ready = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .any(|line| line.starts_with("ready http://"));
        assert!(ready, "it ended before it was ready");
        let stack = LocalFile::below(folder).find(None).expect("it has written local.json");
        Program { child, stack }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.stack.tokens().mint("ada", None, None, Duration::from_secs(3600)))
    }

    pub async fn api(&self, http: &Http, method: hyper::Method, path: &str, body: Value) -> Value {
        let bearer = self.bearer();
        let url = format!("{}{path}", self.stack.api);
        http.send(method, &url, &[("authorization", &bearer)], body.to_string()).await.json
    }

    /// SIGKILL: nothing is flushed, nothing is finished.
    pub fn kill(mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it can be waited for");
    }
}

/// A test that fails leaves no stack behind.
impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Messages that a killed stack left on its queue.
fn queued(folder: &Path) -> i64 {
    let file = folder.join(".tollgate/companion/queue.db");
    let queue = rusqlite::Connection::open(file).expect("the queue is a file");
    queue.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).expect("the queue has messages")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_killed_between_queueing_and_crediting_loses_nothing_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut bought, mut caught) = (0, 0);
    for round in 0..30 {
        if caught == 3 {
            break;
        }
        let program = Program::start(folder.path());
        let http = Http::new();
        let opened =
            program.api(&http, hyper::Method::POST, "/v1/me/checkout", json!({ "package": "medium" })).await;
        let session = opened["id"].as_str().unwrap_or_else(|| panic!("{opened}")).to_owned();
        let url = format!("{}/_sandbox/checkout/{session}/pay", program.stack.stripe);
        http.send(hyper::Method::POST, &url, &[], json!({ "card": PAID }).to_string()).await;
        bought += 1;
        tokio::time::sleep(Duration::from_millis(round % 6 * 4)).await;
        program.kill();
        caught += u64::from(queued(folder.path()) > 0);
    }
    assert!(caught > 0, "it was never killed between queueing and crediting");
    let program = Program::start(folder.path());
    let http = Http::new();
    let wallet = async || {
        program.api(&http, hyper::Method::GET, "/v1/me/wallet", json!({})).await["available"].as_u64()
    };
    eventually("every pack credited", async || wallet().await == Some(bought * 275)).await;
    // Whatever is still delivered again must not add to it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(wallet().await, Some(bought * 275));
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_renewals_and_the_clock_survive_a_kill() {
    let (folder, http) = (tempfile::tempdir().unwrap(), Http::new());
    let post = async |url: String, body: Value| {
        http.send(hyper::Method::POST, &url, &[], body.to_string()).await.json
    };
    let program = Program::start(folder.path());
    let opened =
        program.api(&http, hyper::Method::POST, "/v1/me/checkout", json!({ "plan": "premium" })).await;
    let session = opened["id"].as_str().unwrap_or_else(|| panic!("{opened}"));
    post(format!("{}/_sandbox/checkout/{session}/pay", program.stack.stripe), json!({ "card": PAID })).await;
    let moved = post(format!("{}/_local/clock", program.stack.api), json!({ "advance": "8d" })).await;
    program.kill();

    let program = Program::start(folder.path());
    let later = post(format!("{}/_local/clock", program.stack.api), json!({ "advance": "31d" })).await;
    let days = |moved: &Value| {
        domain::time::Time::parse_rfc3339(moved["now"].as_str().unwrap()).unwrap().millis() / DAY_MS
    };
    assert_eq!(days(&later) - days(&moved), 31);
    let me = program.api(&http, hyper::Method::GET, "/v1/me", json!({})).await;
    assert_eq!((&me["plan"]["status"], &me["wallet"]["available"]), (&json!("active"), &json!(500)), "{me}");
    let entries = program.api(&http, hyper::Method::GET, "/v1/me/wallet/entries?limit=100", json!({})).await;
    let paid = entries["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "invoice");
    assert_eq!(paid.count(), 2, "{entries}");
    program.kill();
}
