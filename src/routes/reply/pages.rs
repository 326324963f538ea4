//! The pages of both servers, with their placeholders filled and their policies.
//!
//! What depends on nothing but the configuration is made once: every asset and every notice at its first request, so
//! that a server holds only those that somebody has asked for; and at startup the templates of the two pages that are
//! made for one response, the dialog of a request and a message with details. With `--www DIR` all of them are made
//! again at each request.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, OnceLock};

use super::assets::{Asset, HTML};
use super::cached_page::CachedPage;
use super::dialog_page::DialogPage;
use super::dialog_terms::Durations;
#[cfg(feature = "docs")]
use super::documents::{Document, PICTURES};
use super::folder::Folder;
use super::message_page::{MessagePage, Notice};
#[cfg(feature = "docs")]
use super::security_fields;
use super::security_fields::{NO_STORE, SecurityFields, authorization_server, client_app, dialog, lab, shop};
use super::template::{Placeholder, Template, escape_html, fill};
use crate::http::{Body, FieldLines, FieldValue, Request, Response, Status};
use crate::oauth::{Profile, TokenLifetimes};
use crate::routes::demo;
use crate::routes::lab as lab_apps;
use crate::routes::site::{Role, Site};

/// The pages of both servers, ready to be sent.
pub(crate) struct Pages {
    site: Site,
    /// Where pages are read from at each request, if they are not those of the binary.
    folder: Option<Folder>,
    /// The placeholders that every page may have.
    placeholders: Vec<Placeholder>,
    /// The values of the dialog for a request that names no client, if there is a client that it means.
    bare_dialog: Option<[Cow<'static, str>; DialogPage::NAMES.len()]>,
    /// The words of every dialog for the lifetimes of tokens.
    durations: Durations,
    /// From the binary.
    dialog_template: DialogTemplate,
    message_template: MessageTemplate,
    client_app_fields: SecurityFields,
    authorization_server_fields: SecurityFields,
    dialog_fields: SecurityFields,
    lab_fields: SecurityFields,
    shop_fields: SecurityFields,
    /// One for each of [`Asset::ALL`], in that order; from the binary, each from its first request on.
    embedded: Vec<OnceLock<CachedPage>>,
    /// One of each role for each of [`Notice::ALL`], in that order; likewise.
    notices: [[OnceLock<Arc<[u8]>>; 3]; Notice::ALL.len()],
    /// One for each of [`Document::ALL`], in that order; each from its first request on.
    #[cfg(feature = "docs")]
    documents: Vec<OnceLock<CachedPage>>,
    /// The field lines of a message page of each role.
    message_lines: [FieldLines; 3],
    /// Those of a dialog.
    dialog_lines: FieldLines,
}

type DialogTemplate = Template<{ DialogPage::NAMES.len() }>;
type MessageTemplate = Template<{ MessagePage::NAMES.len() }>;

impl Pages {
    /// The pages of `site`, from `folder` if that is given. `bare_dialog` is the dialog for a request that names no
    /// client, if there is a client that it means. The dialogs promise access for `lifetimes`. With `has_wire` the
    /// client app's page has the wire view beside the flow.
    pub(crate) fn new(
        site: &Site,
        profile: &Profile,
        lifetimes: &TokenLifetimes,
        bare_dialog: Option<&DialogPage>,
        folder: Option<Folder>,
        has_wire: bool,
    ) -> Pages {
        let durations = Durations::new(lifetimes);
        let placeholders = placeholders(site, has_wire);
        let lines = |mut fields: SecurityFields| {
            fields.push(("Cache-Control", NO_STORE));
            fields.push(("Content-Type", FieldValue::literal(HTML)));
            FieldLines::shared(&fields)
        };
        let owned = |value: Cow<str>| Cow::Owned(value.into_owned());
        Pages {
            site: site.clone(),
            embedded: Asset::ALL.iter().map(|_| OnceLock::new()).collect(),
            notices: Default::default(),
            #[cfg(feature = "docs")]
            documents: Document::ALL.iter().map(|_| OnceLock::new()).collect(),
            folder,
            bare_dialog: bare_dialog.map(|dialog| dialog.values(&durations).map(owned)),
            durations,
            dialog_template: dialog_template(Asset::Dialog.source().text, &placeholders),
            message_template: message_template(Asset::Message.source().text, &placeholders),
            placeholders,
            message_lines: [client_app(site), authorization_server(), lab(site)].map(lines),
            dialog_lines: lines(dialog(profile)),
            client_app_fields: client_app(site),
            authorization_server_fields: authorization_server(),
            dialog_fields: dialog(profile),
            lab_fields: lab(site),
            shop_fields: shop(site),
        }
    }

