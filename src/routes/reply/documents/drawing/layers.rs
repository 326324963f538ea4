//! Where the blocks of a graph are, and how its edges run: a layered drawing, as by Sugiyama, Tagawa and Toda (1981).
//!
//! 1. Edges that would close a circle are turned round.
//! 2. Each block gets a layer, below all blocks that lead to it. An edge across several layers has a bend in each of
//!    those between, and one with words has its words in one of them.
//! 3. Within each layer the blocks and bends are ordered so that few edges cross.
//! 4. Each goes as near as possible to its neighbours, without overlap.
//!
//! All this is for a drawing that goes down. One that goes right has its axes exchanged, before and after.

use super::svg::{Point, Rect, Size};

/// Between two blocks of a layer, and beside a bend.
const BLOCKS_APART: f64 = 22.0;
const BENDS_APART: f64 = 12.0;

/// Between two layers: room for an arrowhead.
const LAYERS_APART: f64 = 24.0;

/// Between two edges that end in the same side of a block, at most.
const ENDS_APART: f64 = 22.0;

/// How much more a bend weighs than a block.
const BEND_WEIGHT: f64 = 8.0;

/// How often the order of the layers, and the places within them, are improved.
const ROUNDS: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Direction {
    Down,
    Right,
}

pub(super) struct Block {
    pub(super) size: Size,
    /// Whether its sides are slanted, from corners in their middles.
    pub(super) is_pointed: bool,
}

/// A link between two blocks, by their places in their list, with the size of its words if it has some.
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: Option<Size>,
}

pub(super) struct Layout {
    /// The least x; 0 in the end.
    left: f64,
    pub(super) size: Size,
    pub(super) blocks: Vec<Rect>,
    pub(super) routes: Vec<Route>,
}

/// The way of an edge.
pub(super) struct Route {
    /// Its start, where it comes into each layer between and leaves it, and its end.
    pub(super) points: Vec<Point>,
    pub(super) label: Option<Rect>,
}

/// The places of `blocks` and `edges`. The two ends of an edge differ.
pub(super) fn lay_out(direction: Direction, blocks: &[Block], edges: &[Edge]) -> Layout {
    let exchanged = |size: Size| match direction {
        Direction::Down => size,
        Direction::Right => Size { width: size.height, height: size.width },
    };
    let mut grid = Grid::new(blocks, edges, exchanged);
    grid.order();
    grid.spread();
    let height = grid.stack();
    let mut layout = grid.layout(height);
    let left = layout.left;
    let place = |point: Point| {
        let point = Point { x: point.x - left, y: point.y };
        match direction {
            Direction::Down => point,
            Direction::Right => Point { x: point.y, y: point.x },
        }
    };
    let place_rect = |rect: &mut Rect| {
        let corner = place(Point { x: rect.x, y: rect.y });
        *rect = Rect { x: corner.x, y: corner.y, size: exchanged(rect.size) };
    };
    layout.blocks.iter_mut().for_each(place_rect);
    for route in &mut layout.routes {
        route.points.iter_mut().for_each(|point| *point = place(*point));
        route.label.iter_mut().for_each(place_rect);
    }
    Layout { left: 0.0, size: exchanged(layout.size), ..layout }
}

