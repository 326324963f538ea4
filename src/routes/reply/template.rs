//! Templates: pages with placeholders such as `{{client_app}}`, and the HTML that replaces them.
//!
//! A page is split at its placeholders once. Those whose values never change are filled then, and each response fills
//! the others: it copies text and searches for nothing. Values are escaped where they are made, and inserted as they
//! are.

use std::borrow::Cow;

use memchr::{memchr2, memchr3};

/// A placeholder with its braces, and the HTML that replaces it.
pub(crate) type Placeholder = (&'static str, String);

/// A page with `N` placeholders that each response fills.
pub(crate) struct Template<const N: usize> {
    /// Pieces of text, and which value follows each.
    pieces: Vec<(String, usize)>,
    /// The text after the last of these values.
    end: String,
}

impl<const N: usize> Template<N> {
    /// Fills `placeholders` in `text`, and splits it at those called `names`, with their braces. Others stay as they
    /// are.
    pub(crate) fn new(text: &str, placeholders: &[Placeholder], names: &[&str; N]) -> Template<N> {
        let (pieces, end) = split(text, placeholders, names);
        Template { pieces, end }
    }

    /// The page with `values`, in the order of the names.
    pub(crate) fn fill(&self, values: &[Cow<str>; N]) -> String {
        let texts = self.pieces.iter().map(|(text, which)| text.len() + values[*which].len());
        let mut page = String::with_capacity(texts.sum::<usize>() + self.end.len());
        for (text, which) in &self.pieces {
            page.push_str(text);
            page.push_str(&values[*which]);
        }
        page.push_str(&self.end);
        page
    }
}

/// The pieces of `text`, with `placeholders` filled, and what comes after the last of `names`. One for all templates.
fn split(text: &str, placeholders: &[Placeholder], names: &[&str]) -> (Vec<(String, usize)>, String) {
    // One pass, so that a value that looks like a placeholder is not replaced in turn.
    let (mut pieces, mut filled) = (Vec::new(), String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, from_braces) = rest.split_at(start);
        filled.push_str(before);
        let fixed = placeholders.iter().find(|(name, _)| from_braces.starts_with(name));
        let open = names.iter().position(|name| from_braces.starts_with(name));
        let length = match (fixed, open) {
            (Some((name, value)), _) => {
                filled.push_str(value);
                name.len()
            }
            (None, Some(which)) => {
                pieces.push((std::mem::take(&mut filled), which));
                names[which].len()
            }
            (None, None) => {
                filled.push_str("{{");
                2
            }
        };
        rest = &from_braces[length..];
    }
    filled.push_str(rest);
    (pieces, filled)
}

/// Replaces the placeholders in `text`. Unknown ones stay as they are.
pub(crate) fn fill(text: &str, placeholders: &[Placeholder]) -> String {
    Template::new(text, placeholders, &[]).fill(&[])
}

/// Escapes `text` for HTML, for the content of an element or a quoted attribute. Most texts need no escape, and are
/// not copied.
pub(crate) fn escape_html(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if memchr3(b'&', b'<', b'>', bytes).is_none() && memchr2(b'"', b'\'', bytes).is_none() {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 32);
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
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_once_and_escaped() {
        let title = escape_html("<b>\"{{text}}'&");
        let placeholders = [("{{title}}", title.clone().into_owned()), ("{{text}}", "words".to_owned())];
        let expected = "&lt;b&gt;&quot;{{text}}&#39;&amp; words {{other}} {{";
        assert_eq!(fill("{{title}} {{text}} {{other}} {{", &placeholders), expected);
        // The same, where one of them is filled later, with either.
        let (text, names) = ("{{title}} {{text}} {{other}} {{", ["{{text}}"]);
        let template = Template::new(text, &placeholders[..1], &names);
        assert_eq!(template.fill(&["words".into()]), expected);
        let template = Template::new(text, &placeholders[1..], &["{{unused}}", "{{title}}"]);
        assert_eq!(template.fill(&["".into(), title]), expected);
    }

    #[test]
    fn each_of_the_five_special_characters_is_escaped_alone() {
        let check = |text: &str, expected: &str| assert_eq!(escape_html(text), expected);
        check("", "");
        check("plain text, été", "plain text, été");
        check("été &", "été &amp;");
        check("<", "&lt;");
        check("a>", "a&gt;");
        check("\"a", "&quot;a");
        check("it's", "it&#39;s");
    }
}
