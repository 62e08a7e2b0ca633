//! "Did you mean …?"

/// The known word that `wrong` is most likely a slip of, if any is close enough.
pub(super) fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|word| (edits(wrong, word), word))
        .filter(|(edits, word)| *edits <= 1 + word.chars().count() / 3)
        .min()
        .map(|(_, word)| word)
}

/// "did you mean `x`?", or what else to do.
pub(super) fn fix<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>, otherwise: String) -> String {
    nearest(wrong, known).map_or(otherwise, |word| format!("did you mean `{word}`?"))
}

/// How many letters must be inserted, removed or replaced to turn one word into the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_the_word_that_was_meant() {
        let known = ["name", "tokens", "bonus", "price"];
        for (wrong, meant) in [("prise", "price"), ("token", "tokens"), ("nmae", "name"), ("bonuss", "bonus")]
        {
            assert_eq!(nearest(wrong, known), Some(meant), "{wrong}");
        }
    }

    #[test]
    fn a_word_unlike_any_other_suggests_nothing() {
        assert_eq!(nearest("colour", ["name", "tokens", "bonus", "price"]), None);
        assert_eq!(nearest("", ["name"]), None);
        assert_eq!(nearest("name", []), None);
    }

    #[test]
    fn edits_are_counted_from_either_side_alike() {
        for (one, other, count) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("é", "e", 1), ("same", "same", 0)]
        {
            assert_eq!((edits(one, other), edits(other, one)), (count, count), "{one} {other}");
        }
    }
}
