//! Registered clients: what each may do, and proof that a request comes from one of them.
//!
//! Only this file makes two of the proofs that other rules require. A [`VerifiedRedirect`] is a redirect URI that its
//! client has registered; every redirect needs one. An [`AuthenticatedClient`] is a client that has authenticated, as
//! far as its type can; every redemption needs one. Neither can be constructed elsewhere, so code that skips a check
//! does not compile.
//!
//! Clients are looked up and not kept: every step of a request asks [`Clients`] again, and a client may be removed
//! between two steps.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use super::client_secret::{SecretCheck, SecretDigest};
use super::profile::Profile;
use super::redirect::{self, RedirectUri};
use super::resource::{DefaultResource, Resources};
use super::scope::Scope;

/// The grant types that a client may use (RFC 6749, 1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantTypes {
    /// A code, which a resource owner has authorized.
    pub authorization_code: bool,
    /// Refresh tokens, issued when a code is redeemed.
    pub refresh_token: bool,
    /// The client's own credentials, without a resource owner.
    pub client_credentials: bool,
}

/// Where a client comes from, which decides how far its name and its redirect URIs can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOrigin {
    /// It comes with this program, which serves the app itself.
    Demo,
    /// The operator has configured it.
    Configured,
    /// It has registered itself (RFC 7591): nothing that it says of itself is verified.
    SelfRegistered,
    /// Its metadata is a document at the URL that is its `client_id`: the host of that URL has published it.
    Document,
}

impl ClientOrigin {
    /// Whether the operator answers for the client's name and redirect URIs.
    pub fn is_trusted(self) -> bool {
        match self {
            ClientOrigin::Demo | ClientOrigin::Configured => true,
            ClientOrigin::SelfRegistered | ClientOrigin::Document => false,
        }
    }
}

/// The registration of a client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The `client_id`.
    pub id: Arc<str>,
    /// Who registered it.
    pub origin: ClientOrigin,
    /// The name in the dialog.
    pub name: String,
    /// Where authorization responses may be sent.
    pub redirect_uris: Vec<RedirectUri>,
    /// The digest of its secret, if it is confidential; `None` for a public client, such as one in a browser or on a
    /// phone, which cannot keep a secret (RFC 6749, 2.1).
    pub secret: Option<SecretDigest>,
    /// The grant types that it may use.
    pub grant_types: GrantTypes,
    /// The maximum scope of its requests.
    pub scope: Scope,
    /// The scope of a request that names none; `None` for the maximum.
    pub default_scope: Option<Scope>,
    /// Whether it may introspect the tokens of other clients, as a resource server does.
    pub inspects_all: bool,
    /// The resource of its requests that name none.
    pub default_resource: DefaultResource,
}

/// The lookup of clients: in the configuration first, then in another source. Beside them are the resources that they
/// may ask for, which every step looks up as well.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// Sorted by identifier. Every request with a token looks one up, and comparing a few is cheaper than hashing one.
    configured: Vec<Arc<Client>>,
    sources: Vec<Arc<dyn ClientSource>>,
    resources: Arc<Resources>,
}

/// A source of clients that are not in the configuration. Its clients may come and go at any time.
pub trait ClientSource: fmt::Debug + Send + Sync {
    /// The client `id`, as currently registered. Called on the event loop and by stores, several times per request: it
    /// must not block.
    fn find(&self, id: &str) -> Option<Arc<Client>>;
}

/// The result of a lookup: shared with the configuration, or made by a source for this lookup.
pub type Found<'a> = Cow<'a, Arc<Client>>;

/// A redirect URI that its client has registered; under a profile that does without a check, one that passes without.
#[derive(Clone, Debug)]
pub struct VerifiedRedirect(Arc<str>);

/// A client that has authenticated, or, for a public client, has named itself.
pub struct AuthenticatedClient<'a>(Found<'a>);

/// The client authentication of a request. Empty values count as omitted.
#[derive(Default)]
pub struct Credentials<'a> {
    /// Name and password of HTTP's Basic scheme, decoded (RFC 6749, 2.3.1).
    pub basic: Option<(String, String)>,
    /// The parameter `client_id`.
    pub id: Option<&'a str>,
    /// The client that is meant where none is named ([`Profile::unnamed_client`]).
    pub unnamed: Option<&'a str>,
    /// The parameter `client_secret`.
    pub secret: Option<&'a str>,
}

