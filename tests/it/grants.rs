//! The rules of the grant, on records alone: each operation by example, every order of any two requests, and
//! random sequences by the hundred thousand, held to a model.
//!
//! `GRANT_SEQUENCES=N` tries more of them.

use std::sync::Arc;
use std::time::Duration;

use oauth_from_scratch::crypto::digest::Digest;
use oauth_from_scratch::oauth::authorize::{self, Authorization, AuthorizationRequest};
use oauth_from_scratch::oauth::client::{Client, ClientOrigin, Clients, Credentials, GrantTypes, SecretDigest};
use oauth_from_scratch::oauth::credential::{Family, SECRET_BYTES, Salt};
use oauth_from_scratch::oauth::grant::outcome::{Lapse, Mismatch, TokenKind};
use oauth_from_scratch::oauth::grant::{RecordError, RefreshReuse};
use oauth_from_scratch::oauth::kind::{Record as _, Transition as _, Writer};
use oauth_from_scratch::oauth::pkce::Verified;
use oauth_from_scratch::oauth::redirect::RedirectUri;
use oauth_from_scratch::oauth::resource::{DefaultResource, Resource, Resources};
use oauth_from_scratch::oauth::{
    Change, Credential, Grant, GrantId, Outcome, Profile, ProtectedResource, Scope, Timestamp, TokenLifetimes,
    Transition,
};

use crate::support::random::Random;

mod rules;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const OTHER_VERIFIER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

const CALLBACK: &str = "https://app.example/cb";
const SECOND: Duration = Duration::from_secs(1);
const CODE_LIFETIME: Duration = Duration::from_secs(60);
const FORM_LIFETIME: Duration = Duration::from_secs(600);
const LIFETIMES: TokenLifetimes = TokenLifetimes {
    access_token: Duration::from_secs(300),
    refresh_idle: Duration::from_secs(1000),
    refresh: Duration::from_secs(5000),
    refresh_grace: Duration::from_secs(10),
    refresh_reuse: RefreshReuse::EndsGrant,
};

fn clients() -> Clients {
    let client = |id: &str, secret: Option<&str>, inspects_all| Client {
        id: id.into(),
        origin: ClientOrigin::Configured,
        name: id.to_owned(),
        redirect_uris: vec![RedirectUri::parse(CALLBACK).unwrap()],
        secret: secret.map(SecretDigest::of),
        grant_types: GrantTypes { authorization_code: true, refresh_token: true, client_credentials: true },
        scope: Scope::parse("a b c").unwrap(),
        default_scope: None,
        inspects_all,
        default_resource: Default::default(),
    };
    Clients::new([
        client("app", None, false),
        client("other", Some("s"), false),
        client("server", Some("s"), true),
    ])
}

/// A grant's world: one record, a clock, and everything that was handed out.
struct World {
    clients: Arc<Clients>,
    record: Option<Grant>,
    now: Timestamp,
    drawn: u8,
    code: Credential,
    lifetimes: TokenLifetimes,
}

/// What a client got.
#[derive(Clone, Debug)]
struct Tokens {
    access: Credential,
    refresh: Credential,
    scope: Scope,
}

/// How a code is presented.
#[derive(Clone, Copy)]
struct Presentation {
    client: &'static str,
    redirect_uri: Option<&'static str>,
    verifier: Option<&'static str>,
}

const RIGHT: Presentation =
    Presentation { client: "app", redirect_uri: Some(CALLBACK), verifier: Some(VERIFIER) };

impl World {
    /// With a code that has been handed out to `app`, for the scope `a b`, bound to a challenge.
    fn new() -> World {
        let mut world = World::empty();
        assert_eq!(world.grant(), Outcome::Granted);
        world
    }

    fn empty() -> World {
        let code = Credential::of_grant(GrantId::new([1; 15]), [1; SECRET_BYTES]);
        let now = Timestamp::from_milliseconds(1_000_000);
        World { clients: Arc::new(clients()), record: None, now, drawn: 1, code, lifetimes: LIFETIMES }
    }

    fn apply(&mut self, transition: &Transition) -> Outcome {
        let (change, outcome) = transition.apply(self.record.as_ref(), self.now);
        match change {
            Change::Keep => {}
            Change::Put(grant) => self.record = Some(written_and_read(&grant)),
            Change::Forget => self.record = None,
        }
        outcome
    }

    fn draw(&mut self) -> u8 {
        self.drawn = self.drawn.checked_add(1).expect("few draws");
        self.drawn
    }

    fn authorization(&self) -> Authorization<'_> {
        let parameters = AuthorizationRequest {
            response_type: Some("code"),
            client_id: Some("app"),
            redirect_uri: Some(CALLBACK),
            scope: Some("a b"),
            code_challenge: Some(CHALLENGE),
            code_challenge_method: Some("S256"),
            ..AuthorizationRequest::default()
        };
        authorize::check(&self.clients, &Profile::strict(), &parameters).expect("a sound request")
    }

    fn grant(&mut self) -> Outcome {
        let kept_until = Some(Timestamp::from_milliseconds(1_000_000).after(FORM_LIFETIME));
        let transition =
            Transition::permit(self.authorization(), "owner".into(), &self.code, CODE_LIFETIME, kept_until);
        self.apply(&transition)
    }

    fn deny(&mut self) -> Outcome {
        let kept_until = Some(Timestamp::from_milliseconds(1_000_000).after(FORM_LIFETIME));
        let transition = Transition::deny(&self.authorization(), "owner".into(), self.code.grant(), kept_until);
        self.apply(&transition)
    }

    fn transition_to_redeem(&mut self, code: &Credential, presentation: Presentation) -> (Transition, Tokens) {
        let (access, refresh, family) = (self.draw(), self.draw(), self.draw());
        let family = Family([family; 16]);
        let tokens = Tokens {
            access: Credential::of_grant(code.grant(), [access; SECRET_BYTES]),
            refresh: Credential::refresh_token(code.grant(), [refresh; SECRET_BYTES], &family),
            scope: Scope::parse("a b").unwrap(),
        };
        let Presentation { client, redirect_uri, verifier } = presentation;
        let verified = verifier.map(|verifier| Verified::new(verifier).unwrap());
        let client = authenticate(&self.clients, client);
        let refresh = Some((&tokens.refresh, family));
        let transition =
            Transition::redeem(client, code, redirect_uri, verified, &tokens.access, refresh, self.lifetimes);
        (transition, tokens)
    }

    fn redeem(&mut self, presentation: Presentation) -> Result<Tokens, Outcome> {
        let code = self.code.clone();
        let (transition, tokens) = self.transition_to_redeem(&code, presentation);
        match self.apply(&transition) {
            Outcome::Redeemed { scope } => {
                assert_eq!(scope, tokens.scope);
                Ok(tokens)
            }
            outcome => Err(outcome),
        }
    }

    fn transition_to_rotate(
        &mut self,
        client: &str,
        refresh: &Credential,
        scope: Option<&str>,
    ) -> (Transition, Salt) {
        let salt = Salt([self.draw(); 32]);
        let scope = scope.map(|scope| Scope::parse(scope).unwrap());
        let client = authenticate(&self.clients, client);
        (Transition::rotate(client, refresh, &refresh.successors(salt), scope, self.lifetimes), salt)
    }

    fn rotate_as(
        &mut self,
        client: &str,
        refresh: &Credential,
        scope: Option<&str>,
    ) -> Result<Tokens, Outcome> {
        let (transition, salt) = self.transition_to_rotate(client, refresh, scope);
        let outcome = self.apply(&transition);
        tokens_of(refresh, salt, outcome)
    }

    fn rotate(&mut self, refresh: &Credential) -> Result<Tokens, Outcome> {
        self.rotate_as("app", refresh, None)
    }

    /// Applies `transition`, whose answer does not reach the client.
    fn lose_answer_to(&mut self, transition: &Transition) -> Outcome {
        let outcome = self.apply(transition);
        let withdrawal = transition.withdrawal().expect("a redemption or rotation");
        assert!(!withdrawal.is_read_only() && !withdrawal.is_new());
        self.apply(&withdrawal);
        // It may be noted by the store and by the connection.
        assert_eq!(self.apply(&withdrawal), Outcome::Unknown, "once is enough");
        outcome
    }

    fn check(&mut self, token: &Credential, needed: Option<&str>) -> Outcome {
        let resource = ProtectedResource {
            clients: Arc::clone(&self.clients),
            scope: Scope::parse(needed.unwrap_or_default()).unwrap(),
            accepts_unaddressed: true,
            ..ProtectedResource::default()
        };
        self.apply(&Transition::check(token, Arc::new(resource)))
    }

    fn is_active(&mut self, token: &Credential) -> bool {
        self.check(token, None) == Outcome::Active
    }

    fn inspect_as(&mut self, client: &str, token: &Credential) -> Outcome {
        let transition =
            Transition::inspect(authenticate(&self.clients, client), token, Arc::clone(&self.clients));
        self.apply(&transition)
    }

    fn revoke_as(&mut self, client: &str, token: &Credential) -> Outcome {
        let transition = Transition::revoke(authenticate(&self.clients, client), token);
        self.apply(&transition)
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }
}

