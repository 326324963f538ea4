//! The name that a client gives itself, as text that a page can show.
//!
//! Such a name is not verified. It must at least not change how the text around it looks: no characters that hide, join
//! or reverse others, no line breaks, and no more than fits a line.

/// The longest name, in characters.
pub const CLIENT_NAME_CHARS_MAX: usize = 64;

/// `name` without invisible and direction-changing characters, with single spaces, cut to its bound. May be empty.
pub fn clean(name: &str) -> String {
    let visible = name.chars().filter(|character| character.is_whitespace() || !is_invisible(*character));
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
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffc}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
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
        check(&"é".repeat(CLIENT_NAME_CHARS_MAX), &"é".repeat(CLIENT_NAME_CHARS_MAX));
        let long = clean(&"é".repeat(CLIENT_NAME_CHARS_MAX + 1));
        assert_eq!(long, "é".repeat(CLIENT_NAME_CHARS_MAX - 1) + "…");
    }
}