/// Why credentials do not authenticate a client, or not yet.
#[derive(Debug)]
pub enum Unproven<'a> {
    /// They are wrong, with the reason. The error code is `invalid_client` (RFC 6749, 5.2).
    Refused(&'static str),
    /// There is more than one, with the reason. The error code is `invalid_request` (RFC 6749, 5.2).
    Ambiguous(&'static str),
    /// The client's secret has a slow digest, which is not compared yet.
    Guess(Guess<'a>),
}

/// A presented secret of a client whose secret a person chose. The sender may be guessing.
#[derive(Debug)]
pub struct Guess<'a> {
    client: Found<'a>,
    check: SecretCheck,
}

/// The reason that is logged for a wrong secret.
pub const WRONG_SECRET: &str = "the client's secret is wrong";

impl From<&'static str> for Unproven<'_> {
    fn from(reason: &'static str) -> Self {
        Unproven::Refused(reason)
    }
}

impl<'a> Guess<'a> {
    /// The client that the secret is presented for.
    pub fn client_id(&self) -> &Arc<str> {
        &self.client.id
    }

    /// The slow comparison. After it has succeeded, [`Guess::recall`] accepts the secret.
    pub fn check(&self) -> &SecretCheck {
        &self.check
    }

    /// The result, if the client's secret was right once before; `None` if the slow comparison is needed.
    pub fn recall(&self) -> Option<Result<AuthenticatedClient<'a>, &'static str>> {
        let is_right = self.check.recall()?;
        Some(if is_right { Ok(AuthenticatedClient(self.client.clone())) } else { Err(WRONG_SECRET) })
    }
}

impl Clients {
    /// The clients of a configuration. Of two with the same identifier, the later one counts.
    pub fn new(clients: impl IntoIterator<Item = Client>) -> Clients {
        let mut found = Clients::default();
        for client in clients {
            match found.position(&client.id) {
                Ok(at) => found.configured[at] = Arc::new(client),
                Err(at) => found.configured.insert(at, Arc::new(client)),
            }
        }
        found
    }

    /// Where the configured client `id` is, or where it would be.
    fn position(&self, id: &str) -> Result<usize, usize> {
        self.configured.binary_search_by(|client| (*client.id).cmp(id))
    }

    /// Adds the resources of the configuration.
    pub fn with_resources(self, resources: Resources) -> Clients {
        Clients { resources: Arc::new(resources), ..self }
    }

    /// The configured resources.
    pub fn resources(&self) -> &Arc<Resources> {
        &self.resources
    }

    /// Adds the clients of `source`. A configured client hides a client of `source` with the same identifier.
    pub fn with_source(mut self, source: Arc<dyn ClientSource>) -> Clients {
        self.sources.push(source);
        self
    }

    /// The client `id`, as currently registered.
    pub fn find(&self, id: &str) -> Option<Found<'_>> {
        if let Ok(at) = self.position(id) {
            return Some(Cow::Borrowed(&self.configured[at]));
        }
        self.sources.iter().find_map(|source| source.find(id)).map(Cow::Owned)
    }

    /// Whether `id` is that of a client of the configuration.
    pub fn is_configured(&self, id: &str) -> bool {
        self.position(id).is_ok()
    }

    /// The client `id`.
    ///
    /// # Errors
    /// The reason, as text, if there is no `id` or no such client.
    pub fn find_named(&self, id: Option<&str>) -> Result<Found<'_>, &'static str> {
        let id = id.ok_or("the client_id is missing")?;
        self.find(id).ok_or("the client_id is not that of a registered client")
    }

    /// Every client of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.configured.iter().map(|client| &**client)
    }

    /// Authenticates a client by `credentials`.
    ///
    /// # Errors
    /// If they do not authenticate a client, or if the comparison is too slow for the event loop.
    pub fn authenticate(&self, credentials: &Credentials) -> Result<AuthenticatedClient<'_>, Unproven<'_>> {
        let basic = credentials.basic.as_ref().map(|(id, secret)| (id.as_str(), secret.as_str()));
        let (basic_id, basic_secret) = (basic.map(|(id, _)| id), basic.map(|(_, secret)| secret));
        let basic_secret = basic_secret.filter(|secret| !secret.is_empty());
        let secret = match (basic_secret, credentials.secret) {
            (Some(_), Some(_)) => {
                return Err(Unproven::Ambiguous("the client authenticates in two ways at once"));
            }
            (basic, parameter) => basic.or(parameter),
        };
        let id = match (basic_id, credentials.id) {
            (Some(basic), Some(parameter)) if basic != parameter => {
                return Err("the client_id is not the one that Authorization names".into());
            }
            (basic, parameter) => basic.or(parameter),
        };
        let client = self.find_named(id.or(credentials.unnamed))?;
        match (&client.secret, secret) {
            (None, None) => Ok(AuthenticatedClient(client)),
            (None, Some(_)) => Err("the client is public and has no secret, but one was sent".into()),
            (Some(_), None) => Err("the client is confidential, and no secret was sent".into()),
            (Some(digest), Some(secret)) => match digest.is_of(secret) {
                Ok(true) => Ok(AuthenticatedClient(client)),
                Ok(false) => Err(WRONG_SECRET.into()),
                Err(check) => Err(Unproven::Guess(Guess { client, check })),
            },
        }
    }
}