/// A block, or a bend of an edge.
struct Cell {
    layer: usize,
    /// Nothing, for a bend without words.
    size: Size,
    is_block: bool,
    is_pointed: bool,
    /// Its middle, across the layers and along them.
    x: f64,
    y: f64,
    /// Half of the thickness of its layer.
    layer_half: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

struct Grid {
    /// The blocks, and after them the bends.
    cells: Vec<Cell>,
    /// For each edge its cells from layer to layer, ends included, and whether they are in the order of the edge.
    chains: Vec<(Vec<usize>, bool)>,
    /// The cells of each layer, in their order.
    layers: Vec<Vec<usize>>,
}

impl Grid {
    fn new(blocks: &[Block], edges: &[Edge], exchanged: impl Fn(Size) -> Size) -> Grid {
        let forward = without_circles(blocks.len(), edges);
        let downward: Vec<(usize, usize)> = edges
            .iter()
            .zip(&forward)
            .map(|(edge, is_forward)| if *is_forward { (edge.from, edge.to) } else { (edge.to, edge.from) })
            .collect();
        // Words need a layer of their own between those of the blocks.
        let step = if edges.iter().any(|edge| edge.label.is_some()) { 2 } else { 1 };
        let bend = |layer: usize, size: Size| Cell {
            layer,
            size,
            is_block: false,
            is_pointed: false,
            x: 0.0,
            y: 0.0,
            layer_half: 0.0,
            above: Vec::new(),
            below: Vec::new(),
        };
        let ranks = ranks(blocks.len(), &downward);
        let block = |(own, rank): (&Block, &usize)| Cell {
            is_block: true,
            is_pointed: own.is_pointed,
            ..bend(rank * step, exchanged(own.size))
        };
        let mut cells: Vec<Cell> = blocks.iter().zip(&ranks).map(block).collect();
        let mut chains = Vec::new();
        for (((upper, lower), edge), is_forward) in downward.iter().zip(edges).zip(forward) {
            let (first, last) = (cells[*upper].layer, cells[*lower].layer);
            // The words are nearest to where the edge begins, in a layer without blocks.
            let labelled = if is_forward { first + 1 } else { last.saturating_sub(1) };
            let mut chain = vec![*upper];
            for layer in first + 1..last {
                let words = edge.label.filter(|_| layer == labelled).map(&exchanged);
                chain.push(cells.len());
                cells.push(bend(layer, words.unwrap_or_default()));
            }
            chain.push(*lower);
            for pair in chain.windows(2) {
                cells[pair[0]].below.push(pair[1]);
                cells[pair[1]].above.push(pair[0]);
            }
            chains.push((chain, is_forward));
        }
        let mut layers = vec![Vec::new(); cells.iter().map(|cell| cell.layer + 1).max().unwrap_or(0)];
        cells.iter().enumerate().for_each(|(place, cell)| layers[cell.layer].push(place));
        Grid { cells, chains, layers }
    }

    /// Orders each layer by the middle of the neighbours of its cells, down and up again, and keeps the order with the
    /// fewest crossings.
    fn order(&mut self) {
        let mut best = (self.crossings(), self.layers.clone());
        for round in 0..ROUNDS {
            let is_down = round % 2 == 0;
            let mut places = vec![0.0; self.cells.len()];
            let remember = |places: &mut Vec<f64>, layer: &[usize]| {
                layer.iter().enumerate().for_each(|(place, cell)| places[*cell] = place as f64);
            };
            self.layers.iter().for_each(|layer| remember(&mut places, layer));
            let count = self.layers.len();
            for index in 1..count {
                let index = if is_down { index } else { count - 1 - index };
                let middle = |cell: usize| {
                    let neighbours = if is_down { &self.cells[cell].above } else { &self.cells[cell].below };
                    mean(neighbours.iter().map(|other| places[*other])).unwrap_or(places[cell])
                };
                let mut keyed: Vec<(f64, usize)> =
                    self.layers[index].iter().map(|cell| (middle(*cell), *cell)).collect();
                keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
                self.layers[index] = keyed.into_iter().map(|(_, cell)| cell).collect();
                remember(&mut places, &self.layers[index]);
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
            }
        }
        self.layers = best.1;
    }

    /// How many pairs of edges cross between two layers.
    fn crossings(&self) -> usize {
        let mut count = 0;
        for pair in self.layers.windows(2) {
            let place = |cell: usize| pair[1].iter().position(|other| *other == cell).unwrap_or(0);
            let ends: Vec<Vec<usize>> = pair[0]
                .iter()
                .map(|cell| self.cells[*cell].below.iter().map(|other| place(*other)).collect())
                .collect();
            for (index, left) in ends.iter().enumerate() {
                let right = ends[index + 1..].iter().flatten();
                count += right.map(|right| left.iter().filter(|left| *left > right).count()).sum::<usize>();
            }
        }
        count
    }

