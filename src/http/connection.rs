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
use std::time::{Duration, Instant};

use super::chunked::ChunkedDecoder;
use super::date::Date;
use super::framing::Framing;
use super::head::Head;
use super::head_end::Persistence;
use super::limits::Limits;
use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use super::scan::Scan;
use super::start_line::{Method, Status};

/// A buffer larger than this is given back to the system when it is empty, so that one large request does not
/// cost memory for as long as the buffer is kept.
const BUFFER_BYTES_KEPT: usize = 16 * 1024;

/// What a connection needs while there is a byte in it, and can do without between requests. A driver with
/// many connections keeps a few of these and lends them ([`Connection::lend`]).
#[derive(Default)]
pub struct Buffers {
    /// What has arrived.
    input: Vec<u8>,
    /// Answers on their way.
    output: Vec<u8>,
    head: Head,
    /// How far the content is decoded, if it is chunked.
    chunks: ChunkedDecoder,
}

impl Buffers {
    /// Decodes what has arrived of the chunked content that begins at `start`. Its length, once it is all there.
    fn decode(&mut self, start: usize, limits: &Limits) -> Result<Option<usize>, Refusal> {
        let Buffers { input, chunks, .. } = self;
        let has_ended = chunks.decode(&mut input[start..], limits)?;
        let slack = chunks.take_slack();
        input.drain(start + slack.start..start + slack.end);
        Ok(has_ended.then(|| chunks.content()))
    }
}

/// One connection's state, from the first byte to the last.
pub struct Connection {
    limits: Arc<Limits>,
    /// `None` when there is no byte in them; a connection that is given bytes then makes its own.
    buffers: Option<Box<Buffers>>,
    /// Where the message being read begins in the input; what stands before has been answered.
    start: usize,
    /// How many bytes of the output are gone.
    sent: usize,
    phase: Phase,
    scan: Scan,
    /// The client has closed its sending side; what it sent before is still answered.
    ended: bool,
    /// The server ends: the answer to the last request that is here is the last.
    is_finishing: bool,
    is_starved: bool,
    /// Requests that have been answered.
    requests: u32,
    /// When the phase's clock began to run, and when the client last took some of its answers.
    phase_since: Instant,
    sent_since: Instant,
}

/// It has a tag of its own and not one hidden among its contents, for it is looked at a dozen times a request.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Phase {
    /// Between requests, or within a head.
    Head,
    /// Within a request's content.
    Body(Framing),
    /// A request was refused, and the refusal has not been given out yet.
    Refusing(Refusal),
    /// A request or refusal has been given out and is not answered yet.
    Answering(Exchange),
    /// The last answer is on its way; `linger` says whether the client may still be sending.
    Closing { linger: bool },
    /// Everything is sent and the sending side is shut: what still comes, up to this many bytes, is read away.
    Lingering { bytes_left: usize },
    /// There is nothing left to do.
    Closed,
}

