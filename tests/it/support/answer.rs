//! The tests' one parser of responses and of the chunked coding. It is strict: what the server should not send fails
//! the test.

/// A response, taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer that `bytes` begin with, if it is whole, and its length.
    pub fn parse(bytes: &[u8], to_head: bool) -> Option<(Answer, usize)> {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
        let mut lines = head.split("\r\n");
        let status_line = lines.next().expect("a status line");
        let status: u16 =
            status_line.strip_prefix("HTTP/1.1 ").expect(status_line)[..3].parse().expect(status_line);
        let fields: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("a field line: {line:?}")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, fields, body: Vec::new() };
        let has_content = !to_head && status >= 200 && status != 204 && status != 304;
        let length = if has_content {
            answer.field("content-length").expect("a length").parse().expect("a number")
        } else {
            0
        };
        answer.body = bytes.get(end + 4..end + 4 + length)?.to_vec();
        Some((answer, end + 4 + length))
    }

    /// The value of the field `name`, in lower case, which must not stand twice.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} stands twice");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"))
    }
}

/// Reads the chunked coding as a client does: the content, and whether its end has come. Nothing may follow.
pub fn read_chunks(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).expect("a size line");
        assert!(!size.starts_with('0') || size == "0", "no leading zeros: {size:?}");
        let size = usize::from_str_radix(size, 16).expect("a size in hexadecimal digits");
        let Some((data, rest)) = bytes[end + 2..].split_at_checked(size) else { break };
        content.extend_from_slice(data);
        let Some(rest) = rest.strip_prefix(b"\r\n") else { break };
        if size == 0 {
            assert_eq!(rest, b"", "nothing follows the last chunk");
            return (content, true);
        }
        bytes = rest;
    }
    (content, false)
}
