//! `POST /token`: tokens, for a code, for a refresh token, or for a client's own credentials.
//!
//! There are two kinds of request. RFC 6749's is a form with a `grant_type`. The article's is JSON, `{"code":"CODE"}`:
//! it names no client, and is accepted only if the profile has a client for such requests. The responses are the same:
//! RFC 6749's (5.1 and 5.2), with the article's `message` beside the standard's `error`.
//!
//! The order is always the same: read the request, authenticate the client, check that it may use this grant type, and
//! only then look at what it presents. Nothing that an unauthenticated sender presents reaches a grant.

use std::borrow::Cow;
use std::time::Duration;

use crate::http::{Response, Status};
use crate::oauth::authorize::{grantable_scope, requested_scope};
use crate::oauth::client::AuthenticatedClient;
use crate::oauth::credential::{Family, Salt};
use crate::oauth::pkce::Verified;
use crate::oauth::{Audience, Credential, GrantId, Outcome, Scope, Transition};
use crate::routes::reply::error_response::ErrorResponse;
use crate::routes::reply::json;
use crate::routes::reply::unavailable::{no_randomness, unavailable};
use crate::routes::request::client_authentication::{Stop, authenticate, names_client};
use crate::routes::request::parameters::{Name, Parameters};
use crate::routes::shared::Routes;
use crate::routes::step::{Context, Step};
use crate::store::Applied;

/// The grant types (RFC 6749, 1.3).
#[derive(Clone, Copy, PartialEq)]
enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
}

/// Reads the request, and asks the store to redeem, rotate or issue. A [`Stop`] is an error response, or the slow
/// comparison of a secret, after which `exchange` starts again.
pub(crate) fn exchange(context: &Context) -> Step {
    authenticate_and_ask(context).unwrap_or_else(|stop| stop.into_step(context, exchange))
}

/// Authenticates the client, and begins the exchange if it is registered for the grant type.
///
/// # Errors
/// A [`Stop`] if the request is malformed, the client is not authenticated or not registered for the grant type, or
/// what it asks for cannot be issued. Also if its secret has a slow digest that has not been compared yet, or its peer
/// has guessed too often.
fn authenticate_and_ask(context: &Context) -> Result<Step, Stop> {
    let parameters = if context.routes.profile.json_at_token {
        Parameters::read(context.request)?
    } else {
        Parameters::read_form(context.request)?
    };
    let name = match parameters.value(Name::GrantType) {
        // The article's request has none.
        None if parameters.is_json => "authorization_code",
        _ => parameters.required(Name::GrantType)?,
    };
    let client = authenticate(context, &parameters)?;
    let registered = client.client().grant_types;
    let (grant_type, is_registered) = match name {
        "authorization_code" => (GrantType::AuthorizationCode, registered.authorization_code),
        "refresh_token" => (GrantType::RefreshToken, registered.refresh_token),
        "client_credentials" => (GrantType::ClientCredentials, registered.client_credentials),
        _ => {
            let known = "the grant_type is not authorization_code, refresh_token or client_credentials";
            return Err(ErrorResponse::new("unsupported_grant_type", known).into());
        }
    };
    if !is_registered {
        let reason = format!("the client is not registered for the grant type {name}");
        return Err(ErrorResponse::new("unauthorized_client", reason).into());
    }
    Ok(match grant_type {
        GrantType::AuthorizationCode => redeem(context, &parameters, client)?,
        GrantType::RefreshToken => rotate(context, &parameters, client)?,
        GrantType::ClientCredentials => issue(context, &parameters, client)?,
    })
}

