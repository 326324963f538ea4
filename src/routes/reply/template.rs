//! Templates: pages with placeholders such as `{{client_app}}`, and the HTML that replaces them.
//!
//! Values are escaped where they are made; [`fill`] inserts them as they are.

/// A placeholder with its braces, and the HTML that replaces it.
pub(crate) type Placeholder = (&'static str, String);

/// Replaces the placeholders in `text`. Unknown ones stay as they are.
pub(crate) fn fill(text: &str, placeholders: &[Placeholder]) -> String {
    // One pass, so that a value that looks like a placeholder is not replaced in turn.
    let mut filled = String::with_capacity(text.len() + 256);
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, from_braces) = rest.split_at(start);
        filled.push_str(before);
        let found = placeholders.iter().find(|(name, _)| from_braces.starts_with(name));
        let (value, length) = found.map_or(("{{", 2), |(name, value)| (value.as_str(), name.len()));
        filled.push_str(value);
        rest = &from_braces[length..];
    }
    filled.push_str(rest);
    filled
}

/// Escapes `text` for HTML, for the content of an element or a quoted attribute.
pub(crate) fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_once_and_escaped() {
        let placeholders = [("{{title}}", escape_html("<b>\"{{text}}'&")), ("{{text}}", "words".to_owned())];
        let filled = fill("{{title}} {{text}} {{other}} {{", &placeholders);
        assert_eq!(filled, "&lt;b&gt;&quot;{{text}}&#39;&amp; words {{other}} {{");
    }
}
