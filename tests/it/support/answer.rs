//! The tests' one parser of responses. It is strict: what the server should not send fails the test.

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