#[derive(Clone, Copy, Debug)]
enum Exchange {
    /// A request whose content has this many bytes.
    Request { content: usize },
    /// A refusal, after which the connection ends.
    Refusal,
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
            start: 0,
            sent: 0,
            phase: Phase::Head,
            scan: Scan::default(),
            ended: false,
            is_finishing: false,
            is_starved: false,
            requests: 0,
            phase_since: now,
            sent_since: now,
        }
    }

    /// A connection for which there is no room: whatever it asks for, this refusal is the answer.
    pub fn turned_away(limits: Arc<Limits>, refusal: Refusal, now: Instant) -> Connection {
        Connection { phase: Phase::Refusing(refusal), ..Connection::new(limits, now) }
    }

    /// Since when the connection has been between requests with nothing left to send, if it is.
    pub fn idle_since(&self) -> Option<Instant> {
        (self.is_idle() && self.unsent() == 0).then_some(self.phase_since)
    }

    /// The answer to the last request that has arrived is to be the last. (One that is idle has had its last;
    /// the driver closes it when nothing more is there to read.)
    pub fn finish(&mut self) {
        self.is_finishing = true;
    }

    /// Whether the connection ended because there was no memory for its bytes.
    pub fn is_starved(&self) -> bool {
        self.is_starved
    }

    /// There is no memory to go on with: the connection ends, and what it holds is free for the others.
    fn starve(&mut self) {
        self.is_starved = true;
        self.phase = Phase::Closed;
        self.buffers = None;
        (self.start, self.sent) = (0, 0);
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
        let is_over = matches!(self.phase, Phase::Lingering { .. } | Phase::Closed);
        if self.unsent() > 0 || !(self.is_idle() || is_over) {
            return None;
        }
        let mut buffers = self.buffers.take()?;
        // Empty lines before a request line may be left, which count for nothing.
        empty(&mut buffers.input);
        self.start = 0;
        Some(buffers)
    }

    /// How much memory the connection's buffers take, in bytes.
    pub fn buffered(&self) -> usize {
        let size = |buffers: &Buffers| buffers.input.capacity() + buffers.output.capacity();
        self.buffers.as_ref().map_or(0, |buffers| size_of::<Buffers>() + size(buffers))
    }

    /// Takes bytes that arrived `now`.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        match &mut self.phase {
            Phase::Closing { .. } | Phase::Closed => {}
            Phase::Lingering { bytes_left } => match bytes_left.checked_sub(bytes.len()) {
                Some(left) => *bytes_left = left,
                None => self.phase = Phase::Closed,
            },
            _ => {
                let input = &mut self.buffers.get_or_insert_default().input;
                if self.start > 0 {
                    input.drain(..self.start);
                    self.start = 0;
                }
                if input.is_empty() && matches!(self.phase, Phase::Head) {
                    self.phase_since = now;
                }
                if input.try_reserve(bytes.len()).is_err() {
                    return self.starve();
                }
                input.extend_from_slice(bytes);
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
                self.phase = Phase::Answering(Exchange::Request { content });
                self.request(content).map_or(Event::Nothing, Event::Request)
            }
            Err(refusal) => {
                self.phase = Phase::Answering(Exchange::Refusal);
                Event::Refused(refusal, self.request(0).filter(|request| request.head.has_target))
            }
        }
    }

    /// The length of the content, once a whole request is there.
    fn advance(&mut self, now: Instant) -> Result<Option<usize>, Refusal> {
        if let Phase::Refusing(refusal) = self.phase {
            return Err(refusal);
        }
        if matches!(self.phase, Phase::Head) {
            self.read_head(now)?;
        }
        let (Phase::Body(framing), Some(buffers)) = (self.phase, &mut self.buffers) else {
            return Ok(None);
        };
        let body_start = self.start + buffers.head.length;
        let content = match framing {
            Framing::Length(length) => (buffers.input.len() - body_start >= length).then_some(length),
            Framing::Chunked => buffers.decode(body_start, &self.limits)?,
        };
        match content {
            None if self.ended => Err(Refusal::bad("the client closed before the end of the content")),
            content => Ok(content),
        }
    }

    /// Looks for a whole head, and moves on to the content behind it.
    fn read_head(&mut self, now: Instant) -> Result<(), Refusal> {
        let Some(buffers) = &mut self.buffers else { return Ok(()) };
        let Buffers { input, output, head, chunks } = &mut **buffers;
        if self.start == input.len() {
            return Ok(());
        }
        self.start += self.scan.skip_empty_lines(&input[self.start..])?;
        let arrived = &mut input[self.start..];
        if !head.read(arrived, &mut self.scan, &self.limits)? {
            return match self.ended && !arrived.is_empty() {
                true => Err(Refusal::bad("the client closed before the end of the head")),
                false => Ok(()),
            };
        }
        let has_content = arrived.len() > head.length;
        if head.expects_continue && !has_content && head.framing != Framing::Length(0) {
            if output.is_empty() {
                self.sent_since = now;
            }
            output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.phase_since = now;
        if head.framing == Framing::Chunked {
            *chunks = ChunkedDecoder::default();
        }
        self.phase = Phase::Body(head.framing);
        Ok(())
    }

    /// The request that was read into the buffers; there is one only where there are buffers.
    fn request(&self, content: usize) -> Option<Request<'_>> {
        let Buffers { input, head, .. } = &**self.buffers.as_ref()?;
        let bytes = &input[self.start..];
        let body = bytes.get(head.length..)?.get(..content)?;
        Some(Request { head, bytes, body, since: self.phase_since })
    }

    /// Whether bytes of a request, or of a part of one, wait for [`Connection::step`].
    pub fn has_input(&self) -> bool {
        matches!(self.phase, Phase::Head | Phase::Body(_)) && !self.is_idle()
    }

    /// The request that was given out and has no answer yet.
    pub fn unanswered(&self) -> Option<Request<'_>> {
        match self.phase {
            Phase::Answering(Exchange::Request { content }) => self.request(content),
            _ => None,
        }
    }

    /// Queues the answer to the request or refusal that was given out. `date` is the moment it is made at.
    pub fn respond(&mut self, response: &Response, date: &Date, now: Instant) {
        let Phase::Answering(exchange) = self.phase else {
            debug_assert!(false, "an answer to nothing: {:?}", self.phase);
            return;
        };
        let (refused, content) = match exchange {
            Exchange::Request { content } => (false, content),
            Exchange::Refusal => (true, 0),
        };
        let Buffers { input, output, head, .. } = &mut **self.buffers.get_or_insert_default();
        let message_end = self.start + head.length + content;
        let has_more = input.len() > message_end;
        self.requests += 1;
        let is_last = self.requests >= self.limits.connection_requests_max || (self.is_finishing && !has_more);
        let keep_alive = head.keep_alive && !refused && !is_last;
        let persistence = match keep_alive {
            false => Persistence::Close,
            true => Persistence::KeepAlive { idle_seconds: self.limits.idle_time_max.as_secs() },
        };
        let omit_body = head.has_target && head.method == Method::Head;
        if output.is_empty() {
            self.sent_since = now;
        }
        if output.try_reserve(response.bytes_max()).is_err() {
            return self.starve();
        }
        response.write(output, date, persistence, omit_body);
        head.be_over();
        if keep_alive && has_more {
            self.start = message_end;
        } else {
            empty(input);
            self.start = 0;
        }
        match keep_alive {
            true => {
                self.scan = Scan::default();
                self.phase = Phase::Head;
                self.phase_since = now;
            }
            false => self.phase = Phase::Closing { linger: (refused || has_more) && !self.ended },
        }
    }

    /// The bytes to send next.
    pub fn outgoing(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| &buffers.output[self.sent..])
    }

    /// Takes note that `count` of the outgoing bytes were sent `now`.
    pub fn sent(&mut self, count: usize, now: Instant) {
        self.sent += count;
        self.sent_since = now;
        if self.unsent() == 0 {
            if let Some(buffers) = &mut self.buffers {
                empty(&mut buffers.output);
            }
            self.sent = 0;
            if self.is_idle() {
                self.phase_since = now;
            }
        }
    }

    /// Takes note that the sending side was shut down `now`.
    pub fn shut(&mut self, now: Instant) {
        self.phase = Phase::Lingering { bytes_left: self.limits.linger_bytes_max };
        self.phase_since = now;
    }

    /// What the driver is to do, once [`Connection::step`] has given [`Event::Nothing`].
    pub fn wants(&self) -> Want {
        match self.phase {
            Phase::Closed => Want::Close,
            _ if self.unsent() > 0 => Want::Write,
            Phase::Head | Phase::Lingering { .. } if self.ended => Want::Close,
            Phase::Head | Phase::Body(_) | Phase::Lingering { .. } => Want::Read,
            Phase::Refusing(_) | Phase::Answering(_) => Want::Answer,
            Phase::Closing { linger: true } => Want::Shutdown,
            Phase::Closing { linger: false } => Want::Close,
        }
    }

    /// When the driver is to call [`Connection::expire`], unless something happens before.
    pub fn deadline(&self) -> Option<Instant> {
        if self.unsent() > 0 {
            return Some(self.sent_since + self.limits.write_time_max);
        }
        let time_max = match self.phase {
            Phase::Head if self.is_idle() => self.limits.idle_time_max,
            Phase::Head => self.limits.head_time_max,
            Phase::Body(_) => self.body_time_max(),
            Phase::Lingering { .. } => self.limits.linger_time_max,
            Phase::Refusing(_) | Phase::Answering(_) | Phase::Closing { .. } | Phase::Closed => return None,
        };
        Some(self.phase_since + time_max)
    }

    /// Ends what has taken too long by `now`: with 408 where a request has begun and the client reads
    /// (RFC 9110, 15.5.9), else without a word. Does nothing before the deadline.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let too_slow = |reason| Phase::Refusing(Refusal::new(Status::RequestTimeout, reason));
        self.phase = match self.phase {
            _ if self.unsent() > 0 => Phase::Closed,
            Phase::Head if !self.is_idle() => too_slow("the request head took too long"),
            Phase::Body(_) => too_slow("the content came too slowly"),
            _ => Phase::Closed,
        };
    }

    /// How long the content may take, as far as it has come: so much in all, and no slower than a client that
    /// means to send it would. Bytes count once they are content; a chunk's size line is none.
    fn body_time_max(&self) -> Duration {
        let arrived = self
            .buffers
            .as_ref()
            .map_or(0, |buffers| buffers.input.len().saturating_sub(self.start + buffers.head.length));
        let limits = &self.limits;
        let earned = Duration::from_secs_f64(arrived as f64 / f64::from(limits.body_bytes_per_second_min));
        limits.body_time_max.min(limits.body_grace_time + earned)
    }

    fn unsent(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.output.len() - self.sent)
    }

    /// Whether no byte of a request is waiting.
    fn is_idle(&self) -> bool {
        let arrived = self.buffers.as_ref().map_or(0, |buffers| buffers.input.len());
        matches!(self.phase, Phase::Head) && self.start == arrived
    }
}

/// Empties a buffer, and lets its memory go if it is large.
fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > BUFFER_BYTES_KEPT {
        buffer.shrink_to(BUFFER_BYTES_KEPT);
    }
}
