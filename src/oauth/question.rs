//! The dialog's question to the resource owner, sealed into its form.
//!
//! The form carries the whole authorization request back to the server, with its expiry, the identifier of the grant
//! that consent will create, and a message authentication code (MAC) over all of it and over the browser's session. So
//! the server stores nothing for an unanswered dialog. A form that was modified, was shown to another browser, or has
//! expired is refused. A form works once, because a grant with its identifier is created only once.
//!
//! A sealed form begins with the identifier of its key. A new key can take over while forms of the old one are open,
//! and a form of an unknown key is refused before anything is computed.
//!
//! The code is derived from the sealed form and the session. So submitting the same form from the same browser again
//! gives the same code and redirect. The code cannot be derived without the session, which no store and no page holds.
//!
//! The request is carried as its original query and checked again when the answer comes: `state` is percent-encoded in
//! it, so any bytes survive and no browser alters them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::client_document::Fingerprint;
use super::credential::{Credential, GrantId, SECRET_BYTES};
use super::timestamp::Timestamp;
use crate::crypto::hash::DIGEST_BYTES;
use crate::crypto::keyring::{KEY_ID_BYTES, KEY_ID_CHARS, KeyId, Keyring, Purpose, SealingKey};
use crate::crypto::seal::SEAL_BYTES;

/// A question to the resource owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The identifier of the grant that consent creates.
    pub grant: GrantId,
    /// The latest time for an answer. It is sealed, so that a later change of the lifetime cannot make a form valid
    /// again after the store has forgotten its answer.
    pub expires: Timestamp,
    /// What the dialog said of the client, if that was a document's; the answer is about this and nothing else.
    pub document: Option<Fingerprint>,
    /// The query of the authorization request.
    pub query: String,
}

/// A question opened for the browser that it was shown to.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The question.
    pub question: Question,
    /// The code that consent issues: the same for every submission.
    pub code: Credential,
}

/// Why a sealed question does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It was not sealed by this server for this browser.
    Forged,
    /// It names a key that is not known, and may have been sealed with one that is new or was lost.
    UnknownKey,
    /// It has expired.
    Stale,
}

const TIME_BYTES: usize = 8;
const GRANT_BYTES: usize = 20;

/// Before the fingerprint of a document. No query begins with it.
const DOCUMENT_MARK: u8 = 0;

impl Question {
    /// Seals the question with the current key, for the browser with this `session`, as base64url.
    pub fn seal(&self, keys: &Keyring, session: &str) -> String {
        const CONTENT: usize = KEY_ID_BYTES + SEAL_BYTES;
        let key = keys.current();
        let mut bytes = Vec::with_capacity(CONTENT + TIME_BYTES + GRANT_BYTES + self.query.len());
        bytes.extend_from_slice(key.id().as_bytes());
        bytes.extend_from_slice(&[0; SEAL_BYTES]);
        bytes.extend_from_slice(&self.expires.as_milliseconds().to_be_bytes());
        bytes.extend_from_slice(self.grant.as_bytes());
        if let Some(document) = &self.document {
            bytes.push(DOCUMENT_MARK);
            bytes.extend_from_slice(document);
        }
        bytes.extend_from_slice(self.query.as_bytes());
        let seal = key.seal(Purpose::Form, session, &bytes[CONTENT..]);
        bytes[KEY_ID_BYTES..CONTENT].copy_from_slice(&seal);
        URL_SAFE_NO_PAD.encode(&bytes)
    }

    /// Opens what [`Question::seal`] made for one of `sessions`, until it expires.
    ///
    /// # Errors
    /// If it was not sealed by this server for one of these sessions, or has expired.
    pub fn open(sealed: &str, keys: &Keyring, sessions: &[&str], now: Timestamp) -> Result<Opened, Unopened> {
        let (id, rest) = split(sealed).ok_or(Unopened::Forged)?;
        let key = keys.find(id).ok_or(Unopened::UnknownKey)?;
        let bytes = decode(rest).ok_or(Unopened::Forged)?;
        let (seal, content) = bytes.split_first_chunk::<SEAL_BYTES>().ok_or(Unopened::Forged)?;
        let session = *sessions
            .iter()
            .find(|session| key.opens(Purpose::Form, session, content, seal))
            .ok_or(Unopened::Forged)?;
        let question = Question::read(content).ok_or(Unopened::Forged)?;
        if question.expires > now {
            let code = Credential::of_grant(question.grant, derive_secret(key, session, seal));
            Ok(Opened { question, code })
        } else {
            Err(Unopened::Stale)
        }
    }

