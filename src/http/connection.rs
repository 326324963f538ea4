//! One connection: bytes in, requests out; responses in, bytes out; and what the driver must do next.
//!
//! The driver owns the socket and the clock. It keeps this contract:
//!
//! 1. call [`Connection::next_event`] until it returns [`Event::Nothing`]. Respond to each request and refusal with
//!    [`Connection::respond`] or [`Connection::begin_stream`], at once or later; until then there are no further
//!    events;
//! 2. do what [`Connection::wants`] says: read, and pass the bytes to [`receive`](Connection::receive) or the end to
//!    [`receive_end`](Connection::receive_end); write [`outgoing`](Connection::outgoing), and report how much was
//!    [`sent`](Connection::sent); shut down the sending side; or close;
//! 3. when [`deadline`](Connection::deadline) has passed, call [`Connection::expire`]. Then go to 1.
//!
//! Responses to pipelined requests are collected up to `output_bytes_max` before the driver writes, so that a thousand
//! of them cost one write. While output is queued, nothing is read, so that a client that does not read cannot make the
//! server buffer more.
//!
//! The contract as a program, without a socket:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use oauth_from_scratch::http::connection::{Connection, Event, Want};
//! use oauth_from_scratch::http::{Body, Date, FieldLines, Limits, Response, Status};
//!
//! let now = Instant::now();
//! let mut connection = Connection::new(Arc::new(Limits::default()), now);
//!
//! // Bytes in. A request may arrive in any pieces.
//! assert_eq!(connection.wants(), Want::Read);
//! connection.receive(b"GET /hello HTTP/1.1\r\nHost: exa", now);
//! assert!(matches!(connection.next_event(now), Event::Nothing));
//! connection.receive(b"mple.org\r\n\r\n", now);
//!
//! // Request out, response in.
//! let body = match connection.next_event(now) {
//!     Event::Request(request) => format!("This is {}.", request.path()),
//!     Event::Refused(..) | Event::Nothing => unreachable!("the request is complete and valid"),
//! };
//! let lines = FieldLines::literal("Content-Type: text/plain\r\n");
//! let response = Response::new(Status::Ok, lines).with_body(Body::Own(body.into_bytes().into()));
//! connection.respond(&response, &Date::of_second(0), now);
//!
//! // Bytes out.
//! assert!(matches!(connection.next_event(now), Event::Nothing));
//! assert_eq!(connection.wants(), Want::Write);
//! let sent = String::from_utf8(connection.outgoing().to_vec()).expect("text");
//! connection.sent(sent.len(), now);
//! assert_eq!(
//!     sent,
//!     "HTTP/1.1 200 OK\r\n\
//!      Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
//!      Content-Type: text/plain\r\n\
//!      Connection: keep-alive\r\n\
//!      Keep-Alive: timeout=75\r\n\
//!      Content-Length: 15\r\n\
//!      \r\n\
//!      This is /hello."
//! );
//!
//! // The connection is idle again. What cannot be a request is refused, and ends it.
//! assert_eq!(connection.wants(), Want::Read);
//! connection.receive(b"\x16\x03\x01", now);
//! let Event::Refused(refusal, None) = connection.next_event(now) else { panic!("this is TLS") };
//! assert_eq!(refusal.reason, "the request line does not begin with a method");
//! connection.respond(&Response::new(refusal.status, FieldLines::NONE), &Date::of_second(0), now);
//! connection.sent(connection.outgoing().len(), now);
//! assert_eq!(connection.wants(), Want::Shutdown);
//! ```

use std::sync::Arc;
use std::time::Instant;

use super::date::Date;
use super::framing::Framing;
use super::limits::Limits;
use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use super::response_framing::Persistence;
use super::scan::Scan;
use super::start_line::{Method, Version};

mod buffers;
mod state;
mod streaming;
mod timeouts;

pub use buffers::Buffers;
use state::{State, Unanswered};

/// One connection, from its first byte to its last.
pub struct Connection {
    limits: Arc<Limits>,
    /// `None` while they would be empty. A connection that receives bytes without any allocates its own.
    buffers: Option<Box<Buffers>>,
    state: State,
    scan: Scan,
    /// The client has closed its sending side. What it sent before is still answered.
    client_has_ended: bool,
    /// The server is shutting down: the last request that has arrived gets the last response.
    is_finishing: bool,
    /// A buffer could not grow for lack of memory.
    is_starved: bool,
    /// How many requests were answered.
    requests: u32,
    /// When the time limit of the state began.
    state_since: Instant,
    /// When output was last written, or the first of it queued; `write_time_max` counts from here.
    sent_since: Instant,
}

