//! `POST /token`: tokens, for a code, for a refresh token, or for a client's own credentials.
//!
//! Two ways to ask. The article's, JSON `{"code":"CODE"}`, which names no client and means the demo's, and is
//! answered where there is that client; and RFC 6749's, a form with a `grant_type`. The answers are the same: RFC
//! 6749's (5.1 and 5.2), with the article's
//! `message` beside the standard's `error`.
//!
//! The order is always the same: read, authenticate the client, see whether it may ask this way, and only then
//! look at what it presents. Nothing that a stranger sends touches a grant.

use std::borrow::Cow;
use std::net::IpAddr;

use super::client_authentication::{Stop, authenticate, names_client};
use super::json::{self, Refusal};
use super::parameters::{Name, Parameters};
use super::{Continuation, NO_RANDOMNESS, Reply, Routes, why_unavailable};
use crate::http::{FieldValue, Request, Response, Status};
use crate::oauth::authorize::grantable_scope;
use crate::oauth::client::AuthenticatedClient;
use crate::oauth::credential::{Family, Salt};
use crate::oauth::pkce::Verified;
use crate::oauth::{Credential, GrantId, Outcome, Scope, Transition};
use crate::store::Applied;

/// What is left to say once the store has answered.
pub(super) enum Pending {
    /// These tokens, for a code.
    Redeem { token: Credential, refresh: Option<Credential> },
    /// What follows this refresh token under this salt.
    Rotate { presented: Credential, salt: Salt },
    /// This token, for a client's own credentials.
    Issue { token: Credential, scope: Scope },
}

/// Reads the request and asks for what it wants.
pub(super) fn exchange(routes: &Routes, request: &Request, peer: IpAddr) -> Reply {
    read(routes, request, peer).unwrap_or_else(|stop| stop.into_reply(routes, peer, exchange))
}

fn read(routes: &Routes, request: &Request, peer: IpAddr) -> Result<Reply, Stop> {
    let parameters = match routes.answers_the_article() {
        true => Parameters::read(request)?,
        false => Parameters::read_form(request)?,
    };
    let grant_type = match parameters.value(Name::GrantType) {
        // The article's request has none.
        None if parameters.is_json => "authorization_code",
        _ => parameters.required(Name::GrantType)?,
    };
    let client = authenticate(routes, request, &parameters, peer)?;
    let allowed = client.client().grant_types;
    let is_allowed = match grant_type {
        "authorization_code" => allowed.authorization_code,
        "refresh_token" => allowed.refresh_token,
        "client_credentials" => allowed.client_credentials,
        _ => {
            let known = "the grant_type is not authorization_code, refresh_token or client_credentials";
            return Err(Refusal::new("unsupported_grant_type", known).into());
        }
    };
    if !is_allowed {
        let reason = format!("the client is not registered for the grant type {grant_type}");
        return Err(Refusal::new("unauthorized_client", reason).into());
    }
    Ok(match grant_type {
        "authorization_code" => redeem(routes, request, &parameters, client)?,
        "refresh_token" => rotate(routes, &parameters, client)?,
        _ => issue(routes, &parameters, client)?,
    })
}

/// RFC 6749, 4.1.3.
fn redeem(
    routes: &Routes,
    request: &Request,
    parameters: &Parameters,
    client: AuthenticatedClient,
) -> Result<Reply, Refusal> {
    let code = parameters.required(Name::Code)?;
    let verified = parameters.value(Name::CodeVerifier).map(Verified::new).transpose();
    let verified = verified.map_err(Refusal::invalid_request)?;
    let Some(code) = Credential::parse(code.as_bytes()) else {
        return Err(invalid_grant(routes, "the code is not of the form that codes have here"));
    };
    let Some(secret) = routes.random() else { return Err(no_randomness()) };
    let token = Credential::of_grant(code.grant(), secret);
    // The article knows no refresh tokens.
    let may_refresh = client.client().grant_types.refresh_token && names_client(request, parameters);
    let refresh = match may_refresh.then(|| Some((routes.random()?, Family(routes.random()?)))) {
        None => None,
        Some(None) => return Err(no_randomness()),
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
    );
    let refresh = refresh.map(|(token, _)| token);
    Ok(Reply::After(transition, Continuation::Token(Box::new(Pending::Redeem { token, refresh }))))
}

/// RFC 6749, 6.
fn rotate(routes: &Routes, parameters: &Parameters, client: AuthenticatedClient) -> Result<Reply, Refusal> {
    let presented = parameters.required(Name::RefreshToken)?;
    let scope = parameters.value(Name::Scope).map(Scope::parse).transpose();
    let scope =
        scope.map_err(|_| Refusal::new("invalid_scope", "the scope holds a character that no name has"))?;
    let Some(presented) = Credential::parse(presented.as_bytes()) else {
        return Err(invalid_grant(
            routes,
            "the refresh token is not of the form that refresh tokens have here",
        ));
    };
    let Some(salt) = routes.random().map(Salt) else { return Err(no_randomness()) };
    let transition = Transition::rotate(client, &presented, scope, salt, routes.lifetimes.tokens);
    Ok(Reply::After(transition, Continuation::Token(Box::new(Pending::Rotate { presented, salt }))))
}

/// RFC 6749, 4.4.
fn issue(routes: &Routes, parameters: &Parameters, client: AuthenticatedClient) -> Result<Reply, Refusal> {
    let scope = grantable_scope(client.client(), parameters.value(Name::Scope))
        .map_err(|reason| Refusal::new("invalid_scope", reason))?;
    let (Some(grant), Some(secret)) = (routes.random(), routes.random()) else { return Err(no_randomness()) };
    let token = Credential::of_grant(GrantId::new(grant), secret);
    let lifetime = routes.lifetimes.tokens.access_token;
    let transition = Transition::issue(client, scope.clone(), &token, lifetime);
    Ok(Reply::After(transition, Continuation::Token(Box::new(Pending::Issue { token, scope }))))
}

