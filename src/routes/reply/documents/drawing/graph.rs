//! A graph, drawn: boxes of several shapes, links with words on them, and groups, which are graphs themselves.

use super::layers::{Block, Direction, Edge, Layout, Route, lay_out};
use super::svg::{LINE, Lines, Point, Rect, Size, Svg};

/// The widest line in a box, and on a link.
const TEXT_MAX: f64 = 170.0;
const LABEL_MAX: f64 = 125.0;

/// Between a text and the border of its box.
const PADDING: Size = Size { width: 12.0, height: 9.0 };

/// Between the graph and the border around it.
const MARGIN: f64 = 4.0;
const GROUP_MARGIN: f64 = 12.0;

pub(super) struct Graph {
    pub(super) direction: Direction,
    ids: Vec<String>,
    nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
}

pub(super) struct Node {
    words: String,
    text: Lines,
    shape: Shape,
}

pub(super) enum Shape {
    Box,
    Round,
    Decision,
    Start,
    End,
    Group(Box<Graph>),
}

pub(super) struct Link {
    /// The places of its ends in the list of nodes.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Empty for none.
    pub(super) label: String,
    pub(super) has_head: bool,
}

impl Node {
    pub(super) fn new(words: &str, shape: Shape) -> Node {
        Node { words: words.replace("<br>", " "), text: Lines::wrap(words, TEXT_MAX), shape }
    }
}

impl Graph {
    pub(super) fn new(direction: Direction) -> Graph {
        Graph { direction, ids: Vec::new(), nodes: Vec::new(), links: Vec::new() }
    }

    /// The place of the node `id`, which is made where there is none. The first mention of a node says what it is.
    pub(super) fn node(&mut self, id: &str, make: impl FnOnce() -> Node) -> usize {
        self.ids.iter().position(|known| known == id).unwrap_or_else(|| {
            self.ids.push(id.to_owned());
            self.nodes.push(make());
            self.nodes.len() - 1
        })
    }

    /// Whether one of its groups has a node `id`.
    pub(super) fn is_in_a_group(&self, id: &str) -> bool {
        self.nodes.iter().any(|node| match &node.shape {
            Shape::Group(group) => group.ids.iter().any(|known| known == id),
            _ => false,
        })
    }

    pub(super) fn draw(&self, kind: &str, id: &str) -> String {
        let placed = self.place();
        let mut svg = Svg::new(id);
        self.draw_at(Point { x: MARGIN, y: MARGIN }, &placed, &mut svg);
        let Size { width, height } = placed.layout.size;
        svg.finish(Size { width: width + 2.0 * MARGIN, height: height + 2.0 * MARGIN }, kind, &self.words())
    }

    fn place(&self) -> Placed {
        let groups: Vec<Option<Placed>> = self
            .nodes
            .iter()
            .map(|node| match &node.shape {
                Shape::Group(group) => Some(group.place()),
                _ => None,
            })
            .collect();
        let blocks = self.nodes.iter().zip(&groups).map(|(node, group)| Block {
            size: node.size(group.as_ref()),
            is_pointed: matches!(node.shape, Shape::Decision),
        });
        let labels: Vec<Option<Lines>> = self
            .links
            .iter()
            .map(|link| (!link.label.is_empty()).then(|| Lines::wrap(&link.label, LABEL_MAX)))
            .collect();
        let edges = self.links.iter().zip(&labels).map(|(link, label)| Edge {
            from: link.from,
            to: link.to,
            label: label.as_ref().map(Lines::size),
        });
        let layout = lay_out(self.direction, &blocks.collect::<Vec<_>>(), &edges.collect::<Vec<_>>());
        Placed { layout, labels, groups }
    }

