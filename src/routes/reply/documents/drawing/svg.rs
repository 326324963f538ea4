//! The elements of a picture, and how wide its text is.
//!
//! The server does not know the fonts of the browser. It assumes wide ones, so that text stays inside its box.

use std::fmt::Write as _;

use crate::routes::reply::template::escape_html;

/// The height of a line of text. The text itself has 13 units (`document.css`).
pub(super) const LINE: f64 = 17.0;

/// From a line's top to the base of its letters.
const BASE: f64 = 12.5;

const FONT: f64 = 13.0;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) size: Size,
}

impl Rect {
    pub(super) fn centre(&self) -> Point {
        Point { x: self.x + self.size.width / 2.0, y: self.y + self.size.height / 2.0 }
    }
}

/// Text in lines of its own.
pub(super) struct Lines(Vec<String>);

impl Lines {
    /// Breaks `text` at `<br>`, and between words where a line would be wider than `width`; into as few lines as that
    /// takes, of about the same length.
    pub(super) fn wrap(text: &str, width: f64) -> Lines {
        let mut best = Lines::fill(text, width);
        // Stops where the longest word does not fit: then a line is wider than it may be.
        loop {
            let narrower = Lines::fill(text, best.size().width - 1.0);
            if narrower.0.len() > best.0.len() || narrower.size().width >= best.size().width {
                return best;
            }
            best = narrower;
        }
    }

    /// The same with as many words in each line as it holds.
    fn fill(text: &str, width: f64) -> Lines {
        let mut lines: Vec<String> = Vec::new();
        for part in text.split("<br>") {
            let mut line = String::new();
            for word in part.split_whitespace() {
                if !line.is_empty() && text_width(&line) + text_width(" ") + text_width(word) > width {
                    lines.push(std::mem::take(&mut line));
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            lines.push(line);
        }
        Lines(lines)
    }

    pub(super) fn size(&self) -> Size {
        let width = self.0.iter().map(|line| text_width(line)).fold(0.0, f64::max);
        Size { width, height: LINE * self.0.len() as f64 }
    }
}

/// The width of `text` in a wide sans-serif font.
fn text_width(text: &str) -> f64 {
    let em = |character| match character {
        'i' | 'j' | 'l' | '\'' => 0.28,
        ' ' | '.' | ',' | 'I' | ':' | ';' | '|' | '!' => 0.33,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 0.40,
        'm' | 'w' | 'M' | 'W' | '…' | '⏎' | '@' => 0.96,
        'A'..='Z' => 0.70,
        _ => 0.62,
    };
    text.chars().map(em).sum::<f64>() * FONT
}

/// A picture, element by element, each over those before it.
pub(super) struct Svg<'a> {
    /// Unique within the page.
    id: &'a str,
    body: String,
}

impl Svg<'_> {
    pub(super) fn new(id: &str) -> Svg<'_> {
        Svg { id, body: String::new() }
    }

    pub(super) fn rect(&mut self, class: &str, rect: Rect, radius: f64) {
        let Rect { x, y, size: Size { width, height } } = rect;
        self.element(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="{radius}"/>"#
        ));
    }

    pub(super) fn circle(&mut self, class: &str, centre: Point, radius: f64) {
        let Point { x, y } = centre;
        self.element(format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius}"/>"#));
    }

    /// A line along `path`, which is SVG's, with an arrowhead at its end if `has_head`.
    pub(super) fn path(&mut self, class: &str, path: &str, has_head: bool) {
        let head = if has_head { format!(" marker-end=\"url(#{}-head)\"", self.id) } else { String::new() };
        self.element(format_args!(r#"<path class="{class}" d="{path}"{head}/>"#));
    }

    /// Lines of text around `centre`.
    pub(super) fn text(&mut self, class: &str, centre: Point, lines: &Lines) {
        let top = centre.y - lines.size().height / 2.0;
        for (number, line) in lines.0.iter().enumerate() {
            let (x, y) = (centre.x, top + BASE + LINE * number as f64);
            let text = escape_html(line);
            self.element(format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#));
        }
    }

    /// The same over lines, which it hides.
    pub(super) fn label(&mut self, centre: Point, lines: &Lines) {
        let size = lines.size();
        let (x, y) = (centre.x - size.width / 2.0, centre.y - size.height / 2.0);
        self.rect("behind", Rect { x, y, size }, 2.0);
        self.text("label", centre, lines);
    }

    fn element(&mut self, element: std::fmt::Arguments) {
        // A string takes everything.
        let _ = self.body.write_fmt(element);
    }

    /// The whole picture. `kind` is its name and `words` its content, for those who do not see it.
    pub(super) fn finish(self, size: Size, kind: &str, words: &[String]) -> String {
        let (Svg { id, body }, Size { width, height }) = (self, size);
        let words = words.join(" ");
        let words = escape_html(&words);
        format!(
            "<svg class=\"drawing\" role=\"img\" aria-label=\"{kind}\" aria-describedby=\"{id}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\
             <desc id=\"{id}\">{words}</desc>\
             <defs><marker id=\"{id}-head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" \
             markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
             <path class=\"head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>{body}</svg>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        let check = |text: &str, width: f64, expected: &[&str]| {
            assert_eq!(Lines::wrap(text, width).0, expected, "{text}");
        };
        check("one two", 100.0, &["one two"]);
        check("one two", 30.0, &["one", "two"]);
        check("a form and a script that submits it", 225.0, &["a form and a script", "that submits it"]);
        check("one<br>two", 100.0, &["one", "two"]);
        check("a-word-that-is-longer", 30.0, &["a-word-that-is-longer"]);
        check("", 30.0, &[""]);
    }
}
