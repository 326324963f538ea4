//! The parameters that clients post: in a form, as the standards have it (RFC 6749, 3.2), or in a JSON object, as the
//! article has it.
//!
//! Unknown parameters are ignored, and one without a value counts as omitted (RFC 6749, 3.2). A repeated one is
//! refused, because parsers may pick different copies; only `resource` may be repeated (RFC 8707, 2), as a
//! list in JSON.
//! Parameters in the query are ignored: URLs end up in logs and histories.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::http::Request;
use crate::http::form::Form;
use crate::routes::reply::error_response::ErrorResponse;

/// The known parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    GrantType,
    Code,
    RedirectUri,
    CodeVerifier,
    RefreshToken,
    Scope,
    ClientId,
    ClientSecret,
    Token,
}

impl Name {
    /// In the order of the variants, with the names on the wire.
    const ALL: [(Name, &'static str); 9] = [
        (Name::GrantType, "grant_type"),
        (Name::Code, "code"),
        (Name::RedirectUri, "redirect_uri"),
        (Name::CodeVerifier, "code_verifier"),
        (Name::RefreshToken, "refresh_token"),
        (Name::Scope, "scope"),
        (Name::ClientId, "client_id"),
        (Name::ClientSecret, "client_secret"),
        (Name::Token, "token"),
    ];

    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        Name::ALL[self as usize].1
    }
}

/// The parameters of one request, which borrow from its content where that has them without an escape.
#[derive(Default)]
pub(crate) struct Parameters<'a> {
    /// By `name as usize`.
    values: [Option<Cow<'a, str>>; Name::ALL.len()],
    /// Each `resource`, never empty.
    resources: Vec<Cow<'a, str>>,
    /// Whether they came as JSON, as the article's do.
    pub(crate) is_json: bool,
}

impl<'a> Parameters<'a> {
    /// The value of `name`, never empty; `None` if it was omitted.
    pub(crate) fn value(&self, name: Name) -> Option<&str> {
        self.values[name as usize].as_deref()
    }

    /// Each `resource`, in the order in which they were sent.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(Cow::as_ref)
    }

    /// The value of a parameter that must not be omitted.
    ///
    /// # Errors
    /// `invalid_request` if it was.
    pub(crate) fn required(&self, name: Name) -> Result<&str, ErrorResponse> {
        self.value(name)
            .ok_or_else(|| ErrorResponse::invalid_request(format!("the {} is missing", name.as_str())))
    }

    /// Reads the content of a request, a form or JSON.
    ///
    /// # Errors
    /// `invalid_request` for any other media type, malformed content, or a repeated parameter.
    pub(crate) fn read(request: &Request<'a>) -> Result<Parameters<'a>, ErrorResponse> {
        match media_type(request)? {
            json if json.eq_ignore_ascii_case(b"application/json") => read_json(request.body()),
            form if form.eq_ignore_ascii_case(FORM) => read_form(request.body()),
            _ => Err(ErrorResponse::invalid_request(
                "the Content-Type is neither application/json nor application/x-www-form-urlencoded",
            )),
        }
    }

    /// Reads the content of a request that must be a form.
    ///
    /// # Errors
    /// As [`Parameters::read`].
    pub(crate) fn read_form(request: &Request<'a>) -> Result<Parameters<'a>, ErrorResponse> {
        match media_type(request)? {
            form if form.eq_ignore_ascii_case(FORM) => read_form(request.body()),
            _ => {
                Err(ErrorResponse::invalid_request("the Content-Type is not application/x-www-form-urlencoded"))
            }
        }
    }
}

const RESOURCE: &str = "resource";

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// The media type of the content, without its own parameters: `charset` has no meaning for forms and JSON.
///
/// # Errors
/// `invalid_request` if there is none, or more than one.
pub(crate) fn media_type<'a>(request: &Request<'a>) -> Result<&'a [u8], ErrorResponse> {
    let Ok(content_type) = request.field("content-type") else {
        return Err(ErrorResponse::invalid_request("more than one Content-Type"));
    };
    let content_type = content_type.unwrap_or_default();
    let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
    match content_type[..end].trim_ascii() {
        b"" => Err(ErrorResponse::invalid_request("the Content-Type is missing")),
        media_type => Ok(media_type),
    }
}

fn repeated(name: &str) -> ErrorResponse {
    ErrorResponse::invalid_request(format!("{name} appears more than once"))
}

fn read_form(body: &[u8]) -> Result<Parameters<'_>, ErrorResponse> {
    let form = Form::parse(body);
    let mut parameters = Parameters::default();
    for (name, text) in Name::ALL {
        let value = form.text(text).map_err(|_| repeated(text))?;
        parameters.values[name as usize] = value.filter(|value| !value.is_empty());
    }
    parameters.resources = form.texts(RESOURCE).collect();
    Ok(parameters)
}

fn read_json(body: &[u8]) -> Result<Parameters<'_>, ErrorResponse> {
    let mut members = Members::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let json = JsonVisitor(Some(&mut members)).deserialize(&mut deserializer);
    match json.and_then(|json| deserializer.end().map(|()| json)) {
        Ok(Json::Object) => members.into_parameters(),
        Ok(Json::Text(_) | Json::Texts(_) | Json::Other) => {
            Err(ErrorResponse::invalid_request("the content is JSON, but not an object"))
        }
        Err(_) => Err(ErrorResponse::invalid_request("the content is not valid JSON")),
    }
}

/// A JSON value as these endpoints read it.
enum Json<'a> {
    Object,
    Text(Cow<'a, str>),
    /// A list of nothing but texts.
    Texts(Vec<Cow<'a, str>>),
    Other,
}

/// The members of the content. The known ones become parameters as they are read; a map would silently drop a repeated
/// name.
#[derive(Default)]
struct Members<'a> {
    parameters: Parameters<'a>,
    seen: [bool; Name::ALL.len()],
    has_resources: bool,
    /// The first one that is refused. Reading goes on: the content may not even be JSON.
    mistake: Option<Mistake>,
}

