//! Which client a request comes from, and how it shows that (RFC 6749, 2.3).

use base64ct::{Base64, Encoding};

use super::Routes;
use super::json::Refusal;
use super::parameters::{Name, Parameters};
use crate::http::form;
use crate::http::message::{FieldValue, Request, Status};
use crate::oauth::client::{AuthenticatedClient, AuthenticationError, Credentials};

/// The client that `request` proves to come from: by HTTP's Basic scheme, by `client_id` and `client_secret`
/// among its `parameters`, or, where it is public, by its `client_id` alone.
///
/// # Errors
/// `invalid_client` where it proves nothing, and `invalid_request` where it authenticates in two ways at once (RFC
/// 6749, 5.2).
pub(super) fn authenticate<'a>(
    routes: &'a Routes,
    request: &Request,
    parameters: &Parameters,
) -> Result<AuthenticatedClient<'a>, Refusal> {
    let basic = basic_credentials(request).map_err(|error| refuse(routes, request, error))?;
    let (id, secret) = (parameters.value(Name::ClientId), parameters.value(Name::ClientSecret));
    let found = routes.clients.authenticate(&Credentials { basic, id, secret });
    found.map_err(|error| refuse(routes, request, error))
}

/// Whether the request says which client it comes from. The article's does not.
pub(super) fn names_client(request: &Request, parameters: &Parameters) -> bool {
    parameters.value(Name::ClientId).is_some() || request.fields("authorization").next().is_some()
}

fn refuse(routes: &Routes, request: &Request, error: AuthenticationError) -> Refusal {
    match error {
        AuthenticationError::Ambiguous(reason) => Refusal::invalid_request(reason),
        AuthenticationError::Unproven(reason) => invalid_client(routes, request, reason),
    }
}

/// The refusal of a client that is not who it says. Why not is for the log alone, unless the server is there to
/// explain.
///
/// It is 401 for a request with Authorization, and 400 for all others (RFC 6749, 5.2): a 401 has a challenge (RFC
/// 9110, 15.5.2), and a browser answers a challenge of the Basic scheme by asking its user for a password.
pub(super) fn invalid_client(routes: &Routes, request: &Request, reason: &'static str) -> Refusal {
    const CHALLENGE: FieldValue = FieldValue::literal(r#"Basic realm="client""#);
    const GENERAL: &str = "the client is not known, or did not authenticate as it must";
    let (status, challenge) = match request.fields("authorization").next() {
        Some(_) => (Status::Unauthorized, Some(CHALLENGE)),
        None => (Status::BadRequest, None),
    };
    let description = (!routes.explains_errors).then_some(GENERAL);
    Refusal { status, description, challenge, ..Refusal::new("invalid_client", reason) }
}

/// Name and password of the Basic scheme, if the request has them. Both are coded as in a form before they are
/// coded for HTTP (RFC 6749, 2.3.1).
fn basic_credentials(request: &Request) -> Result<Option<(String, String)>, AuthenticationError> {
    const BASIC: &[u8] = b"Basic ";
    let Ok(authorization) = request.field("authorization") else {
        return Err(AuthenticationError::Ambiguous("more than one Authorization"));
    };
    let Some(authorization) = authorization else { return Ok(None) };
    let coded = match authorization.split_at_checked(BASIC.len()) {
        Some((scheme, coded)) if scheme.eq_ignore_ascii_case(BASIC) => coded.trim_ascii(),
        _ => return Err(AuthenticationError::Unproven("the scheme of Authorization is not Basic")),
    };
    let malformed = || AuthenticationError::Unproven("the Basic credentials are malformed (RFC 7617, 2)");
    let coded = std::str::from_utf8(coded).map_err(|_| malformed())?;
    let pair = Base64::decode_vec(coded).map_err(|_| malformed())?;
    let at = pair.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    let text = |bytes: &[u8]| String::from_utf8(form::decode(bytes).into_owned()).map_err(|_| malformed());
    Ok(Some((text(&pair[..at])?, text(&pair[at + 1..])?)))
}
