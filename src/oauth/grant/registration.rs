//! The limits that a client's registration sets for its grants.
//!
//! A grant was limited by its client's registration when it was made, and the configuration may have changed since.
//! Each operation therefore takes the client as registered now, and gives only what both allow. The record does not
//! change: if a scope is registered again, the grant has it again.

use std::borrow::Cow;

use super::super::client::Client;
use super::super::profile::Profile;
use super::super::scope::Scope;
use super::outcome::Lapse;
use super::state::{Code, Grant};

impl Grant {
    /// The part of `scope`, which is the grant's or narrower, that `client` is still registered for.
    ///
    /// # Errors
    /// [`Lapse`] if `client` has lost the grant type or every name of the scope.
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
        if permitted.is_empty() && !scope.is_empty() { Err(Lapse::Scope) } else { Ok(permitted) }
    }

    /// The scope that `client` gets for `code`.
    ///
    /// # Errors
    /// As for [`Grant::permitted`], and if the redirect URI of the code is no longer registered.
    pub(super) fn redeemable(&self, code: &Code, client: &Client, profile: &Profile) -> Result<Scope, Lapse> {
        if client.has_redirect_uri(&code.binding.redirect_uri, profile) {
            self.permitted(&self.scope, client).map(Cow::into_owned)
        } else {
            Err(Lapse::RedirectUri)
        }
    }

    /// The maximum scope that `client` gets for a refresh token.
    ///
    /// # Errors
    /// As for [`Grant::permitted`], and if the client is no longer registered for refresh tokens.
    pub(super) fn refreshable(&self, client: &Client) -> Result<Scope, Lapse> {
        if client.grant_types.refresh_token {
            self.permitted(&self.scope, client).map(Cow::into_owned)
        } else {
            Err(Lapse::GrantType)
        }
    }
}
