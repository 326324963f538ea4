//! Flowcharts: boxes `A["text"]`, decisions `A{"text"}`, links `A --> B`, `A -->|text| B` and `A --- B`, and groups
//! (`subgraph`), which are linked as a whole.

use super::graph::{Graph, Link, Node, Shape};
use super::layers::Direction;
use super::unsupported::Unsupported;

/// Parses `lines`, which are those below `flowchart DIRECTION`.
pub(super) fn parse<'t>(
    direction: &str,
    mut lines: impl Iterator<Item = (usize, &'t str)>,
) -> Result<Graph, Unsupported> {
    let direction = direction_of(direction).ok_or(Unsupported { line: 1, reason: "expected LR or TB" })?;
    parse_graph(direction, &mut lines, None)
}

fn direction_of(word: &str) -> Option<Direction> {
    match word {
        "LR" => Some(Direction::Right),
        "TB" => Some(Direction::Down),
        _ => None,
    }
}

/// The graph of `lines`, up to their end; or that of the group that begins in the line before, up to its `end`.
fn parse_graph<'t>(
    direction: Direction,
    lines: &mut impl Iterator<Item = (usize, &'t str)>,
    group: Option<usize>,
) -> Result<Graph, Unsupported> {
    let mut graph = Graph::new(direction);
    let mut last = group.unwrap_or(1);
    while let Some((number, line)) = lines.next() {
        let refuse = |reason| Unsupported { line: number, reason };
        last = number;
        if line == "end" {
            return if group.is_some() { Ok(graph) } else { Err(refuse("end without a group")) };
        } else if let Some(inner) = line.strip_prefix("subgraph ") {
            if group.is_some() {
                return Err(refuse("a group in a group"));
            }
            let (id, title) = inner.split_once(" [").ok_or_else(|| refuse("expected subgraph name [title]"))?;
            let inner = parse_graph(Direction::Right, lines, Some(number))?;
            graph.node(id, || Node::new(title.trim_end_matches(']'), Shape::Group(Box::new(inner))));
        } else if let Some(direction) = line.strip_prefix("direction ") {
            graph.direction = direction_of(direction).ok_or_else(|| refuse("expected LR or TB"))?;
        } else {
            parse_chain(&mut graph, line).map_err(refuse)?;
        }
    }
    if group.is_some() { Err(Unsupported { line: last, reason: "expected end" }) } else { Ok(graph) }
}

/// Adds the nodes and links of `line` to `graph`: `A --> B --> C`.
fn parse_chain(graph: &mut Graph, line: &str) -> Result<(), &'static str> {
    let (mut from, mut rest) = parse_node(graph, line)?;
    while !rest.is_empty() {
        let (has_head, after) = match (rest.strip_prefix("-->"), rest.strip_prefix("---")) {
            (Some(after), _) => (true, after),
            (None, Some(after)) => (false, after),
            (None, None) => return Err("expected --> or ---"),
        };
        let (label, after) = match after.strip_prefix('|') {
            Some(label) => label.split_once('|').ok_or("text without an end")?,
            None => ("", after),
        };
        let (to, after) = parse_node(graph, after.trim_start())?;
        if from == to {
            return Err("a link to its own start");
        }
        graph.links.push(Link { from, to, label: label.trim_matches('"').to_owned(), has_head });
        (from, rest) = (to, after);
    }
    Ok(())
}

/// The node at the beginning of `text`, and the text after it.
fn parse_node<'t>(graph: &mut Graph, text: &'t str) -> Result<(usize, &'t str), &'static str> {
    let length = text.find(|character: char| !character.is_alphanumeric()).unwrap_or(text.len());
    let (id, rest) = text.split_at(length);
    if id.is_empty() {
        return Err("expected a name");
    }
    if graph.is_in_a_group(id) {
        return Err("a link into a group");
    }
    let shape = [("[\"", "\"]", Shape::Box), ("{\"", "\"}", Shape::Decision)]
        .into_iter()
        .find_map(|(open, close, shape)| Some((rest.strip_prefix(open)?, close, shape)));
    let (node, rest) = match shape {
        Some((rest, close, shape)) => {
            let (words, rest) = rest.split_once(close).ok_or("text without an end")?;
            (Node::new(words, shape), rest)
        }
        None => (Node::new(id, Shape::Box), rest),
    };
    Ok((graph.node(id, || node), rest.trim_start()))
}
