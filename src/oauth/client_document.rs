//! Client ID metadata documents: a client's registration, as the client publishes it at the URL that is its
//! identifier (draft-ietf-oauth-client-id-metadata-document, 4).
//!
//! A document is JSON with the members of RFC 7591. Anyone can write one, so it says what its client is called and
//! where its answers go, and nothing in it is proof. What it proves is that its author controls the URL, and that only
//! if its `client_id` is that URL, byte for byte.
//!
//! ```text
//!   client_id                              the URL                                 else it is another client's
//!   redirect_uris                          those that redirect.rs accepts          none left: refused
//!   token_endpoint_auth_method             "none", or absent                       a shared secret: refused
//!   token_endpoint_auth_methods_supported  lists "none", whatever the one above    absent: the one above counts
//!   client_secret, a private key           never                                   the whole world has read it
//!   grant_types                            what this server has of them            the rest is dropped
//!   scope                                  the default of its requests             absent: everything
//!   client_name                            cleaned, with a bound                   absent: none
//! ```
//!
//! Unknown members are ignored. A repeated one refuses the document: programs differ in which they read.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::client::{Client, ClientOrigin, GrantTypes};
use super::client_name::clean;
use super::document_url::DocumentUrl;
use super::redirect::{RedirectUri, RedirectUriError};
use super::resource::DefaultResource;
use super::scope::Scope;
use crate::crypto::hash::{DIGEST_BYTES, sha256};

/// The largest document that is read, in bytes (8.7 recommends five kilobytes).
pub const DOCUMENT_BYTES_MAX: usize = 5 * 1024;

/// Why a document is not a client's registration. Prints as the reason, for the client's developer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each prints its meaning")]
pub enum DocumentError {
    TooLarge,
    NotJson,
    Repeated(&'static str),
    WrongType(&'static str),
    OtherClient,
    SharedSecret(&'static str),
    PrivateKey,
    Authentication,
    NoRedirectUri,
    RedirectUri(RedirectUriError),
    NoCode(&'static str),
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DocumentError::TooLarge => write!(f, "it is larger than {DOCUMENT_BYTES_MAX} bytes"),
            DocumentError::NotJson => f.write_str("it is not a JSON object"),
            DocumentError::Repeated(name) => write!(f, "it has {name} more than once"),
            DocumentError::WrongType(name) => write!(f, "its {name} has the wrong type of value"),
            DocumentError::OtherClient => {
                f.write_str("its client_id is not its URL, byte for byte (or is missing)")
            }
            DocumentError::SharedSecret(name) => {
                write!(f, "its {name} means a shared secret, and a public document cannot have one")
            }
            DocumentError::PrivateKey => f.write_str("its jwks contain a private or symmetric key"),
            DocumentError::Authentication => f.write_str(
                "it asks for a way to authenticate that this server does not have; list none in \
                 token_endpoint_auth_methods_supported to be served as a public client",
            ),
            DocumentError::NoRedirectUri => f.write_str("it has no redirect_uris"),
            DocumentError::RedirectUri(error) => {
                write!(f, "none of its redirect_uris is valid: the first {error}")
            }
            DocumentError::NoCode(name) => {
                write!(f, "its {name} leave out the code flow, the only one that this server has for it")
            }
        }
    }
}

/// Reads the document `bytes` of `url`. Its client may ask for the scope `offered`: the resource owner decides.
///
/// # Errors
/// The first reason why it is not the registration of this client.
pub fn read(url: &DocumentUrl, bytes: &[u8], offered: &Scope) -> Result<Client, DocumentError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(DocumentError::TooLarge);
    }
    let members: Members = serde_json::from_slice(bytes).map_err(|_| DocumentError::NotJson)?;
    members.check_repeated()?;
    if members.text("client_id")? != Some(url.as_str()) {
        return Err(DocumentError::OtherClient);
    }
    check_secrets(&members)?;
    check_authentication(&members)?;
    let redirect_uris = read_redirect_uris(&members)?;
    let grant_types = read_grant_types(&members)?;
    let default_scope = read_scope(&members, offered)?;
    let client = unread(url, offered);
    // Without one the dialog says that there is none, and gives it no other.
    let name = members.text("client_name")?.map(clean).unwrap_or_default();
    Ok(Client { name, redirect_uris, grant_types, default_scope, ..client })
}

