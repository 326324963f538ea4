//! Client authentication (RFC 6749, 2.3): which client a request comes from, and the proof.
//!
//! A secret that this server made is compared on the spot, by its SHA-256 digest. A secret that a person chose has a
//! slow digest (Argon2id), and may be guessed. So it is compared by a job of the pool, and the endpoint starts over
//! when that has ended: a secret that was right is remembered, and the second time there is no job. A peer that
//! presents too many wrong secrets is refused for a while (`peer_rate.rs`).

use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};

use super::parameters::{Name, Parameters};
use crate::http::form;
use crate::http::{FieldValue, Request, Status};
use crate::oauth::client::{AuthenticatedClient, Credentials, Guess, SecretCheck, Unproven, WRONG_SECRET};
use crate::peer::Peer;
use crate::pool::{Bounds, Owner, PoolError};
use crate::routes::reply::error_response::ErrorResponse;
use crate::routes::settings::Limits;
use crate::routes::shared::AcrossReloads;
use crate::routes::step::{Context, Endpoint, Job, Step};

/// Why an endpoint cannot continue with a request yet, or at all.
pub(crate) enum Stop {
    /// The request is refused.
    Refused(ErrorResponse),
    /// The client's secret must be compared with a slow digest first.
    Unchecked { check: SecretCheck, client_id: Arc<str> },
    /// The peer has presented too many wrong secrets, and must wait this long before it may present another.
    TooManyGuesses(Duration),
}

impl From<ErrorResponse> for Stop {
    fn from(refusal: ErrorResponse) -> Stop {
        Stop::Refused(refusal)
    }
}

impl Stop {
    /// Refuses the request, or has the secret compared and then starts `endpoint` over, which looks everything up
    /// again.
    pub(crate) fn into_step(self, context: &Context, endpoint: Endpoint) -> Step {
        let (check, target) = match self {
            Stop::Refused(refusal) => return Step::Done(refusal.into_response()),
            Stop::TooManyGuesses(wait) => return too_many_guesses(context, wait),
            Stop::Unchecked { check, client_id } => (check, client_id),
        };
        let peer = Peer::of(context.peer);
        let AcrossReloads { guesses, system, secret_checks, .. } = &context.routes.across_reloads;
        let (guesses, system, kind) = (Arc::clone(guesses), Arc::clone(system), *secret_checks);
        let run = move || {
            // Other jobs of the peer may have been wrong while this one waited.
            guesses.check(peer, system.monotonic())?;
            let is_right = check.run();
            if !is_right {
                guesses.note(peer, system.monotonic())?;
            }
            Ok(is_right)
        };
        context.work(Job { kind, owner: Owner { target, peer }, run }, move |context, result| {
            let refusal = match result {
                Ok(Ok(true)) => return endpoint(context),
                Ok(Ok(false)) => invalid_client(context, WRONG_SECRET),
                Ok(Err(wait)) => return too_many_guesses(context, wait),
                Err(PoolError::Panicked) => ErrorResponse {
                    status: Status::InternalServerError,
                    ..ErrorResponse::new("server_error", "the server failed to check the client's secret")
                },
                Err(error) => ErrorResponse {
                    status: Status::ServiceUnavailable,
                    description: Some("the server is too busy to authenticate the client; try again"),
                    ..ErrorResponse::new("temporarily_unavailable", error.as_str())
                },
            };
            Step::Done(refusal.into_response())
        })
    }
}

/// How many secrets may be compared with slow digests at once, and how many may wait.
pub(crate) fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        running_max: limits.secret_checks_running_max,
        waiting_max: limits.secret_checks_waiting_max,
        target_waiting_max: limits.client_secret_checks_waiting_max,
        peer_waiting_max: limits.peer_secret_checks_waiting_max,
    }
}

