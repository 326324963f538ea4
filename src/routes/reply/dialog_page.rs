//! The content of the dialog: which client requests what, and where the browser goes afterwards.

use super::template::{Placeholder, escape_html};

/// What the dialog shows.
pub(crate) struct DialogPage<'a> {
    /// The client's name for people.
    pub(crate) client: &'a str,
    /// Where the browser goes when the dialog is answered.
    pub(crate) redirect_uri: &'a str,
    /// What the client asks for: each scope's name and its sentence.
    pub(crate) scopes: &'a [(&'a str, &'a str)],
    /// The sealed authorization request, for the form; empty for a request without parameters.
    pub(crate) request: &'a str,
}

impl DialogPage<'_> {
    /// The template's placeholders.
    pub(crate) fn placeholders(&self) -> [Placeholder; 4] {
        // Whole elements, with escaped content.
        let nothing =
            self.scopes.is_empty().then(|| "<li>This app gets no access to your data.</li>".to_owned());
        let scopes = self.scopes.iter().map(|(name, sentence)| {
            let (name, sentence) = (escape_html(name), escape_html(sentence));
            format!("<li>{sentence} <code>{name}</code></li>")
        });
        [
            ("{{client}}", escape_html(self.client)),
            ("{{return_to}}", escape_html(return_to(self.redirect_uri))),
            ("{{scopes}}", scopes.chain(nothing).collect()),
            ("{{request}}", escape_html(self.request)),
        ]
    }
}

/// The part of a redirect URI that means something to a person: its origin, or the scheme of an app on their machine.
pub(crate) fn return_to(uri: &str) -> &str {
    let after_scheme = uri.find("://").map(|at| at + 3);
    let end = match after_scheme {
        Some(start) => uri[start..].find(['/', '?']).map(|length| start + length),
        None => uri.find(':').map(|at| at + 1),
    };
    &uri[..end.unwrap_or(uri.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_where_the_dialog_leads() {
        let check = |uri: &str, place: &str| assert_eq!(return_to(uri), place, "{uri}");
        check("https://app.example/cb?x", "https://app.example");
        check("https://app.example:8443?x", "https://app.example:8443");
        check("http://127.0.0.1:51234/cb", "http://127.0.0.1:51234");
        check("http://[::1]:51234/cb", "http://[::1]:51234");
        check("com.example.app:/cb", "com.example.app:");
        check("vscode://extension/cb", "vscode://extension");
    }
}
