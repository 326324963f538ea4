//! The resources that a token request asks for, which are at most those of the grant (RFC 8707, 2.2).
//!
//! The grant was made when its resources were configured, and the configuration may have changed since. A token is for
//! those that still are.

use std::sync::Arc;

use super::super::resource::{Audience, Resources};
use super::outcome::{Lapse, Outcome};

/// What a token request says of resources.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// The resources that it names; `None` for all of the grant.
    pub(super) asked: Option<Audience>,
    /// Those that are configured now; `None` if all of the grant's are.
    pub(super) resources: Option<Arc<Resources>>,
}

impl Target {
    pub(super) fn new(asked: Option<Audience>, resources: &Arc<Resources>) -> Target {
        Target { asked, resources: Some(Arc::clone(resources)) }
    }

    /// The audience of a token of a grant with the audience `granted`.
    ///
    /// # Errors
    /// The outcome, if the request names a resource that was not granted, or none that was granted is left.
    pub(super) fn within(&self, granted: &Audience) -> Result<Audience, Outcome> {
        let asked = self.asked.as_ref().unwrap_or(granted);
        if let Some(uri) = asked.first_beyond(granted) {
            return Err(Outcome::OtherTarget { uri: Arc::clone(uri) });
        }
        match &self.resources {
            Some(resources) => configured(asked, resources).map_err(Outcome::Lapsed),
            None => Ok(asked.clone()),
        }
    }
}

/// The part of `audience` that is still configured.
///
/// # Errors
/// [`Lapse::Resource`] if it named resources and none is left. An empty audience would be for other places.
pub(super) fn configured(audience: &Audience, resources: &Resources) -> Result<Audience, Lapse> {
    let left = audience.restricted_to(resources);
    if left.is_empty() && !audience.is_empty() { Err(Lapse::Resource) } else { Ok(left.into_owned()) }
}
