//! The pages, scripts and pictures of both servers: a fixed set of files, with their validators and policies.
//!
//! The files are part of the binary, so it runs from any folder. With `--www DIR` they are read from that
//! folder at each request instead, so that a learner edits a page and reloads. Either way a request chooses
//! among the files of this set and never names one: there is no path to climb out of.
//!
//! A page says `{{client_app}}` where the client app's origin belongs, since ports can be chosen.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::message::{Message, Notice};
use super::question::{self, Dialog};
use super::template::{escape_html, fill};
use crate::config::Config;
use crate::crypto::hash::sha256;
use crate::http::message::{Body, FieldLines, FieldValue, Request, Response, Status};
use crate::routes::site::{Role, Site};

/// The files there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    ClientApp,
    Callback,
    ClientAppScript,
    PopupScript,
    Welcome,
    Dialog,
    DialogScript,
    Message,
    Style,
    Icon,
}

/// Where a file stands in `www`, and what it is.
struct Source {
    path: &'static str,
    text: &'static str,
    media_type: &'static str,
    role: Role,
}

const HTML: &str = "text/html; charset=utf-8";

impl File {
    const ALL: [File; 10] = [
        File::ClientApp,
        File::Callback,
        File::ClientAppScript,
        File::PopupScript,
        File::Welcome,
        File::Dialog,
        File::DialogScript,
        File::Message,
        File::Style,
        File::Icon,
    ];

    fn source(self) -> Source {
        macro_rules! source {
            ($path:literal, $media_type:expr, $role:ident) => {
                Source {
                    path: $path,
                    text: include_str!(concat!("../../../www/", $path)),
                    media_type: $media_type,
                    role: Role::$role,
                }
            };
        }
        const SCRIPT: &str = "text/javascript; charset=utf-8";
        match self {
            File::ClientApp => source!("client-app/index.html", HTML, ClientApp),
            File::Callback => source!("client-app/oauth-callback.html", HTML, ClientApp),
            File::ClientAppScript => source!("client-app/client-app.js", SCRIPT, ClientApp),
            File::PopupScript => source!("client-app/popup.js", SCRIPT, ClientApp),
            File::Welcome => source!("authorization-server/index.html", HTML, AuthorizationServer),
            File::Dialog => source!("authorization-server/oauth-dialog.html", HTML, AuthorizationServer),
            File::DialogScript => source!("authorization-server/dialog.js", SCRIPT, AuthorizationServer),
            File::Message => source!("authorization-server/message.html", HTML, AuthorizationServer),
            File::Style => source!("style.css", "text/css; charset=utf-8", AuthorizationServer),
            File::Icon => source!("icon.svg", "image/svg+xml", AuthorizationServer),
        }
    }
}

const NO_STORE: FieldValue = FieldValue::literal("no-store");

/// A file of the set cannot be read from the folder that was given.
#[derive(Debug)]
pub struct PageMissing {
    /// The file, as it should stand in the folder.
    pub path: &'static str,
    /// What the system says.
    pub error: io::Error,
}

impl fmt::Display for PageMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read ({})", self.path, self.error)
    }
}

impl std::error::Error for PageMissing {}

/// Whether `folder` holds all the pages: to be asked at start, so that a mistyped folder is found then.
///
/// # Errors
/// The first file that cannot be read.
pub fn check_folder(folder: &Path) -> Result<(), PageMissing> {
    for file in File::ALL {
        let path = file.source().path;
        std::fs::File::open(folder.join(path)).map_err(|error| PageMissing { path, error })?;
    }
    Ok(())
}

