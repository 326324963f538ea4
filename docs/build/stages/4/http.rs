//! Bytes to requests, and responses to bytes. There is no socket in this file.

/// The maximum size of a request head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// The maximum size of a request's content.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// The maximum number of fields in a request.
const FIELDS_MAX: usize = 64;

/// Fields that must not repeat. Of two copies, another parser might pick the other one.
const SINGLE: [&str; 4] = ["authorization", "content-length", "host", "origin"];

pub struct Request {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
    pub keep_alive: bool,
    /// Names in lower case, and values.
    fields: Vec<(String, String)>,
}

impl Request {
    /// The value of the field `name`, which is in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(of, _)| of == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads the first request in `input`, and gives it with its length. `None` means that a part of it
/// is missing. An error is the response that refuses it; what comes after it must not be read.
pub fn parse(input: &[u8]) -> Result<Option<(Request, usize)>, Response> {
    let mut lines = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut lines);
    let head_length = match head.parse(input) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(httparse::Status::Partial) if input.len() <= HEAD_BYTES_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Err(too_large("the head is too long"));
        }
        Err(error) => return Err(malformed(&error.to_string())),
    };
    let mut request = read_head(&head)?;
    let length = head_length + body_length(&request)?;
    let Some(body) = input.get(head_length..length) else {
        return Ok(None);
    };
    request.body = body.to_vec();
    Ok(Some((request, length)))
}

/// A whole head as a request without its content.
fn read_head(head: &httparse::Request) -> Result<Request, Response> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.headers.iter() {
        let name = line.name.to_ascii_lowercase();
        let value =
            str::from_utf8(line.value).map_err(|_| malformed("a field value is not UTF-8"))?;
        if SINGLE.contains(&name.as_str()) && fields.iter().any(|(of, _)| *of == name) {
            return Err(malformed("a field that must not repeat is repeated"));
        }
        fields.push((name, value.to_owned()));
    }
    let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
        return Err(malformed("the request line is incomplete"));
    };
    let mut request = Request {
        method: method.to_owned(),
        path: target.split('?').next().unwrap_or(target).to_owned(),
        body: Vec::new(),
        keep_alive: version == 1,
        fields,
    };
    if version == 1 && request.field("host").is_none() {
        return Err(malformed("HTTP/1.1 requires a Host"));
    }
    let connection = request.field("connection").unwrap_or_default();
    if connection
        .split(',')
        .any(|option| option.trim().eq_ignore_ascii_case("close"))
    {
        request.keep_alive = false;
    }
    Ok(request)
}

/// How many bytes of content follow the head.
fn body_length(request: &Request) -> Result<usize, Response> {
    if request.field("transfer-encoding").is_some() {
        return Err(Response::text(
            "501 Not Implemented",
            "transfer codings are not supported\n",
        ));
    }
    let Some(length) = request.field("content-length") else {
        return Ok(0);
    };
    // Rust's parser accepts "+5", HTTP does not.
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed("the Content-Length is not a number"));
    }
    match length.parse() {
        Ok(length) if length <= BODY_BYTES_MAX => Ok(length),
        _ => Err(Response::text(
            "413 Content Too Large",
            "the content is too long\n",
        )),
    }
}

fn malformed(reason: &str) -> Response {
    Response::text("400 Bad Request", &format!("{reason}\n"))
}

fn too_large(reason: &str) -> Response {
    Response::text(
        "431 Request Header Fields Too Large",
        &format!("{reason}\n"),
    )
}

pub struct Response {
    status: &'static str,
    fields: Vec<(&'static str, String)>,
    body: String,
}

impl Response {
    pub fn new(status: &'static str, media_type: &str, body: &str) -> Response {
        let fields = vec![("Content-Type", media_type.to_owned())];
        Response {
            status,
            fields,
            body: body.to_owned(),
        }
    }

    pub fn text(status: &'static str, body: &str) -> Response {
        Response::new(status, "text/plain; charset=utf-8", body)
    }

    /// The same response with one more field. `value` must be text of our own: a line break in it
    /// would begin another field.
    pub fn with(mut self, name: &'static str, value: &str) -> Response {
        self.fields.push((name, value.to_owned()));
        self
    }

    /// Appends the response to `output`.
    pub fn write_to(&self, output: &mut Vec<u8>, keep_alive: bool) {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut head = format!("HTTP/1.1 {}\r\n", self.status);
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!(
            "Content-Length: {}\r\nConnection: {connection}\r\n\r\n",
            self.body.len()
        );
        output.extend_from_slice(head.as_bytes());
        output.extend_from_slice(self.body.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `input` is read as: the request's length, or nothing yet, or the status of the refusal.
    fn read(input: &str) -> Result<Option<usize>, &'static str> {
        match parse(input.as_bytes()) {
            Ok(request) => Ok(request.map(|(_, length)| length)),
            Err(refusal) => Err(refusal.status),
        }
    }

    #[test]
    fn a_request_is_read_when_its_last_byte_is_there() {
        let whole = "POST /x?y HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Ok(None), "{end} bytes");
        }
        assert_eq!(read(whole), Ok(Some(whole.len())));
        assert_eq!(
            read(&format!("{whole}GET / HTTP/1.1")),
            Ok(Some(whole.len()))
        );
    }

    #[test]
    fn a_request_that_others_may_read_in_another_way_is_refused() {
        let refusal = |fields: &str| read(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        assert_eq!(
            refusal("Content-Length: 1\r\nContent-Length: 2\r\n"),
            Err("400 Bad Request")
        );
        assert_eq!(refusal("Content-Length: +5\r\n"), Err("400 Bad Request"));
        assert_eq!(
            refusal("Content-Length: 8193\r\n"),
            Err("413 Content Too Large")
        );
        assert_eq!(
            refusal("Transfer-Encoding: chunked\r\n"),
            Err("501 Not Implemented")
        );
        assert_eq!(refusal("Host: other\r\n"), Err("400 Bad Request"));
        assert_eq!(refusal("X : y\r\n"), Err("400 Bad Request"));
        let long = format!("X: {}\r\n", "x".repeat(8192));
        assert_eq!(refusal(&long), Err("431 Request Header Fields Too Large"));
    }
}
