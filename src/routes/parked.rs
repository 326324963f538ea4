//! A request that waits for the store, for the pool, or for its time, and how it goes on.

use std::sync::Arc;
use std::time::Duration;

use super::work::{Then, Work};
use super::{Reply, Routes, code, cors, health, introspect, json, revoke, secure, token};
use crate::config::Limits;
use crate::http::{Request, Response, Status};
use crate::oauth::Timestamp;
use crate::pool::PoolError;
use crate::store::{Applied, Caller, StoreError};

/// What is left to say once the store has answered. What is large is boxed, for this is passed on a few times.
pub(super) enum Continuation {
    Code(Box<code::Pending>),
    Token(Box<token::Pending>),
    Secure(secure::Scheme),
    Revoke,
    Introspect,
    Ready,
}

/// The answer to a request, or what is left to do for it.
pub enum Answer {
    /// This is it.
    Ready(Response),
    /// The store or the pool takes its time; [`Routes::resume`] goes on when there is a letter from it.
    Parked(Parked),
}

/// A request whose transition is with the store, whose work is with the pool, or whose answer is put off.
pub struct Parked {
    wait: Wait,
    cors: Option<&'static cors::Policy>,
    /// The client that the request comes from, where the log wants it.
    client: Option<Arc<str>>,
}

enum Wait {
    Store(Continuation),
    Pool(Then),
    Time(Response, Duration),
}

/// What a request has waited for.
pub enum Letter {
    /// The store has applied the transition, or not.
    Applied(Applied),
    /// The pool has ended the work.
    Done,
    /// There was no letter in time.
    TimedOut,
}

impl Parked {
    /// Whether it waits for the store, which may have applied its transition by now.
    pub fn waits_for_store(&self) -> bool {
        matches!(self.wait, Wait::Store(_))
    }

    /// How long the request may wait.
    pub fn time_max(&self, limits: &Limits) -> Duration {
        match self.wait {
            Wait::Store(_) => limits.store_time_max,
            Wait::Pool(_) => limits.pool_time_max,
            Wait::Time(_, delay) => delay,
        }
    }
}

impl Routes {
    /// Goes on with the `request` that was `parked`, now that there is a letter for it. It may have to be parked again.
    pub fn resume(
        &self,
        parked: Parked,
        letter: Letter,
        request: &Request,
        now: Timestamp,
        caller: Caller,
    ) -> Answer {
        let Parked { wait, cors, client } = parked;
        let reply = match (wait, letter) {
            (Wait::Store(continuation), Letter::Applied(applied)) => {
                Reply::Now(self.conclude(continuation, applied))
            }
            (Wait::Store(continuation), Letter::TimedOut | Letter::Done) => {
                Reply::Now(self.conclude(continuation, Err(StoreError::TimedOut)))
            }
            (Wait::Pool(then), Letter::Done) => then(self, request),
            (Wait::Time(response, _), _) => Reply::Now(response),
            (Wait::Pool(_), Letter::TimedOut | Letter::Applied(_)) => {
                Reply::Now(work_unavailable("slow work for the request was not done in time"))
            }
        };
        match self.advance(reply, cors, now, caller) {
            Answer::Ready(response) if client.is_some() => Answer::Ready(response.of_client(client)),
            answer => answer,
        }
    }

    /// Does what a reply asks for, as far as this needs no waiting.
    pub(super) fn advance(
        &self,
        reply: Reply,
        cors: Option<&'static cors::Policy>,
        now: Timestamp,
        caller: Caller,
    ) -> Answer {
        let response = match reply {
            Reply::Now(response) => response,
            Reply::Later(response, Duration::ZERO) => response,
            Reply::Later(response, delay) => {
                return Answer::Parked(Parked { wait: Wait::Time(response, delay), cors, client: None });
            }
            Reply::After(transition, continuation) => {
                let client = if self.names_clients { transition.client().cloned() } else { None };
                match self.lasting.store.submit(transition, now, caller) {
                    Some(applied) => self.conclude(continuation, applied).of_client(client),
                    None => return Answer::Parked(Parked { wait: Wait::Store(continuation), cors, client }),
                }
            }
            Reply::Work(Work { kind, owner, work, then }) => {
                match self.lasting.pool.submit(kind, owner, work, caller).map_err(PoolError::as_str) {
                    Ok(()) => return Answer::Parked(Parked { wait: Wait::Pool(then), cors, client: None }),
                    Err(reason) => work_unavailable(reason),
                }
            }
        };
        Answer::Ready(cors::allow(response, cors))
    }

    /// The answer to a request whose transition the store has `applied`, or not.
    fn conclude(&self, continuation: Continuation, applied: Applied) -> Response {
        match continuation {
            Continuation::Code(pending) => code::answer(self, &pending, applied),
            Continuation::Token(pending) => token::answer(self, *pending, applied),
            Continuation::Secure(scheme) => secure::answer(self, scheme, applied),
            Continuation::Revoke => revoke::answer(applied),
            Continuation::Introspect => introspect::answer(self, applied),
            Continuation::Ready => health::answer(applied),
        }
    }
}

/// The answer where the pool has no room for a request's work, or has not done it in time.
fn work_unavailable(reason: &'static str) -> Response {
    let refusal = json::Refusal {
        status: Status::ServiceUnavailable,
        description: Some("the server is too busy to authenticate the client; try again"),
        ..json::Refusal::new("temporarily_unavailable", reason)
    };
    refusal.into_answer()
}
