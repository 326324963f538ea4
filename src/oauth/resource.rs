//! Protected resources, as requests name them (RFC 8707) and as tokens are bound to them.
//!
//! A client names the resource that a token is for by its URI, in the parameter `resource`. The token works there and
//! nowhere else: a resource that is handed a token for another one refuses it, so it cannot pass a token that it was
//! given on to the next resource (RFC 9700, 4.9.1).
//!
//! The URIs are configured. A request may spell one differently in two ways: libraries add a slash at the end, and
//! scheme and host ignore case. A token, and every answer, has the configured spelling, so that a resource server can
//! compare the text.
//!
//! Most servers have no resources, and most grants name none. An [`Audience`] is then empty: it has no memory of its
//! own, and nothing is compared.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::origin::{Authority, Origin, Scheme};
use super::scope::{Scope, excerpt};

/// The maximum of resources in one request.
pub const AUDIENCE_MAX: usize = 16;

/// A resource in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    uri: Arc<str>,
    /// The name for people.
    name: String,
    /// The scopes that it knows, for its metadata (RFC 9728, 2).
    scope: Scope,
    /// The audience of a token for only this resource, made once.
    audience: Audience,
}

/// Why a text is not the URI of a resource. Prints as the reason with the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each prints its meaning")]
pub enum ResourceError {
    Relative,
    Character,
    Fragment,
    Query,
    Host,
}

impl fmt::Display for ResourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResourceError::Relative => {
                "is not an absolute URI (RFC 8707, 2); write https://api.example or https://api.example/path"
            }
            ResourceError::Character => "has a character that is not allowed in a URI",
            ResourceError::Fragment => "has a fragment (RFC 8707, 2); remove it",
            ResourceError::Query => "has a query (RFC 8707, 2); remove it",
            ResourceError::Host => "has no valid host and port, or has user information",
        })
    }
}

/// The resources that a grant or a token is for, by their configured URIs. Empty for none in particular: such a token
/// works where no resource has to be named.
#[derive(Clone, Default, PartialEq, Eq)]
// Behind one thin pointer, because every access token has one: it costs eight bytes, and nothing more while it is
// empty.
pub struct Audience(Option<Arc<Vec<Arc<str>>>>);

/// The configured resources.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    all: Vec<Resource>,
    /// The audience of a request that names no resource.
    default: Audience,
}

/// The resource that is meant by a request that names none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DefaultResource {
    /// The server's default; for the server itself, its only resource.
    #[default]
    OfServer,
    /// None: the token has an empty audience.
    Nothing,
    /// The one with this URI, in the configured spelling.
    Uri(Arc<str>),
}

impl Resource {
    /// A resource that is called `name` and knows `scope`.
    ///
    /// # Errors
    /// If `uri` is not an absolute URI without query and fragment (RFC 8707, 2).
    pub fn new(uri: &str, name: &str, scope: Scope) -> Result<Resource, ResourceError> {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]?#%@!$&()*+,;='".contains(&byte);
        if !uri.bytes().all(is_safe) {
            return Err(ResourceError::Character);
        }
        if uri.contains('#') {
            return Err(ResourceError::Fragment);
        }
        if uri.contains('?') {
            return Err(ResourceError::Query);
        }
        let (scheme, _) =
            uri.split_once(':').filter(|(_, rest)| !rest.is_empty()).ok_or(ResourceError::Relative)?;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(is_part) {
            return Err(ResourceError::Relative);
        }
        if Scheme::parse(scheme).is_some() && origin(uri).is_none() {
            return Err(ResourceError::Host);
        }
        let uri: Arc<str> = uri.into();
        let audience = Audience::from_iter([Arc::clone(&uri)]);
        Ok(Resource { uri, name: name.to_owned(), scope, audience })
    }

    /// Its URI as configured.
    pub fn uri(&self) -> &Arc<str> {
        &self.uri
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The scopes that it knows.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The origin of an http or https URI; `None` for any other.
    pub fn origin(&self) -> Option<Origin> {
        origin(&self.uri)
    }

    /// The path of its URI without a slash at the end; empty for one without a path.
    pub fn path(&self) -> &str {
        split(&self.uri).1
    }

    /// Whether `asked` is its URI, but for the case of scheme and host, and one slash at the end.
    pub fn is(&self, asked: &str) -> bool {
        is_same(&self.uri, asked)
    }
}

/// Whether two URIs are the same, but for the case of scheme and host, and one slash at the end.
fn is_same(one: &str, other: &str) -> bool {
    let ((place, path), (other_place, other_path)) = (split(one), split(other));
    place.eq_ignore_ascii_case(other_place) && path == other_path
}

/// The scheme and authority of a URI, and its path without one slash at the end. Nothing else is normalized.
fn split(uri: &str) -> (&str, &str) {
    let start = uri.find("://").map_or(0, |at| at + 3);
    let path = match start {
        // Such as `urn:example:api`: only the scheme ignores case.
        0 => uri.find(':').map_or(0, |at| at + 1),
        start => uri[start..].find('/').map_or(uri.len(), |at| start + at),
    };
    let (place, path) = uri.split_at(path);
    (place, path.strip_suffix('/').unwrap_or(path))
}

