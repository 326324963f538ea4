//! The article's shapes: codes of ten decimal digits, and tokens of fifty.
//!
//! They exist for lessons (`Profile::article`). Ten digits are 33 bits, so a code can be found by guessing; fifty are
//! 166 bits, and cannot. A code's digits identify its grant, and there is no other secret: a sender of digits that
//! belong to a grant has its code. An access token begins with the digits of the code that bought it, which is spent by
//! then, and has forty more.
//!
//! ```text
//!                  │ grant identifier: 20      │ secret: 44               │
//!   code           │ ten digits, twice         │ zeros                    │
//!   access token   │ ten digits, twice         │ forty digits, four zeros │
//! ```
//!
//! Both fill the places of the usual parts, so that grants, digests and stores treat them like any other. What is sent
//! are the last ten characters of the identifier, and for a token the forty digits that follow.

use super::{CODE_DIGITS, Credential, SECRET_BYTES, SECRET_CHARS, Shape, TOKEN_SECRET_DIGITS};
use crate::crypto::hash::sha256;
use crate::oauth::key::{ID_CHARS, Id};

const TOKEN_DIGITS: usize = CODE_DIGITS + TOKEN_SECRET_DIGITS;

impl Credential {
    /// This code as ten digits, which name another grant. They are computed from all of it: a form that is sent twice
    /// gets the same digits twice.
    pub fn to_ten_digits(&self) -> Credential {
        let [a, b, c, d, e, f, g, h, ..] = sha256(self.encode().as_bytes());
        of_digits(&ten_digits([a, b, c, d, e, f, g, h]), &[])
    }

    /// A new access token of the grant of this code, from random bytes: fifty digits for a code of ten.
    pub fn token_of_same_shape(&self, random: [u8; SECRET_BYTES]) -> Credential {
        if self.shape == Shape::Characters {
            return Credential::of_grant(self.grant, random);
        }
        let mut secret = [0; TOKEN_SECRET_DIGITS];
        let (numbers, _) = random.as_chunks::<8>();
        for (digits, number) in secret.chunks_exact_mut(10).zip(numbers) {
            digits.copy_from_slice(&ten_digits(*number));
        }
        of_digits(&self.grant.0[ID_CHARS - CODE_DIGITS..], &secret)
    }

    /// Parses ten or fifty decimal digits; `None` if `text` is neither.
    pub fn parse_digits(text: &[u8]) -> Option<Credential> {
        let is_digits = matches!(text.len(), CODE_DIGITS | TOKEN_DIGITS) && text.iter().all(u8::is_ascii_digit);
        let (code, secret) = text.split_at_checked(CODE_DIGITS).filter(|_| is_digits)?;
        Some(of_digits(code, secret))
    }
}

/// The code with these digits, or the access token if `secret` is not empty.
fn of_digits(code: &[u8], secret: &[u8]) -> Credential {
    let (mut grant, mut filled) = ([b'0'; ID_CHARS], [b'0'; SECRET_CHARS]);
    grant[..CODE_DIGITS].copy_from_slice(code);
    grant[CODE_DIGITS..].copy_from_slice(code);
    filled[..secret.len()].copy_from_slice(secret);
    let shape = if secret.is_empty() { Shape::Code } else { Shape::Token };
    Credential { grant: Id(grant), secret: filled, shape }
}

/// Ten decimal digits, of which all are as likely: 2^64 is not a multiple of 10^10, but the bias is below one in 10^9.
fn ten_digits(random: [u8; 8]) -> [u8; CODE_DIGITS] {
    let mut rest = u64::from_be_bytes(random);
    std::array::from_fn(|_| {
        let digit = (rest % 10) as u8;
        rest /= 10;
        b'0' + digit
    })
}

#[cfg(test)]
mod tests {
    use super::super::CREDENTIAL_BYTES;
    use super::*;

    fn code(byte: u8) -> Credential {
        Credential::of_new_grant([byte; CREDENTIAL_BYTES]).to_ten_digits()
    }

    #[test]
    fn codes_have_ten_digits_and_tokens_fifty_and_both_read_back() {
        for byte in 0..=255 {
            let (code, token) = (code(byte), code(byte).token_of_same_shape([byte; SECRET_BYTES]));
            for (credential, length) in [(&code, 10), (&token, 50)] {
                let text = credential.encode();
                assert!(text.len() == length && text.bytes().all(|digit| digit.is_ascii_digit()), "{text}");
                let read = Credential::parse_digits(text.as_bytes()).expect("what encode wrote");
                assert!(read.grant() == code.grant() && read.digest().matches(&credential.digest()));
                assert_eq!(read.encode(), text);
                assert!(Credential::parse(text.as_bytes()).is_none(), "digits are not the usual shape");
            }
        }
    }

    #[test]
    fn every_digit_counts() {
        let token = code(7).token_of_same_shape([9; SECRET_BYTES]);
        let text = token.encode();
        for at in 0..TOKEN_DIGITS {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'9' { b'0' } else { changed[at] + 1 };
            let read = Credential::parse_digits(&changed).expect("fifty digits");
            assert!(read.grant() != token.grant() || !read.digest().matches(&token.digest()), "{at}");
        }
    }

    #[test]
    fn nothing_but_ten_or_fifty_digits_is_read() {
        let fifty = "0".repeat(50);
        for text in
            ["", "123456789", "12345678901", "123456789x", "+123456789", &fifty[1..], &format!("{fifty}0")]
        {
            assert!(Credential::parse_digits(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Credential::parse_digits(fifty.as_bytes()).is_some());
    }

    #[test]
    fn different_random_bytes_make_different_digits() {
        let codes: std::collections::HashSet<String> = (0..=255).map(|byte| code(byte).encode()).collect();
        let tokens = (0..=255).map(|byte| code(1).token_of_same_shape([byte; SECRET_BYTES]).encode());
        assert_eq!((codes.len(), tokens.collect::<std::collections::HashSet<_>>().len()), (256, 256));
        assert_eq!(ten_digits(1_234_567_890_u64.to_be_bytes()), *b"0987654321");
    }
}
