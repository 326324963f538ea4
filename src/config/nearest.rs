//! Suggestions for misspelt names.

/// Finds the name in `known` that is nearest to `word`; `None` if the edit distance exceeds a third of the longer one's
/// length.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().filter_map(|known| {
        let mistakes_max = word.len().max(known.len()) / 3;
        // The difference in length is a lower bound of the distance.
        if word.len().abs_diff(known.len()) > mistakes_max {
            return None;
        }
        let mistakes = distance(word.as_bytes(), known.as_bytes());
        (mistakes <= mistakes_max).then_some((mistakes, known))
    });
    near.min_by_key(|(mistakes, _)| *mistakes).map(|(_, known)| known)
}

/// The edit distance: the number of bytes to insert, remove, replace or swap with their neighbour to turn `one` into
/// `other` (optimal string alignment).
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, byte) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, wanted) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(byte != wanted);
            let mut fewest = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *byte == other[column - 1] && one[row - 1] == *wanted {
                fewest = fewest.min(before_last[column - 1] + 1);
            }
            next.push(fewest);
        }
        before_last = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_if_one_is_near() {
        let known = ["port", "address", "workers", "client_app_port", "log", "introspects_all", ""];
        let check = |word: &str, expected: Option<&str>| assert_eq!(nearest(word, known), expected, "{word}");
        check("prot", Some("port"));
        check("ports", Some("port"));
        check("adress", Some("address"));
        check("adresss", Some("address"));
        check("worker", Some("workers"));
        check("client_port", Some("client_app_port"));
        check("introspect", Some("introspects_all"));
        check("lgo", Some("log"));
        check("threads", None);
        check("xyz", None);
        check("", Some(""));
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"abcdef", b"badcfe"), 3);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
    }
}
