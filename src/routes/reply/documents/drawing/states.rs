//! State diagrams: `A --> B: text`, and `[*]` for the start and the end.

use super::graph::{Graph, Link, Node, Shape};
use super::layers::Direction;
use super::unsupported::Unsupported;

/// Where a transition begins, the start; where one leads to, the end.
const OUTSIDE: &str = "[*]";

pub(super) fn parse<'t>(lines: impl Iterator<Item = (usize, &'t str)>) -> Result<Graph, Unsupported> {
    let mut graph = Graph::new(Direction::Down);
    for (number, line) in lines {
        let refuse = |reason| Unsupported { line: number, reason };
        let transition = line.split_once(" --> ").ok_or_else(|| refuse("expected A --> B: text"))?;
        let (from, (to, label)) = (transition.0, transition.1.split_once(':').unwrap_or((transition.1, "")));
        let (from, to) = (from.trim(), to.trim());
        if from == to && from != OUTSIDE {
            return Err(refuse("a link to its own start"));
        }
        let from = match from {
            OUTSIDE => graph.node(OUTSIDE, || Node::new("start", Shape::Start)),
            name => graph.node(name, || Node::new(name, Shape::Round)),
        };
        let to = match to {
            // Another node than the start, by a name that no state has.
            OUTSIDE => graph.node("", || Node::new("end", Shape::End)),
            name => graph.node(name, || Node::new(name, Shape::Round)),
        };
        graph.links.push(Link { from, to, label: label.trim().to_owned(), has_head: true });
    }
    Ok(graph)
}
