//! `POST /token`: a code for an access token.
//!
//! Two ways to ask. The article's, JSON `{"code":"CODE"}`; and RFC 6749's (4.1.3), a form with
//! `grant_type=authorization_code` and `code=CODE`. The answers are the same: RFC 6749's, with the article's
//! `message` beside the standard's `error`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::http::form::Form;
use crate::http::message::{FieldValue, Request, Response, Status};
use crate::oauth::{Credential, Outcome, Transition};
use crate::store::StoreError;

use super::json::{self, INVALID_REQUEST};
use super::{Continuation, NO_RANDOMNESS, RETRY_AFTER, Reply, Routes, why_unavailable};

/// Why a token request is refused: `error` as RFC 6749 (5.2) names it, and the reason in words.
struct TokenError {
    error: &'static str,
    reason: &'static str,
}

const fn invalid(reason: &'static str) -> TokenError {
    TokenError { error: INVALID_REQUEST, reason }
}

/// Reads the code and asks for it to be redeemed.
pub(super) fn redeem(routes: &Routes, request: &Request) -> Reply {
    let presented = match read_code(request) {
        Ok(text) => Credential::parse(text.as_bytes()),
        Err(TokenError { error, reason }) => {
            return Reply::Now(json::error(Status::BadRequest, reason, error, reason).because(reason));
        }
    };
    let Some(code) = presented else {
        return Reply::Now(refuse_code("the code is not of the form that codes have here"));
    };
    let Some(random) = routes.random() else {
        return Reply::Now(unavailable(NO_RANDOMNESS, RETRY_AFTER));
    };
    let token = Credential::of_grant(code.grant(), std::array::from_fn(|at| random[at]));
    let transition = Transition::Redeem {
        grant: code.grant(),
        code: code.digest(),
        token: token.digest(),
        token_lifetime: routes.lifetimes.access_token,
    };
    Reply::After(transition, Continuation::Token(token))
}

/// Hands out the token, if the code was good (RFC 6749, 5.1).
pub(super) fn answer(routes: &Routes, token: &Credential, outcome: Result<Outcome, StoreError>) -> Response {
    match outcome {
        Ok(Outcome::Redeemed) => {
            let expires_in = routes.lifetimes.access_token.as_secs();
            // A token is base64url: nothing in it could end the string.
            let token = token.encode();
            let text =
                format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{expires_in}}}"#);
            json::answer(Status::Ok, text)
        }
        Ok(Outcome::Replayed) => refuse_code("the code was used before; its grant is revoked"),
        Ok(Outcome::Expired) => refuse_code("the code has expired"),
        Ok(Outcome::Unknown) => refuse_code("the code is not known"),
        Ok(_) | Err(_) => {
            let (reason, retry_after) = why_unavailable(outcome);
            unavailable(reason, retry_after)
        }
    }
}

/// One answer for every code that is not good: which of the reasons it was is for the log alone.
fn refuse_code(reason: &'static str) -> Response {
    const TEXT: &str = json::error_text!(
        "Invalid auth token",
        "invalid_grant",
        "the code is wrong, has expired or was used before"
    );
    json::answer(Status::BadRequest, TEXT).because(reason)
}

fn unavailable(reason: &'static str, retry_after: FieldValue) -> Response {
    const DESCRIPTION: &str = "the server cannot redeem a code at the moment; try again";
    json::error(Status::ServiceUnavailable, DESCRIPTION, "temporarily_unavailable", DESCRIPTION)
        .with("Retry-After", retry_after)
        .because(reason)
}

fn read_code(request: &Request) -> Result<String, TokenError> {
    let Ok(content_type) = request.field("content-type") else {
        return Err(invalid("more than one Content-Type"));
    };
    let media_type = content_type.unwrap_or_default().split(|byte| *byte == b';').next().unwrap_or_default();
    match media_type.trim_ascii() {
        b"" => Err(invalid("the Content-Type is missing")),
        json if json.eq_ignore_ascii_case(b"application/json") => read_json(request.body()),
        form if form.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") => read_form(request.body()),
        _ => Err(invalid("the Content-Type is neither application/json nor application/x-www-form-urlencoded")),
    }
}

/// The article's way. `grant_type` may be left out, and is held to if it is there.
fn read_json(body: &[u8]) -> Result<String, TokenError> {
    let members = match serde_json::from_slice(body) {
        Ok(Json::Object(members)) => members,
        Ok(Json::Other) => return Err(invalid("the content is JSON, but not an object")),
        Err(_) => return Err(invalid("the content is not valid JSON")),
    };
    let member = |name: &str| {
        let mut values = members.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(REPEATED),
        }
    };
    match member("grant_type")? {
        Some(Value::String(grant_type)) => check_grant_type(grant_type)?,
        Some(_) => return Err(invalid("the grant_type is not a string")),
        None => {}
    }
    match member("code")? {
        Some(Value::String(code)) if !code.is_empty() => Ok(code.clone()),
        Some(Value::String(_)) | None => Err(CODE_MISSING),
        Some(_) => Err(invalid("the code is not a string")),
    }
}

/// RFC 6749's way (4.1.3). A parameter without a value counts as left out (3.1).
fn read_form(body: &[u8]) -> Result<String, TokenError> {
    let form = Form::parse(body);
    if form.has_repeated() {
        return Err(REPEATED);
    }
    let value = |name| form.value(name).ok().flatten().filter(|value| !value.is_empty());
    match value("grant_type") {
        Some(grant_type) => check_grant_type(grant_type)?,
        None => return Err(invalid("the grant_type is missing")),
    }
    value("code").map(str::to_owned).ok_or(CODE_MISSING)
}

fn check_grant_type(grant_type: &str) -> Result<(), TokenError> {
    match grant_type {
        "authorization_code" => Ok(()),
        _ => Err(TokenError {
            error: "unsupported_grant_type",
            reason: "the grant_type is not authorization_code",
        }),
    }
}

const CODE_MISSING: TokenError = invalid("the code is missing");
const REPEATED: TokenError = invalid("a parameter stands more than once");

/// JSON as this endpoint reads it: an object's members in their order, repeated names included, which a map
/// would hide.
enum Json {
    Object(Vec<(String, Value)>),
    Other,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
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
        while let Some(member) = map.next_entry()? {
            members.push(member);
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
