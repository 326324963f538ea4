//! The question that the dialog puts to the resource owner, sealed so that its answer is to this question.
//!
//! The dialog's form carries the whole authorization request back to the server, with the moment it expires,
//! the name of the grant that a yes will make, and a message authentication code over all of it and over the
//! browser's session. So the server keeps nothing for a dialog that nobody answers. A form that was changed,
//! that another browser was shown, or that is too old does not open. And it works once: a grant of its name is
//! made once.
//!
//! The request is carried as the query it came in, and is checked anew when the answer comes: `state` is in it
//! percent-encoded, whatever its bytes are, and no browser mends it on the way.

use std::fmt;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use subtle::ConstantTimeEq;

use super::secret::GrantId;
use super::sha256::hmac;
use super::timestamp::Timestamp;

/// The key that questions are sealed with, and those before it, which still open what they sealed.
#[derive(Clone, Eq)]
pub struct SealingKeys {
    current: [u8; 32],
    old: Vec<[u8; 32]>,
}

impl SealingKeys {
    /// A key out of random bytes, and none before it.
    pub fn new(random: [u8; 32]) -> SealingKeys {
        SealingKeys { current: random, old: Vec::new() }
    }

    /// The same with `old` keys beside it, which open and do not seal.
    pub fn with_old(self, old: impl IntoIterator<Item = [u8; 32]>) -> SealingKeys {
        SealingKeys { old: old.into_iter().collect(), ..self }
    }

    /// Whether both seal with the same key.
    pub fn seal_alike(&self, other: &SealingKeys) -> bool {
        self.current.ct_eq(&other.current).into()
    }
}

impl PartialEq for SealingKeys {
    fn eq(&self, other: &SealingKeys) -> bool {
        let are_alike =
            self.current.ct_eq(&other.current) & self.old.as_flattened().ct_eq(other.old.as_flattened());
        are_alike.into()
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKeys(…)")
    }
}

/// A question, as it was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name of the grant that a yes makes.
    pub grant: GrantId,
    /// Until when it may be answered. Sealed, so that a lifetime that changes meanwhile cannot open a form again
    /// whose answer the store has forgotten.
    pub expires: Timestamp,
    /// The query of the authorization request.
    pub query: String,
}

/// Why a sealed question does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It is not what was sealed here for this browser.
    Forged,
    /// It was, too long ago.
    Stale,
}

const CODE_BYTES: usize = 32;
const TIME_BYTES: usize = 8;
const GRANT_BYTES: usize = 20;

impl Question {
    /// The question for the browser with this `session`, as base64url.
    pub fn seal(&self, keys: &SealingKeys, session: &str) -> String {
        let mut bytes = Vec::with_capacity(CODE_BYTES + TIME_BYTES + GRANT_BYTES + self.query.len());
        bytes.extend_from_slice(&[0; CODE_BYTES]);
        bytes.extend_from_slice(&self.expires.as_milliseconds().to_be_bytes());
        bytes.extend_from_slice(self.grant.as_bytes());
        bytes.extend_from_slice(self.query.as_bytes());
        let code = authenticate(&keys.current, session, &bytes[CODE_BYTES..]);
        bytes[..CODE_BYTES].copy_from_slice(&code);
        Base64UrlUnpadded::encode_string(&bytes)
    }

    /// Opens what [`Question::seal`] made for `session`, until it expires.
    ///
    /// # Errors
    /// When it was not made here or for this session, or has expired.
    pub fn open(sealed: &str, keys: &SealingKeys, session: &str, now: Timestamp) -> Result<Question, Unopened> {
        let bytes = Base64UrlUnpadded::decode_vec(sealed).map_err(|_| Unopened::Forged)?;
        let (code, content) = bytes.split_first_chunk::<CODE_BYTES>().ok_or(Unopened::Forged)?;
        let opens = |key: &[u8; 32]| bool::from(authenticate(key, session, content).ct_eq(code));
        if !opens(&keys.current) && !keys.old.iter().any(opens) {
            return Err(Unopened::Forged);
        }
        let question = Question::read(content).ok_or(Unopened::Forged)?;
        match question.expires > now {
            true => Ok(question),
            false => Err(Unopened::Stale),
        }
    }