    /// Reads the question in a form without verifying it. Use it only to show the dialog again, which checks the
    /// request like any other.
    pub fn claimed(sealed: &str) -> Option<Question> {
        let (_, rest) = split(sealed)?;
        let bytes = decode(rest)?;
        let (_, content) = bytes.split_first_chunk::<SEAL_BYTES>()?;
        // The query of a request is visible ASCII.
        Question::read(content).filter(|question| question.query.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    /// The time until which a store must keep a mark of the grant. Later than the last answer, because workers read
    /// their clocks at different times, and servers have different clocks.
    pub fn kept_until(&self) -> Timestamp {
        const LONGER: Duration = Duration::from_secs(1);
        self.expires.after(LONGER)
    }

    fn read(content: &[u8]) -> Option<Question> {
        let (time, rest) = content.split_first_chunk::<TIME_BYTES>()?;
        let (grant, rest) = rest.split_first_chunk::<GRANT_BYTES>()?;
        let (document, query) = match rest {
            [DOCUMENT_MARK, rest @ ..] => {
                let (document, query) = rest.split_first_chunk::<DIGEST_BYTES>()?;
                (Some(*document), query)
            }
            query => (None, query),
        };
        Some(Question {
            document,
            grant: GrantId::parse(grant)?,
            expires: Timestamp::from_milliseconds(u64::from_be_bytes(*time)),
            query: String::from_utf8(query.to_vec()).ok()?,
        })
    }
}

/// The identifier of the key, and the rest of a sealed question.
fn split(sealed: &str) -> Option<(KeyId, &str)> {
    let (id, rest) = sealed.split_at_checked(KEY_ID_CHARS)?;
    Some((KeyId::parse(id)?, rest))
}

fn decode(sealed: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(sealed).ok()
}

/// Derives the secret of the code that the form with the seal `form` issues, from the key and the browser's session.
fn derive_secret(key: &SealingKey, session: &str, form: &[u8; SEAL_BYTES]) -> [u8; SECRET_BYTES] {
    let mut secret = [0; SECRET_BYTES];
    // The MAC has 32 bytes, one fewer than a secret; the last byte stays 0.
    secret[..SEAL_BYTES].copy_from_slice(&key.seal(Purpose::Code, session, form));
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            grant: GrantId::new([7; 15]),
            expires: Timestamp::from_milliseconds(601_000),
            document: None,
            query: "client_id=x&state=%00%FF%22".to_owned(),
        }
    }

    fn key() -> Keyring {
        Keyring::new(&[1; 32])
    }

    #[test]
    fn a_sealed_question_opens_only_for_the_browser_that_saw_it() {
        let sealed = question().seal(&key(), "session");
        let open = |sealed: &str, key: &Keyring, session: &str, now: u64| {
            Question::open(sealed, key, &[session], Timestamp::from_milliseconds(now))
                .map(|opened| opened.question)
        };
        assert_eq!(open(&sealed, &key(), "session", 1000), Ok(question()));
        assert_eq!(open(&sealed, &key(), "session", 600_999), Ok(question()));
        assert_eq!(open(&sealed, &key(), "session", 601_000), Err(Unopened::Stale));
        assert_eq!(open(&sealed, &key(), "sessio", 1000), Err(Unopened::Forged));
        assert_eq!(open(&sealed, &key(), "", 1000), Err(Unopened::Forged));
        assert_eq!(open(&sealed, &Keyring::new(&[2; 32]), "session", 1000), Err(Unopened::UnknownKey));
        let (id, rest) = sealed.split_at(KEY_ID_CHARS);
        let spaced = format!("{id} {rest}");
        for text in
            ["", "x", "é", "ééééé", id, &sealed[..40], &format!("{sealed}A"), &format!("{sealed}="), &spaced]
        {
            assert_eq!(open(text, &key(), "session", 1000), Err(Unopened::Forged), "{text}");
        }
    }

    /// Session and question stand side by side under one code.
    #[test]
    fn no_end_of_a_session_is_the_beginning_of_a_question() {
        let bytes = URL_SAFE_NO_PAD.decode(question().seal(&key(), "session")).unwrap();
        let (code, content) = bytes.split_at(KEY_ID_BYTES + SEAL_BYTES);
        let shifted = URL_SAFE_NO_PAD.encode([code, &content[1..]].concat());
        let session = format!("session{}", char::from(content[0]));
        let opened = Question::open(&shifted, &key(), &[&session], Timestamp::from_milliseconds(1000));
        assert_eq!(opened.err(), Some(Unopened::Forged));
    }

