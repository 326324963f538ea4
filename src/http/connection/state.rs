//! The states of a connection, and the transitions between them.
//!
//! [`RULES`] lists all transitions. Each goes through `Connection::enter`, which checks it against the table where
//! debug assertions are on, and so in every test. Tests below show that no rule is superfluous, and that the drawings
//! in `http/mod.rs` and `docs/4-http.md` agree with the table.

use crate::http::framing::Framing;
use crate::http::refusal::Refusal;
use crate::http::stream::StreamFraming;

/// The state of a connection, with its data. The tag has a byte of its own and is not folded into the data, since it is
/// read a dozen times per request.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum State {
    /// Between requests. No byte of the next one has arrived.
    Idle,
    /// Reading a head.
    Head,
    /// Reading the content of a request.
    Content(Framing),
    /// A request was refused, and the driver has not been told yet.
    Refusing(Refusal),
    /// The driver has the request or refusal, and has not responded yet.
    Answering(Unanswered),
    /// The head of a response without an end is queued, and its content follows in pieces.
    Streaming { framing: StreamFraming, keep_alive: bool },
    /// The last response is queued. `lingers` is set where the client may still be sending: closing at once would make
    /// the kernel send a reset, which can destroy the response before the client has read it.
    Closing { lingers: bool },
    /// Everything is sent and the sending side is shut down. Input is discarded, up to this many bytes.
    Lingering { bytes_left: usize },
    /// Over; the driver must close the socket.
    Closed,
}

/// What the driver has to respond to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unanswered {
    /// A request with this many bytes of content.
    Request { content: usize },
    /// A refusal, after which the connection ends.
    Refusal,
}

/// A state without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Idle,
    Head,
    Content,
    Refusing,
    Answering,
    Streaming,
    Closing,
    Lingering,
    Closed,
}

/// The transitions: from, to, and when. In addition, every phase leads to `Closed` when the client does not read its
/// output, and when there is no memory.
pub(super) const RULES: &[(Phase, Phase, &str)] = &[
    (Phase::Idle, Phase::Head, "the first byte arrives"),
    (Phase::Idle, Phase::Closed, "idle for too long"),
    (Phase::Head, Phase::Idle, "only empty lines arrived"),
    (Phase::Head, Phase::Content, "the head is complete"),
    (Phase::Head, Phase::Refusing, "malformed, too long or too slow"),
    (Phase::Content, Phase::Answering, "the request is complete"),
    (Phase::Content, Phase::Refusing, "malformed, too long or too slow"),
    (Phase::Refusing, Phase::Answering, "the driver takes the refusal"),
    (Phase::Answering, Phase::Idle, "answered"),
    (Phase::Answering, Phase::Head, "answered, and more input is there"),
    (Phase::Answering, Phase::Closing, "answered for the last time"),
    (Phase::Answering, Phase::Streaming, "a response without an end begins"),
    (Phase::Streaming, Phase::Idle, "the stream ends"),
    (Phase::Streaming, Phase::Head, "the stream ends, and more input is there"),
    (Phase::Streaming, Phase::Closing, "the last stream ends, or one breaks off"),
    (Phase::Closing, Phase::Lingering, "all is sent, and the client may still be sending"),
    (Phase::Lingering, Phase::Closed, "time or bytes are used up"),
];

impl State {
    /// The state without its data.
    pub(super) fn phase(self) -> Phase {
        match self {
            State::Idle => Phase::Idle,
            State::Head => Phase::Head,
            State::Content(_) => Phase::Content,
            State::Refusing(_) => Phase::Refusing,
            State::Answering(_) => Phase::Answering,
            State::Streaming { .. } => Phase::Streaming,
            State::Closing { .. } => Phase::Closing,
            State::Lingering { .. } => Phase::Lingering,
            State::Closed => Phase::Closed,
        }
    }