impl Client {
    /// Whether the client has a secret (RFC 6749, 2.1).
    pub fn is_confidential(&self) -> bool {
        self.secret.is_some()
    }

    /// Whether `uri`, to which a code was sent, is still registered. Where the client's document is not known at the
    /// moment, it was registered when the code was made.
    pub fn has_redirect_uri(&self, uri: &str, profile: &Profile) -> bool {
        if self.origin == ClientOrigin::Document && self.redirect_uris.is_empty() {
            return true;
        }
        let is_near = |own: &RedirectUri| !profile.exact_redirect && own.accept_loosely(uri).is_some();
        self.redirect_uris.iter().any(|own| own.is_place_of(uri) || is_near(own))
    }

    /// The redirect URI of a request or, if it has none, the client's only one (RFC 6749, 3.1.2.3).
    ///
    /// # Errors
    /// How `asked` differs from the registered ones.
    pub fn verify_redirect(&self, asked: Option<&str>, profile: &Profile) -> Result<VerifiedRedirect, String> {
        let Some(asked) = asked else {
            return match &self.redirect_uris[..] {
                [only] => Ok(VerifiedRedirect(only.shared())),
                [] => Err("the client has no redirect URI".to_owned()),
                _ => Err("the redirect_uri is missing, and the client has more than one".to_owned()),
            };
        };
        let accept_near = |own: &RedirectUri| own.accept_loosely(asked).filter(|_| !profile.exact_redirect);
        let accept = |own: &RedirectUri| own.accept(asked).or_else(|| accept_near(own));
        if let Some(uri) = self.redirect_uris.iter().find_map(accept) {
            return Ok(VerifiedRedirect(uri));
        }
        let in_common =
            |own: &&RedirectUri| own.as_str().bytes().zip(asked.bytes()).take_while(|(a, b)| a == b).count();
        match self.redirect_uris.iter().max_by_key(in_common) {
            Some(closest) => Err(redirect::difference(closest.as_str(), asked)),
            None => Err("the client has no redirect URI".to_owned()),
        }
    }
}

impl VerifiedRedirect {
    /// `asked`, which no client has registered, for an error: `None` unless `profile` does without
    /// [`verified_errors`](Profile::verified_errors).
    pub(super) fn of_error(asked: Option<&str>, profile: &Profile) -> Option<VerifiedRedirect> {
        let is_web =
            |asked: &&str| asked.starts_with("http") && asked.bytes().all(|byte| byte.is_ascii_graphic());
        asked
            .filter(|asked| !profile.verified_errors && is_web(asked))
            .map(|asked| VerifiedRedirect(asked.into()))
    }

    /// The URI as requested.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, shared.
    pub(super) fn into_shared(self) -> Arc<str> {
        self.0
    }
}

