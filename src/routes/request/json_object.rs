//! Reads the content of a request that is a JSON object (RFC 8259), as its known members in their order.
//!
//! A map would silently keep one of two members of the same name, and parsers may pick different copies. So the members
//! are returned one by one, for the caller to refuse a repeated name. Unknown members are skipped. serde_json bounds
//! the depth.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::routes::reply::error_response::ErrorResponse;

/// The members of the object in `body` whose names are among `names`: each with the position of its name there.
///
/// # Errors
/// `invalid_request` if the content is not JSON, or not an object.
pub(crate) fn read(body: &[u8], names: &[&str]) -> Result<Vec<(usize, Value)>, ErrorResponse> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let members = Object(names).deserialize(&mut reader).and_then(|members| reader.end().map(|()| members));
    match members {
        Ok(Some(members)) => Ok(members),
        Ok(None) => Err(ErrorResponse::invalid_request("the content is JSON, but not an object")),
        Err(_) => Err(ErrorResponse::invalid_request("the content is not valid JSON")),
    }
}

/// Reads any JSON value: the members with these names, if it is an object.
struct Object<'a>(&'a [&'a str]);

/// Reads the name of a member: its position in these names, if it is one of them.
struct Key<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Option<Vec<(usize, Value)>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Option<Vec<(usize, Value)>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key_seed(Key(self.0))? {
            match key {
                Some(at) => members.push((at, map.next_value()?)),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}