/// The origin of an http or https URI without user information.
fn origin(uri: &str) -> Option<Origin> {
    let (scheme, authority) = split(uri).0.split_once("://")?;
    let authority = Authority::parse(authority).filter(|_| !authority.contains('@'))?;
    Some(Origin::new(Scheme::parse(scheme)?, authority))
}

impl Resources {
    /// These resources. A request that names none means `default`, and without one the only resource that there is.
    pub fn new(all: Vec<Resource>, default: &DefaultResource) -> Resources {
        let found = match (default, &all[..]) {
            (DefaultResource::Uri(uri), all) => all.iter().find(|resource| resource.is(uri)),
            (DefaultResource::OfServer, [only]) => Some(only),
            (DefaultResource::OfServer | DefaultResource::Nothing, _) => None,
        };
        let default = found.map(|resource| resource.audience.clone()).unwrap_or_default();
        Resources { all, default }
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.all.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The resource that a request calls `asked`.
    pub fn find(&self, asked: &str) -> Option<&Resource> {
        self.all.iter().find(|resource| resource.is(asked))
    }

    /// The audience that a request names; `None` if it names no resource.
    ///
    /// # Errors
    /// The first resource that is not configured or has a fragment, as the description of `invalid_target` (RFC 8707,
    /// 2); and more than [`AUDIENCE_MAX`] of them.
    pub fn named<'a>(&self, asked: impl IntoIterator<Item = &'a str>) -> Result<Option<Audience>, String> {
        let mut found: Vec<&Resource> = Vec::new();
        for uri in asked {
            let resource = self.find(uri).ok_or_else(|| {
                if uri.contains('#') {
                    format!("the resource {} has a fragment (RFC 8707, 2)", excerpt(uri))
                } else {
                    format!("the resource {} is not configured on this server", excerpt(uri))
                }
            })?;
            if !found.iter().any(|known| known.uri == resource.uri) {
                found.push(resource);
            }
            if found.len() > AUDIENCE_MAX {
                return Err(format!("the request names more than {AUDIENCE_MAX} resources"));
            }
        }
        Ok(match found[..] {
            [] => None,
            // Shared, so that the usual request costs no copy.
            [only] => Some(only.audience.clone()),
            _ => Some(found.iter().map(|resource| Arc::clone(&resource.uri)).collect()),
        })
    }

    /// The audience of a grant that a client with this `default` asks for with these resources.
    ///
    /// # Errors
    /// As [`Resources::named`].
    pub fn requested<'a>(
        &self,
        default: &DefaultResource,
        asked: impl IntoIterator<Item = &'a str>,
    ) -> Result<Audience, String> {
        Ok(self.named(asked)?.unwrap_or_else(|| match default {
            DefaultResource::OfServer => self.default.clone(),
            DefaultResource::Nothing => Audience::default(),
            // Never missing: the configuration is checked.
            DefaultResource::Uri(uri) => self.find(uri).map(|own| own.audience.clone()).unwrap_or_default(),
        }))
    }
}

impl Audience {
    /// The URIs, in the order of the request.
    pub fn uris(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().flat_map(|uris| uris.iter())
    }

    /// Whether it names no resource.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it names the resource `uri`. The configuration may have spelled that differently when the audience was
    /// made.
    pub fn contains(&self, uri: &str) -> bool {
        // Usually it has not, and comparing the text is cheaper.
        self.uris().any(|own| **own == *uri || is_same(own, uri))
    }

    /// The first resource that is not in `other`; `None` if this audience is no wider than `other`.
    pub fn first_beyond(&self, other: &Audience) -> Option<&Arc<str>> {
        self.uris().find(|uri| !other.contains(uri))
    }

    /// Those of its resources that are still configured, in their order here and as they are spelled now.
    pub fn restricted_to(&self, resources: &Resources) -> Cow<'_, Audience> {
        let is_known = |uri: &Arc<str>| resources.all.iter().any(|resource| resource.uri == *uri);
        if self.uris().all(is_known) {
            Cow::Borrowed(self)
        } else {
            let known = self.uris().filter_map(|uri| resources.find(uri));
            Cow::Owned(known.map(|resource| Arc::clone(&resource.uri)).collect())
        }
    }
}

