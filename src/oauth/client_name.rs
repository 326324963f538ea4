//! The name that a client gives itself, as text that a page can show.
//!
//! Such a name is not verified. It must at least not change how the text around it looks: no characters that hide, join
//! or reverse others, no line breaks, no pile of accents that covers the line above, and no more than fits a line.

/// The longest name, in characters.
pub const CLIENT_NAME_CHARS_MAX: usize = 64;

/// The most accents on one letter. Vietnamese has two.
const MARKS_MAX: usize = 2;

/// `name` without invisible and direction-changing characters, with single spaces, cut to its bound. May be empty.
pub fn clean(name: &str) -> String {
    let visible = name.chars().filter(|character| character.is_whitespace() || !is_invisible(*character));
    // Nothing to combine with before the first letter, nor after a space.
    let mut marks = MARKS_MAX;
    let visible = visible.filter(|character| {
        marks = match *character {
            mark if is_mark(mark) => marks + 1,
            space if space.is_whitespace() => MARKS_MAX,
            _ => 0,
        };
        marks <= MARKS_MAX
    });
    let visible: String = visible.collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    let joined = words.join(" ");
    match joined.char_indices().nth(CLIENT_NAME_CHARS_MAX) {
        // The last character says that there was more.
        Some(_) => joined.chars().take(CLIENT_NAME_CHARS_MAX - 1).chain("…".chars()).collect(),
        None => joined,
    }
}

/// Control characters, and those of Unicode's that format text without being seen: they join, hide or reverse what is
/// beside them.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Accents that combine with the letter before them, whatever its script is.
fn is_mark(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_what_it_contains_and_fits_a_line() {
        let check = |name: &str, expected: &str| assert_eq!(clean(name), expected, "{name:?}");
        check("Claude Code", "Claude Code");
        check("  two\r\n\t lines\u{2028}\u{a0}", "two lines");
        check("Bank\u{202e}elpmaxe", "Bankelpmaxe");
        check("A\u{200b}p\u{e0041}p\u{feff}\0", "App");
        check("Приложение 应用 📦", "Приложение 应用 📦");
        check("\u{200b}\n", "");
        for invisible in [
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180e}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202d}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffc}',
            '\u{13430}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0fff}',
            '\u{7f}',
            '\u{9b}',
            '\u{1b}',
        ] {
            check(&format!("{invisible}A{invisible}b{invisible}"), "Ab");
        }
        // Vietnamese with its accents apart; and accents that would cover what is above.
        check("Vie\u{323}\u{302}t", "Vie\u{323}\u{302}t");
        check(&format!("A{}b", "\u{336}".repeat(50)), "A\u{336}\u{336}b");
        check("\u{338}\u{200b}\u{338}A \u{338}b\u{338}", "A b\u{338}");
        let pile = "\u{300}\u{20dd}\u{fe20}\u{1dc4}\u{1ab0}\u{483}\u{200b}".repeat(9);
        check(&format!("A{pile}b\u{20dd}"), "A\u{300}\u{20dd}b\u{20dd}");
        check(&"é".repeat(CLIENT_NAME_CHARS_MAX), &"é".repeat(CLIENT_NAME_CHARS_MAX));
        let long = clean(&"é".repeat(CLIENT_NAME_CHARS_MAX + 1));
        assert_eq!(long, "é".repeat(CLIENT_NAME_CHARS_MAX - 1) + "…");
    }
}
