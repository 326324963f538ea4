//! The authorization request: a client asks that a resource owner be asked (RFC 6749, 4.1.1; OAuth 2.1, 4.1.1).
//!
//! A refusal has one of two types. Until the client and its redirect URI are verified, the browser is not redirected:
//! the user sees an error page. After that the error goes to the client by a redirect, which takes the
//! [`VerifiedRedirect`] as proof.

use std::borrow::Cow;
use std::sync::Arc;

use super::client::{Client, Clients, Found, VerifiedRedirect};
use super::pkce::Challenge;
use super::scope::{Scope, excerpt};

/// The parameters of an authorization request. Each is `None` where it is left out or empty (RFC 6749, 3.1).
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the names are the standard's own")]
pub struct AuthorizationRequest<'a> {
    pub response_type: Option<&'a str>,
    pub client_id: Option<&'a str>,
    pub redirect_uri: Option<&'a str>,
    pub scope: Option<&'a str>,
    /// Any bytes at all: they are the client's business.
    pub state: Option<&'a [u8]>,
    pub code_challenge: Option<&'a str>,
    pub code_challenge_method: Option<&'a str>,
    /// The first parameter of these names that appears more than once.
    pub repeated: Option<&'static str>,
}

/// A valid authorization request. Only [`check`] makes one.
#[derive(Clone, Debug)]
pub struct Authorization<'a> {
    client: Found<'a>,
    redirect: VerifiedRedirect,
    /// Whether the request itself named the redirect URI: then the token request may have to (RFC 6749, 4.1.3).
    names_redirect: bool,
    scope: Scope,
    challenge: Option<Challenge>,
}

/// Why an authorization request is refused, and where the error is reported.
#[derive(Clone, Debug)]
pub enum AuthorizationError {
    /// To the user, on a page: there is no verified redirect URI.
    Show(Cow<'static, str>),
    /// To the client, by its redirect URI (RFC 6749, 4.1.2.1).
    Redirect {
        /// Where the answer goes.
        to: VerifiedRedirect,
        /// The name of the error.
        error: &'static str,
        /// The reason in words.
        reason: Cow<'static, str>,
    },
}

/// Whether `parameters` are a request that a resource owner of this server, where there are these `clients`,
/// may be asked about.
///
/// # Errors
/// The first thing that is wrong: shown as long as nothing can be trusted, sent to the client afterwards.
pub fn check<'a>(
    clients: &'a Clients,
    parameters: &AuthorizationRequest,
) -> Result<Authorization<'a>, AuthorizationError> {
    let show = |reason: &'static str| AuthorizationError::Show(reason.into());
    match parameters.repeated {
        Some("client_id") => return Err(show("the client_id appears more than once")),
        Some("redirect_uri") => return Err(show("the redirect_uri appears more than once")),
        _ => {}
    }
    let client = clients.find_named(parameters.client_id).map_err(show)?;
    let redirect = client
        .verify_redirect(parameters.redirect_uri)
        .map_err(|reason| AuthorizationError::Show(reason.into()))?;
    let refuse =
        |error, reason: Cow<'static, str>| AuthorizationError::Redirect { to: redirect.clone(), error, reason };
    if let Some(name) = parameters.repeated {
        return Err(refuse("invalid_request", format!("{name} appears more than once").into()));
    }
    // A request that names no client is the article's, which knows none of what follows.
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
    let challenge = Challenge::of_request(parameters.code_challenge, parameters.code_challenge_method)
        .map_err(|reason| refuse("invalid_request", reason.into()))?;
    if challenge.is_none() && names_itself {
        let reason = "the code_challenge is missing (PKCE, RFC 7636); it is required";
        return Err(refuse("invalid_request", reason.into()));
    }
    let scope =
        grantable_scope(&client, parameters.scope).map_err(|reason| refuse("invalid_scope", reason.into()))?;
    let names_redirect = parameters.redirect_uri.is_some();
    Ok(Authorization { client, redirect, names_redirect, scope, challenge })
}

/// The scope that `client` gets when it requests `asked`: all of its registered scope if it requests none (RFC 6749,
/// 3.3).
///
/// # Errors
/// If it requests a scope that it is not registered for, with the description of the error.
pub fn grantable_scope(client: &Client, asked: Option<&str>) -> Result<Scope, String> {
    let Some(asked) = asked else { return Ok(client.scope.clone()) };
    let scope = Scope::parse(asked)
        .map_err(|_| "the scope contains an invalid character, or too many names".to_owned())?;
    match scope.first_beyond(&client.scope) {
        Some(name) => Err(format!("the client is not registered for the scope {}", excerpt(name))),
        None => Ok(scope),
    }
}

impl Authorization<'_> {
    /// Who asks.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where the answer goes.
    pub fn redirect(&self) -> &VerifiedRedirect {
        &self.redirect
    }

    /// What is asked for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What a code must be redeemed with.
    pub(super) fn binding(&self) -> Binding {
        Binding {
            redirect_uri: self.redirect.shared(),
            names_redirect: self.names_redirect,
            challenge: self.challenge.clone(),
        }
    }
}

/// What a code is bound to, beside its client.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) redirect_uri: Arc<str>,
    pub(super) names_redirect: bool,
    pub(super) challenge: Option<Challenge>,
}