    /// Until when a store must know that there was a grant of this name. Longer than the question may be answered:
    /// two workers read their clocks at different moments, and two servers have different clocks.
    pub fn kept_until(&self) -> Timestamp {
        const LONGER: Duration = Duration::from_secs(1);
        self.expires.after(LONGER)
    }

    fn read(content: &[u8]) -> Option<Question> {
        let (time, rest) = content.split_first_chunk::<TIME_BYTES>()?;
        let (grant, query) = rest.split_first_chunk::<GRANT_BYTES>()?;
        Some(Question {
            grant: GrantId::parse(grant)?,
            expires: Timestamp::from_milliseconds(u64::from_be_bytes(*time)),
            query: String::from_utf8(query.to_vec()).ok()?,
        })
    }
}

fn authenticate(key: &[u8; 32], session: &str, content: &[u8]) -> [u8; CODE_BYTES] {
    // The length keeps the two apart: no end of a session is the beginning of a content.
    let length = (session.len() as u64).to_be_bytes();
    hmac(key, &[b"question", &length, session.as_bytes(), content])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            grant: GrantId::new([7; 15]),
            expires: Timestamp::from_milliseconds(601_000),
            query: "client_id=x&state=%00%FF%22".to_owned(),
        }
    }

    fn key() -> SealingKeys {
        SealingKeys::new([1; 32])
    }

    #[test]
    fn a_sealed_question_opens_for_the_browser_that_saw_it_and_for_no_other() {
        let sealed = question().seal(&key(), "session");
        let open = |sealed: &str, key: &SealingKeys, session: &str, now: u64| {
            Question::open(sealed, key, session, Timestamp::from_milliseconds(now))
        };
        assert_eq!(open(&sealed, &key(), "session", 1000), Ok(question()));
        assert_eq!(open(&sealed, &key(), "session", 600_999), Ok(question()));
        assert_eq!(open(&sealed, &key(), "session", 601_000), Err(Unopened::Stale));
        assert_eq!(open(&sealed, &key(), "sessio", 1000), Err(Unopened::Forged));
        assert_eq!(open(&sealed, &key(), "", 1000), Err(Unopened::Forged));
        assert_eq!(open(&sealed, &SealingKeys::new([2; 32]), "session", 1000), Err(Unopened::Forged));
        for text in ["", "x", "é", &sealed[..40], &format!("{sealed}A"), &format!("{sealed}="), &sealed[1..]] {
            assert_eq!(open(text, &key(), "session", 1000), Err(Unopened::Forged), "{text}");
        }
    }

    /// Session and question stand side by side under one code.
    #[test]
    fn no_end_of_a_session_is_the_beginning_of_a_question() {
        let bytes = Base64UrlUnpadded::decode_vec(&question().seal(&key(), "session")).unwrap();
        let (code, content) = bytes.split_at(CODE_BYTES);
        let shifted = Base64UrlUnpadded::encode_string(&[code, &content[1..]].concat());
        let session = format!("session{}", char::from(content[0]));
        let opened = Question::open(&shifted, &key(), &session, Timestamp::from_milliseconds(1000));
        assert_eq!(opened, Err(Unopened::Forged));
    }

    #[test]
    fn an_old_key_opens_what_it_sealed_and_seals_nothing() {
        let later = SealingKeys::new([2; 32]).with_old([[3; 32], [1; 32]]);
        let open = |sealed: &str, keys: &SealingKeys| {
            Question::open(sealed, keys, "session", Timestamp::from_milliseconds(1000))
        };
        assert_eq!(open(&question().seal(&key(), "session"), &later), Ok(question()));
        assert_eq!(open(&question().seal(&later, "session"), &key()), Err(Unopened::Forged));
        assert!(later.seal_alike(&SealingKeys::new([2; 32])) && !later.seal_alike(&key()));
    }

    #[test]
    fn the_mark_of_an_answered_question_outlives_it_by_more_than_clocks_differ() {
        let unlike = Duration::from_millis(500);
        assert!(question().kept_until() > question().expires.after(unlike));
    }

    #[test]
    fn every_bit_of_a_sealed_question_counts() {
        let sealed = Base64UrlUnpadded::decode_vec(&question().seal(&key(), "session")).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let text = Base64UrlUnpadded::encode_string(&changed);
            let opened = Question::open(&text, &key(), "session", Timestamp::from_milliseconds(1000));
            assert_eq!(opened, Err(Unopened::Forged), "bit {bit}");
        }
    }
}