/// The grant as a store would give it back that keeps bytes: so every test here is one of the record's, too.
fn written_and_read(grant: &Grant) -> Grant {
    let bytes = grant.encode();
    let read = Grant::decode(&bytes).expect("what was written can be read");
    assert_eq!(read.encode(), bytes, "and is written the same again");
    assert_eq!(read.expires(), grant.expires());
    read
}

fn authenticate<'a>(
    clients: &'a Clients,
    id: &str,
) -> oauth_from_scratch::oauth::client::AuthenticatedClient<'a> {
    let secret = (id != "app").then_some("s");
    clients.authenticate(&Credentials { id: Some(id), secret, ..Credentials::default() }).expect("its secret")
}

/// What a client makes of the outcome of a rotation.
fn tokens_of(presented: &Credential, own: Salt, outcome: Outcome) -> Result<Tokens, Outcome> {
    let (access_salt, salt, family, scope) = match outcome {
        Outcome::Rotated { family, scope } => (own, own, family, scope),
        Outcome::Repeated { family, salt, scope, expires_in: Some(_) } => (salt, salt, family, scope),
        Outcome::Repeated { family, salt, scope, expires_in: None } => (own, salt, family, scope),
        outcome => return Err(outcome),
    };
    let access = presented.successors(access_salt).access_token().clone();
    let refresh = presented.successors(salt).refresh_token(&family);
    Ok(Tokens { access, refresh, scope })
}

/// The outcome for a token that has this scope, and needs more.
fn too_narrow(scope: &str) -> Outcome {
    Outcome::TooNarrow { scope: Scope::parse(scope).unwrap() }
}

#[test]
fn a_code_buys_tokens_and_the_tokens_work() {
    let mut world = World::new();
    let code = world.code.clone();
    assert!(!world.is_active(&code), "a code is no token");
    let tokens = world.redeem(RIGHT).expect("a good code");
    assert!(world.is_active(&tokens.access));
    assert!(!world.is_active(&tokens.refresh), "a refresh token opens nothing");
    assert_eq!(world.check(&tokens.access, Some("b")), Outcome::Active);
    assert_eq!(world.check(&tokens.access, Some("c")), too_narrow("a b"));
    assert!(matches!(world.rotate(&tokens.access), Err(Outcome::Unknown)), "an access token refreshes nothing");
}

#[test]
fn a_wrong_code_changes_nothing() {
    let mut world = World::new();
    let wrong = Credential::of_grant(world.code.grant(), [9; SECRET_BYTES]);
    let (transition, _) = world.transition_to_redeem(&wrong, RIGHT);
    assert_eq!(world.apply(&transition), Outcome::Unknown);
    let tokens = world.redeem(RIGHT).expect("the right one still works");
    let (transition, _) = world.transition_to_redeem(&wrong, RIGHT);
    assert_eq!(world.apply(&transition), Outcome::Unknown);
    assert!(world.is_active(&tokens.access), "and its token is not revoked by a wrong one");
}

#[test]
fn a_code_works_until_the_last_millisecond_of_its_minute() {
    let mut world = World::new();
    world.wait(CODE_LIFETIME - Duration::from_millis(1));
    assert!(world.redeem(RIGHT).is_ok());
    let mut world = World::new();
    world.wait(CODE_LIFETIME);
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Expired));
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Unknown));
}

#[test]
fn a_code_that_does_not_come_with_what_it_is_bound_to_is_burnt() {
    let check = |presentation: Presentation, mismatch: Mismatch| {
        let mut world = World::new();
        assert_eq!(world.redeem(presentation).err(), Some(Outcome::Burnt(mismatch)));
        assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Unknown), "one guess, and no more: {mismatch}");
    };
    check(Presentation { verifier: Some(OTHER_VERIFIER), ..RIGHT }, Mismatch::Verifier);
    check(Presentation { verifier: None, ..RIGHT }, Mismatch::VerifierMissing);
    check(Presentation { redirect_uri: Some("https://app.example/cb/"), ..RIGHT }, Mismatch::RedirectUri);
    let mut world = World::new();
    assert!(world.redeem(Presentation { redirect_uri: None, ..RIGHT }).is_ok(), "OAuth 2.1, 10.2");
}

/// Only the article's request has no challenge; it may name its redirect URI all the same.
#[test]
fn a_code_without_a_challenge_is_bound_to_its_redirect_uri() {
    let check = |named: Option<&str>, presented: Option<&'static str>, verifier, expected: Option<Mismatch>| {
        let mut world = World::empty();
        world.clients = Arc::new(Clients::new(clients().iter().cloned()));
        let parameters = AuthorizationRequest { redirect_uri: named, ..AuthorizationRequest::default() };
        let authorization = authorize::check(&world.clients, &Profile::demo("app"), &parameters)
            .expect("the article's request");
        let transition = Transition::permit(authorization, "owner".into(), &world.code, CODE_LIFETIME, None);
        assert_eq!(world.apply(&transition), Outcome::Granted);
        let presentation = Presentation { client: "app", redirect_uri: presented, verifier };
        let code = world.code.clone();
        let (transition, _) = world.transition_to_redeem(&code, presentation);
        match (world.apply(&transition), expected) {
            (Outcome::Redeemed { .. }, None) => {}
            (Outcome::Burnt(found), Some(expected)) if found == expected => {}
            (outcome, _) => panic!("named {named:?}, presented {presented:?}, {verifier:?}: {outcome:?}"),
        }
    };
    check(Some(CALLBACK), Some(CALLBACK), None, None);
    check(Some(CALLBACK), None, None, Some(Mismatch::RedirectUriMissing));
    check(Some(CALLBACK), Some("https://app.example/cb/"), None, Some(Mismatch::RedirectUri));
    check(None, None, None, None);
    check(None, Some(CALLBACK), None, None);
    check(None, Some("https://app.example/cb/"), None, Some(Mismatch::RedirectUri));
    // A verifier does not stand in for it: no challenge binds the code.
    check(Some(CALLBACK), None, Some(VERIFIER), Some(Mismatch::RedirectUriMissing));
}

