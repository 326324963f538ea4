//! What the tests of stores share: transitions to apply, a mailbox to wait at, a clock and a folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oauth_from_scratch::oauth::authorize::{self, Authorization, AuthorizationRequest};
use oauth_from_scratch::oauth::client::{
    AuthenticatedClient, Client, ClientOrigin, Clients, Credentials, GrantTypes,
};
use oauth_from_scratch::oauth::credential::{CREDENTIAL_BYTES, Family, SECRET_BYTES, Salt};
use oauth_from_scratch::oauth::grant::RefreshReuse;
use oauth_from_scratch::oauth::key::KINDS_MAX;
use oauth_from_scratch::oauth::kind;
use oauth_from_scratch::oauth::pkce::Verified;
use oauth_from_scratch::oauth::redirect::RedirectUri;
use oauth_from_scratch::oauth::resource::{DefaultResource, Resource};
use oauth_from_scratch::oauth::{
    Credential, Outcome, Profile, ProtectedResource, Resources, Scope, Timestamp, TokenLifetimes, Transition,
};
use oauth_from_scratch::store::{Applied, Bounds, Caller, KindBounds, Mailbox, Store, Ticket};

use super::random::Random;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://app.example/cb";

pub const MINUTE: Duration = Duration::from_secs(60);
pub const CODE_LIFETIME: Duration = Duration::from_secs(60);
pub const LIFETIMES: TokenLifetimes = TokenLifetimes {
    access_token: Duration::from_secs(300),
    refresh_idle: Duration::from_secs(1000),
    refresh: Duration::from_secs(5000),
    refresh_grace: Duration::from_secs(10),
    refresh_reuse: RefreshReuse::EndsGrant,
};

/// Long enough for any machine, so that a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(180);

/// With no bound for a pair that a test comes to by chance.
pub const BOUNDS: Bounds = bounds(1_000_000, 1_000_000);

/// The maximum of records of each kind, and of each holder.
pub const fn bounds(records_max: usize, holder_max: usize) -> Bounds {
    let kinds = [KindBounds { records_max, holder_max }; KINDS_MAX];
    Bounds { kinds, queue_max: 100_000, time_max: MINUTE }
}

/// 2100-01-01 00:00:00: an engine has a clock of its own, by which nothing here is to expire.
pub const START: Timestamp = Timestamp::from_milliseconds(4_102_444_800_000);

/// Whether the client that an answer is for still waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Waits,
    /// It goes while its transition is applied.
    Goes,
    /// It had gone before.
    HasGone,
}

/// A mailbox that is a channel.
struct Letters<T: kind::Transition>(Mutex<Sender<(Ticket, Applied<T>)>>, Reader);

impl<T: kind::Transition> Mailbox<T> for Letters<T> {
    fn put(&self, ticket: Ticket, applied: Applied<T>) -> bool {
        // Who has stopped waiting has failed already.
        let is_sent = self.0.lock().unwrap().send((ticket, applied)).is_ok();
        is_sent && self.1 == Reader::Waits
    }

    fn abandon(&self, _: Ticket) -> bool {
        unreachable!("it is the client that is said to have gone")
    }

    fn is_abandoned(&self, _: Ticket) -> bool {
        self.1 == Reader::HasGone
    }

    fn put_done(&self, _: Ticket) {}

    fn put_ready(&self, _: Ticket) {}

    fn wake(&self) {}
}

/// Transitions that a store was given, and what it has said of them.
pub struct Submitted<T: kind::Transition = Transition> {
    applied: Vec<Option<Applied<T>>>,
    letters: Receiver<(Ticket, Applied<T>)>,
}

/// Gives `transitions` to the store, one right after the other.
pub fn submit_all<T: kind::Transition>(store: &dyn Store<T>, transitions: Vec<(T, Timestamp)>) -> Submitted<T> {
    submit_for(Reader::Waits, store, transitions)
}

/// The same, for such a client.
pub fn submit_for<T: kind::Transition>(
    reader: Reader,
    store: &dyn Store<T>,
    transitions: Vec<(T, Timestamp)>,
) -> Submitted<T> {
    let (sender, letters) = channel();
    let mailbox: Arc<dyn Mailbox<T>> = Arc::new(Letters(Mutex::new(sender), reader));
    let submit = |(place, (transition, now))| {
        store.submit(transition, now, Caller { mailbox: &mailbox, ticket: Ticket { place, serial: 0 } })
    };
    Submitted { applied: transitions.into_iter().enumerate().map(submit).collect(), letters }
}

