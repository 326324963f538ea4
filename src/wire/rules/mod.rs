//! All rules, and which of them a decision is by.
//!
//! A transition of the store has a named outcome, and every outcome has a rule (`grant.rs`): the match is exhaustive,
//! so a new outcome does not compile without one. What is refused before the store is asked has a reason in the log, by
//! which its rule is found (`authorization.rs`, `client.rs`, `resource.rs`, `mcp.rs`); a reason without a rule fails
//! the tests, and is shown by itself elsewhere.

mod authorization;
mod client;
mod grant;
mod mcp;
mod registration;
mod resource;

pub use authorization::{ARTICLE_DIALOG, DIALOG};
pub use grant::of_outcome;
pub use registration::REGISTERED;
pub use resource::PREFLIGHT;

use super::rule::Rule;

/// Every rule that a reason in the log can name.
const TABLES: [&[Rule]; 6] = [
    authorization::FORM,
    client::REFUSALS,
    resource::REFUSALS,
    registration::REFUSALS,
    mcp::REFUSALS,
    authorization::REQUEST,
];

/// The rule for a refusal with this reason, of an authorization request (`asks`) or of another one: some words are
/// those of both. Every message without a rule of its own has one in common.
pub fn of_reason(reason: &str, asks: bool) -> &'static Rule {
    let first = if asks { authorization::REQUEST } else { &[] };
    let mut rules = first.iter().chain(TABLES.iter().flat_map(|table| table.iter()));
    rules.find(|rule| rule.is_for(reason)).unwrap_or(&resource::UNKNOWN)
}

/// All rules.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let named = [&ARTICLE_DIALOG, &DIALOG, &PREFLIGHT, &REGISTERED, &resource::UNKNOWN];
    TABLES.iter().flat_map(|table| table.iter()).chain(named).chain(grant::all())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_quotes_a_line_of_the_file_that_it_names() {
        for rule in all() {
            assert!(rule.line > 0, "{}: {} has no line with `{}`", rule.name, rule.file, rule.code);
        }
    }

    #[test]
    fn no_two_rules_have_one_name() {
        let rules: Vec<&Rule> = all().collect();
        let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), rules.len());
    }

    #[test]
    fn every_reason_of_a_rule_leads_back_to_it() {
        for rule in all().filter(|rule| !rule.reason.is_empty()) {
            let reason = rule.reason.replace('*', "x");
            let found = [of_reason(&reason, true), of_reason(&reason, false)];
            assert!(found.contains(&rule), "{}: {reason} leads to {}", rule.name, found[0].name);
        }
    }

    #[test]
    fn every_rule_is_a_sentence_with_a_section() {
        const DOCUMENTS: [&str; 8] = [
            "RFC ",
            "OAuth 2.1, ",
            "Client ID Metadata Document, ",
            "CSP 3, ",
            "Fetch, ",
            "MCP, ",
            "JSON-RPC 2.0, ",
            "the article",
        ];
        for Rule { name, says, section, refuses, reason, .. } in all() {
            assert!(says.ends_with('.') && !says.contains("  "), "{name}: {says}");
            assert!(DOCUMENTS.iter().any(|document| section.starts_with(document)), "{name}: {section}");
            assert!(reason.is_empty() || *refuses, "{name}");
        }
    }
}
