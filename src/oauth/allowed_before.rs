//! What was allowed before in a browser, so that the dialog can show what is new when a client asks for more (step-up).
//!
//! The server stores nothing. The browser keeps a list of marks. A mark says that the resource owner has allowed one
//! scope to one client for one audience: it is a message authentication code (MAC) over these, the issuer and the
//! subject, under a key of its own purpose. So only this server can make a mark, and without the key a list says no
//! more than how many marks it has.
//!
//! The list changes words in the dialog and nothing else. It skips no dialog and grants nothing. What it lacks is shown
//! as new, or the dialog as it is for the first time. So whatever is lost (a list of an earlier key, the oldest marks
//! past the bound) is lost on the safe side.
//!
//! A list begins with the identifier of its key. One that is too long, is malformed, or names a key that is not known
//! here counts as none. A mark of another issuer, subject, client or audience matches nothing.

use base64ct::{Base64UrlUnpadded, Encoding};
use subtle::ConstantTimeEq;

use super::resource::Audience;
use super::scope::Scope;
use crate::crypto::keyring::{KEY_ID_CHARS, KeyId, Keyring, Purpose, SealingKey};

/// The maximum of marks in a list. Past it the oldest are dropped.
const MARKS_MAX: usize = 32;

/// The bytes of a mark: too many to guess, and in base64url without remainder.
const MARK_BYTES: usize = 12;

/// The same in base64url.
const MARK_CHARS: usize = 16;

/// The maximum length of a list.
pub const LIST_CHARS_MAX: usize = KEY_ID_CHARS + MARKS_MAX * MARK_CHARS;

/// What a resource owner allows a client, or is asked to.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    /// The issuer identifier of this server.
    pub issuer: &'a str,
    /// The resource owner.
    pub subject: &'a str,
    /// The client's identifier.
    pub client_id: &'a str,
    /// Where the client may use the tokens.
    pub audience: &'a Audience,
    /// What it may do there.
    pub scope: &'a Scope,
}

/// A MAC, cut short. It has no `==`, which would stop at the first difference.
#[derive(Clone, Copy)]
struct Mark([u8; MARK_BYTES]);

impl Mark {
    fn matches(&self, other: &Mark) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    fn is_in(&self, marks: &[Mark]) -> bool {
        marks.iter().any(|mark| self.matches(mark))
    }
}

impl Consent<'_> {
    /// The mark of each name of the scope, in their order.
    fn marks(&self, key: &SealingKey) -> Vec<Mark> {
        // An issuer has no space, and neither a scope's name nor a URI has a NUL. An empty URI ends the audience.
        let holder = [self.issuer, " ", self.subject].concat();
        let mut uris: Vec<&str> = self.audience.uris().map(|uri| &**uri).collect();
        uris.sort_unstable();
        let place = ["\0", &uris.join("\0"), "\0\0", self.client_id].concat();
        let mark = |name: &str| {
            let seal = key.seal(Purpose::AllowedBefore, &holder, [name, &place].concat().as_bytes());
            let mut mark = [0; MARK_BYTES];
            mark.copy_from_slice(&seal[..MARK_BYTES]);
            Mark(mark)
        };
        self.scope.names().map(mark).collect()
    }
}

/// For each name of the scope that is asked for, whether it is new, if `list` knows some of the names and lacks others.
/// `None` if it knows none or all: then there is nothing to tell apart.
pub fn new_scopes(list: &str, keys: &Keyring, asked: &Consent) -> Option<Vec<bool>> {
    let (key, known) = read(list, keys)?;
    let is_new: Vec<bool> = asked.marks(key).iter().map(|mark| !mark.is_in(&known)).collect();
    (is_new.contains(&true) && is_new.contains(&false)).then_some(is_new)
}

/// The list after the resource owner has allowed this, where it was `list` before, if there was one.
pub fn extend(list: Option<&str>, keys: &Keyring, allowed: &Consent) -> String {
    let key = keys.current();
    let new = allowed.marks(key);
    // Marks of an earlier key cannot be made with the current one, and a list has one key.
    let old = list.and_then(|list| read(list, keys)).filter(|(own, _)| own.id() == key.id());
    let old = old.map(|(_, marks)| marks).unwrap_or_default();
    let mut marks: Vec<Mark> = old.into_iter().filter(|mark| !mark.is_in(&new)).collect();
    marks.extend(new);
    let surplus = marks.len().saturating_sub(MARKS_MAX);
    let mut bytes = Vec::with_capacity(key.id().as_bytes().len() + marks.len() * MARK_BYTES);
    bytes.extend_from_slice(key.id().as_bytes());
    marks[surplus..].iter().for_each(|mark| bytes.extend_from_slice(&mark.0));
    Base64UrlUnpadded::encode_string(&bytes)
}