impl<T: kind::Transition> Submitted<T> {
    /// Whether the store has answered at once.
    pub fn is_over(&self) -> bool {
        self.applied.iter().all(Option::is_some)
    }

    /// What each came to.
    pub fn wait(mut self) -> Vec<Applied<T>> {
        while self.applied.iter().any(Option::is_none) {
            let (ticket, outcome) = self.letters.recv_timeout(PATIENCE).expect("a store answers");
            assert!(self.applied[ticket.place].is_none(), "a store answers once");
            self.applied[ticket.place] = Some(outcome);
        }
        assert!(self.letters.try_recv().is_err(), "a store answers once");
        self.applied.into_iter().flatten().collect()
    }
}

/// Applies all of `transitions`, given to the store one right after the other, and gives what each came to.
pub fn apply_all<T: kind::Transition>(
    store: &dyn Store<T>,
    transitions: Vec<(T, Timestamp)>,
) -> Vec<Applied<T>> {
    submit_all(store, transitions).wait()
}

/// Applies one.
pub fn apply<T: kind::Transition>(store: &dyn Store<T>, transition: T, now: Timestamp) -> Applied<T> {
    apply_all(store, vec![(transition, now)]).pop().expect("one answer for one transition")
}

/// Applies one whose answer does not reach its client. A store that answers at once hears of it from the test.
pub fn apply_for<T: kind::Transition>(
    reader: Reader,
    store: &dyn Store<T>,
    transition: T,
    now: Timestamp,
) -> Applied<T> {
    let withdrawal = transition.withdrawal().expect("it hands something out");
    let submitted = submit_for(reader, store, vec![(transition, now)]);
    let was_at_once = submitted.is_over();
    let applied = submitted.wait().pop().expect("one answer for one transition");
    if was_at_once && reader != Reader::Waits {
        assert!(apply(store, withdrawal, now).is_ok());
    }
    applied
}

/// A folder of the test's own, gone when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder of the test's own");
        Folder(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes transitions, each with secrets that no other has.
pub struct Maker {
    clients: Arc<Clients>,
    client: &'static str,
    subject: &'static str,
    /// The resources that its grants name.
    pub resources: &'static [&'static str],
    drawn: u64,
}

/// The resources that a grant may name. Tokens are looked at by the first.
pub const RESOURCES: [&str; 2] = ["https://one.example/api", "urn:example:two"];

/// What a redeemed code bought.
#[derive(Clone)]
pub struct Tokens {
    pub access: Credential,
    pub refresh: Credential,
}

impl Maker {
    /// Different numbers are for different secrets.
    pub fn new(number: u32) -> Maker {
        Maker::of(number, "app", "owner")
    }

    /// The same, for another pair of a client and a subject.
    pub fn of(number: u32, client: &'static str, subject: &'static str) -> Maker {
        let registered = Client {
            id: client.into(),
            origin: ClientOrigin::Configured,
            name: "App".to_owned(),
            redirect_uris: vec![RedirectUri::parse(CALLBACK).unwrap()],
            secret: None,
            grant_types: GrantTypes { authorization_code: true, refresh_token: true, client_credentials: true },
            scope: Scope::parse("a b c").unwrap(),
            default_scope: None,
            inspects_all: false,
            default_resource: Default::default(),
        };
        let resources = RESOURCES.map(|uri| Resource::new(uri, "A resource", Scope::default()).unwrap());
        let resources = Resources::new(resources.into(), &DefaultResource::Nothing);
        let clients = Arc::new(Clients::new([registered]).with_resources(resources));
        Maker { clients, client, subject, resources: &[], drawn: u64::from(number) << 32 }
    }