impl FromIterator<Arc<str>> for Audience {
    fn from_iter<I: IntoIterator<Item = Arc<str>>>(uris: I) -> Audience {
        let uris: Vec<Arc<str>> = uris.into_iter().collect();
        Audience((!uris.is_empty()).then(|| Arc::new(uris)))
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.uris()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(uri: &str) -> Resource {
        Resource::new(uri, "A Resource", Scope::default()).unwrap()
    }

    #[test]
    fn a_resource_is_found_with_a_slash_and_in_any_case_of_its_host() {
        let check = |own: &str, asked: &str, expected: bool| {
            assert_eq!(resource(own).is(asked), expected, "{own} {asked}");
        };
        check("https://api.example/mcp", "https://api.example/mcp", true);
        check("https://api.example/mcp", "https://api.example/mcp/", true);
        check("https://api.example/mcp/", "https://api.example/mcp", true);
        check("https://api.example", "https://api.example/", true);
        check("https://api.example/mcp", "HTTPS://API.Example/mcp", true);
        check("urn:example:api", "URN:example:api", true);
        check("https://api.example/mcp", "https://api.example/mcp//", false);
        check("https://api.example/mcp", "https://api.example/MCP", false);
        check("https://api.example/mcp", "https://api.example:443/mcp", false);
        check("https://api.example/mcp", "https://api.example/mcp?x", false);
        check("https://api.example/mcp", "https://api.example/mcp#x", false);
        check("https://api.example/mcp", "https://api.example", false);
        check("https://api.example", "https://api.example.evil.example", false);
        check("https://api.example", "http://api.example", false);
        check("urn:example:api", "urn:example:API", false);
        check("https://api.example", "", false);
        check("https://api.example", "é://", false);
    }

    #[test]
    fn only_an_absolute_uri_without_query_or_fragment_is_one() {
        let check = |uri: &str, expected: Option<ResourceError>| {
            assert_eq!(Resource::new(uri, "A", Scope::default()).err(), expected, "{uri}");
        };
        for uri in ["https://api.example", "http://localhost:3001/mcp", "urn:example:api", "api://7f3a/x"] {
            check(uri, None);
        }
        for uri in ["", "/mcp", "api.example", "https:", "3x:a", "a b:c"] {
            assert!(Resource::new(uri, "A", Scope::default()).is_err(), "{uri}");
        }
        check("/mcp", Some(ResourceError::Relative));
        check("https://api.example/#x", Some(ResourceError::Fragment));
        check("https://api.example/?x", Some(ResourceError::Query));
        check("https://api.example/\"", Some(ResourceError::Character));
        check("https://", Some(ResourceError::Host));
        check("https://u@api.example", Some(ResourceError::Host));
        check("https://api.example:port", Some(ResourceError::Host));
    }

    #[test]
    fn a_request_that_names_no_resource_means_the_default() {
        let (one, two) = ("https://one.example", "https://two.example");
        let check = |configured: &[&str], default: DefaultResource, expected: &[&str]| {
            let resources = Resources::new(configured.iter().map(|uri| resource(uri)).collect(), &default);
            let found: Vec<&str> = resources.default.uris().map(|uri| &**uri).collect();
            assert_eq!(found, expected, "{configured:?} {default:?}");
        };
        check(&[], DefaultResource::OfServer, &[]);
        check(&[one], DefaultResource::OfServer, &[one]);
        check(&[one], DefaultResource::Nothing, &[]);
        check(&[one, two], DefaultResource::OfServer, &[]);
        check(&[one, two], DefaultResource::Uri(two.into()), &[two]);
    }

    #[test]
    fn each_named_resource_counts_once_as_configured() {
        let resources = Resources::new(
            ["https://one.example", "https://two.example/a"].map(resource).into(),
            &DefaultResource::OfServer,
        );
        let check = |asked: &[&str], expected: Result<&[&str], &str>| {
            let found = resources.named(asked.iter().copied());
            let found =
                found.map(|found| found.unwrap_or_default().uris().map(|uri| uri.to_string()).collect());
            let expected = expected.map(|uris| uris.iter().map(|uri| (*uri).to_owned()).collect::<Vec<_>>());
            assert_eq!(found, expected.map_err(str::to_owned), "{asked:?}");
        };
        check(&[], Ok(&[]));
        check(&["https://ONE.example/"], Ok(&["https://one.example"]));
        check(
            &["https://two.example/a", "https://one.example"],
            Ok(&["https://two.example/a", "https://one.example"]),
        );
        check(&["https://one.example", "https://one.example/"], Ok(&["https://one.example"]));
        let unknown = "the resource https://three.example is not configured on this server";
        check(&["https://one.example", "https://three.example"], Err(unknown));
        check(
            &["https://one.example#x"],
            Err("the resource https://one.example#x has a fragment (RFC 8707, 2)"),
        );
    }

    #[test]
    fn a_request_names_at_most_sixteen_resources() {
        let uris: Vec<String> = (0..=AUDIENCE_MAX).map(|number| format!("https://{number}.example")).collect();
        let resources =
            Resources::new(uris.iter().map(|uri| resource(uri)).collect(), &DefaultResource::OfServer);
        let named = |count: usize| resources.named(uris[..count].iter().map(String::as_str));
        assert_eq!(named(AUDIENCE_MAX).unwrap().unwrap().uris().count(), 16);
        assert_eq!(named(AUDIENCE_MAX + 1), Err("the request names more than 16 resources".to_owned()));
    }
}
