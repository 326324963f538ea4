//! The documents as pages of the client app: each of them is there, its links lead somewhere, and it loads nothing from
//! another host.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::documents::documents;
use crate::support::{Answer, TestServer};

fn get(server: &TestServer, path: &str, fields: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    server.connect_to_client_app().answer_to(&request)
}

/// The values of the attribute `name` in `html`, with the character references that the pages have in them.
fn attributes(html: &str, name: &str) -> Vec<String> {
    let begin = format!(" {name}=\"");
    let values = html.split(&begin).skip(1).filter_map(|rest| rest.split('"').next());
    values.map(|value| value.replace("&amp;", "&")).collect()
}

/// The pages of all documents, by their path on the server.
fn pages(server: &TestServer) -> BTreeMap<String, String> {
    let paths = documents().into_iter().filter_map(|(file, _)| {
        let name = file.strip_prefix("docs/")?.strip_suffix(".md")?.to_owned();
        Some(if name == "README" { "/docs".to_owned() } else { format!("/docs/{name}") })
    });
    let page = |path: String| {
        let answer = get(server, &path, "");
        assert_eq!(
            answer.status, 200,
            "{path} is not served; src/routes/reply/documents/list.rs lists the documents"
        );
        (path, answer.text().to_owned())
    };
    paths.map(page).collect()
}

#[test]
fn every_document_is_a_page_and_the_contents_lead_to_it() {
    let server = TestServer::start();
    let pages = pages(&server);
    let linked: BTreeSet<String> = attributes(&pages["/docs"], "href")
        .into_iter()
        .map(|target| target.split('#').next().unwrap_or_default().to_owned())
        .collect();
    for (path, page) in &pages {
        assert!(page.contains("<title>") && page.contains("<h1 "), "{path}: {page}");
        assert!(!page.contains("{{document") && !page.contains("<title></title>"), "{path}");
        assert!(linked.contains(path), "docs/README.md has no link to {path}");
    }
}

#[test]
fn every_link_of_a_document_leads_to_what_is_served() {
    let server = TestServer::start();
    let pages = pages(&server);
    let origin = format!("http://localhost:{}", server.client_app.port());
    let mut checked = 0;
    for (path, page) in &pages {
        for target in [attributes(page, "href"), attributes(page, "src")].concat() {
            let inner = target.strip_prefix(&origin).unwrap_or(&target);
            if inner.contains("://") {
                continue;
            }
            let (to, fragment) = inner.split_once('#').unwrap_or((inner, ""));
            let to = if to.is_empty() { path } else { to };
            let answer = pages.get(to).cloned().unwrap_or_else(|| {
                let answer = get(&server, to, "");
                assert_eq!(answer.status, 200, "{path}: {target}");
                String::from_utf8_lossy(&answer.body).into_owned()
            });
            let is_there = fragment.is_empty() || attributes(&answer, "id").iter().any(|id| id == fragment);
            assert!(is_there, "{path}: {target}: there is no such section");
            checked += 1;
        }
    }
    assert!(checked > 500, "links are found: {checked}");
}

#[test]
fn a_document_loads_and_runs_nothing_from_elsewhere() {
    let server = TestServer::start();
    for (path, page) in pages(&server) {
        let loads = attributes(&page, "src").into_iter().chain(
            page.split("<link ")
                .skip(1)
                .flat_map(|link| attributes(link.split('>').next().unwrap_or(link), "href")),
        );
        // A shorter element than `<link rel=… href=…>` has its attribute after a space, too.
        loads.for_each(|target| assert!(target.starts_with('/'), "{path}: {target}"));
        for word in ["<script", "<style", " style=\"", "<iframe", "<form", "javascript:", " onclick=\""] {
            assert!(!page.contains(word), "{path}: {word}");
        }
        let answer = get(&server, &path, "");
        let policy = answer.field("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self'; base-uri"),
            "{policy}"
        );
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn a_document_is_validated_and_unknown_paths_are_not_found() {
    let server = TestServer::start();
    for path in ["/docs", "/docs/2-the-flow", "/docs/build/5-cors", "/docs/img/servers.svg"] {
        let answer = get(&server, path, "");
        let etag = answer.field("etag").expect("a validator").to_owned();
        assert_eq!((answer.status, answer.field("cache-control")), (200, Some("no-cache")), "{path}");
        let again = get(&server, path, &format!("If-None-Match: {etag}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let head =
            server.connect_to_client_app().answer_to(&format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(
            (head.status, head.field("content-length")),
            (200, answer.field("content-length")),
            "{path}"
        );
        let request = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        let post = server.connect_to_client_app().answer_to(&request);
        assert_eq!((post.status, post.field("allow")), (405, Some("GET, HEAD")), "{path}");
    }
    for path in ["/docs/", "/docs/README", "/docs/nothing", "/docs/2-the-flow.md", "/docs/../Cargo.toml"] {
        assert_eq!(get(&server, path, "").status, 404, "{path}");
    }
    let answer = server.answer_to("GET /docs HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.status, 404, "they are the client app's");
}

#[test]
fn both_first_pages_lead_to_the_documents_where_there_are_some() {
    let with = TestServer::start();
    let origin = format!("http://localhost:{}", with.client_app.port());
    let links = ["/docs", "/docs/try-your-own-client"].map(|path| format!("href=\"{origin}{path}\""));
    let welcome = with.answer_to("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    for page in [get(&with, "/", "").text(), welcome.text()] {
        links.iter().for_each(|link| assert!(page.contains(link), "{link}: {page}"));
    }
    let without = crate::support::standard::start();
    let welcome = without.answer_to("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(!welcome.text().contains("/docs"), "{}", welcome.text());
}
