//! Issued secrets, and when each of them expires.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The maximum number of valid secrets of one kind.
const SECRETS_MAX: usize = 1000;

pub struct Secrets {
    lifetime: Duration,
    expiries: HashMap<String, Instant>,
}

impl Secrets {
    pub fn new(lifetime: Duration) -> Secrets {
        Secrets {
            lifetime,
            expiries: HashMap::new(),
        }
    }

    /// A new secret of 128 random bits, in 32 characters. `None`: there are too many already, or
    /// the system has no random bytes.
    pub fn issue(&mut self) -> Option<String> {
        let now = Instant::now();
        self.expiries.retain(|_, expiry| *expiry > now);
        if self.expiries.len() == SECRETS_MAX {
            return None;
        }
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        let secret = format!("{:032x}", u128::from_be_bytes(bytes));
        self.expiries.insert(secret.clone(), now + self.lifetime);
        Some(secret)
    }

    /// Whether `secret` was issued and has not expired.
    pub fn is_valid(&self, secret: &str) -> bool {
        let expiry = self.expiries.get(secret);
        expiry.is_some_and(|expiry| *expiry > Instant::now())
    }

    /// The same; from now on it is not.
    pub fn spend(&mut self, secret: &str) -> bool {
        let is_valid = self.is_valid(secret);
        self.expiries.remove(secret);
        is_valid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_spent_once() {
        let mut secrets = Secrets::new(Duration::from_secs(60));
        let secret = secrets.issue().expect("there is room");
        assert!(secrets.is_valid(&secret));
        assert!(secrets.spend(&secret));
        assert!(!secrets.spend(&secret));
        assert!(!secrets.is_valid(&secret));
    }

    #[test]
    fn a_secret_expires() {
        let mut secrets = Secrets::new(Duration::ZERO);
        let secret = secrets.issue().expect("there is room");
        assert!(!secrets.is_valid(&secret));
        assert!(!secrets.spend(&secret));
    }

    #[test]
    fn there_is_a_bound_and_expired_secrets_do_not_count() {
        let mut secrets = Secrets::new(Duration::from_secs(60));
        for _ in 0..SECRETS_MAX {
            assert!(secrets.issue().is_some());
        }
        assert!(secrets.issue().is_none());
        secrets
            .expiries
            .values_mut()
            .for_each(|expiry| *expiry = Instant::now());
        assert!(secrets.issue().is_some());
    }
}
