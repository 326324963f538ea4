//! Sequence diagrams: a lane for each participant, and below each other the messages from lane to lane.

use super::svg::{Lines, Point, Rect, Size, Svg};
use super::unsupported::Unsupported;

/// The widest line of a message or note.
const TEXT_MAX: f64 = 240.0;

/// Between two lanes, at least.
const LANES_APART: f64 = 110.0;

/// Between a text and the lanes beside it, or the border of its box.
const PADDING: f64 = 10.0;

/// Between two boxes in a row.
const GAP: f64 = 14.0;

/// Below a message or note.
const STEP: f64 = 13.0;

pub(super) struct Sequence {
    /// The names of the lanes.
    participants: Vec<(String, Lines)>,
    steps: Vec<Step>,
}

struct Step {
    text: String,
    kind: Kind,
    /// A message from the first lane to the second, or a note over both and what is between.
    lanes: (usize, usize),
}

#[derive(PartialEq)]
enum Kind {
    Message,
    Note,
}

pub(super) fn parse<'t>(lines: impl Iterator<Item = (usize, &'t str)>) -> Result<Sequence, Unsupported> {
    let (mut ids, mut participants, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    for (number, line) in lines {
        let refuse = |reason| Unsupported { line: number, reason };
        if let Some((id, name)) = line.strip_prefix("participant ").and_then(|rest| rest.split_once(" as ")) {
            ids.push(id);
            participants.push((name.to_owned(), Lines::wrap(name, LANES_APART)));
            continue;
        }
        let is_note = line.starts_with("Note over ");
        let step = line.split_once(": ").and_then(|(lanes, text)| match lanes.strip_prefix("Note over ") {
            Some(lanes) => Some((lanes.split_once(',').unwrap_or((lanes, lanes)), text)),
            None => Some((lanes.split_once("->>").filter(|(from, _)| !from.ends_with('-'))?, text)),
        });
        let ((first, second), text) =
            step.ok_or_else(|| refuse("expected participant, Note over or A->>B: text"))?;
        let lane = |name| ids.iter().position(|id| *id == name).ok_or_else(|| refuse("unknown participant"));
        let lanes = (lane(first)?, lane(second)?);
        if !is_note && lanes.0 == lanes.1 {
            return Err(refuse("a message to its own sender"));
        }
        let kind = if is_note { Kind::Note } else { Kind::Message };
        steps.push(Step { text: text.to_owned(), kind, lanes });
    }
    Ok(Sequence { participants, steps })
}

impl Sequence {
    pub(super) fn draw(&self, id: &str) -> String {
        let texts: Vec<Lines> = self.steps.iter().map(|step| Lines::wrap(&step.text, TEXT_MAX)).collect();
        let (lanes, width) = self.lanes(&texts);
        // Across several lanes there may be more room.
        let texts: Vec<Lines> = self
            .steps
            .iter()
            .map(|step| {
                let span = (lanes[step.lanes.0] - lanes[step.lanes.1]).abs();
                Lines::wrap(&step.text, TEXT_MAX.max(span - 2.0 * PADDING))
            })
            .collect();
        let names = self.participants.iter().map(|(_, name)| name.size().height);
        let head = names.fold(0.0, f64::max) + PADDING;
        let (shapes, height) = self.stack(&lanes, &texts, head + GAP);
        let mut svg = Svg::new(id);
        for (x, (_, name)) in lanes.iter().zip(&self.participants) {
            svg.path("lane", &format!("M{x:.1} {head:.1}V{height:.1}"), false);
            let size = Size { width: name.size().width + 2.0 * PADDING, height: head };
            svg.rect("box", Rect { x: x - size.width / 2.0, y: 1.0, size }, 5.0);
            svg.text("strong", Point { x: *x, y: 1.0 + head / 2.0 }, name);
        }
        for shape in shapes {
            match shape {
                Shape::Text(centre, text) => svg.label(centre, text),
                Shape::Arrow(from, to, y) => svg.path("link", &format!("M{from:.1} {y:.1}H{to:.1}"), true),
                Shape::Note(rect, text) => {
                    svg.rect("note", rect, 3.0);
                    svg.text("", rect.centre(), text);
                }
            }
        }
        svg.finish(Size { width, height }, "Sequence diagram", &self.words())
    }

    /// The messages and notes below each other, from `y` on, and where the lanes end.
    fn stack<'t>(&self, lanes: &[f64], texts: &'t [Lines], mut y: f64) -> (Vec<Shape<'t>>, f64) {
        let mut shapes = Vec::new();
        for (step, text) in self.steps.iter().zip(texts) {
            let size = text.size();
            let (first, second) = (lanes[step.lanes.0], lanes[step.lanes.1]);
            let middle = (first + second) / 2.0;
            match step.kind {
                Kind::Message => {
                    shapes.push(Shape::Text(Point { x: middle, y: y + size.height / 2.0 }, text));
                    y += size.height + 5.0;
                    shapes.push(Shape::Arrow(first, second, y));
                }
                Kind::Note => {
                    let size = note_size(text, (second - first).abs());
                    shapes.push(Shape::Note(Rect { x: middle - size.width / 2.0, y: y + 2.0, size }, text));
                    y += size.height + 2.0;
                }
            }
            y += STEP;
        }
        (shapes, y + GAP)
    }

    /// Where each lane is, and how wide the whole is: far enough apart for every text between two lanes.
    fn lanes(&self, texts: &[Lines]) -> (Vec<f64>, f64) {
        let halves: Vec<f64> =
            self.participants.iter().map(|(_, name)| name.size().width / 2.0 + PADDING).collect();
        let mut gaps: Vec<f64> =
            halves.windows(2).map(|pair| (pair[0] + pair[1] + GAP).max(LANES_APART)).collect();
        for (step, text) in self.steps.iter().zip(texts).filter(|(step, _)| step.kind == Kind::Message) {
            let (first, last) = (step.lanes.0.min(step.lanes.1), step.lanes.0.max(step.lanes.1));
            let missing = text.size().width + 2.0 * PADDING - gaps[first..last].iter().sum::<f64>();
            if missing > 0.0 {
                let share = missing / (last - first) as f64;
                gaps[first..last].iter_mut().for_each(|gap| *gap += share);
            }
        }
        let mut lanes = vec![0.0];
        for gap in gaps.iter().take(self.participants.len().saturating_sub(1)) {
            lanes.push(lanes.last().copied().unwrap_or(0.0) + gap);
        }
        // Boxes and notes may reach beyond the outermost lanes.
        let boxes = lanes.iter().zip(&halves).map(|(lane, half)| (lane - half, lane + half));
        let notes =
            self.steps.iter().zip(texts).filter(|(step, _)| step.kind == Kind::Note).map(|(step, text)| {
                let (first, second) = (lanes[step.lanes.0], lanes[step.lanes.1]);
                let half = note_size(text, (second - first).abs()).width / 2.0;
                ((first + second) / 2.0 - half, (first + second) / 2.0 + half)
            });
        let (left, right) = boxes
            .chain(notes)
            .fold((0.0, 0.0), |(left, right): (f64, f64), (from, to)| (left.min(from), right.max(to)));
        (lanes.iter().map(|lane| lane - left + 1.0).collect(), right - left + 2.0)
    }

    /// The messages and notes as sentences.
    fn words(&self) -> Vec<String> {
        let name = |lane: usize| &self.participants[lane].0;
        let sentence = |step: &Step| match step.kind {
            Kind::Message => format!("{} to {}: {}.", name(step.lanes.0), name(step.lanes.1), step.text),
            Kind::Note => format!("Note: {}.", step.text),
        };
        self.steps.iter().map(sentence).collect()
    }
}

/// What is drawn over the lanes.
enum Shape<'a> {
    Text(Point, &'a Lines),
    /// From this lane to that one, at this height.
    Arrow(f64, f64, f64),
    Note(Rect, &'a Lines),
}

/// The size of a note with `text` over lanes that are `span` apart.
fn note_size(text: &Lines, span: f64) -> Size {
    let Size { width, height } = text.size();
    Size { width: (width + 2.0 * PADDING).max(span + 4.0 * PADDING), height: height + PADDING }
}