    /// The response to a GET or HEAD of `asset`: its content, or 304 if the browser has that already.
    pub(crate) fn serve(&self, asset: Asset, request: &Request) -> Response {
        match self.folder.as_ref().map(|folder| folder.read(asset)) {
            None => self.embedded(asset).respond(request),
            Some(Ok(text)) => self.make(asset, &text).respond(request),
            Some(Err(error)) => self.unreadable(asset, &error),
        }
    }

    fn embedded(&self, asset: Asset) -> &CachedPage {
        self.embedded[asset as usize].get_or_init(|| self.make(asset, asset.source().text))
    }

    /// The response to a GET or HEAD of the document at `place` in [`Document::ALL`].
    #[cfg(feature = "docs")]
    pub(crate) fn document(&self, place: usize, request: &Request) -> Response {
        let make = |template: &str| {
            let mut placeholders = self.placeholders.clone();
            placeholders.extend(Document::ALL[place].placeholders());
            let content = fill(template, &placeholders).into_bytes();
            CachedPage::with_validator(content, HTML, &security_fields::documents())
        };
        match self.folder.as_ref().map(|folder| folder.read(Asset::Document)) {
            None => self.documents[place].get_or_init(|| make(Asset::Document.source().text)).respond(request),
            Some(Ok(template)) => make(&template).respond(request),
            Some(Err(error)) => self.unreadable(Asset::Document, &error),
        }
    }

    /// The response to a GET or HEAD of the picture at `place` in [`PICTURES`].
    #[cfg(feature = "docs")]
    pub(crate) fn picture(&self, place: usize, request: &Request) -> Response {
        let picture = &PICTURES[place];
        let fields = security_fields::documents();
        CachedPage::with_validator(picture.content.to_vec(), picture.media_type, &fields).respond(request)
    }

    /// The page for `notice`, sent by `role`.
    pub(crate) fn notice(&self, role: Role, status: Status, notice: Notice) -> Response {
        match self.folder {
            Some(_) => self.message(role, status, &MessagePage::of(notice)),
            None => {
                self.with_message(role, status, Body::Shared(Arc::clone(self.embedded_notice(role, notice))))
            }
        }
    }

    fn embedded_notice(&self, role: Role, notice: Notice) -> &Arc<[u8]> {
        self.notices[notice as usize][role as usize].get_or_init(|| {
            self.message_template.fill(&MessagePage::of(notice).values(&self.site, role)).into_bytes().into()
        })
    }

    /// The dialog of one authorization request.
    pub(crate) fn dialog(&self, dialog: &DialogPage) -> Response {
        let content = match self.folder.as_ref().map(|folder| folder.read(Asset::Dialog)) {
            None => self.dialog_template.fill(&dialog.values(&self.durations)),
            Some(Ok(text)) => dialog_template(&text, &self.placeholders).fill(&dialog.values(&self.durations)),
            Some(Err(error)) => return self.unreadable(Asset::Dialog, &error),
        };
        let body = Body::Own(content.into_bytes().into());
        Response::new(Status::Ok, self.dialog_lines.clone()).with_body(body)
    }

    /// A page with `message`, sent by `role`.
    pub(crate) fn message(&self, role: Role, status: Status, message: &MessagePage) -> Response {
        let values = message.values(&self.site, role);
        let content = match self.folder.as_ref().map(|folder| folder.read(Asset::Message)) {
            Some(Ok(text)) => message_template(&text, &self.placeholders).fill(&values),
            // If the folder lacks even this file, the one in the binary still says what is wrong.
            None | Some(Err(_)) => self.message_template.fill(&values),
        };
        self.with_message(role, status, Body::Own(content.into_bytes().into()))
    }

    fn with_message(&self, role: Role, status: Status, body: Body) -> Response {
        Response::new(status, self.message_lines[role as usize].clone()).with_body(body)
    }

    fn make(&self, asset: Asset, text: &str) -> CachedPage {
        let content = match asset.source().media_type {
            HTML => match (asset, &self.bare_dialog) {
                (Asset::Dialog, Some(dialog)) => dialog_template(text, &self.placeholders).fill(dialog),
                _ => fill(text, &self.placeholders),
            },
            _ => text.to_owned(),
        };
        CachedPage::new(content, asset, self.fields(asset))
    }

