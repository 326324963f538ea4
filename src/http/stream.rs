//! Framing of content whose length is unknown when the head is sent (RFC 9112, 6.3).

use super::chunked;
use super::start_line::Version;

/// How the client recognises the end of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamFraming {
    /// By the last chunk. The connection can be kept.
    Chunked,
    /// By the end of the connection: HTTP/1.0 has no transfer codings. The client cannot distinguish truncated content
    /// from complete content.
    UntilClose,
}

impl StreamFraming {
    /// The most bytes that framing adds to a piece of content, or to the end.
    pub(super) const OVERHEAD_MAX: usize = chunked::OVERHEAD_MAX;

    /// The framing that a client of `version` understands.
    pub(super) fn of(version: Version) -> StreamFraming {
        match version {
            Version::Http10 => StreamFraming::UntilClose,
            Version::Http11 => StreamFraming::Chunked,
        }
    }

    /// Appends the field line that announces it, if there is one.
    pub(super) fn write_field(self, out: &mut Vec<u8>) {
        if self == StreamFraming::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
    }

    /// Appends a piece of content. An empty piece appends nothing, since an empty chunk is the last one.
    pub(super) fn write_content(self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            StreamFraming::Chunked => chunked::write_chunk(content, out),
            StreamFraming::UntilClose => out.extend_from_slice(content),
        }
    }

    /// Appends the mark that the content is complete.
    pub(super) fn write_end(self, out: &mut Vec<u8>) {
        if self == StreamFraming::Chunked {
            out.extend_from_slice(chunked::LAST_CHUNK);
        }
    }
}
