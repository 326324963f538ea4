//! A second kind of record, which lives in the tests: a counter that has a bound and expires. With the grant it makes
//! [`both`], so that stores are tried with records of which they cannot know anything.
//!
//! ```text
//!   (nothing) ──Start──▶ code: 0 ──Add, Take──▶ live: 1, 2, … ──End, Replayed──▶ mark
//! ```
//!
//! `Add` needs no proof and writes what another server may write, too. `Take` presents the current count and is given
//! the next: it delivers, so it is withdrawn when its answer fails, and a count that comes back ends the counter.

use std::time::Duration;

use oauth_from_scratch::oauth::kind::{self, Belief, Change, KindInfo, Writer};
use oauth_from_scratch::oauth::{Holder, Id, Key, Kind, Stage, Timestamp};

/// How far a counter counts.
pub const COUNT_MAX: u64 = 1000;

/// The grant and the counter, as one.
pub mod both {
    oauth_from_scratch::kinds! {
        Grant(oauth_from_scratch::oauth::Transition => oauth_from_scratch::oauth::Outcome),
        Counter(super::Transition => super::Outcome),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    subject: String,
    count: u64,
    /// What the last `Take` presented, if nothing has changed since.
    taken: Option<u64>,
    delivery: Delivery,
    expires: Timestamp,
    kept_until: Timestamp,
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Sent,
    Failed,
    ReportedBy(Writer),
}

#[derive(Clone, Debug)]
pub struct Transition {
    id: Id,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    Start { subject: String, lifetime: Duration, kept_until: Option<Timestamp> },
    Add(u64),
    Take { presented: u64, writer: Option<Writer> },
    Read,
    End,
    Withdraw { presented: u64, writer: Option<Writer> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Started,
    Taken,
    /// It counts so far now.
    Count(u64),
    /// It would count too far. Nothing has changed.
    TooMuch,
    /// A count came back that was exchanged before. The counter is over.
    Replayed,
    Ended,
    Withdrawn,
    Unknown,
}

impl Transition {
    pub fn start(id: Id, subject: &str, lifetime: Duration, kept_until: Option<Timestamp>) -> Transition {
        Transition { id, action: Action::Start { subject: subject.to_owned(), lifetime, kept_until } }
    }

    pub fn add(id: Id, count: u64) -> Transition {
        Transition { id, action: Action::Add(count) }
    }

    pub fn take(id: Id, presented: u64) -> Transition {
        Transition { id, action: Action::Take { presented, writer: None } }
    }

    pub fn read(id: Id) -> Transition {
        Transition { id, action: Action::Read }
    }

    pub fn end(id: Id) -> Transition {
        Transition { id, action: Action::End }
    }
}

impl Delivery {
    fn by(writer: Option<Writer>) -> Delivery {
        writer.map_or(Delivery::Sent, Delivery::ReportedBy)
    }

    fn has_failed(self, belief: Belief) -> bool {
        match self {
            Delivery::Sent => false,
            Delivery::Failed => true,
            Delivery::ReportedBy(_) => belief == Belief::Failed,
        }
    }
}

impl Counter {
    fn over(&self) -> Counter {
        Counter { is_over: true, taken: None, delivery: Delivery::Sent, ..self.clone() }
    }

    fn end(&self, now: Timestamp) -> Change<Counter> {
        if self.kept_until > now { Change::Put(self.over()) } else { Change::Forget }
    }

    fn take(
        &self,
        presented: u64,
        writer: Option<Writer>,
        now: Timestamp,
        belief: Belief,
    ) -> (Change<Counter>, Outcome) {
        let delivery = Delivery::by(writer);
        if presented == self.count && self.count < COUNT_MAX {
            let (count, taken) = (self.count + 1, Some(presented));
            return (Change::Put(Counter { count, taken, delivery, ..self.clone() }), Outcome::Count(count));
        }
        match self.taken {
            Some(taken) if taken == presented && self.delivery.has_failed(belief) => {
                (Change::Put(Counter { delivery, ..self.clone() }), Outcome::Count(self.count))
            }
            Some(taken) if taken == presented => (self.end(now), Outcome::Replayed),
            _ => (Change::Keep, Outcome::Unknown),
        }
    }
}

impl kind::Record for Counter {
    fn expires(&self) -> Timestamp {
        if self.is_over { self.kept_until } else { self.expires.max(self.kept_until) }
    }

    fn holder(&self) -> Holder<'_> {
        Holder { client: "", subject: Some(&self.subject) }
    }

    fn stage(&self) -> Stage {
        match (self.is_over, self.count) {
            (true, _) => Stage::Mark,
            (false, 0) => Stage::Code,
            (false, _) => Stage::Live,
        }
    }

    fn kept_until(&self) -> Timestamp {
        self.kept_until
    }

    fn make_room(&self, now: Timestamp) -> Change<Counter> {
        if self.is_over { Change::Forget } else { self.end(now) }
    }

    fn mark(&self, kept_until: Timestamp) -> Counter {
        Counter { kept_until: self.expires().max(kept_until), ..self.over() }
    }