/// Tokens for a code (RFC 6749, 4.1.3). Their secrets are made before the store is asked, so that the transition can
/// store their digests in the same step that spends the code.
fn redeem(
    context: &Context,
    parameters: &Parameters,
    client: AuthenticatedClient,
) -> Result<Step, ErrorResponse> {
    let routes = context.routes;
    let code = parameters.required(Name::Code)?;
    let verifier = parameters.value(Name::CodeVerifier).filter(|_| routes.profile.pkce);
    let verified = verifier.map(Verified::new).transpose();
    let verified = verified.map_err(ErrorResponse::invalid_request)?;
    let Some(code) = routes.profile.parse(code.as_bytes()) else {
        return Err(invalid_grant(routes, "malformed authorization code"));
    };
    let Some(secret) = routes.random() else { return Err(no_randomness(UNAVAILABLE)) };
    let token = code.token_of_same_shape(secret);
    // A request that names no client is the article's, which has no refresh tokens.
    let may_refresh = client.client().grant_types.refresh_token && names_client(context.request, parameters);
    let refresh = match may_refresh.then(|| Some((routes.random()?, Family(routes.random()?)))) {
        None => None,
        Some(None) => return Err(no_randomness(UNAVAILABLE)),
        Some(Some((secret, family))) => {
            Some((Credential::refresh_token(code.grant(), secret, &family), family))
        }
    };
    let transition = Transition::redeem(
        client,
        &code,
        parameters.value(Name::RedirectUri),
        verified,
        &token,
        refresh.as_ref().map(|(token, family)| (token, *family)),
        routes.lifetimes.tokens,
    )
    .under(&routes.profile)
    .aimed_at(named_resources(routes, parameters)?, routes.clients.resources());
    let refresh = refresh.map(|(token, _)| token);
    Ok(context.ask(transition, move |context, applied| {
        let lifetime = context.routes.expires_in;
        Step::Done(match applied {
            Ok(Outcome::Redeemed { scope }) => tokens(&token, refresh.as_ref(), lifetime, &scope),
            applied => refuse(context.routes, GrantType::AuthorizationCode, applied),
        })
    }))
}

/// New tokens for a refresh token (RFC 6749, 6). They are derived from it and a salt, so that a client that repeats the
/// request because the response was lost gets the same ones.
fn rotate(
    context: &Context,
    parameters: &Parameters,
    client: AuthenticatedClient,
) -> Result<Step, ErrorResponse> {
    let routes = context.routes;
    let presented = parameters.required(Name::RefreshToken)?;
    let scope = parameters.value(Name::Scope).map(|asked| requested_scope(client.client(), asked)).transpose();
    let scope =
        scope.map_err(|_| ErrorResponse::new("invalid_scope", "the scope contains an invalid character"))?;
    let Some(presented) = Credential::parse(presented.as_bytes()) else {
        return Err(invalid_grant(routes, "malformed refresh token"));
    };
    let Some(salt) = routes.random().map(Salt) else { return Err(no_randomness(UNAVAILABLE)) };
    let successors = presented.successors(salt);
    let transition =
        Transition::rotate(client, &presented, &successors, scope.flatten(), routes.lifetimes.tokens);
    let transition = transition
        .under(&routes.profile)
        .aimed_at(named_resources(routes, parameters)?, routes.clients.resources());
    Ok(context.ask(transition, move |context, applied| {
        let lifetime = context.routes.expires_in;
        let (first, family, scope, expires_in) = match applied {
            Ok(Outcome::Rotated { family, scope }) => (None, family, scope, None),
            Ok(Outcome::Repeated { family, salt, scope, expires_in }) => {
                (Some(presented.successors(salt)), family, scope, expires_in)
            }
            applied => return Step::Done(refuse(context.routes, GrantType::RefreshToken, applied)),
        };
        // A repeated request gets the same refresh token. It gets the same access token only while that is valid and
        // of the scope and resources asked for (`expires_in` is set), otherwise a new one.
        let first = first.as_ref().unwrap_or(&successors);
        let issued = if expires_in.is_some() { first } else { &successors };
        let refresh =
            if context.routes.profile.rotation { first.refresh_token(&family) } else { presented.clone() };
        Step::Done(tokens(issued.access_token(), Some(&refresh), expires_in.unwrap_or(lifetime), &scope))
    }))
}

/// A token for the client itself (RFC 6749, 4.4).
fn issue(
    context: &Context,
    parameters: &Parameters,
    client: AuthenticatedClient,
) -> Result<Step, ErrorResponse> {
    let routes = context.routes;
    let scope = grantable_scope(client.client(), parameters.value(Name::Scope))
        .map_err(|reason| ErrorResponse::new("invalid_scope", reason))?;
    let resources = routes.clients.resources();
    let audience = resources
        .requested(&client.client().default_resource, parameters.resources())
        .map_err(invalid_target)?;
    let (Some(grant), Some(secret)) = (routes.random(), routes.random()) else {
        return Err(no_randomness(UNAVAILABLE));
    };
    let token = Credential::of_grant(GrantId::new(grant), secret);
    let lifetime = routes.lifetimes.tokens.access_token;
    let transition = Transition::issue(client, scope.clone(), &token, lifetime);
    let transition = transition.aimed_at(Some(audience), resources);
    Ok(context.ask(transition, move |context, applied| {
        Step::Done(match applied {
            Ok(Outcome::Granted) => tokens(&token, None, context.routes.expires_in, &scope),
            applied => refuse(context.routes, GrantType::ClientCredentials, applied),
        })
    }))
}

