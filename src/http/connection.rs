//! One client's conversation: bytes in, requests out; responses in, bytes out; and what to do next.
//!
//! The driver's side of the contract, which `net` keeps with a socket and the tests keep with slices:
//!
//! 1. call [`Connection::step`] until it gives [`Event::Nothing`]; answer each request and refusal with
//!    [`Connection::respond`], at once or later (nothing more is given out until then);
//! 2. do what [`Connection::wants`] says: read and [`receive`](Connection::receive), write
//!    [`outgoing`](Connection::outgoing) and say how much was [`sent`](Connection::sent), shut down the sending
//!    side, or close;
//! 3. when [`deadline`](Connection::deadline) has passed, call [`Connection::expire`], and go to 1.
//!
//! Pipelined requests are all answered before anything is written, up to `output_bytes_max`, so that a
//! thousand of them cost one write; and while answers wait for the client to read them, nothing more is read.

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
use state::{Exchange, State};

/// One connection's state, from the first byte to the last.
pub struct Connection {
    limits: Arc<Limits>,
    /// `None` when there is no byte in them; a connection that is given bytes then makes its own.
    buffers: Option<Box<Buffers>>,
    state: State,
    scan: Scan,
    /// The client has closed its sending side; what it sent before is still answered.
    ended: bool,
    /// The server ends: the answer to the last request that is here is the last.
    is_finishing: bool,
    is_starved: bool,
    /// Requests that have been answered.
    requests: u32,
    /// When the state's clock began to run, and when the client last took some of its answers.
    state_since: Instant,
    sent_since: Instant,
}

/// How a message is replied to.
struct Reply {
    keep_alive: bool,
    /// The request was HEAD.
    omits_content: bool,
    version: Version,
    is_refusal: bool,
}

/// What a step brought about.
pub enum Event<'a> {
    /// Nothing, until the driver has done what [`Connection::wants`] says.
    Nothing,
    /// A whole request, to be answered by [`Connection::respond`].
    Request(Request<'a>),
    /// What the client sent is no request that can be served. To be answered by [`Connection::respond`], too;
    /// the connection then closes. The request comes along, without content, where it was understood that far.
    Refused(Refusal, Option<Request<'a>>),
}

/// What the driver is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Read some bytes, if there are any.
    Read,
    /// Write the outgoing bytes, as many as the socket takes.
    Write,
    /// Nothing before [`Connection::respond`].
    Answer,
    /// Nothing before there is more content of the stream: [`Connection::push`], or its end.
    Content,
    /// Shut down the sending side, and say so with [`Connection::shut`].
    Shutdown,
    /// Close the socket.
    Close,
}

impl Connection {
    /// A connection that opened `now`.
    pub fn new(limits: Arc<Limits>, now: Instant) -> Connection {
        Connection {
            limits,
            buffers: None,
            state: State::Idle,
            scan: Scan::default(),
            ended: false,
            is_finishing: false,
            is_starved: false,
            requests: 0,
            state_since: now,
            sent_since: now,
        }
    }

    /// A connection for which there is no room: whatever it asks for, this refusal is the answer.
    pub fn turned_away(limits: Arc<Limits>, refusal: Refusal, now: Instant) -> Connection {
        Connection { state: State::Refusing(refusal), ..Connection::new(limits, now) }
    }

    /// Since when the connection has been between requests with nothing left to send, if it is.
    pub fn idle_since(&self) -> Option<Instant> {
        (self.is_idle() && self.unsent() == 0).then_some(self.state_since)
    }

    /// The answer to the last request that has arrived is to be the last; a stream ends `now`. (A connection that is
    /// idle has had its last; the driver closes it when nothing more is there to read.)
    pub fn finish(&mut self, now: Instant) {
        self.is_finishing = true;
        self.end_stream(now);
    }

    /// Whether the connection ended because there was no memory for its bytes.
    pub fn is_starved(&self) -> bool {
        self.is_starved
    }

    /// There is no memory to go on with: the connection ends, and what it holds is free for the others.
    fn starve(&mut self) {
        self.is_starved = true;
        self.enter(State::Closed);
        self.buffers = None;
    }

    /// Changes the state to one that may follow.
    fn enter(&mut self, next: State) {
        debug_assert!(self.state.may_precede(next), "{next:?} after {:?}", self.state);
        self.state = next;
    }

    /// Lends the connection buffers, to be called before [`Connection::receive`].
    pub fn lend(&mut self, buffers: Box<Buffers>) {
        if self.buffers.is_none() {
            self.buffers = Some(buffers);
        }
    }

    /// Whether the connection could use buffers, having none.
    pub fn wants_buffers(&self) -> bool {
        self.buffers.is_none()
    }

    /// The connection's buffers, if there is nothing in them that it still needs.
    pub fn give_back(&mut self) -> Option<Box<Buffers>> {
        let is_needed = match self.state {
            State::Idle | State::Lingering { .. } | State::Closed => false,
            State::Streaming { .. } => {
                self.buffers.as_ref().is_some_and(|buffers| !buffers.arrived().is_empty())
            }
            _ => true,
        };
        if is_needed || self.unsent() > 0 {
            return None;
        }
        let mut buffers = self.buffers.take()?;
        // Empty lines before a request line may be left, which count for nothing.
        buffers.drop_input();
        Some(buffers)
    }

