//! Clients that register themselves (RFC 7591), of which nothing is stored.
//!
//! A client keeps its identifier for years, and few ever register again when a server has forgotten it. So the
//! identifier itself carries the registration, sealed with a key that lasts:
//!
//! ```text
//! client_id = "reg~" base64url( key's identifier, 6 bytes | MAC, 32 bytes | content )
//! content   = CBOR [1, name, authentication, whether it gets refresh tokens, scope / null, redirect URI, ...]
//!           | CBOR [2, name, authentication, whether it gets refresh tokens, scope / null, nonce, redirect URI, ...]
//! ```
//!
//! No flood of registrations fills anything, no eviction and no restart loses one, and every server with the keys knows
//! all of them. An old key of the ring still opens what it sealed.
//!
//! The same registration of a public client has the same identifier as long as its key is the current one. A client
//! with a secret gets an identifier of its own each time, by a nonce (format 2): the secret is derived from the key and
//! the identifier. Everyone who sees the identifier can read the metadata in it. Without a nonce they could register
//! that again, and would be given the secret.
//!
//! An identifier is no secret and proves nothing but that this server made it. What it carries was valid when it was
//! made; redirect URIs are checked again when it is opened, because the server's configuration may have changed.
//!
//! Identifiers and secrets consist of unreserved characters (RFC 3986, 2.3): some clients do not encode them for the
//! Basic scheme.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64ct::{Base64UrlUnpadded, Encoding};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::client::{Client, ClientOrigin, GrantTypes, SecretDigest};
use super::redirect::RedirectUri;
use super::resource::DefaultResource;
use super::scope::Scope;
use crate::crypto::keyring::{KEY_ID_BYTES, KEY_ID_CHARS, KeyId, Keyring, Purpose, SealingKey};
use crate::crypto::seal::SEAL_BYTES;

/// The most redirect URIs of a client that registers itself.
pub const REDIRECT_URIS_MAX: usize = 10;

/// The longest of them, in bytes.
pub const REDIRECT_URI_BYTES_MAX: usize = 500;

/// The longest identifier, in characters: it is part of URLs, and of every grant of the client.
pub const CLIENT_ID_CHARS_MAX: usize = 2048;

/// The beginning of every identifier. No client that the operator configures needs to avoid it: those are found first.
const MARK: &str = "reg~";

/// The version of the content of a public client, which has no nonce. Earlier builds used it for all clients.
const FORMAT: u64 = 1;

/// The version of the content with a nonce.
const FORMAT_WITH_NONCE: u64 = 2;

/// The length of a nonce: 128 bits, so that no two clients have the same one.
pub const NONCE_BYTES: usize = 16;

/// How a client authenticates at the token endpoint (RFC 7591, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all: it is public.
    None,
    /// By a secret, in HTTP's Basic scheme.
    SecretBasic,
    /// By a secret, among the parameters.
    SecretPost,
}

impl Authentication {
    /// All of them, in the order of the variants.
    pub const ALL: [Authentication; 3] =
        [Authentication::None, Authentication::SecretBasic, Authentication::SecretPost];

    /// The method of this name (RFC 7591, 2); `None` if it is not supported.
    pub fn parse(name: &str) -> Option<Authentication> {
        Authentication::ALL.into_iter().find(|method| method.as_str() == name)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Authentication::None => "none",
            Authentication::SecretBasic => "client_secret_basic",
            Authentication::SecretPost => "client_secret_post",
        }
    }
}

/// What a client registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// What it calls itself, [cleaned](super::client_name::clean). May be empty.
    pub name: String,
    /// Where its answers may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it authenticates.
    pub authentication: Authentication,
    /// Whether it gets refresh tokens. Codes it always gets, and never tokens without a resource owner's consent.
    pub refreshes: bool,
    /// The scope of a request that names none; `None` for all scopes. A request may name others: its resource owner is
    /// asked for each.
    pub scope: Option<Scope>,
}

/// What a client is given.
pub struct Issued {
    /// Its identifier.
    pub client_id: String,
    /// Its secret, if it authenticates by one.
    pub client_secret: Option<String>,
}

