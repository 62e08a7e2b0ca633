//! Requests that are nearly right, to every route there is: each is answered, none by a fault of ours, and what was
//! done is answered the same when it is sent again. The crate `fuzz` says how to let it run for longer.

use std::panic::AssertUnwindSafe;

use fuzz::{JsonDamage, TextDamage, check, one_of};
use hyper::{Method, Uri};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tollgate::template::{Route, Template};

use crate::harness::{Answer, Caller, PAID, World};

/// A good body for each route that takes one, by how its path ends.
const BODIES: [(&str, &str); 18] = [
    ("/consume", r#"{"action":"photo","amount":1}"#),
    ("/consume", r#"{"tokens":5}"#),
    ("/consume", r#"{"action":"skip_level","tokens":30,"amount":9007199254740991}"#),
    ("/holds", r#"{"tokens":5,"ttl":"15m"}"#),
    ("/capture", r#"{"tokens":3}"#),
    ("/release", "{}"),
    ("/checkout", r#"{"package":"medium","quantity":2,"success_url":"http://localhost:3000/"}"#),
    ("/checkout", r#"{"plan":"premium","interval":"month"}"#),
    ("/grants", r#"{"user":"ada","tokens":50,"note":"sorry","expires_at":"2099-01-31T00:00:00Z"}"#),
    ("/grants", r#"{"email":"Ada@app.example","tokens":50}"#),
    (
        "/grants:bulk",
        r#"{"rows":[{"user":"ada","tokens":5},{"email":"b@app.example","tokens":7}],"note":"hi"}"#,
    ),
    ("/refunds", r#"{"payment":"pi_1","amount_minor":1,"reason":"requested_by_customer","note":"as asked"}"#),
    ("/erase", "{}"),
    ("/portal", r#"{"return_url":"http://localhost:3000/account"}"#),
    ("/setups", "{}"),
    ("/default", "{}"),
    (
        "/billing",
        r#"{"name":"Ada","email":"ada@app.example","phone":"+33 1","address":{"line1":"1 Rue A","country":"FR"}}"#,
    ),
    ("", r#"{"user":"bob","tokens":9007199254740991}"#),
];

/// What may stand in a path or a query, beside the ids of what has begun.
const WORDS: [&str; 12] = [
    "ada",
    "ada",
    "bob",
    "25",
    "101",
    "-1",
    "complete",
    "2026-09",
    "2026-09-30T12:00:00Z",
    "1790000000000:pi_1",
    "req:ada:consume:1",
    "cus_1",
];

const PIECES: [&str; 20] = [
    "%",
    "%00",
    "%2F",
    "%C3%28",
    "+",
    ":",
    "&",
    "=",
    "?",
    "/",
    "..",
    "é",
    "\u{fffe}",
    "18446744073709551616",
    "0",
    "-",
    "9999-13",
    "{",
    "\"",
    ",",
];

const PARAMETERS: [&str; 12] = [
    "limit", "cursor", "kind", "from", "to", "cause", "status", "month", "payment", "customer", "user",
    "unknown",
];

/// Which route and which key, what is wrong, and how.
#[derive(Debug)]
struct Wanted<'a> {
    route: &'a Route,
    key: u8,
    twists: Twists,
    word: &'a (u16, TextDamage),
    query: &'a [(u16, u16, TextDamage)],
    body: &'a (u16, JsonDamage, TextDamage),
}

/// Of each thing that can be wrong: one request in four has it.
#[derive(Debug, Clone, Copy)]
struct Twists(u16);

impl Twists {
    const CALLER: u32 = 0;
    const BODY: u32 = 1;
    const FIELDS: u32 = 2;
    const LETTERS: u32 = 3;
    const WORDS: u32 = 4;
    const KEY: u32 = 5;

    fn has(self, which: u32) -> bool {
        self.0 >> (2 * which) & 3 == 0
    }
}

struct Sent {
    method: Method,
    path: String,
    key: Option<String>,
    body: String,
}

/// A running stack, and all that can be named in it.
struct Running {
    runtime: Runtime,
    world: World,
    words: Vec<String>,
    payment: String,
}

impl Running {
    fn start() -> Running {
        let runtime = Runtime::new().unwrap();
        let world = runtime.block_on(World::new());
        let mut words = WORDS.map(str::to_owned).to_vec();
        words.extend(runtime.block_on(begun(&world)));
        let payment = words.iter().find(|word| word.starts_with("pi_")).unwrap().clone();
        Running { runtime, world, words, payment }
    }

    fn answers(&self, wanted: &Wanted) {
        let Some(sent) = self.request(wanted) else { return };
        let caller = self.caller(wanted);
        self.runtime.block_on(async {
            let first = sent.send(&caller).await;
            sent.is_answered_by(&first);
            if sent.is_done_once() && first.status.is_success() {
                let again = sent.send(&caller).await;
                assert_eq!(
                    (again.status, again.json),
                    (first.status, first.json),
                    "{} {}",
                    sent.path,
                    sent.body
                );
            }
        });
    }

    fn caller(&self, wanted: &Wanted) -> Caller<'_> {
        let path = &wanted.route.path;
        match wanted.twists.has(Twists::CALLER) {
            true if path.contains("/me") => self.world.user("bob"),
            true => self.world.user("ada"),
            false if path.contains("/admin/") => self.world.operator(),
            false if path.contains("/users/") => self.world.service(),
            false => self.world.user("ada"),
        }
    }

    fn request(&self, wanted: &Wanted) -> Option<Sent> {
        let Route { method, path, .. } = wanted.route;
        let named = match path.ends_with("/erase") {
            // The others are still needed.
            true => "carol".to_owned(),
            false if path.contains("{user}") => "ada".to_owned(),
            false => self.word(wanted, wanted.word.0, &wanted.word.1),
        };
        let named = match wanted.twists.has(Twists::WORDS) {
            true => wanted.word.1.to(&named, &PIECES),
            false => named,
        };
        let parts = path.split('/').map(|part| if part.starts_with('{') { named.as_str() } else { part });
        let query = wanted.query.iter().take(2).map(|(name, value, damage)| {
            format!("{}={}", one_of(*name, &PARAMETERS), self.word(wanted, *value, damage))
        });
        let (parts, query): (Vec<_>, Vec<_>) = (parts.collect(), query.collect());
        let path = format!("{}?{}", parts.join("/"), query.join("&"));
        // What is no address at all never leaves a client.
        path.parse::<Uri>().ok()?;
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        let key = (!wanted.twists.has(Twists::KEY)).then(|| format!("key-{}", wanted.key));
        // The one payment that there is.
        let body = body(wanted).replace("pi_1", &self.payment);
        Some(Sent { method, path, key, body })
    }

    fn word(&self, wanted: &Wanted, which: u16, damage: &TextDamage) -> String {
        let word: &String = one_of(which, &self.words);
        if wanted.twists.has(Twists::WORDS) { damage.to(word, &PIECES) } else { word.clone() }
    }
}

fn body(wanted: &Wanted) -> String {
    let (which, fields, letters) = wanted.body;
    let fits = |(end, _): &&(&str, &str)| wanted.route.path.ends_with(end);
    let mut goods: Vec<_> = BODIES.iter().filter(fits).collect();
    if wanted.twists.has(Twists::BODY) {
        goods = BODIES.iter().collect();
    }
    let mut body = one_of::<&(&str, &str)>(*which, &goods).1.to_owned();
    if wanted.twists.has(Twists::FIELDS) {
        let good: Value = serde_json::from_str(&body).unwrap();
        body = fields.to(&good).to_string();
    }
    if wanted.twists.has(Twists::LETTERS) {
        body = letters.to(&body, &PIECES);
    }
    body
}

/// Something of every kind, so that there is something to name.
async fn begun(world: &World) -> Vec<String> {
    let (ada, operator) = (world.user("ada"), world.operator());
    let rows = json!({ "rows": [{ "user": "ada", "tokens": 400_000 }, { "user": "bob", "tokens": 5 }] });
    let job = operator.post_once("/v1/admin/grants:bulk", "begun", rows).await.id("job");
    operator.post(&format!("/v1/admin/grants:bulk/{job}/continue"), json!({})).await;
    let checkout = ada.opens("medium").await;
    world.pay(&checkout, PAID).await;
    ada.get(&format!("/v1/me/checkout/{checkout}")).await;
    let payments = ada.get("/v1/me/payments").await;
    let payment = payments.json["payments"][0]["id"].as_str().unwrap_or_else(|| panic!("{}", payments.text));
    let mut ids = vec![job, checkout, payment.to_owned()];
    for number in 0..8 {
        let hold =
            ada.post_once("/v1/me/holds", &number.to_string(), json!({ "tokens": 5, "ttl": "7d" })).await;
        ids.push(hold.id("id"));
    }
    ids
}

impl Answer {
    fn id(&self, field: &str) -> String {
        self.json[field].as_str().unwrap_or_else(|| panic!("no {field}: {}", self.text)).to_owned()
    }
}

impl Sent {
    async fn send(&self, caller: &Caller<'_>) -> Answer {
        caller.send(self.method.clone(), &self.path, self.key.as_deref(), self.body.clone()).await
    }

    /// A job goes on with every call, an erasure tells what that very call erased, and who enters the portal twice has
    /// two ways in.
    fn is_done_once(&self) -> bool {
        let tells_of_itself = ["/continue", "/erase", "/portal"].iter().any(|end| self.path.contains(end));
        self.method != Method::GET && self.key.is_some() && !tells_of_itself
    }

    fn is_answered_by(&self, answer: &Answer) {
        let Sent { method, path, body, .. } = self;
        let problem = edge::Code::ALL.iter().find(|code| answer.json["code"] == code.text());
        let is_told = match problem {
            Some(code) => answer.status == code.status() && answer.json["detail"].is_string(),
            // API Gateway's own refusals have a message and no code.
            None => answer.status.is_success() || answer.json["message"].is_string(),
        };
        assert!(is_told && !answer.status.is_server_error(), "{method} {path} {body}: {}", answer.text);
    }
}

type Numbers = (u16, u8, u16, (u16, TextDamage), Vec<(u16, u16, TextDamage)>, (u16, JsonDamage, TextDamage));

#[test]
fn any_request_is_answered_and_none_by_a_fault_of_ours() {
    let routes: Vec<Route> = Template::embedded().unwrap().routes().cloned().collect();
    let running = AssertUnwindSafe(Running::start());
    check!().with_type::<Numbers>().for_each(|(route, key, twists, word, query, body)| {
        let (route, key, twists) = (one_of(*route, &routes), *key, Twists(*twists));
        running.answers(&Wanted { route, key, twists, word, query, body });
    });
}