/// What is known of the client of `url` without its document, for the grants that it has: it may do what such clients
/// may. It has no redirect URI, so nothing can be authorized for it.
pub fn unread(url: &DocumentUrl, offered: &Scope) -> Client {
    Client {
        id: url.shared().clone(),
        origin: ClientOrigin::Document,
        name: url.origin().authority(),
        redirect_uris: Vec::new(),
        secret: None,
        grant_types: GrantTypes { authorization_code: true, refresh_token: true, client_credentials: false },
        scope: offered.clone(),
        default_scope: None,
        inspects_all: false,
        // Its MCP server, where the operator has one.
        default_resource: DefaultResource::OfServer,
    }
}

/// Identifies what a dialog says of `client`, and what it may do. Two documents that differ in nothing else have the
/// same fingerprint.
pub fn fingerprint(client: &Client) -> Fingerprint {
    let GrantTypes { authorization_code, refresh_token, client_credentials } = client.grant_types;
    let mut text = format!("{authorization_code} {refresh_token} {client_credentials}");
    let scope = client.default_scope.as_ref().map(Scope::as_str);
    let uris = client.redirect_uris.iter().map(RedirectUri::as_str);
    for part in [client.name.as_str(), scope.unwrap_or("*")].into_iter().chain(uris) {
        // No part contains this byte.
        text.push('\0');
        text.push_str(part);
    }
    sha256(text.as_bytes())
}

/// See [`fingerprint`].
pub type Fingerprint = [u8; DIGEST_BYTES];

/// Everyone can read the document, so nothing in it is a secret (4.1).
fn check_secrets(members: &Members) -> Result<(), DocumentError> {
    for name in ["client_secret", "client_secret_expires_at"] {
        if members.value(name).is_some() {
            return Err(DocumentError::SharedSecret(name));
        }
    }
    // RFC 7518, 6.2.2, 6.3.2 and 6.4.1: the private part of an elliptic-curve or RSA key, and a symmetric key.
    const SECRET_PARTS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let keys = members.value("jwks").and_then(|jwks| jwks.get("keys")).and_then(Value::as_array);
    let is_secret = |key: &Value| SECRET_PARTS.iter().any(|part| key.get(part).is_some());
    if keys.is_some_and(|keys| keys.iter().any(is_secret)) { Err(DocumentError::PrivateKey) } else { Ok(()) }
}

/// Checks that the client can do without authentication: this server has none for it. A method that only prefers
/// something else is no obstacle where the list of methods has `none` (OpenID RP Metadata Choices, 2).
fn check_authentication(members: &Members) -> Result<(), DocumentError> {
    const METHOD: &str = "token_endpoint_auth_method";
    let method = members.text(METHOD)?;
    if method.is_some_and(|method| method.starts_with("client_secret_")) {
        return Err(DocumentError::SharedSecret(METHOD));
    }
    let methods = members.texts("token_endpoint_auth_methods_supported")?;
    let is_public = match methods {
        Some(methods) => methods.contains(&"none"),
        // The default of RFC 7591 is a shared secret, which cannot be meant.
        None => method.is_none_or(|method| method == "none"),
    };
    if is_public { Ok(()) } else { Err(DocumentError::Authentication) }
}

