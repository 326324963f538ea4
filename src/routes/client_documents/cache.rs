//! The documents that were read, for as long as they are fresh.
//!
//! Only valid documents are kept: no error, no invalid document (draft-ietf-oauth-client-id-metadata-document, 5.2). A
//! copy that is not fresh any more stays for a while, for the case that its host cannot be reached. That a fetch waits
//! for others is no such case: strangers can cause it.
//!
//! Documents come from strangers, so the cache is bounded in entries and bytes, and one host has only a few entries: a
//! host with a thousand clients evicts its own. What is evicted costs a fetch and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::oauth::client::Client;
use crate::oauth::client_document::DOCUMENT_BYTES_MAX;
use crate::oauth::document_url::DocumentUrl;

/// The shortest time for which a document is fresh, whatever its host says: each fetch is work that strangers can
/// cause.
pub(super) const FRESH_MIN: Duration = Duration::from_secs(10 * 60);

/// The longest time: a client that changes its document must not wait longer.
pub(super) const FRESH_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a copy that is not fresh any more is kept.
pub(super) const STALE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The bounds of a cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) entries_max: usize,
    /// Entries of one host.
    pub(super) host_entries_max: usize,
    /// The documents' own bytes. What is kept of one takes about as much.
    pub(super) bytes_max: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { entries_max: 1000, host_entries_max: 20, bytes_max: 200 * DOCUMENT_BYTES_MAX }
    }
}

/// The clients of documents, by their URLs.
pub(super) struct Cache {
    bounds: Bounds,
    entries: HashMap<Arc<str>, Entry>,
    /// The sum of the entries' bytes.
    bytes: usize,
}

struct Entry {
    client: Arc<Client>,
    host: String,
    bytes: usize,
    fresh_until: Instant,
    used: Instant,
}

impl Cache {
    pub(super) fn new(bounds: Bounds) -> Cache {
        Cache { bounds, entries: HashMap::new(), bytes: 0 }
    }

    /// The client of `url`, if its copy is fresh.
    pub(super) fn fresh(&mut self, url: &str, now: Instant) -> Option<Arc<Client>> {
        let entry = self.entries.get_mut(url).filter(|entry| entry.fresh_until > now)?;
        entry.used = now;
        Some(Arc::clone(&entry.client))
    }

    /// The client of `url`, fresh or not.
    pub(super) fn any(&self, url: &str, now: Instant) -> Option<Arc<Client>> {
        let entry = self.entries.get(url).filter(|entry| entry.fresh_until + STALE_MAX > now)?;
        Some(Arc::clone(&entry.client))
    }

    /// Keeps the client of a document of `bytes`, which its host calls fresh for `lifetime`.
    pub(super) fn keep(
        &mut self,
        url: &DocumentUrl,
        client: Arc<Client>,
        bytes: usize,
        lifetime: Option<Duration>,
        now: Instant,
    ) {
        self.remove(url.as_str());
        self.entries.retain(|_, entry| entry.fresh_until + STALE_MAX > now);
        self.bytes = self.entries.values().map(|entry| entry.bytes).sum();
        let host = url.origin().host();
        let of_host = self.entries.values().filter(|entry| entry.host == host).count();
        if of_host >= self.bounds.host_entries_max {
            self.evict(|entry| entry.host == host);
        }
        while self.entries.len() >= self.bounds.entries_max || self.bytes + bytes > self.bounds.bytes_max {
            if !self.evict(|_| true) {
                return;
            }
        }
        let fresh_until = now + lifetime.unwrap_or_default().clamp(FRESH_MIN, FRESH_MAX);
        let entry = Entry { client, host: host.to_owned(), bytes, fresh_until, used: now };
        self.bytes += bytes;
        self.entries.insert(Arc::clone(url.shared()), entry);
    }

    /// Forgets the document of `url`.
    pub(super) fn remove(&mut self, url: &str) {
        if let Some(entry) = self.entries.remove(url) {
            self.bytes -= entry.bytes;
        }
    }