/// Hands out the tokens, if what was presented was good (RFC 6749, 5.1).
pub(super) fn answer(routes: &Routes, pending: Pending, outcome: Applied) -> Response {
    let lifetime = routes.lifetimes.tokens.access_token;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(_) => return unavailable(outcome),
    };
    match (pending, outcome) {
        (Pending::Redeem { token, refresh }, Outcome::Redeemed { scope }) => {
            tokens(&token, refresh.as_ref(), lifetime.as_secs(), &scope)
        }
        (Pending::Issue { token, scope }, Outcome::Granted) => tokens(&token, None, lifetime.as_secs(), &scope),
        (Pending::Rotate { presented, salt }, Outcome::Rotated { family, scope }) => {
            let token = Credential::of_grant(presented.grant(), presented.derive_access_secret(&salt));
            tokens(&token, Some(&successor(&presented, &salt, &family)), lifetime.as_secs(), &scope)
        }
        (Pending::Rotate { presented, salt: own }, Outcome::Repeated { family, salt, scope, expires_in }) => {
            let token_salt = if expires_in.is_some() { &salt } else { &own };
            let token = Credential::of_grant(presented.grant(), presented.derive_access_secret(token_salt));
            let expires_in = expires_in.unwrap_or(lifetime).as_secs();
            tokens(&token, Some(&successor(&presented, &salt, &family)), expires_in, &scope)
        }
        (_, Outcome::TooWide { name }) => {
            let reason =
                format!("the scope {name} was not granted, or the client is no longer registered for it");
            Refusal::new("invalid_scope", reason).into_answer()
        }
        (pending, outcome) => match why_invalid(&pending, &outcome) {
            Some(reason) => invalid_grant(routes, reason).into_answer(),
            None => unavailable(Ok(outcome)),
        },
    }
}

fn successor(presented: &Credential, salt: &Salt, family: &Family) -> Credential {
    Credential::refresh_token(presented.grant(), presented.derive_refresh_secret(salt), family)
}

/// A token is base64url and a scope's name has no quotation mark: nothing in them could end a string.
fn tokens(token: &Credential, refresh: Option<&Credential>, expires_in: u64, scope: &Scope) -> Response {
    // Joined by hand: this is half the article's flow, and formatting costs more than all the rest of it.
    let mut text = String::with_capacity(ANSWER_BYTES + scope.as_str().len());
    text.push_str(r#"{"access_token":""#);
    token.write(&mut text);
    text.push_str(r#"","token_type":"Bearer","expires_in":"#);
    text.push_str(&expires_in.to_string());
    text.push_str(r#","scope":""#);
    text.push_str(scope.as_str());
    if let Some(refresh) = refresh {
        text.push_str(r#"","refresh_token":""#);
        refresh.write(&mut text);
    }
    text.push_str(r#""}"#);
    json::answer(Status::Ok, text)
}

/// Room for an answer with two tokens, but for the scope.
const ANSWER_BYTES: usize = 256;

/// What is wrong with what was presented; `None` for an outcome that it cannot have.
fn why_invalid(pending: &Pending, outcome: &Outcome) -> Option<Cow<'static, str>> {
    let is_code = matches!(pending, Pending::Redeem { .. });
    let reason = match outcome {
        Outcome::Replayed => "the code was used before; its grant is revoked (RFC 6749, 4.1.2)",
        Outcome::Reused => "the refresh token was used before; its grant is revoked (RFC 9700, 4.14.2)",
        Outcome::Burnt(mismatch) => return Some(format!("{mismatch}; the code is good no longer").into()),
        Outcome::Mismatch(mismatch) => return Some(format!("the code was used before, and {mismatch}").into()),
        Outcome::Expired if is_code => "the code has expired",
        Outcome::Expired => "the refresh token has expired",
        Outcome::OtherClient if is_code => "the code is another client's (RFC 6749, 4.1.3)",
        Outcome::OtherClient => "the refresh token is another client's (RFC 6749, 6)",
        Outcome::Unknown if is_code => "the code is not known",
        Outcome::Unknown => "the refresh token is not known",
        Outcome::Lapsed(lapse) => lapse.as_str(),
        _ => return None,
    };
    Some(reason.into())
}

/// One answer for everything that is presented and is not good: which of the reasons it was is for the log
/// alone, unless the server is there to explain.
fn invalid_grant(routes: &Routes, reason: impl Into<Cow<'static, str>>) -> Refusal {
    const GENERAL: &str = "the code or refresh token is wrong, has expired or was used before";
    Refusal {
        description: (!routes.explains_errors).then_some(GENERAL),
        message: Some("Invalid auth token"),
        ..Refusal::new("invalid_grant", reason)
    }
}

const UNAVAILABLE: &str = "the server cannot hand out tokens at the moment; try again";

fn no_randomness() -> Refusal {
    Refusal {
        status: Status::ServiceUnavailable,
        description: Some(UNAVAILABLE),
        ..Refusal::new("temporarily_unavailable", NO_RANDOMNESS)
    }
}

fn unavailable(outcome: Applied) -> Response {
    let (reason, retry_after): (&str, FieldValue) = why_unavailable(&outcome);
    json::error(Status::ServiceUnavailable, UNAVAILABLE, "temporarily_unavailable", UNAVAILABLE)
        .with("Retry-After", retry_after)
        .because(reason)
}
