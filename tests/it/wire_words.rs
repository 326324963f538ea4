//! The words of the wire view (`www/client-app/wire-words.js`): whatever the server reads or sends is explained.

use std::collections::BTreeSet;
use std::fs;

use crate::support::documents::root;
use crate::support::standard::{
    CALLBACK, SECRET, basic, code, get_dialog, pairs, post_form, redemption, request_of, start_with,
};
use crate::support::{Answer, TestServer};
use oauth_from_scratch::oauth::Scope;
use oauth_from_scratch::oauth::resource::Resource;

/// The names in one table of the words, each with a sentence and a source.
fn words(table: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("www/client-app/wire-words.js")).expect("text");
    let (_, rest) = text.split_once(&format!("export const {table} = {{\n")).expect("the table");
    let (entries, _) = rest.split_once("\n};").expect("its end");
    let joined = entries.replace(",\n    '", ", '").replace("\n    + '", " + '");
    let lines = joined.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"));
    let names: Vec<String> = lines
        .map(|line| {
            let (name, meaning) = line.split_once(": [").unwrap_or_else(|| panic!("an entry: {line}"));
            let (sentence, source) = meaning.rsplit_once(", '").unwrap_or_else(|| panic!("a source: {line}"));
            assert!(sentence.ends_with(".'") && source.len() > 6 && source.ends_with("'],"), "{line}");
            name.trim().trim_matches('\'').to_owned()
        })
        .collect();
    let unique: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(unique.len(), names.len(), "{table}: each name once");
    unique
}

/// The texts in quotes between `begin` and `end` in a file of the source.
fn literals(path: &str, begin: &str, end: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(path)).expect("text");
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{path}: {begin}"));
    let (list, _) = rest.split_once(end).unwrap_or_else(|| panic!("{path}: {end}"));
    let found: Vec<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(!found.is_empty(), "{path}: {begin}");
    found
}

#[test]
fn every_member_that_the_server_reads_has_words() {
    let known = words("PARAMETERS");
    let metadata = "src/routes/request/client_metadata.rs";
    for (path, begin, end) in [
        (metadata, "const DECISIVE: [&str; 6] =", "];"),
        (metadata, "const INFORMATIVE: [&str; 8] = [", "];"),
        ("src/oauth/client_document.rs", "const NAMES: [&str; 11] = [", "];"),
        ("src/routes/request/parameters.rs", "const ALL: [(Name, &'static str); 9] = [", "];"),
        ("src/routes/request/authorization_request.rs", "    AuthorizationRequest {\n", "repeated,"),
        ("src/routes/request/dialog_form.rs", "let (Ok(sealed), Ok(decision)) =", "else"),
    ] {
        for name in literals(path, begin, end) {
            assert!(known.contains(&name), "{path} reads {name}, which has no words");
        }
    }
}

/// `POST` of this JSON, with further field lines.
fn post_json(server: &TestServer, path: &str, fields: &str, content: &str) -> Answer {
    let (host, length) = (server.host(), content.len());
    server.answer_to(&format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{fields}Content-Length: {length}\r\n\r\n{content}"
    ))
}

const METADATA: &str = r#"{"redirect_uris": ["https://app.example/callback"], "client_name": "A",
    "grant_types": ["authorization_code", "refresh_token"], "scope": "answer", "contacts": ["a@app.example"],
    "client_uri": "https://app.example", "logo_uri": "https://app.example/a", "tos_uri": "https://app.example/t",
    "policy_uri": "https://app.example/p", "software_id": "a", "software_version": "1", "application_type": "web"}"#;

/// Every kind of JSON that the server sends, and every kind of answer with fields of its own.
fn answers() -> Vec<Answer> {
    let demo = TestServer::start();
    let get = |server: &TestServer, path: &str, fields: &str| {
        server.answer_to(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", server.host()))
    };
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}"#;
    let mut all = vec![
        get(&demo, "/.well-known/oauth-authorization-server", ""),
        get(&demo, "/.well-known/oauth-protected-resource/mcp", ""),
        post_json(&demo, "/register", "", METADATA),
        post_json(&demo, "/register", "", "{}"),
        post_json(&demo, "/mcp", "", call),
        get(&demo, "/mcp", ""),
        get(&demo, "/readyz", ""),
        get(&demo, "/secure", "Authorization: Bearer x\r\n"),
        get(&demo, "/secure", ""),
        get(&demo, "/", ""),
        post_json(&demo, "/token", "", r#"{"code":"x"}"#),
        demo.answer_to("OPTIONS /token HTTP/1.1\r\nHost: h\r\nOrigin: http://a\r\nAccess-Control-Request-Method: POST\r\n\r\n"),
    ];
    let server = start_with(|config| {
        config.resources = vec![Resource::new("https://a.example", "A", Scope::default()).expect("a resource")];
    });
    let tokens = post_form(&server, "/token", "", &redemption(&code(&server, "app", CALLBACK)));
    let token = tokens.json()["access_token"].as_str().expect("a token").to_owned();
    let gate = basic("gate", SECRET);
    all.push(post_form(&server, "/introspect", &gate, &pairs(&[("token", &token)])));
    assert!(all.last().is_some_and(|answer| answer.text().contains("\"aud\"")), "{all:?}");
    all.push(post_form(&server, "/introspect", &gate, "token=x"));
    all.push(post_form(&server, "/introspect", "", "token=x"));
    all.push(get_dialog(&server, &request_of("app", CALLBACK), None));
    all.extend([tokens, get(&server, "/secure", &format!("Authorization: Bearer {token}\r\n"))]);
    all
}

#[test]
fn every_member_and_field_that_the_server_sends_has_words() {
    let (members, fields) = (words("PARAMETERS"), words("FIELDS"));
    let mut count = 0;
    for answer in answers() {
        for (name, _) in &answer.fields {
            assert!(fields.contains(name), "the field {name} has no words: {answer:?}");
        }
        if answer.field("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
            for name in answer.json().as_object().expect("an object").keys() {
                assert!(members.contains(name), "the member {name} has no words: {}", answer.text());
                count += 1;
            }
        }
    }
    assert!(count > 60, "the answers are not empty: {count}");
}