    #[test]
    fn an_old_key_opens_what_it_sealed_and_seals_nothing() {
        let later = Keyring::new(&[2; 32]).with_old([&[3; 32], &[1; 32]]);
        let open = |sealed: &str, keys: &Keyring| {
            Question::open(sealed, keys, &["session"], Timestamp::from_milliseconds(1000))
                .map(|opened| opened.question)
        };
        assert_eq!(open(&question().seal(&key(), "session"), &later), Ok(question()));
        assert_eq!(open(&question().seal(&later, "session"), &key()), Err(Unopened::UnknownKey));
        assert_eq!(question().seal(&later, "session"), question().seal(&Keyring::new(&[2; 32]), "session"));
    }

    /// The identifier itself is not sealed, and need not be.
    #[test]
    fn a_form_does_not_open_under_the_name_of_another_key() {
        let both = Keyring::new(&[2; 32]).with_old([&[1; 32]]);
        let sealed = question().seal(&key(), "session");
        let renamed = format!("{}{}", both.current().id(), &sealed[KEY_ID_CHARS..]);
        let opened = Question::open(&renamed, &both, &["session"], Timestamp::from_milliseconds(1000));
        assert_eq!(opened.err(), Some(Unopened::Forged));
    }

    #[test]
    fn the_mark_of_an_answer_outlives_it_despite_clock_skew() {
        let unlike = Duration::from_millis(500);
        assert!(question().kept_until() > question().expires.after(unlike));
    }

    #[test]
    fn every_bit_of_a_sealed_question_counts() {
        let sealed = URL_SAFE_NO_PAD.decode(question().seal(&key(), "session")).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let text = URL_SAFE_NO_PAD.encode(&changed);
            let opened = Question::open(&text, &key(), &["session"], Timestamp::from_milliseconds(1000));
            let is_of_id = bit < 8 * KEY_ID_BYTES;
            let expected = if is_of_id { Unopened::UnknownKey } else { Unopened::Forged };
            assert_eq!(opened.err(), Some(expected), "bit {bit}");
        }
    }

    #[test]
    fn a_form_gives_one_code_and_any_other_form_another() {
        let moment = Timestamp::from_milliseconds(1000);
        let code = |question: &Question, keys: &Keyring, session: &str| {
            let sealed = question.seal(keys, session);
            let opened = Question::open(&sealed, keys, &["other", session], moment).expect("its own session");
            assert_eq!(&opened.question, question);
            assert_eq!(opened.code.grant(), question.grant);
            opened.code.encode()
        };
        let first = code(&question(), &key(), "session");
        assert_eq!(first, code(&question(), &key(), "session"));
        assert_ne!(first, code(&question(), &key(), "session2"));
        assert_ne!(first, code(&question(), &Keyring::new(&[2; 32]), "session"));
        let later = Question { expires: Timestamp::from_milliseconds(601_001), ..question() };
        let wider = Question { query: "client_id=x&scope=all".to_owned(), ..question() };
        assert_ne!(first, code(&later, &key(), "session"));
        assert_ne!(first, code(&wider, &key(), "session"));
        let documented = Question { document: Some([9; DIGEST_BYTES]), ..question() };
        assert_ne!(first, code(&documented, &key(), "session"));
        // The key that opens the form derives the code, so a new key changes no issued code.
        let sealed = question().seal(&key(), "session");
        let rotated = Keyring::new(&[2; 32]).with_old([&[1; 32]]);
        let opened = Question::open(&sealed, &rotated, &["session"], moment).expect("the old key opens it");
        assert_eq!(opened.code.encode(), first);
        // The key and the page without the session do not give the code.
        let keys = key();
        let derive = |session: &str| derive_secret(keys.current(), session, &[5; SEAL_BYTES]);
        assert_ne!(derive("session1"), derive("session2"));
        // The page does not contain the code.
        assert!(!sealed.contains(&first[20..]));
    }

    #[test]
    fn a_forms_claims_are_readable_without_a_key() {
        let sealed = question().seal(&key(), "session");
        assert_eq!(Question::claimed(&sealed), Some(question()));
        assert_eq!(Question::claimed("x"), None);
        for query in ["a b", "a\n", "é"] {
            let odd = Question { query: query.to_owned(), ..question() };
            assert_eq!(Question::claimed(&odd.seal(&key(), "session")), None, "{query:?}");
        }
    }
}
