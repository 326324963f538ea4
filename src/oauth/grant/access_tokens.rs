//! The access tokens of one grant that may still be valid.
//!
//! Most grants only ever have one. It is stored inline: a separate allocation would cost time in each flow, and another
//! cache miss when the grant ends.

use super::super::resource::Audience;
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use crate::crypto::digest::Digest;

/// Maximum valid access tokens of one grant. Past it, the oldest is dropped.
pub const ACCESS_TOKENS_MAX: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct AccessToken {
    pub(super) digest: Digest,
    pub(super) scope: Scope,
    pub(super) audience: Audience,
    pub(super) issued: Timestamp,
    pub(super) expires: Timestamp,
}

/// At most [`ACCESS_TOKENS_MAX`] tokens, in the order of issue.
#[derive(Clone, Debug, Default)]
pub(super) struct AccessTokens {
    older: Vec<AccessToken>,
    newest: Option<AccessToken>,
}

impl AccessTokens {
    /// A list of one token.
    pub(super) fn one(token: AccessToken) -> AccessTokens {
        AccessTokens { older: Vec::new(), newest: Some(token) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &AccessToken> {
        self.older.iter().chain(&self.newest)
    }

    pub(super) fn len(&self) -> usize {
        self.older.len() + usize::from(self.newest.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a token that is issued `now`, removes those that have expired, and past the limit also the oldest.
    pub(super) fn add(&mut self, token: AccessToken, now: Timestamp) {
        self.retain(|old| old.expires > now);
        if self.len() == ACCESS_TOKENS_MAX {
            self.older.remove(0);
        }
        self.older.extend(self.newest.replace(token));
    }

    /// The same tokens and one more, which is issued `now`.
    pub(super) fn with(&self, token: AccessToken, now: Timestamp) -> AccessTokens {
        let mut tokens = self.clone();
        tokens.add(token, now);
        tokens
    }

    /// Removes the token with this digest, if there is one.
    pub(super) fn remove(&mut self, digest: &Digest) {
        self.retain(|token| !token.digest.matches(digest));
    }

    fn retain(&mut self, is_kept: impl Fn(&AccessToken) -> bool) {
        self.older.retain(&is_kept);
        if self.newest.as_ref().is_some_and(|token| !is_kept(token)) {
            self.newest = self.older.pop();
        }
    }
}

impl FromIterator<AccessToken> for AccessTokens {
    /// From tokens in the order of issue.
    fn from_iter<I: IntoIterator<Item = AccessToken>>(tokens: I) -> AccessTokens {
        let mut all = AccessTokens::default();
        for token in tokens {
            all.older.extend(all.newest.replace(token));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_milliseconds(1_000_000);

    fn token(number: u8, expires_in: u64) -> AccessToken {
        let expires = START.after(Duration::from_secs(expires_in));
        let (digest, scope) = (Digest::of(&[number]), Scope::default());
        AccessToken { digest, scope, audience: Audience::default(), issued: START, expires }
    }

    fn check(tokens: &AccessTokens, expected: &[u8]) {
        let digests: Vec<Digest> = tokens.iter().map(|token| token.digest).collect();
        let expected: Vec<Digest> = expected.iter().map(|number| Digest::of(&[*number])).collect();
        assert!(digests.iter().zip(&expected).all(|(one, other)| one.matches(other)), "their order");
        assert_eq!(
            (digests.len(), tokens.len(), tokens.is_empty()),
            (expected.len(), expected.len(), expected.is_empty())
        );
    }

    #[test]
    fn tokens_stay_in_order_whichever_is_removed() {
        for removed in 0..5 {
            let mut tokens: AccessTokens = (0..4).map(|number| token(number, 60)).collect();
            tokens.remove(&Digest::of(&[removed]));
            let mut left: Vec<u8> = (0..4).filter(|number| *number != removed).collect();
            check(&tokens, &left);
            tokens.add(token(9, 60), START);
            left.push(9);
            check(&tokens, &left);
        }
        let mut tokens = AccessTokens::one(token(1, 60));
        tokens.remove(&Digest::of(&[1]));
        check(&tokens, &[]);
    }

    #[test]
    fn a_new_token_replaces_the_expired_or_else_the_oldest() {
        let mut tokens: AccessTokens =
            [(1, 60), (2, 5), (3, 5)].map(|(number, time)| token(number, time)).into_iter().collect();
        tokens.add(token(4, 60), START.after(Duration::from_secs(5)));
        check(&tokens, &[1, 4]);
        let count = ACCESS_TOKENS_MAX as u8;
        let mut tokens: AccessTokens = (0..count).map(|number| token(number, 60)).collect();
        tokens.add(token(count, 60), START);
        check(&tokens, &(1..=count).collect::<Vec<u8>>());
    }
}