/// How to write a response, decided before the request leaves the input.
struct Reply {
    keep_alive: bool,
    /// The request is HEAD.
    omits_content: bool,
    version: Version,
    is_refusal: bool,
}

/// What [`Connection::next_event`] found.
pub enum Event<'a> {
    /// Nothing, until the driver has done what [`Connection::wants`] says.
    Nothing,
    /// A complete request, which needs a response.
    Request(Request<'a>),
    /// A request that cannot be served. It also needs a response; then the connection closes. Includes the request,
    /// without content, if its method and target are valid.
    Refused(Refusal, Option<Request<'a>>),
}

/// What the driver must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Read from the socket.
    Read,
    /// Write [`Connection::outgoing`], as much as the socket accepts.
    Write,
    /// Wait for the application: there is a request or refusal without a response.
    Answer,
    /// Wait for the application: a stream is open, and all of its content so far is sent.
    Content,
    /// Shut down the sending side of the socket, and call [`Connection::shut`].
    Shutdown,
    /// Close the socket.
    Close,
}

impl Connection {
    /// A connection that was accepted at `now`.
    pub fn new(limits: Arc<Limits>, now: Instant) -> Connection {
        Connection {
            limits,
            buffers: None,
            state: State::Idle,
            scan: Scan::default(),
            client_has_ended: false,
            is_finishing: false,
            is_starved: false,
            requests: 0,
            state_since: now,
            sent_since: now,
        }
    }

    /// A connection that is accepted only to be refused, whatever it sends: there are too many.
    pub fn turned_away(limits: Arc<Limits>, refusal: Refusal, now: Instant) -> Connection {
        Connection { state: State::Refusing(refusal), ..Connection::new(limits, now) }
    }

    /// When the connection became idle: between requests, with all output sent. `None` when it is not idle.
    pub fn idle_since(&self) -> Option<Instant> {
        (self.is_idle() && self.unsent() == 0).then_some(self.state_since)
    }

    /// Begins an orderly shutdown. Requests that have arrived are answered, the last of them with `Connection: close`;
    /// an open stream ends. An idle connection is left to the driver, which closes it when there is nothing to read.
    pub fn finish(&mut self, now: Instant) {
        self.is_finishing = true;
        self.end_stream(now);
    }

    /// Whether the connection was closed for lack of memory.
    pub fn is_starved(&self) -> bool {
        self.is_starved
    }

    /// Closes the connection for lack of memory, and frees what it holds for the others.
    fn starve(&mut self) {
        self.is_starved = true;
        self.enter(State::Closed);
        self.buffers = None;
    }

    /// Changes the state, by a transition of the table.
    fn enter(&mut self, next: State) {
        debug_assert!(self.state.may_precede(next), "{next:?} after {:?}", self.state);
        self.state = next;
    }

    /// Lends buffers to the connection, so that [`Connection::receive`] and [`Connection::push`] need not allocate.
    pub fn lend(&mut self, buffers: Box<Buffers>) {
        if self.buffers.is_none() {
            self.buffers = Some(buffers);
        }
    }

    /// Whether the connection has no buffers.
    pub fn wants_buffers(&self) -> bool {
        self.buffers.is_none()
    }

    /// Takes the buffers back, unless they contain something that the connection needs.
    pub fn give_back(&mut self) -> Option<Box<Buffers>> {
        let is_needed = match self.state {
            // Once the last response is sent, which is checked below, nothing is needed for closing.
            State::Idle | State::Closing { .. } | State::Lingering { .. } | State::Closed => false,
            State::Streaming { .. } => {
                self.buffers.as_ref().is_some_and(|buffers| !buffers.arrived().is_empty())
            }
            _ => true,
        };
        if is_needed || self.unsent() > 0 {
            return None;
        }
        let mut buffers = self.buffers.take()?;
        // Empty lines before a request line may be left.
        buffers.clear();
        Some(buffers)
    }

