//! Reading requests: parameters and forms, and proof of which client, browser or page a request comes from.

pub(crate) mod allowed_cookie;
pub(crate) mod authorization_request;
pub(crate) mod bearer;
pub(crate) mod client_authentication;
pub(crate) mod client_metadata;
pub(crate) mod dialog_form;
pub(crate) mod document_client;
pub(crate) mod json_object;
pub(crate) mod parameters;
pub(crate) mod peer_rate;
pub(crate) mod session;
