//! A grant as bytes, for the stores that outlive the process.
//!
//! The format is CBOR (RFC 8949), which other programs can read. The outer array begins with the version of the format,
//! and the array of the state with the number of the state. Times are milliseconds since 1970; digests, salts and marks
//! are byte strings. It contains no secret.
//!
//! ```text
//! grant    = [2, client, subject / null, scope, kept until, state]
//!            [3, client, subject / null, scope, kept until, audience, state]
//! state    = [0, code]  /  [1, code / null, refresh / null, [* token], delivery]  /  [2]
//! code     = [digest, redirect URI, whether the request named it, challenge / null, expires]
//! delivery = true / false  /  [server, serial]
//! refresh  = [digest, issued, idle until, expires, family, previous / null]
//! previous = [digest, rotated, salt, digest of the access token]
//! token    = [digest, scope / null for the grant's, issued, expires]
//!            [digest, scope / null for the grant's, issued, expires, audience / null for the grant's]
//! audience = [* URI of a resource]
//! ```
//!
//! Format 3, whose tokens have an audience, is for grants that name a resource. All others are written in format 2,
//! which programs from before there were resources read as well: so they can share a store, and one can go back to
//! them.
//!
//! Format 1 has no delivery, and the expiry of an unredeemed code is in its state. It can be read, too.
//!
//! The bytes may be damaged or written by others, so the decoder checks every length and every value.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use minicbor::data::Type;
use minicbor::decode::Error;
use minicbor::{Decoder, Encoder};

use super::super::authorize::Binding;
use super::super::credential::{Family, Salt};
use super::super::kind::Writer;
use super::super::pkce::Challenge;
use super::super::resource::{AUDIENCE_MAX, Audience};
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::access_tokens::{ACCESS_TOKENS_MAX, AccessToken, AccessTokens};
use super::delivery::Delivery;
use super::state::{Code, Grant, Live, Previous, Refresh, State};
use crate::crypto::digest::Digest;

/// The version of a grant that names a resource. A change that old programs would misread increments it.
const FORMAT: u64 = 3;

/// The version of a grant that names none.
const FORMAT_UNADDRESSED: u64 = 2;

/// The first version, which is read and not written.
const FORMAT_BEFORE: u64 = 1;

const ISSUED: u64 = 0;
const LIVE: u64 = 1;
const OVER: u64 = 2;

/// Why bytes cannot be decoded as a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// They have this version, which this program cannot read.
    Format(u64),
    /// They are malformed.
    Malformed,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Format(format) => {
                write!(f, "the record has format {format}; this program reads {FORMAT}")
            }
            RecordError::Malformed => {
                f.write_str("the record is malformed: it is damaged, or another program wrote it")
            }
        }
    }
}

impl std::error::Error for RecordError {}

impl From<Error> for RecordError {
    fn from(_: Error) -> RecordError {
        RecordError::Malformed
    }
}

type Written = Result<(), minicbor::encode::Error<Infallible>>;

