//! Requests that the server sends: documents of clients, by https.
//!
//! Where the server connects to is chosen by a stranger, who may want it to reach what only the server can reach: its
//! own machine, its network, the metadata service of its cloud (server-side request forgery). So a name is resolved
//! once, all of its addresses are checked (`address.rs`), and the connection goes to a checked address and not to the
//! name. A name that resolves differently a moment later changes nothing.
//!
//! ```text
//!   resolve ──▶ check every address ──▶ connect to one ──▶ TLS ──▶ GET ──▶ head ──▶ content
//!   └──────────────────────────── one deadline over all of it ──────────────────────────────┘
//! ```
//!
//! Only a 200 with JSON counts, and no redirect is followed: its target would be one more address that a stranger has
//! chosen. The response is bounded in bytes and time. The connection is used once.
//!
//! All of this blocks, so it runs on threads of a pool. The deadline cannot interrupt the resolver of the operating
//! system, which has timeouts of its own; what it finds after the deadline is not used.

pub mod address;
mod fetched;
mod freshness;
mod resolve;
mod response;
mod timed;
#[cfg(feature = "client-documents")]
mod tls;
#[cfg(not(feature = "client-documents"))]
#[path = "no_tls.rs"]
mod tls;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::oauth::document_url::DocumentUrl;
use crate::oauth::origin::{Origin, Scheme};
use crate::system::System;
pub use address::Reach;
pub use fetched::{FetchError, Fetched};
pub use resolve::{Resolve, SystemResolver};
use timed::{Deadline, Timed};
pub use tls::Tls;

/// Whether this program can fetch https.
pub const HAS_TLS: bool = tls::MISSING.is_none();

/// The most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;

/// The limits of one fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// The time for it, from the resolution of the host's name to the last byte of the document.
    pub time_max: Duration,
    /// The largest document, in bytes.
    pub bytes_max: usize,
}

/// Fetches documents.
pub struct Outbound {
    resolver: Box<dyn Resolve>,
    tls: Tls,
    limits: FetchLimits,
    system: Arc<dyn System>,
}

impl Outbound {
    /// Fetches documents within `limits`, from the addresses that `resolver` finds.
    pub fn new(resolver: Box<dyn Resolve>, tls: Tls, limits: FetchLimits, system: Arc<dyn System>) -> Outbound {
        Outbound { resolver, tls, limits, system }
    }

    /// Fetches the document at `url`, if `reach` includes every address of its host. Blocks for at most the time
    /// of the limits, plus what the resolver takes.
    ///
    /// # Errors
    /// When there is no document, with the reason.
    pub fn get(&self, url: &DocumentUrl, reach: Reach) -> Result<Fetched, FetchError> {
        let deadline = Deadline::new(&*self.system, self.limits.time_max);
        let origin = url.origin();
        let addresses = match (self.checked_addresses(origin, reach), tls::MISSING) {
            (Err(FetchError::ForbiddenAddress), _) => return Err(FetchError::ForbiddenAddress),
            // Nothing is connected to in vain, and another attempt would not succeed either.
            (_, Some(reason)) if origin.scheme() == Scheme::Https => return Err(FetchError::Tls(reason)),
            (addresses, _) => addresses?,
        };
        let mut stream = Timed::new(connect(&addresses, &deadline)?, &deadline);
        match origin.scheme() {
            Scheme::Https => {
                let mut stream = self.tls.connect(plain_host(origin), stream).map_err(FetchError::Tls)?;
                self.exchange(url, &mut stream)
            }
            Scheme::Http => self.exchange(url, &mut stream),
        }
    }

    /// The addresses of the origin's host.
    ///
    /// # Errors
    /// When one of them may not be connected to. That the others may is no reason to trust the name.
    fn checked_addresses(&self, origin: &Origin, reach: Reach) -> Result<Vec<SocketAddr>, FetchError> {
        let found = self.resolver.resolve(plain_host(origin), origin.port());
        let mut addresses = found.map_err(|_| FetchError::Unresolved)?;
        let is_loopback = origin.is_loopback();
        if !addresses.iter().all(|address| reach.includes(address.ip(), is_loopback)) {
            return Err(FetchError::ForbiddenAddress);
        }
        addresses.truncate(ADDRESSES_MAX);
        Ok(addresses)
    }

