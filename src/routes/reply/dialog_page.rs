//! The content of the dialog: which client requests what, on which terms, and where the browser goes afterwards.

use std::borrow::Cow;

use super::dialog_terms::{Asker, Destination, Durations};
use super::template::escape_html;

/// What the dialog shows.
pub(crate) struct DialogPage<'a> {
    /// The client's name for people.
    pub(crate) client: &'a str,
    /// What is known of it.
    pub(crate) asker: Asker<'a>,
    /// Whether it gets a refresh token.
    pub(crate) is_renewed: bool,
    /// Where the browser goes when the dialog is answered.
    pub(crate) redirect_uri: &'a str,
    /// What the client asks for: each scope's name and its sentence.
    pub(crate) scopes: &'a [(&'a str, &'a str)],
    /// The rest of it, which was allowed before in this browser; then `scopes` are those that are new. Empty if there
    /// is nothing to tell apart.
    pub(crate) allowed_before: &'a [(&'a str, &'a str)],
    /// Where it may use what it gets: the name and the URI of each resource.
    pub(crate) resources: &'a [(&'a str, &'a str)],
    /// The sealed authorization request, for the form; empty for a request without parameters.
    pub(crate) request: &'a str,
}

impl DialogPage<'_> {
    /// The placeholders of the template that depend on the request.
    pub(crate) const NAMES: [&'static str; 9] = [
        "{{client}}",
        "{{heading}}",
        "{{return_to}}",
        "{{scopes}}",
        "{{resources}}",
        "{{asker}}",
        "{{duration}}",
        "{{taking_back}}",
        "{{request}}",
    ];

    /// Their values, in the same order.
    pub(crate) fn values<'a>(&'a self, durations: &'a Durations) -> [Cow<'a, str>; 9] {
        // Whole elements, with escaped content.
        let item = |(name, sentence): &(&str, &str)| {
            let (name, sentence) = (escape_html(name), escape_html(sentence));
            ["<li>", &*sentence, " <code>", &*name, "</code></li>"].concat()
        };
        let items = |scopes: &[(&str, &str)]| scopes.iter().map(item).collect::<String>();
        let scopes = match (self.scopes, self.allowed_before) {
            ([], []) => "<li>This app gets no access to your data.</li>".into(),
            (scopes, []) => items(scopes).into(),
            (new, before) => format!(
                "<li class=\"part\"><strong>New:</strong><ul>{}</ul></li>\
                 <li class=\"part\">You allowed before, in this browser:<ul>{}</ul></li>",
                items(new),
                items(before)
            )
            .into(),
        };
        let place = |(name, uri): &(&str, &str)| {
            format!("<dd>{} <code>{}</code></dd>", escape_html(name), escape_html(uri))
        };
        let resources = match self.resources {
            [] => "".into(),
            resources => ["<dt>Where</dt>".to_owned()]
                .into_iter()
                .chain(resources.iter().map(place))
                .collect::<String>()
                .into(),
        };
        let duration = if self.is_renewed { &durations.renewed } else { &durations.once };
        // A client chose its own name if no one else did, and may have chosen another's.
        let (client, heading) = if self.asker.is_unverified() {
            let destination = Destination::of(self.redirect_uri);
            (escape_html(&destination.words()).into_owned().into(), destination.heading(self.client))
        } else {
            let client = escape_html(self.client);
            let heading = ["<h1>Authorize ", &*client, "?</h1>"].concat();
            (client, heading)
        };
        [
            client,
            heading.into(),
            escape_html(return_to(self.redirect_uri)),
            scopes,
            resources,
            self.asker.words(self.redirect_uri),
            duration.into(),
            self.asker.taking_back().into(),
            escape_html(self.request),
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
