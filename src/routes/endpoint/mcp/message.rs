//! A message of JSON-RPC 2.0, as far as the MCP endpoint needs it.
//!
//! Members that the endpoint does not know are skipped without being kept. A known one that is repeated makes the
//! message invalid, since parsers may pick different copies. serde_json bounds the depth; the limit of a request's
//! content bounds everything else.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json::quoted;

/// A request or a notification.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// `None` for a notification, which has no response.
    pub(super) id: Option<Id>,
    pub(super) method: String,
    pub(super) params: Params,
}

/// The identifier of a request, as JSON text: its response repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id(String);

/// The known parameters of all methods.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Params {
    /// The tool of `tools/call`.
    pub(super) name: Option<String>,
    /// What the tool is called with.
    pub(super) arguments: Arguments,
    /// The version that `initialize` asks for.
    pub(super) version: Option<String>,
    /// The version of the protocol that `_meta` names.
    pub(super) meta_version: Option<String>,
    /// Whether `_meta` lists the capabilities of the client.
    pub(super) has_capabilities: bool,
}

/// The arguments of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Arguments {
    /// Omitted, or an empty object.
    #[default]
    None,
    /// An object with members.
    Some,
    /// Not an object.
    Malformed,
}

/// Why there is no message. It is answered without an identifier, unless that could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The content is not JSON, or too deep.
    NotJson,
    /// A list of messages. No version that is spoken here has these.
    Batch,
    /// A response. This server sends no requests.
    Response,
    /// JSON that is no message.
    Invalid(Option<Id>),
}

impl Id {
    /// The identifier as JSON.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Message {
    /// Reads the content of a request.
    ///
    /// # Errors
    /// If it is anything but one request or one notification.
    pub(super) fn read(content: &[u8]) -> Result<Message, Unreadable> {
        let mut object = match serde_json::from_slice(content) {
            Ok(Json::Object(object)) => object,
            Ok(Json::List) => return Err(Unreadable::Batch),
            Ok(_) => return Err(Unreadable::Invalid(None)),
            Err(_) => return Err(Unreadable::NotJson),
        };
        // An identifier is a text or a whole number, and never null.
        let (has_id, id) = match object.take(Member::Id) {
            Some(Json::Text(text)) => (true, Some(Id(quoted(&text)))),
            Some(Json::Whole(digits)) => (true, Some(Id(digits))),
            value => (value.is_some(), None),
        };
        let is_valid = !object.repeats && object.take_text(Member::Version).as_deref() == Some("2.0");
        let is_response = object.take(Member::Result).is_some() | object.take(Member::Error).is_some();
        match (object.take(Member::Method), object.take(Member::Params)) {
            (None, _) if is_valid && is_response => Err(Unreadable::Response),
            (Some(Json::Text(method)), params) if is_valid && !is_response && has_id == id.is_some() => {
                match Params::read(params) {
                    Some(params) => Ok(Message { id, method, params }),
                    None => Err(Unreadable::Invalid(id)),
                }
            }
            _ => Err(Unreadable::Invalid(id)),
        }
    }
}

impl Params {
    /// `None` if they are not an object, or a known one is repeated or of another type.
    fn read(value: Option<Json>) -> Option<Params> {
        let mut object = match value {
            None => return Some(Params::default()),
            Some(Json::Object(object)) if !object.repeats => object,
            Some(_) => return None,
        };
        let arguments = match object.take(Member::Arguments) {
            None => Arguments::None,
            Some(Json::Object(arguments)) if arguments.is_empty => Arguments::None,
            Some(Json::Object(_)) => Arguments::Some,
            Some(_) => Arguments::Malformed,
        };
        let mut meta = match object.take(Member::Meta) {
            None => Object::default(),
            Some(Json::Object(meta)) if !meta.repeats => meta,
            Some(_) => return None,
        };
        Some(Params {
            name: object.take_text(Member::Name),
            arguments,
            version: object.take_text(Member::ProtocolVersion),
            meta_version: meta.take_text(Member::MetaVersion),
            has_capabilities: matches!(meta.take(Member::MetaCapabilities), Some(Json::Object(_))),
        })
    }
}

/// The known names of members, at any depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Version,
    Id,
    Method,
    Params,
    Result,
    Error,
    Name,
    Arguments,
    ProtocolVersion,
    Meta,
    MetaVersion,
    MetaCapabilities,
}

const NAMES: [(Member, &str); 12] = [
    (Member::Version, "jsonrpc"),
    (Member::Id, "id"),
    (Member::Method, "method"),
    (Member::Params, "params"),
    (Member::Result, "result"),
    (Member::Error, "error"),
    (Member::Name, "name"),
    (Member::Arguments, "arguments"),
    (Member::ProtocolVersion, "protocolVersion"),
    (Member::Meta, "_meta"),
    (Member::MetaVersion, "io.modelcontextprotocol/protocolVersion"),
    (Member::MetaCapabilities, "io.modelcontextprotocol/clientCapabilities"),
];

