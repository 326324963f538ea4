//! The grant, and what the three requests of the flow do to it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::secret::{Digest, GrantId};

/// A moment, in milliseconds since 1970 began; it means the same in another process and on another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment that a clock showed; one before 1970 counts as 1970.
    pub fn from_system_time(time: SystemTime) -> Timestamp {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(milliseconds(since))
    }

    /// The moment `later` after this one, or the last there is.
    pub fn after(self, later: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(milliseconds(later)))
    }
}

/// Whole milliseconds, without the 128 bits that std's own count of them takes.
fn milliseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1000).saturating_add(u64::from(time.subsec_millis()))
}

/// What a resource owner allowed a client, and how far the client has come in using it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Kept when the code is spent, so that its second use is known for what it is.
    code: Digest,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The code has been handed out.
    Issued { code_expires: Timestamp },
    /// The code has bought this token.
    Redeemed { token: Digest, token_expires: Timestamp },
}

impl Grant {
    /// From when on the grant is good for nothing and may be forgotten.
    pub fn expires(&self) -> Timestamp {
        match self.phase {
            Phase::Issued { code_expires } => code_expires,
            Phase::Redeemed { token_expires, .. } => token_expires,
        }
    }
}

/// One request's effect on one grant. Plain data: a store may queue it, batch it, and try it again.
#[derive(Clone, Debug)]
pub enum Transition {
    /// The resource owner said yes: a new grant, with this code.
    Grant {
        /// The new grant's name.
        grant: GrantId,
        /// The code's digest.
        code: Digest,
        /// How long the code is good.
        code_lifetime: Duration,
    },
    /// A client wants this token for this code.
    Redeem {
        /// The grant that the code names.
        grant: GrantId,
        /// The presented code's digest.
        code: Digest,
        /// The digest of the token to be handed out if the code is good.
        token: Digest,
        /// How long the token is good.
        token_lifetime: Duration,
    },
    /// A client shows this token.
    Check {
        /// The grant that the token names.
        grant: GrantId,
        /// The presented token's digest.
        token: Digest,
    },
}

/// What a transition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The grant stands, and its code may be handed out.
    Granted,
    /// There is a grant of that name already; with sound random numbers this never happens.
    Taken,
    /// The code was good and is spent; the token may be handed out.
    Redeemed,
    /// The code was spent before. The grant is revoked, and the token it bought with it (RFC 6749, 4.1.2).
    Replayed,
    /// The code was good once; its time is over.
    Expired,
    /// There is no such code.
    Unknown,
    /// The token is good.
    Active,
    /// It is not, whatever the reason.
    Inactive,
}

/// What a store is to do with the record.
#[derive(Clone, Debug)]
pub enum Change {
    /// Leave it as it is, or absent.
    Keep,
    /// Put this in its place.
    Put(Grant),
    /// Remove it.
    Forget,
}

impl Transition {
    /// The name of the one record that the transition concerns.
    pub fn grant(&self) -> GrantId {
        match self {
            Transition::Grant { grant, .. }
            | Transition::Redeem { grant, .. }
            | Transition::Check { grant, .. } => *grant,
        }
    }

    /// What becomes of `record`, the grant of that name if there is one, at the moment `now`; and what to
    /// tell whoever asked. A store applies this atomically: no other transition of the same grant comes
    /// between reading the record and changing it.
    pub fn apply(&self, record: Option<&Grant>, now: Timestamp) -> (Change, Outcome) {
        // A record that has expired is as good as none, but an expired code is told apart from no code.
        match self {
            Transition::Grant { code, code_lifetime, .. } => match record {
                Some(_) => (Change::Keep, Outcome::Taken),
                None => {
                    let phase = Phase::Issued { code_expires: now.after(*code_lifetime) };
                    (Change::Put(Grant { code: *code, phase }), Outcome::Granted)
                }
            },
            Transition::Redeem { code, token, token_lifetime, .. } => {
                redeem(record, code, token, now, now.after(*token_lifetime))
            }
            Transition::Check { token, .. } => (Change::Keep, check(record, token, now)),
        }
    }
}

fn redeem(
    record: Option<&Grant>,
    code: &Digest,
    token: &Digest,
    now: Timestamp,
    token_expires: Timestamp,
) -> (Change, Outcome) {
    // Whoever knows a grant's name without its code may change nothing, least of all revoke it.
    let Some(grant) = record.filter(|grant| grant.code.matches(code)) else {
        return (Change::Keep, Outcome::Unknown);
    };
    match grant.phase {
        _ if now >= grant.expires() => (Change::Forget, Outcome::Expired),
        Phase::Issued { .. } => {
            let phase = Phase::Redeemed { token: *token, token_expires };
            (Change::Put(Grant { code: grant.code, phase }), Outcome::Redeemed)
        }
        Phase::Redeemed { .. } => (Change::Forget, Outcome::Replayed),
    }
}

