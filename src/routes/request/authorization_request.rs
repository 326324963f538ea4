//! Reads an authorization request from a query (RFC 6749, 4.1.1).

use crate::http::form::Form;
use crate::oauth::authorize::AuthorizationRequest;

/// Reads the parameters in `form`. One without a value counts as omitted, an unknown one is ignored (RFC 6749, 3.1),
/// and the first one that is repeated is named, for the rules to refuse.
pub(crate) fn read<'a>(form: &'a Form) -> AuthorizationRequest<'a> {
    let mut repeated = None;
    let mut value = |name: &'static str| match form.bytes(name) {
        Ok(value) => value.filter(|value| !value.is_empty()),
        Err(_) => {
            repeated = repeated.or(Some(name));
            None
        }
    };
    let state = value("state");
    // Text that is not UTF-8 becomes a character that no valid value has: it must be refused, not count as omitted.
    let mut text = |name| value(name).map(|bytes| std::str::from_utf8(bytes).unwrap_or("\u{fffd}"));
    AuthorizationRequest {
        client_id: text("client_id"),
        redirect_uri: text("redirect_uri"),
        response_type: text("response_type"),
        scope: text("scope"),
        state,
        code_challenge: text("code_challenge"),
        code_challenge_method: text("code_challenge_method"),
        resources: form.values("resource").collect(),
        repeated,
    }
}

/// Whether the request has no parameter at all.
pub(crate) fn is_bare(request: &AuthorizationRequest) -> bool {
    let AuthorizationRequest { client_id, redirect_uri, response_type, scope, state, resources, .. } = request;
    let texts = [client_id, redirect_uri, response_type, scope];
    let challenges = [&request.code_challenge, &request.code_challenge_method];
    texts.iter().chain(&challenges).all(|value| value.is_none())
        && state.is_none()
        && resources.is_empty()
        && request.repeated.is_none()
}
