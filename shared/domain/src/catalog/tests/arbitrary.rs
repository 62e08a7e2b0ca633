//! Whatever is fed to the reader, it answers.

use proptest::collection::vec;
use proptest::prelude::*;

use super::COMPANION;
use crate::catalog::Catalog;

/// Pieces that mean something to TOML or to a catalog.
const PIECES: [&str; 25] = [
    "",
    "\"\\n\" = 1\n",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "#",
    "true",
    "-1",
    "9.99",
    "1e999",
    "inf",
    "0x_f",
    "é",
    "\r",
    "[plans.free]\n",
    "a.b.c = 1\n",
    "99999999999999999999",
    "2026-09-30",
    "[[plans]]\n",
];

fn answers(text: &str) -> Result<(), TestCaseError> {
    let Err(mistakes) = Catalog::parse(text) else { return Ok(()) };
    let lines: Vec<usize> = mistakes.0.iter().map(|mistake| mistake.line).collect();
    prop_assert!(!lines.is_empty(), "refused without a word");
    prop_assert!(lines.is_sorted());
    prop_assert!(lines.iter().all(|line| (1..=text.split('\n').count()).contains(line)));
    prop_assert_eq!(mistakes.to_string().lines().count(), lines.len(), "one mistake, one line");
    Ok(())
}

/// Replaces up to `length` bytes at `at` by `piece`, moved to whole letters.
fn spliced(text: &str, at: usize, length: usize, piece: &str) -> String {
    let start = text.floor_char_boundary(at % (text.len() + 1));
    let end = text.ceil_char_boundary((start + length).min(text.len()));
    [&text[..start], piece, &text[end..]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        answers(&text)?;
    }

    #[test]
    fn any_mixture_of_toml_is_answered(pieces in vec(0..PIECES.len(), 0..60)) {
        answers(&pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>())?;
    }

    #[test]
    fn any_damage_to_a_good_catalog_is_answered(
        edits in vec((any::<usize>(), 0_usize..40, 0..PIECES.len()), 1..6),
    ) {
        let damaged = edits.into_iter().fold(COMPANION.to_owned(), |text, (at, length, piece)| {
            spliced(&text, at, length, PIECES[piece])
        });
        answers(&damaged)?;
    }

    #[test]
    fn any_lines_in_another_order_are_answered(moves in vec((any::<usize>(), any::<usize>()), 1..12)) {
        let mut lines: Vec<&str> = COMPANION.lines().collect();
        for (from, to) in moves {
            let line = lines[from % lines.len()];
            lines.insert(to % lines.len(), line);
        }
        answers(&lines.join("\n"))?;
    }
}