#[test]
fn another_client_changes_nothing() {
    let mut world = World::new();
    for verifier in [Some(VERIFIER), Some(OTHER_VERIFIER), None] {
        let presentation = Presentation { client: "other", verifier, ..RIGHT };
        assert_eq!(world.redeem(presentation).err(), Some(Outcome::OtherClient));
    }
    let tokens = world.redeem(RIGHT).expect("its own client's");
    assert_eq!(world.redeem(Presentation { client: "other", ..RIGHT }).err(), Some(Outcome::OtherClient));
    assert_eq!(world.rotate_as("other", &tokens.refresh, None).err(), Some(Outcome::OtherClient));
    assert_eq!(world.revoke_as("other", &tokens.access), Outcome::OtherClient);
    assert_eq!(world.revoke_as("other", &tokens.refresh), Outcome::OtherClient);
    assert!(world.is_active(&tokens.access));
    assert!(world.rotate(&tokens.refresh).is_ok());
}

#[test]
fn a_second_valid_use_of_a_code_revokes_all_its_tokens() {
    let mut world = World::new();
    let first = world.redeem(RIGHT).unwrap();
    let second = world.rotate(&first.refresh).unwrap();
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Replayed));
    assert!(!world.is_active(&first.access) && !world.is_active(&second.access));
    assert!(world.rotate(&second.refresh).is_err());
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Unknown));
}

/// A store may keep a record longer than it is good for anything.
#[test]
fn a_code_replayed_after_its_tokens_expired_is_just_expired() {
    let mut world = World::new();
    world.redeem(RIGHT).unwrap();
    let expires = world.record.as_ref().expect("a record").expires();
    world.now = Timestamp::from_milliseconds(expires.as_milliseconds() - 1);
    let (before, record) = (world.now, world.record.clone());
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Replayed));
    (world.now, world.record) = (before.after(Duration::from_millis(1)), record);
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Expired));
    assert!(world.record.is_none());
}

#[test]
fn a_second_invalid_use_of_a_code_ends_nothing() {
    let mut world = World::new();
    let tokens = world.redeem(RIGHT).unwrap();
    for verifier in [None, Some(OTHER_VERIFIER)] {
        let outcome = world.redeem(Presentation { verifier, ..RIGHT }).err().unwrap();
        assert!(matches!(outcome, Outcome::Mismatch(_)), "{outcome:?}");
    }
    assert!(world.is_active(&tokens.access) && world.rotate(&tokens.refresh).is_ok());
}

#[test]
fn the_same_answer_gives_the_same_code_while_it_is_unspent() {
    let mut world = World::new();
    world.wait(CODE_LIFETIME - Duration::from_millis(1));
    assert_eq!(world.grant(), Outcome::GrantedAgain);
    let other = Credential::of_grant(world.code.grant(), [2; SECRET_BYTES]);
    let own = std::mem::replace(&mut world.code, other);
    assert_eq!(world.grant(), Outcome::Taken, "another code of the same grant");
    world.code = own;
    assert!(world.redeem(RIGHT).is_ok(), "the second answer changed nothing");
    assert_eq!(world.grant(), Outcome::Taken, "it is spent");

    let mut world = World::new();
    world.wait(CODE_LIFETIME);
    assert_eq!(world.grant(), Outcome::Taken, "it has expired, and its minute does not begin again");

    let mut world = World::empty();
    assert_eq!(world.deny(), Outcome::Denied);
    assert_eq!(world.deny(), Outcome::Denied);
    assert_eq!(world.grant(), Outcome::Taken);
}

#[test]
fn a_form_works_once_whatever_became_of_its_answer() {
    let mut world = World::new();
    assert_eq!(world.deny(), Outcome::Taken);
    assert!(world.redeem(Presentation { verifier: None, ..RIGHT }).is_err());
    assert_eq!(world.grant(), Outcome::Taken, "its code was burnt");

    let mut world = World::new();
    world.wait(CODE_LIFETIME);
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Expired));
    assert_eq!(world.grant(), Outcome::Taken, "its code expired");

    let mut world = World::new();
    let tokens = world.redeem(RIGHT).unwrap();
    assert_eq!(world.revoke_as("app", &tokens.refresh), Outcome::Revoked);
    assert_eq!(world.grant(), Outcome::Taken, "its tokens were revoked");

    let mut world = World::empty();
    assert_eq!(world.deny(), Outcome::Denied);
    assert_eq!(world.grant(), Outcome::Taken, "it was refused");
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Unknown));
}

#[test]
fn a_refresh_token_is_rotated_at_every_use() {
    let mut world = World::new();
    let mut tokens = world.redeem(RIGHT).unwrap();
    for _ in 0..20 {
        let next = world.rotate(&tokens.refresh).expect("the current one");
        assert_ne!(next.refresh.encode(), tokens.refresh.encode());
        assert!(world.is_active(&next.access));
        world.wait(11 * SECOND);
        tokens = next;
    }
}

#[test]
fn every_retry_within_the_grace_gets_the_same_successor() {
    let mut world = World::new();
    let first = world.redeem(RIGHT).unwrap();
    let second = world.rotate(&first.refresh).unwrap();
    for _ in 0..9 {
        world.wait(SECOND);
        let again = world.rotate(&first.refresh).expect("a retry");
        assert_eq!(again.refresh.encode(), second.refresh.encode());
        assert_eq!(again.access.encode(), second.access.encode());
    }
    let third = world.rotate(&second.refresh).expect("one active refresh token is left");
    assert!(world.is_active(&third.access));
    assert_eq!(world.rotate(&first.refresh).err(), Some(Outcome::Reused), "no longer the last");
    assert!(!world.is_active(&third.access));
}

#[test]
fn reuse_after_the_grace_window_revokes_the_grant() {
    let mut world = World::new();
    let first = world.redeem(RIGHT).unwrap();
    let second = world.rotate(&first.refresh).unwrap();
    world.wait(10 * SECOND - Duration::from_millis(1));
    assert!(world.rotate(&first.refresh).is_ok());
    world.wait(Duration::from_millis(1));
    assert_eq!(world.rotate(&first.refresh).err(), Some(Outcome::Reused));
    assert!(!world.is_active(&second.access));
    assert!(world.rotate(&second.refresh).is_err());
}

/// Outages of an instant, of less than a grace window, and up to ten minutes.
const OUTAGES: [Duration; 6] = [
    Duration::ZERO,
    SECOND,
    Duration::from_secs(12),
    Duration::from_secs(59),
    Duration::from_secs(61),
    Duration::from_secs(600),
];

#[test]
fn an_unconfirmed_redemption_can_be_repeated_until_it_expires() {
    for outage in OUTAGES {
        let mut world = World::new();
        let (lost, never_seen) = world.transition_to_redeem(&world.code.clone(), RIGHT);
        world.lose_answer_to(&lost);
        world.wait(outage);
        if outage >= CODE_LIFETIME {
            assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Expired), "{outage:?}");
            continue;
        }
        let tokens = world.redeem(RIGHT).expect("the same proofs");
        assert!(world.is_active(&tokens.access), "{outage:?}");
        assert!(!world.is_active(&never_seen.access), "{outage:?}: one set of tokens for one code");
        assert!(world.rotate(&never_seen.refresh).is_err(), "{outage:?}");
        // This one was delivered, so from now on it is judged.
        assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Replayed), "{outage:?}");
        assert!(!world.is_active(&tokens.access));
    }
}

#[test]
fn a_code_whose_answer_never_left_still_needs_its_proofs() {
    let check = |presentation: Presentation, outcome: Outcome| {
        let mut world = World::new();
        let (lost, _) = world.transition_to_redeem(&world.code.clone(), RIGHT);
        world.lose_answer_to(&lost);
        assert_eq!(world.redeem(presentation).err(), Some(outcome));
    };
    check(Presentation { verifier: Some(OTHER_VERIFIER), ..RIGHT }, Outcome::Burnt(Mismatch::Verifier));
    check(Presentation { verifier: None, ..RIGHT }, Outcome::Burnt(Mismatch::VerifierMissing));
    check(Presentation { client: "other", ..RIGHT }, Outcome::OtherClient);
}

