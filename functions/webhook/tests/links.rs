//! What this function is made of.

use std::process::Command;

#[test]
fn the_webhook_links_neither_the_table_nor_a_stripe_client() {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--package", "webhook", "--edges", "normal", "--prefix", "none"]);
    let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let crates = String::from_utf8(output.stdout).unwrap();
    let links = |name: &str| crates.lines().any(|line| line.starts_with(name));
    assert!(links("aws-sdk-sqs "), "cargo tree said nothing: {}", String::from_utf8_lossy(&output.stderr));
    for heavy in ["aws-sdk-dynamodb", "async-stripe", "stripe-api", "store ", "settle "] {
        assert!(!links(heavy), "{heavy} is linked");
    }
}
