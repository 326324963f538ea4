//! How content is delimited whose length is not known when the head is sent (RFC 9112, 6.3).

use super::chunked;
use super::start_line::Version;

/// How the client learns where the content of a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamFraming {
    /// By the chunked coding, after which the connection can go on.
    Chunked,
    /// By the end of the connection, for HTTP/1.0 has no transfer codings. A client cannot tell content that is cut
    /// short from content that ends.
    UntilClose,
}

impl StreamFraming {
    /// How many bytes are added to a piece of content at most.
    pub(super) const OVERHEAD_MAX: usize = chunked::OVERHEAD_MAX;

    /// The framing that a client of `version` understands.
    pub(super) fn of(version: Version) -> StreamFraming {
        match version {
            Version::Http10 => StreamFraming::UntilClose,
            Version::Http11 => StreamFraming::Chunked,
        }
    }

    /// Appends the field line that says it.
    pub(super) fn write_field(self, out: &mut Vec<u8>) {
        if self == StreamFraming::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
    }

    /// Appends a piece of content; nothing if it is empty, for an empty chunk would be the last.
    pub(super) fn write_content(self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            StreamFraming::Chunked => chunked::write_chunk(content, out),
            StreamFraming::UntilClose => out.extend_from_slice(content),
        }
    }

    /// Appends what says that the content is whole.
    pub(super) fn write_end(self, out: &mut Vec<u8>) {
        if self == StreamFraming::Chunked {
            out.extend_from_slice(chunked::LAST_CHUNK);
        }
    }
}
