//! Which documents there are, in the order in which they are read, and the path of each.

/// A document of the folder `docs`.
pub(crate) struct Document {
    /// Its path below `docs`, without `.md`.
    pub(crate) name: &'static str,
    /// The part of the book that it belongs to.
    pub(crate) part: &'static str,
    pub(crate) markdown: &'static str,
}

/// A picture that documents show.
pub(crate) struct Picture {
    /// Its path below `docs`.
    pub(crate) name: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) content: &'static [u8],
}

/// What a path leads to, by its place in its list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found {
    /// In [`Document::ALL`].
    Document(usize),
    /// In [`PICTURES`].
    Picture(usize),
}

/// The name of the contents page, which has the path of the whole.
const CONTENTS: &str = "README";

macro_rules! documents {
    ($($part:literal: $($name:literal)+;)+) => {
        &[$($(Document {
            name: $name,
            part: $part,
            markdown: include_str!(concat!("../../../../docs/", $name, ".md")),
        },)+)+]
    };
}

impl Document {
    /// Every document, in the order of the contents page.
    pub(crate) const ALL: &[Document] = documents! {
        "The book": "README";
        "A client of your own": "try-your-own-client";
        "Part I: build it":
            "build/1-a-socket-that-answers"
            "build/2-one-that-answers-many"
            "build/3-http-from-bytes"
            "build/4-the-four-endpoints"
            "build/5-cors"
            "build/6-the-forged-form"
            "build/7-the-client-page";
        "Part II: from there to the real one":
            "1-run-it"
            "2-the-flow"
            "3-event-loop"
            "4-http"
            "5-endpoints"
            "6-cors-and-the-forged-form"
            "7-tests-without-waiting"
            "8-what-the-article-leaves-open"
            "9-redirect-uris-state-and-iss"
            "10-pkce"
            "11-refresh-and-rotation"
            "12-registering-a-client"
            "13-where-grants-live"
            "14-several-servers";
        "Appendix":
            "exercises"
            "glossary"
            "article"
            "class"
            "architecture"
            "mcp"
            "wire"
            "lab"
            "speed"
            "reference"
            "security"
            "conformance"
            "decisions"
            "capacity"
            "changelog";
    };

    /// The text of its first heading, without marks.
    pub(crate) fn title(&self) -> &'static str {
        self.markdown.lines().next().map_or(self.name, |line| line.trim_start_matches(['#', ' ']))
    }

    /// Where it is served.
    pub(crate) fn path(&self) -> String {
        if self.name == CONTENTS { "/docs".to_owned() } else { format!("/docs/{}", self.name) }
    }
}

/// Every picture that a document shows.
pub(crate) const PICTURES: &[Picture] = &[Picture {
    name: "img/servers.svg",
    media_type: "image/svg+xml",
    content: include_bytes!("../../../../docs/img/servers.svg"),
}];

/// What is served at `path`; `None` for every path that is not in the lists.
pub(crate) fn find(path: &[u8]) -> Option<Found> {
    let name = match path.strip_prefix(b"/docs")? {
        b"" => CONTENTS.as_bytes(),
        // The contents page has one path.
        rest => rest.strip_prefix(b"/").filter(|name| *name != CONTENTS.as_bytes())?,
    };
    let document = Document::ALL.iter().position(|document| document.name.as_bytes() == name);
    let picture = || PICTURES.iter().position(|picture| picture.name.as_bytes() == name);
    document.map(Found::Document).or_else(|| picture().map(Found::Picture))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_lists_is_found() {
        for (place, document) in Document::ALL.iter().enumerate() {
            assert_eq!(find(document.path().as_bytes()), Some(Found::Document(place)), "{}", document.name);
        }
        assert_eq!(find(b"/docs/img/servers.svg"), Some(Found::Picture(0)));
        let others = [
            "",
            "/",
            "/doc",
            "/docs/",
            "/docs/README",
            "/docs/1-run-it.md",
            "/docs/1-run-it/",
            "/docs/../docs/1-run-it",
            "/docs/build",
            "/docs/build/stages/1/main.rs",
            "/docs/img/answer-dark.png",
            "/docs1-run-it",
            "/docs/%31-run-it",
        ];
        for path in others {
            assert_eq!(find(path.as_bytes()), None, "{path}");
        }
    }
}
