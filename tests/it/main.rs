//! All integration tests in one binary: it is linked once, and the tests of all files run in parallel.
//!
//! So all tests share a process. A test must not change the environment, the current directory or a limit of the
//! process, nor measure its memory, threads or descriptors. A test that needs to starts the program as a child.

#![cfg_attr(
    not(all(feature = "file-store", feature = "redis-store", feature = "wire", feature = "mcp")),
    allow(dead_code, reason = "some of the support is for the tests of what is not compiled in")
)]

mod support;

mod book;
#[cfg(feature = "file-store")]
mod bounds;
mod browser;
mod chapters;
mod cli;
#[cfg(feature = "mcp")]
mod client_documents;
mod clients;
mod conformance;
mod contract;
#[cfg(feature = "file-store")]
mod crashes;
mod dialog;
mod docs;
#[cfg(feature = "docs")]
mod document_pages;
#[cfg(feature = "redis-store")]
mod engine_faults;
#[cfg(feature = "redis-store")]
mod engines;
#[cfg(feature = "file-store")]
mod file_format;
#[cfg(feature = "file-store")]
mod file_store;
mod flow;
mod forwarded;
mod functions;
mod fuzz;
mod grants;
mod health;
mod http;
mod imports;
#[cfg(any(feature = "file-store", feature = "redis-store"))]
mod key_file;
#[cfg(all(feature = "file-store", feature = "redis-store"))]
mod kinds;
#[cfg(feature = "lab")]
mod lab;
mod late_answers;
#[cfg(feature = "redis-store")]
mod locations;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(feature = "mcp")]
mod mcp_clients;
#[cfg(feature = "mcp")]
mod mcp_servers;
mod oauth;
#[cfg(all(feature = "file-store", feature = "redis-store"))]
mod outages;
mod own_clients;
mod profile;
mod refusals;
#[cfg(all(feature = "file-store", feature = "mcp"))]
mod registration;
#[cfg(unix)]
mod reload;
mod resources;
#[cfg(feature = "redis-store")]
mod shared_engine;
mod simulation;
mod slow_work;
mod sockets;
mod starting;
mod step_up;
#[cfg(all(feature = "file-store", feature = "redis-store"))]
mod stores;
mod streams;
mod tidy;
#[cfg(feature = "wire")]
mod wire;
#[cfg(feature = "wire")]
mod wire_view;
#[cfg(feature = "wire")]
mod wire_words;
