//! Where a link of a document leads on the server: the files of `docs` have other paths there, and those of the source
//! have none.

use super::list::{Document, PICTURES};

/// Where a link or picture of a document leads.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// A place on the server, or another server: the value for `href` or `src`.
    Url(String),
    /// A file of the project that is not served: its path from the root.
    File(String),
}

/// Resolves `target`, as it is written in the document that is called `name`.
pub(super) fn resolve(name: &str, target: &str) -> Target {
    let (path, fragment) = target.split_once('#').map_or((target, None), |(path, rest)| (path, Some(rest)));
    // Another server (RFC 3986, 3.1), or a place in the same document.
    if path.is_empty() || path.contains(':') {
        return Target::Url(target.to_owned());
    }
    let file = from_root(name, path);
    let served = file.strip_prefix("docs/").and_then(|file| {
        let document = Document::ALL.iter().find(|document| file.strip_suffix(".md") == Some(document.name));
        let picture = || PICTURES.iter().find(|picture| picture.name == file);
        document.map(Document::path).or_else(|| picture().map(|picture| format!("/docs/{}", picture.name)))
    });
    match (served, fragment) {
        (Some(path), Some(fragment)) => Target::Url(format!("{path}#{fragment}")),
        (Some(path), None) => Target::Url(path),
        (None, _) => Target::File(file),
    }
}

/// `path`, relative to the document, as a path from the root of the project.
fn from_root(name: &str, path: &str) -> String {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut segments = vec!["docs"];
    for segment in folder.split('/').chain(path.split('/')) {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages_and_source_files_nowhere() {
        let url = |url: &str| Target::Url(url.to_owned());
        let file = |path: &str| Target::File(path.to_owned());
        let cases = [
            ("README", "build/5-cors.md", url("/docs/build/5-cors")),
            ("build/5-cors", "../10-pkce.md#the-rule", url("/docs/10-pkce#the-rule")),
            ("build/5-cors", "6-the-forged-form.md", url("/docs/build/6-the-forged-form")),
            ("build/5-cors", "../README.md", url("/docs")),
            ("1-run-it", "#here", url("#here")),
            ("1-run-it", "https://a.example/b#c", url("https://a.example/b#c")),
            ("14-several-servers", "img/servers.svg", url("/docs/img/servers.svg")),
            ("speed", "../tests/bench/floor.rs", file("tests/bench/floor.rs")),
            ("build/3-http-from-bytes", "stages/3/", file("docs/build/stages/3")),
            ("reference", "example.toml", file("docs/example.toml")),
            ("1-run-it", "../README.md", file("README.md")),
            ("1-run-it", "../../../etc/passwd", file("etc/passwd")),
        ];
        for (name, target, expected) in cases {
            assert_eq!(resolve(name, target), expected, "{name}: {target}");
        }
    }
}