/// The resources that a request for tokens names (RFC 8707, 2.2); `None` for all that were granted.
fn named_resources(routes: &Routes, parameters: &Parameters) -> Result<Option<Audience>, ErrorResponse> {
    routes.clients.resources().named(parameters.resources()).map_err(invalid_target)
}

/// RFC 8707, 2.
fn invalid_target(reason: String) -> ErrorResponse {
    ErrorResponse::new("invalid_target", reason)
}

/// The response if the store issued no tokens.
fn refuse(routes: &Routes, grant_type: GrantType, applied: Applied) -> Response {
    match applied {
        Ok(Outcome::TooWide { name }) => {
            let reason =
                format!("the scope {name} was not granted, or the client is no longer registered for it");
            ErrorResponse::new("invalid_scope", reason).into_response()
        }
        Ok(Outcome::OtherTarget { uri }) => {
            invalid_target(format!("the resource {uri} was not granted")).into_response()
        }
        Ok(outcome) => match why_invalid(grant_type, &outcome) {
            Some(reason) => invalid_grant(routes, reason).into_response(),
            None => unavailable(&Ok(outcome), UNAVAILABLE),
        },
        Err(_) => unavailable(&applied, UNAVAILABLE),
    }
}

/// RFC 6749, 5.1. Nothing in it needs escaping in JSON: a token is base64url, and a scope's names exclude `"`, `\` and
/// control bytes (RFC 6749, 3.3; [`Scope::parse`]). An empty scope is stated as well: a response without one would mean
/// the scope that was requested.
fn tokens(token: &Credential, refresh: Option<&Credential>, expires_in: Duration, scope: &Scope) -> Response {
    // Joined by hand, because formatting all of it would cost more than the rest of this function.
    let mut text = String::with_capacity(TOKENS_BYTES + scope.as_str().len());
    text.push_str(r#"{"access_token":""#);
    token.write(&mut text);
    text.push_str(r#"","token_type":"Bearer","expires_in":"#);
    text.push_str(itoa::Buffer::new().format(expires_in.as_secs()));
    text.push_str(r#","scope":""#);
    text.push_str(scope.as_str());
    if let Some(refresh) = refresh {
        text.push_str(r#"","refresh_token":""#);
        refresh.write(&mut text);
    }
    text.push_str(r#""}"#);
    json::response(Status::Ok, text)
}

/// Room for a response with two tokens, without the scope.
const TOKENS_BYTES: usize = 256;

/// What is wrong with the code or refresh token; `None` for an outcome that the transition cannot have.
fn why_invalid(grant_type: GrantType, outcome: &Outcome) -> Option<Cow<'static, str>> {
    let is_code = grant_type == GrantType::AuthorizationCode;
    let reason = match outcome {
        Outcome::Replayed => "the code was used before; its grant is revoked (RFC 6749, 4.1.2)",
        Outcome::Reused => "the refresh token was used before; its grant is revoked (RFC 9700, 4.14.2)",
        Outcome::Burnt(mismatch) => return Some(format!("{mismatch}; the code is no longer valid").into()),
        Outcome::Mismatch(mismatch) => return Some(format!("the code was used before, and {mismatch}").into()),
        Outcome::Expired if is_code => "the code has expired",
        Outcome::Expired => "the refresh token has expired",
        Outcome::OtherClient if is_code => "the code is another client's (RFC 6749, 4.1.3)",
        Outcome::OtherClient => "the refresh token is another client's (RFC 6749, 6)",
        Outcome::Unknown if is_code => "unknown authorization code",
        Outcome::Unknown => "unknown refresh token",
        Outcome::Lapsed(lapse) => lapse.as_str(),
        _ => return None,
    };
    Some(reason.into())
}

/// One response for every code and refresh token that is not accepted. Only the log has the exact reason, unless the
/// server is configured to explain errors to developers.
fn invalid_grant(routes: &Routes, reason: impl Into<Cow<'static, str>>) -> ErrorResponse {
    const GENERAL: &str = "the code or refresh token is invalid, expired or already used";
    ErrorResponse {
        description: (!routes.explains_errors).then_some(GENERAL),
        message: Some("Invalid auth token"),
        ..ErrorResponse::new("invalid_grant", reason)
    }
}

const UNAVAILABLE: &str = "the server cannot issue tokens at the moment; try again";