impl Registration {
    /// Seals the registration with the current key. The `nonce`, random bytes, tells a client with a secret from all
    /// others; a public client's identifier has none.
    ///
    /// # Errors
    /// The length of the identifier, if that is more than [`CLIENT_ID_CHARS_MAX`].
    pub fn issue(&self, keys: &Keyring, nonce: &[u8; NONCE_BYTES]) -> Result<Issued, usize> {
        let key = keys.current();
        let is_public = self.authentication == Authentication::None;
        let content = self.encode((!is_public).then_some(nonce));
        let seal = key.seal(Purpose::ClientId, "", &content);
        let bytes = [key.id().as_bytes(), &seal[..], &content].concat();
        let client_id = format!("{MARK}{}", URL_SAFE_NO_PAD.encode(&bytes));
        if client_id.len() > CLIENT_ID_CHARS_MAX {
            return Err(client_id.len());
        }
        let client_secret = (!is_public).then(|| derive_secret(key, &client_id));
        Ok(Issued { client_id, client_secret })
    }

    /// The client that `client_id` carries, if it was issued with one of `keys`. Its maximum scope is `scope`; plain
    /// http beyond loopback counts among its redirect URIs only if that is allowed now.
    pub fn open(client_id: &str, keys: &Keyring, scope: &Scope, allows_http: bool) -> Option<Client> {
        let text = client_id.strip_prefix(MARK).filter(|_| client_id.len() <= CLIENT_ID_CHARS_MAX)?;
        let key = keys.find(KeyId::parse(text.get(..KEY_ID_CHARS)?)?)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (seal, content) = bytes.get(KEY_ID_BYTES..)?.split_first_chunk::<SEAL_BYTES>()?;
        if !key.opens(Purpose::ClientId, "", content, seal) {
            return None;
        }
        let Registration { name, redirect_uris, authentication, refreshes, scope: default_scope } =
            Registration::decode(content, allows_http)?;
        let is_public = authentication == Authentication::None;
        Some(Client {
            id: Arc::from(client_id),
            origin: ClientOrigin::SelfRegistered,
            name,
            redirect_uris,
            secret: (!is_public).then(|| SecretDigest::of(&derive_secret(key, client_id))),
            grant_types: GrantTypes {
                authorization_code: true,
                refresh_token: refreshes,
                client_credentials: false,
            },
            default_scope: default_scope.map(|default| default.restricted_to(scope).into_owned()),
            scope: scope.clone(),
            inspects_all: false,
            default_resource: DefaultResource::OfServer,
        })
    }

    fn encode(&self, nonce: Option<&[u8; NONCE_BYTES]>) -> Vec<u8> {
        let mut writer = Encoder::new(Vec::with_capacity(256));
        // Writing to a Vec cannot fail.
        let written = self.write(nonce, &mut writer);
        debug_assert!(written.is_ok());
        writer.into_writer()
    }

    fn write(
        &self,
        nonce: Option<&[u8; NONCE_BYTES]>,
        writer: &mut Encoder<Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        let (format, fixed) = if nonce.is_some() { (FORMAT_WITH_NONCE, 6) } else { (FORMAT, 5) };
        writer.array(fixed + self.redirect_uris.len() as u64)?.u64(format)?.str(&self.name)?;
        writer.u8(self.authentication as u8)?.bool(self.refreshes)?;
        match &self.scope {
            Some(scope) => writer.str(scope.as_str())?,
            None => writer.null()?,
        };
        if let Some(nonce) = nonce {
            writer.bytes(nonce)?;
        }
        self.redirect_uris.iter().try_for_each(|uri| writer.str(uri.as_str()).map(|_| ()))
    }

    /// Reads what [`Registration::encode`] wrote, without the redirect URIs that are not valid now. The seal shows that
    /// it is intact; `None` for a later format.
    fn decode(content: &[u8], allows_http: bool) -> Option<Registration> {
        let mut reader = Decoder::new(content);
        let length = reader.array().ok()??;
        let format = reader.u64().ok().filter(|format| [FORMAT, FORMAT_WITH_NONCE].contains(format))?;
        let name = reader.str().ok()?.to_owned();
        let authentication = *Authentication::ALL.get(usize::from(reader.u8().ok()?))?;
        let refreshes = reader.bool().ok()?;
        let scope = if reader.datatype().ok()? == Type::Null {
            reader.null().ok()?;
            None
        } else {
            Some(Scope::parse(reader.str().ok()?).ok()?)
        };
        let mut fixed = 5;
        if format == FORMAT_WITH_NONCE {
            reader.bytes().ok()?;
            fixed += 1;
        }
        let parse = if allows_http { RedirectUri::parse_insecure } else { RedirectUri::parse };
        let mut redirect_uris = Vec::new();
        for _ in fixed..length {
            redirect_uris.extend(parse(reader.str().ok()?));
        }
        Some(Registration { name, redirect_uris, authentication, refreshes, scope })
    }
}

