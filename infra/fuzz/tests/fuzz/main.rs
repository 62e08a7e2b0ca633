//! Everything that is read from bytes of others: it answers, whatever they are, and what it read is what it writes.
//! How to let a target run for longer, the crate's own page says. Seeds are files that are there anyway: the events in
//! `events/stripe/`, the catalogs in `infra/catalogs/`, the entries among the golden items of `store`.

mod catalogs;
mod causes;
mod entries;
mod events;
mod messages;
mod signatures;
mod words;

use std::sync::LazyLock;

use serde_json::Value;

/// Every file of a folder of this workspace, in the order of their names.
fn files(folder: &str, is_wanted: fn(&str) -> bool) -> Vec<String> {
    let folder = format!("{}/../../{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| is_wanted(path.file_name().unwrap().to_str().unwrap()));
    paths.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn an_event(which: u16) -> &'static Value {
    static EVENTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let files = files("events/stripe", |name| name.ends_with(".json"));
        files.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    });
    fuzz::one_of(which, &EVENTS)
}