/// Authenticates the client: by HTTP's Basic scheme, by `client_id` and `client_secret` among its `parameters` or, if
/// it is public, only by its `client_id`.
///
/// # Errors
/// `invalid_client` without proof, and `invalid_request` for two ways at once (RFC 6749, 5.2); 429 for a peer that was
/// wrong too often; and [`Stop::Unchecked`] if the answer takes a job of the pool.
pub(crate) fn authenticate<'a>(
    context: &Context<'a>,
    parameters: &Parameters,
) -> Result<AuthenticatedClient<'a>, Stop> {
    let basic = basic_credentials(context)?;
    let unnamed = context.routes.profile.unnamed_client;
    let (id, secret) = (parameters.value(Name::ClientId), parameters.value(Name::ClientSecret));
    match context.routes.clients.authenticate(&Credentials { basic, id, unnamed, secret }) {
        Ok(client) => Ok(client),
        Err(Unproven::Refused(reason)) => Err(invalid_client(context, reason).into()),
        Err(Unproven::Ambiguous(reason)) => Err(ErrorResponse::invalid_request(reason).into()),
        Err(Unproven::Guess(guess)) => judge(context, &guess),
    }
}

/// Judges a secret that may be a guess, as far as that is possible at once.
///
/// A peer that was wrong too often is refused before its secret is looked at. Otherwise it could keep guessing at a
/// secret that is remembered, at the price of one SHA-256 each. Peers on loopback are an exception: they may be a
/// proxy, and then one sender's wrong guesses must not lock out a client with the right secret.
fn judge<'a>(context: &Context, guess: &Guess<'a>) -> Result<AuthenticatedClient<'a>, Stop> {
    let AcrossReloads { guesses, system, .. } = &context.routes.across_reloads;
    let peer = Peer::of(context.peer);
    let allowed = guesses.check(peer, system.monotonic()).map_err(Stop::TooManyGuesses);
    if !context.peer.to_canonical().is_loopback() {
        allowed?;
        return recall(context, guess, peer);
    }
    match (allowed, guess.recall()) {
        (_, Some(Ok(client))) => Ok(client),
        (Err(stop), _) => Err(stop),
        (Ok(()), _) => recall(context, guess, peer),
    }
}

fn recall<'a>(context: &Context, guess: &Guess<'a>, peer: Peer) -> Result<AuthenticatedClient<'a>, Stop> {
    match guess.recall() {
        Some(Ok(client)) => Ok(client),
        Some(Err(reason)) => {
            let AcrossReloads { guesses, system, .. } = &context.routes.across_reloads;
            guesses.note(peer, system.monotonic()).map_err(Stop::TooManyGuesses)?;
            Err(invalid_client(context, reason).into())
        }
        None => {
            let (check, client_id) = (guess.check().clone(), Arc::clone(guess.client_id()));
            Err(Stop::Unchecked { check, client_id })
        }
    }
}

/// 429 (RFC 6585, 4). RFC 6749 (5.2) has no error for this, and `invalid_client` would tell a client with the right
/// secret that it is wrong.
///
/// The response is delayed. It costs next to nothing, so without a delay the peer could keep asking as fast as the
/// server can answer, and all other clients would queue behind it.
fn too_many_guesses(context: &Context, wait: Duration) -> Step {
    const DESCRIPTION: &str = "too many wrong client secrets have come from this address; try again later";
    let refusal = ErrorResponse {
        status: Status::TooManyRequests,
        description: Some(DESCRIPTION),
        retry_after: Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
        ..ErrorResponse::new("temporarily_unavailable", "the peer has presented too many wrong client secrets")
    };
    context.later(refusal.into_response(), context.routes.limits.refused_guess_delay)
}

/// Whether the request names its client.
pub(crate) fn names_client(request: &Request, parameters: &Parameters) -> bool {
    parameters.value(Name::ClientId).is_some() || request.fields("authorization").next().is_some()
}

