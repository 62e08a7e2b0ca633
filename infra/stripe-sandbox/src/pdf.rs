//! A PDF, written by hand: pages of text in the fonts that every reader has. Its bytes are ASCII.

use std::fmt::Write;

/// A4, in points.
const WIDTH: i64 = 595;
pub const HEIGHT: i64 = 842;

#[derive(Clone, Copy)]
pub enum Font {
    Plain,
    Bold,
    /// Each character is six tenths of the size wide, so that a number can end where it should.
    Fixed,
}

/// A line of text; `x` and `y` are where it begins, counted from the lower left.
pub struct Text {
    pub x: i64,
    pub y: i64,
    pub font: Font,
    pub size: i64,
    pub text: String,
}

pub fn document(pages: &[Vec<Text>]) -> Vec<u8> {
    let first_page = 6;
    let kids: String = (0..pages.len()).map(|index| format!("{} 0 R ", first_page + 2 * index)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [ {kids}] /Count {} >>", pages.len()),
        font("Helvetica"),
        font("Helvetica-Bold"),
        font("Courier"),
    ];
    for (index, texts) in pages.iter().enumerate() {
        let content: String = texts.iter().map(shown).collect();
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {} 0 R \
             /Resources << /Font << /F0 3 0 R /F1 4 0 R /F2 5 0 R >> >> >>",
            first_page + 2 * index + 1
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}endstream", content.len()));
    }
    with_table(&objects)
}

/// The objects, and the table that says at which byte each begins.
fn with_table(objects: &[String]) -> Vec<u8> {
    let mut file = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", file.len()).expect(WRITES);
        writeln!(file, "{} 0 obj\n{object}\nendobj", index + 1).expect(WRITES);
    }
    let start = file.len();
    let trailer =
        format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    (file + &table + &trailer).into_bytes()
}

const WRITES: &str = "a String takes whatever is written";

fn font(name: &str) -> String {
    format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>")
}

fn shown(text: &Text) -> String {
    let font = match text.font {
        Font::Plain => "F0",
        Font::Bold => "F1",
        Font::Fixed => "F2",
    };
    format!("BT /{font} {} Tf 1 0 0 1 {} {} Tm ({}) Tj ET\n", text.size, text.x, text.y, encoded(&text.text))
}

/// WinAnsi, in escapes where it is not ASCII; what it does not have becomes a question mark.
fn encoded(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let code = match c {
            '(' | ')' | '\\' => {
                safe.push('\\');
                safe.push(c);
                continue;
            }
            ' '..='~' => {
                safe.push(c);
                continue;
            }
            '€' => 0o200,
            '–' => 0o226,
            '’' => 0o222,
            '\u{a0}'..='\u{ff}' => u32::from(c),
            _ => u32::from('?'),
        };
        write!(safe, "\\{code:03o}").expect(WRITES);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::{Font, Text, document, encoded};

    #[test]
    fn text_cannot_end_its_string() {
        assert_eq!(encoded(r"a)b\ (×€) 漢"), r"a\)b\\ \(\327\200\) \077");
    }

    #[test]
    fn the_table_names_the_byte_at_which_each_object_begins() {
        let line = |text: &str| Text { x: 50, y: 700, font: Font::Plain, size: 10, text: text.to_owned() };
        let file = String::from_utf8(document(&[vec![line("one")], vec![line("two"), line("×")]])).unwrap();
        assert!(file.starts_with("%PDF-1.4\n") && file.ends_with("%%EOF\n"));
        let start: usize =
            file.rsplit("startxref\n").next().unwrap().lines().next().unwrap().parse().unwrap();
        let mut table = file[start..].lines();
        assert_eq!(table.next(), Some("xref"));
        assert_eq!(table.next(), Some("0 10"));
        assert_eq!(table.next(), Some("0000000000 65535 f "));
        for number in 1..10 {
            let entry = table.next().unwrap();
            assert_eq!(entry.len(), 19, "with its line feed an entry is 20 bytes long");
            let offset: usize = entry[..10].parse().unwrap();
            assert!(file[offset..].starts_with(&format!("{number} 0 obj\n")), "{number}");
        }
        for part in file.split("/Length ").skip(1) {
            let length: usize = part.split(' ').next().unwrap().parse().unwrap();
            let content = part.split_once("stream\n").unwrap().1;
            assert!(content[length..].starts_with("endstream"));
        }
    }
}