    fn fields(&self, asset: Asset) -> &SecurityFields {
        match (asset, asset.source().role) {
            (Asset::Dialog, _) => &self.dialog_fields,
            #[cfg(feature = "lab")]
            (Asset::LabShop, _) => &self.shop_fields,
            (_, Role::ClientApp) => &self.client_app_fields,
            (_, Role::AuthorizationServer) => &self.authorization_server_fields,
            (_, Role::Lab) => &self.lab_fields,
        }
    }

    fn unreadable(&self, asset: Asset, error: &io::Error) -> Response {
        let source = asset.source();
        let text = format!("The file {} cannot be read from the folder of pages: {error}.", source.path);
        let message =
            MessagePage { title: "A page is missing", text: &text, details: None, buttons: Vec::new() };
        let page = self.message(source.role, Status::InternalServerError, &message);
        page.because("a page cannot be read from the folder given with --www")
    }
}

fn dialog_template(text: &str, placeholders: &[Placeholder]) -> DialogTemplate {
    Template::new(text, placeholders, &DialogPage::NAMES)
}

fn message_template(text: &str, placeholders: &[Placeholder]) -> MessageTemplate {
    Template::new(text, placeholders, &MessagePage::NAMES)
}

/// The wire view beside the flow, where there is one.
const WIRE: &str = r#"<section id="wire" aria-label="Messages on the wire"></section>"#;

/// What it needs in the head of the page.
const WIRE_FILES: &str =
    r#"<link rel="stylesheet" href="/wire.css"><script type="module" src="/wire.js"></script>"#;

/// The placeholders that every page may have.
fn placeholders(site: &Site, has_wire: bool) -> Vec<Placeholder> {
    let home = match site.client_app() {
        Some(origin) => {
            format!("<a class=\"button\" href=\"{}/\">Go to the client app</a>", escape_html(origin))
        }
        None => String::new(),
    };
    let (purpose, secure_purpose) = match site.client_app() {
        Some(_) => (
            "It keeps a secret answer, and gives it to an app only when you have authorized that app.",
            "The app sends the access token, and gets the secret answer.",
        ),
        None => (
            "It lets an app act on your behalf only when you have authorized that app.",
            "An example of a protected resource: it takes an access token, and says 42.",
        ),
    };
    vec![
        ("{{client_app}}", escape_html(site.client_app().unwrap_or_default()).into_owned()),
        ("{{authorization_server}}", escape_html(site.authorization_server()).into_owned()),
        ("{{redirect_uri}}", escape_html(&site.client_app_redirect_uri().unwrap_or_default()).into_owned()),
        ("{{base}}", escape_html(site.base()).into_owned()),
        ("{{issuer}}", escape_html(site.issuer()).into_owned()),
        ("{{client_id}}", demo::CLIENT_ID.to_owned()),
        ("{{lab}}", escape_html(site.lab().unwrap_or_default()).into_owned()),
        ("{{lab_network}}", escape_html(&site.lab_network().unwrap_or_default()).into_owned()),
        ("{{lab_redirect_uri}}", lab_apps::REDIRECT_URI.to_owned()),
        ("{{lab_shop}}", escape_html(&site.lab().map(lab_apps::shop_origin).unwrap_or_default()).into_owned()),
        ("{{lab_app_id}}", lab_apps::APP.to_owned()),
        ("{{lab_shop_id}}", lab_apps::SHOP.to_owned()),
        ("{{lab_attackers_id}}", lab_apps::ATTACKERS_APP.to_owned()),
        // Whole elements, with escaped content.
        ("{{client_app_link}}", home),
        ("{{purpose}}", purpose.to_owned()),
        ("{{secure_purpose}}", secure_purpose.to_owned()),
        ("{{wire_files}}", if has_wire { WIRE_FILES } else { "" }.to_owned()),
        ("{{wire}}", if has_wire { WIRE } else { "" }.to_owned()),
        ("{{wire_link}}", wire_link(site, has_wire)),
        ("{{documents_link}}", documents_link(site)),
    ]
}

/// A link from the attacker's site to the wire view, which is the client app's; nothing where there is none.
fn wire_link(site: &Site, has_wire: bool) -> String {
    match site.client_app().filter(|_| has_wire) {
        Some(origin) => {
            let origin = escape_html(origin);
            format!(
                "<p>Keep <a href=\"{origin}/wire\" target=\"_blank\">the wire view</a> open beside this page. It \
                 shows each theft message by message, with the rule that decided.</p>"
            )
        }
        None => String::new(),
    }
}

/// A link to the documents, which are the client app's; nothing where there are none.
fn documents_link(site: &Site) -> String {
    match site.client_app().filter(|_| cfg!(feature = "docs")) {
        Some(origin) => {
            let origin = escape_html(origin);
            format!(
                "<p>How all this works: <a href=\"{origin}/docs\">the book</a>. \
                 Or <a href=\"{origin}/docs/try-your-own-client\">try your own client</a> with this server.</p>"
            )
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialog_terms::Asker;
    use super::*;
    use crate::oauth::lifetimes::Lifetimes;

    #[test]
    fn every_notice_stands_at_its_own_place_in_the_list() {
        for (index, notice) in Notice::ALL.into_iter().enumerate() {
            assert_eq!(notice as usize, index);
        }
    }

    fn pages() -> Pages {
        let scopes = [("answer", "Read <it>.")];
        let dialog = DialogPage {
            client: "App",
            asker: Asker::Demo,
            is_renewed: false,
            redirect_uri: "http://localhost:3000/cb",
            scopes: &scopes,
            allowed_before: &[],
            resources: &[],
            request: "",
        };
        let (profile, lifetimes) = (Profile::strict(), Lifetimes::default().tokens);
        Pages::new(&Site::new(None, Some(3000), 3001, None), &profile, &lifetimes, Some(&dialog), None, true)
    }

    #[test]
    fn no_page_keeps_a_placeholder_and_every_page_names_an_icon() {
        let pages = pages();
        for asset in Asset::ALL.iter().copied() {
            let text = String::from_utf8(pages.embedded(asset).content.to_vec()).unwrap();
            // Filled for each document; tests/it/document_pages.rs looks at those pages.
            if asset.source().path == "client-app/document.html" {
                continue;
            }
            let known = if asset == Asset::Message {
                let roles = [Role::ClientApp, Role::AuthorizationServer, Role::Lab];
                let notices = Notice::ALL.iter().flat_map(|notice| roles.map(|role| (role, *notice)));
                let notices = notices.map(|(role, notice)| pages.embedded_notice(role, notice));
                notices.map(|page| String::from_utf8(page.to_vec()).unwrap()).collect()
            } else {
                text
            };
            assert!(!known.contains("{{"), "{asset:?}");
            if asset.source().media_type == HTML {
                assert!(
                    known.contains(r#"<link rel="icon" href="/icon.svg" type="image/svg+xml">"#),
                    "{asset:?}"
                );
            }
        }
    }

    #[test]
    fn everything_in_the_dialog_is_escaped() {
        let answer = pages().dialog(&DialogPage {
            client: "<script>&\"'",
            asker: Asker::Configured,
            is_renewed: true,
            redirect_uri: "https://app.example/<b>",
            scopes: &[("a&b", "<i>Read</i>")],
            allowed_before: &[],
            resources: &[],
            request: "\"><script>",
        });
        let text = std::str::from_utf8(answer.body()).unwrap();
        assert!(text.contains("Authorize &lt;script&gt;&amp;&quot;&#39;?"), "{text}");
        assert!(text.contains("<li>&lt;i&gt;Read&lt;/i&gt; <code>a&amp;b</code></li>"));
        assert!(text.contains("value=\"&quot;&gt;&lt;script&gt;\"") && text.contains("https://app.example"));
        assert!(!text.contains("<script>") && !text.contains("<b>") && !text.contains("{{"));
    }

    #[test]
    fn an_unverified_name_is_escaped_and_comes_after_the_host() {
        for (redirect_uri, host) in [
            ("https://app.example/cb", "app.example"),
            ("http://localhost:1/cb", "localhost:1"),
            ("com.app:/cb", "com.app:"),
        ] {
            for asker in [Asker::SelfRegistered, Asker::Document("<i>")] {
                let (client, scopes, request) = ("<script>Bank", &[][..], "");
                let page = DialogPage {
                    client,
                    asker,
                    is_renewed: true,
                    resources: &[],
                    redirect_uri,
                    scopes,
                    allowed_before: &[],
                    request,
                };
                let answer = pages().dialog(&page);
                let text = std::str::from_utf8(answer.body()).unwrap();
                let (before, after) = text.split_once("Bank").unwrap();
                assert!(before.contains(&format!("<span class=\"host\">{host}</span>")), "{text}");
                assert!(before.ends_with("calls itself <bdi>&lt;script&gt;"), "{text}");
                assert!(!after.contains("Bank") && !text.contains("<script>") && !text.contains("<i>"));
                assert_eq!(text.contains("class=\"caution\""), !redirect_uri.starts_with("https"), "{text}");
            }
        }
    }
}
