//! A page with its validator: a browser that has exactly this content gets 304 (RFC 9110, 8.8.3 and 15.4.5).

use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::assets::Asset;
use super::security_fields::{NO_STORE, SecurityFields};
use crate::crypto::hash::sha256;
use crate::http::{Body, FieldLines, FieldValue, Request, Response, Status};

/// An asset with its placeholders filled, and the field lines that go with it. All of it is made once, so that sending
/// it copies nothing but the lines.
#[derive(Clone)]
pub(crate) struct CachedPage {
    pub(super) content: Arc<[u8]>,
    /// A digest of the content; `None` for a page that browsers must not keep.
    etag: Option<String>,
    /// The lines of a 200.
    lines: FieldLines,
    /// The lines of a 304.
    lines_unchanged: FieldLines,
}

impl CachedPage {
    /// `asset` with this `content`, and with `fields` as its policy.
    pub(crate) fn new(content: String, asset: Asset, fields: &SecurityFields) -> CachedPage {
        let (content, media_type) = (content.into_bytes(), asset.source().media_type);
        match asset {
            // The dialog asks for a decision; a browser must not show an old one from its cache.
            Asset::Dialog => CachedPage::with(content, media_type, None, fields),
            _ => CachedPage::with_validator(content, media_type, fields),
        }
    }

    /// Content that browsers may keep, if they ask each time whether it has changed.
    pub(crate) fn with_validator(
        content: Vec<u8>,
        media_type: &'static str,
        fields: &SecurityFields,
    ) -> CachedPage {
        // 128 bits of the digest are enough to tell any two contents apart.
        let etag = format!("\"{}\"", Base64UrlUnpadded::encode_string(&sha256(&content)[..16]));
        CachedPage::with(content, media_type, Some(etag), fields)
    }

    fn with(
        content: Vec<u8>,
        media_type: &'static str,
        etag: Option<String>,
        fields: &SecurityFields,
    ) -> CachedPage {
        let mut fields = fields.clone();
        match &etag {
            None => fields.push(("Cache-Control", NO_STORE)),
            Some(etag) => {
                fields.push(("Cache-Control", FieldValue::literal("no-cache")));
                // base64url has no control byte, so the fallback is never taken.
                let value = FieldValue::new(etag.clone()).unwrap_or(FieldValue::literal("\"\""));
                fields.push(("ETag", value));
            }
        }
        let lines_unchanged = FieldLines::shared(&fields);
        fields.push(("Content-Type", FieldValue::literal(media_type)));
        CachedPage { content: content.into(), etag, lines: FieldLines::shared(&fields), lines_unchanged }
    }

    /// The response to a GET or HEAD: the content, or 304 if the browser has it.
    pub(crate) fn respond(&self, request: &Request) -> Response {
        match &self.etag {
            Some(etag) if is_named(request, etag) => {
                Response::new(Status::NotModified, self.lines_unchanged.clone())
            }
            _ => {
                Response::new(Status::Ok, self.lines.clone()).with_body(Body::Shared(Arc::clone(&self.content)))
            }
        }
    }
}

/// Whether If-None-Match names `etag`: alone, in a list, weakly, or by `*` (RFC 9110, 13.1.2).
fn is_named(request: &Request, etag: &str) -> bool {
    let members = request.fields("if-none-match").flat_map(|value| value.split(|byte| *byte == b','));
    members
        .map(|member| member.trim_ascii())
        .any(|member| member == b"*" || member.strip_prefix(b"W/").unwrap_or(member) == etag.as_bytes())
}
