//! Which rules hold: one value that every rule asks, for the article, for the demo and for a configured server.
//!
//! OAuth 2.1 adds rules to what the article does, and each rule exists because an attack works without it. Each rule
//! that can be switched is a field here, and no other file asks whether it serves the article or the demo; only the
//! configuration does, to choose a profile. There are three:
//!
//! ```text
//!   strict    a configured server: every defence, and nothing is accepted but the standard
//!   demo      every defence, and the article's own requests are accepted beside the standard's
//!   article   what the article does, with its holes; for lessons on this machine
//! ```
//!
//! No key of the configuration file sets a field: a server without a client app is strict, and one with a client app is
//! the demo. `--article` chooses the article's, and `--lab` switches defences while it runs; both only on this
//! machine. Any other profile is for programs that link this library, such as tests that show an attack succeed. The
//! comment of each defence names the attack that works without it.
//!
//! Every profile refuses a form that was sealed for another browser, a code of another client, and a client that is not
//! registered.

use std::time::Duration;

use super::credential::Credential;
use super::lifetimes::Lifetimes;

/// Which rules hold. Plain data: a test changes one field and sees one rule change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The client that is meant by a request without a `client_id`; `None` refuses such a request, as OAuth 2.1 does
    /// (4.1.1). A request that names no client is the article's: it needs no `response_type` and no PKCE, and gets no
    /// refresh token.
    pub unnamed_client: Option<&'static str>,
    /// Whether a request for the dialog without any parameter, and a form with nothing in it but a button, are accepted
    /// as the article's. The redirect then has a code and nothing else. Takes an `unnamed_client`.
    pub bare_dialog: bool,
    /// Whether `/token` reads JSON beside forms. JSON without a `grant_type` redeems a code.
    pub json_at_token: bool,
    /// Whether `Authorization: TOKEN` is accepted beside `Authorization: Bearer TOKEN` (RFC 6750, 2.1). A bad or
    /// missing token is then answered 403, as in the article.
    pub bare_tokens: bool,
    /// Whether there is what an MCP client needs, unless the configuration says otherwise: an MCP server, registration,
    /// and clients whose metadata is a document. The article has none of it.
    pub mcp_by_default: bool,
    /// Whether the documents of clients may only be on the internet. Otherwise a server on loopback also fetches them
    /// from its own machine. Takes `checked_addresses`.
    pub internet_only: bool,

    /// Whether codes and tokens have 264 random bits. Otherwise codes are ten decimal digits, and access tokens fifty,
    /// as in the article. Ten digits are 33 bits, and anyone who tries enough of them has another user's code (RFC
    /// 6749, 10.10).
    pub long_credentials: bool,
    /// Whether a client must send a `code_challenge` and redeem its code with the verifier. Otherwise both are ignored,
    /// and a stolen code can be redeemed by a thief, or injected into the thief's own session with a client (RFC 9700,
    /// 4.5).
    pub pkce: bool,
    /// Whether a `redirect_uri` must be a registered one, character by character. Otherwise it need only begin with
    /// one, or have a host below the registered one: `https://app.example.evil.example/` passes for
    /// `https://app.example`, and gets the code (RFC 9700, 4.1).
    pub exact_redirect: bool,
    /// Whether an error is sent only to a verified redirect URI. Otherwise a link to this server leads wherever its
    /// author likes, under the name that people trust (open redirector; RFC 6749, 4.1.2.1; RFC 9700, 4.11.2).
    pub verified_errors: bool,
    /// Whether the client that the attack lab serves compares the `state` of an answer with that of its own request.
    /// Otherwise an attacker's code, sent to it in the victim's browser, connects the victim to the attacker's account
    /// (login forgery; RFC 6749, 10.12; RFC 9700, 4.7). It is that client's rule; the server only returns the `state`.
    pub state_check: bool,
    /// Whether answers carry `iss` (RFC 9207). Otherwise a client of two servers cannot tell whose answer it got, and
    /// sends one server's code to the other (mix-up; RFC 9700, 4.4).
    pub iss: bool,
    /// Whether the dialog's form must come from this server's own page. Otherwise any page can send it, and its
    /// visitors authorize a client without knowing (cross-site request forgery; RFC 6749, 10.12; RFC 9700, 4.7).
    pub form_origin: bool,
    /// Whether scripts of other origins never act with the cookies that a browser has for this server. Otherwise every
    /// origin is admitted with them: the scripts of any page read the dialog and send its form for their visitors (RFC
    /// 9700, 2.6).
    pub cookieless_cors: bool,
    /// Whether the dialog's answer forbids browsers to show it in a frame. Otherwise another site lays it invisibly
    /// under the pointer, and a click there is a consent (clickjacking; RFC 9700, 4.16).
    pub frame_protection: bool,
    /// Whether a second use of a code ends its grant (RFC 6749, 4.1.2). Otherwise a code from a log or a history gets
    /// tokens until it expires (code replay; RFC 6749, 10.5; RFC 9700, 4.3.1). The earlier access tokens stay valid; a
    /// new refresh token replaces the earlier one.
    pub single_use_codes: bool,
    /// Whether an access token is accepted only in the Authorization field. Otherwise one in the query is, too (RFC
    /// 6750, 2.3). URLs are kept in histories and logs and are sent to other sites in `Referer`, so anyone who reads
    /// one has the token (RFC 9700, 4.2.4 and 4.3.2).
    pub header_tokens_only: bool,
    /// Whether a resource accepts a token only if the token is for it. Otherwise every resource that is handed a token
    /// can use it at all others in its owner's name (token passthrough; RFC 6750, 5.1; RFC 8707, 3; RFC 9700, 2.3 and
    /// 4.9.1).
    pub audience: bool,
    /// Whether the dialog names a client that registered itself, or published its own metadata, by where its answer
    /// goes, and its name only as what it calls itself. Otherwise that name is the heading, as if the operator had
    /// checked it, and a stranger's client looks like the app whose name it takes (RFC 7591, 5; RFC 6749, 10.2).
    pub named_by_host: bool,
    /// Whether a client's document is fetched only from checked addresses. Otherwise a `client_id` makes the server
    /// send a request to whatever it can reach and its author cannot: its own machine, its network, the metadata
    /// service of its cloud (server-side request forgery; Client ID Metadata Document, 8.6).
    pub checked_addresses: bool,
    /// Whether codes and tokens expire. Otherwise one that leaks works for good (RFC 9700, 4.10; RFC 6750, 5.3).
    pub expiry: bool,
    /// Whether each use of a refresh token replaces it. Otherwise a thief and the client use the same one side by side,
    /// and no one notices (RFC 9700, 4.14).
    pub rotation: bool,
    /// Whether a refreshed token can have no more than what was granted. Otherwise anyone with a refresh token gets
    /// every scope that the client is registered for, without asking the resource owner (RFC 6749, 6; RFC 9700,
    /// 4.14.2).
    pub scope_limit: bool,
}

