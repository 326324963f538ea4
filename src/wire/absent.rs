//! The wire view of a program that is built without one (without the feature `wire`).
//!
//! [`Wire`], [`Tap`] and [`Notes`] have no values here. So the compiler removes every branch that would record
//! something, and the rest of the program needs no condition. `config/wire.rs` refuses the flags that ask for a view.

use std::net::IpAddr;
use std::sync::Arc;

use crate::log::Log;
use crate::oauth::Outcome;
use crate::oauth::grant::Operation;
use crate::system::System;

// Endpoints name them. As no decision is recorded, none of them is in the program.
#[path = "rule.rs"]
pub mod rule;
#[path = "rules/mod.rs"]
pub mod rules;

pub use rule::Rule;

/// The wire view of one process, which has none.
pub enum Wire {}

impl Wire {
    /// There is none.
    pub fn open(_is_wanted: bool, _system: &Arc<dyn System>) -> Option<Arc<Wire>> {
        None
    }

    /// Never called.
    pub fn print_to(&self, _log: Log) {
        match *self {}
    }
}

/// Which of the servers a request came to.
pub enum Server {
    /// The client app.
    ClientApp,
    /// The authorization server.
    AuthorizationServer,
    /// The attack lab.
    Lab,
}

/// The tap of one connection, which has none.
pub enum Tap {}

impl Tap {
    /// Never called: there is no `wire`.
    pub fn new(wire: &Arc<Wire>, _server: Server, _peer: IpAddr) -> Box<Tap> {
        match **wire {}
    }

    /// Never called.
    pub fn read(&mut self, _bytes: &[u8]) {
        match *self {}
    }

    /// Never called.
    pub fn begin(&mut self, _rest: &[u8]) {
        match *self {}
    }

    /// Never called.
    pub fn notes(&self) -> &Notes {
        match *self {}
    }

    /// Never called.
    pub fn answer(&mut self, _bytes: &[u8], _reason: Option<&str>, _client: Option<&str>) {
        match *self {}
    }
}

/// The decisions about one request, which are not recorded.
pub enum Notes {}

impl Notes {
    /// Never called.
    pub fn ask(&self, _operation: Operation, _client: Option<&str>) {
        match *self {}
    }

    /// Never called.
    pub fn answer(&self, _outcome: &Outcome) {
        match *self {}
    }

    /// Never called.
    pub fn decide(&self, _rule: &'static Rule) {
        match *self {}
    }

    /// Never called.
    pub fn begin_authorization(&self) {
        match *self {}
    }

    /// Never called.
    pub fn name<'a>(&self, _client: &str, _redirect_uris: impl Iterator<Item = &'a str>) {
        match *self {}
    }
}
