//! The documents of the folder `docs`, as pages of the client app.
//!
//! ```text
//!   list.rs       which documents there are, in which order, and at which path each is served
//!   links.rs      where a link of a document leads on the server
//!   markdown.rs   a document as HTML
//!   drawing/      the drawings in it as SVG
//!   mod.rs        that HTML in the page `document.html`, with the way to the documents before and after it
//! ```
//!
//! They are compiled in, and a request chooses among them by a fixed list. A page is made at its first request and kept
//! from then on: the program starts without the work, and however many clients read slowly, there is one copy of each.
//! No page has a script, none passes HTML of its document on, and none loads anything from another host.

mod drawing;
mod links;
mod list;
mod markdown;

pub(crate) use list::{Document, Found, PICTURES, find};

use super::template::{Placeholder, escape_html};

impl Document {
    /// The placeholders of the page that shows this document.
    pub(super) fn placeholders(&self) -> [Placeholder; 5] {
        let place = Document::ALL.iter().position(|document| document.name == self.name);
        let at = |place: Option<usize>| place.and_then(|place| Document::ALL.get(place));
        let before = at(place.and_then(|place| place.checked_sub(1)));
        let after = at(place.and_then(|place| place.checked_add(1)));
        [
            // Whole elements, with escaped content.
            ("{{document}}", markdown::to_html(self)),
            ("{{document_title}}", escape_html(self.title()).into_owned()),
            ("{{document_part}}", escape_html(self.part).into_owned()),
            ("{{document_before}}", way(before, "prev", "Previous")),
            ("{{document_after}}", way(after, "next", "Next")),
        ]
    }
}

/// A link to the neighbour of a document, if it has one there.
fn way(to: Option<&Document>, relation: &str, words: &str) -> String {
    let Some(document) = to else { return String::new() };
    // A path of the list needs no escape.
    let (path, title) = (document.path(), escape_html(document.title()));
    format!("<a rel=\"{relation}\" href=\"{path}\"><span>{words}</span> {title}</a>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_leads_to_the_one_before_and_the_one_after() {
        let value = |document: &Document, name: &str| {
            let mut placeholders = document.placeholders().into_iter();
            placeholders.find(|(known, _)| *known == name).map(|(_, value)| value).expect("a placeholder")
        };
        for pair in Document::ALL.windows(2) {
            let [first, second] = pair else { unreachable!("two of them") };
            assert!(value(first, "{{document_after}}").contains(&format!("href=\"{}\"", second.path())));
            assert!(value(second, "{{document_before}}").contains(&format!("href=\"{}\"", first.path())));
        }
        let ends = (&Document::ALL[0], &Document::ALL[Document::ALL.len() - 1]);
        assert_eq!(
            (value(ends.0, "{{document_before}}"), value(ends.1, "{{document_after}}")),
            Default::default()
        );
    }
}