/// The lifetime of what never expires: long enough for a lesson, and far from the largest timestamp.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Profile {
    /// A configured server's: every defence, and nothing is accepted but the standard.
    pub const fn strict() -> Profile {
        Profile {
            unnamed_client: None,
            bare_dialog: false,
            json_at_token: false,
            bare_tokens: false,
            mcp_by_default: false,
            internet_only: false,
            long_credentials: true,
            pkce: true,
            exact_redirect: true,
            verified_errors: true,
            state_check: true,
            iss: true,
            form_origin: true,
            cookieless_cors: true,
            frame_protection: true,
            single_use_codes: true,
            header_tokens_only: true,
            audience: true,
            named_by_host: true,
            checked_addresses: true,
            expiry: true,
            rotation: true,
            scope_limit: true,
        }
    }

    /// The demo's: every defence, and the article's own requests, which mean `unnamed_client`.
    pub const fn demo(unnamed_client: &'static str) -> Profile {
        Profile {
            unnamed_client: Some(unnamed_client),
            bare_dialog: true,
            json_at_token: true,
            bare_tokens: true,
            mcp_by_default: true,
            ..Profile::strict()
        }
    }

    /// The article's, holes and all. Its requests mean `unnamed_client`; its codes work once.
    pub const fn article(unnamed_client: &'static str) -> Profile {
        Profile {
            mcp_by_default: false,
            long_credentials: false,
            pkce: false,
            iss: false,
            form_origin: false,
            frame_protection: false,
            expiry: false,
            ..Profile::demo(unnamed_client)
        }
    }

    /// The same in the attack lab. Its exercises attack an MCP server, and clients that no operator has configured,
    /// whatever rules it begins with. Its server represents one on the internet, to which its own machine is forbidden.
    pub const fn in_lab(self) -> Profile {
        Profile { mcp_by_default: true, internet_only: true, ..self }
    }

    /// Every defence by its name, to be switched.
    pub fn defences(&mut self) -> [(&'static str, &mut bool); 17] {
        [
            ("long_credentials", &mut self.long_credentials),
            ("pkce", &mut self.pkce),
            ("exact_redirect", &mut self.exact_redirect),
            ("verified_errors", &mut self.verified_errors),
            ("state_check", &mut self.state_check),
            ("iss", &mut self.iss),
            ("form_origin", &mut self.form_origin),
            ("cookieless_cors", &mut self.cookieless_cors),
            ("frame_protection", &mut self.frame_protection),
            ("single_use_codes", &mut self.single_use_codes),
            ("header_tokens_only", &mut self.header_tokens_only),
            ("audience", &mut self.audience),
            ("named_by_host", &mut self.named_by_host),
            ("checked_addresses", &mut self.checked_addresses),
            ("expiry", &mut self.expiry),
            ("rotation", &mut self.rotation),
            ("scope_limit", &mut self.scope_limit),
        ]
    }

    /// Parses a code or token that a client presents; `None` if it is malformed.
    pub fn parse(&self, text: &[u8]) -> Option<Credential> {
        let digits = || if self.long_credentials { None } else { Credential::parse_digits(text) };
        Credential::parse(text).or_else(digits)
    }

    /// `code` in the shape that the profile sends.
    pub fn shape(&self, code: Credential) -> Credential {
        if self.long_credentials { code } else { code.to_ten_digits() }
    }

    /// How long codes and tokens are valid under this profile, where `configured` is what responses say. Forms expire
    /// under every profile: a form is part of the dialog, and not of what it grants.
    pub fn lifetimes(&self, configured: &Lifetimes) -> Lifetimes {
        let mut lifetimes = configured.clone();
        if !self.expiry {
            lifetimes.code = NEVER;
            let tokens = &mut lifetimes.tokens;
            (tokens.access_token, tokens.refresh_idle, tokens.refresh) = (NEVER, NEVER, NEVER);
        }
        lifetimes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_accepts_more_and_gives_up_no_defence() {
        let strict = Profile::strict();
        let demo = Profile {
            unnamed_client: None,
            bare_dialog: false,
            json_at_token: false,
            bare_tokens: false,
            mcp_by_default: false,
            ..Profile::demo("app")
        };
        assert_eq!(demo, strict);
    }

    #[test]
    fn every_defence_has_a_name_and_strict_has_them_all() {
        let mut profile = Profile::strict();
        for (name, holds) in profile.defences() {
            assert!(*holds, "{name}");
            *holds = false;
        }
        let off = format!("{profile:?}");
        assert!(!off.contains("true"), "a defence is not in the list: {off}");
    }

    #[test]
    fn what_never_expires_outlives_its_configured_lifetime() {
        let configured = Lifetimes::default();
        let [strict, article] =
            [Profile::strict(), Profile::article("app")].map(|profile| profile.lifetimes(&configured));
        assert_eq!(
            (strict.code, strict.tokens.access_token),
            (configured.code, configured.tokens.access_token)
        );
        let tokens = article.tokens;
        for lifetime in [article.code, tokens.access_token, tokens.refresh_idle, tokens.refresh] {
            assert!(lifetime > Duration::from_secs(50 * 365 * 86_400));
        }
        assert_eq!(article.form, configured.form);
    }
}
