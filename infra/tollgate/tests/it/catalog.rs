//! Publishing to a running stack.

use std::path::Path;
use std::process::{Command, Output};

use hyper::StatusCode;
use serde_json::json;

use crate::harness::{COMPANION, World};

async fn tollgate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).current_dir(folder).env_remove("STRIPE_SECRET_KEY");
    tokio::task::spawn_blocking(move || command.output().expect("the program runs")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_catalog_sells_at_its_new_price_within_a_minute() {
    let world = World::new().await;
    let dearer = COMPANION.replacen("price = \"9.99\"\n", "price = \"10.99\"\n", 1);
    assert_ne!(dearer, COMPANION);
    std::fs::write(world.folder().join("dearer.toml"), dearer).unwrap();
    for _ in 0..2 {
        let pushed = tollgate(world.folder(), &["catalog", "push", "dearer.toml"]).await;
        let told = String::from_utf8_lossy(&pushed.stdout);
        assert!(told.contains("version 2 is current"), "{told}{}", String::from_utf8_lossy(&pushed.stderr));
    }
    world.advance("1m").await;
    let opened = world.user("ada").post("/v1/me/checkout", json!({ "package": "medium" })).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
    let session =
        world.stripe(&format!("/v1/checkout/sessions/{}", opened.json["id"].as_str().unwrap())).await;
    assert_eq!(session["amount_total"], 1099);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_catalog_is_refused_with_file_line_and_fix() {
    let world = World::new().await;
    let broken = COMPANION.replacen("tokens = 250", "tokns = 250", 1);
    std::fs::write(world.folder().join("broken.toml"), &broken).unwrap();
    let line = broken.lines().position(|line| line.contains("tokns")).unwrap() + 1;
    for command in ["check", "push"] {
        let refused = tollgate(world.folder(), &["catalog", command, "broken.toml"]).await;
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && told.contains(&format!("broken.toml:{line}: ")), "{told}");
        assert!(told.contains("`tokens`"), "{told}");
    }
}