impl AuthenticatedClient<'_> {
    /// The client.
    pub fn client(&self) -> &Client {
        &self.0
    }

    /// The same, shared.
    pub(super) fn into_shared(self) -> Arc<Client> {
        self.0.into_owned()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A configured client that may use no grant type, with `id` as its name.
    pub(crate) fn client(id: &str, secret: Option<&str>, redirect_uris: &[&str]) -> Client {
        Client {
            id: id.into(),
            origin: ClientOrigin::Configured,
            name: id.to_owned(),
            redirect_uris: redirect_uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect(),
            secret: secret.map(SecretDigest::of),
            grant_types: GrantTypes::default(),
            scope: Scope::default(),
            default_scope: None,
            inspects_all: false,
            default_resource: DefaultResource::default(),
        }
    }

    fn clients() -> Clients {
        let demo = client("demo", None, &["http://localhost:3000/cb"]);
        Clients::new([demo, client("shop", Some("s e:c"), &[]), client("app", None, &[])])
    }

    #[test]
    fn a_client_is_who_it_proves_to_be() {
        let clients = clients();
        let check = |basic: Option<(&str, &str)>,
                     id: Option<&str>,
                     secret: Option<&str>,
                     expected: Result<&str, &str>| {
            let basic = basic.map(|(id, secret)| (id.to_owned(), secret.to_owned()));
            let found = clients.authenticate(&Credentials { basic, id, unnamed: Some("demo"), secret });
            match (found.map(|found| found.client().id.to_string()), expected) {
                (Err(Unproven::Refused(found)), Err(words)) => assert!(found.contains(words), "{found}"),
                (Err(Unproven::Ambiguous(found)), Err(words)) => assert!(found.contains(words), "{found}"),
                (found, expected) => assert_eq!(found.ok().as_deref(), expected.ok()),
            }
        };
        check(None, None, None, Ok("demo"));
        check(None, Some("app"), None, Ok("app"));
        check(Some(("app", "")), None, None, Ok("app"));
        check(None, Some("shop"), Some("s e:c"), Ok("shop"));
        check(Some(("shop", "s e:c")), None, None, Ok("shop"));
        check(Some(("shop", "s e:c")), Some("shop"), None, Ok("shop"));
        check(Some(("shop", "s e:c")), Some("shop"), Some("s e:c"), Err("two ways"));
        check(Some(("shop", "s e:c")), Some("app"), None, Err("not the one"));
        check(Some(("shop", "")), None, None, Err("no secret was sent"));
        check(Some(("shop", "s e:d")), None, None, Err("is wrong"));
        check(None, Some("shop"), Some("s e"), Err("is wrong"));
        check(None, Some("shop"), None, Err("no secret was sent"));
        check(None, Some("app"), Some("x"), Err("is public"));
        check(None, None, Some("x"), Err("is public"));
        check(None, Some("nobody"), None, Err("not that of a registered"));
        check(None, Some("Demo"), None, Err("not that of a registered"));
        let without = Clients::new([client("app", None, &[])]);
        let missing = without.authenticate(&Credentials::default());
        assert!(matches!(missing, Err(Unproven::Refused("the client_id is missing"))));
    }

    /// A source of the clients in this list.
    #[derive(Debug, Default)]
    struct Listed(Mutex<Vec<Client>>);

    impl ClientSource for Listed {
        fn find(&self, id: &str) -> Option<Arc<Client>> {
            self.0.lock().unwrap().iter().find(|client| &*client.id == id).cloned().map(Arc::new)
        }
    }

    #[test]
    fn a_client_source_is_asked_after_the_configuration() {
        let source = Arc::<Listed>::default();
        let clients = clients().with_source(Arc::<Listed>::clone(&source));
        assert!(clients.find("guest").is_none());
        source.0.lock().unwrap().extend([client("guest", None, &[]), client("shop", None, &[])]);
        assert_eq!(clients.find("guest").map(|guest| guest.name.clone()).as_deref(), Some("guest"));
        assert!(clients.find("shop").is_some_and(|shop| shop.is_confidential()), "the configured one counts");
        source.0.lock().unwrap().clear();
        assert!(clients.find("guest").is_none() && clients.find("shop").is_some());
    }

    #[test]
    fn a_chosen_secret_proves_nothing_before_it_is_compared() {
        let digest =
            "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA";
        let chosen = Client { secret: SecretDigest::parse(digest), ..client("shop", None, &[]) };
        let clients = Clients::new([chosen]);
        let credentials = Credentials { id: Some("shop"), secret: Some("guess"), ..Credentials::default() };
        let Err(Unproven::Guess(guess)) = clients.authenticate(&credentials) else { panic!("a guess") };
        assert_eq!((&**guess.client_id(), guess.recall().is_none()), ("shop", true));
        assert!(!guess.check().run() && guess.recall().is_none(), "a wrong one is not remembered");
        let printed = format!("{:?}", Unproven::Guess(guess));
        assert!(!printed.contains("guess"), "{printed}");
    }

    #[test]
    fn a_redirect_uri_may_be_left_out_where_there_is_only_one() {
        let check = |own: &[&str], asked: Option<&str>, expected: Result<&str, &str>| {
            let found = client("x", None, own).verify_redirect(asked, &Profile::strict());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_str(), expected),
                (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
                (found, _) => panic!("{found:?}"),
            }
        };
        let (one, two) = ("https://a.example/1", "https://a.example/2");
        check(&[one], None, Ok(one));
        check(&[one], Some(one), Ok(one));
        check(&[one, two], Some(two), Ok(two));
        check(&[one, two], None, Err("missing"));
        check(&[], None, Err("has no redirect URI"));
        check(&[], Some(one), Err("has no redirect URI"));
        check(
            &["https://b.example/", one],
            Some("https://a.example/3"),
            Err("at byte 19: …a.example/3 is not …a.example/1"),
        );
    }
}