/// A value of JSON, without what no member of a message may be.
enum Json {
    Object(Object),
    Text(String),
    /// A whole number, as its digits.
    Whole(String),
    List,
    Other,
}

/// The known members of an object.
#[derive(Default)]
struct Object {
    /// At most one of each name.
    members: Vec<(Member, Json)>,
    is_empty: bool,
    /// Whether a known name occurs more than once.
    repeats: bool,
}

impl Object {
    fn take(&mut self, name: Member) -> Option<Json> {
        let at = self.members.iter().position(|(known, _)| *known == name)?;
        Some(self.members.swap_remove(at).1)
    }

    /// The member, if it is a text.
    fn take_text(&mut self, name: Member) -> Option<String> {
        match self.take(name) {
            Some(Json::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

/// The name of a member; `None` for an unknown one.
struct Key(Option<Member>);

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
        Ok(Key(NAMES.into_iter().find(|(_, text)| *text == key).map(|(name, _)| name)))
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = Object { is_empty: true, ..Object::default() };
        while let Some(Key(name)) = map.next_key()? {
            object.is_empty = false;
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value()?;
            if object.members.iter().any(|(known, _)| *known == name) {
                object.repeats = true;
            } else {
                object.members.push((name, value));
            }
        }
        Ok(Json::Object(object))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Json::List)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Whole(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_or_the_reason_is_known() {
        let check = |text: &str, expected: Result<(Option<&str>, &str), Unreadable>| {
            let read = Message::read(text.as_bytes());
            let seen = read.map(|message| (message.id.map(|id| id.0), message.method));
            assert_eq!(seen, expected.map(|(id, method)| (id.map(str::to_owned), method.to_owned())), "{text}");
        };
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Ok((Some("1"), "ping")));
        check(r#"{"jsonrpc":"2.0","id":-7,"method":"ping"}"#, Ok((Some("-7"), "ping")));
        check(r#"{"jsonrpc":"2.0","id":"a\"b","method":"ping"}"#, Ok((Some(r#""a\"b""#), "ping")));
        check(r#"{"method":"m","x":[[{"id":1}]],"jsonrpc":"2.0","params":{"y":null}}"#, Ok((None, "m")));

        let invalid = |id: Option<&str>| Err(Unreadable::Invalid(id.map(|id| Id(id.to_owned()))));
        check(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, invalid(None));
        check(r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, invalid(None));
        check(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, invalid(Some("1")));
        check(r#"{"jsonrpc":"2.0","id":1,"method":7}"#, invalid(Some("1")));
        check(r#"{"jsonrpc":"2.0","id":1}"#, invalid(Some("1")));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, invalid(Some("1")));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"pong"}"#, invalid(Some("1")));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"a","name":"b"}}"#, invalid(Some("1")));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":7}}"#, invalid(Some("1")));
        let version = r#""io.modelcontextprotocol/protocolVersion":"v""#;
        let twice =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"_meta":{{{version},{version}}}}}}}"#);
        check(&twice, invalid(Some("1")));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, invalid(Some("1")));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":null}"#, invalid(Some("1")));
        check("7", invalid(None));

        check(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Err(Unreadable::Response));
        check(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, Err(Unreadable::Response));
        check(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, Err(Unreadable::Batch));
        check("", Err(Unreadable::NotJson));
        check(r#"{"jsonrpc":"2.0""#, Err(Unreadable::NotJson));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, Err(Unreadable::NotJson));
    }

    #[test]
    fn a_nested_message_exhausts_no_stack() {
        let nested = |depth: usize| format!("{}{}", "{\"params\":".repeat(depth), "7");
        let closed = |depth: usize| nested(depth) + &"}".repeat(depth);
        assert_eq!(Message::read(closed(100).as_bytes()), Err(Unreadable::Invalid(None)));
        assert_eq!(Message::read(closed(128).as_bytes()), Err(Unreadable::NotJson), "too deep");
        assert_eq!(Message::read(closed(5_000).as_bytes()), Err(Unreadable::NotJson));
        let skipped = format!("{{\"x\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(
            Message::read(skipped.as_bytes()),
            Err(Unreadable::Invalid(None)),
            "skipped without a stack"
        );
    }

    #[test]
    fn the_parameters_that_methods_know_are_kept() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"answer","arguments":{"a":1},
            "protocolVersion":"v","_meta":{"io.modelcontextprotocol/protocolVersion":"w",
            "io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"n"}}}}"#;
        let expected = Params {
            name: Some("answer".to_owned()),
            arguments: Arguments::Some,
            version: Some("v".to_owned()),
            meta_version: Some("w".to_owned()),
            has_capabilities: true,
        };
        assert_eq!(Message::read(text.as_bytes()).map(|message| message.params), Ok(expected));
    }
}
