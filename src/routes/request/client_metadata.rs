//! The metadata of a client that registers itself (RFC 7591, 2), read from JSON.
//!
//! ```text
//!   redirect_uris               1 to 10, valid as configured ones are         else invalid_redirect_uri, by name
//!   token_endpoint_auth_method  client_secret_basic if omitted                another one: invalid_client_metadata
//!   grant_types                 authorization_code if omitted                 those that are not offered are dropped
//!   response_types              code if omitted                               others are dropped
//!   client_name                 cleaned: it is shown to people, unverified
//!   scope                       the names that are configured                 others are dropped
//!   client_uri, contacts, …     repeated in the answer, and used for nothing
//! ```
//!
//! A member that is null counts as omitted, since some clients send nulls. Unknown members are ignored, as the standard
//! requires. What cannot be dropped without changing what the client relies on is an error.

use serde_json::Value;

use super::json_object;
use super::parameters::media_type;
use crate::http::{Request, Status};
use crate::json::Object;
use crate::oauth::Scope;
use crate::oauth::client_name::clean;
use crate::oauth::redirect::RedirectUri;
use crate::oauth::registration::{Authentication, REDIRECT_URI_BYTES_MAX, REDIRECT_URIS_MAX, Registration};
use crate::oauth::scope::excerpt;
use crate::routes::reply::error_response::ErrorResponse;

/// The largest content of a registration, in bytes.
const CONTENT_BYTES_MAX: usize = 16 * 1024;

/// The members that decide something. The constants are their positions.
const DECISIVE: [&str; 6] =
    ["redirect_uris", "token_endpoint_auth_method", "grant_types", "response_types", "client_name", "scope"];
const REDIRECT_URIS: usize = 0;
const AUTHENTICATION: usize = 1;
const GRANT_TYPES: usize = 2;
const RESPONSE_TYPES: usize = 3;
const NAME: usize = 4;
const SCOPE: usize = 5;

/// The members that are repeated in the answer and used for nothing: texts, and a list of texts. A type that a client
/// names is not enforced: not all name the right one.
const INFORMATIVE: [&str; 8] = [
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "software_id",
    "software_version",
    "application_type",
    "contacts",
];

/// A client's metadata.
pub(crate) struct Metadata {
    /// What is registered.
    pub(crate) registration: Registration,
    /// The informative members, as they came: texts, and lists of texts.
    informative: Vec<(&'static str, Value)>,
}

impl Metadata {
    /// Reads the content of `request`. Scopes must be among `scopes`; with `allows_http`, redirect URIs may be plain
    /// http on any host.
    ///
    /// # Errors
    /// The first mistake: `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591, 3.2.2), or `invalid_request`
    /// for content that is not a JSON object.
    pub(crate) fn read(
        request: &Request,
        scopes: &Scope,
        allows_http: bool,
    ) -> Result<Metadata, ErrorResponse> {
        if !media_type(request)?.eq_ignore_ascii_case(b"application/json") {
            return Err(ErrorResponse::invalid_request("the Content-Type is not application/json"));
        }
        if request.body().len() > CONTENT_BYTES_MAX {
            let reason = format!("the client's metadata is larger than {CONTENT_BYTES_MAX} bytes");
            let status = Status::ContentTooLarge;
            return Err(ErrorResponse { status, ..invalid_metadata(reason) });
        }
        let names: Vec<&'static str> = DECISIVE.into_iter().chain(INFORMATIVE).collect();
        let mut decisive = [const { None }; DECISIVE.len()];
        let mut seen = [false; DECISIVE.len() + INFORMATIVE.len()];
        let mut informative = Vec::new();
        for (at, value) in json_object::read(request.body(), &names)? {
            if std::mem::replace(&mut seen[at], true) {
                return Err(invalid_metadata(format!("{} appears more than once", names[at])));
            }
            match decisive.get_mut(at) {
                Some(member) => *member = Some(value).filter(|value| !value.is_null()),
                None if is_text(&value) => informative.push((names[at], value)),
                None => {}
            }
        }
        let registration = register(&decisive, scopes, allows_http)?;
        Ok(Metadata { registration, informative })
    }

    /// Adds the members that say what is registered (RFC 7591, 3.2.1).
    pub(crate) fn write_to(&self, members: &mut Object) {
        let Registration { name, redirect_uris, authentication, refreshes, scope } = &self.registration;
        let grant_types =
            ["authorization_code", "refresh_token"].into_iter().take(if *refreshes { 2 } else { 1 });
        if !name.is_empty() {
            members.text(DECISIVE[NAME], name);
        }
        members
            .texts(DECISIVE[GRANT_TYPES], grant_types)
            .texts(DECISIVE[REDIRECT_URIS], redirect_uris.iter().map(RedirectUri::as_str))
            .texts(DECISIVE[RESPONSE_TYPES], ["code"])
            .text(DECISIVE[AUTHENTICATION], authentication.as_str());
        if let Some(scope) = scope {
            members.text(DECISIVE[SCOPE], scope.as_str());
        }
        for (name, value) in &self.informative {
            match value {
                Value::Array(texts) => members.texts(name, texts.iter().filter_map(Value::as_str)),
                text => members.text(name, text.as_str().unwrap_or_default()),
            };
        }
    }
}

/// Whether an informative member has the type that the standard gives it.
fn is_text(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(texts) => texts.iter().all(Value::is_string),
        _ => false,
    }
}