#[test]
fn an_unconfirmed_rotation_can_be_repeated_until_it_expires() {
    for outage in OUTAGES {
        let mut world = World::new();
        let first = world.redeem(RIGHT).unwrap();
        let (lost, salt) = world.transition_to_rotate("app", &first.refresh, None);
        let outcome = world.lose_answer_to(&lost);
        let stored = tokens_of(&first.refresh, salt, outcome).unwrap();
        world.wait(outage);
        let second = world.rotate(&first.refresh).expect("the same proofs");
        assert!(world.is_active(&second.access), "{outage:?}");
        assert_eq!(second.refresh.encode(), stored.refresh.encode(), "{outage:?}: one family");
        // Its time runs from now: a retry within the grace window, and a reuse after it.
        world.wait(9 * SECOND);
        assert!(world.rotate(&first.refresh).is_ok(), "{outage:?}");
        world.wait(SECOND);
        assert_eq!(world.rotate(&first.refresh).err(), Some(Outcome::Reused), "{outage:?}");
    }
}

#[test]
fn an_answer_that_is_withdrawn_too_late_changes_nothing() {
    let mut world = World::new();
    let (redeem, first) = world.transition_to_redeem(&world.code.clone(), RIGHT);
    world.apply(&redeem);
    let (rotate, salt) = world.transition_to_rotate("app", &first.refresh, None);
    let outcome = world.apply(&rotate);
    let second = tokens_of(&first.refresh, salt, outcome).unwrap();
    assert_eq!(world.apply(&redeem.withdrawal().unwrap()), Outcome::Unknown, "its refresh token was used");
    world.rotate(&second.refresh).expect("the current one");
    assert_eq!(world.apply(&rotate.withdrawal().unwrap()), Outcome::Unknown, "its successor was used");
    let before = world.record.clone();
    assert_eq!(world.rotate(&first.refresh).err(), Some(Outcome::Reused));
    world.record = before;
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Replayed));
}

/// While its credential is unspent, a withdrawn write that is still under way would fit the grant.
#[test]
fn a_withdrawal_forestalls_its_write_only_while_that_fits() {
    let mut world = World::new();
    let check = |world: &World, withdrawal: &Transition, expected: bool, when: &str| {
        let record = world.record.clone().expect("a grant");
        let other = withdrawal.forestalled(&record);
        assert_eq!(other.is_some_and(|other| other.encode() != record.encode()), expected, "{when}");
    };
    let (redeem, first) = world.transition_to_redeem(&world.code.clone(), RIGHT);
    let (retry, second) = world.transition_to_redeem(&world.code.clone(), RIGHT);
    let [of_first, of_retry] = [&redeem, &retry].map(|redeem| redeem.withdrawal().expect("it issues tokens"));
    check(&world, &redeem, false, "a redemption is no withdrawal");
    check(&world, &of_first, true, "the code is unspent");
    world.apply(&redeem);
    check(&world, &of_retry, false, "another response has spent the code");
    assert_eq!(world.apply(&of_first), Outcome::Withdrawn);
    check(&world, &of_first, false, "its response is noted");
    check(&world, &of_retry, true, "the code may be redeemed again");
    world.apply(&retry);
    drop(first);
    let (rotate, _) = world.transition_to_rotate("app", &second.refresh, None);
    let of_rotation = rotate.withdrawal().expect("it issues tokens");
    check(&world, &of_rotation, true, "the refresh token is the current one");
    world.apply(&rotate);
    check(&world, &of_rotation, false, "its response is there");
    assert_eq!(world.apply(&of_rotation), Outcome::Withdrawn);
    check(&world, &of_rotation, false, "its response is noted");
}

#[test]
fn a_writer_is_asked_only_where_its_word_decides() {
    let writer = Writer { server: 7, serial: 9 };
    let mut world = World::new();
    let (mut redeem, first) = world.transition_to_redeem(&world.code.clone(), RIGHT);
    redeem.set_writer(writer);
    world.apply(&redeem);
    let doubt = |world: &World, transition: &Transition| transition.doubt(world.record.as_ref(), world.now);
    let (replay, tokens) = world.transition_to_redeem(&world.code.clone(), RIGHT);
    assert_eq!(doubt(&world, &replay), Some(writer), "a replay, or a retry");
    let wrong = Presentation { verifier: Some(OTHER_VERIFIER), ..RIGHT };
    let (guess, _) = world.transition_to_redeem(&world.code.clone(), wrong);
    assert_eq!(doubt(&world, &guess), None, "without the proofs it changes nothing");
    let (mut rotate, _) = world.transition_to_rotate("app", &first.refresh, None);
    rotate.set_writer(Writer { serial: 10, ..writer });
    assert_eq!(doubt(&world, &rotate), None, "the current refresh token");
    let (change, outcome) = replay.apply_after_failure(world.record.as_ref(), world.now);
    assert!(matches!((change, outcome), (Change::Put(_), Outcome::Redeemed { .. })), "{tokens:?}");
    world.apply(&rotate);
    assert_eq!(doubt(&world, &replay), None, "a rotation shows that the first answer arrived");
    let (retry, _) = world.transition_to_rotate("app", &first.refresh, None);
    assert_eq!(doubt(&world, &retry), None, "within the grace window");
    world.wait(60 * SECOND);
    assert_eq!(doubt(&world, &retry), Some(Writer { serial: 10, ..writer }));
    let (_, outcome) = retry.apply_after_failure(world.record.as_ref(), world.now);
    assert!(matches!(outcome, Outcome::Repeated { .. }), "{outcome:?}");
    assert_eq!(world.apply(&retry), Outcome::Reused, "as it is judged without a word of the writer");
}

#[test]
fn until_successor_used_gives_a_retry_a_fresh_successor() {
    let mut world = World::new();
    world.lifetimes.refresh_reuse = RefreshReuse::UntilSuccessorUsed;
    let first = world.redeem(RIGHT).unwrap();
    let lost = world.rotate(&first.refresh).unwrap();
    for _ in 0..3 {
        world.wait(60 * SECOND);
        let fresh = world.rotate(&first.refresh).expect("its successor is unused");
        assert_ne!(fresh.refresh.encode(), lost.refresh.encode());
        let again = world.rotate(&first.refresh).expect("a retry within the grace window");
        assert_eq!(again.refresh.encode(), fresh.refresh.encode());
    }
    assert_eq!(world.rotate(&lost.refresh).err(), Some(Outcome::Reused), "the successor that was replaced");
    assert_eq!(world.rotate(&first.refresh).err(), Some(Outcome::Unknown));
}

