//! Stripe's words. Its lists of them are open, so any word is one; a wrong one is Stripe's to refuse.

use std::convert::Infallible;
use std::str::FromStr;

pub(crate) fn read<T>(words: &[String]) -> Vec<T>
where
    T: FromStr<Err = Infallible>,
{
    let read = |word: &String| {
        let Ok(read) = word.parse();
        read
    };
    words.iter().map(read).collect()
}