    fn exchange(&self, url: &DocumentUrl, stream: &mut (impl Read + Write)) -> Result<Fetched, FetchError> {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n\
             User-Agent: oauth-from-scratch\r\nConnection: close\r\n\r\n",
            url.target(),
            url.origin().authority()
        );
        let sent = stream.write_all(request.as_bytes()).and_then(|()| stream.flush());
        sent.map_err(|error| FetchError::of_io(&error))?;
        response::read(stream, self.limits.bytes_max, self.system.wall_clock())
    }
}

/// The host as resolvers and certificates write it: an IPv6 address without its brackets.
fn plain_host(origin: &Origin) -> &str {
    origin.host().trim_matches(['[', ']'])
}

/// Connects to the first of `addresses` that accepts. Each gets an equal share of the time that is left, so that one
/// that never answers leaves some for the next.
fn connect(addresses: &[SocketAddr], deadline: &Deadline) -> Result<TcpStream, FetchError> {
    let mut error = FetchError::Unreachable;
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.left().map_err(|error| FetchError::of_io(&error))?;
        let share = left / (addresses.len() - index) as u32;
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(failed) if failed.kind() == io::ErrorKind::TimedOut => error = FetchError::TimedOut,
            Err(_) => error = FetchError::Unreachable,
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Mutex;
    use std::thread::JoinHandle;

    use super::*;
    use crate::system::RealSystem;
    use crate::system::tests::{Pace, TestSystem};

    /// Gives these addresses, one list for each call.
    struct Scripted(Mutex<VecDeque<Vec<SocketAddr>>>);

    impl Resolve for Arc<Scripted> {
        fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            self.0.lock().unwrap().pop_front().ok_or(io::ErrorKind::NotFound.into())
        }
    }

    const BYTES_MAX: usize = 100;

    fn outbound(resolver: &Arc<Scripted>) -> Outbound {
        let limits = FetchLimits { time_max: Duration::from_secs(20), bytes_max: BYTES_MAX };
        let system = Arc::new(RealSystem::default());
        Outbound::new(Box::new(Arc::clone(resolver)), Tls::default(), limits, system)
    }

    /// The document at this URL, for a server on loopback.
    fn get(outbound: &Outbound, text: &str) -> Result<Fetched, FetchError> {
        outbound.get(&url(text), Reach::InternetAndLoopback)
    }

    fn scripted(lists: &[&[SocketAddr]]) -> Arc<Scripted> {
        Arc::new(Scripted(Mutex::new(lists.iter().map(|list| list.to_vec()).collect())))
    }

    fn url(text: &str) -> DocumentUrl {
        DocumentUrl::parse(text, true).expect(text)
    }

    /// A server that takes one connection, reads a head and has `answer` do the rest; its thread gives the head.
    fn server(answer: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            answer(stream);
            String::from_utf8(head).unwrap()
        });
        (address, thread)
    }

    #[test]
    fn a_document_is_asked_for_as_json_and_read() {
        let (address, thread) = server(|mut stream| {
            let response = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
            stream.write_all(response.as_bytes()).unwrap();
        });
        let outbound = outbound(&scripted(&[&[address]]));
        let port = address.port();
        let answer = get(&outbound, &format!("http://localhost:{port}/a/client.json?v=2"));
        assert_eq!(answer.map(|answer| answer.content), Ok(b"{}".to_vec()));
        assert_eq!(
            thread.join().unwrap(),
            format!(
                "GET /a/client.json?v=2 HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: application/json\r\n\
                 Accept-Encoding: identity\r\nUser-Agent: oauth-from-scratch\r\nConnection: close\r\n\r\n"
            )
        );
    }

    #[test]
    fn every_address_of_a_name_must_be_public() {
        let check = |reach: Reach, text: &str, addresses: &[&str], expected: FetchError| {
            let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            let outbound = outbound(&scripted(&[&addresses]));
            assert_eq!(outbound.get(&url(text), reach), Err(expected), "{text} {addresses:?}");
        };
        const FORBIDDEN: FetchError = FetchError::ForbiddenAddress;
        for reach in [Reach::InternetAndLoopback, Reach::Internet] {
            for address in ["127.0.0.1:443", "10.0.0.1:443", "[::1]:443", "[::ffff:8.8.8.8]:443"] {
                check(reach, "https://app.example/c", &[address], FORBIDDEN);
                check(reach, "https://app.example/c", &["8.8.8.8:443", address], FORBIDDEN);
                check(reach, "https://app.example/c", &[address, "8.8.8.8:443"], FORBIDDEN);
            }
            check(reach, "https://localhost/c", &["10.0.0.1:443"], FORBIDDEN);
            check(reach, "https://localhost/c", &["127.0.0.1:443", "8.8.8.8:443"], FORBIDDEN);
        }
        check(Reach::Internet, "https://localhost/c", &["127.0.0.1:443"], FORBIDDEN);
        check(Reach::Internet, "https://127.0.0.1/c", &["127.0.0.1:443"], FORBIDDEN);
        check(Reach::Internet, "http://localhost/c", &["127.0.0.1:80"], FORBIDDEN);
    }

    /// The name is resolved once, and what it resolves to afterwards does not matter.
    #[test]
    fn the_connection_goes_to_an_address_that_was_checked() {
        let (address, thread) = server(|mut stream| {
            let response = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}";
            stream.write_all(response.as_bytes()).unwrap();
        });
        let resolver = scripted(&[&[address], &["10.0.0.1:80".parse().unwrap()]]);
        let outbound = outbound(&resolver);
        assert!(get(&outbound, "http://localhost:9/c").is_ok());
        thread.join().unwrap();
        assert_eq!(resolver.0.lock().unwrap().len(), 1, "resolved once");
        assert_eq!(get(&outbound, "http://localhost:9/c"), Err(FetchError::ForbiddenAddress));
        assert_eq!(get(&outbound, "http://localhost:9/c"), Err(FetchError::Unresolved));
    }

    #[test]
    fn an_address_that_refuses_leaves_the_next_one() {
        let closed =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).unwrap();
        let (address, thread) = server(|mut stream| {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
        });
        let resolver = scripted(&[&[closed, address], &[closed], &[]]);
        let outbound = outbound(&resolver);
        assert_eq!(get(&outbound, "http://localhost:9/c"), Err(FetchError::Status(404)));
        thread.join().unwrap();
        for _ in 0..2 {
            assert_eq!(get(&outbound, "http://localhost:9/c"), Err(FetchError::Unreachable));
        }
        // A name may have any number of addresses. The fifth is not tried, though a connection to it would succeed.
        let open = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        resolver.0.lock().unwrap().push_back(vec![closed, closed, closed, closed, open.local_addr().unwrap()]);
        assert_eq!(get(&outbound, "http://localhost:9/c"), Err(FetchError::Unreachable));
    }

    #[test]
    fn a_server_that_sends_a_byte_at_a_time_runs_out_of_time() {
        let (address, thread) = server(|mut stream| {
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000000000\r\n\r\n",
            );
            // Until the other side closes.
            while stream.write_all(b" ").is_ok() {
                std::thread::yield_now();
            }
        });
        let mut outbound = outbound(&scripted(&[&[address]]));
        outbound.system = TestSystem::at(Pace::EachReading(Duration::from_secs(1)));
        outbound.limits = FetchLimits { time_max: Duration::from_secs(6), bytes_max: usize::MAX };
        assert_eq!(get(&outbound, "http://localhost:9/c"), Err(FetchError::TimedOut));
        thread.join().unwrap();
    }

    #[test]
    fn a_server_that_sends_nothing_is_not_waited_for() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (address, thread) = server(move |_stream| {
            let _ = released.recv();
        });
        let mut outbound = outbound(&scripted(&[&[address]]));
        outbound.limits.time_max = Duration::from_millis(50);
        assert_eq!(get(&outbound, "http://localhost:9/c"), Err(FetchError::TimedOut));
        drop(release);
        thread.join().unwrap();
    }

    #[cfg(not(feature = "client-documents"))]
    #[test]
    fn without_tls_no_https_document_is_fetched() {
        // No one listens there, and the second time the name has no address at all.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let outbound = outbound(&scripted(&[&[address]]));
        for url in ["https://localhost:9/c", "https://localhost:9/d"] {
            assert!(matches!(get(&outbound, url), Err(FetchError::Tls(_))), "{url}");
        }
    }
}