/// A thief and the client hold the same refresh token. Each presents what it got last, in every order, always
/// after the grace window, and any answer may be lost on its way. Whichever goes on second, with a token that it
/// got after the theft, finds the grant over: they never go on side by side.
#[test]
fn of_a_thief_and_the_client_the_second_to_go_on_ends_the_grant() {
    const LENGTH: u32 = 6;
    let mut ended = 0;
    for reuse in [RefreshReuse::EndsGrant, RefreshReuse::UntilSuccessorUsed] {
        for order in 0..4_usize.pow(LENGTH) {
            let mut world = World::new();
            world.lifetimes = TokenLifetimes {
                refresh_reuse: reuse,
                refresh_idle: Duration::from_secs(100_000),
                refresh: Duration::from_secs(100_000),
                ..LIFETIMES
            };
            let stolen = world.redeem(RIGHT).unwrap().refresh;
            let mut held = [stolen.clone(), stolen.clone()];
            let mut has_gone_on = [false; 2];
            for step in 0..LENGTH {
                let action = order / 4_usize.pow(step) % 4;
                let (who, is_lost) = (action & 1, action & 2 != 0);
                world.wait(LIFETIMES.refresh_grace);
                let presented = held[who].clone();
                let (rotate, salt) = world.transition_to_rotate("app", &presented, None);
                let outcome = world.apply(&rotate);
                let Ok(tokens) = tokens_of(&presented, salt, outcome) else {
                    ended += 1;
                    break;
                };
                has_gone_on[who] |= presented.encode() != stolen.encode();
                assert_ne!(has_gone_on, [true, true], "{reuse:?}: order {order:o}, step {step}");
                if is_lost {
                    drop(world.apply(&rotate.withdrawal().unwrap()))
                } else {
                    held[who] = tokens.refresh
                }
            }
        }
    }
    assert!(ended > 5_000, "most orders end the grant: {ended}");
}

#[test]
fn a_refresh_token_that_was_made_up_revokes_nothing() {
    let mut world = World::new();
    let tokens = world.redeem(RIGHT).unwrap();
    // An access token has the grant's name in it.
    for byte in 100..150 {
        let made_up =
            Credential::refresh_token(tokens.access.grant(), [byte; SECRET_BYTES], &Family([byte; 16]));
        assert_eq!(world.rotate(&made_up).err(), Some(Outcome::Unknown));
    }
    assert!(world.is_active(&tokens.access) && world.rotate(&tokens.refresh).is_ok());
}

#[test]
fn scope_may_narrow_for_one_access_token_and_never_widens() {
    let mut world = World::new();
    let first = world.redeem(RIGHT).unwrap();
    let outcome = world.rotate_as("app", &first.refresh, Some("a c")).err();
    assert_eq!(outcome, Some(Outcome::TooWide { name: "c".into() }), "c is the client's, but was not granted");
    let narrow = world.rotate_as("app", &first.refresh, Some("a")).expect("the refusal did not spend it");
    assert_eq!(narrow.scope.as_str(), "a");
    assert_eq!(world.check(&narrow.access, Some("b")), too_narrow("a"));
    // A retry that asks for more gets a token of its own, and the same successor.
    let wider = world.rotate(&first.refresh).unwrap();
    assert_eq!(wider.refresh.encode(), narrow.refresh.encode());
    assert_eq!(world.check(&wider.access, Some("b")), Outcome::Active);
    assert_eq!(world.check(&narrow.access, Some("b")), too_narrow("a"));
    let next = world.rotate(&narrow.refresh).unwrap();
    assert_eq!(next.scope.as_str(), "a b", "the refresh token was not narrowed");
}

#[test]
fn a_refresh_token_has_an_idle_and_an_absolute_lifetime() {
    let mut world = World::new();
    let tokens = world.redeem(RIGHT).unwrap();
    world.wait(LIFETIMES.refresh_idle);
    assert_eq!(world.rotate(&tokens.refresh).err(), Some(Outcome::Expired));

    let mut world = World::new();
    let mut tokens = world.redeem(RIGHT).unwrap();
    for _ in 0..5 {
        world.wait(LIFETIMES.refresh_idle - SECOND);
        tokens = world.rotate(&tokens.refresh).expect("it was used in time");
    }
    world.wait(5 * SECOND);
    assert_eq!(world.rotate(&tokens.refresh).err(), Some(Outcome::Expired));
    assert!(world.is_active(&tokens.access), "the last access token has its own time");
}

#[test]
fn a_token_ends_with_its_lifetime() {
    let mut world = World::new();
    let tokens = world.redeem(RIGHT).unwrap();
    world.wait(LIFETIMES.access_token - Duration::from_millis(1));
    assert!(world.is_active(&tokens.access));
    world.wait(Duration::from_millis(1));
    assert!(!world.is_active(&tokens.access));
    assert_eq!(world.inspect_as("server", &tokens.access), Outcome::Inactive);
    world.wait(LIFETIMES.refresh_idle - LIFETIMES.access_token - Duration::from_millis(1));
    assert!(
        matches!(world.inspect_as("server", &tokens.refresh), Outcome::Described(_)),
        "its last millisecond"
    );
    world.wait(Duration::from_millis(1));
    assert_eq!(world.inspect_as("server", &tokens.refresh), Outcome::Inactive);
}

#[test]
fn an_access_token_that_has_expired_takes_no_room_in_the_record() {
    let mut world = World::new();
    let mut tokens = world.redeem(RIGHT).unwrap();
    let mut bytes = Vec::new();
    for _ in 0..4 {
        world.wait(LIFETIMES.access_token);
        tokens = world.rotate(&tokens.refresh).unwrap();
        bytes.push(world.record.as_ref().expect("a record").encode().len());
    }
    assert!(bytes.iter().all(|count| *count == bytes[0]), "{bytes:?}");
}

#[test]
fn a_grant_has_so_many_access_tokens_at_a_time_and_no_more() {
    let mut world = World::new();
    let mut tokens = vec![world.redeem(RIGHT).unwrap()];
    for _ in 0..oauth_from_scratch::oauth::grant::ACCESS_TOKENS_MAX {
        let refresh = tokens.last().unwrap().refresh.clone();
        tokens.push(world.rotate(&refresh).unwrap());
    }
    let active = tokens.iter().map(|tokens| world.is_active(&tokens.access)).collect::<Vec<_>>();
    assert!(!active[0] && active[1..].iter().all(|active| *active), "the oldest made room: {active:?}");
}

#[test]
fn revoking_a_refresh_token_ends_the_grant_an_access_token_not() {
    let mut world = World::new();
    let first = world.redeem(RIGHT).unwrap();
    let second = world.rotate(&first.refresh).unwrap();
    assert_eq!(world.revoke_as("app", &first.access), Outcome::Revoked);
    assert!(!world.is_active(&first.access) && world.is_active(&second.access));
    assert_eq!(world.revoke_as("app", &first.access), Outcome::Unknown);
    let retried = world.rotate(&first.refresh).expect("the grant lives");
    assert_eq!(retried.access.encode(), second.access.encode());
    assert_eq!(world.revoke_as("app", &second.access), Outcome::Revoked);
    let retried = world.rotate(&first.refresh).expect("the grant lives");
    assert!(world.is_active(&retried.access), "a retry does not hand out a token that was revoked");
    assert_eq!(world.revoke_as("app", &second.refresh), Outcome::Revoked);
    assert!(!world.is_active(&retried.access) && world.rotate(&second.refresh).is_err());
}

#[test]
fn revoking_an_old_refresh_token_ends_the_grant() {
    let mut world = World::new();
    let first = world.redeem(RIGHT).unwrap();
    let second = world.rotate(&first.refresh).unwrap();
    let third = world.rotate(&second.refresh).unwrap();
    assert_eq!(world.revoke_as("app", &first.refresh), Outcome::Revoked);
    assert!(!world.is_active(&third.access));
}

