//! Streams: responses without an end, whose content comes from a source.
//!
//! An endpoint begins one with `context.stream(head, open)`. `head` is the response without its content, and `open`
//! makes the [`Source`] of the content. The event loop asks the source for content ([`Source::fill`]) only while all
//! earlier content has been sent. So a slow client slows its source down, and its pending content is bounded
//! (backpressure).
//!
//! A source that has nothing more for the moment returns [`Next::Wait`]. It is asked again when its [`Waker`] is
//! called, from any thread, or at the moment that it has named. It must give something at least every
//! [`SILENCE_MAX`], or its stream ends:
//!
//! ```text
//!   any thread ──wake──▶ mailbox ──▶ event loop ──fill──▶ source
//!                      the moment ──▶ event loop ──fill──▶ source
//! ```
//!
//! A source is dropped as soon as its stream is over, however it ends. Its waker has no effect any more, so a source
//! that has put its waker into a list should take it out when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::open_streams::Place;
use crate::http::Response;
use crate::store::{Caller, Mailbox, Ticket};

/// How long a source may give nothing. A client that loses power or its network closes nothing; the kernel notices
/// only when what is sent to it is not acknowledged. So a stream that sends nothing could keep its connection, and its
/// place among the open streams, for good.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The source of a stream's content.
///
/// It must give something at least every [`SILENCE_MAX`]; where it has no content, that is a keep-alive, such as a
/// comment in server-sent events. A source that waits is asked when its client has been sent nothing for that long. If
/// it gives nothing then, its stream breaks off.
pub trait Source: Send {
    /// Adds what it has to `content`, as far as there is room, and says what comes next. `now` is the time of this turn
    /// of the event loop, on which this is called: it must not block.
    fn fill(&mut self, content: &mut Content, now: Instant) -> Next;
}

/// What comes after the content that a source has added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more, to be asked for when there is room again.
    More,
    /// There is no more for now. The source is asked again when its waker is called, or at this moment.
    Wait {
        /// The moment. A later one than the end of [`SILENCE_MAX`] counts as that end.
        until: Instant,
    },
    /// The content is complete.
    End,
    /// The source has failed, for this reason. The client can tell that the content is incomplete, except in HTTP/1.0.
    Broken(&'static str),
}

/// Room for a piece of a stream's content.
pub struct Content<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl<'a> Content<'a> {
    /// Room for as many bytes as `bytes` has.
    pub fn new(bytes: &'a mut [u8]) -> Content<'a> {
        Content { bytes, length: 0 }
    }

    /// How many more bytes there is room for.
    pub fn room(&self) -> usize {
        self.bytes.len() - self.length
    }

    /// Adds as much of the front of `bytes` as there is room for. Returns how many bytes that are; the source keeps the
    /// rest for the next time.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        self.bytes[self.length..][..count].copy_from_slice(&bytes[..count]);
        self.length += count;
        count
    }

    /// How many bytes have been added.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing has been added.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// Makes the event loop ask a source for content, from any thread. A call costs a lock and at most one system call, and
/// next to nothing while the source has yet to be asked because of an earlier call.
#[derive(Clone)]
pub struct Waker(Arc<Notice>);

/// What a call of a waker puts into the mailbox of the stream's event loop.
struct Notice {
    mailbox: Arc<dyn Mailbox>,
    ticket: Ticket,
    /// It is in the mailbox, and the source has not been asked since. So a mailbox has at most one for each stream.
    is_pending: AtomicBool,
}

impl Waker {
    pub(super) fn new(caller: Caller) -> Waker {
        let (mailbox, ticket) = (Arc::clone(caller.mailbox), caller.ticket);
        Waker(Arc::new(Notice { mailbox, ticket, is_pending: AtomicBool::new(false) }))
    }

    /// Wakes the event loop. Make new content available to the source first.
    pub fn wake(&self) {
        let Notice { mailbox, ticket, is_pending } = &*self.0;
        if !is_pending.swap(true, Ordering::AcqRel) {
            mailbox.put_ready(*ticket);
            mailbox.wake();
        }
    }
}

/// A stream that an endpoint has begun: the head of the response, and the source of its content.
pub struct Stream {
    head: Response,
    source: Box<dyn Source>,
    waker: Waker,
    /// The identifier of the client, if an earlier step of the request has named one.
    client: Option<Arc<str>>,
    _place: Place,
}

impl Stream {
    pub(super) fn new(head: Response, source: Box<dyn Source>, waker: Waker, place: Place) -> Stream {
        Stream { head, source, waker, client: None, _place: place }
    }

    /// Names `client` in the log, unless it is named already.
    pub(super) fn set_client(&mut self, client: Option<Arc<str>>) {
        self.client = self.client.take().or(client);
    }

    /// The response without its content.
    pub fn head(&self) -> &Response {
        &self.head
    }

    /// The identifier of the client that sent the request, where it is known.
    pub fn client(&self) -> Option<&str> {
        self.head.client().or(self.client.as_deref())
    }

    /// Asks the source for content.
    pub fn fill(&mut self, content: &mut Content, now: Instant) -> Next {
        // Cleared first: for content that comes too late for this call, the waker puts another notice.
        self.waker.0.is_pending.swap(false, Ordering::AcqRel);
        self.source.fill(content, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_takes_what_there_is_room_for_and_no_more() {
        let mut bytes = [0; 8];
        let mut content = Content::new(&mut bytes);
        assert!(content.is_empty());
        assert_eq!((content.push(b"hello"), content.room()), (5, 3));
        assert_eq!((content.push(b""), content.push(b"world"), content.push(b"x")), (0, 3, 0));
        assert_eq!((content.len(), content.room()), (8, 0));
        assert_eq!(&bytes, b"hellowor");
    }
}
