//! What one connection leaves on the wire: its bytes are cut into messages, and each request is matched with its
//! answer.
//!
//! The bytes are taken where they are read and written, before any coding is undone. What is read belongs to the
//! current request, up to what the HTTP connection has left over for the next one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use super::exchange::{Exchange, MESSAGE_BYTES_MAX, Message, Server};
use super::hub::Wire;
use super::notes::{Notes, Taken};

/// The tap of one connection.
pub struct Tap {
    wire: Arc<Wire>,
    server: Server,
    connection: u64,
    peer: IpAddr,
    /// What was read since the last request.
    read: Message,
    /// The request that has no answer yet.
    open: Option<Open>,
    notes: Notes,
}

struct Open {
    request: Message,
    began: u64,
    since: Instant,
}

impl Tap {
    /// A tap of a connection from `peer` to `server`. Boxed, because most servers have no view, and each connection has
    /// room for a tap.
    pub fn new(wire: &Arc<Wire>, server: Server, peer: IpAddr) -> Box<Tap> {
        Box::new(Tap {
            wire: Arc::clone(wire),
            server,
            connection: wire.next_connection(),
            peer,
            read: Message::default(),
            open: None,
            notes: Notes::default(),
        })
    }

    /// These bytes were read.
    pub fn read(&mut self, bytes: &[u8]) {
        self.read.push(bytes);
    }

    /// A request is complete, or refused. `rest` was read with it and belongs to the next one.
    pub fn begin(&mut self, rest: &[u8]) {
        let mut request = std::mem::replace(&mut self.read, Message::of(rest));
        request.cut(rest.len());
        let began = self.wire.system.wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began = u64::try_from(began.as_millis()).unwrap_or(u64::MAX);
        self.open = Some(Open { request, began, since: self.wire.system.monotonic() });
    }

    /// What is decided about the request.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The request is answered with these bytes, for this reason and client as the log has them.
    pub fn answer(&mut self, bytes: &[u8], reason: Option<&str>, client: Option<&str>) {
        let taken = self.notes.end(reason, client);
        self.end(Message::of(bytes), taken);
    }

    /// The connection has ended. A request without an answer stays without one.
    pub fn close(&mut self) {
        let taken = self.notes.end(None, None);
        self.end(Message::default(), taken);
    }

    fn end(&mut self, answer: Message, taken: Taken) {
        let Some(Open { request, began, since }) = self.open.take() else { return };
        if is_own(self.server, &request) {
            return;
        }
        let took = self.wire.system.monotonic().saturating_duration_since(since);
        let Taken { decisions, client, redirect_uris, .. } = taken;
        self.wire.record(Exchange {
            id: 0,
            server: self.server,
            connection: self.connection,
            peer: self.peer,
            began,
            took: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            request,
            answer,
            client,
            decisions,
            redirect_uris,
        });
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether the request is the view's own, or one by which the pages of the lab ask what was caught or which rules hold.
/// If the first were recorded, each request of the view's page would cause the next; the others come many times a
/// second, and would push the attack out of the ring.
fn is_own(server: Server, request: &Message) -> bool {
    let line = request.first_line();
    let Some(target) = line.split(' ').nth(1) else { return false };
    let path = target.split('?').next().unwrap_or(target);
    target.starts_with("/wire") || (server == Server::Lab && matches!(path, "/caught" | "/rules"))
}

const _: () = assert!(MESSAGE_BYTES_MAX >= 16 * 1024, "one read fits");

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::system::RealSystem;

    fn tap() -> (Arc<Wire>, Box<Tap>) {
        tap_of(Server::AuthorizationServer)
    }

    fn tap_of(server: Server) -> (Arc<Wire>, Box<Tap>) {
        let wire = Arc::new(Wire::new(Arc::new(RealSystem::default())));
        let tap = Tap::new(&wire, server, Ipv4Addr::LOCALHOST.into());
        (wire, tap)
    }

    #[test]
    fn pipelined_requests_are_cut_where_the_codec_cuts_them() {
        let (wire, mut tap) = tap();
        tap.read(b"GET /1 HTTP/1.1\r\n");
        tap.read(b"\r\nGET /2 HTTP/1.1\r\n\r\nGET");
        tap.begin(b"GET /2 HTTP/1.1\r\n\r\nGET");
        tap.answer(b"one", None, Some("app"));
        tap.begin(b"GET");
        tap.answer(b"two", Some("no Authorization"), None);
        tap.read(b" /3");
        tap.begin(b"");
        tap.close();
        tap.close();
        let found: Vec<(String, String)> = (0..3)
            .filter_map(|id| wire.after(id))
            .map(|exchange| [exchange.request, exchange.answer].map(|message| message.bytes().to_vec()))
            .map(|messages| messages.map(|bytes| String::from_utf8(bytes).unwrap()).into())
            .collect();
        let pair = |request: &str, answer: &str| (request.to_owned(), answer.to_owned());
        assert_eq!(
            found,
            [
                pair("GET /1 HTTP/1.1\r\n\r\n", "one"),
                pair("GET /2 HTTP/1.1\r\n\r\n", "two"),
                pair("GET /3", ""),
            ]
        );
        let second = wire.after(1).unwrap();
        assert_eq!((second.decisions[0].rule.name, second.connection), ("no access token", 1));
        assert!(wire.after(3).is_none(), "a connection that ends twice leaves nothing more");
    }

    #[test]
    fn the_views_own_requests_are_not_recorded() {
        let (wire, mut tap) = tap();
        for target in ["/wire", "/wire/events", "/wire.js"] {
            tap.read(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes());
            tap.begin(b"");
            tap.answer(b"HTTP/1.1 200 OK\r\n\r\n", None, None);
        }
        assert!(wire.after(0).is_none());
    }

    #[test]
    fn what_the_labs_pages_ask_all_the_time_is_not_recorded() {
        let recorded = |server, target: &str| {
            let (wire, mut tap) = tap_of(server);
            tap.read(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes());
            tap.begin(b"");
            tap.answer(b"HTTP/1.1 200 OK\r\n\r\n", None, None);
            wire.after(0).is_some()
        };
        for target in ["/caught?after=7", "/rules"] {
            assert!(!recorded(Server::Lab, target), "{target}");
            assert!(recorded(Server::ClientApp, target), "{target} means nothing on another server");
        }
        for target in ["/caught.html?code=x", "/rules/switch", "/ad.svg", "/collect"] {
            assert!(recorded(Server::Lab, target), "{target}");
        }
    }

    #[test]
    fn a_truncated_request_still_ends_where_it_ended() {
        let (wire, mut tap) = tap();
        let long = vec![b'x'; MESSAGE_BYTES_MAX + 10];
        tap.read(&long);
        tap.read(b"GET");
        tap.begin(b"GET");
        tap.answer(b"", None, None);
        assert_eq!(wire.after(0).unwrap().to_json()["request_bytes"], MESSAGE_BYTES_MAX + 10);
    }
}