/// `invalid_client`. Only the log has the exact reason, unless the server is configured to explain errors.
///
/// The status is 401 for a request with Authorization, as RFC 6749 (5.2) requires, and 400 for all others: a 401 must
/// have a challenge (RFC 9110, 15.5.2), and a browser reacts to the Basic scheme by asking its user for a password.
pub(crate) fn invalid_client(context: &Context, reason: &'static str) -> ErrorResponse {
    const CHALLENGE: FieldValue = FieldValue::literal(r#"Basic realm="client""#);
    const GENERAL: &str = "the client is unknown, or its authentication failed";
    let (status, challenge) = match context.request.fields("authorization").next() {
        Some(_) => (Status::Unauthorized, Some(CHALLENGE)),
        None => (Status::BadRequest, None),
    };
    let description = (!context.routes.explains_errors).then_some(GENERAL);
    ErrorResponse { status, description, challenge, ..ErrorResponse::new("invalid_client", reason) }
}

/// Name and password of the Basic scheme (RFC 7617), if the request has them. Both are form-encoded before they are
/// base64-encoded (RFC 6749, 2.3.1).
fn basic_credentials(context: &Context) -> Result<Option<(String, String)>, ErrorResponse> {
    const BASIC: &[u8] = b"Basic ";
    let Ok(authorization) = context.request.field("authorization") else {
        return Err(ErrorResponse::invalid_request("more than one Authorization"));
    };
    let Some(authorization) = authorization else { return Ok(None) };
    let coded = match authorization.split_at_checked(BASIC.len()) {
        Some((scheme, coded)) if scheme.eq_ignore_ascii_case(BASIC) => coded.trim_ascii(),
        _ => return Err(invalid_client(context, "the scheme of Authorization is not Basic")),
    };
    let malformed = || invalid_client(context, "the Basic credentials are malformed (RFC 7617, 2)");
    let coded = std::str::from_utf8(coded).map_err(|_| malformed())?;
    let pair = Base64::decode_vec(coded).map_err(|_| malformed())?;
    let at = pair.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    let text = |bytes: &[u8]| String::from_utf8(form::decode(bytes).into_owned()).map_err(|_| malformed());
    Ok(Some((text(&pair[..at])?, text(&pair[at + 1..])?)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::oauth::Scope;
    use crate::oauth::client::{Client, ClientOrigin, ClientSource, GrantTypes, SecretDigest};
    use crate::routes::endpoint::token::exchange;
    use crate::routes::step::Completion;
    use crate::routes::step::tests::Harness;

    /// A client that can be forgotten, with a secret that a person chose.
    #[derive(Debug)]
    struct Forgetful(Mutex<Option<Arc<Client>>>);

    impl ClientSource for Forgetful {
        fn find(&self, id: &str) -> Option<Arc<Client>> {
            self.0.lock().unwrap().clone().filter(|client| &*client.id == id)
        }
    }

    fn shop() -> Client {
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let argon2 = argon2::Argon2::from(params);
        let digest = argon2::PasswordHasher::hash_password_with_salt(&argon2, b"secret", &[7; 16]).unwrap();
        Client {
            id: "shop".into(),
            origin: ClientOrigin::Configured,
            name: "Shop".to_owned(),
            redirect_uris: Vec::new(),
            secret: SecretDigest::parse(&digest.to_string()),
            grant_types: GrantTypes { client_credentials: true, ..GrantTypes::default() },
            scope: Scope::default(),
            default_scope: None,
            inspects_all: false,
            default_resource: Default::default(),
        }
    }

    #[test]
    fn a_client_is_looked_up_again_when_its_secret_was_right() {
        for (is_forgotten, status, words) in
            [(false, Status::Ok, "access_token"), (true, Status::BadRequest, "not that of a registered client")]
        {
            let content = "grant_type=client_credentials&client_id=shop&client_secret=secret";
            let request = format!(
                "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: {}\r\n\r\n{content}",
                content.len()
            );
            let source = Arc::new(Forgetful(Mutex::new(Some(Arc::new(shop())))));
            let mut harness = Harness::with_request(true, request.as_bytes());
            let clients = (*harness.routes.clients).clone();
            harness.routes.clients = Arc::new(clients.with_source(Arc::<Forgetful>::clone(&source)));
            let response = harness.run(exchange, |ended| {
                ended.recv_timeout(Duration::from_secs(20)).expect("the secret is compared");
                if is_forgotten {
                    *source.0.lock().unwrap() = None;
                }
                Completion::JobDone
            });
            let text = String::from_utf8_lossy(response.body());
            assert_eq!(response.status, status, "{text}");
            assert!(text.contains(words), "{text}");
        }
    }
}
