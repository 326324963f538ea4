//! Fields that restrict what a page may do in a browser (Content Security Policy Level 3).
//!
//! Each policy starts from `default-src 'none'` and allows what its pages use. None allows inline scripts, so even HTML
//! that slipped through the escaping would not run.

use crate::http::FieldValue;
use crate::oauth::Profile;
use crate::routes::site::Site;

/// The value of Cache-Control that keeps a page out of every cache.
pub(crate) const NO_STORE: FieldValue = FieldValue::literal("no-store");

/// Names and values of fields, ready to be extended for one page.
pub(crate) type SecurityFields = Vec<(&'static str, FieldValue)>;

/// For the client app's pages. They run scripts of their own origin, which connect to it (the wire view) and to the
/// authorization server.
pub(crate) fn client_app(site: &Site) -> SecurityFields {
    with(format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        site.authorization_server()
    ))
}

/// For the authorization server's pages. They have no script and no form, and must not be framed: people click on an
/// invisible frame without knowing (clickjacking).
pub(crate) fn authorization_server() -> SecurityFields {
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";
    with(POLICY.to_owned())
}

/// For the documents, which have no script and no form either.
#[cfg(feature = "docs")]
pub(crate) fn documents() -> SecurityFields {
    authorization_server()
}

/// For the dialog. It has a form, and a script of its own origin that shows that the form was sent. `form-action` is
/// missing on purpose: browsers apply it to every redirect that follows the form, and this server cannot know where a
/// client's callback redirects to.
pub(crate) fn dialog(profile: &Profile) -> SecurityFields {
    const POLICY: &str =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'";
    let frames = if profile.frame_protection { "; frame-ancestors 'none'" } else { "" };
    with(format!("{POLICY}{frames}"))
}

/// For the attacker's site. It sends requests and forms to both servers, and shows the dialog in a frame where that is
/// not forbidden.
pub(crate) fn lab(site: &Site) -> SecurityFields {
    let (server, app) = (site.authorization_server(), site.client_app().unwrap_or_default());
    with(format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {server}; \
         frame-src {server} {app}; form-action 'self' {server} {app}; base-uri 'none'; frame-ancestors 'none'"
    ))
}

/// For the victim's shop, which shows ads of the attacker's site, and tells every site the whole address of the page
/// that a request comes from, as all pages did until 2020.
pub(crate) fn shop(site: &Site) -> SecurityFields {
    let (server, ads) = (site.authorization_server(), site.lab().unwrap_or_default());
    let mut fields = with(format!(
        "default-src 'none'; script-src 'self' {ads}; style-src 'self'; img-src 'self' {ads}; \
         connect-src 'self' {server} {ads}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ));
    fields.retain(|(name, _)| *name != "Referrer-Policy");
    fields.push(("Referrer-Policy", FieldValue::literal("no-referrer-when-downgrade")));
    fields
}

fn with(content_security_policy: String) -> SecurityFields {
    // A site's names have no control bytes. If one did, the fallback would allow nothing at all.
    let value = FieldValue::new(content_security_policy).unwrap_or(FieldValue::literal("default-src 'none'"));
    vec![
        ("Content-Security-Policy", value),
        ("X-Content-Type-Options", FieldValue::literal("nosniff")),
        // With no-referrer, browsers would send `Origin: null` with the dialog's own form.
        ("Referrer-Policy", FieldValue::literal("same-origin")),
    ]
}
