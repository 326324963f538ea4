//! The parts of start lines: method, version, status (RFC 9112, 3 and 4).

/// The methods that the codec knows (RFC 9110, 9.3; PATCH: RFC 5789). Any other is answered 501.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's own")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

impl Method {
    /// The method named `token`; `None` when it is unknown. Methods are case-sensitive (RFC 9110, 9.1).
    pub fn from_token(token: &str) -> Option<Method> {
        Some(match token {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "CONNECT" => Method::Connect,
            "OPTIONS" => Method::Options,
            "TRACE" => Method::Trace,
            "PATCH" => Method::Patch,
            _ => return None,
        })
    }

    /// The method as in a request line.
    pub fn token(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Connect => "CONNECT",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Patch => "PATCH",
        }
    }
}

/// The version of a request. A minor version above 1 counts as 1.1 (RFC 9110, 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, Host optional, one request per connection unless the client asks for more.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The statuses of this server's responses (RFC 9110, 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's own")]
pub enum Status {
    Ok,
    Created,
    Accepted,
    NoContent,
    Found,
    NotModified,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    ContentTooLarge,
    UriTooLong,
    ExpectationFailed,
    TooManyRequests,
    RequestHeaderFieldsTooLarge,
    InternalServerError,
    NotImplemented,
    ServiceUnavailable,
    HttpVersionNotSupported,
}

/// What surrounds the status in [`Status::start`].
const START: &str = "HTTP/1.1 ";
const DATE: &str = "\r\nDate: ";

impl Status {
    /// The status line's code and reason phrase, such as `404 Not Found`.
    pub fn line(self) -> &'static str {
        let start = self.start();
        &start[START.len()..start.len() - DATE.len()]
    }

    /// The beginning of every response with this status, up to the value of Date: one copy when it is written.
    pub(super) fn start(self) -> &'static str {
        macro_rules! start {
            ($line:literal) => {
                concat!("HTTP/1.1 ", $line, "\r\nDate: ")
            };
        }
        match self {
            Status::Ok => start!("200 OK"),
            Status::Created => start!("201 Created"),
            Status::Accepted => start!("202 Accepted"),
            Status::NoContent => start!("204 No Content"),
            Status::Found => start!("302 Found"),
            Status::NotModified => start!("304 Not Modified"),
            Status::BadRequest => start!("400 Bad Request"),
            Status::Unauthorized => start!("401 Unauthorized"),
            Status::Forbidden => start!("403 Forbidden"),
            Status::NotFound => start!("404 Not Found"),
            Status::MethodNotAllowed => start!("405 Method Not Allowed"),
            Status::RequestTimeout => start!("408 Request Timeout"),
            Status::ContentTooLarge => start!("413 Content Too Large"),
            Status::UriTooLong => start!("414 URI Too Long"),
            Status::ExpectationFailed => start!("417 Expectation Failed"),
            Status::TooManyRequests => start!("429 Too Many Requests"),
            Status::RequestHeaderFieldsTooLarge => start!("431 Request Header Fields Too Large"),
            Status::InternalServerError => start!("500 Internal Server Error"),
            Status::NotImplemented => start!("501 Not Implemented"),
            Status::ServiceUnavailable => start!("503 Service Unavailable"),
            Status::HttpVersionNotSupported => start!("505 HTTP Version Not Supported"),
        }
    }

    /// Only the code, such as `404`.
    pub fn code(self) -> &'static str {
        &self.line()[..3]
    }

    /// Whether responses of this status have neither content nor a Content-Length (RFC 9110, 15.3.5 and 15.4.5). The
    /// head is then the whole message, and a client would take a length for that of content which never comes.
    pub(super) fn has_no_content(self) -> bool {
        matches!(self, Status::NoContent | Status::NotModified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_says_its_line_and_its_code() {
        assert_eq!((Status::NotFound.line(), Status::NotFound.code()), ("404 Not Found", "404"));
        assert_eq!((Status::Ok.line(), Status::Ok.code()), ("200 OK", "200"));
    }
}
