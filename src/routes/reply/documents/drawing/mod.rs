//! Mermaid's drawings as SVG, so that a page shows a picture without a script.
//!
//! ```text
//!   mod.rs          which kinds of drawings there are
//!   unsupported.rs  why a text cannot be drawn
//!   sequence.rs     sequenceDiagram: lanes, and messages between them
//!   flowchart.rs    flowchart: boxes, decisions and groups, as a graph
//!   states.rs       stateDiagram-v2: states and transitions, as a graph
//!   graph.rs        a graph, drawn
//!   layers.rs       where the boxes of a graph are, and how its links run
//!   svg.rs          the elements of a picture, and how wide its text is
//! ```
//!
//! It reads what the documents use of Mermaid's notation and refuses the rest with the number of the line;
//! `every_drawing_of_the_documents_is_drawn` tells an author what is missing. Colours and fonts come from
//! `document.css`, for light and dark. Each picture carries its content in words, for screen readers.

mod flowchart;
mod graph;
mod layers;
mod sequence;
mod states;
mod svg;
mod unsupported;

use unsupported::Unsupported;

/// The SVG of `text`, a drawing in Mermaid's notation. `id` is unique within the page.
pub(super) fn draw(text: &str, id: &str) -> Result<String, Unsupported> {
    let (kind, rest) = text.split_once('\n').unwrap_or((text, ""));
    // The numbers of the lines below the first one, which says the kind.
    let lines = (2..).zip(rest.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    match kind.trim().split_once(' ').unwrap_or((kind.trim(), "")) {
        ("sequenceDiagram", "") => Ok(sequence::parse(lines)?.draw(id)),
        ("flowchart", direction) => Ok(flowchart::parse(direction, lines)?.draw("Flowchart", id)),
        ("stateDiagram-v2", "") => Ok(states::parse(lines)?.draw("State diagram", id)),
        _ => Err(Unsupported { line: 1, reason: "unknown kind of drawing" }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::Document;
    use super::*;

    /// Every drawing of the documents, with the name of its document.
    fn drawings() -> Vec<(&'static str, &'static str)> {
        let blocks = |document: &'static Document| {
            let after = document.markdown.split("```mermaid\n").skip(1);
            after.filter_map(|rest| rest.split("```").next()).map(|text| (document.name, text))
        };
        Document::ALL.iter().flat_map(blocks).collect()
    }

    #[test]
    fn every_drawing_of_the_documents_is_drawn() {
        let drawings = drawings();
        for (document, text) in &drawings {
            let svg = draw(text, "d").unwrap_or_else(|error| panic!("{document}: {error:?}:\n{text}"));
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{document}: {svg}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{document}: {svg}");
        }
        assert!(drawings.len() >= 13, "they are found: {}", drawings.len());
    }

    /// A text column has 760 units; what is wider has to be scrolled on every screen.
    #[test]
    fn no_drawing_is_wider_than_the_text() {
        for (document, text) in drawings() {
            let svg = draw(text, "d").expect("it can be drawn");
            let width = svg.split_once("width=\"").and_then(|(_, rest)| rest.split('"').next());
            let width: f64 = width.and_then(|width| width.parse().ok()).expect("a width");
            assert!(width <= 760.0, "{document}: {width}: {text}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_by_its_line() {
        let check = |text: &str, line: usize, reason: &'static str| {
            assert_eq!(draw(text, "d"), Err(Unsupported { line, reason }), "{text}");
        };
        check("", 1, "unknown kind of drawing");
        check("pie\n\"a\": 1", 1, "unknown kind of drawing");
        check(
            "sequenceDiagram\nparticipant A as a\nA-->>A: x",
            3,
            "expected participant, Note over or A->>B: text",
        );
        check("sequenceDiagram\nparticipant A as a\nA->>A: x", 3, "a message to its own sender");
        check("sequenceDiagram\nparticipant A as a\nA->>B: x", 3, "unknown participant");
        check("sequenceDiagram\n\nnote A", 3, "expected participant, Note over or A->>B: text");
        check("flowchart RL\nA --> B", 1, "expected LR or TB");
        check("flowchart LR\nA(\"x\") --> B", 2, "expected --> or ---");
        check("flowchart LR\nA[\"x", 2, "text without an end");
        check("flowchart LR\nA -->|x B", 2, "text without an end");
        check("flowchart LR\nA -->", 2, "expected a name");
        check("flowchart LR\nA --> A", 2, "a link to its own start");
        check("flowchart LR\nsubgraph g [x]\nA --> B", 3, "expected end");
        check("flowchart LR\nsubgraph g [x]\nA --> B\nend\nA --> g", 5, "a link into a group");
        check("flowchart LR\nend", 2, "end without a group");
        check("stateDiagram-v2\nA --> B : x\nA -> B", 3, "expected A --> B: text");
        check("stateDiagram-v2\nA --> A", 2, "a link to its own start");
    }
}