#[test]
fn the_clients_present_registration_bounds_its_old_grants() {
    let registered = |change: &dyn Fn(&mut Client)| {
        let mut clients: Vec<Client> = clients().iter().cloned().collect();
        clients.iter_mut().filter(|client| &*client.id == "app").for_each(change);
        Arc::new(Clients::new(clients))
    };
    let narrow = registered(&|client| client.scope = Scope::parse("c b").unwrap());
    let none = registered(&|client| client.scope = Scope::parse("c").unwrap());
    let elsewhere = registered(&|client| {
        client.redirect_uris = vec![RedirectUri::parse("https://app.example/cb/2").unwrap()];
    });
    let without_codes = registered(&|client| client.grant_types.authorization_code = false);
    let without_refresh = registered(&|client| client.grant_types.refresh_token = false);
    let gone = Arc::new(Clients::new(clients().iter().filter(|client| &*client.id != "app").cloned()));

    // A code that may not be redeemed is not spent; with everything back, it is as good as it was.
    for (clients, lapse) in
        [(&none, Lapse::Scope), (&elsewhere, Lapse::RedirectUri), (&without_codes, Lapse::GrantType)]
    {
        let mut world = World::new();
        let all = std::mem::replace(&mut world.clients, Arc::clone(clients));
        assert_eq!(world.redeem(RIGHT).unwrap_err(), Outcome::Lapsed(lapse));
        world.clients = all;
        let tokens = world.redeem(RIGHT).expect("it is as good as it was");
        // A second use of a code is an attack, whatever its client is registered for.
        world.clients = Arc::clone(clients);
        assert_eq!(world.redeem(RIGHT).unwrap_err(), Outcome::Replayed);
        world.clients = Arc::new(self::clients());
        assert!(!world.is_active(&tokens.access));
    }

    let mut world = World::new();
    let tokens = world.redeem(RIGHT).unwrap();
    let all = Arc::clone(&world.clients);
    let described = |world: &mut World, token: &Credential| match world.inspect_as("server", token) {
        Outcome::Described(description) => Some(description.scope.as_str().to_owned()),
        _ => None,
    };
    for (clients, needs_a, needs_b, access, refresh) in [
        (&all, Outcome::Active, Outcome::Active, Some("a b"), Some("a b")),
        (&narrow, too_narrow("b"), Outcome::Active, Some("b"), Some("b")),
        (&none, Outcome::Inactive, Outcome::Inactive, None, None),
        (&elsewhere, Outcome::Active, Outcome::Active, Some("a b"), Some("a b")),
        (&without_codes, Outcome::Inactive, Outcome::Inactive, None, None),
        (&without_refresh, Outcome::Active, Outcome::Active, Some("a b"), None),
        (&gone, Outcome::Inactive, Outcome::Inactive, None, None),
    ] {
        world.clients = Arc::clone(clients);
        assert_eq!(world.check(&tokens.access, Some("a")), needs_a);
        assert_eq!(world.check(&tokens.access, Some("b")), needs_b);
        assert_eq!(world.is_active(&tokens.access), access.is_some());
        assert_eq!(described(&mut world, &tokens.access).as_deref(), access);
        assert_eq!(described(&mut world, &tokens.refresh).as_deref(), refresh);
    }

    for (clients, lapse) in [(&none, Lapse::Scope), (&without_refresh, Lapse::GrantType)] {
        world.clients = Arc::clone(clients);
        assert_eq!(world.rotate(&tokens.refresh).unwrap_err(), Outcome::Lapsed(lapse));
    }
    world.clients = narrow;
    let too_wide = world.rotate_as("app", &tokens.refresh, Some("a b")).unwrap_err();
    assert_eq!(too_wide, Outcome::TooWide { name: "a".into() });
    let narrowed = world.rotate(&tokens.refresh).expect("a rotation");
    assert_eq!(narrowed.scope.as_str(), "b");
    world.clients = all;
    let widened = world.rotate(&narrowed.refresh).expect("a rotation");
    assert_eq!(widened.scope.as_str(), "a b", "the grant is as wide as it was");
}

#[test]
fn a_client_may_introspect_its_own_a_resource_server_any_token() {
    let mut world = World::new();
    let issued = world.now;
    let first = world.redeem(RIGHT).unwrap();
    assert_eq!(world.inspect_as("other", &first.access), Outcome::Inactive);
    for client in ["app", "server"] {
        let Outcome::Described(description) = world.inspect_as(client, &first.access) else { panic!("active") };
        assert_eq!((description.kind, &*description.client), (TokenKind::Access, "app"));
        assert_eq!((description.subject.as_deref(), description.scope.as_str()), (Some("owner"), "a b"));
        assert_eq!((description.issued, description.expires), (issued, issued.after(LIFETIMES.access_token)));
        let Outcome::Described(description) = world.inspect_as(client, &first.refresh) else {
            panic!("active")
        };
        assert_eq!(description.kind, TokenKind::Refresh);
    }
    let code = world.code.clone();
    assert_eq!(world.inspect_as("server", &code), Outcome::Inactive, "a code is no token");
    world.rotate(&first.refresh).unwrap();
    assert_eq!(world.inspect_as("app", &first.refresh), Outcome::Inactive, "it was rotated");
}

#[test]
fn a_client_that_acts_for_itself_gets_a_token_without_a_subject() {
    let mut world = World::empty();
    let token = Credential::of_grant(world.code.grant(), [3; SECRET_BYTES]);
    let client = authenticate(&world.clients, "other");
    let transition = Transition::issue(client, Scope::parse("c").unwrap(), &token, LIFETIMES.access_token);
    assert_eq!(world.apply(&transition), Outcome::Granted);
    assert_eq!(world.check(&token, Some("c")), Outcome::Active);
    let Outcome::Described(description) = world.inspect_as("other", &token) else { panic!("active") };
    assert_eq!((description.subject, description.scope.as_str()), (None, "c"));
    assert_eq!(world.revoke_as("other", &token), Outcome::Revoked);
    assert!(world.record.is_none());
}