    /// How much memory the connection's buffers take, in bytes.
    pub fn buffered(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.size())
    }

    /// Takes bytes that arrived `now`.
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

    /// Takes note that the client will send no more.
    pub fn receive_end(&mut self) {
        self.ended = true;
    }

    /// Goes on as far as the bytes at hand allow: the next request, or a refusal, or nothing.
    pub fn step(&mut self, now: Instant) -> Event<'_> {
        // The usual case: between two requests there is nothing to go on with.
        if self.is_idle() || self.unsent() >= self.limits.output_bytes_max {
            return Event::Nothing;
        }
        match self.advance(now) {
            Ok(None) => Event::Nothing,
            Ok(Some(content)) => {
                self.enter(State::Answering(Exchange::Request { content }));
                self.request(content).map_or(Event::Nothing, Event::Request)
            }
            Err(refusal) => {
                if !matches!(self.state, State::Refusing(_)) {
                    self.enter(State::Refusing(refusal));
                }
                self.enter(State::Answering(Exchange::Refusal));
                Event::Refused(refusal, self.request(0).filter(|request| request.head.has_target))
            }
        }
    }

    /// The length of the content, once a whole request is there.
    fn advance(&mut self, now: Instant) -> Result<Option<usize>, Refusal> {
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
            None if self.ended => Err(Refusal::bad("the client closed before the end of the content")),
            content => Ok(content),
        }
    }

    /// Looks for a whole head, and moves on to the content behind it.
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
            return match self.ended {
                true => Err(Refusal::bad("the client closed before the end of the head")),
                false => Ok(()),
            };
        }
        let framing = head.framing;
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

    /// The request that was read into the buffers; there is one only where there are buffers.
    fn request(&self, content: usize) -> Option<Request<'_>> {
        let buffers = self.buffers.as_ref()?;
        let (head, bytes) = (&buffers.head, buffers.arrived());
        let body = bytes.get(head.length..)?.get(..content)?;
        Some(Request { head, bytes, body, since: self.state_since })
    }

    /// Whether bytes of a request, or of a part of one, wait for [`Connection::step`].
    pub fn has_input(&self) -> bool {
        matches!(self.state, State::Head | State::Content(_))
    }

    /// The request that was given out and has no answer yet.
    pub fn unanswered(&self) -> Option<Request<'_>> {
        match self.state {
            State::Answering(Exchange::Request { content }) => self.request(content),
            _ => None,
        }
    }

    /// Queues the answer to the request or refusal that was given out. `date` is the moment it is made at.
    pub fn respond(&mut self, response: &Response, date: &Date, now: Instant) {
        let Some(reply) = self.begin_reply() else { return };
        let persistence = self.persistence(reply.keep_alive);
        let Some(output) = self.output(response.bytes_max(), now) else { return };
        response.write(output, date, persistence, reply.omits_content);
        self.end_reply(reply.keep_alive, reply.is_refusal, now);
    }

    /// Decides how the message that was given out is replied to, and drops it from the input. `None` where none was.
    fn begin_reply(&mut self) -> Option<Reply> {
        let State::Answering(exchange) = self.state else {
            debug_assert!(false, "an answer to nothing: {:?}", self.state);
            return None;
        };
        let (is_refusal, content) = match exchange {
            Exchange::Request { content } => (false, content),
            Exchange::Refusal => (true, 0),
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

    /// How a reply says what becomes of the connection.
    fn persistence(&self, keep_alive: bool) -> Persistence {
        match keep_alive {
            false => Persistence::Close,
            true => Persistence::KeepAlive { idle_seconds: self.limits.idle_time_max.as_secs() },
        }
    }

    /// The output, with room for `bytes_max` more. `None` where there is no memory for them; the connection has then
    /// ended.
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

    /// Goes on to the next message after a reply, or to the end of the connection.
    fn end_reply(&mut self, keep_alive: bool, is_refusal: bool, now: Instant) {
        let buffers = self.buffers.get_or_insert_default();
        let has_more = !buffers.arrived().is_empty();
        if keep_alive {
            self.scan = Scan::default();
            self.state_since = now;
            self.enter(if has_more { State::Head } else { State::Idle });
        } else {
            buffers.drop_input();
            self.enter(State::Closing { lingers: (is_refusal || has_more) && !self.ended });
        }
    }

    /// The bytes to send next.
    pub fn outgoing(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| buffers.outgoing())
    }

    /// Takes note that `count` of the outgoing bytes were sent `now`.
    pub fn sent(&mut self, count: usize, now: Instant) {
        self.sent_since = now;
        let is_all = self.buffers.as_mut().is_none_or(|buffers| buffers.sent(count));
        if is_all && self.is_idle() {
            self.state_since = now;
        }
    }

    /// Takes note that the sending side was shut down `now`.
    pub fn shut(&mut self, now: Instant) {
        self.enter(State::Lingering { bytes_left: self.limits.linger_bytes_max });
        self.state_since = now;
    }

    /// What the driver is to do, once [`Connection::step`] has given [`Event::Nothing`].
    pub fn wants(&self) -> Want {
        match self.state {
            State::Closed => Want::Close,
            _ if self.unsent() > 0 => Want::Write,
            State::Idle | State::Head | State::Lingering { .. } if self.ended => Want::Close,
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

    /// Whether no byte of a request is waiting.
    fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }
}