    /// Gives each cell its place across, near to its neighbours.
    fn spread(&mut self) {
        for index in 0..self.layers.len() {
            self.settle(index, |_| None);
        }
        for round in 0..ROUNDS {
            let count = self.layers.len();
            for index in 0..count {
                let index = if round % 2 == 0 { index } else { count - 1 - index };
                let near: Vec<Option<f64>> = (0..self.cells.len()).map(|cell| self.wanted(cell)).collect();
                self.settle(index, |cell| near[cell]);
            }
        }
    }

    /// The middle of the neighbours of `cell`. An edge is straight from bend to bend before it is straight at its ends.
    fn wanted(&self, cell: usize) -> Option<f64> {
        let own = &self.cells[cell];
        let neighbours = own.above.iter().chain(&own.below).map(|other| &self.cells[*other]);
        let weighted =
            neighbours.map(|other| (other.x, if own.is_block || other.is_block { 1.0 } else { BEND_WEIGHT }));
        let (sum, weights) =
            weighted.fold((0.0, 0.0), |(sum, all), (x, weight)| (sum + x * weight, all + weight));
        (weights > 0.0).then(|| sum / weights)
    }

    /// Puts the cells of a layer as near as possible to where each of them is wanted: least squares under a fixed order
    /// and the least distances, by pooling neighbours that would overlap.
    fn settle(&mut self, layer: usize, wanted: impl Fn(usize) -> Option<f64>) {
        // Without the distances only the order is left to keep.
        let mut offsets = Vec::new();
        let mut offset = 0.0;
        let cells = &self.layers[layer];
        for (index, cell) in cells.iter().enumerate() {
            if let Some(before) = index.checked_sub(1).map(|before| &self.cells[cells[before]]) {
                let own = &self.cells[*cell];
                let apart = if own.is_block && before.is_block { BLOCKS_APART } else { BENDS_APART };
                offset += (before.size.width + own.size.width) / 2.0 + apart;
            }
            offsets.push(offset);
        }
        // Pools of neighbours, each with the weighted sum of what its cells want, their weight, and their number.
        let mut pools: Vec<(f64, f64, usize)> = Vec::new();
        for (cell, offset) in cells.iter().zip(&offsets) {
            let own = wanted(*cell).unwrap_or(self.cells[*cell].x);
            let weight = if self.cells[*cell].is_block { 1.0 } else { BEND_WEIGHT };
            pools.push(((own - offset) * weight, weight, 1));
            while let [.., before, last] = &pools[..] {
                if before.0 / before.1 <= last.0 / last.1 {
                    break;
                }
                let joined = (before.0 + last.0, before.1 + last.1, before.2 + last.2);
                pools.truncate(pools.len() - 2);
                pools.push(joined);
            }
        }
        let places = pools.iter().flat_map(|(sum, weight, count)| vec![sum / weight; *count]);
        let places: Vec<f64> = places.zip(&offsets).map(|(place, offset)| place + offset).collect();
        for (cell, place) in self.layers[layer].clone().into_iter().zip(places) {
            self.cells[cell].x = place;
        }
    }

    /// Puts the layers below each other, and gives the height of all.
    fn stack(&mut self) -> f64 {
        let mut y = 0.0;
        for layer in &self.layers {
            let thickness = layer.iter().map(|cell| self.cells[*cell].size.height).fold(0.0, f64::max);
            for cell in layer {
                self.cells[*cell].y = y + thickness / 2.0;
                self.cells[*cell].layer_half = thickness / 2.0;
            }
            y += thickness + LAYERS_APART;
        }
        (y - LAYERS_APART).max(0.0)
    }