/// One request of a race, by its name, and the tokens that its outcome hands out.
type Racer = (&'static str, fn(&mut World, &Tokens) -> Option<Tokens>);

const RACERS: &[Racer] = &[
    ("redeem", |world, _| world.redeem(RIGHT).ok()),
    ("redeem with a wrong verifier", |world, _| {
        world.redeem(Presentation { verifier: Some(OTHER_VERIFIER), ..RIGHT }).ok()
    }),
    ("redeem as another client", |world, _| world.redeem(Presentation { client: "other", ..RIGHT }).ok()),
    ("rotate the first refresh token", |world, first| world.rotate(&first.refresh).ok()),
    ("rotate it as another client", |world, first| world.rotate_as("other", &first.refresh, None).ok()),
    ("rotate it narrowly", |world, first| world.rotate_as("app", &first.refresh, Some("a")).ok()),
    ("revoke the access token", |world, first| {
        world.revoke_as("app", &first.access);
        None
    }),
    ("revoke the refresh token", |world, first| {
        world.revoke_as("app", &first.refresh);
        None
    }),
    ("check", |world, first| {
        world.is_active(&first.access);
        None
    }),
    ("answer the form again", |world, _| {
        assert!(matches!(world.grant(), Outcome::Taken | Outcome::GrantedAgain));
        None
    }),
];

/// A store applies one transition after the other, so a race of two requests is one of two orders. Whichever it
/// is, and however far the grant had come: one code has one winner, and one refresh token is left at most.
#[test]
fn any_two_requests_in_any_order_have_one_winner() {
    let mut races = 0;
    for is_redeemed in [false, true] {
        for (one, run_one) in RACERS {
            for (other, run_other) in RACERS {
                let mut world = World::new();
                let nothing = Tokens {
                    access: Credential::of_grant(world.code.grant(), [200; SECRET_BYTES]),
                    refresh: Credential::of_grant(world.code.grant(), [201; SECRET_BYTES]),
                    scope: Scope::default(),
                };
                let first = if is_redeemed { world.redeem(RIGHT).unwrap() } else { nothing };
                let handed_out: Vec<Tokens> = [run_one(&mut world, &first), run_other(&mut world, &first)]
                    .into_iter()
                    .flatten()
                    .collect();
                let mut live: Vec<String> = Vec::new();
                for tokens in handed_out.iter().chain([&first]) {
                    assert!(tokens.scope.is_within(&Scope::parse("a b").unwrap()));
                    if matches!(world.inspect_as("server", &tokens.refresh), Outcome::Described(_)) {
                        live.push(tokens.refresh.encode());
                    }
                }
                live.sort();
                live.dedup();
                assert!(live.len() <= 1, "{one}, then {other}: {} refresh tokens are left", live.len());
                if !is_redeemed && *one == "redeem" && *other == "redeem" {
                    assert_eq!(handed_out.len(), 1, "one code, one winner");
                    assert!(!world.is_active(&handed_out[0].access), "and the loser ended what it won");
                }
                races += 1;
            }
        }
    }
    assert_eq!(races, 2 * RACERS.len() * RACERS.len());
}

/// Plays a random sequence of requests, and holds the grant after each to what must always be true.
fn play(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let mut world = World::new();
    let started = world.now;
    let mut handed_out: Vec<(Tokens, Timestamp)> = Vec::new();
    let (mut is_over, mut code_wins) = (false, 0);
    let length = 2 + random.index(18);
    for step in 0..length {
        let known = |random: &mut Random, handed_out: &[(Tokens, Timestamp)]| match handed_out {
            [] => None,
            all => Some(all[random.index(all.len())].0.clone()),
        };
        let mut got = None;
        match random.index(12) {
            0 | 1 => {
                let verifier = [Some(VERIFIER), Some(VERIFIER), Some(OTHER_VERIFIER), None][random.index(4)];
                let client = ["app", "app", "other"][random.index(3)];
                let redirect_uri = [Some(CALLBACK), None, Some("https://app.example/x")][random.index(3)];
                match world.redeem(Presentation { client, redirect_uri, verifier }) {
                    Ok(tokens) => {
                        assert!(client == "app" && verifier == Some(VERIFIER), "seed {seed}, step {step}");
                        assert!(world.now < started.after(CODE_LIFETIME), "seed {seed}: an expired code");
                        code_wins += 1;
                        got = Some(tokens);
                    }
                    Err(Outcome::Replayed | Outcome::Burnt(_) | Outcome::Expired) => is_over = true,
                    Err(_) => {}
                }
            }
            2..=4 => {
                let Some(tokens) = known(&mut random, &handed_out) else { continue };
                let scope = [None, None, Some("a"), Some("a c")][random.index(4)];
                let client = ["app", "app", "app", "other"][random.index(4)];
                match world.rotate_as(client, &tokens.refresh, scope) {
                    Ok(tokens) => {
                        assert!(client == "app" && scope != Some("a c"), "seed {seed}, step {step}");
                        got = Some(tokens);
                    }
                    Err(Outcome::Reused) => is_over = true,
                    Err(_) => {}
                }
            }
            5 => {
                let Some(tokens) = known(&mut random, &handed_out) else { continue };
                let client = ["app", "app", "other"][random.index(3)];
                if world.revoke_as(client, &tokens.refresh) == Outcome::Revoked {
                    assert_eq!(client, "app", "seed {seed}, step {step}");
                    is_over = true;
                }
            }
            6 => {
                let Some(tokens) = known(&mut random, &handed_out) else { continue };
                if world.revoke_as("app", &tokens.access) == Outcome::Revoked {
                    assert!(!world.is_active(&tokens.access), "seed {seed}, step {step}: revoked and active");
                }
            }
            10 | 11 => {
                let code = world.code.clone();
                let transition = match known(&mut random, &handed_out) {
                    Some(tokens) => world.transition_to_rotate("app", &tokens.refresh, None).0,
                    None => world.transition_to_redeem(&code, RIGHT).0,
                };
                let outcome = world.apply(&transition);
                is_over |= matches!(outcome, Outcome::Reused | Outcome::Expired);
                world.apply(&transition.withdrawal().unwrap());
            }
            7 => assert!(
                world.now >= started.after(FORM_LIFETIME)
                    || matches!(world.grant(), Outcome::Taken | Outcome::GrantedAgain),
                "seed {seed}: a form worked twice"
            ),
            _ => {
                let times = [SECOND, 9 * SECOND, 11 * SECOND, 61 * SECOND, 299 * SECOND, 1001 * SECOND];
                world.wait(times[random.index(times.len())]);
            }
        }
        if let Some(tokens) = got {
            assert!(!is_over, "seed {seed}, step {step}: tokens of a grant that is over");
            assert!(tokens.scope.is_within(&Scope::parse("a b").unwrap()), "seed {seed}: a scope was widened");
            handed_out.push((tokens, world.now));
        }
        hold(&mut world, &handed_out, is_over, code_wins, seed);
    }
    length
}

/// What must be true after every request.
fn hold(world: &mut World, handed_out: &[(Tokens, Timestamp)], is_over: bool, code_wins: usize, seed: u64) {
    assert!(code_wins <= 1, "seed {seed}: one code was redeemed twice");
    let mut live: Vec<String> = Vec::new();
    for (tokens, at) in handed_out {
        let is_active = world.is_active(&tokens.access);
        assert!(!(is_active && is_over), "seed {seed}: an active token of a grant that is over");
        let has_expired = world.now >= at.after(LIFETIMES.access_token);
        assert!(!(is_active && has_expired), "seed {seed}: an active token that has expired");
        if is_active {
            let outcome = world.check(&tokens.access, Some("c"));
            assert_eq!(outcome, too_narrow(tokens.scope.as_str()), "seed {seed}");
            let needs_b = world.check(&tokens.access, Some("b")) == Outcome::Active;
            assert_eq!(needs_b, tokens.scope.contains("b"), "seed {seed}: a token of another scope");
        }
        if matches!(world.inspect_as("server", &tokens.refresh), Outcome::Described(_)) {
            live.push(tokens.refresh.encode());
        }
    }
    live.sort();
    live.dedup();
    assert!(live.len() <= usize::from(!is_over), "seed {seed}: {} families are alive", live.len());
}

#[test]
fn no_sequence_of_requests_breaks_what_must_always_be_true() {
    let sequences = std::env::var("GRANT_SEQUENCES").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let steps: usize = (0..sequences).map(play).sum();
    println!("{sequences} sequences, {steps} requests");
}

#[test]
fn a_record_is_read_whole_or_not_at_all() {
    let mut world = World::new();
    let mut records = vec![world.record.clone().unwrap()];
    let first = world.redeem(RIGHT).unwrap();
    records.push(world.record.clone().unwrap());
    world.rotate_as("app", &first.refresh, Some("a")).unwrap();
    records.push(world.record.clone().unwrap());
    world.revoke_as("app", &first.refresh);
    records.push(world.record.clone().unwrap());
    for record in records {
        let bytes = record.encode();
        for length in 0..bytes.len() {
            assert_eq!(Grant::decode(&bytes[..length]).err(), Some(RecordError::Malformed), "{length} bytes");
        }
        assert_eq!(Grant::decode(&[&bytes[..], &[0]].concat()).err(), Some(RecordError::Malformed));
        let mut newer = bytes.clone();
        newer[1] = 9;
        let error = Grant::decode(&newer).unwrap_err();
        assert_eq!(error.to_string(), "the record has format 9; this program reads 3");
    }
}

/// A grant that names no resource is written as before there were any, so earlier programs can read it.
#[test]
fn only_a_grant_that_names_a_resource_has_the_new_format() {
    let mut world = World::new();
    world.redeem(RIGHT).unwrap();
    let before = world.record.clone().unwrap().encode();
    assert_eq!(before[..2], [0x86, 2]);
    let resource = |uri| Resource::new(uri, "A", Scope::default()).unwrap();
    let resources = ["https://a.example", "https://b.example"].map(resource);
    let default = DefaultResource::Uri("https://a.example".into());
    world.clients = Arc::new(clients().with_resources(Resources::new(resources.into(), &default)));
    // A record from before is read, and its tokens are for no resource in particular.
    world.record = Some(Grant::decode(&before).unwrap());
    assert_eq!(world.record.as_ref().unwrap().encode(), before);

    world = World { record: None, drawn: 1, code: World::empty().code, ..world };
    assert_eq!(world.grant(), Outcome::Granted);
    let tokens = world.redeem(RIGHT).unwrap();
    let bytes = world.record.clone().unwrap().encode();
    assert_eq!(bytes[..2], [0x87, 3]);
    let Outcome::Described(found) = world.inspect_as("server", &tokens.access) else { panic!("a valid token") };
    assert_eq!(format!("{:?}", found.audience), "[\"https://a.example\"]");
    assert_eq!(world.check(&tokens.access, None), Outcome::OtherResource, "a resource without a URI");
    for length in 0..bytes.len() {
        assert_eq!(Grant::decode(&bytes[..length]).err(), Some(RecordError::Malformed), "{length} bytes");
    }
}

/// Another writer, or a failing disk, may have put any bytes there.
#[test]
fn a_record_that_no_rule_could_have_made_is_not_read() {
    let is_read = |bytes: &[u8]| Grant::decode(bytes).is_ok();
    let mut world = World::new();
    let bytes = world.record.as_ref().expect("a record").encode();
    let at =
        bytes.windows(CHALLENGE.len()).position(|part| part == CHALLENGE.as_bytes()).expect("its challenge");
    let mut changed = bytes.clone();
    changed[at] = b'=';
    assert!(is_read(&bytes) && !is_read(&changed), "a challenge has a syntax");

    let mut tokens = world.redeem(RIGHT).unwrap();
    let mut lengths = Vec::new();
    for _ in 1..oauth_from_scratch::oauth::grant::ACCESS_TOKENS_MAX {
        tokens = world.rotate(&tokens.refresh).unwrap();
        lengths.push(world.record.as_ref().expect("a record").encode().len());
    }
    let full = world.record.as_ref().expect("a record").encode();
    // Their number, 0x90 for an array of sixteen, stands before the tokens, which are equally long.
    let token = lengths[lengths.len() - 1] - lengths[lengths.len() - 2];
    let places = (0..full.len() - token).filter(|at| full[*at] == 0x90);
    let with_one_more: Vec<Vec<u8>> =
        places.map(|at| [&full[..at], &[0x91], &full[at + 1..=at + token], &full[at + 1..]].concat()).collect();
    assert!(is_read(&full) && !with_one_more.is_empty());
    assert!(!with_one_more.iter().any(|bytes| is_read(bytes)), "there are sixteen tokens and no more");
}

#[test]
fn a_record_holds_no_secret_that_was_handed_out() {
    let mut world = World::new();
    let mut handed_out = vec![world.code.clone()];
    let check = |world: &World, handed_out: &[Credential]| {
        let bytes = world.record.as_ref().expect("a record").encode();
        for credential in handed_out {
            let text = credential.encode();
            // Behind the grant's name, which is no secret.
            for part in text.as_bytes()[20..].chunks(8) {
                assert!(!bytes.windows(part.len()).any(|window| window == part), "{text}");
            }
        }
    };
    check(&world, &handed_out);
    let mut tokens = world.redeem(RIGHT).unwrap();
    for _ in 0..3 {
        handed_out.extend([tokens.access.clone(), tokens.refresh.clone()]);
        check(&world, &handed_out);
        tokens = world.rotate(&tokens.refresh).unwrap();
    }
}

/// What is in files and engines must be read by every later program, so the format is held to its bytes.
#[test]
fn the_format_of_a_record_is_what_it_was() {
    let mut world = World::new();
    let first = world.redeem(RIGHT).unwrap();
    world.wait(SECOND);
    world.rotate_as("app", &first.refresh, Some("a")).unwrap();
    let digest = Digest::of(&world.record.clone().unwrap().encode());
    let hex: String = digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "d77f5cb8293116c19fd1df529a347f728b8e67410da8d7e86d9bd9a4ab6a443d");
}

