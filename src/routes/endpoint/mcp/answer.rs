//! What the MCP server answers: two tools, and the JSON around them.
//!
//! All of it is text. Nothing depends on the client but the identifier, which is repeated.

use super::message::{Arguments, Id, Message, Unreadable};
use super::version::{Era, STATELESS, VersionError, WITH_SESSIONS, agreed};
use crate::http::Status;
use crate::json::quoted;

/// The tools of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// Gives the secret answer, as `/secure` does.
    Answer,
    /// Gives the question to it, which takes a scope more.
    Question,
}

const TOOLS: &str = concat!(
    r#""tools":[{"name":"answer","title":"The secret answer","description":"Gives the secret answer.","#,
    r#""inputSchema":{"type":"object","additionalProperties":false},"#,
    r#""outputSchema":{"type":"object","properties":{"answer":{"type":"integer"}},"required":["answer"]}},"#,
    r#"{"name":"question","title":"The question","#,
    r#""description":"Gives the question to the secret answer. It takes one more scope.","#,
    r#""inputSchema":{"type":"object","additionalProperties":false}}]"#,
);
const ANSWER: &str =
    r#""content":[{"type":"text","text":"42"}],"structuredContent":{"answer":42},"isError":false"#;
const QUESTION: &str = r#""content":[{"type":"text","text":"No one has found it yet."}],"isError":false"#;
const NO_ARGUMENTS: &str =
    r#""content":[{"type":"text","text":"This tool takes no arguments."}],"isError":true"#;

const CAPABILITIES: &str = r#""capabilities":{"tools":{}}"#;
const SERVER: &str = concat!(r#"{"name":"oauth-from-scratch","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// How long a client may keep what does not depend on the request. Only [`STATELESS`] has it.
const CACHING: &str = r#","ttlMs":300000,"cacheScope":"private""#;

/// The error codes of JSON-RPC 2.0 (5.1), and of MCP (2026-07-28, Basic, "Error Codes").
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const HEADER_MISMATCH: i32 = -32020;
const UNSUPPORTED_VERSION: i32 = -32022;

/// A response: its status, its JSON (none for a notification), and the reason if it is an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RpcResponse {
    pub(super) status: Status,
    pub(super) text: Option<String>,
    pub(super) reason: Option<&'static str>,
}

impl Tool {
    /// The tool that `message` calls, if it calls one that there is.
    pub(super) fn of(message: &Message) -> Option<Tool> {
        match (message.method.as_str(), message.params.name.as_deref()) {
            ("tools/call", Some("answer")) => Some(Tool::Answer),
            ("tools/call", Some("question")) => Some(Tool::Question),
            _ => None,
        }
    }
}

impl RpcResponse {
    /// To a message, as its era has it.
    pub(super) fn to(message: &Message, era: Era) -> RpcResponse {
        let Some(id) = &message.id else {
            return RpcResponse { status: Status::Accepted, text: None, reason: None };
        };
        match (message.method.as_str(), era) {
            ("initialize", Era::WithSessions) => initialized(id, message.params.version.as_deref()),
            ("server/discover", Era::Stateless) => discovered(id),
            ("ping", Era::WithSessions) => result(id, era, ""),
            ("tools/list", Era::WithSessions) => result(id, era, TOOLS),
            ("tools/list", Era::Stateless) => result(id, era, &[TOOLS, CACHING].concat()),
            ("tools/call", _) => called(message, id, era),
            _ => {
                let reason = "the MCP server does not have this method";
                let error = error(Some(id), METHOD_NOT_FOUND, reason);
                let is_missing = era == Era::Stateless;
                RpcResponse { status: if is_missing { Status::NotFound } else { Status::Ok }, ..error }
            }
        }
    }

    /// To what is no message.
    pub(super) fn to_unreadable(unreadable: Unreadable) -> RpcResponse {
        match unreadable {
            Unreadable::NotJson => error(None, PARSE_ERROR, "the MCP message is not valid JSON, or too deep"),
            Unreadable::Batch => error(None, INVALID_REQUEST, "the MCP message is a list; send one at a time"),
            Unreadable::Response => {
                error(None, INVALID_REQUEST, "the MCP message is a response, and nothing was asked")
            }
            Unreadable::Invalid(id) => {
                error(id.as_ref(), INVALID_REQUEST, "the MCP message is not of JSON-RPC 2.0")
            }
        }
    }

