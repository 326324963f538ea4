//! What has arrived at the attacker's site: the last of it, each piece with a number and where it arrived.

use std::collections::VecDeque;

use serde_json::{Value, json};

/// How many are kept.
const CATCHES_MAX: usize = 64;

/// How much is kept of each, in characters.
const TEXT_CHARS_MAX: usize = 4096;

/// The last catches.
#[derive(Default)]
pub(super) struct Catches {
    last: VecDeque<(u64, &'static str, String)>,
    count: u64,
}

impl Catches {
    /// Keeps `text`, which arrived at `place`. Its number is one more than the last.
    pub(super) fn add(&mut self, place: &'static str, mut text: String) {
        if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(end);
        }
        self.count += 1;
        self.last.truncate(CATCHES_MAX - 1);
        self.last.push_front((self.count, place, text));
    }

    /// Those after `number`, oldest first, with the number of the last.
    pub(super) fn after(&self, number: u64) -> Value {
        let later = self.last.iter().rev().filter(|(own, ..)| *own > number);
        let catches: Vec<Value> =
            later.map(|(own, place, text)| json!({"id": own, "at": place, "text": text})).collect();
        json!({"last": self.count, "catches": catches})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_catches_are_kept_and_each_is_cut() {
        let mut catches = Catches::default();
        assert_eq!(catches.after(0), json!({"last": 0, "catches": []}));
        catches.add("/caught", "é".repeat(TEXT_CHARS_MAX + 1));
        let first = catches.after(0)["catches"][0]["text"].as_str().map(|text| text.chars().count());
        assert_eq!(first, Some(TEXT_CHARS_MAX));
        (0..CATCHES_MAX).for_each(|number| catches.add("/ad.svg", number.to_string()));
        let all = catches.after(0);
        assert_eq!(all["catches"].as_array().map(Vec::len), Some(CATCHES_MAX));
        assert_eq!(all["catches"][0], json!({"id": 2, "at": "/ad.svg", "text": "0"}));
        assert_eq!(catches.after(64)["catches"].as_array().map(Vec::len), Some(1));
    }
}