/// The redirect URIs that this server accepts. The others are left out, since other servers may accept them: a request
/// that uses one is refused.
fn read_redirect_uris(members: &Members) -> Result<Vec<RedirectUri>, DocumentError> {
    let texts = members.texts("redirect_uris")?.unwrap_or_default();
    let mut first_error = None;
    let mut uris: Vec<RedirectUri> = Vec::new();
    for text in texts {
        match RedirectUri::parse(text) {
            Ok(uri) => uris.push(uri),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    if uris.is_empty() {
        Err(first_error.map_or(DocumentError::NoRedirectUri, DocumentError::RedirectUri))
    } else {
        Ok(uris)
    }
}

fn read_grant_types(members: &Members) -> Result<GrantTypes, DocumentError> {
    let response_types = members.texts("response_types")?;
    if response_types.is_some_and(|types| !types.contains(&"code")) {
        return Err(DocumentError::NoCode("response_types"));
    }
    // RFC 7591, 2: the default.
    let names = members.texts("grant_types")?.unwrap_or_else(|| vec!["authorization_code"]);
    if !names.contains(&"authorization_code") {
        return Err(DocumentError::NoCode("grant_types"));
    }
    Ok(GrantTypes {
        authorization_code: true,
        refresh_token: names.contains(&"refresh_token"),
        // Takes a secret (RFC 6749, 4.4).
        client_credentials: false,
    })
}

/// The part of `offered` that the document names; `None` where it has no member `scope`. An empty one asks for none.
fn read_scope(members: &Members, offered: &Scope) -> Result<Option<Scope>, DocumentError> {
    let Some(text) = members.text("scope")? else { return Ok(None) };
    let asked = Scope::parse(text).map_err(|_| DocumentError::WrongType("scope"))?;
    Ok(Some(asked.restricted_to(offered).into_owned()))
}

/// The members of a document that matter here. `null` counts as absent (RFC 7591, 2, has no null).
#[derive(Default)]
struct Members {
    values: BTreeMap<&'static str, Value>,
    repeated: Option<&'static str>,
}

/// The members that are read.
const NAMES: [&str; 11] = [
    "client_id",
    "client_name",
    "client_secret",
    "client_secret_expires_at",
    "grant_types",
    "jwks",
    "redirect_uris",
    "response_types",
    "scope",
    "token_endpoint_auth_method",
    "token_endpoint_auth_methods_supported",
];

impl Members {
    fn check_repeated(&self) -> Result<(), DocumentError> {
        self.repeated.map_or(Ok(()), |name| Err(DocumentError::Repeated(name)))
    }

    fn value(&self, name: &'static str) -> Option<&Value> {
        self.values.get(name)
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, DocumentError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or(DocumentError::WrongType(name))
    }

    fn texts(&self, name: &'static str) -> Result<Option<Vec<&str>>, DocumentError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let texts = value.as_array().and_then(|values| values.iter().map(Value::as_str).collect());
        texts.map(Some).ok_or(DocumentError::WrongType(name))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Document;

        impl<'de> Visitor<'de> for Document {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some(key) = map.next_key::<String>()? {
                    let value: Value = map.next_value()?;
                    let Some(name) = NAMES.into_iter().find(|name| *name == key) else { continue };
                    if !value.is_null() && members.values.insert(name, value).is_some() {
                        members.repeated = members.repeated.or(Some(name));
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://app.example/client.json";

    fn read_text(text: &str) -> Result<Client, DocumentError> {
        let url = DocumentUrl::parse(URL, false).unwrap();
        read(&url, text.as_bytes(), &Scope::parse("answer question").unwrap())
    }

    /// A document with these members beside the two that it needs.
    fn with(members: &str) -> Result<Client, DocumentError> {
        read_text(&format!(
            r#"{{"client_id":"{URL}","redirect_uris":["https://app.example/cb"]{}{members}}}"#,
            if members.is_empty() { "" } else { "," }
        ))
    }

    #[test]
    fn a_document_registers_a_public_client() {
        let client = with("").unwrap();
        assert_eq!((&*client.id, client.name.as_str()), (URL, ""));
        assert_eq!(client.redirect_uris, [RedirectUri::parse("https://app.example/cb").unwrap()]);
        assert!(!client.is_confidential() && !client.inspects_all);
        let GrantTypes { authorization_code, refresh_token, client_credentials } = client.grant_types;
        assert_eq!((authorization_code, refresh_token, client_credentials), (true, false, false));
        assert_eq!((client.scope.as_str(), client.default_scope), ("answer question", None));
        assert_eq!(client.origin, ClientOrigin::Document);
        let client = with(
            r#""client_name":" An\u202e app\n ","grant_types":["authorization_code","refresh_token",
            "client_credentials","urn:x"],"response_types":["code","token"],"scope":"question other",
            "application_type":"native","logo_uri":5,"client_uri":null"#,
        )
        .unwrap();
        let scope = client.default_scope.as_ref().map(Scope::as_str);
        assert_eq!((client.name.as_str(), scope), ("An app", Some("question")));
        assert!(client.grant_types.refresh_token && !client.grant_types.client_credentials);
    }

    #[test]
    fn the_client_id_is_the_url_byte_for_byte() {
        for id in [
            "",
            "https://app.example/client.jso",
            "https://app.example/client.json/",
            "https://APP.example/client.json",
            "https://app.example:443/client.json",
            "https://app.example/client%2ejson",
            "https://evil.example/client.json",
        ] {
            let text = format!(r#"{{"client_id":"{id}","redirect_uris":["https://app.example/cb"]}}"#);
            assert_eq!(read_text(&text).err(), Some(DocumentError::OtherClient), "{id}");
        }
        let missing = r#"{"redirect_uris":["https://app.example/cb"]}"#;
        assert_eq!(read_text(missing).err(), Some(DocumentError::OtherClient));
        let escaped =
            r#"{"client_id":"https:\/\/app.example\/client.json","redirect_uris":["https://a.example/"]}"#;
        assert!(read_text(escaped).is_ok(), "the value is compared, not its spelling in JSON");
    }

    #[test]
    fn a_client_that_can_do_without_authentication_is_served() {
        let check = |members: &str, expected: Result<(), DocumentError>| {
            assert_eq!(with(members).map(|_| ()), expected, "{members}");
        };
        const ONE: &str = "token_endpoint_auth_method";
        const ALL: &str = "token_endpoint_auth_methods_supported";
        let refused = || Err(DocumentError::Authentication);
        check(&format!(r#""{ONE}":"none""#), Ok(()));
        check(&format!(r#""{ONE}":null"#), Ok(()));
        check(&format!(r#""{ONE}":"private_key_jwt""#), refused());
        check(&format!(r#""{ONE}":"private_key_jwt","{ALL}":["private_key_jwt"]"#), refused());
        check(&format!(r#""{ONE}":"private_key_jwt","{ALL}":["none","private_key_jwt"]"#), Ok(()));
        check(&format!(r#""{ALL}":["none"]"#), Ok(()));
        check(&format!(r#""{ALL}":["private_key_jwt"]"#), refused());
        check(&format!(r#""{ALL}":[]"#), refused());
        for method in ["client_secret_basic", "client_secret_post", "client_secret_jwt"] {
            let members = format!(r#""{ONE}":"{method}","{ALL}":["none"]"#);
            check(&members, Err(DocumentError::SharedSecret(ONE)));
        }
    }

    #[test]
    fn nothing_in_a_document_is_a_secret() {
        let check =
            |members: &str, error: DocumentError| assert_eq!(with(members).err(), Some(error), "{members}");
        check(r#""client_secret":"s""#, DocumentError::SharedSecret("client_secret"));
        check(r#""client_secret":5"#, DocumentError::SharedSecret("client_secret"));
        check(r#""client_secret_expires_at":0"#, DocumentError::SharedSecret("client_secret_expires_at"));
        check(r#""jwks":{"keys":[{"kty":"EC","x":"a","d":"b"}]}"#, DocumentError::PrivateKey);
        check(r#""jwks":{"keys":[{"kty":"EC"},{"kty":"oct","k":"b"}]}"#, DocumentError::PrivateKey);
        for part in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            check(&format!(r#""jwks":{{"keys":[{{"kty":"X","{part}":"b"}}]}}"#), DocumentError::PrivateKey);
        }
        assert!(with(r#""jwks":{"keys":[{"kty":"EC","x":"a","y":"b"}]}"#).is_ok());
    }

    #[test]
    fn what_cannot_be_read_as_a_registration_is_refused_by_name() {
        let check = |text: &str, error: DocumentError| assert_eq!(read_text(text).err(), Some(error), "{text}");
        for text in ["", "null", "[]", "5", "\"x\"", "{", "{}x", "{\"client_id\":}", "<html>", "\u{feff}{}"] {
            check(text, DocumentError::NotJson);
        }
        check(&"[".repeat(DOCUMENT_BYTES_MAX), DocumentError::NotJson);
        check(&format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000)), DocumentError::NotJson);
        check(&" ".repeat(DOCUMENT_BYTES_MAX + 1), DocumentError::TooLarge);
        let with =
            |members: &str, error: DocumentError| assert_eq!(with(members).err(), Some(error), "{members}");
        with(&format!(r#""client_id":"{URL}""#), DocumentError::Repeated("client_id"));
        with(r#""redirect_uris":["https://evil.example/"]"#, DocumentError::Repeated("redirect_uris"));
        with(r#""client_name":{}"#, DocumentError::WrongType("client_name"));
        with(r#""scope":["answer"]"#, DocumentError::WrongType("scope"));
        with(r#""scope":"\u0000""#, DocumentError::WrongType("scope"));
        with(r#""grant_types":"authorization_code""#, DocumentError::WrongType("grant_types"));
        with(r#""grant_types":["client_credentials"]"#, DocumentError::NoCode("grant_types"));
        with(r#""response_types":["token"]"#, DocumentError::NoCode("response_types"));
    }

    #[test]
    fn a_fingerprint_changes_with_what_a_person_is_told() {
        let of = |members: &str| fingerprint(&with(members).unwrap());
        let plain = of("");
        for same in [r#""contacts":["a"]"#, r#""client_name":"""#, r#""token_endpoint_auth_method":"none""#] {
            assert_eq!(of(same), plain, "{same}");
        }
        let (name, refresh) =
            (r#""client_name":"A""#, r#""grant_types":["authorization_code","refresh_token"]"#);
        let others = [plain, of(name), of(refresh), of(r#""scope":"answer""#), of(r#""scope":"""#)];
        for (index, other) in others.iter().enumerate() {
            assert!(!others[index + 1..].contains(other), "{index}");
        }
        let uris = |uris: &str| {
            let text = format!(r#"{{"client_id":"{URL}","redirect_uris":{uris}}}"#);
            fingerprint(&read_text(&text).unwrap())
        };
        assert_eq!(uris(r#"["https://app.example/cb"]"#), plain);
        assert_ne!(uris(r#"["https://app.example/cb","https://app.example/cc"]"#), plain);
        let two = uris(r#"["https://app.example/cb","com.example:/cc"]"#);
        assert_ne!(two, uris(r#"["https://app.example/cbcom.example:/cc"]"#), "one is not two");
    }

    #[test]
    fn a_document_keeps_the_redirect_uris_that_are_valid() {
        let check = |uris: &str, expected: Result<&[&str], DocumentError>| {
            let client = read_text(&format!(r#"{{"client_id":"{URL}","redirect_uris":{uris}}}"#));
            let uris = client.map(|client| client.redirect_uris);
            let found = uris.as_ref().map(|uris| uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>());
            assert_eq!(found, expected.as_ref().map(|uris| uris.to_vec()), "{uris:?}");
        };
        check(
            r#"["http://127.0.0.1/cb","http://localhost/cb"]"#,
            Ok(&["http://127.0.0.1/cb", "http://localhost/cb"]),
        );
        check(r#"["javascript:alert(1)","com.example.app:/cb"]"#, Ok(&["com.example.app:/cb"]));
        check(r#"["http://app.example/cb"]"#, Err(DocumentError::RedirectUri(RedirectUriError::PlainHttp)));
        check("[]", Err(DocumentError::NoRedirectUri));
        check("null", Err(DocumentError::NoRedirectUri));
        check(r#""https://app.example/cb""#, Err(DocumentError::WrongType("redirect_uris")));
        check(r#"["https://app.example/cb",5]"#, Err(DocumentError::WrongType("redirect_uris")));
    }
}
