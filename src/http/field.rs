//! Fields of a response, which cannot split it.
//!
//! If a text with a line break reached a field value, its author could write further fields, or a whole second response
//! (response splitting). So a value is checked when it is made, once, and the type is the proof: writing a response
//! checks nothing again. Field names are literals of this program and need no check.

use std::fmt;
use std::sync::Arc;

use super::syntax::is_field_byte;

/// The field of this name occurs more than once where only one is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated(pub &'static str);

/// The value of a field of a response. It contains no control byte but tab, so it cannot end its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValue(Value);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Literal(&'static str),
    Owned(String),
}

impl FieldValue {
    /// A literal of this program.
    ///
    /// # Panics
    /// When `text` contains a control byte; for a constant, at compile time.
    pub const fn literal(text: &'static str) -> FieldValue {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at] >= b' ' && bytes[at] != 0x7f, "a control byte in a field value");
            at += 1;
        }
        FieldValue(Value::Literal(text))
    }

    /// A value made at run time.
    ///
    /// # Errors
    /// [`ControlByte`] when `text` contains a byte that no field value may contain (RFC 9110, 5.5).
    pub fn new(text: String) -> Result<FieldValue, ControlByte> {
        // A fold without a branch for each byte, so that the compiler checks many at a time.
        let is_valid = text.bytes().fold(true, |all, byte| all & is_field_byte(byte));
        if is_valid { Ok(FieldValue(Value::Owned(text))) } else { Err(ControlByte) }
    }

    /// A number in decimal digits.
    pub fn number(number: u64) -> FieldValue {
        FieldValue(Value::Owned(number.to_string()))
    }

    /// The value as it will be sent.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Value::Literal(text) => text,
            Value::Owned(text) => text,
        }
    }
}

/// A text is not a field value: it contains a control byte, such as the CR or LF that would end the field line and let
/// the rest be read as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlByte;

impl fmt::Display for ControlByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field value must not contain a control byte")
    }
}

impl std::error::Error for ControlByte {}

/// Complete field lines that many responses share. They are made and checked once; writing them is one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldLines(Lines);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lines {
    Literal(&'static str),
    Shared(Arc<str>),
}

impl FieldLines {
    /// No lines.
    pub const NONE: FieldLines = FieldLines(Lines::Literal(""));

    /// Literals of this program, each `Name: value` with its CRLF.
    ///
    /// # Panics
    /// When `text` is anything else; for a constant, at compile time.
    pub const fn literal(text: &'static str) -> FieldLines {
        let bytes = text.as_bytes();
        let (mut at, mut has_colon) = (0, false);
        while at < bytes.len() {
            match bytes[at] {
                b'\r' => {
                    assert!(has_colon, "a field line without a colon");
                    assert!(at + 1 < bytes.len() && bytes[at + 1] == b'\n', "a CR without its LF");
                    (at, has_colon) = (at + 1, false);
                }
                b':' => has_colon = true,
                byte => assert!(byte >= b' ' && byte != 0x7f, "a control byte in a field line"),
            }
            at += 1;
        }
        assert!(bytes.is_empty() || bytes[bytes.len() - 1] == b'\n', "the last field line has no end");
        FieldLines(Lines::Literal(text))
    }

    /// Lines of these names and values. Clones share their memory.
    pub fn shared(fields: &[(&'static str, FieldValue)]) -> FieldLines {
        let lines = fields.iter().map(|(name, value)| format!("{name}: {}\r\n", value.as_str()));
        FieldLines(Lines::Shared(lines.collect::<String>().into()))
    }

    pub(super) fn as_str(&self) -> &str {
        match &self.0 {
            Lines::Literal(text) => text,
            Lines::Shared(text) => text,
        }
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut lines = self.as_str().split_terminator("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(field_name, _)| field_name.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_value_that_would_split_the_response_cannot_be_made() {
        for text in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "\x7f"] {
            assert_eq!(FieldValue::new(text.to_owned()), Err(ControlByte), "{text:?}");
        }
        assert_eq!(
            FieldValue::new("a\tb é".to_owned()).map(|value| value.as_str().to_owned()),
            Ok("a\tb é".into())
        );
    }
}
