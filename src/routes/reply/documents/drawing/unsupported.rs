//! Why a text cannot be drawn: the line that this reader of Mermaid's notation does not know.

/// A refusal, for the author of the drawing.
#[derive(Debug, PartialEq)]
pub(crate) struct Unsupported {
    /// The line of the text, counted from 1.
    pub(super) line: usize,
    pub(super) reason: &'static str,
}