/// The key and the marks of `list`.
fn read<'k>(list: &str, keys: &'k Keyring) -> Option<(&'k SealingKey, Vec<Mark>)> {
    if list.len() > LIST_CHARS_MAX {
        return None;
    }
    let (id, marks) = list.split_at_checked(KEY_ID_CHARS)?;
    let key = keys.find(KeyId::parse(id)?)?;
    let bytes = Base64UrlUnpadded::decode_vec(marks).ok()?;
    let (marks, rest) = bytes.as_chunks::<MARK_BYTES>();
    rest.is_empty().then(|| (key, marks.iter().map(|mark| Mark(*mark)).collect()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Issuer, subject, client, audience and scope.
    type Words<'a> = [&'a str; 5];

    const ANSWER: Words = ["https://auth.example", "owner", "app", "https://one.example", "answer"];

    fn with<T>(words: Words, then: impl FnOnce(&Consent) -> T) -> T {
        let [issuer, subject, client_id, audience, scope] = words;
        let audience: Audience = audience.split_terminator(' ').map(Arc::from).collect();
        let scope = Scope::parse(scope).unwrap();
        then(&Consent { issuer, subject, client_id, audience: &audience, scope: &scope })
    }

    fn extended(list: Option<&str>, keys: &Keyring, words: Words) -> String {
        with(words, |consent| extend(list, keys, consent))
    }

    fn changed(place: usize, word: &'static str) -> Words<'static> {
        let mut words = ANSWER;
        words[place] = word;
        words
    }

    #[test]
    fn what_was_not_allowed_to_this_client_for_this_is_new() {
        let keys = Keyring::new(&[1; 32]);
        let list = extended(None, &keys, ANSWER);
        let check = |place: usize, word: &'static str, expected: Option<&[bool]>| {
            let mut words = changed(4, "answer question");
            words[place] = word;
            let found = with(words, |asked| new_scopes(&list, &keys, asked));
            assert_eq!(found.as_deref(), expected, "{words:?}");
        };
        check(4, "answer question", Some(&[false, true]));
        check(4, "question answer other", Some(&[true, false, true]));
        // Nothing to tell apart.
        check(4, "answer", None);
        check(4, "question other", None);
        check(4, "answe swer", None);
        // Not this issuer, subject, client or audience.
        check(0, "https://auth2.example", None);
        check(1, "owner2", None);
        check(2, "app2", None);
        check(3, "https://two.example", None);
        check(3, "https://one.example https://two.example", None);
        check(3, "", None);
    }

    #[test]
    fn the_order_of_resources_does_not_matter() {
        let keys = Keyring::new(&[1; 32]);
        let mut words = changed(3, "https://one.example https://two.example");
        let list = extended(None, &keys, words);
        (words[3], words[4]) = ("https://two.example https://one.example", "answer question");
        assert_eq!(with(words, |asked| new_scopes(&list, &keys, asked)), Some(vec![false, true]));
    }

    #[test]
    fn a_list_that_this_server_did_not_make_counts_as_none() {
        let keys = Keyring::new(&[1; 32]);
        let list = extended(None, &keys, ANSWER);
        let asked = changed(4, "answer question");
        let known = |list: &str, keys: &Keyring| with(asked, |asked| new_scopes(list, keys, asked)).is_some();
        assert!(known(&list, &keys));
        assert!(known(&list, &Keyring::new(&[2; 32]).with_old([&[1; 32]])), "an old key still opens");
        assert!(!known(&list, &Keyring::new(&[2; 32])), "an unknown key");
        let longest = format!("{list}{}", "A".repeat(LIST_CHARS_MAX - list.len()));
        assert!(known(&longest, &keys));
        for (index, _) in list.char_indices() {
            let other = if list.as_bytes()[index] == b'A' { "B" } else { "A" };
            let mut forged = list.clone();
            forged.replace_range(index..=index, other);
            assert!(!known(&forged, &keys), "{forged}");
        }
        let id = &list[..KEY_ID_CHARS];
        let others =
            [format!("{longest}{}", "A".repeat(MARK_CHARS)), format!("{list}AAAA"), format!("{list}=")];
        for text in ["", "é", "ééééééé", id, &list[..12]].into_iter().chain(others.iter().map(|text| &**text))
        {
            assert!(!known(text, &keys), "{text}");
        }
    }

    #[test]
    fn a_list_grows_to_its_bound_and_forgets_the_oldest() {
        let keys = Keyring::new(&[1; 32]);
        let mut list = extended(None, &keys, ANSWER);
        let length = list.len();
        list = extended(Some(&list), &keys, ANSWER);
        assert_eq!(list.len(), length, "what is allowed again is listed once");
        let known = |list: &str, scope: &'static str| {
            with(changed(4, scope), |asked| new_scopes(list, &keys, asked)) == Some(vec![false, true])
        };
        let names: Vec<String> = (0..MARKS_MAX - 1).map(|number| format!("other{number}")).collect();
        let many: &'static str = names.join(" ").leak();
        list = extended(Some(&list), &keys, changed(4, many));
        assert_eq!(list.len(), LIST_CHARS_MAX);
        assert!(known(&list, "answer new") && known(&list, "other0 new"));
        list = extended(Some(&list), &keys, changed(2, "app2"));
        assert_eq!(list.len(), LIST_CHARS_MAX);
        assert!(!known(&list, "answer new") && known(&list, "other0 new"));
        list = extended(Some(&list), &keys, changed(4, format!("{many} a b c").leak()));
        assert_eq!(list.len(), LIST_CHARS_MAX, "one consent may name more than a list has");
        assert!(!known(&list, "other0 new") && known(&list, "c new"));
    }

    #[test]
    fn a_list_of_an_earlier_key_ends_at_the_next_consent() {
        let old = Keyring::new(&[1; 32]);
        let keys = Keyring::new(&[2; 32]).with_old([&[1; 32]]);
        let list = extended(None, &old, ANSWER);
        let list = extended(Some(&list), &keys, changed(4, "question"));
        assert_eq!(list.len(), KEY_ID_CHARS + MARK_CHARS);
        assert_eq!(list, extended(Some("no list"), &keys, changed(4, "question")));
    }
}
