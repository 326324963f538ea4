//! What a request says: its parameters, the client and the browser that it comes from.

pub(crate) mod authorization_request;
pub(crate) mod client_authentication;
pub(crate) mod dialog_form;
pub(crate) mod guesses;
pub(crate) mod parameters;
pub(crate) mod session;
