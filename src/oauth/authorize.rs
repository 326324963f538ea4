//! The authorization request: a client asks for access on behalf of a resource owner (RFC 6749, 4.1.1; OAuth 2.1,
//! 4.1.1).
//!
//! A refusal has one of two types. Until the client and its redirect URI are verified, the browser is not redirected:
//! the user sees an error page. After that the error goes to the client by a redirect, which takes the
//! [`VerifiedRedirect`] as proof. A client that the operator has not registered may be anyone's, and a wrong request of
//! its own would make this server redirect to anywhere: there the user is asked first (RFC 9700, 4.11.2).

use std::borrow::Cow;
use std::sync::Arc;

use super::client::{Client, Clients, Found, VerifiedRedirect};
use super::pkce::Challenge;
use super::profile::Profile;
use super::resource::{Audience, Resources};
use super::scope::{OFFLINE_ACCESS, Scope, ScopeSyntax, excerpt};

/// The parameters of an authorization request. An omitted or empty one is `None` (RFC 6749, 3.1).
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are the standard's own")]
pub struct AuthorizationRequest<'a> {
    pub response_type: Option<&'a str>,
    pub client_id: Option<&'a str>,
    pub redirect_uri: Option<&'a str>,
    pub scope: Option<&'a str>,
    /// Opaque; any bytes.
    pub state: Option<&'a [u8]>,
    pub code_challenge: Option<&'a str>,
    pub code_challenge_method: Option<&'a str>,
    /// Each `resource`: the one parameter that may be repeated (RFC 8707, 2).
    pub resources: Vec<&'a str>,
    /// The first parameter of these names that appears more than once.
    pub repeated: Option<&'static str>,
}

/// A valid authorization request. Only [`check`] makes one.
#[derive(Clone, Debug)]
pub struct Authorization<'a> {
    client: Found<'a>,
    redirect: VerifiedRedirect,
    /// Whether the request named the redirect URI. The token request may then have to name it too (RFC 6749, 4.1.3).
    names_redirect: bool,
    scope: Scope,
    audience: Audience,
    challenge: Option<Challenge>,
}

/// Why an authorization request is refused, and where the error is reported.
#[derive(Clone, Debug)]
pub enum AuthorizationError {
    /// To the user, on a page: there is no verified redirect URI.
    Show(Cow<'static, str>),
    /// To the user, on a page: the request names a client that is not registered here, or no longer. Clients that
    /// register themselves keep their identifier for good, so only the user can make such a client register again.
    UnknownClient(&'static str),
    /// To the client, by its redirect URI (RFC 6749, 4.1.2.1).
    Redirect {
        /// The target of the response.
        to: VerifiedRedirect,
        /// Whether the operator has registered the client. Otherwise only the user can say that the browser may go
        /// there (RFC 9700, 4.11.2).
        is_trusted: bool,
        /// The error code.
        error: &'static str,
        /// The reason, as text.
        reason: Cow<'static, str>,
    },
}

/// Checks an authorization request of one of `clients` by the rules of `profile`, before the resource owner is asked.
///
/// # Errors
/// The first fault: to be shown to the user until the redirect URI is verified, and sent to the client afterwards.
pub fn check<'a>(
    clients: &'a Clients,
    profile: &Profile,
    parameters: &AuthorizationRequest,
) -> Result<Authorization<'a>, AuthorizationError> {
    check_repeated(parameters)?;
    let show = |reason: &'static str| AuthorizationError::Show(reason.into());
    let client = clients.find_named(parameters.client_id.or(profile.unnamed_client)).map_err(|reason| {
        if parameters.client_id.is_some() { AuthorizationError::UnknownClient(reason) } else { show(reason) }
    })?;
    check_of(client, clients.resources(), profile, parameters)
}