impl Grant {
    /// The grant as bytes; see the module's documentation. Two grants that are the same give the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Encoder::new(Vec::with_capacity(320));
        // Writing to a Vec cannot fail.
        let written = self.write(&mut writer);
        debug_assert!(written.is_ok());
        writer.into_writer()
    }

    /// Decodes the bytes of [`Grant::encode`].
    ///
    /// # Errors
    /// [`RecordError`] if they are malformed or have an unknown version.
    pub fn decode(bytes: &[u8]) -> Result<Grant, RecordError> {
        let mut reader = Decoder::new(bytes);
        let length = reader.array()?;
        let format = reader.u64()?;
        let has_audience = match (format, length) {
            (FORMAT, Some(7)) => true,
            (FORMAT_UNADDRESSED | FORMAT_BEFORE, Some(6)) => false,
            (FORMAT | FORMAT_UNADDRESSED | FORMAT_BEFORE, _) => return Err(RecordError::Malformed),
            _ => return Err(RecordError::Format(format)),
        };
        let client = reader.str()?.into();
        let subject = optional(&mut reader, |reader| Ok(reader.str()?.into()))?;
        let scope = read_scope(&mut reader)?;
        let kept_until = read_timestamp(&mut reader)?;
        // The audience comes before the state, whose tokens may share it.
        let audience = if has_audience { read_audience(&mut reader)? } else { Audience::default() };
        let whole = Whole { scope: &scope, audience: &audience, has_audience };
        let state = match format {
            FORMAT_BEFORE => read_state_before(&mut reader, whole)?,
            _ => read_state(&mut reader, whole)?,
        };
        if reader.position() == bytes.len() {
            Ok(Grant { client, subject, scope, audience, state, kept_until })
        } else {
            Err(RecordError::Malformed)
        }
    }

    fn write(&self, writer: &mut Encoder<Vec<u8>>) -> Written {
        // A token's audience is at most the grant's.
        let has_audience = !self.audience.is_empty();
        let (length, format) = if has_audience { (7, FORMAT) } else { (6, FORMAT_UNADDRESSED) };
        writer.array(length)?.u64(format)?.str(&self.client)?;
        match &self.subject {
            Some(subject) => writer.str(subject)?,
            None => writer.null()?,
        };
        writer.str(self.scope.as_str())?.u64(self.kept_until.as_milliseconds())?;
        if has_audience {
            write_audience(writer, &self.audience)?;
        }
        match &self.state {
            State::Issued { code } => write_code(writer.array(2)?.u64(ISSUED)?, code)?,
            State::Live(live) => write_live(writer, live, self)?,
            State::Over => {
                writer.array(1)?.u64(OVER)?;
            }
        }
        Ok(())
    }
}

fn write_audience(writer: &mut Encoder<Vec<u8>>, audience: &Audience) -> Written {
    writer.array(audience.uris().count() as u64)?;
    for uri in audience.uris() {
        writer.str(uri)?;
    }
    Ok(())
}

fn write_code(writer: &mut Encoder<Vec<u8>>, code: &Code) -> Written {
    let Binding { redirect_uri, names_redirect, challenge } = &code.binding;
    writer.array(5)?.bytes(code.digest.as_bytes())?.str(redirect_uri)?.bool(*names_redirect)?;
    match challenge {
        Some(challenge) => writer.str(challenge.as_str())?,
        None => writer.null()?,
    };
    writer.u64(code.expires.as_milliseconds())?;
    Ok(())
}

fn write_live(writer: &mut Encoder<Vec<u8>>, live: &Live, grant: &Grant) -> Written {
    writer.array(5)?.u64(LIVE)?;
    match &live.code {
        Some(code) => write_code(writer, code)?,
        None => {
            writer.null()?;
        }
    }
    match &live.refresh {
        Some(refresh) => write_refresh(writer, refresh)?,
        None => {
            writer.null()?;
        }
    }
    writer.array(live.tokens.len() as u64)?;
    let has_audience = !grant.audience.is_empty();
    for AccessToken { digest, scope, audience, issued, expires } in live.tokens.iter() {
        writer.array(if has_audience { 5 } else { 4 })?.bytes(digest.as_bytes())?;
        if *scope == grant.scope {
            writer.null()?
        } else {
            writer.str(scope.as_str())?
        };
        writer.u64(issued.as_milliseconds())?.u64(expires.as_milliseconds())?;
        if *audience == grant.audience && has_audience {
            writer.null()?;
        } else if has_audience {
            write_audience(writer, audience)?;
        }
    }
    match &live.delivery {
        Delivery::Sent => writer.bool(true)?,
        Delivery::Failed => writer.bool(false)?,
        Delivery::ReportedBy(by) => writer.array(2)?.u64(by.server)?.u64(by.serial)?,
    };
    Ok(())
}

