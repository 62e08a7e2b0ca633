//! The borders between the crates, as cargo itself sees them.

use std::collections::BTreeSet;
use std::process::Command;

/// Tests run in the folder of their crate.
const ROOT: &str = "../..";
const FUNCTIONS: [&str; 6] = ["admin", "checkout", "credit", "entitlements", "wallet", "webhook"];
const MAY_CALL_STRIPE: [&str; 3] = ["admin", "checkout", "credit"];

/// Every package that ends up in `package`, itself included, as `name version`.
fn linked(package: &str) -> BTreeSet<String> {
    let arguments =
        ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package"];
    let output = Command::new(env!("CARGO")).args(arguments).arg(package).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let packages: BTreeSet<String> =
        text.lines().map(name_and_version).filter(|name| !name.is_empty()).collect();
    assert!(
        packages.iter().any(|name| name.starts_with(&format!("{package} "))),
        "{package} is not in its own tree"
    );
    packages
}

/// `serde v1.0.229 (*)` → `serde v1.0.229`.
fn name_and_version(line: &str) -> String {
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn links(package: &str, other: &str) -> bool {
    linked(package).iter().any(|name| name.starts_with(&format!("{other} ")))
}

#[test]
fn the_webhook_links_neither_the_table_nor_a_stripe_client() {
    for other in [
        "aws-sdk-dynamodb",
        "async-stripe-client-core",
        "async-stripe-shared",
        "store",
        "stripe-api",
        "settle",
    ] {
        assert!(!links("webhook", other), "webhook links {other}");
    }
    assert!(links("webhook", "aws-sdk-sqs"));
}

#[test]
fn only_functions_that_sell_or_settle_link_a_stripe_client() {
    for function in FUNCTIONS {
        for client in ["stripe-api", "async-stripe", "async-stripe-shared"] {
            let may = MAY_CALL_STRIPE.contains(&function);
            assert!(may || !links(function, client), "{function} links {client}");
        }
    }
    assert!(links("checkout", "async-stripe") && links("credit", "async-stripe"));
}

#[test]
fn the_domain_has_no_io() {
    let io = [
        "aws-",
        "async-",
        "axum",
        "fastrand",
        "getrandom",
        "http",
        "hyper",
        "lambda_",
        "mio",
        "rand",
        "ring",
        "rusqlite",
        "rustls",
        "socket2",
        "tokio",
        "tracing",
    ];
    for package in linked("domain") {
        assert!(!io.iter().any(|io| package.starts_with(io)), "domain links {package}");
    }
}

/// `std` needs no crate, so the sources are read as well.
#[test]
fn the_domain_reads_no_clock_no_file_and_no_environment() {
    let forbidden = [
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::thread",
        "Instant::now",
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
        "async fn",
    ];
    let mut folders = vec![std::path::Path::new(ROOT).join("shared/domain/src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            read += 1;
            for word in forbidden {
                assert!(!source.contains(word), "{} has {word}", path.display());
            }
        }
    }
    assert!(read > 10, "only {read} files were read");
}

#[test]
fn every_function_has_one_tls_provider() {
    for function in FUNCTIONS {
        let packages = linked(function);
        let of =
            |name: &str| packages.iter().filter(|package| package.starts_with(&format!("{name} "))).count();
        assert_eq!((of("rustls"), of("ring")), (1, 1), "{function}");
        for other in ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"] {
            assert_eq!(of(other), 0, "{function} links {other}");
        }
    }
}

#[test]
fn each_vendor_is_named_by_one_crate() {
    let named_in = |vendor: &str| -> Vec<String> {
        let manifests = ["shared", "functions"].iter().flat_map(|folder| {
            std::fs::read_dir(format!("{ROOT}/{folder}")).unwrap().map(|entry| entry.unwrap().path())
        });
        let naming = manifests.filter(|path| {
            let manifest = std::fs::read_to_string(path.join("Cargo.toml")).unwrap();
            let shipped = manifest.split("[dev-dependencies]").next().unwrap_or_default();
            shipped.lines().any(|line| line.starts_with(vendor))
        });
        naming.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(named_in("aws-sdk-dynamodb"), ["store"]);
    assert_eq!(named_in("async-stripe"), ["stripe-api"]);
    assert_eq!(named_in("aws-sdk-sqs"), ["webhook"]);
}

#[test]
fn functions_never_depend_on_each_other_or_on_infra() {
    for function in FUNCTIONS {
        for other in FUNCTIONS.into_iter().chain(["tollgate", "stripe-sandbox"]) {
            assert!(function == other || !links(function, other), "{function} links {other}");
        }
    }
}

/// A panic must fail one record of a batch, so it has to unwind.
#[test]
fn the_release_profile_unwinds() {
    let manifest = std::fs::read_to_string(format!("{ROOT}/Cargo.toml")).unwrap();
    let release = manifest.split("[profile.release]").nth(1).expect("there is a release profile");
    let release = release.split("\n[").next().unwrap_or_default();
    assert!(release.contains("panic = \"unwind\"") && !release.contains("lto"), "{release}");
}

#[test]
fn no_function_can_be_broken_on_purpose() {
    for function in FUNCTIONS {
        let arguments = ["tree", "--locked", "--edges", "normal,features", "--prefix", "none", "--package"];
        let output = Command::new(env!("CARGO")).args(arguments).arg(function).output().expect("cargo runs");
        let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
        assert!(text.contains("domain feature"), "{function}: {text}");
        assert!(!text.contains("mutants"), "{function} enables the mutants");
    }
}
