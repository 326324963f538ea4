//! Writes JSON objects (RFC 8259), member by member.
//!
//! A tree of values would be built only to be printed, and its printer brings the formatting of floating-point numbers
//! along. Text is escaped by serde_json. Members keep the order in which they are added.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// An object that is being written.
#[derive(Default)]
pub struct Object {
    /// Everything so far, without the closing brace.
    text: String,
}

impl Object {
    /// Adds a text.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Object {
        self.begin(name);
        self.text.push_str(&quoted(value));
        self
    }

    /// Adds a text, or `null`.
    pub fn optional_text(&mut self, name: &str, value: Option<&str>) -> &mut Object {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, &"null"),
        }
    }

    /// Adds a list of texts.
    pub fn texts<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) -> &mut Object {
        self.list(name, &mut values.into_iter())
    }

    // Not inlined: each list is of another iterator, and the copies would be larger than all else here.
    #[inline(never)]
    fn list(&mut self, name: &str, values: &mut dyn Iterator<Item = &str>) -> &mut Object {
        let values: Vec<String> = values.map(quoted).collect();
        self.raw(name, &format_args!("[{}]", values.join(",")))
    }

    /// Adds a whole number.
    pub fn number(&mut self, name: &str, value: u64) -> &mut Object {
        self.raw(name, &value)
    }

    /// Adds a port, or `null`.
    pub fn optional_port(&mut self, name: &str, value: Option<u16>) -> &mut Object {
        match value {
            Some(value) => self.raw(name, &value),
            None => self.raw(name, &"null"),
        }
    }

    /// Adds a duration in milliseconds with up to three decimals, such as `1.25`; or `null`.
    pub fn optional_milliseconds(&mut self, name: &str, value: Option<Duration>) -> &mut Object {
        let Some(value) = value else { return self.raw(name, &"null") };
        let decimals = format!("{:03}", value.subsec_micros() % 1000);
        let decimals = match decimals.trim_end_matches('0') {
            "" => "0",
            decimals => decimals,
        };
        self.raw(name, &format_args!("{}.{decimals}", value.as_millis()))
    }

    /// Adds `true` or `false`.
    pub fn flag(&mut self, name: &str, value: bool) -> &mut Object {
        self.raw(name, &value)
    }

    /// The object as text.
    pub fn finish(&mut self) -> String {
        if self.text.is_empty() {
            self.text.push('{');
        }
        self.text.push('}');
        std::mem::take(&mut self.text)
    }

    /// Begins a member. Names need no escaping: they are literals.
    fn begin(&mut self, name: &str) {
        let before = if self.text.is_empty() { "{\"" } else { ",\"" };
        [before, name, "\":"].iter().for_each(|part| self.text.push_str(part));
    }

    fn raw(&mut self, name: &str, value: &dyn fmt::Display) -> &mut Object {
        self.begin(name);
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{value}");
        self
    }
}

/// `text` as JSON, with its quotation marks.
pub fn quoted(text: &str) -> String {
    // Text is always valid JSON, so the fallback is never taken.
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_object_is_what_a_reader_of_json_expects() {
        let text = Object::default()
            .text("text", "a \"b\"\n\u{1}ü")
            .optional_text("no_text", None)
            .texts("texts", ["a", "\\"])
            .texts("no_texts", [])
            .number("number", u64::MAX)
            .optional_port("port", Some(80))
            .flag("flag", true)
            .finish();
        let read: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "text": "a \"b\"\n\u{1}ü",
            "no_text": null,
            "texts": ["a", "\\"],
            "no_texts": [],
            "number": u64::MAX,
            "port": 80,
            "flag": true,
        });
        assert_eq!(read, expected);
        assert_eq!(Object::default().finish(), "{}");
    }

    #[test]
    fn milliseconds_have_the_decimals_that_they_need() {
        let check = |microseconds, expected: &str| {
            let text = Object::default()
                .optional_milliseconds("t", Some(Duration::from_micros(microseconds)))
                .finish();
            assert_eq!(text, format!("{{\"t\":{expected}}}"));
        };
        check(0, "0.0");
        check(1, "0.001");
        check(1250, "1.25");
        check(12_000, "12.0");
        check(3_600_000_100, "3600000.1");
    }
}