    fn encode(&self) -> Vec<u8> {
        let delivery = match self.delivery {
            Delivery::Sent => "sent".to_owned(),
            Delivery::Failed => "failed".to_owned(),
            Delivery::ReportedBy(Writer { server, serial }) => format!("{server},{serial}"),
        };
        let taken = self.taken.map_or(String::new(), |taken| taken.to_string());
        let (expires, kept_until) = (self.expires.as_milliseconds(), self.kept_until.as_milliseconds());
        let Counter { subject, count, is_over, .. } = self;
        format!("{subject} {count} {taken} {delivery} {expires} {kept_until} {is_over}").into_bytes()
    }

    fn decode(kind: Kind, bytes: &[u8]) -> Option<Counter> {
        assert_eq!(kind, Kind::new(0), "it is the only one of its own kinds");
        let words: Vec<&str> = std::str::from_utf8(bytes).ok()?.split(' ').collect();
        let [subject, count, taken, delivery, expires, kept_until, is_over] = words[..] else { return None };
        let delivery = match (delivery, delivery.split_once(',')) {
            ("sent", _) => Delivery::Sent,
            ("failed", _) => Delivery::Failed,
            (_, Some((server, serial))) => {
                Delivery::ReportedBy(Writer { server: server.parse().ok()?, serial: serial.parse().ok()? })
            }
            _ => return None,
        };
        Some(Counter {
            subject: subject.to_owned(),
            count: count.parse().ok()?,
            taken: if taken.is_empty() { None } else { Some(taken.parse().ok()?) },
            delivery,
            expires: Timestamp::from_milliseconds(expires.parse().ok()?),
            kept_until: Timestamp::from_milliseconds(kept_until.parse().ok()?),
            is_over: is_over.parse().ok()?,
        })
    }
}

impl kind::Transition for Transition {
    type Record = Counter;
    type Outcome = Outcome;

    const KINDS: &'static [KindInfo] = &[KindInfo { name: "counter", is_repeatable: false }];

    fn key(&self) -> Key {
        Key { kind: Kind::new(0), id: self.id }
    }

    fn look(&self, record: Option<&Counter>, now: Timestamp) -> Option<Outcome> {
        self.is_read_only().then(|| self.apply(record, now).1)
    }

    fn apply_believing(
        &self,
        record: Option<&Counter>,
        now: Timestamp,
        belief: Belief,
    ) -> (Change<Counter>, Outcome) {
        let live = record.filter(|counter| !counter.is_over && now < counter.expires);
        match (&self.action, live) {
            (Action::Start { subject, lifetime, kept_until }, _) if record.is_none() => {
                let counter = Counter {
                    subject: subject.clone(),
                    count: 0,
                    taken: None,
                    delivery: Delivery::Sent,
                    expires: now.after(*lifetime),
                    kept_until: kept_until.unwrap_or(now),
                    is_over: false,
                };
                (Change::Put(counter), Outcome::Started)
            }
            (Action::Start { .. }, _) => (Change::Keep, Outcome::Taken),
            (_, None) => (Change::Keep, Outcome::Unknown),
            (Action::Read, Some(counter)) => (Change::Keep, Outcome::Count(counter.count)),
            (Action::Add(more), Some(counter)) if counter.count + more > COUNT_MAX => {
                (Change::Keep, Outcome::TooMuch)
            }
            (Action::Add(more), Some(counter)) => {
                let count = counter.count + more;
                (Change::Put(Counter { count, taken: None, ..counter.clone() }), Outcome::Count(count))
            }
            (Action::Take { presented, writer }, Some(counter)) => {
                counter.take(*presented, *writer, now, belief)
            }
            (Action::End, Some(counter)) => (counter.end(now), Outcome::Ended),
            (Action::Withdraw { presented, writer }, Some(counter))
                if counter.taken == Some(*presented) && counter.delivery == Delivery::by(*writer) =>
            {
                let counter = Counter { delivery: Delivery::Failed, ..counter.clone() };
                (Change::Put(counter), Outcome::Withdrawn)
            }
            (Action::Withdraw { .. }, Some(_)) => (Change::Keep, Outcome::Unknown),
        }
    }

    fn is_read_only(&self) -> bool {
        matches!(self.action, Action::Read)
    }

    fn new_record(&self) -> Option<(Holder<'_>, Stage)> {
        match &self.action {
            Action::Start { subject, .. } => Some((Holder { client: "", subject: Some(subject) }, Stage::Code)),
            _ => None,
        }
    }

    fn taken(&self) -> Outcome {
        Outcome::Taken
    }

    fn restates(&self, _: &Outcome) -> bool {
        matches!(self.action, Action::End)
    }

    fn delivers(&self) -> bool {
        matches!(self.action, Action::Take { .. })
    }

    fn withdrawal(&self) -> Option<Transition> {
        match self.action {
            Action::Take { presented, writer } | Action::Withdraw { presented, writer } => {
                Some(Transition { id: self.id, action: Action::Withdraw { presented, writer } })
            }
            _ => None,
        }
    }

    fn is_withdrawal(&self) -> bool {
        matches!(self.action, Action::Withdraw { .. })
    }

    fn set_writer(&mut self, writer: Writer) {
        if let Action::Take { writer: own, .. } = &mut self.action {
            *own = Some(writer);
        }
    }

    fn doubt(&self, record: Option<&Counter>, now: Timestamp) -> Option<Writer> {
        let Delivery::ReportedBy(writer) = record?.delivery else { return None };
        let is_replay = |belief| self.apply_believing(record, now, belief).1 == Outcome::Replayed;
        (is_replay(Belief::Sent) && !is_replay(Belief::Failed)).then_some(writer)
    }
}