    /// The layout, going down, with this height.
    fn layout(&self, height: f64) -> Layout {
        let left = self.cells.iter().map(|cell| cell.rect().x).fold(f64::MAX, f64::min);
        let right = self.cells.iter().map(|cell| cell.rect().x + cell.size.width).fold(left, f64::max);
        Layout {
            left,
            size: Size { width: right - left, height },
            blocks: self.cells.iter().filter(|cell| cell.is_block).map(Cell::rect).collect(),
            routes: self.chains.iter().map(|(chain, is_forward)| self.route(chain, *is_forward)).collect(),
        }
    }

    fn route(&self, chain: &[usize], is_forward: bool) -> Route {
        let (mut points, mut label) = (Vec::new(), None);
        if let [first, second, ..] = *chain {
            points.push(self.end(first, second));
        }
        for cell in chain.iter().map(|cell| &self.cells[*cell]).filter(|cell| !cell.is_block) {
            points.push(Point { x: cell.x, y: cell.y - cell.layer_half });
            points.push(Point { x: cell.x, y: cell.y + cell.layer_half });
            if cell.size != Size::default() {
                label = Some(cell.rect());
            }
        }
        if let [.., before, last] = *chain {
            points.push(self.end(last, before));
        }
        if !is_forward {
            points.reverse();
        }
        Route { points, label }
    }