/// The same for a request of `client`, which it names.
///
/// # Errors
/// As for [`check`].
pub fn check_of<'a>(
    client: Found<'a>,
    resources: &Resources,
    profile: &Profile,
    parameters: &AuthorizationRequest,
) -> Result<Authorization<'a>, AuthorizationError> {
    check_repeated(parameters)?;
    let is_trusted = client.origin.is_trusted();
    let redirect = client.verify_redirect(parameters.redirect_uri, profile).map_err(|reason| {
        match VerifiedRedirect::of_error(parameters.redirect_uri, profile) {
            Some(to) => {
                AuthorizationError::Redirect { to, is_trusted, error: "invalid_request", reason: reason.into() }
            }
            None => AuthorizationError::Show(reason.into()),
        }
    })?;
    let refuse = |error, reason: Cow<'static, str>| AuthorizationError::Redirect {
        to: redirect.clone(),
        is_trusted,
        error,
        reason,
    };
    if let Some(name) = parameters.repeated {
        return Err(refuse("invalid_request", format!("{name} appears more than once").into()));
    }
    // A request without a client is the article's, which has none of the parameters below (`Profile::unnamed_client`).
    let names_itself = parameters.client_id.is_some();
    match parameters.response_type {
        Some("code") => {}
        None if !names_itself => {}
        None => return Err(refuse("invalid_request", "the response_type is missing; it must be code".into())),
        Some(_) => return Err(refuse("unsupported_response_type", "the response_type is not code".into())),
    }
    if !client.grant_types.authorization_code {
        let reason = "the client is not registered for the grant type authorization_code";
        return Err(refuse("unauthorized_client", reason.into()));
    }
    let challenge = if profile.pkce {
        Challenge::of_request(parameters.code_challenge, parameters.code_challenge_method)
            .map_err(|reason| refuse("invalid_request", reason.into()))?
    } else {
        None
    };
    if challenge.is_none() && profile.pkce && names_itself {
        let reason = "the code_challenge is missing (PKCE, RFC 7636); it is required";
        return Err(refuse("invalid_request", reason.into()));
    }
    let scope =
        grantable_scope(&client, parameters.scope).map_err(|reason| refuse("invalid_scope", reason.into()))?;
    let audience = (resources.requested(&client.default_resource, parameters.resources.iter().copied()))
        .map_err(|reason| refuse("invalid_target", reason.into()))?;
    let names_redirect = parameters.redirect_uri.is_some();
    Ok(Authorization { client, redirect, names_redirect, scope, audience, challenge })
}

/// Checks that the client and the redirect URI are named once: with two copies, it is unclear where an error may be
/// sent.
fn check_repeated(parameters: &AuthorizationRequest) -> Result<(), AuthorizationError> {
    let show = |reason: &'static str| Err(AuthorizationError::Show(reason.into()));
    match parameters.repeated {
        Some("client_id") => show("the client_id appears more than once"),
        Some("redirect_uri") => show("the redirect_uri appears more than once"),
        _ => Ok(()),
    }
}

/// The scope that `client` gets when it requests `asked`: its default if it requests none (RFC 6749, 3.3).
///
/// # Errors
/// If it requests a scope that it is not registered for, with the description of the error.
pub fn grantable_scope(client: &Client, asked: Option<&str>) -> Result<Scope, String> {
    let asked = asked.map(|asked| requested_scope(client, asked)).transpose();
    let asked = asked.map_err(|_| "the scope contains an invalid character, or too many names".to_owned())?;
    let Some(scope) = asked.flatten() else {
        return Ok(client.default_scope.as_ref().unwrap_or(&client.scope).clone());
    };
    match scope.first_beyond(&client.scope) {
        Some(name) => Err(format!("the client is not registered for the scope {}", excerpt(name))),
        None => Ok(scope),
    }
}

/// The scope that `asked` names, without [`OFFLINE_ACCESS`] if that is no scope of the client's; `None` if it names
/// nothing else. Only spaces name nothing: a scope has at least one name (RFC 6749, 3.3).
///
/// # Errors
/// If `asked` is not a scope.
pub fn requested_scope(client: &Client, asked: &str) -> Result<Option<Scope>, ScopeSyntax> {
    let scope = Scope::parse(asked)?;
    let is_named = client.scope.contains(OFFLINE_ACCESS) || !scope.contains(OFFLINE_ACCESS);
    let scope = if is_named { scope } else { scope.without(OFFLINE_ACCESS) };
    Ok(Some(scope).filter(|scope| !scope.is_empty()))
}

impl Authorization<'_> {
    /// The client of the request.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The target of the response.
    pub fn redirect(&self) -> &VerifiedRedirect {
        &self.redirect
    }

    /// The requested scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The resources that the tokens will be for.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// What its grant has: the client's identifier, the scope, the audience, and what the token request must prove.
    pub(super) fn into_parts(self) -> (Arc<str>, Scope, Audience, Binding) {
        let Authorization { client, redirect, names_redirect, scope, audience, challenge } = self;
        let binding = Binding { redirect_uri: redirect.into_shared(), names_redirect, challenge };
        (Arc::clone(&client.id), scope, audience, binding)
    }
}

/// What a code is bound to, in addition to its client.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) redirect_uri: Arc<str>,
    pub(super) names_redirect: bool,
    pub(super) challenge: Option<Challenge>,
}
