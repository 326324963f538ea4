//! A small, strict OAuth authorization server from the socket up, made to be read.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod http;
pub mod log;
pub mod net;
pub mod oauth;
pub mod routes;
pub mod store;
pub mod system;