    /// The memory that the connection's buffers take, in bytes.
    pub fn buffered(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.size())
    }

    /// Accepts bytes that were read at `now`.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        match &mut self.state {
            State::Closing { .. } | State::Closed => {}
            State::Lingering { bytes_left } => match bytes_left.checked_sub(bytes.len()) {
                Some(left) => *bytes_left = left,
                None => self.enter(State::Closed),
            },
            _ => {
                if self.buffers.get_or_insert_default().receive(bytes).is_err() {
                    return self.starve();
                }
                if self.is_idle() {
                    self.enter(State::Head);
                    self.state_since = now;
                }
            }
        }
    }

    /// Notes that the client has closed its sending side.
    pub fn receive_end(&mut self) {
        self.client_has_ended = true;
    }

    /// Parses the input until there is an event, or no more input.
    pub fn next_event(&mut self, now: Instant) -> Event<'_> {
        // Idle is the usual case: after a response, the next request has not arrived. The second condition is
        // backpressure: a client that does not read gets no more responses.
        if self.is_idle() || self.unsent() >= self.limits.output_bytes_max {
            return Event::Nothing;
        }
        match self.read_request(now) {
            Ok(None) => Event::Nothing,
            Ok(Some(content)) => {
                self.enter(State::Answering(Unanswered::Request { content }));
                self.request(content).map_or(Event::Nothing, Event::Request)
            }
            Err(refusal) => {
                if !matches!(self.state, State::Refusing(_)) {
                    self.enter(State::Refusing(refusal));
                }
                self.enter(State::Answering(Unanswered::Refusal));
                Event::Refused(refusal, self.request(0).filter(|request| request.head.has_target))
            }
        }
    }

    /// Parses more of the input. Returns the length of the content in bytes once a request is complete.
    ///
    /// # Errors
    /// The refusal to answer with.
    fn read_request(&mut self, now: Instant) -> Result<Option<usize>, Refusal> {
        if let State::Refusing(refusal) = self.state {
            return Err(refusal);
        }
        if matches!(self.state, State::Head) {
            self.read_head(now)?;
        }
        let (State::Content(framing), Some(buffers)) = (self.state, &mut self.buffers) else {
            return Ok(None);
        };
        let content = match framing {
            Framing::Length(length) => (buffers.content_arrived() >= length).then_some(length),
            Framing::Chunked => buffers.decode(&self.limits)?,
        };
        match content {
            None if self.client_has_ended => {
                Err(Refusal::bad_request("the client closed the connection before the end of the content"))
            }
            content => Ok(content),
        }
    }

    /// Reads a head, and continues with the content if it is complete.
    fn read_head(&mut self, now: Instant) -> Result<(), Refusal> {
        let Some(buffers) = &mut self.buffers else { return Ok(()) };
        let empty_lines = self.scan.skip_empty_lines(buffers.arrived())?;
        buffers.skip(empty_lines);
        let (arrived, head) = buffers.arrived_and_head();
        if arrived.is_empty() {
            self.enter(State::Idle);
            return Ok(());
        }
        if !head.read(arrived, &mut self.scan, &self.limits)? {
            if self.client_has_ended {
                return Err(Refusal::bad_request(
                    "the client closed the connection before the end of the head",
                ));
            }
            return Ok(());
        }
        let framing = head.framing;
        // A client that has begun to send its content does not wait for a 100 (RFC 9110, 10.1.1).
        if head.expects_continue && arrived.len() == head.length && framing != Framing::Length(0) {
            if buffers.unsent() == 0 {
                self.sent_since = now;
            }
            buffers.output().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if framing == Framing::Chunked {
            buffers.begin_chunks();
        }
        self.state_since = now;
        self.enter(State::Content(framing));
        Ok(())
    }

    /// The request in the buffers, with this much content; `None` without buffers.
    fn request(&self, content: usize) -> Option<Request<'_>> {
        let buffers = self.buffers.as_ref()?;
        let (head, bytes) = (&buffers.head, buffers.arrived());
        let body = bytes.get(head.length..)?.get(..content)?;
        Some(Request { head, bytes, body, since: self.state_since })
    }

    /// Whether there is input for [`Connection::next_event`]: a request or a part of one.
    pub fn has_input(&self) -> bool {
        matches!(self.state, State::Head | State::Content(_))
    }

    /// The request that has no response yet, for an application that responds later.
    pub fn unanswered(&self) -> Option<Request<'_>> {
        match self.state {
            State::Answering(Unanswered::Request { content }) => self.request(content),
            _ => None,
        }
    }

    /// Queues the response to the request or refusal of the last event. `date` is the time at which it was made.
    pub fn respond(&mut self, response: &Response, date: &Date, now: Instant) {
        let Some(reply) = self.begin_reply() else { return };
        let persistence = self.persistence(reply.keep_alive);
        let Some(output) = self.output(response.bytes_max(), now) else { return };
        response.write(output, date, persistence, reply.omits_content);
        self.end_reply(reply.keep_alive, reply.is_refusal, now);
    }

    /// Decides how to respond to the current message and whether the connection stays open, and drops the message from
    /// the input. `None` if there is no message without a response, which is a bug of the driver.
    // Inlined, as `output` and `end_reply` are, because `respond` is on the path of every request.
    #[inline(always)]
    fn begin_reply(&mut self) -> Option<Reply> {
        let State::Answering(unanswered) = self.state else {
            debug_assert!(false, "a response to nothing: {:?}", self.state);
            return None;
        };
        let (is_refusal, content) = match unanswered {
            Unanswered::Request { content } => (false, content),
            Unanswered::Refusal => (true, 0),
        };
        let buffers = self.buffers.get_or_insert_default();
        let has_more = buffers.content_arrived() > content;
        self.requests += 1;
        let is_last = self.requests >= self.limits.connection_requests_max || (self.is_finishing && !has_more);
        let head = &buffers.head;
        let reply = Reply {
            keep_alive: head.keep_alive && !is_refusal && !is_last,
            omits_content: head.has_target && head.method == Method::Head,
            version: head.version,
            is_refusal,
        };
        buffers.skip_message(content);
        Some(reply)
    }

    fn persistence(&self, keep_alive: bool) -> Persistence {
        if keep_alive {
            Persistence::KeepAlive { idle_seconds: self.limits.idle_time_max.as_secs() }
        } else {
            Persistence::Close
        }
    }

    /// The output, with memory reserved for `bytes_max` more; `None`, and the connection closes, if there is none.
    #[inline(always)]
    fn output(&mut self, bytes_max: usize, now: Instant) -> Option<&mut Vec<u8>> {
        let buffers = self.buffers.get_or_insert_default();
        if buffers.unsent() == 0 {
            self.sent_since = now;
        }
        if buffers.output().try_reserve(bytes_max).is_err() {
            self.starve();
        }
        self.buffers.as_mut().map(|buffers| buffers.output())
    }

    /// Continues after a response with the next message, or with the end of the connection.
    #[inline(always)]
    fn end_reply(&mut self, keep_alive: bool, is_refusal: bool, now: Instant) {
        let buffers = self.buffers.get_or_insert_default();
        let has_more = !buffers.arrived().is_empty();
        if keep_alive {
            self.scan = Scan::default();
            self.state_since = now;
            self.enter(if has_more { State::Head } else { State::Idle });
        } else {
            buffers.drop_input();
            // The client cannot foresee that this request is the last one allowed, and may be sending another.
            let is_cut_off = self.requests >= self.limits.connection_requests_max;
            let lingers = (is_refusal || has_more || is_cut_off) && !self.client_has_ended;
            self.enter(State::Closing { lingers });
        }
    }

    /// The bytes to write next.
    pub fn outgoing(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| buffers.outgoing())
    }

    /// Notes that the first `count` bytes of [`Connection::outgoing`] were written at `now`.
    pub fn sent(&mut self, count: usize, now: Instant) {
        self.sent_since = now;
        let is_all = self.buffers.as_mut().is_none_or(|buffers| buffers.sent(count));
        if is_all && self.is_idle() {
            self.state_since = now;
        }
    }

    /// When output was last written, or the first of it queued.
    pub fn sent_since(&self) -> Instant {
        self.sent_since
    }

    /// Notes that the sending side was shut down at `now`.
    pub fn shut(&mut self, now: Instant) {
        self.enter(State::Lingering { bytes_left: self.limits.linger_bytes_max });
        self.state_since = now;
    }

    /// What the driver must do, once [`Connection::next_event`] has returned [`Event::Nothing`].
    pub fn wants(&self) -> Want {
        match self.state {
            State::Closed => Want::Close,
            _ if self.unsent() > 0 => Want::Write,
            State::Idle | State::Head | State::Lingering { .. } if self.client_has_ended => Want::Close,
            State::Idle | State::Head | State::Content(_) | State::Lingering { .. } => Want::Read,
            State::Refusing(_) | State::Answering(_) => Want::Answer,
            State::Streaming { .. } => Want::Content,
            State::Closing { lingers: true } => Want::Shutdown,
            State::Closing { lingers: false } => Want::Close,
        }
    }

    fn unsent(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.unsent())
    }

    fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }
}
