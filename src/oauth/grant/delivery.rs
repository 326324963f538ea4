//! Whether the tokens of a grant reached its client, as far as a server can know.
//!
//! A redemption or rotation is stored before its answer leaves. Where the answer does not leave (the store was
//! too slow, or a write is not as durable as required, or the client has gone), the client still has what it
//! presented, and will present it again. To take that for a replay would punish the client for an outage of
//! ours. So the transition is *withdrawn*: the record notes that its last answer was not delivered, and what was
//! presented can be presented again for as long as it lives.
//!
//! A server can withdraw only what it knows of. Of several servers on one store, one may have stored a rotation
//! and lost its network before it could note that the answer failed. So such a record names its [`Writer`], and
//! before another server judges a replay it finds out how far that writer has reported.

use super::super::kind::{Belief, Writer};

/// Whether the last answer with tokens of a grant reached its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It left the server.
    Sent,
    /// It did not.
    Failed,
    /// Its writer knows.
    ReportedBy(Box<Writer>),
}

impl Delivery {
    /// As it is known when a transition is applied, which has a writer where several servers share the store.
    pub(super) fn reported_by(writer: Option<&Writer>) -> Delivery {
        writer.map_or(Delivery::Sent, |writer| Delivery::ReportedBy(Box::new(*writer)))
    }

    pub(super) fn has_failed(&self, belief: Belief) -> bool {
        match self {
            Delivery::Sent => false,
            Delivery::Failed => true,
            Delivery::ReportedBy(_) => belief == Belief::Failed,
        }
    }
}
