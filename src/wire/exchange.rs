//! One request with its answer, as they were on the wire, and what was decided.
//!
//! Exported as JSON, the bytes are text in which each character is one byte (Latin-1): for heads, forms and JSON that
//! is what a person reads, and every other byte survives, too.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::notes::Decision;

/// How much of a message is kept, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 32 * 1024;

/// Which of the servers a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The client app.
    ClientApp,
    /// The authorization server.
    AuthorizationServer,
    /// The attack lab, in which the Host names the attacker's site or the victim's shop.
    Lab,
}

impl Server {
    /// Its name in the export.
    pub fn as_str(self) -> &'static str {
        match self {
            Server::ClientApp => "client-app",
            Server::AuthorizationServer => "authorization-server",
            Server::Lab => "lab",
        }
    }
}

/// The bytes of one message, up to [`MESSAGE_BYTES_MAX`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
    /// How many bytes it had in all.
    length: usize,
}

/// A request, its answer, and the decisions between them.
#[derive(Clone)]
pub struct Exchange {
    /// Its number on this wire, counted from 1.
    pub id: u64,
    /// Where the request came to.
    pub server: Server,
    /// The number of its connection on this wire.
    pub connection: u64,
    /// The address that the connection came from.
    pub peer: IpAddr,
    /// When the request was complete, in milliseconds since 1970.
    pub began: u64,
    /// How long the answer took, in microseconds.
    pub took: u64,
    /// The request.
    pub request: Message,
    /// The answer; empty if the connection ended before there was one.
    pub answer: Message,
    /// The identifier of the client, where the request or its transition names one.
    pub client: Option<String>,
    /// What was decided, in that order.
    pub decisions: Vec<Decision>,
    /// The redirect URIs of the client that an authorization request names, to compare with the one that it asks for.
    pub redirect_uris: Vec<String>,
}

impl Message {
    /// Adds to the message what there is room for.
    pub fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        let room = MESSAGE_BYTES_MAX.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Takes the last `count` bytes off the message, which belong to another one.
    pub fn cut(&mut self, count: usize) {
        self.length = self.length.saturating_sub(count);
        self.bytes.truncate(self.length);
    }

    /// A message of these bytes.
    pub fn of(bytes: &[u8]) -> Message {
        let mut message = Message::default();
        message.push(bytes);
        message
    }

    /// What is kept of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Each byte as one character.
    fn text(&self) -> String {
        self.bytes.iter().map(|byte| char::from(*byte)).collect()
    }

    /// The first line, without its end.
    pub fn first_line(&self) -> String {
        let line = self.bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
        line.map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default()
    }
}

impl Exchange {
    /// How much memory it takes, in bytes, about.
    pub fn size(&self) -> usize {
        let decisions: usize = self.decisions.iter().map(|decision| decision.reason.len() + 64).sum();
        let redirect_uris: usize = self.redirect_uris.iter().map(String::len).sum();
        512 + self.request.bytes.capacity() + self.answer.bytes.capacity() + decisions + redirect_uris
    }

    /// The exchange as a JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "server": self.server.as_str(),
            "connection": self.connection,
            "peer": self.peer.to_canonical().to_string(),
            "began_ms": self.began,
            "took_us": self.took,
            "request": self.request.text(),
            "request_bytes": self.request.length,
            "answer": self.answer.text(),
            "answer_bytes": self.answer.length,
            "client": self.client,
            "decisions": self.decisions.iter().map(Decision::to_json).collect::<Vec<Value>>(),
            "redirect_uris": self.redirect_uris,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    /// An exchange with the number `id` and these messages.
    pub(crate) fn exchange(id: u64, request: &[u8], answer: &[u8]) -> Exchange {
        Exchange {
            id,
            server: Server::AuthorizationServer,
            connection: 7,
            peer: Ipv6Addr::LOCALHOST.into(),
            began: 1_760_000_000_123,
            took: 250,
            request: Message::of(request),
            answer: Message::of(answer),
            client: Some("app".to_owned()),
            decisions: Vec::new(),
            redirect_uris: vec!["https://app.example/cb".to_owned()],
        }
    }

    #[test]
    fn every_byte_survives_the_export() {
        let bytes: Vec<u8> = (0..=255).collect();
        let exported = exchange(1, &bytes, b"HTTP/1.1 200 OK\r\n\r\n").to_json().to_string();
        let read: Value = serde_json::from_str(&exported).unwrap();
        let text = read["request"].as_str().unwrap();
        let back: Vec<u8> = text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
        assert_eq!(back, bytes);
        assert_eq!((&read["server"], &read["peer"]), (&json!("authorization-server"), &json!("::1")));
    }

    #[test]
    fn a_long_message_is_cut_and_says_how_long_it_was() {
        let mut message = Message::of(&[b'x'; MESSAGE_BYTES_MAX - 1]);
        message.push(b"yz");
        message.push(b"more");
        assert_eq!((message.bytes().len(), message.length), (MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX + 5));
        assert_eq!(message.bytes().last(), Some(&b'y'));
    }

    #[test]
    fn the_first_line_is_the_first_that_is_not_empty() {
        assert_eq!(Message::of(b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n").first_line(), "GET / HTTP/1.1");
        assert_eq!(Message::default().first_line(), "");
    }
}