/// 256 bits, as base64url.
fn derive_secret(key: &SealingKey, client_id: &str) -> String {
    Base64UrlUnpadded::encode_string(&key.seal(Purpose::ClientSecret, client_id, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keyring::KEY_BYTES;

    const OLD: [u8; KEY_BYTES] = [1; KEY_BYTES];
    const NEW: [u8; KEY_BYTES] = [2; KEY_BYTES];
    const NONCE: [u8; NONCE_BYTES] = [3; NONCE_BYTES];

    fn registration() -> Registration {
        Registration {
            name: "Ein Prüfer".to_owned(),
            redirect_uris: ["https://app.example/cb?x", "http://localhost/cb", "com.example.app:/cb"]
                .map(|uri| RedirectUri::parse(uri).unwrap())
                .to_vec(),
            authentication: Authentication::SecretPost,
            refreshes: true,
            scope: Some(Scope::parse("answer gone").unwrap()),
        }
    }

    fn scope() -> Scope {
        Scope::parse("question answer").unwrap()
    }

    fn open(client_id: &str, keys: &Keyring) -> Option<Client> {
        Registration::open(client_id, keys, &scope(), false)
    }

    #[test]
    fn an_identifier_carries_what_was_registered() {
        let keys = Keyring::new(&OLD);
        let issued = registration().issue(&keys, &NONCE).unwrap();
        let client = open(&issued.client_id, &keys).unwrap();
        assert_eq!((&*client.id, client.origin), (&*issued.client_id, ClientOrigin::SelfRegistered));
        assert_eq!(
            (&client.name, &client.redirect_uris),
            (&registration().name, &registration().redirect_uris)
        );
        let GrantTypes { authorization_code, refresh_token, client_credentials } = client.grant_types;
        assert!(authorization_code && refresh_token && !client_credentials && !client.inspects_all);
        assert_eq!((client.scope, client.default_scope), (scope(), Scope::parse("answer").ok()));
        assert!(client.secret.unwrap().is_of(&issued.client_secret.unwrap()).unwrap());

        let public = Registration {
            authentication: Authentication::None,
            refreshes: false,
            scope: None,
            ..registration()
        };
        let issued = public.issue(&keys, &NONCE).unwrap();
        assert!(issued.client_secret.is_none());
        let client = open(&issued.client_id, &keys).unwrap();
        assert!(client.secret.is_none() && client.default_scope.is_none() && !client.grant_types.refresh_token);
    }

    /// Everyone who sees an identifier can read what is in it, and register that.
    #[test]
    fn a_registration_again_does_not_give_another_clients_secret() {
        let keys = Keyring::new(&OLD);
        let check = |authentication, is_same| {
            let issue = |nonce: u8| {
                let registration = Registration { authentication, ..registration() };
                let Issued { client_id, client_secret } =
                    registration.issue(&keys, &[nonce; NONCE_BYTES]).unwrap();
                let client = open(&client_id, &keys).unwrap();
                assert_eq!(client.redirect_uris, registration.redirect_uris);
                (client_id, client_secret)
            };
            let [first, second] = [issue(1), issue(2)];
            assert_eq!((first.0 == second.0, first.1 == second.1), (is_same, is_same), "{authentication:?}");
        };
        check(Authentication::None, true);
        check(Authentication::SecretBasic, false);
        check(Authentication::SecretPost, false);
    }

    #[test]
    fn the_same_registration_has_the_same_identifier() {
        let keys = Keyring::new(&OLD);
        let issue = |registration: Registration| registration.issue(&keys, &NONCE).unwrap();
        let [first, second] = [registration(), registration()].map(issue);
        assert_eq!((&first.client_id, &first.client_secret), (&second.client_id, &second.client_secret));
        let others = [
            Registration { name: String::new(), ..registration() },
            Registration { redirect_uris: registration().redirect_uris[..2].to_vec(), ..registration() },
            Registration { authentication: Authentication::SecretBasic, ..registration() },
            Registration { refreshes: false, ..registration() },
            Registration { scope: None, ..registration() },
        ];
        for other in others.map(issue) {
            assert_ne!(other.client_id, first.client_id);
            assert_ne!(other.client_secret, first.client_secret);
        }
    }

    /// Clients keep both for years: a build that makes or reads them in another way loses every client.
    #[test]
    fn an_identifier_and_its_secret_never_change() {
        let keys = Keyring::new(&OLD);
        let check = |id: &str, secret: &str| {
            let client = open(id, &keys).unwrap();
            assert_eq!(client.redirect_uris, registration().redirect_uris);
            assert!(client.secret.unwrap().is_of(secret).unwrap());
        };
        // Of builds that used no nonce.
        let id = concat!(
            "reg~-5QaIFJvhd_ByCARo7ThhUAEFjmBIcYJC23-oefQY8HvTDUL00GIAWtFaW4g",
            "UHLDvGZlcgL1a2Fuc3dlciBnb25leBhodHRwczovL2FwcC5leGFtcGxlL2NiP3hzaHR0cDovL2xvY2FsaG9zdC9jYn",
            "Njb20uZXhhbXBsZS5hcHA6L2Ni",
        );
        check(id, "VTGSfeEvPFR36GMsLFuX1WtUJqtmEPZLEkT5-7OZsHk");
        let public = Registration { authentication: Authentication::None, ..registration() };
        let public_id = concat!(
            "reg~-5QaIFJvdPb6x1thaSblY7pQXGuZzyj4iovCZEYOpXKd_1dAZ1KIAWtFaW4gUHLDvGZlcgD1a2Fuc3dlciBn",
            "b25leBhodHRwczovL2FwcC5leGFtcGxlL2NiP3hzaHR0cDovL2xvY2FsaG9zdC9jYnNjb20uZXhhbXBsZS5hcHA6",
            "L2Ni",
        );
        let issued = public.issue(&keys, &NONCE).unwrap();
        assert_eq!((&*issued.client_id, issued.client_secret), (public_id, None));
        let id = concat!(
            "reg~-5QaIFJvTa9p-pZTRnt_jWVOLRupBuQAs4-QlNol6w3LtIBUfM6JAmtFaW4gUHLDvGZlcgL1a2Fuc3dlciBn",
            "b25lUAMDAwMDAwMDAwMDAwMDAwN4GGh0dHBzOi8vYXBwLmV4YW1wbGUvY2I_eHNodHRwOi8vbG9jYWxob3N0L2Ni",
            "c2NvbS5leGFtcGxlLmFwcDovY2I",
        );
        let Issued { client_id, client_secret } = registration().issue(&keys, &NONCE).unwrap();
        assert_eq!(
            (&*client_id, client_secret.as_deref()),
            (id, Some("N8NJDtvhAUL7WtnUn5jv-oiEy_Z99NHojhQFG9blyxc"))
        );
        check(&client_id, &client_secret.unwrap());
    }

    #[test]
    fn old_keys_open_an_identifier_and_other_keys_do_not() {
        let issued = registration().issue(&Keyring::new(&OLD), &NONCE).unwrap();
        let rotated = Keyring::new(&NEW).with_old([&OLD]);
        let client = open(&issued.client_id, &rotated).unwrap();
        assert!(client.secret.unwrap().is_of(issued.client_secret.as_deref().unwrap()).unwrap());
        assert!(open(&issued.client_id, &Keyring::new(&NEW)).is_none());
        let renewed = registration().issue(&rotated, &NONCE).unwrap();
        assert_ne!((renewed.client_id, renewed.client_secret), (issued.client_id, issued.client_secret));
    }

    #[test]
    fn an_identifier_with_any_bit_changed_is_unknown() {
        let keys = Keyring::new(&OLD);
        let id = registration().issue(&keys, &NONCE).unwrap().client_id;
        for bit in 0..8 * id.len() {
            let mut bytes = id.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(open(&changed, &keys).is_none(), "bit {bit}: {changed}");
            }
        }
        for length in 0..id.len() {
            assert!(open(&id[..length], &keys).is_none(), "{length}");
        }
        for longer in [format!("{id}A"), format!("{id}AAAA"), format!("{id}="), format!(" {id}")] {
            assert!(open(&longer, &keys).is_none(), "{longer}");
        }
    }

    #[test]
    fn a_seal_of_another_purpose_makes_no_identifier() {
        let keys = Keyring::new(&OLD);
        let content = registration().encode(Some(&NONCE));
        let purposes = [
            (Purpose::ClientId, true),
            (Purpose::ClientSecret, false),
            (Purpose::Form, false),
            (Purpose::Code, false),
        ];
        for (purpose, is_known) in purposes {
            assert_eq!(open(&sealed(&keys, purpose, "", &content), &keys).is_some(), is_known, "{purpose:?}");
        }
        assert!(open(&sealed(&keys, Purpose::ClientId, "holder", &content), &keys).is_none());
    }

    /// What has a seal of this server and is no registration: of another build, or longer than any that is issued.
    #[test]
    fn sealed_content_that_no_registration_has_is_unknown() {
        let keys = Keyring::new(&OLD);
        let of = |content: &[u8]| open(&sealed(&keys, Purpose::ClientId, "", content), &keys);
        let content = registration().encode(Some(&NONCE));
        assert!(of(&content).is_some());
        let mut later = content.clone();
        assert_eq!(later[1], FORMAT_WITH_NONCE as u8);
        later[1] += 1;
        assert!(of(&later).is_none());
        let mut method = content.clone();
        let at = 2 + method[2..].iter().position(|byte| *byte == Authentication::SecretPost as u8).unwrap();
        method[at] = Authentication::ALL.len() as u8;
        assert!(of(&method).is_none());
        for length in 0..content.len() {
            assert!(of(&content[..length]).is_none(), "{length}");
        }
        let name = "n".repeat(CLIENT_ID_CHARS_MAX);
        assert!(of(&Registration { name, ..registration() }.encode(Some(&NONCE))).is_none());
    }

    fn sealed(keys: &Keyring, purpose: Purpose, holder: &str, content: &[u8]) -> String {
        let key = keys.current();
        let bytes = [key.id().as_bytes(), &key.seal(purpose, holder, content)[..], content].concat();
        format!("{MARK}{}", URL_SAFE_NO_PAD.encode(&bytes))
    }

    #[test]
    fn identifiers_and_secrets_are_unreserved_and_have_a_bound() {
        let keys = Keyring::new(&OLD);
        let of_length = |length: usize| {
            let uri = RedirectUri::parse(&format!("https://app.example/{}", "x".repeat(length))).unwrap();
            Registration { redirect_uris: vec![uri], ..registration() }.issue(&keys, &NONCE)
        };
        let longest = (0..CLIENT_ID_CHARS_MAX).rev().find_map(|length| of_length(length).ok()).unwrap();
        assert_eq!(longest.client_id.len(), CLIENT_ID_CHARS_MAX);
        assert!(open(&longest.client_id, &keys).is_some());
        assert!(of_length(CLIENT_ID_CHARS_MAX).is_err_and(|length| length > CLIENT_ID_CHARS_MAX));
        let secret = longest.client_secret.unwrap();
        assert_eq!(secret.len(), 43);
        for text in [longest.client_id, secret] {
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), "{text}");
        }
    }

    #[test]
    fn a_redirect_uri_that_is_not_valid_any_more_is_left_out() {
        let keys = Keyring::new(&OLD);
        let uris = ["http://app.test/cb", "https://app.example/cb"];
        let redirect_uris = uris.map(|uri| RedirectUri::parse_insecure(uri).unwrap()).to_vec();
        let id = Registration { redirect_uris, ..registration() }.issue(&keys, &NONCE).unwrap().client_id;
        let count =
            |allows_http| Registration::open(&id, &keys, &scope(), allows_http).unwrap().redirect_uris.len();
        assert_eq!((count(true), count(false)), (2, 1));
    }
}
