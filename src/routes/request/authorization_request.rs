//! The query of an authorization request, to the parameters that the rules know.

use crate::http::form::Form;
use crate::oauth::authorize::AuthorizationRequest;

/// Reads `form`. A parameter without a value counts as left out (RFC 6749, 3.1), an unknown one is ignored,
/// and of those that stand more than once the first is named.
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
    // What is not UTF-8 is no value of any parameter that is text, but is not left out either.
    let mut text = |name| value(name).map(|bytes| std::str::from_utf8(bytes).unwrap_or("\u{fffd}"));
    AuthorizationRequest {
        client_id: text("client_id"),
        redirect_uri: text("redirect_uri"),
        response_type: text("response_type"),
        scope: text("scope"),
        state,
        code_challenge: text("code_challenge"),
        code_challenge_method: text("code_challenge_method"),
        repeated,
    }
}

/// Whether none of the parameters is there: the article's dialog.
pub(crate) fn is_bare(parameters: &AuthorizationRequest) -> bool {
    let AuthorizationRequest { client_id, redirect_uri, response_type, scope, state, .. } = parameters;
    let texts = [client_id, redirect_uri, response_type, scope];
    let challenges = [&parameters.code_challenge, &parameters.code_challenge_method];
    texts.iter().chain(&challenges).all(|value| value.is_none())
        && state.is_none()
        && parameters.repeated.is_none()
}