fn write_refresh(writer: &mut Encoder<Vec<u8>>, refresh: &Refresh) -> Written {
    let Refresh { current, issued, idle_until, expires, family, previous } = refresh;
    writer.array(6)?.bytes(current.as_bytes())?;
    for moment in [issued, idle_until, expires] {
        writer.u64(moment.as_milliseconds())?;
    }
    writer.bytes(&family.0)?;
    match previous.as_deref() {
        None => writer.null()?,
        Some(Previous { digest, rotated, salt, token }) => writer
            .array(4)?
            .bytes(digest.as_bytes())?
            .u64(rotated.as_milliseconds())?
            .bytes(&salt.0)?
            .bytes(token.as_bytes())?,
    };
    Ok(())
}

/// What the tokens of a grant have that say nothing else.
#[derive(Clone, Copy)]
struct Whole<'a> {
    scope: &'a Scope,
    audience: &'a Audience,
    /// Whether tokens say anything of an audience, which depends on the format.
    has_audience: bool,
}

fn read_state(reader: &mut Decoder, whole: Whole) -> Result<State, RecordError> {
    match (reader.array()?, reader.u64()?) {
        (Some(2), ISSUED) => {
            expect(reader, 5)?;
            Ok(State::Issued { code: read_code(reader, read_timestamp)? })
        }
        (Some(5), LIVE) => {
            let code = optional(reader, |reader| {
                expect(reader, 5)?;
                read_code(reader, read_timestamp)
            })?;
            let (refresh, tokens) = read_tokens(reader, whole)?;
            Ok(State::Live(Live { code, refresh, tokens, delivery: read_delivery(reader)? }))
        }
        (Some(1), OVER) => Ok(State::Over),
        _ => Err(RecordError::Malformed),
    }
}

/// The same for the previous version.
fn read_state_before(reader: &mut Decoder, whole: Whole) -> Result<State, RecordError> {
    match (reader.array()?, reader.u64()?) {
        (Some(3), ISSUED) => {
            expect(reader, 4)?;
            let mut code = read_code(reader, long_ago)?;
            code.expires = read_timestamp(reader)?;
            Ok(State::Issued { code })
        }
        (Some(4), LIVE) => {
            let code = optional(reader, |reader| {
                expect(reader, 4)?;
                read_code(reader, long_ago)
            })?;
            let (refresh, tokens) = read_tokens(reader, whole)?;
            Ok(State::Live(Live { code, refresh, tokens, delivery: Delivery::Sent }))
        }
        (Some(1), OVER) => Ok(State::Over),
        _ => Err(RecordError::Malformed),
    }
}

type Tokens = (Option<Box<Refresh>>, AccessTokens);

fn read_tokens(reader: &mut Decoder, whole: Whole) -> Result<Tokens, RecordError> {
    let refresh = optional(reader, read_refresh)?.map(Box::new);
    let count = reader.array()?.and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| *count <= ACCESS_TOKENS_MAX).ok_or(RecordError::Malformed)?;
    let tokens = (0..count).map(|_| read_token(reader, whole)).collect::<Result<_, _>>()?;
    Ok((refresh, tokens))
}

fn read_delivery(reader: &mut Decoder) -> Result<Delivery, RecordError> {
    if reader.datatype()? == Type::Bool {
        return Ok(if reader.bool()? { Delivery::Sent } else { Delivery::Failed });
    }
    expect(reader, 2)?;
    Ok(Delivery::ReportedBy(Box::new(Writer { server: reader.u64()?, serial: reader.u64()? })))
}

/// Reads a code, whose expiry `expires` reads.
fn read_code(
    reader: &mut Decoder,
    expires: impl Fn(&mut Decoder) -> Result<Timestamp, RecordError>,
) -> Result<Code, RecordError> {
    let digest = digest(reader)?;
    let (redirect_uri, names_redirect) = (reader.str()?.into(), reader.bool()?);
    let challenge =
        optional(reader, |reader| Challenge::of_record(reader.str()?).ok_or(RecordError::Malformed))?;
    let binding = Binding { redirect_uri, names_redirect, challenge };
    Ok(Code { digest, binding, expires: expires(reader)? })
}