    /// To a content that does not claim to be JSON.
    pub(super) fn to_other_type() -> RpcResponse {
        error(None, INVALID_REQUEST, "the MCP message is not sent as application/json")
    }

    /// To a message whose version or fields are wrong.
    pub(super) fn to_wrong_version(id: Option<&Id>, wrong: VersionError) -> RpcResponse {
        match wrong {
            VersionError::Field(reason) => error(id, HEADER_MISMATCH, reason),
            VersionError::Meta(reason) => error(id, INVALID_PARAMS, reason),
            VersionError::Unsupported(asked) => {
                let reason = "this version of MCP is not supported";
                let (asked, id) = (quoted(&asked), member(id));
                let data = format!(r#"{{{},"requested":{asked}}}"#, versions("supported"));
                let error = format!(r#"{{"code":{UNSUPPORTED_VERSION},"message":"{reason}","data":{data}}}"#);
                let text = format!(r#"{{"jsonrpc":"2.0"{id},"error":{error}}}"#);
                RpcResponse { status: Status::BadRequest, text: Some(text), reason: Some(reason) }
            }
        }
    }
}

/// To `initialize`: the version, and what this server has. No session begins.
fn initialized(id: &Id, asked: Option<&str>) -> RpcResponse {
    let version = agreed(asked);
    let members = format!(r#""protocolVersion":"{version}",{CAPABILITIES},"serverInfo":{SERVER}"#);
    result(id, Era::WithSessions, &members)
}

/// To `server/discover`.
fn discovered(id: &Id) -> RpcResponse {
    result(id, Era::Stateless, &[&versions("supportedVersions"), ",", CAPABILITIES, CACHING].concat())
}

/// A member of this name with all versions that are spoken here.
fn versions(name: &str) -> String {
    let [newest, oldest] = WITH_SESSIONS;
    format!(r#""{name}":["{STATELESS}","{newest}","{oldest}"]"#)
}

/// To `tools/call`.
fn called(message: &Message, id: &Id, era: Era) -> RpcResponse {
    match (Tool::of(message), message.params.arguments) {
        (None, _) => RpcResponse {
            status: Status::Ok,
            ..error(Some(id), INVALID_PARAMS, "the MCP server does not have this tool")
        },
        // The model may call again without (2025-11-25, Tools, "Error Handling").
        (Some(_), Arguments::Some | Arguments::Malformed) => result(id, era, NO_ARGUMENTS),
        (Some(Tool::Answer), Arguments::None) => result(id, era, ANSWER),
        (Some(Tool::Question), Arguments::None) => result(id, era, QUESTION),
    }
}

/// A result with these members, and with those that every result of the era has.
fn result(id: &Id, era: Era, members: &str) -> RpcResponse {
    let comma = if members.is_empty() || era == Era::WithSessions { "" } else { "," };
    let common = match era {
        Era::WithSessions => String::new(),
        Era::Stateless => {
            format!(r#""resultType":"complete","_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER}}}"#)
        }
    };
    let id = id.as_str();
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{common}{comma}{members}}}}}"#);
    RpcResponse { status: Status::Ok, text: Some(text), reason: None }
}

/// An error; 400 unless changed. `reason` must need no escaping.
fn error(id: Option<&Id>, code: i32, reason: &'static str) -> RpcResponse {
    let id = member(id);
    let text = format!(r#"{{"jsonrpc":"2.0"{id},"error":{{"code":{code},"message":"{reason}"}}}}"#);
    RpcResponse { status: Status::BadRequest, text: Some(text), reason: Some(reason) }
}

/// The member `id`, where the identifier could be read.
fn member(id: Option<&Id>) -> String {
    id.map_or_else(String::new, |id| format!(r#","id":{}"#, id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_json() {
        let texts =
            [TOOLS, ANSWER, QUESTION, NO_ARGUMENTS, CAPABILITIES].map(|members| format!("{{{members}}}"));
        for text in texts.iter().map(String::as_str).chain([SERVER]) {
            assert!(
                serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object()),
                "{text}"
            );
        }
    }
}
