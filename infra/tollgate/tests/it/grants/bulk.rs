//! Many grants as one job.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{EMAIL, grants_of, operator, spends, verified};
use crate::harness::{Caller, World};
use crate::killed::Program;

const BULK: &str = "/v1/admin/grants:bulk";

async fn opened(operator: &Caller<'_>, key: &str, body: Value) -> Value {
    let answer = operator.post_once(BULK, key, body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    answer.json
}

/// Works a job to its end.
async fn worked(operator: &Caller<'_>, job: &Value) -> Value {
    let path = format!("{BULK}/{}/continue", job["job"].as_str().unwrap());
    loop {
        let answer = operator.post(&path, Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        if answer.json["finished"] == true {
            return answer.json;
        }
    }
}

fn row(number: usize) -> Value {
    match number % 10 {
        0 => json!({ "user": format!("user-{number}"), "tokens": 2 }),
        _ => json!({ "email": format!("user-{number}@app.example"), "tokens": 2 }),
    }
}

#[tokio::test]
async fn a_job_gives_to_users_at_once_and_leaves_the_rest_to_wait() {
    let world = World::new().await;
    let grace = operator(&world);
    let ada = verified(&world, "ada", EMAIL);
    spends(&ada, "c", 1).await.expect_problem(402, "insufficient_tokens");
    let rows = json!([
        { "email": EMAIL, "tokens": 5 },
        { "user": "bob", "tokens": 7 },
        { "email": "carol@app.example", "tokens": 9 },
    ]);
    let body = json!({ "rows": rows, "note": "for the outage" });
    let job = opened(&grace, "k1", body.clone()).await;
    assert_eq!((&job["rows"], &job["total"]), (&json!(3), &json!(21)));
    assert_eq!(opened(&grace, "k1", body).await, job);
    let show = format!("{BULK}/{}", job["job"].as_str().unwrap());
    let begun = grace.get(&show).await.json;
    assert_eq!((&begun["done"], &begun["finished"]), (&json!(0), &json!(false)));
    let ended = worked(&grace, &job).await;
    let expected = json!({
        "job": job["job"], "rows": 3, "total": 21, "done": 3, "granted": 2, "pending": 1,
        "failed": [], "failed_rows": 0, "finished": true,
    });
    assert_eq!((&ended, &grace.get(&show).await.json), (&expected, &expected));
    // Worked again, it changes nothing.
    assert_eq!(worked(&grace, &job).await, expected);
    let carol = verified(&world, "carol", "carol@app.example");
    assert_eq!(spends(&carol, "c", 9).await.status, StatusCode::OK);
    assert_eq!((ada.available().await, world.user("bob").available().await), (5, 7));
    let entry = &world.user("bob").get("/v1/me/wallet/entries").await.json["entries"][0];
    assert_eq!(entry["cause"], format!("bulk:{}:user:bob", job["job"].as_str().unwrap()));
    grace.get(&format!("{BULK}/job_none")).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_job_with_a_wrong_row_or_with_somebody_twice_is_refused_whole() {
    let world = World::new().await;
    let grace = operator(&world);
    let twice = json!([
        { "user": "ada", "tokens": 5 },
        { "email": EMAIL, "tokens": 5 },
        { "user": "ada", "tokens": 6 },
        { "email": " ADA@app.example", "tokens": 5 },
    ]);
    let refused = grace.post_once(BULK, "k1", json!({ "rows": twice })).await;
    refused.expect_problem(422, "duplicate_subject");
    assert_eq!(refused.json["duplicates"], json!([[1, 3], [2, 4]]));
    let wrong = json!([{ "user": "ada", "tokens": 5 }, { "tokens": 5 }, { "user": "bob", "tokens": 0 }]);
    let refused = grace.post_once(BULK, "k1", json!({ "rows": wrong })).await;
    refused.expect_problem(400, "invalid_request");
    let rows: Vec<_> = refused.json["rows"].as_array().unwrap().iter().map(|wrong| &wrong["row"]).collect();
    assert_eq!(rows, [2, 3]);
    for rows in [json!([]), (0..10_001).map(row).collect()] {
        grace.post_once(BULK, "k1", json!({ "rows": rows })).await.expect_problem(400, "invalid_request");
    }
    let most: Vec<Value> = (0..10_000).map(row).collect();
    assert_eq!(opened(&grace, "k2", json!({ "rows": most })).await["rows"], 10_000);
    grace.post(BULK, json!({ "rows": [row(1)] })).await.expect_problem(400, "missing_idempotency_key");
    assert_eq!(world.user("ada").available().await, 0);
    let job = opened(&grace, "k1", json!({ "rows": [row(0)] })).await;
    let other = grace.post_once(BULK, "k1", json!({ "rows": [row(1)] })).await;
    other.expect_problem(422, "idempotency_key_reused");
    assert_eq!(worked(&grace, &job).await["granted"], 1);
}

#[tokio::test]
async fn a_job_counts_against_the_day_once_and_before_it_begins() {
    let world = World::new().await;
    let grace = operator(&world);
    let rows =
        json!({ "rows": [{ "user": "ada", "tokens": 600_000 }, { "user": "bob", "tokens": 300_000 }] });
    let job = opened(&grace, "k1", rows.clone()).await;
    opened(&grace, "k1", rows.clone()).await;
    for (path, body) in [(BULK, rows), ("/v1/admin/grants", json!({ "user": "ada", "tokens": 100_001 }))] {
        let refused = grace.post_once(path, "k2", body).await;
        refused.expect_problem(429, "grant_cap_reached");
        assert_eq!(refused.json["left"], 100_000);
    }
    worked(&grace, &job).await;
    super::given(&grace, "k2", json!({ "user": "ada", "tokens": 100_000 })).await;
    assert_eq!(world.user("ada").available().await, 700_000);
}

#[tokio::test]
async fn a_row_that_came_too_late_is_told_and_the_others_are_not_disturbed() {
    let world = World::new().await;
    let grace = operator(&world);
    let end = world.now().await.plus_ms(3_600_000).rfc3339();
    let rows: Vec<Value> = (0..201).map(row).collect();
    let job = opened(&grace, "k1", json!({ "rows": rows, "expires_at": end })).await;
    let path = format!("{BULK}/{}/continue", job["job"].as_str().unwrap());
    assert_eq!(grace.post(&path, Value::Null).await.json["done"], 200);
    world.advance("2h").await;
    let ended = worked(&grace, &job).await;
    assert_eq!(ended["failed"], json!([{ "row": 201, "why": "`expires_at` is over" }]));
    assert_eq!(
        (&ended["granted"], &ended["pending"], &ended["failed_rows"]),
        (&json!(20), &json!(180), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_work_one_job_at_once_give_nothing_twice() {
    let world = World::new().await;
    let grace = operator(&world);
    let rows: Vec<Value> =
        (0..400).map(|number| json!({ "user": format!("u{number}"), "tokens": 1 })).collect();
    let job = opened(&grace, "k1", json!({ "rows": rows })).await;
    let (first, second) = tokio::join!(worked(&grace, &job), worked(&grace, &job));
    assert_eq!((&first, &first["granted"]), (&second, &json!(400)));
    for number in [0, 199, 200, 399] {
        let user = world.user(&format!("u{number}"));
        assert_eq!((user.available().await, grants_of(&user).await), (1, 1), "u{number}");
    }
}

/// The command in a folder, as a person runs it.
fn tollgate_grants(folder: &Path, file: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(["grants", file]).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

async fn run(folder: &Path, file: &str) -> (bool, String, String) {
    let mut command = tollgate_grants(folder, file);
    said(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_given_by_one_command_and_the_same_file_again_gives_nothing() {
    let world = World::new().await;
    let write = |name: &str, text: &str| std::fs::write(world.folder().join(name), text).unwrap();
    write("gifts.csv", "email_or_user,tokens\nbob,7\nada@app.example,5\n");
    for _ in 0..2 {
        let (success, shown, errors) = run(world.folder(), "gifts.csv").await;
        assert!(success, "{errors}");
        assert!(shown.contains("1 granted, 1 wait for their users, 0 failed"), "{shown}");
    }
    assert_eq!(world.user("bob").available().await, 7);
    write("twice.csv", "bob,7\n\nada,1\nbob,8\n");
    let (success, _, errors) = run(world.folder(), "twice.csv").await;
    assert!(!success && errors.contains("the same: line 1, line 4"), "{errors}");
    write("wrong.json", r#"[{"user":"bob","tokens":1},{"user":"bob2"}]"#);
    let (success, _, errors) = run(world.folder(), "wrong.json").await;
    assert!(!success && errors.contains("row 2: missing field `tokens`"), "{errors}");
    assert_eq!(world.user("bob").available().await, 7);
}

/// Enough for many slices; ten thousand take two minutes of a debug build, and go the same way.
const ROWS: usize = 2_000;

/// Where the entries and the grants that wait are, and how many tokens each says.
async fn written(program: &Program) -> HashMap<String, u64> {
    let pairs =
        [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local"), ("AWS_REGION", "us-east-1")];
    let env = edge::Env::given(pairs.map(|(name, value)| (name, value.to_owned())));
    let aws = edge::aws::config(&env).await.unwrap();
    let config = aws_sdk_dynamodb::config::Builder::from(&aws).endpoint_url(&program.stack.dynamodb);
    let table = aws_sdk_dynamodb::Client::from_conf(config.build());
    let (mut written, mut from) = (HashMap::new(), None);
    loop {
        let scan = table.scan().table_name(tollgate::stack::TABLE).consistent_read(true);
        let page = scan.set_exclusive_start_key(from).send().await.unwrap();
        for item in page.items() {
            let text =
                |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
            let number = |name: &str| item[name].as_n().unwrap().parse::<u64>().unwrap();
            if text("SK").starts_with("G#") {
                written.insert(text("cause"), number("tokens"));
            } else if text("kind") == "grant" {
                written.insert(text("PK").replacen("E#", "", 1), number("available"));
            }
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return written;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_thousands_that_is_killed_halfway_gives_each_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Value> = (0..ROWS).map(row).collect();
    std::fs::write(folder.path().join("gifts.json"), json!(rows).to_string()).unwrap();
    let program = Program::start(folder.path());
    let started = std::time::Instant::now();
    let mut running = tollgate_grants(folder.path(), "gifts.json").spawn().unwrap();
    let mut shown = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
    let done = |line: &str| line.strip_suffix(&format!(" of {ROWS} rows done"))?.parse::<usize>().ok();
    let half = shown.find(|line| done(line).is_some_and(|done| done >= ROWS / 2));
    assert!(half.is_some_and(|line| done(&line) < Some(ROWS)), "it was never halfway");
    // Into the next slice, whose progress is not written yet.
    tokio::time::sleep(Duration::from_millis(100)).await;
    program.kill();
    let (success, _, errors) = said(&running.wait_with_output().unwrap());
    assert!(!success && errors.contains("run the same command again"), "{errors}");
    println!("killed after {:?}", started.elapsed());

    let program = Program::start(folder.path());
    let (success, shown, errors) = run(folder.path(), "gifts.json").await;
    assert!(success, "{errors}");
    let expected = format!("{} granted, {} wait for their users, 0 failed", ROWS / 10, ROWS - ROWS / 10);
    assert!(shown.contains(&expected), "{shown}");
    println!("done after {:?}", started.elapsed());
    let written = written(&program).await;
    assert_eq!(written.len(), ROWS);
    // A user who was given to twice would have four.
    assert!(written.values().all(|tokens| *tokens == 2));
    program.kill();
}
