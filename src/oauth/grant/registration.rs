//! What the registration of a client leaves of its grants.
//!
//! A grant holds what its client was registered for when the grant was made. The configuration may have changed
//! since then. Each operation therefore takes the client as it is registered now, and gives no more than both
//! allow. The record keeps what was granted: a client that is registered for a scope again has it again.

use std::borrow::Cow;

use super::super::client::Client;
use super::super::scope::Scope;
use super::outcome::Lapse;
use super::state::{Code, Grant};

impl Grant {
    /// The part of `scope`, which is the grant's or narrower, that `client` may still have.
    ///
    /// # Errors
    /// [`Lapse`] where `client` may not use the grant at all: it has lost the grant type, or every scope of it.
    pub(super) fn permitted<'a>(&self, scope: &'a Scope, client: &Client) -> Result<Cow<'a, Scope>, Lapse> {
        let grant_types = client.grant_types;
        let has_grant_type = match self.subject {
            Some(_) => grant_types.authorization_code,
            None => grant_types.client_credentials,
        };
        if !has_grant_type {
            return Err(Lapse::GrantType);
        }
        let permitted = scope.restricted_to(&client.scope);
        match permitted.is_empty() && !scope.is_empty() {
            true => Err(Lapse::Scope),
            false => Ok(permitted),
        }
    }

    /// What `client` may still get for `code`.
    ///
    /// # Errors
    /// As [`Grant::permitted`], and where the redirect URI of the code is not the client's any more.
    pub(super) fn redeemable(&self, code: &Code, client: &Client) -> Result<Scope, Lapse> {
        match client.has_redirect_uri(&code.binding.redirect_uri) {
            true => self.permitted(&self.scope, client).map(Cow::into_owned),
            false => Err(Lapse::RedirectUri),
        }
    }

    /// What `client` may still get for a refresh token.
    ///
    /// # Errors
    /// As [`Grant::permitted`], and where the client may not refresh any more.
    pub(super) fn refreshable(&self, client: &Client) -> Result<Scope, Lapse> {
        match client.grant_types.refresh_token {
            true => self.permitted(&self.scope, client).map(Cow::into_owned),
            false => Err(Lapse::GrantType),
        }
    }
}
