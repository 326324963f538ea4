//! The fields that say what a page may do in a browser (Content Security Policy Level 3).

use crate::http::message::FieldValue;
use crate::routes::site::Site;

/// No cache may keep the page.
pub(crate) const NO_STORE: FieldValue = FieldValue::literal("no-store");

/// Names and values of these fields.
pub(crate) type SecurityFields = Vec<(&'static str, FieldValue)>;

/// The client app's pages run this server's own scripts, which talk to the authorization server.
pub(crate) fn client_app(site: &Site) -> SecurityFields {
    with(format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        site.authorization_server()
    ))
}

/// The authorization server's pages run no script and have no form, and no page may frame them: a page that lies
/// under another is a page that people click without seeing.
pub(crate) fn authorization_server() -> SecurityFields {
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";
    with(POLICY.to_owned())
}

/// The dialog has a form, and a script of this server that shows that the form was sent. There is no `form-action`:
/// browsers hold each hop of the redirect that answers the form to it, and where a client's callback redirects to is
/// not known here.
pub(crate) fn dialog() -> SecurityFields {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                          frame-ancestors 'none'";
    with(POLICY.to_owned())
}

fn with(content_security_policy: String) -> SecurityFields {
    // A site is made of names and ports; were there a control byte in it, nothing would be allowed at all.
    let value = FieldValue::new(content_security_policy).unwrap_or(FieldValue::literal("default-src 'none'"));
    vec![
        ("Content-Security-Policy", value),
        ("X-Content-Type-Options", FieldValue::literal("nosniff")),
        // Under no-referrer, browsers would send `Origin: null` with the dialog's own form.
        ("Referrer-Policy", FieldValue::literal("same-origin")),
    ]
}
