//! The rules of the demo's MCP server.

use crate::wire::rule::{Rule, reason};

/// What is refused there, by its reason.
pub(super) const REFUSALS: &[Rule] = &[
    reason!(
        "a page sends this under a name that is not this server's",
        "another name for this server",
        "A page whose name was pointed at this machine sends its own name as the Host. It could read every \
         answer, as one of its own site.",
        "MCP, Streamable HTTP, Security",
        "routes/endpoint/mcp/mod.rs",
        "if is_rebound(context) {",
        "tests/it/mcp.rs::a_page_under_another_name_reaches_no_tool",
    ),
    reason!(
        "the MCP message *",
        "MCP message malformed",
        "A request has one message of JSON-RPC 2.0. Since 2026-07-28 each request says its version and its \
         client's capabilities.",
        "MCP, Streamable HTTP, Sending Messages",
        "routes/endpoint/mcp/message.rs",
        "let is_valid = !object.repeats && object.take_text(Member::Version).as_deref() == Some(\"2.0\");",
        "tests/it/mcp.rs::what_is_no_message_is_refused_in_json",
    ),
    reason!(
        "the MCP fields *",
        "fields and message differ",
        "Proxies read the fields and the server reads the message. If these could differ, a proxy would allow one \
         thing and the server do another.",
        "MCP, Streamable HTTP, Server Validation",
        "routes/endpoint/mcp/version.rs",
        "(Some(field), Some(meta)) if field != meta => {",
        "tests/it/mcp.rs::fields_that_differ_from_the_message_are_refused",
    ),
    reason!(
        "this version of MCP is not supported",
        "MCP version unknown",
        "The answer lists the versions that this server supports.",
        "MCP, Versioning",
        "routes/endpoint/mcp/version.rs",
        "(Some(field), _) if field != STATELESS.as_bytes() => {",
        "tests/it/mcp.rs::an_unknown_version_is_told_of_those_that_are_spoken",
    ),
    reason!(
        "the MCP server does not have this *",
        "no such method or tool",
        "The demo's MCP server has two tools, and the methods that lead to them.",
        "JSON-RPC 2.0, 5.1",
        "routes/endpoint/mcp/answer.rs",
        "let error = error(Some(id), METHOD_NOT_FOUND, reason);",
        "tests/it/mcp.rs::a_client_with_a_session_opens_lists_and_calls",
    ),
];