    /// Bytes that look random and never come twice.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        self.drawn += 1;
        let mut bytes = [0; N];
        Random::new(self.drawn).fill(&mut bytes);
        bytes
    }

    pub fn code(&mut self) -> Credential {
        Credential::of_new_grant(self.draw::<CREDENTIAL_BYTES>())
    }

    pub fn grant(&self, code: &Credential, kept_until: Option<Timestamp>) -> Transition {
        Transition::permit(self.authorization(), self.subject.into(), code, CODE_LIFETIME, kept_until)
    }

    pub fn deny(&self, code: &Credential, kept_until: Option<Timestamp>) -> Transition {
        Transition::deny(&self.authorization(), self.subject.into(), code.grant(), kept_until)
    }

    /// A token that the client gets on its own behalf.
    pub fn issue(&mut self) -> (Transition, Credential) {
        let token = self.code();
        let scope = Scope::parse("a").unwrap();
        (Transition::issue(self.client(), scope, &token, LIFETIMES.access_token), token)
    }

    fn authorization(&self) -> Authorization<'_> {
        let parameters = AuthorizationRequest {
            response_type: Some("code"),
            client_id: Some(self.client),
            redirect_uri: Some(CALLBACK),
            scope: Some("a b"),
            code_challenge: Some(CHALLENGE),
            code_challenge_method: Some("S256"),
            resources: self.resources.to_vec(),
            ..AuthorizationRequest::default()
        };
        authorize::check(&self.clients, &Profile::strict(), &parameters).expect("a sound request")
    }

    pub fn redeem(&mut self, code: &Credential) -> (Transition, Tokens) {
        self.redeem_with(code, Some(VERIFIER))
    }

    /// A redemption that does not come with what the code is bound to.
    pub fn redeem_without_verifier(&mut self, code: &Credential) -> (Transition, Tokens) {
        self.redeem_with(code, None)
    }

    fn redeem_with(&mut self, code: &Credential, verifier: Option<&str>) -> (Transition, Tokens) {
        let family = Family(self.draw());
        let access = Credential::of_grant(code.grant(), self.draw::<SECRET_BYTES>());
        let refresh = Credential::refresh_token(code.grant(), self.draw::<SECRET_BYTES>(), &family);
        let verified = verifier.map(|verifier| Verified::new(verifier).unwrap());
        let transition = Transition::redeem(
            self.client(),
            code,
            Some(CALLBACK),
            verified,
            &access,
            Some((&refresh, family)),
            LIFETIMES,
        );
        (transition, Tokens { access, refresh })
    }

    pub fn rotate(&mut self, refresh: &Credential) -> (Transition, Salt) {
        let salt = Salt(self.draw());
        (Transition::rotate(self.client(), refresh, &refresh.successors(salt), None, LIFETIMES), salt)
    }

    /// The same token request, for these resources alone.
    pub fn aimed_at(&self, request: Transition, resources: &[&str]) -> Transition {
        let known = self.clients.resources();
        request.aimed_at(known.named(resources.iter().copied()).unwrap(), known)
    }

    pub fn check(&self, token: &Credential) -> Transition {
        self.check_at(RESOURCES[0], token)
    }

    /// A look at a token by the resource `uri`, which also accepts those that are for none in particular.
    pub fn check_at(&self, uri: &str, token: &Credential) -> Transition {
        let resource = ProtectedResource {
            clients: Arc::clone(&self.clients),
            accepts_unaddressed: true,
            uri: Some(uri.into()),
            ..ProtectedResource::default()
        };
        Transition::check(token, Arc::new(resource))
    }

    pub fn revoke(&self, token: &Credential) -> Transition {
        Transition::revoke(self.client(), token)
    }

    fn client(&self) -> AuthenticatedClient<'_> {
        let credentials = Credentials { id: Some(self.client), ..Credentials::default() };
        self.clients.authenticate(&credentials).expect("a public client")
    }
}

/// What a client makes of the outcome of a rotation.
pub fn rotated(presented: &Credential, own: Salt, outcome: &Outcome) -> Option<Tokens> {
    let (access_salt, salt, family) = match outcome {
        Outcome::Rotated { family, .. } => (own, own, *family),
        Outcome::Repeated { family, salt, expires_in: Some(_), .. } => (*salt, *salt, *family),
        Outcome::Repeated { family, salt, .. } => (own, *salt, *family),
        _ => return None,
    };
    Some(Tokens {
        access: presented.successors(access_salt).access_token().clone(),
        refresh: presented.successors(salt).refresh_token(&family),
    })
}