    /// Where the edge between `block` and `other` meets the border of `block`. The edges on one side of a block are in
    /// the order of what they lead to.
    fn end(&self, block: usize, other: usize) -> Point {
        let (own, other) = (&self.cells[block], &self.cells[other]);
        let is_below = other.layer > own.layer;
        let others = if is_below { &own.below } else { &own.above };
        let left = others.iter().filter(|cell| self.cells[**cell].x < other.x).count();
        let same = others.iter().filter(|cell| self.cells[**cell].x == other.x).count();
        let place = left as f64 + (same as f64 - 1.0) / 2.0 - (others.len() as f64 - 1.0) / 2.0;
        let dx = place * ENDS_APART.min(own.size.width * 0.8 / others.len() as f64);
        let slant = if own.is_pointed { 1.0 - dx.abs() / (own.size.width / 2.0) } else { 1.0 };
        let dy = own.size.height / 2.0 * slant;
        Point { x: own.x + dx, y: if is_below { own.y + dy } else { own.y - dy } }
    }
}

impl Cell {
    fn rect(&self) -> Rect {
        Rect { x: self.x - self.size.width / 2.0, y: self.y - self.size.height / 2.0, size: self.size }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// For each edge, whether it keeps its direction: one that leads back to a block on the way to it is turned round.
fn without_circles(count: usize, edges: &[Edge]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Never,
        /// On the way from the first block to the one that is looked at.
        OnTheWay,
        Done,
    }
    let mut seen = vec![Seen::Never; count];
    let mut forward = vec![true; edges.len()];
    for start in 0..count {
        if seen[start] != Seen::Never {
            continue;
        }
        seen[start] = Seen::OnTheWay;
        // A block, and the first of the edges that may still have to be followed from it.
        let mut way = vec![(start, 0)];
        while let Some((here, next)) = way.last_mut() {
            let here = *here;
            let Some(edge) = (*next..edges.len()).find(|edge| edges[*edge].from == here) else {
                seen[here] = Seen::Done;
                way.pop();
                continue;
            };
            *next = edge + 1;
            let to = edges[edge].to;
            match seen[to] {
                Seen::Never => {
                    seen[to] = Seen::OnTheWay;
                    way.push((to, 0));
                }
                Seen::OnTheWay => forward[edge] = false,
                Seen::Done => {}
            }
        }
    }
    forward
}

/// The layer of each block: one below the lowest of those that lead to it. `edges` have no circle.
fn ranks(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut ranks = vec![0; count];
    // The longest way has fewer edges than there are blocks.
    for _ in 0..count {
        for (upper, lower) in edges {
            ranks[*lower] = ranks[*lower].max(ranks[*upper] + 1);
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(one: &Rect, other: &Rect) -> bool {
        let apart = |from: f64, length: f64, other: f64, other_length: f64| {
            from + length <= other + 0.01 || other + other_length <= from + 0.01
        };
        !apart(one.x, one.size.width, other.x, other.size.width)
            && !apart(one.y, one.size.height, other.y, other.size.height)
    }

    /// Graphs of up to seven blocks with edges between any two of them, by a generator that is always the same.
    fn graphs() -> impl Iterator<Item = (Vec<Block>, Vec<Edge>)> {
        let mut state: u64 = 1;
        let mut next = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        (0..300).map(move |_| {
            let count = 1 + next(7);
            let mut size =
                |unit: u64| Size { width: (unit + next(unit * 4)) as f64, height: (unit + next(unit)) as f64 };
            let blocks: Vec<Block> =
                (0..count).map(|index| Block { size: size(20), is_pointed: index % 3 == 0 }).collect();
            let words: Vec<Size> = (0..12).map(|_| size(15)).collect();
            let pairs = (0..next(12)).map(|_| (next(count) as usize, next(count) as usize)).collect::<Vec<_>>();
            let edges = pairs.into_iter().zip(words).filter(|((from, to), _)| from != to);
            (
                blocks,
                edges
                    .map(|((from, to), size)| Edge { from, to, label: (from % 2 == 0).then_some(size) })
                    .collect(),
            )
        })
    }

    #[test]
    fn nothing_overlaps_and_everything_is_inside() {
        for direction in [Direction::Down, Direction::Right] {
            for (number, (blocks, edges)) in graphs().enumerate() {
                let layout = lay_out(direction, &blocks, &edges);
                let labels = layout.routes.iter().filter_map(|route| route.label);
                let rects: Vec<Rect> = layout.blocks.iter().copied().chain(labels).collect();
                let words = edges.iter().filter(|edge| edge.label.is_some()).count();
                assert_eq!(rects.len(), blocks.len() + words, "graph {number}: all words have a place");
                for (index, one) in rects.iter().enumerate() {
                    let others = &rects[index + 1..];
                    assert!(!others.iter().any(|other| overlap(one, other)), "graph {number}: {rects:?}");
                    let size = Size { width: layout.size.width + 0.01, height: layout.size.height + 0.01 };
                    let is_inside = one.x > -0.01
                        && one.y > -0.01
                        && one.x + one.size.width < size.width
                        && one.y + one.size.height < size.height;
                    assert!(is_inside, "graph {number}: {one:?} in {size:?}");
                }
            }
        }
    }

    #[test]
    fn edges_run_from_block_to_block_in_their_direction() {
        let touches = |rect: &Rect, point: Point, is_pointed: bool| {
            let is_in = |at: f64, from: f64, length: f64| at > from - 0.01 && at < from + length + 0.01;
            let is_on = |at: f64, from: f64, length: f64| {
                is_pointed || (at - from).abs() < 0.01 || (at - from - length).abs() < 0.01
            };
            is_in(point.x, rect.x, rect.size.width)
                && is_in(point.y, rect.y, rect.size.height)
                && (is_on(point.x, rect.x, rect.size.width) || is_on(point.y, rect.y, rect.size.height))
        };
        for direction in [Direction::Down, Direction::Right] {
            for (number, (blocks, edges)) in graphs().enumerate() {
                let layout = lay_out(direction, &blocks, &edges);
                for (edge, route) in edges.iter().zip(&layout.routes) {
                    for (own, end) in [(edge.from, route.points.first()), (edge.to, route.points.last())] {
                        let (rect, end) = (layout.blocks[own], *end.expect("an end"));
                        assert!(
                            touches(&rect, end, blocks[own].is_pointed),
                            "graph {number}: {end:?}, {rect:?}"
                        );
                    }
                }
            }
        }
    }
}
