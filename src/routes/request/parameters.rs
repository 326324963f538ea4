//! The parameters that clients post: in a form, as the standards have it (RFC 6749, 3.2), or in a JSON object, as the
//! article has it.
//!
//! Unknown parameters are ignored, and one without a value counts as omitted (RFC 6749, 3.2). A repeated one is
//! refused, because parsers may pick different copies. Parameters in the query are ignored: URLs end up in logs and
//! histories.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

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

/// The parameters of one request.
#[derive(Default)]
pub(crate) struct Parameters {
    /// By `name as usize`.
    values: [Option<String>; Name::ALL.len()],
    /// Whether they came as JSON, as the article's do.
    pub(crate) is_json: bool,
}

impl Parameters {
    /// The value of `name`, never empty; `None` if it was omitted.
    pub(crate) fn value(&self, name: Name) -> Option<&str> {
        self.values[name as usize].as_deref()
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
    pub(crate) fn read(request: &Request) -> Result<Parameters, ErrorResponse> {
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
    pub(crate) fn read_form(request: &Request) -> Result<Parameters, ErrorResponse> {
        match media_type(request)? {
            form if form.eq_ignore_ascii_case(FORM) => read_form(request.body()),
            _ => {
                Err(ErrorResponse::invalid_request("the Content-Type is not application/x-www-form-urlencoded"))
            }
        }
    }
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// The media type of the content, without its own parameters: `charset` has no meaning for forms and JSON.
fn media_type<'a>(request: &Request<'a>) -> Result<&'a [u8], ErrorResponse> {
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

fn read_form(body: &[u8]) -> Result<Parameters, ErrorResponse> {
    let form = Form::parse(body);
    let mut parameters = Parameters::default();
    for (name, text) in Name::ALL {
        let value = form.value(text).map_err(|_| repeated(text))?;
        parameters.values[name as usize] = value.filter(|value| !value.is_empty()).map(str::to_owned);
    }
    Ok(parameters)
}

fn read_json(body: &[u8]) -> Result<Parameters, ErrorResponse> {
    let members = match serde_json::from_slice(body) {
        Ok(Json::Object(members)) => members,
        Ok(Json::Other) => {
            return Err(ErrorResponse::invalid_request("the content is JSON, but not an object"));
        }
        Err(_) => return Err(ErrorResponse::invalid_request("the content is not valid JSON")),
    };
    let mut parameters = Parameters { is_json: true, ..Parameters::default() };
    let mut seen = [false; Name::ALL.len()];
    for (name, value) in members {
        if std::mem::replace(&mut seen[name as usize], true) {
            return Err(repeated(name.as_str()));
        }
        let Value::String(value) = value else {
            return Err(ErrorResponse::invalid_request(format!("the {} is not a string", name.as_str())));
        };
        parameters.values[name as usize] = (!value.is_empty()).then_some(value);
    }
    Ok(parameters)
}

/// JSON as these endpoints read it: the known members of an object, in order. Repeated names are kept, where a map
/// would silently drop one.
enum Json {
    Object(Vec<(Name, Value)>),
    Other,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

/// The name of a member; `None` for an unknown one.
struct Key(Option<Name>);

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
        Ok(Key(Name::ALL.into_iter().find(|(_, text)| *text == key).map(|(name, _)| name)))
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(name), value)) = map.next_entry()? {
            members.extend(name.map(|name| (name, value)));
        }
        Ok(Json::Object(members))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Json, E> {
        Ok(Json::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_at_its_own_place_in_the_list() {
        for (index, (name, text)) in Name::ALL.into_iter().enumerate() {
            assert_eq!((name as usize, name.as_str()), (index, text));
        }
    }
}