fn register(
    members: &[Option<Value>; DECISIVE.len()],
    scopes: &Scope,
    allows_http: bool,
) -> Result<Registration, ErrorResponse> {
    let grant_types = texts(members, GRANT_TYPES)?;
    let has_grant_type = |name| grant_types.as_ref().is_some_and(|types| types.contains(&name));
    if grant_types.is_some() && !has_grant_type("authorization_code") {
        return Err(invalid_metadata(
            "grant_types must have authorization_code, which a client that registers itself starts with",
        ));
    }
    if texts(members, RESPONSE_TYPES)?.is_some_and(|types| !types.contains(&"code")) {
        return Err(invalid_metadata("response_types must have code, the only one that this server has"));
    }
    let scope = text(members, SCOPE)?.map(Scope::parse).transpose();
    let scope = scope.map_err(|_| invalid_metadata("the scope has an invalid character, or too many names"))?;
    Ok(Registration {
        name: text(members, NAME)?.map(clean).unwrap_or_default(),
        redirect_uris: redirect_uris(members, allows_http)?,
        authentication: authentication(text(members, AUTHENTICATION)?)?,
        refreshes: has_grant_type("refresh_token"),
        scope: scope.map(|scope| scope.restricted_to(scopes).into_owned()),
    })
}

/// RFC 7591, 2: without a method, the client has a secret.
fn authentication(method: Option<&str>) -> Result<Authentication, ErrorResponse> {
    let Some(method) = method else { return Ok(Authentication::SecretBasic) };
    Authentication::parse(method).ok_or_else(|| {
        let known = "none, client_secret_basic or client_secret_post";
        invalid_metadata(format!("the token_endpoint_auth_method {} is not {known}", excerpt(method)))
    })
}

fn redirect_uris(
    members: &[Option<Value>; DECISIVE.len()],
    allows_http: bool,
) -> Result<Vec<RedirectUri>, ErrorResponse> {
    let invalid = |reason: String| ErrorResponse::new("invalid_redirect_uri", reason);
    let uris = texts(members, REDIRECT_URIS).map_err(|refusal| invalid(refusal.reason.into_owned()))?;
    let uris = uris.unwrap_or_default();
    if uris.is_empty() {
        return Err(invalid("the redirect_uris are missing; give at least one".to_owned()));
    }
    if uris.len() > REDIRECT_URIS_MAX {
        return Err(invalid(format!("there are more than {REDIRECT_URIS_MAX} redirect_uris")));
    }
    let parse = if allows_http { RedirectUri::parse_insecure } else { RedirectUri::parse };
    let mut parsed = Vec::with_capacity(uris.len());
    for uri in uris {
        let named = excerpt(uri);
        if uri.len() > REDIRECT_URI_BYTES_MAX {
            return Err(invalid(format!(
                "the redirect_uri {named}... is longer than {REDIRECT_URI_BYTES_MAX} bytes"
            )));
        }
        let uri = parse(uri).map_err(|error| invalid(format!("the redirect_uri {named} {error}")))?;
        if !parsed.contains(&uri) {
            parsed.push(uri);
        }
    }
    Ok(parsed)
}

/// The member at this position, which must be a text; `None` if it was omitted.
fn text(members: &[Option<Value>; DECISIVE.len()], at: usize) -> Result<Option<&str>, ErrorResponse> {
    let Some(value) = &members[at] else { return Ok(None) };
    value.as_str().map(Some).ok_or_else(|| invalid_metadata(format!("the {} is not a text", DECISIVE[at])))
}

/// The member at this position, which must be a list of texts; `None` if it was omitted.
fn texts(members: &[Option<Value>; DECISIVE.len()], at: usize) -> Result<Option<Vec<&str>>, ErrorResponse> {
    let Some(value) = &members[at] else { return Ok(None) };
    let texts = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
    texts.map(Some).ok_or_else(|| invalid_metadata(format!("{} is not a list of texts", DECISIVE[at])))
}

/// RFC 7591, 3.2.2.
pub(crate) fn invalid_metadata(reason: impl Into<std::borrow::Cow<'static, str>>) -> ErrorResponse {
    ErrorResponse::new("invalid_client_metadata", reason)
}
