//! Which version of MCP a message is in, and what that version requires of the fields of its request.
//!
//! Up to 2025-11-25 a client opens a session with `initialize`, where both sides agree on a version, and names it in
//! `MCP-Protocol-Version` from then on. This server has no session: such a client is served, and nothing of it is kept.
//! Since 2026-07-28 there is no `initialize`, and every request names its version, its method and its tool twice: in
//! its fields, where a proxy reads them, and in its content. The two must not differ, or the proxy would let pass one
//! thing and the server do another (Streamable HTTP, "Server Validation").

use base64ct::{Base64, Encoding};

use super::message::Message;
use crate::http::Request;

/// The first version without `initialize`.
pub(super) const STATELESS: &str = "2026-07-28";

/// The versions with `initialize` that are spoken here, the newest first. In 2025-03-26 a client could not be sent to
/// another authorization server (RFC 9728), and one request could hold several messages.
pub(super) const WITH_SESSIONS: [&str; 2] = ["2025-11-25", "2025-06-18"];

/// How a message is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// As in [`STATELESS`].
    Stateless,
    /// As in [`WITH_SESSIONS`].
    WithSessions,
}

/// Why a message is refused, whatever it asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum VersionError {
    /// A field is missing, or differs from the content.
    Field(&'static str),
    /// A member of `_meta` is missing.
    Meta(&'static str),
    /// This version is not spoken here.
    Unsupported(String),
}

/// The version that `initialize` agrees on: the client's if it is spoken here, otherwise the newest.
pub(super) fn agreed(asked: Option<&str>) -> &'static str {
    let known = WITH_SESSIONS.into_iter().find(|known| Some(*known) == asked);
    known.unwrap_or(WITH_SESSIONS[0])
}

/// Checks the fields of the request that `message` came in.
///
/// # Errors
/// If its version is not spoken here, or a field that the version requires is missing or differs from the content.
pub(super) fn check(request: &Request, message: &Message) -> Result<Era, VersionError> {
    let Ok(field) = request.field("mcp-protocol-version") else {
        return Err(VersionError::Field("the MCP fields have more than one MCP-Protocol-Version"));
    };
    let params = &message.params;
    match (field, params.meta_version.as_deref().map(str::as_bytes)) {
        // `initialize`, or a client that does not say.
        (None, None) => return Ok(Era::WithSessions),
        (None, Some(_)) => return Err(VersionError::Field("the MCP fields have no MCP-Protocol-Version")),
        (Some(field), Some(meta)) if field != meta => {
            return Err(VersionError::Field("the MCP fields have another version than _meta"));
        }
        (Some(field), _) if WITH_SESSIONS.iter().any(|known| known.as_bytes() == field) => {
            return Ok(Era::WithSessions);
        }
        (Some(field), _) if field != STATELESS.as_bytes() => {
            return Err(VersionError::Unsupported(String::from_utf8_lossy(field).into_owned()));
        }
        _ => {}
    }
    // No field of a notification is defined.
    if message.id.is_none() {
        return Ok(Era::Stateless);
    }
    if params.meta_version.is_none() {
        return Err(VersionError::Meta(
            "the MCP message has no io.modelcontextprotocol/protocolVersion in _meta",
        ));
    }
    if !params.has_capabilities {
        return Err(VersionError::Meta(
            "the MCP message has no io.modelcontextprotocol/clientCapabilities in _meta",
        ));
    }
    if request.field("mcp-method") != Ok(Some(message.method.as_bytes())) {
        return Err(VersionError::Field("the MCP fields have no Mcp-Method, or another one than the message"));
    }
    let names = request.field("mcp-name");
    match &params.name {
        Some(name) if message.method == "tools/call" && !names.is_ok_and(|field| is_spelling(field, name)) => {
            Err(VersionError::Field("the MCP fields have no Mcp-Name, or another one than the message"))
        }
        _ => Ok(Era::Stateless),
    }
}

/// Whether `field` is `name`, plain or in Base64 between its marks.
fn is_spelling(field: Option<&[u8]>, name: &str) -> bool {
    let Some(field) = field else { return false };
    let coded = field.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?="));
    match coded {
        Some(coded) => Base64::encode_string(name.as_bytes()).as_bytes() == coded,
        None => field == name.as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_both_speak_is_agreed_on() {
        for (asked, expected) in [
            (Some("2025-11-25"), "2025-11-25"),
            (Some("2025-06-18"), "2025-06-18"),
            (Some("2025-03-26"), "2025-11-25"),
            (Some("2026-07-28"), "2025-11-25"),
            (None, "2025-11-25"),
        ] {
            assert_eq!(agreed(asked), expected, "{asked:?}");
        }
    }

    #[test]
    fn a_name_is_spelt_plainly_or_in_base64() {
        let check = |field: &str, name: &str, expected| {
            assert_eq!(is_spelling(Some(field.as_bytes()), name), expected, "{field}");
        };
        check("answer", "answer", true);
        check("Answer", "answer", false);
        check("=?base64?YW5zd2Vy?=", "answer", true);
        check("=?BASE64?YW5zd2Vy?=", "answer", false);
        check("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界", true);
        // A name that looks coded must be coded.
        check("=?base64?literal?=", "=?base64?literal?=", false);
        check("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?=", true);
        assert!(!is_spelling(None, "answer"));
    }
}
