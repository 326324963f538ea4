//! Whether the tokens of a grant reached its client, as far as a server can know.
//!
//! A redemption or rotation is stored before its response is sent. If the response is not sent (the store was too slow,
//! a write is not as durable as required, or the client disconnected), the client still has the old credential and
//! will present it again. Treating that as a replay would punish the client for our outage. So the transition is
//! *withdrawn*: the record notes that its last response was not delivered, and the old credential can be presented
//! again until it expires.
//!
//! A server can withdraw only its own transitions. Of several servers on one store, one may have stored a rotation and
//! lost its network before it could note that the response failed. So such a record names its [`Writer`], and before
//! another server decides that a request is a replay, it reads how far that writer has reported.

use super::super::kind::{Belief, Writer};

/// Whether the last response with tokens of a grant reached its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It was sent.
    Sent,
    /// It was not sent.
    Failed,
    /// Only its writer can tell.
    ReportedBy(Box<Writer>),
}

impl Delivery {
    /// The state when a transition is applied. It has a writer if several servers share the store.
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
