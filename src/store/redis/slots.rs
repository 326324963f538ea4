//! The map from keys to the nodes of a cluster.
//!
//! A checksum of the key selects one of 16,384 slots, and each node has some of the slots. Every node knows the whole
//! map (`CLUSTER SLOTS`), and redirects requests for keys of other nodes. Each command here has one key, so slots may
//! be on any node and may move.

use redis::Value;

/// The number of slots.
const SLOTS: u16 = 16_384;

/// The address of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Which node has which slots.
#[derive(Debug)]
pub(super) struct SlotMap(Vec<(u16, u16, Address)>);

impl SlotMap {
    /// Reads the answer of the node at `asked` to `CLUSTER SLOTS`; `None` if it is malformed or has no slots. An empty
    /// host means the node at `asked`, which does not know its own name. A port of 0 means that the node's address is
    /// lost, because another node has it now: its slots then have no node.
    pub(super) fn parse(answer: &Value, asked: &Address) -> Option<SlotMap> {
        let Value::Array(ranges) = answer else { return None };
        let read = |range: &Value| {
            let Value::Array(parts) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = &parts[..] else { return None };
            let [host, Value::Int(port), ..] = &node[..] else { return None };
            let host = match host {
                Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
                Value::SimpleString(host) if !host.is_empty() => host.clone(),
                _ => asked.host.clone(),
            };
            let address = Address { host, port: u16::try_from(*port).ok()? };
            Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, address))
        };
        let mut ranges = ranges.iter().map(read).collect::<Option<Vec<_>>>()?;
        ranges.retain(|(_, _, address)| address.port != 0);
        (!ranges.is_empty()).then_some(SlotMap(ranges))
    }

    /// The number of slots with a known node.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(first, last, _)| usize::from(last.saturating_sub(*first)) + 1).sum()
    }

    /// Whether every slot has a known node.
    pub(super) fn is_whole(&self) -> bool {
        self.len() >= usize::from(SLOTS)
    }

    /// The node of `key`, if known.
    pub(super) fn owner(&self, key: &[u8]) -> Option<&Address> {
        let slot = slot(key);
        let found = self.0.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        found.map(|(_, _, address)| address)
    }

    /// Every node that has slots.
    pub(super) fn owners(&self) -> Vec<Address> {
        let mut owners: Vec<Address> = Vec::new();
        for (_, _, address) in &self.0 {
            if !owners.contains(address) {
                owners.push(address.clone());
            }
        }
        owners
    }
}

/// The slot of `key`: the CRC16 (XMODEM) of its hash tag, modulo the number of slots.
fn slot(key: &[u8]) -> u16 {
    let checksum = hash_tag(key).iter().fold(0u16, |checksum, byte| {
        (0..8).fold(checksum ^ (u16::from(*byte) << 8), |checksum, _| match checksum & 0x8000 {
            0 => checksum << 1,
            _ => (checksum << 1) ^ 0x1021,
        })
    });
    checksum % SLOTS
}

/// What lies between the first opening brace of `key` and the next closing one; all of `key` if that is nothing. Our
/// keys have no braces; a wrong slot would be redirected without end.
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|byte| *byte == b'}') {
        None | Some(0) => key,
        Some(length) => &rest[..length],
    }
}

/// The target of a redirect such as `MOVED 3999 127.0.0.1:6381`; `details` is the text after the first word.
pub(super) fn redirect(details: &str, asked: &Address) -> Option<Address> {
    let (host, port) = details.split(' ').nth(1)?.rsplit_once(':')?;
    let host = if host.is_empty() { asked.host.as_str() } else { host };
    Some(Address { host: host.to_owned(), port: port.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn a_key_has_the_slot_that_the_cluster_specification_gives_it() {
        // The specification's own check value, and what `CLUSTER KEYSLOT` answers.
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!((slot(b"foo"), slot(b"")), (12_182, 0));
    }

    #[test]
    fn a_key_with_braces_has_the_slot_of_what_is_between_them() {
        // The specification's own examples.
        for (key, hashed) in [
            ("{user1000}.following", "user1000"),
            ("oauth:grant:a{b}c", "b"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("foo}bar{", "foo}bar{"),
        ] {
            assert_eq!(hash_tag(key.as_bytes()), hashed.as_bytes(), "{key}");
            assert_eq!(slot(key.as_bytes()), slot(hashed.as_bytes()), "{key}");
        }
        assert_eq!(slot(b"x{foo}y"), 12_182);
    }

    #[test]
    fn the_map_of_slots_is_read_and_nonsense_is_not() {
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), Value::Nil]);
        let text = |text: &str| Value::BulkString(text.into());
        let range = |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let asked = address("seed", 1);
        let answer = Value::Array(vec![
            range(0, 8000, node(text("a"), 7000)),
            range(8001, 16_383, node(text(""), 7001)),
        ]);
        let map = SlotMap::parse(&answer, &asked).unwrap();
        assert_eq!(map.owner(b"foo"), Some(&address("seed", 7001)));
        assert_eq!(map.owner(b""), Some(&address("a", 7000)));
        assert_eq!(map.owners(), [address("a", 7000), address("seed", 7001)]);
        assert!(map.is_whole());
        let part = SlotMap::parse(&Value::Array(vec![range(0, 99, node(text("a"), 7000))]), &asked).unwrap();
        assert_eq!((part.len(), part.is_whole(), part.owner(b"foo")), (100, false, None));
        // The last node's address is lost.
        let lost =
            Value::Array(vec![range(0, 99, node(text("a"), 7000)), range(100, 16_383, node(text(""), 0))]);
        let lost = SlotMap::parse(&lost, &asked).unwrap();
        assert_eq!((lost.len(), lost.is_whole(), lost.owner(b"foo")), (100, false, None));
        assert_eq!(lost.owners(), [address("a", 7000)]);
        for wrong in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![range(0, 16_383, node(text(""), 0))]),
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![range(0, -1, node(text("a"), 1))]),
        ] {
            assert!(SlotMap::parse(&wrong, &asked).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_redirect_names_a_node() {
        let asked = address("seed", 1);
        assert_eq!(redirect("3999 127.0.0.1:6381", &asked), Some(address("127.0.0.1", 6381)));
        assert_eq!(redirect("3999 ::1:6381", &asked), Some(address("::1", 6381)));
        assert_eq!(redirect("3999 :6381", &asked), Some(address("seed", 6381)));
        for wrong in ["", "3999", "3999 here", "3999 here:there"] {
            assert_eq!(redirect(wrong, &asked), None, "{wrong}");
        }
    }
}