/// The record of the test above, and the one of before its redemption, in format 1.
const ISSUED_BEFORE: &str = "\
     860163617070656f776e6572636120621a00186a008300845820c92051f16192e6eaa53f30736f0cb5d655072a708323a640\
     ecfb3ec69c9da6c17668747470733a2f2f6170702e6578616d706c652f6362f5782b45394d656c686f61324f77764672454d\
     544a67754348616f654b3174385552576275474a537374772d634d1a00102ca0";
const LIVE_BEFORE: &str = "\
     860163617070656f776e6572636120621a00186a008401845820c92051f16192e6eaa53f30736f0cb5d655072a708323a640\
     ecfb3ec69c9da6c17668747470733a2f2f6170702e6578616d706c652f6362f5782b45394d656c686f61324f77764672454d\
     544a67754348616f654b3174385552576275474a537374772d634d865820b8a7f61ebd22df4123cb8eb05683ef72b96b7d61\
     681a87d6b97a811e3e0617ab1a000f46281a001e88681a005b8d805004040404040404040404040404040404845820db8183\
     f7974c75a8c72f5fb47c98d514a3cbcad6de073cab5ba73e7371cf0e581a000f462858200505050505050505050505050505\
     0505050505050505050505050505050505055820f1b337a0d04f75b9fccb878d3d68cb0ebe33200c79eee0e83de5004a1eae\
     c4228284582077748349cbbc9fccd8d6db0fd8f31115278e902dc974f7731135a2e2c20dc2f8f61a000f42401a0013d62084\
     5820f1b337a0d04f75b9fccb878d3d68cb0ebe33200c79eee0e83de5004a1eaec42261611a000f46281a0013da08";

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn a_record_of_the_format_before_is_read_and_goes_on() {
    let mut world = World::empty();
    world.record = Some(written_and_read(&Grant::decode(&bytes_of(ISSUED_BEFORE)).expect("format 1")));
    assert!(world.redeem(RIGHT).is_ok(), "a code");
    let mut world = World::new();
    let first = world.redeem(RIGHT).unwrap();
    world.wait(SECOND);
    let second = world.rotate_as("app", &first.refresh, Some("a")).unwrap();
    let now = world.record.clone().unwrap();
    world.record = Some(written_and_read(&Grant::decode(&bytes_of(LIVE_BEFORE)).expect("format 1")));
    assert_eq!(world.record.as_ref().map(Grant::expires), Some(now.expires()));
    assert!(world.is_active(&first.access) && world.is_active(&second.access));
    assert!(world.rotate(&second.refresh).is_ok(), "its refresh token");
    assert_eq!(world.redeem(RIGHT).err(), Some(Outcome::Replayed), "its code was spent");
    for hex in [ISSUED_BEFORE, LIVE_BEFORE] {
        let bytes = bytes_of(hex);
        for length in 0..bytes.len() {
            assert_eq!(Grant::decode(&bytes[..length]).err(), Some(RecordError::Malformed), "{length} bytes");
        }
    }
}

#[test]
fn a_code_without_a_challenge_refuses_a_verifier() {
    let clients = clients();
    // The article's request, to a server whose demo client is `app`.
    let demo = Clients::new(clients.iter().cloned());
    let mut world = World::empty();
    let authorization = authorize::check(&demo, &Profile::demo("app"), &AuthorizationRequest::default())
        .expect("the article's request");
    let transition = Transition::permit(authorization, "owner".into(), &world.code, CODE_LIFETIME, None);
    assert_eq!(world.apply(&transition), Outcome::Granted);
    let outcome = world.redeem(Presentation { redirect_uri: None, ..RIGHT }).err();
    assert_eq!(outcome, Some(Outcome::Burnt(Mismatch::VerifierUnasked)), "RFC 9700, 4.8.2");
}
