//! The cookie in which a browser keeps what was allowed in it before, for a dialog that marks what is new.
//!
//! It is set when the resource owner authorizes a request that names scopes, and read when the dialog is shown. What is
//! in it, and what it can and cannot do, is in `oauth/allowed_before.rs`.
//!
//! Over TLS, `__Host-` keeps other hosts of the domain from setting it (RFC 6265bis, 4.1.3.2). On plain http, which is
//! for this machine, every program on the host can set it, also to one that this server made for another browser.

use std::time::Duration;

use crate::http::{FieldValue, Request};
use crate::oauth::allowed_before::{self, Consent};
use crate::oauth::authorize::Authorization;
use crate::routes::reply::set_cookie::set_cookie;
use crate::routes::shared::Routes;

/// How long a browser keeps the cookie after the last consent: as long as refresh tokens live, unless configured
/// otherwise.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

fn cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-oauth-allowed" } else { "oauth-allowed" }
}

/// For each name of the requested scope, whether it is new, if this browser's owner has allowed some of the names
/// before, and others not.
pub(crate) fn new_scopes(routes: &Routes, request: &Request, asked: &Authorization) -> Option<Vec<bool>> {
    let list = of_request(request, routes.site.is_https())?;
    allowed_before::new_scopes(list, &routes.keyring(), &consent(routes, asked))
}

/// The Set-Cookie value that adds what is `allowed` to what the browser of `request` has.
pub(crate) fn extended(routes: &Routes, request: &Request, allowed: &Authorization) -> FieldValue {
    let is_https = routes.site.is_https();
    let before = of_request(request, is_https);
    let list = allowed_before::extend(before, &routes.keyring(), &consent(routes, allowed));
    set_cookie(&[cookie_name(is_https), "=", &list], is_https, LIFETIME)
}

/// The value of the cookie. If there are two, another program has set one of them, and neither counts.
fn of_request<'a>(request: &Request<'a>, is_https: bool) -> Option<&'a str> {
    let name = cookie_name(is_https).as_bytes();
    let pairs = request.fields("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="));
    let value = values.next()?;
    values.next().is_none().then(|| std::str::from_utf8(value).ok()).flatten()
}

fn consent<'a>(routes: &'a Routes, authorization: &'a Authorization) -> Consent<'a> {
    Consent {
        issuer: routes.site.issuer(),
        subject: &routes.resource_owner,
        client_id: &authorization.client().id,
        audience: authorization.audience(),
        scope: authorization.scope(),
    }
}