    fn draw_at(&self, origin: Point, placed: &Placed, svg: &mut Svg) {
        let moved = |rect: &Rect| Rect { x: rect.x + origin.x, y: rect.y + origin.y, size: rect.size };
        for (link, route) in self.links.iter().zip(&placed.layout.routes) {
            svg.path("link", &path(route, origin, self.direction), link.has_head);
        }
        for (route, label) in placed.layout.routes.iter().zip(&placed.labels) {
            if let (Some(rect), Some(label)) = (&route.label, label) {
                svg.label(moved(rect).centre(), label);
            }
        }
        for ((node, rect), group) in self.nodes.iter().zip(&placed.layout.blocks).zip(&placed.groups) {
            let rect = moved(rect);
            match (&node.shape, group) {
                (Shape::Box, _) => svg.rect("box", rect, 4.0),
                (Shape::Round, _) => svg.rect("box", rect, 14.0),
                (Shape::Decision, _) => {
                    let Rect { x, y, size: Size { width, height } } = rect;
                    let (right, below) = (width / 2.0, height / 2.0);
                    let path = format!(
                        "M{:.1} {y:.1}l{right:.1} {below:.1}l-{right:.1} {below:.1}l-{right:.1} -{below:.1}z",
                        x + right
                    );
                    svg.path("box", &path, false);
                }
                (Shape::Start, _) => svg.circle("dot", rect.centre(), 6.0),
                (Shape::End, _) => {
                    svg.circle("ring", rect.centre(), 7.0);
                    svg.circle("dot", rect.centre(), 4.0);
                }
                (Shape::Group(inner), Some(placed)) => {
                    svg.rect("group", rect, 6.0);
                    let title = Point { x: rect.centre().x, y: rect.y + GROUP_MARGIN / 2.0 + LINE / 2.0 };
                    svg.text("label", title, &node.text);
                    let below = node.text.size().height + GROUP_MARGIN;
                    inner.draw_at(Point { x: rect.x + GROUP_MARGIN, y: rect.y + below }, placed, svg);
                    continue;
                }
                (Shape::Group(_), None) => continue,
            }
            if !matches!(node.shape, Shape::Start | Shape::End) {
                svg.text("", rect.centre(), &node.text);
            }
        }
    }

    /// Its links as sentences, those within its groups first.
    fn words(&self) -> Vec<String> {
        let groups = self.nodes.iter().filter_map(|node| match &node.shape {
            Shape::Group(group) => Some(group.words()),
            _ => None,
        });
        let name = |place: usize| &self.nodes[place].words;
        let sentence = |link: &Link| match &*link.label {
            "" => format!("{} to {}.", name(link.from), name(link.to)),
            label => format!("{} to {}: {label}.", name(link.from), name(link.to)),
        };
        groups.flatten().chain(self.links.iter().map(sentence)).collect()
    }
}

impl Node {
    fn size(&self, group: Option<&Placed>) -> Size {
        let text = self.text.size();
        match (&self.shape, group) {
            (Shape::Start | Shape::End, _) => Size { width: 14.0, height: 14.0 },
            // The corners of the text are inside the border.
            (Shape::Decision, _) => Size { width: text.width * 1.5 + 20.0, height: text.height * 2.0 + 14.0 },
            (Shape::Group(_), Some(placed)) => {
                let Size { width, height } = placed.layout.size;
                let inner = width.max(text.width);
                Size { width: inner + 2.0 * GROUP_MARGIN, height: height + text.height + 2.0 * GROUP_MARGIN }
            }
            _ => Size { width: text.width + 2.0 * PADDING.width, height: text.height + 2.0 * PADDING.height },
        }
    }
}

/// A graph with the places of everything in it.
struct Placed {
    layout: Layout,
    labels: Vec<Option<Lines>>,
    /// For each node, the same of its group.
    groups: Vec<Option<Placed>>,
}

/// A route as SVG's path: curves between the layers, and straight through each.
fn path(route: &Route, origin: Point, direction: Direction) -> String {
    let at = |point: &Point| (point.x + origin.x, point.y + origin.y);
    let Some((first, rest)) = route.points.split_first() else { return String::new() };
    let (mut x, mut y) = at(first);
    let mut path = format!("M{x:.1} {y:.1}");
    for (index, point) in rest.iter().enumerate() {
        let (to_x, to_y) = at(point);
        path += &match (index % 2, direction) {
            (1, _) => format!("L{to_x:.1} {to_y:.1}"),
            (_, Direction::Down) => {
                let middle = (y + to_y) / 2.0;
                format!("C{x:.1} {middle:.1} {to_x:.1} {middle:.1} {to_x:.1} {to_y:.1}")
            }
            (_, Direction::Right) => {
                let middle = (x + to_x) / 2.0;
                format!("C{middle:.1} {y:.1} {middle:.1} {to_y:.1} {to_x:.1} {to_y:.1}")
            }
        };
        (x, y) = (to_x, to_y);
    }
    path
}