    /// Whether the rules allow `next` after this state.
    pub(super) fn may_precede(self, next: State) -> bool {
        let (from, to) = (self.phase(), next.phase());
        #[cfg(test)]
        tests::SEEN.with_borrow_mut(|seen| seen.insert((from, to)));
        to == Phase::Closed || RULES.iter().any(|rule| (rule.0, rule.1) == (from, to))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::super::{Connection, Event, Want};
    use super::*;
    use crate::http::{Date, FieldLines, Limits, Response, Status};

    thread_local! {
        /// Which phase followed which on this thread.
        pub(super) static SEEN: RefCell<BTreeSet<(Phase, Phase)>> = const { RefCell::new(BTreeSet::new()) };
    }

    /// Gives a connection some bytes, answers every request, and sends what there is to send.
    fn converse(connection: &mut Connection, bytes: &[u8], now: Instant) {
        connection.receive(bytes, now);
        while !matches!(connection.next_event(now), Event::Nothing) {
            let response = Response::new(Status::Ok, FieldLines::NONE);
            connection.respond(&response, &Date::of_second(0), now);
        }
        connection.sent(connection.outgoing().len(), now);
    }

    #[test]
    fn every_rule_is_needed() {
        const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        const LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nmore";
        const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let begun = Instant::now();
        let late = begun + Duration::from_secs(3600);
        let open = || Connection::new(Arc::new(Limits::default()), begun);
        // Without a word, in the middle of a head, in the middle of the content, malformed, and malformed later.
        for bytes in [&b""[..], b"\r\n", b"GET", GET, POST, b"GET\r\n\r\n", &[POST, b"x"].concat()] {
            let mut connection = open();
            converse(&mut connection, bytes, begun);
            connection.expire(late);
            converse(&mut connection, b"", late);
        }
        for (bytes, is_whole) in [(GET.to_vec(), true), ([GET, GET].concat(), true), (GET.to_vec(), false)] {
            let mut connection = open();
            connection.receive(&bytes, begun);
            assert!(matches!(connection.next_event(begun), Event::Request(_)));
            connection.begin_stream(&Response::new(Status::Ok, FieldLines::NONE), &Date::of_second(0), begun);
            if is_whole { connection.end_stream(begun) } else { connection.break_stream(begun) }
        }
        let mut connection = open();
        converse(&mut connection, &[GET, GET, LAST].concat(), begun);
        assert_eq!(connection.wants(), Want::Shutdown);
        connection.shut(begun);
        connection.expire(late);
        assert_eq!(connection.wants(), Want::Close);
        let rules: BTreeSet<(Phase, Phase)> = RULES.iter().map(|(from, to, _)| (*from, *to)).collect();
        assert_eq!(rules.len(), RULES.len(), "no rule is there twice");
        SEEN.with_borrow(|seen| assert_eq!(*seen, rules));
    }

    /// Each line at the top of `http/mod.rs` is a way along the rules, and together they are all of them.
    #[test]
    fn the_ways_at_the_top_of_the_layer_are_this_table() {
        let lines = include_str!("../mod.rs").lines().filter(|line| line.contains(" ─▶ "));
        let mut drawn = BTreeSet::new();
        for line in lines {
            let (way, _) = line.split_once("   ").expect("three spaces end the way");
            let phases: Vec<&str> = way.trim_start_matches("//! ").split(" ─▶ ").collect();
            drawn.extend(phases.windows(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())));
        }
        let rules = RULES.iter().map(|(from, to, _)| (format!("{from:?}"), format!("{to:?}")));
        assert_eq!(drawn, rules.collect());
    }

    /// The fence of the chapter that begins with `stateDiagram-v2` has a line `From --> To: when` for each rule.
    #[test]
    fn the_drawing_in_the_chapter_is_this_table() {
        let chapter = include_str!("../../../docs/4-http.md");
        let (_, drawing) = chapter.split_once("```mermaid\nstateDiagram-v2\n").expect("a drawing");
        let (drawing, _) = drawing.split_once("```").expect("its end");
        let arrows: Vec<&str> = drawing.lines().map(str::trim).filter(|line| !line.contains("[*]")).collect();
        let rules: Vec<String> =
            RULES.iter().map(|(from, to, when)| format!("{from:?} --> {to:?}: {when}")).collect();
        assert_eq!(arrows, rules);
    }
}