fn check(record: Option<&Grant>, presented: &Digest, now: Timestamp) -> Outcome {
    match record.map(|grant| &grant.phase) {
        Some(Phase::Redeemed { token, token_expires }) if token.matches(presented) && now < *token_expires => {
            Outcome::Active
        }
        _ => Outcome::Inactive,
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret::{CREDENTIAL_BYTES, Credential};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Timestamp = Timestamp(1_000_000);

    fn credential(byte: u8) -> Credential {
        Credential::of_new_grant([byte; CREDENTIAL_BYTES])
    }

    /// One record and the transitions of the flow on it.
    struct Flow {
        record: Option<Grant>,
        now: Timestamp,
    }

    impl Flow {
        fn new() -> Flow {
            Flow { record: None, now: START }
        }

        fn apply(&mut self, transition: Transition) -> Outcome {
            let (change, outcome) = transition.apply(self.record.as_ref(), self.now);
            match change {
                Change::Keep => {}
                Change::Put(grant) => self.record = Some(grant),
                Change::Forget => self.record = None,
            }
            outcome
        }

        fn grant(&mut self, code: u8) -> Outcome {
            let code = credential(code);
            self.apply(Transition::Grant {
                grant: code.grant(),
                code: code.digest(),
                code_lifetime: 60 * SECOND,
            })
        }

        fn redeem(&mut self, code: u8, token: u8) -> Outcome {
            let (code, token) = (credential(code), credential(token));
            self.apply(Transition::Redeem {
                grant: code.grant(),
                code: code.digest(),
                token: token.digest(),
                token_lifetime: 3600 * SECOND,
            })
        }

        fn check(&mut self, token: u8) -> Outcome {
            let token = credential(token);
            self.apply(Transition::Check { grant: token.grant(), token: token.digest() })
        }

        fn wait(&mut self, time: Duration) {
            self.now = self.now.after(time);
        }
    }

    #[test]
    fn a_code_buys_one_token_and_the_token_works() {
        let mut flow = Flow::new();
        assert_eq!(flow.grant(1), Outcome::Granted);
        assert_eq!(flow.check(1), Outcome::Inactive, "a code is no token");
        assert_eq!(flow.redeem(1, 2), Outcome::Redeemed);
        assert_eq!(flow.check(2), Outcome::Active);
        assert_eq!(flow.check(2), Outcome::Active);
        assert_eq!(flow.check(3), Outcome::Inactive, "another token of the same grant");
    }

    #[test]
    fn a_replayed_code_revokes_the_token_it_bought() {
        let mut flow = Flow::new();
        flow.grant(1);
        flow.redeem(1, 2);
        assert_eq!(flow.redeem(1, 3), Outcome::Replayed);
        assert_eq!(flow.check(2), Outcome::Inactive);
        assert_eq!(flow.check(3), Outcome::Inactive);
        assert_eq!(flow.redeem(1, 4), Outcome::Unknown);
    }

    #[test]
    fn a_wrong_code_changes_nothing() {
        let mut flow = Flow::new();
        flow.grant(1);
        assert_eq!(flow.redeem(9, 2), Outcome::Unknown);
        assert_eq!(flow.redeem(1, 2), Outcome::Redeemed, "the right one still works");
        assert_eq!(flow.redeem(9, 3), Outcome::Unknown);
        assert_eq!(flow.check(2), Outcome::Active, "and its token is not revoked by a wrong one");
    }

    #[test]
    fn a_code_works_until_the_last_millisecond_of_its_minute() {
        let mut flow = Flow::new();
        flow.grant(1);
        flow.wait(60 * SECOND - Duration::from_millis(1));
        assert_eq!(flow.redeem(1, 2), Outcome::Redeemed);

        let mut flow = Flow::new();
        flow.grant(1);
        flow.wait(60 * SECOND);
        assert_eq!(flow.redeem(1, 2), Outcome::Expired);
        assert!(flow.record.is_none());
    }

    #[test]
    fn a_token_ends_with_its_lifetime() {
        let mut flow = Flow::new();
        flow.grant(1);
        flow.redeem(1, 2);
        flow.wait(3600 * SECOND - Duration::from_millis(1));
        assert_eq!(flow.check(2), Outcome::Active);
        flow.wait(Duration::from_millis(1));
        assert_eq!(flow.check(2), Outcome::Inactive);
    }

    #[test]
    fn a_grant_never_takes_the_place_of_another() {
        let mut flow = Flow::new();
        flow.grant(1);
        assert_eq!(flow.grant(1), Outcome::Taken);
        assert_eq!(flow.redeem(1, 2), Outcome::Redeemed);
    }
}
