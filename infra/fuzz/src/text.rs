//! Text, cut and pasted.

use bolero::TypeGenerator;
use bolero::generator::*;

use crate::one_of;

/// A few cuts, each with something pasted over it.
#[derive(Debug, Clone, TypeGenerator)]
pub struct TextDamage {
    #[generator(produce::<Vec<Cut>>().with().len(0_usize..6))]
    cuts: Vec<Cut>,
}

#[derive(Debug, Clone, TypeGenerator)]
struct Cut {
    at: u16,
    #[generator(0..40)]
    length: u8,
    paste: Paste,
}

#[derive(Debug, Clone, TypeGenerator)]
enum Paste {
    Nothing,
    /// One of what means something there.
    Piece(u16),
    /// Another part of the same text.
    Part(u16, u8),
    Letter(char),
}

impl TextDamage {
    /// Always the same damage to the same text. The pieces are what the language of the text is made of.
    pub fn to(&self, good: &str, pieces: &[&str]) -> String {
        self.cuts.iter().fold(good.to_owned(), |text, cut| cut.made_in(&text, pieces))
    }
}

impl Cut {
    fn made_in(&self, text: &str, pieces: &[&str]) -> String {
        let (start, end) = part(text, self.at, self.length);
        let letter;
        let paste = match self.paste {
            Paste::Nothing => "",
            Paste::Piece(which) => one_of(which, pieces),
            Paste::Part(at, length) => {
                let (start, end) = part(text, at, length);
                &text[start..end]
            }
            Paste::Letter(it) => {
                letter = it.to_string();
                &letter
            }
        };
        [&text[..start], paste, &text[end..]].concat()
    }
}

/// Whole letters somewhere in a text.
fn part(text: &str, at: u16, length: u8) -> (usize, usize) {
    let start = text.floor_char_boundary(usize::from(at) % (text.len() + 1));
    let end = text.ceil_char_boundary((start + usize::from(length)).min(text.len()));
    (start, end)
}
