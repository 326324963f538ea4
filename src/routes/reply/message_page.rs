//! Pages that report a problem: which server speaks, what happened, and how the person can continue.
//!
//! They are written for the person in front of the browser. What only a developer understands is under "Details".

use std::borrow::Cow;

use super::template::escape_html;
use crate::routes::site::{Role, Site};

/// The problems that have a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    NothingHere,
    NoProxy,
    NotThisWay,
    ForeignForm,
    OtherName,
    NoSession,
    StaleForm,
    UsedForm,
    MalformedForm,
    NotJustNow,
    CannotAuthorize,
    WrongRequest,
    UnknownClient,
    UnreadApp,
    ChangedApp,
}

impl Notice {
    /// Every notice, in the order of the variants: tables of one entry for each are indexed by `notice as usize`.
    pub(crate) const ALL: [Notice; 15] = [
        Notice::NothingHere,
        Notice::NoProxy,
        Notice::NotThisWay,
        Notice::ForeignForm,
        Notice::OtherName,
        Notice::NoSession,
        Notice::StaleForm,
        Notice::UsedForm,
        Notice::MalformedForm,
        Notice::NotJustNow,
        Notice::CannotAuthorize,
        Notice::WrongRequest,
        Notice::UnknownClient,
        Notice::UnreadApp,
        Notice::ChangedApp,
    ];

    /// The title and the text.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Notice::NothingHere => ("Page not found", "This server has no page or endpoint at this address."),
            Notice::NoProxy => ("No proxy", "This server is not a proxy."),
            Notice::NotThisWay => {
                ("Method not allowed", "This address exists, but does not accept requests of this kind.")
            }
            Notice::ForeignForm => (
                "This form came from another site",
                "Only this server's own dialog may send this form, and another page tried to. Nothing was \
                 authorized. If you want to authorize an app, start at the app.",
            ),
            Notice::OtherName => (
                "This server has another address",
                "Your answer was sent to an address that is not this server's own, so it was not accepted. \
                 Nothing was authorized. Start again at this server's own address.",
            ),
            Notice::NoSession => (
                "This browser sent no cookie",
                "The dialog sets a cookie, so that only you can answer it, but your browser did not send it \
                 back. Allow cookies for this site, then start again. Nothing was authorized.",
            ),
            Notice::StaleForm => (
                "This form is too old",
                "It was shown too long ago, or to another browser, and can no longer be answered. Nothing was \
                 authorized. Start again to get a new one.",
            ),
            Notice::UsedForm => (
                "This form was answered before",
                "Your first answer was sent to the app. Go back to the app. If the app did not continue, start again.",
            ),
            Notice::MalformedForm => (
                "This form is incomplete",
                "Part of it is missing or appears more than once. Nothing was authorized.",
            ),
            Notice::NotJustNow => (
                "Try again in a moment",
                "This server cannot make a code at the moment. Nothing was authorized. Try again in a few seconds.",
            ),
            Notice::CannotAuthorize => (
                "This app cannot be authorized",
                "The app sent a request that this server cannot grant, and no address that the answer could be \
                 sent to. Nothing was authorized. Go back to the app and try again. If that does not help, tell \
                 the app's developers.",
            ),
            Notice::WrongRequest => (
                "This app cannot be authorized",
                "The app sent a request that this server cannot grant. Nothing was authorized. Anyone can register an \
                 app here, so your browser was not sent on to the app's address. Go there only if you started at that \
                 app.",
            ),
            Notice::UnknownClient => (
                "This server does not know this app",
                "The app was never registered here, or its registration is no longer valid. Nothing was authorized. \
                 In the app, remove the connector (or server) that led you here and add it again: that makes the app \
                 register again. If that does not help, tell the app's developers.",
            ),
            Notice::UnreadApp => (
                "This app cannot be looked up at the moment",
                "The app describes itself on its own website, and this server could not read that just now. Nothing \
                 was authorized. Try again in a few seconds. If that does not help, tell the app's developers.",
            ),
            Notice::ChangedApp => (
                "This app has changed",
                "What the app says about itself has changed since you were asked. Nothing was authorized. Look again \
                 before you decide.",
            ),
        }
    }
}

/// What such a page shows.
pub(crate) struct MessagePage<'a> {
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
    /// For developers.
    pub(crate) details: Option<&'a str>,
    /// How the person can continue, the best way first. If empty, the page has a button to the first page.
    pub(crate) buttons: Vec<Button>,
}

/// A link that looks like a button.
pub(crate) struct Button {
    pub(crate) words: Cow<'static, str>,
    pub(crate) url: String,
}

impl Button {
    /// Asks the authorization request with this `query` again. At the server's own address, whatever name was used.
    pub(crate) fn ask_again(site: &Site, words: &'static str, query: &str) -> Button {
        let (origin, base) = (site.authorization_server(), site.base());
        Button { words: words.into(), url: format!("{origin}{base}/authorize?{query}") }
    }
}

impl MessagePage<'_> {
    /// The page for `notice`, with a button to the first page.
    pub(crate) fn of(notice: Notice) -> MessagePage<'static> {
        let (title, text) = notice.words();
        MessagePage { title, text, details: None, buttons: Vec::new() }
    }

    /// The placeholders of the template that depend on the message.
    pub(crate) const NAMES: [&'static str; 7] =
        ["{{role}}", "{{server}}", "{{origin}}", "{{title}}", "{{text}}", "{{details}}", "{{ways_on}}"];

    /// Their values, in the same order, for a page that `role` sends.
    pub(crate) fn values<'a>(&'a self, site: &'a Site, role: Role) -> [Cow<'a, str>; 7] {
        let (class, speaker, origin) = match role {
            Role::ClientApp => ("client", "Client app", site.client_app().unwrap_or_default()),
            Role::AuthorizationServer => ("authority", "Authorization server", site.authorization_server()),
            Role::Lab => ("attacker", "Attacker's site", site.lab().unwrap_or_default()),
        };
        // Whole elements, with escaped content.
        let details = self.details.map(|details| {
            format!("<details><summary>Details</summary><p>{}</p></details>", escape_html(details))
        });
        let first_page = [first_page(site)];
        let buttons = if self.buttons.is_empty() { &first_page[..] } else { &self.buttons };
        let buttons = buttons.iter().enumerate().map(|(at, Button { words, url })| {
            let rank = if at == 0 { "" } else { " secondary" };
            format!("<a class=\"button{rank}\" href=\"{}\">{}</a>", escape_html(url), escape_html(words))
        });
        [
            class.into(),
            speaker.into(),
            escape_html(origin),
            escape_html(self.title),
            escape_html(self.text),
            details.unwrap_or_default().into(),
            buttons.collect::<String>().into(),
        ]
    }
}

/// Leads to the client app or, if there is none, to the authorization server's own page.
fn first_page(site: &Site) -> Button {
    match site.client_app() {
        Some(origin) => Button { words: "Go to the client app".into(), url: format!("{origin}/") },
        None => {
            let url = format!("{}{}/", site.authorization_server(), site.base());
            Button { words: "About this server".into(), url }
        }
    }
}
