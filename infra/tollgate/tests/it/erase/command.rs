//! The commands that an operator types.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{EMAIL, NOTE, everything, lives};
use crate::harness::World;

/// What a command does, to which somebody types this.
async fn tollgate(folder: &Path, arguments: &[&str], typed: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let typed = typed.to_owned();
    let run = move || {
        let mut running = command.spawn().unwrap();
        // One that asks nothing may have ended by now.
        drop(running.stdin.take().unwrap().write_all(typed.as_bytes()));
        running.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_erased_by_typing_their_id_and_by_nothing_else() {
    let world = World::without_webhooks().await;
    lives(&world).await;
    let arguments = ["erase", "--user", "ada"];
    for slip in ["", "\n", "y\n", "ADA\n"] {
        let refused = tollgate(world.folder(), &arguments, slip).await;
        assert!(
            !refused.status.success() && said(&refused.stderr).contains("nothing was erased"),
            "{slip:?}"
        );
    }
    assert!(everything(&world).await.keys().any(|(_, sk)| sk.starts_with("N#")));
    let done = tollgate(world.folder(), &arguments, "ada\n").await;
    let shown = said(&done.stdout);
    assert!(done.status.success(), "{}", said(&done.stderr));
    assert!(shown.contains("ada: closed at "), "{shown}");
    assert!(shown.contains("notes 2, emails 1, customers 1, buyers of payments 2"), "{shown}");
    let again = tollgate(world.folder(), &["erase", "--user", "ada", "--yes"], "").await;
    assert!(said(&again.stdout).contains("erased: notes 0"), "{}", said(&again.stderr));
    let proved = tollgate(world.folder(), &["prove"], "").await;
    assert!(proved.status.success(), "the books are whole: {}", said(&proved.stdout));
    let nobody = tollgate(world.folder(), &["erase", "--user", "nobody", "--yes"], "").await;
    assert!(!nobody.status.success() && said(&nobody.stderr).contains("nothing is kept"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_one_document_however_many_pages_it_took() {
    let world = World::without_webhooks().await;
    lives(&world).await;
    let operator = world.operator();
    for number in 0..120 {
        let body = json!({ "user": "ada", "tokens": 1 });
        let given = operator.post_once("/v1/admin/grants", &format!("more-{number}"), body).await;
        assert_eq!(given.status, StatusCode::CREATED, "{}", given.text);
    }
    let to_file = tollgate(world.folder(), &["export", "--user", "ada", "--out", "ada.json"], "").await;
    assert!(to_file.status.success(), "{}", said(&to_file.stderr));
    assert!(to_file.stdout.is_empty() && said(&to_file.stderr).contains("100 entries"), "{to_file:?}");
    let text = std::fs::read_to_string(world.folder().join("ada.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let entries = document["entries"].as_array().unwrap();
    assert_eq!(entries.len() as u64, entries[0]["seq"].as_u64().unwrap(), "every entry, once");
    assert!(text.contains(EMAIL) && text.contains(NOTE) && document.get("next").is_none());
    let to_terminal = tollgate(world.folder(), &["export", "--user", "ada"], "").await;
    assert_eq!(serde_json::from_slice::<Value>(&to_terminal.stdout).unwrap()["entries"], document["entries"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_users_id_is_made_of_it_can_be_exported_and_erased() {
    let world = World::without_webhooks().await;
    for user in ["auth0|5f#7%20:x", "Ünï çödé", "a/b"] {
        world.user(user).opens("small").await;
        let exported = tollgate(world.folder(), &["export", "--user", user], "").await;
        let document: Value = serde_json::from_slice(&exported.stdout).unwrap_or_default();
        assert_eq!(document["user"], user, "{}", said(&exported.stderr));
        let erased = tollgate(world.folder(), &["erase", "--user", user, "--yes"], "").await;
        assert!(erased.status.success(), "{user}: {}", said(&erased.stderr));
    }
}
