//! Catalogs by file, or by the name of one that is built in.

use std::path::Path;

use domain::catalog::Catalog;
use edge::StartError;

/// What a stack sells that is told nothing else.
pub const DEFAULT: &str = "companion";

const BUILT_IN: [(&str, &str); 5] = [
    (DEFAULT, include_str!("../../catalogs/companion.toml")),
    ("game", include_str!("../../catalogs/game.toml")),
    ("lingua", include_str!("../../catalogs/lingua.toml")),
    ("retainer", include_str!("../../catalogs/retainer.toml")),
    ("vantage", include_str!("../../catalogs/vantage.toml")),
];

/// The text and what it says, or every mistake in it with file and line. A file of a built-in one's name is `./name`.
pub fn read(wanted: &Path) -> Result<(String, Catalog), StartError> {
    let shown = wanted.display();
    let text = match built_in(wanted) {
        Some(text) => text.to_owned(),
        None => std::fs::read_to_string(wanted).map_err(|error| {
            let names = BUILT_IN.map(|(name, _)| name).join(", ");
            format!("{shown}: {error} (built in are {names})")
        })?,
    };
    let catalog = Catalog::parse(&text).map_err(|mistakes| {
        let lines = mistakes.0.iter().map(|mistake| format!("\n{shown}:{mistake}"));
        format!("the catalog has mistakes{}", lines.collect::<String>())
    })?;
    Ok((text, catalog))
}

fn built_in(name: &Path) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| name.as_os_str() == *known).map(|(_, text)| *text)
}
