//! What is wrong with a catalog, and the notebook it is collected in.

use std::cell::RefCell;
use std::fmt;

/// One mistake: where, what, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    pub path: String,
    pub problem: String,
    pub fix: String,
}

/// Everything that is wrong with a catalog, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; {}", self.line, self.path, self.problem, self.fix)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Collects mistakes while the text is read, in whatever order they are met.
pub(super) struct Notes<'t> {
    text: &'t str,
    /// With the byte each stands at, which orders two of one line.
    found: RefCell<Vec<(usize, Mistake)>>,
}

impl<'t> Notes<'t> {
    pub(super) fn new(text: &'t str) -> Notes<'t> {
        Notes { text, found: RefCell::default() }
    }

    pub(super) fn note(&self, at: usize, path: &str, problem: impl Into<String>, fix: impl Into<String>) {
        let mistake = Mistake {
            line: self.line(at),
            path: on_one_line(path.to_owned()),
            problem: on_one_line(problem.into()),
            fix: on_one_line(fix.into()),
        };
        self.found.borrow_mut().push((at, mistake));
    }

    pub(super) fn into_mistakes(self) -> Mistakes {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(at, _)| *at);
        Mistakes(found.into_iter().map(|(_, mistake)| mistake).collect())
    }

    pub(super) fn line(&self, at: usize) -> usize {
        // What is missed at the end of the file is shown on its last written line.
        let at = at.min(self.text.trim_end().len());
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// What a catalog says is quoted in its mistakes, and each of them is one line.
fn on_one_line(text: String) -> String {
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text }
}