fn read_refresh(reader: &mut Decoder) -> Result<Refresh, RecordError> {
    expect(reader, 6)?;
    Ok(Refresh {
        current: digest(reader)?,
        issued: read_timestamp(reader)?,
        idle_until: read_timestamp(reader)?,
        expires: read_timestamp(reader)?,
        family: Family(exactly(reader)?),
        previous: optional(reader, |reader| {
            expect(reader, 4)?;
            let (digest_before, rotated) = (digest(reader)?, read_timestamp(reader)?);
            let (salt, token) = (Salt(exactly(reader)?), digest(reader)?);
            Ok(Box::new(Previous { digest: digest_before, rotated, salt, token }))
        })?,
    })
}

fn read_token(reader: &mut Decoder, whole: Whole) -> Result<AccessToken, RecordError> {
    expect(reader, if whole.has_audience { 5 } else { 4 })?;
    let (digest, scope) = (digest(reader)?, optional(reader, read_scope)?);
    let (issued, expires) = (read_timestamp(reader)?, read_timestamp(reader)?);
    let audience = if whole.has_audience { optional(reader, read_audience)? } else { None };
    let scope = scope.unwrap_or_else(|| whole.scope.clone());
    let audience = audience.unwrap_or_else(|| whole.audience.clone());
    // No rule makes a token for more than its grant.
    match audience.first_beyond(whole.audience) {
        None => Ok(AccessToken { digest, scope, audience, issued, expires }),
        Some(_) => Err(RecordError::Malformed),
    }
}

/// Reads at least one URI: an empty audience is written in another format, or as the grant's own.
fn read_audience(reader: &mut Decoder) -> Result<Audience, RecordError> {
    let count = reader.array()?.filter(|count| (1..=AUDIENCE_MAX as u64).contains(count));
    let count = count.ok_or(RecordError::Malformed)?;
    let mut uris: Vec<Arc<str>> = Vec::new();
    for _ in 0..count {
        let uri = reader.str()?;
        if uris.iter().any(|known| **known == *uri) {
            return Err(RecordError::Malformed);
        }
        uris.push(uri.into());
    }
    Ok(uris.into_iter().collect())
}

/// Reads the beginning of an array of `length`.
fn expect(reader: &mut Decoder, length: u64) -> Result<(), RecordError> {
    match reader.array()? {
        Some(found) if found == length => Ok(()),
        _ => Err(RecordError::Malformed),
    }
}

fn optional<'a, T>(
    reader: &mut Decoder<'a>,
    read: impl FnOnce(&mut Decoder<'a>) -> Result<T, RecordError>,
) -> Result<Option<T>, RecordError> {
    if reader.datatype()? == Type::Null {
        reader.null()?;
        return Ok(None);
    }
    read(reader).map(Some)
}

fn read_scope(reader: &mut Decoder) -> Result<Scope, RecordError> {
    Scope::parse(reader.str()?).map_err(|_| RecordError::Malformed)
}

fn read_timestamp(reader: &mut Decoder) -> Result<Timestamp, RecordError> {
    Ok(Timestamp::from_milliseconds(reader.u64()?))
}

/// For a code of the previous version, whose expiry is elsewhere.
fn long_ago(_: &mut Decoder) -> Result<Timestamp, RecordError> {
    Ok(Timestamp::from_milliseconds(0))
}

fn digest(reader: &mut Decoder) -> Result<Digest, RecordError> {
    exactly(reader).map(Digest::from_bytes)
}

fn exactly<const N: usize>(reader: &mut Decoder) -> Result<[u8; N], RecordError> {
    reader.bytes()?.try_into().map_err(|_| RecordError::Malformed)
}