/// The files as they are served.
pub(crate) struct Pages {
    site: Site,
    folder: Option<PathBuf>,
    page_bytes_max: u64,
    placeholders: [(&'static str, String); 9],
    /// What the article's dialog says, if there is one.
    article_dialog: Option<question::Placeholders>,
    client_app_policy: Policy,
    authorization_server_policy: Policy,
    dialog_policy: Policy,
    /// One for each of [`File::ALL`], in that order; from the binary.
    embedded: Vec<Page>,
    /// Two for each of [`Notice::ALL`], in that order; from the binary. The first is in the client app's voice.
    notices: Vec<[Arc<[u8]>; 2]>,
    /// The field lines of a message in the client app's voice, and in the authorization server's.
    message_lines: [FieldLines; 2],
}

/// What the pages of one server let a browser do.
type Policy = Vec<(&'static str, FieldValue)>;

/// A file's content with its placeholders filled, the name of exactly this content, and the field lines that
/// go with it: of an answer that has the content, and of one that says that it has not changed.
#[derive(Clone)]
struct Page {
    content: Arc<[u8]>,
    etag: String,
    lines: FieldLines,
    lines_unchanged: FieldLines,
}

impl Page {
    fn new(content: String, file: File, policy: &Policy) -> Page {
        let digest = sha256(content.as_bytes());
        // 128 bits of it are enough to tell any two contents apart.
        let etag = format!("\"{}\"", Base64UrlUnpadded::encode_string(&digest[..16]));
        let mut fields = policy.clone();
        match file {
            // The dialog asks for a decision; it is never shown again from memory.
            File::Dialog => fields.push(("Cache-Control", NO_STORE)),
            _ => {
                fields.push(("Cache-Control", FieldValue::literal("no-cache")));
                // base64url holds no control byte, so the fallback is never taken.
                let value = FieldValue::new(etag.clone()).unwrap_or(FieldValue::literal("\"\""));
                fields.push(("ETag", value));
            }
        }
        let lines_unchanged = FieldLines::shared(&fields);
        fields.push(("Content-Type", FieldValue::literal(file.source().media_type)));
        Page { content: content.into_bytes().into(), etag, lines: FieldLines::shared(&fields), lines_unchanged }
    }
}

impl Pages {
    /// The pages of `site`, from `folder` where that is given.
    /// `article` is what the article's dialog asks, if there is one.
    pub(crate) fn new(
        site: &Site,
        article: Option<&Dialog>,
        folder: Option<PathBuf>,
        page_bytes_max: u64,
    ) -> Pages {
        let home = match site.client_app() {
            Some(origin) => {
                format!("<a class=\"button\" href=\"{}/\">Go to the client app</a>", escape_html(origin))
            }
            None => String::new(),
        };
        let (purpose, secure_purpose) = match site.client_app() {
            Some(_) => (
                "It keeps a secret answer, and gives it to an app only when you have authorized that app.",
                "The app brings the access token, and gets the secret answer.",
            ),
            None => (
                "It lets an app act on your behalf only when you have authorized that app.",
                "An example of a protected resource: it takes an access token, and says 42.",
            ),
        };
        let placeholders = [
            ("{{client_app}}", escape_html(site.client_app().unwrap_or_default())),
            ("{{authorization_server}}", escape_html(site.authorization_server())),
            ("{{redirect_uri}}", escape_html(&site.client_app_redirect_uri().unwrap_or_default())),
            ("{{base}}", escape_html(site.base())),
            ("{{issuer}}", escape_html(site.issuer())),
            ("{{client_id}}", Config::DEMO_CLIENT_ID.to_owned()),
            // Whole elements, made here of what is escaped.
            ("{{client_app_link}}", home),
            ("{{purpose}}", purpose.to_owned()),
            ("{{secure_purpose}}", secure_purpose.to_owned()),
        ];
        let mut pages = Pages {
            site: site.clone(),
            embedded: Vec::new(),
            notices: Vec::new(),
            folder,
            page_bytes_max,
            placeholders,
            article_dialog: article.map(Dialog::placeholders),
            message_lines: [client_app_policy(site), authorization_server_policy()].map(|mut policy| {
                policy.push(("Cache-Control", NO_STORE));
                policy.push(("Content-Type", FieldValue::literal(HTML)));
                FieldLines::shared(&policy)
            }),
            client_app_policy: client_app_policy(site),
            authorization_server_policy: authorization_server_policy(),
            dialog_policy: dialog_policy(),
        };
        pages.embedded = File::ALL.iter().map(|file| pages.make(*file, file.source().text)).collect();
        let template = File::Message.source().text;
        let fill = |notice, role| pages.fill_message(template, role, &Message::of(notice)).into();
        pages.notices = Notice::ALL
            .iter()
            .map(|notice| [Role::ClientApp, Role::AuthorizationServer].map(|role| fill(*notice, role)))
            .collect();
        pages
    }

    /// Answers a GET or HEAD of `file`: with its content or, where the client has that already, 304.
    pub(crate) fn serve(&self, file: File, request: &Request) -> Response {
        let source = file.source();
        let page = match self.page(file) {
            Ok(page) => page,
            Err(error) => return self.unreadable(&source, &error),
        };
        if file != File::Dialog && is_fresh(request, &page.etag) {
            return Response::new(Status::NotModified, page.lines_unchanged.clone());
        }
        Response::new(Status::Ok, page.lines.clone()).with_body(Body::Shared(Arc::clone(&page.content)))
    }

    /// A page that says `notice` in the voice of `role`.
    pub(crate) fn notice(&self, role: Role, status: Status, notice: Notice) -> Response {
        match self.folder {
            Some(_) => self.message(role, status, &Message::of(notice)),
            None => {
                let page = &self.notices[notice as usize][role as usize];
                self.with_message(role, status, Body::Shared(Arc::clone(page)))
            }
        }
    }

    /// The page that asks what `dialog` says.
    pub(crate) fn dialog(&self, dialog: &Dialog) -> Response {
        let source = File::Dialog.source();
        let template = match self.folder.as_deref().map(|folder| self.read(folder, &source)) {
            None => Cow::Borrowed(source.text),
            Some(Ok(text)) => Cow::Owned(text),
            Some(Err(error)) => return self.unreadable(&source, &error),
        };
        let mut placeholders = self.placeholders.to_vec();
        placeholders.extend(dialog.placeholders());
        let content = fill(&template, &placeholders);
        let mut lines = self.dialog_policy.clone();
        lines.push(("Cache-Control", NO_STORE));
        lines.push(("Content-Type", FieldValue::literal(HTML)));
        Response::new(Status::Ok, FieldLines::shared(&lines)).with_body(Body::Own(content.into_bytes().into()))
    }

    /// A page that says `message` in the voice of `role`.
    pub(crate) fn message(&self, role: Role, status: Status, message: &Message) -> Response {
        let source = File::Message.source();
        // With the file missing from the folder, the one in the binary still says what is wrong.
        let from_folder = self.folder.as_deref().and_then(|folder| self.read(folder, &source).ok());
        let page = self.fill_message(from_folder.as_deref().unwrap_or(source.text), role, message);
        self.with_message(role, status, Body::Own(page.into()))
    }

    fn fill_message(&self, template: &str, role: Role, message: &Message) -> Vec<u8> {
        let mut placeholders = self.placeholders.to_vec();
        placeholders.extend(message.placeholders(&self.site, role));
        fill(template, &placeholders).into_bytes()
    }

    fn with_message(&self, role: Role, status: Status, body: Body) -> Response {
        Response::new(status, self.message_lines[role as usize].clone()).with_body(body)
    }

    fn make(&self, file: File, text: &str) -> Page {
        let source = file.source();
        let mut placeholders = self.placeholders.to_vec();
        if let (File::Dialog, Some(dialog)) = (file, &self.article_dialog) {
            placeholders.extend(dialog.clone());
        }
        Page::new(fill_html(text, source.media_type, &placeholders), file, self.policy(file))
    }

    fn policy(&self, file: File) -> &Policy {
        match (file, file.source().role) {
            (File::Dialog, _) => &self.dialog_policy,
            (_, Role::ClientApp) => &self.client_app_policy,
            (_, Role::AuthorizationServer) => &self.authorization_server_policy,
        }
    }

    fn page(&self, file: File) -> io::Result<Cow<'_, Page>> {
        let Some(folder) = &self.folder else { return Ok(Cow::Borrowed(&self.embedded[file as usize])) };
        let text = self.read(folder, &file.source())?;
        Ok(Cow::Owned(self.make(file, &text)))
    }

    fn read(&self, folder: &Path, source: &Source) -> io::Result<String> {
        let file = std::fs::File::open(folder.join(source.path))?;
        let mut text = String::new();
        file.take(self.page_bytes_max + 1).read_to_string(&mut text)?;
        match text.len() as u64 > self.page_bytes_max {
            true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large")),
            false => Ok(text),
        }
    }

    fn unreadable(&self, source: &Source, error: &io::Error) -> Response {
        let text = format!("The file {} cannot be read from the folder of pages: {error}.", source.path);
        let message = Message { title: "A page is missing", text: &text, details: None, ways_on: Vec::new() };
        let page = self.message(source.role, Status::InternalServerError, &message);
        page.because("a page cannot be read from the folder given with --www")
    }
}

/// A short answer for clients that are programs.
pub(crate) fn plain_text(status: Status, text: &str) -> Response {
    const LINES: FieldLines =
        FieldLines::literal("X-Content-Type-Options: nosniff\r\nContent-Type: text/plain; charset=utf-8\r\n");
    Response::new(status, LINES).with_body(Body::Own(format!("{text}\n").into_bytes().into()))
}

/// The client app's pages run this server's own scripts, which talk to the authorization server.
fn client_app_policy(site: &Site) -> Policy {
    policy(format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        site.authorization_server()
    ))
}

/// The authorization server's pages run no script and have no form, and no page may frame them: a page that lies
/// under another is a page that people click without seeing.
fn authorization_server_policy() -> Policy {
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";
    policy(POLICY.to_owned())
}

/// The dialog has a form, and a script of this server that shows that the form was sent. There is no `form-action`:
/// browsers hold each hop of the redirect that answers the form to it, and where a client's callback redirects to is
/// not known here.
fn dialog_policy() -> Policy {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                          frame-ancestors 'none'";
    policy(POLICY.to_owned())
}

fn policy(content_security_policy: String) -> Policy {
    // A site is made of names and ports; were there a control byte in it, nothing would be allowed at all.
    let value = FieldValue::new(content_security_policy).unwrap_or(FieldValue::literal("default-src 'none'"));
    vec![
        ("Content-Security-Policy", value),
        ("X-Content-Type-Options", FieldValue::literal("nosniff")),
        // Under no-referrer, browsers would send `Origin: null` with the dialog's own form.
        ("Referrer-Policy", FieldValue::literal("same-origin")),
    ]
}

/// `text` with its placeholders filled, if it is HTML.
fn fill_html(text: &str, media_type: &str, placeholders: &[(&'static str, String)]) -> String {
    match media_type {
        HTML => fill(text, placeholders),
        _ => text.to_owned(),
    }
}

/// Whether If-None-Match names `etag`: alone, in a list, weakly, or by `*` (RFC 9110, 13.1.2).
fn is_fresh(request: &Request, etag: &str) -> bool {
    let members = request.fields("if-none-match").flat_map(|value| value.split(|byte| *byte == b','));
    members
        .map(|member| member.trim_ascii())
        .any(|member| member == b"*" || member.strip_prefix(b"W/").unwrap_or(member) == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_stands_at_its_own_place_in_the_list() {
        for (index, file) in File::ALL.into_iter().enumerate() {
            assert_eq!(file as usize, index);
        }
        for (index, notice) in Notice::ALL.into_iter().enumerate() {
            assert_eq!(notice as usize, index);
        }
    }

    fn pages() -> Pages {
        let scopes = [("answer", "Read <it>.")];
        let dialog =
            Dialog { client: "App", redirect_uri: "http://localhost:3000/cb", scopes: &scopes, request: "" };
        Pages::new(&Site::new(None, Some(3000), 3001, None), Some(&dialog), None, 1 << 20)
    }

    #[test]
    fn no_page_is_left_with_a_placeholder_and_every_page_names_an_icon() {
        let pages = pages();
        for file in File::ALL {
            let text = String::from_utf8(pages.embedded[file as usize].content.to_vec()).unwrap();
            let known = if file == File::Message {
                let notices = pages.notices.iter().flatten();
                notices.map(|page| String::from_utf8(page.to_vec()).unwrap()).collect()
            } else {
                text
            };
            assert!(!known.contains("{{"), "{file:?}");
            if file.source().media_type == HTML {
                assert!(
                    known.contains(r#"<link rel="icon" href="/icon.svg" type="image/svg+xml">"#),
                    "{file:?}"
                );
            }
        }
    }

    #[test]
    fn everything_in_the_dialog_is_escaped() {
        let answer = pages().dialog(&Dialog {
            client: "<script>&\"'",
            redirect_uri: "https://app.example/<b>",
            scopes: &[("a&b", "<i>Read</i>")],
            request: "\"><script>",
        });
        let text = std::str::from_utf8(answer.body()).unwrap();
        assert!(text.contains("Authorize &lt;script&gt;&amp;&quot;&#39;?"), "{text}");
        assert!(text.contains("<li>&lt;i&gt;Read&lt;/i&gt; <code>a&amp;b</code></li>"));
        assert!(text.contains("value=\"&quot;&gt;&lt;script&gt;\"") && text.contains("https://app.example"));
        assert!(!text.contains("<script>") && !text.contains("<b>") && !text.contains("{{"));
    }
}