    /// Removes the entry that was used least recently among those that `may_go`; `false` if there is none.
    fn evict(&mut self, may_go: impl Fn(&Entry) -> bool) -> bool {
        let oldest = self.entries.iter().filter(|(_, entry)| may_go(entry)).min_by_key(|(_, entry)| entry.used);
        let Some(url) = oldest.map(|(url, _)| Arc::clone(url)) else { return false };
        self.remove(&url);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Scope;
    use crate::oauth::client_document;

    fn url(text: &str) -> DocumentUrl {
        DocumentUrl::parse(&format!("https://{text}"), false).expect(text)
    }

    fn client(url: &DocumentUrl) -> Arc<Client> {
        let text = format!(r#"{{"client_id":"{}","redirect_uris":["https://a.example/"]}}"#, url.as_str());
        Arc::new(client_document::read(url, text.as_bytes(), &Scope::default()).expect("a document"))
    }

    fn cache(entries_max: usize, host_entries_max: usize, bytes_max: usize) -> Cache {
        Cache::new(Bounds { entries_max, host_entries_max, bytes_max })
    }

    fn keep(cache: &mut Cache, text: &str, bytes: usize, now: Instant) {
        let url = url(text);
        cache.keep(&url, client(&url), bytes, None, now);
    }

    fn has(cache: &Cache, text: &str, now: Instant) -> bool {
        cache.any(url(text).as_str(), now).is_some()
    }

    #[test]
    fn a_copy_is_fresh_from_ten_minutes_to_a_day() {
        let start = Instant::now();
        let url = url("a.example/c");
        let check = |lifetime: Option<u64>, seconds: u64| {
            let mut cache = Cache::new(Bounds::default());
            cache.keep(&url, client(&url), 100, lifetime.map(Duration::from_secs), start);
            let end = start + Duration::from_secs(seconds);
            assert!(cache.fresh(url.as_str(), end - Duration::from_secs(1)).is_some(), "{lifetime:?}");
            assert!(cache.fresh(url.as_str(), end).is_none(), "{lifetime:?}");
            assert!(cache.any(url.as_str(), end + STALE_MAX - Duration::from_secs(1)).is_some());
            assert!(cache.any(url.as_str(), end + STALE_MAX).is_none());
        };
        check(None, 600);
        check(Some(0), 600);
        check(Some(599), 600);
        check(Some(601), 601);
        check(Some(86_400), 86_400);
        check(Some(86_401), 86_400);
        check(Some(u64::from(u32::MAX)), 86_400);
    }

    #[test]
    fn the_least_recently_used_copy_makes_room() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut cache = cache(2, 2, 1000);
        keep(&mut cache, "a.example/c", 100, at(0));
        keep(&mut cache, "b.example/c", 100, at(1));
        assert!(cache.fresh("https://a.example/c", at(2)).is_some());
        keep(&mut cache, "c.example/c", 100, at(3));
        let found = ["a.example/c", "b.example/c", "c.example/c"].map(|text| has(&cache, text, at(3)));
        assert_eq!(found, [true, false, true]);
        keep(&mut cache, "c.example/c", 1000, at(4));
        let found = ["a.example/c", "c.example/c"].map(|text| has(&cache, text, at(4)));
        assert_eq!((found, cache.bytes), ([false, true], 1000));
        keep(&mut cache, "d.example/c", 1001, at(5));
        assert!(!has(&cache, "d.example/c", at(5)), "it would not fit if it were alone");
        assert_eq!((cache.entries.len(), cache.bytes), (0, 0));
    }

    #[test]
    fn one_host_evicts_its_own_copies() {
        let start = Instant::now();
        let mut cache = cache(10, 2, 10_000);
        keep(&mut cache, "quiet.example/c", 100, start);
        for number in 0..100 {
            keep(&mut cache, &format!("loud.example/{number}"), 100, start + Duration::from_secs(1 + number));
        }
        let now = start + Duration::from_secs(200);
        assert!(has(&cache, "quiet.example/c", now));
        assert_eq!((cache.entries.len(), cache.bytes), (3, 300));
        assert!(has(&cache, "loud.example/98", now) && has(&cache, "loud.example/99", now));
    }

    #[test]
    fn what_is_old_or_removed_leaves_nothing_behind() {
        let start = Instant::now();
        let mut cache = cache(10, 10, 1000);
        keep(&mut cache, "a.example/c", 100, start);
        keep(&mut cache, "b.example/c", 100, start);
        cache.remove("https://b.example/c");
        cache.remove("https://b.example/c");
        assert_eq!((cache.entries.len(), cache.bytes), (1, 100));
        keep(&mut cache, "c.example/c", 50, start + FRESH_MIN + STALE_MAX);
        assert_eq!((cache.entries.len(), cache.bytes), (1, 50));
    }
}
