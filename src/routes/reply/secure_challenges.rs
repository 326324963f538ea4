//! The challenges of `/secure` (RFC 6750, 3), made once from the configuration.
//!
//! If the endpoint is one of the resources, each challenge to a standard request names its metadata (RFC 9728, 5.1),
//! from which a client learns where to get a token. Otherwise there is no such document, and none is named. The
//! article's answers never name one: they have [`BARE_CHALLENGE`].

use super::resource_documents;
use crate::http::FieldValue;
use crate::oauth::Resources;
use crate::routes::site::Site;

/// The `WWW-Authenticate` of each answer to a standard request, made once.
pub(crate) struct Challenges {
    /// For a request without a token.
    pub(crate) no_token: FieldValue,
    /// For a token that is not valid here.
    pub(crate) invalid_token: FieldValue,
    /// For an Authorization that is malformed.
    pub(crate) malformed: FieldValue,
    /// For a token that lacks the scope; never sent if none is required.
    pub(crate) too_narrow: FieldValue,
}

impl Challenges {
    /// Those of the endpoint at `url` on `site`, which requires `scope`, if that is given.
    pub(crate) fn new(site: &Site, url: &str, resources: &Resources, scope: Option<&str>) -> Challenges {
        let metadata = resources.find(url).map(|own| resource_documents::url(site, own));
        let of_resource = |challenge: FieldValue| match &metadata {
            Some(url) => with(&challenge, "resource_metadata", url),
            None => challenge,
        };
        let too_narrow = with(&TOO_NARROW, "scope", scope.unwrap_or_default());
        Challenges {
            no_token: of_resource(BARE_CHALLENGE),
            invalid_token: of_resource(INVALID_TOKEN),
            malformed: of_resource(MALFORMED),
            too_narrow: of_resource(too_narrow),
        }
    }
}

/// `challenge` with one more parameter.
fn with(challenge: &FieldValue, name: &str, value: &str) -> FieldValue {
    // A scope and a URL of this server have no control byte, so the fallback is never taken.
    FieldValue::new(format!("{}, {name}=\"{value}\"", challenge.as_str())).unwrap_or(BARE_CHALLENGE)
}

/// The article's, and that of a request without a token.
pub(crate) const BARE_CHALLENGE: FieldValue = FieldValue::literal(r#"Bearer realm="secure""#);
const INVALID_TOKEN: FieldValue = FieldValue::literal(
    r#"Bearer realm="secure", error="invalid_token", error_description="the access token is wrong or has expired""#,
);
const MALFORMED: FieldValue = FieldValue::literal(
    r#"Bearer realm="secure", error="invalid_request", error_description="Authorization is malformed""#,
);
const TOO_NARROW: FieldValue = FieldValue::literal(
    "Bearer realm=\"secure\", error=\"insufficient_scope\", \
     error_description=\"the access token does not have the required scope\"",
);
