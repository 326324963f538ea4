//! What is decided while a request is answered.
//!
//! A request that waits for the store continues with the notes that it began with, so they belong to its connection
//! and not to one step.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::rule::Rule;
use super::rules;
use crate::oauth::Outcome;
use crate::oauth::grant::Operation;

/// A decision, and the rule that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule.
    pub rule: &'static Rule,
    /// The exact reason of a refusal, as the log has it; empty if the rule says it all.
    pub reason: String,
}

/// The decisions about one request, in the order in which they were made.
#[derive(Default)]
pub struct Notes {
    taken: RefCell<Taken>,
}

/// What was recorded.
#[derive(Default)]
pub struct Taken {
    /// What the store was asked to do last.
    asked: Option<Operation>,
    /// The decisions so far.
    pub decisions: Vec<Decision>,
    /// The client that is named.
    pub client: Option<String>,
    /// Its redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Whether it is an authorization request.
    asks: bool,
}

impl Notes {
    /// The store is asked for `operation`, of a client with this identifier if it is known.
    pub fn ask(&self, operation: Operation, client: Option<&str>) {
        let mut taken = self.taken.borrow_mut();
        taken.asked = Some(operation);
        taken.client = client.map(str::to_owned).or_else(|| taken.client.take());
    }

    /// The store has answered with `outcome`.
    pub fn answer(&self, outcome: &Outcome) {
        let mut taken = self.taken.borrow_mut();
        let rule = taken.asked.take().and_then(|operation| rules::of_outcome(operation, outcome));
        taken.decisions.extend(rule.map(|rule| Decision { rule, reason: String::new() }));
    }

    /// `rule` has decided.
    pub fn decide(&self, rule: &'static Rule) {
        self.taken.borrow_mut().decisions.push(Decision { rule, reason: String::new() });
    }

    /// It is an authorization request.
    pub fn begin_authorization(&self) {
        self.taken.borrow_mut().asks = true;
    }

    /// The request names `client`, which is registered for these redirect URIs.
    pub fn name<'a>(&self, client: &str, redirect_uris: impl Iterator<Item = &'a str>) {
        let mut taken = self.taken.borrow_mut();
        taken.client = Some(client.to_owned());
        taken.redirect_uris = redirect_uris.map(str::to_owned).collect();
    }

    /// Ends the notes, for an answer that has this reason in the log, if it has one.
    ///
    /// The reason belongs to the decision of the store, if that was a refusal; otherwise it is a decision of its own.
    pub fn end(&self, reason: Option<&str>, client: Option<&str>) -> Taken {
        let mut taken = self.taken.take();
        taken.client = client.map(str::to_owned).or(taken.client);
        if let Some(reason) = reason {
            match taken.decisions.last_mut() {
                Some(last) if last.rule.refuses => last.reason = reason.to_owned(),
                _ => taken
                    .decisions
                    .push(Decision { rule: rules::of_reason(reason, taken.asks), reason: reason.to_owned() }),
            }
        }
        taken
    }
}

impl Decision {
    /// The decision as a JSON object.
    pub fn to_json(&self) -> Value {
        let Rule { name, says, section, file, code, line, test, refuses, .. } = self.rule;
        json!({
            "rule": name,
            "says": says,
            "section": section,
            "file": file,
            "line": line,
            "code": code,
            "test": test,
            "refuses": refuses,
            "reason": self.reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::grant::outcome::Mismatch;

    #[test]
    fn the_reason_of_an_answer_belongs_to_the_refusal_of_the_store() {
        let notes = Notes::default();
        notes.ask(Operation::Redeem, Some("app"));
        notes.answer(&Outcome::Burnt(Mismatch::Verifier));
        let taken = notes.end(Some("the verifier is wrong; the code is no longer valid"), None);
        assert_eq!(taken.client.as_deref(), Some("app"));
        let [decision] = &taken.decisions[..] else { panic!("{} decisions", taken.decisions.len()) };
        assert!(decision.rule.refuses && decision.reason.starts_with("the verifier is wrong"));
        assert!(notes.end(None, None).decisions.is_empty(), "the next request begins with none");
    }

    #[test]
    fn a_reason_without_an_outcome_is_found_by_its_words() {
        let notes = Notes::default();
        notes.decide(&rules::PREFLIGHT);
        let taken = notes.end(Some("the Host is not one of this server's names"), Some("app"));
        let names: Vec<&str> = taken.decisions.iter().map(|decision| decision.rule.name).collect();
        assert_eq!(names, [rules::PREFLIGHT.name, "own host only"]);
        assert_eq!(taken.decisions[1].to_json()["refuses"], true);
    }
}