#[derive(Clone, Copy)]
enum Mistake {
    Repeated(&'static str),
    NotText(Name),
    NoResource,
}

impl<'a> Members<'a> {
    fn add(&mut self, name: Name, value: Json<'a>) {
        let is_repeated = std::mem::replace(&mut self.seen[name as usize], true);
        match value {
            _ if is_repeated => self.refuse(Mistake::Repeated(name.as_str())),
            Json::Text(value) => {
                self.parameters.values[name as usize] = Some(value).filter(|value| !value.is_empty());
            }
            Json::Object | Json::Texts(_) | Json::Other => self.refuse(Mistake::NotText(name)),
        }
    }

    fn add_resources(&mut self, value: Json<'a>) {
        let is_repeated = std::mem::replace(&mut self.has_resources, true);
        let texts = match value {
            _ if is_repeated => return self.refuse(Mistake::Repeated(RESOURCE)),
            Json::Text(text) => vec![text],
            Json::Texts(texts) => texts,
            Json::Object | Json::Other => return self.refuse(Mistake::NoResource),
        };
        self.parameters.resources = texts.into_iter().filter(|text| !text.is_empty()).collect();
    }

    fn refuse(&mut self, mistake: Mistake) {
        self.mistake.get_or_insert(mistake);
    }

    fn into_parameters(self) -> Result<Parameters<'a>, ErrorResponse> {
        match self.mistake {
            None => Ok(Parameters { is_json: true, ..self.parameters }),
            Some(Mistake::Repeated(name)) => Err(repeated(name)),
            Some(Mistake::NotText(name)) => {
                Err(ErrorResponse::invalid_request(format!("the {} is not a string", name.as_str())))
            }
            Some(Mistake::NoResource) => {
                Err(ErrorResponse::invalid_request("the resource is neither a string nor a list of strings"))
            }
        }
    }
}

/// The name of a member.
enum Key {
    Parameter(Name),
    Resource,
    Unknown,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(match Name::ALL.into_iter().find(|(_, text)| *text == key) {
            Some((name, _)) => Key::Parameter(name),
            None if key == RESOURCE => Key::Resource,
            None => Key::Unknown,
        })
    }
}

/// Reads a value: the content, whose members it keeps, or a part of it.
struct JsonVisitor<'m, 'de>(Option<&'m mut Members<'de>>);

impl<'de> DeserializeSeed<'de> for JsonVisitor<'_, 'de> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonVisitor<'_, 'de> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let Some(members) = self.0 else {
            // A part of the content has no parameters, so only its syntax is checked.
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Json::Object);
        };
        while let Some(key) = map.next_key()? {
            match key {
                Key::Parameter(name) => members.add(name, map.next_value_seed(JsonVisitor(None))?),
                Key::Resource => members.add_resources(map.next_value_seed(JsonVisitor(None))?),
                Key::Unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Json::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut texts = Some(Vec::new());
        // Reading goes on after a value of another kind: the rest may not even be JSON.
        while let Some(value) = seq.next_element_seed(JsonVisitor(None))? {
            match (value, &mut texts) {
                (Json::Text(text), Some(texts)) => texts.push(text),
                _ => texts = None,
            }
        }
        Ok(texts.map_or(Json::Other, Json::Texts))
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_is_no_object_or_has_other_values_is_refused() {
        let check = |json: &str, reason: &str| {
            let error = read_json(json.as_bytes()).err().expect(json);
            assert_eq!(error.reason, reason, "{json}");
        };
        for json in ["", "{", "{}x", r#"{"code":{"code":}}"#, "{\"code\":\"\u{1}\"}"] {
            check(json, "the content is not valid JSON");
        }
        for json in ["[]", "1", "null", "\"code\"", r#"["code"]"#] {
            check(json, "the content is JSON, but not an object");
        }
        check(r#"{"code":{"code":"a"}}"#, "the code is not a string");
        check(r#"{"resource":["a",{}]}"#, "the resource is neither a string nor a list of strings");
    }

    #[test]
    fn json_says_the_same_with_and_without_escapes() {
        let check = |json: &str, code: Option<&str>, resources: &[&str]| {
            let parameters = read_json(json.as_bytes()).ok().expect(json);
            assert!(parameters.is_json);
            assert_eq!(parameters.value(Name::Code), code, "{json}");
            assert_eq!(parameters.resources().collect::<Vec<_>>(), resources, "{json}");
        };
        check(r#"{"code":"a/b"}"#, Some("a/b"), &[]);
        check(r#"{"code":"a\/\u0062"}"#, Some("a/b"), &[]);
        check(r#"{"c\u006fde":"a/b"}"#, Some("a/b"), &[]);
        check(r#"{"code":""}"#, None, &[]);
        check(r#"{"other":{"code":["x",{"code":1}]},"code":"a"}"#, Some("a"), &[]);
        check(r#"{"resource":"\u0061"}"#, None, &["a"]);
        check(r#"{"resource":["a","","\u0062"]}"#, None, &["a", "b"]);
        let plain = read_json(br#"{"code":"a/b"}"#).ok().expect("an object");
        assert!(matches!(plain.values[Name::Code as usize], Some(Cow::Borrowed(_))), "it is not copied");
    }

    #[test]
    fn every_name_stands_at_its_own_place_in_the_list() {
        for (index, (name, text)) in Name::ALL.into_iter().enumerate() {
            assert_eq!((name as usize, name.as_str()), (index, text));
        }
    }
}
