//! The documents of clients in a configuration file: pinned, so that they are never fetched.

use super::Config;
use super::toml_reader::{FileError, Mistakes, Table, Value};
use crate::oauth::Scope;
use crate::oauth::client::{Client, ClientOrigin};
use crate::oauth::client_document;
use crate::oauth::document_url::DocumentUrl;

/// Reads the tables `[[client_documents]]`. The operator has read these documents, so their clients are configured
/// clients; they may ask for the scopes of `config`. A document with a mistake in it is left out.
pub(super) fn read_documents(tables: Vec<Table>, config: &Config, mistakes: &mut Mistakes) -> Vec<Client> {
    let names: Vec<&str> = config.scopes.iter().map(|(name, _)| &**name).collect();
    let offered = Scope::parse(&names.join(" ")).unwrap_or_default();
    let mut clients: Vec<Client> = Vec::new();
    for mut table in tables {
        let url = required(&mut table, "url", mistakes);
        let document = required(&mut table, "document", mistakes);
        mistakes.note_all(table.end("url and document"));
        let (Some(url), Some(document)) = (url, document) else { continue };
        let is_taken = |id: &str| config.clients.iter().chain(&clients).any(|client| &*client.id == id);
        let client = read_document(&url, &document, &offered, is_taken);
        clients.extend(mistakes.check(client));
    }
    clients
}

fn required<'a>(table: &mut Table<'a>, key: &'static str, mistakes: &mut Mistakes) -> Option<Value<'a>> {
    let value = table.take(key);
    if value.is_none() {
        mistakes.note(table.error(format!("the document has no {key}; add one")));
    }
    value
}

fn read_document(
    url: &Value,
    document: &Value,
    offered: &Scope,
    is_taken: impl Fn(&str) -> bool,
) -> Result<Client, FileError> {
    let text = url.string()?;
    // Nothing is fetched, so loopback is no danger.
    let Some(parsed) = DocumentUrl::parse(text, true) else {
        return Err(url.error(format_args!(
            "{text:?} is not the URL of a document; give https, a host and a path, without a fragment, . and .."
        )));
    };
    if is_taken(text) {
        return Err(url.error(format_args!("another client has the id {text:?}; ids must be unique")));
    }
    let client = client_document::read(&parsed, document.string()?.as_bytes(), offered);
    let client = client
        .map_err(|error| document.error(format_args!("the document of {text:?} is not valid: {error}")))?;
    Ok(Client { origin: ClientOrigin::Configured, ..client })
}

#[cfg(feature = "mcp")]
#[cfg(test)]
mod tests {
    use crate::config::{Config, Mistakes, read};
    use crate::oauth::client::ClientOrigin;

    const URL: &str = "https://app.example/client.json";

    fn pinned(url: &str, document: &str) -> Result<Config, Mistakes> {
        let scopes = "[scopes]\nread = \"Read.\"\n\n";
        read(&format!("{scopes}[[client_documents]]\nurl = \"{url}\"\ndocument = '''{document}'''\n"), 1)
    }

    fn document(members: &str) -> String {
        format!(r#"{{"client_id":"{URL}","redirect_uris":["https://app.example/cb"]{members}}}"#)
    }

    #[test]
    fn a_pinned_document_is_a_configured_client() {
        let config = pinned(URL, &document(r#","client_name":"App""#)).unwrap();
        let client = &config.clients[0];
        assert_eq!((&*client.id, client.name.as_str(), client.scope.as_str()), (URL, "App", "read"));
        assert_eq!(client.origin, ClientOrigin::Configured);
    }

    #[test]
    fn a_mistake_in_a_pinned_document_is_named_by_its_line() {
        let check = |url: &str, document: &str, line: usize, words: &str| {
            let mistakes = pinned(url, document).unwrap_err().to_string();
            assert!(mistakes.starts_with(&format!("line {line}: ")) && mistakes.contains(words), "{mistakes}");
        };
        check("https://app.example", &document(""), 5, "is not the URL of a document");
        check("https://other.example/c", &document(""), 6, "byte for byte");
        check(URL, "{", 6, "not a JSON object");
        check(URL, &document(r#","client_secret":"s""#), 6, "shared secret");
        let missing = read("[[client_documents]]\n", 1).unwrap_err().to_string();
        assert!(missing.contains("no url") && missing.contains("no document"), "{missing}");
        let twice = format!(
            "[[clients]]\nid = \"{URL}\"\nname = \"A\"\nredirect_uris = [\"https://a.example/\"]\n\n\
             [[client_documents]]\nurl = \"{URL}\"\ndocument = '{}'\n",
            document("")
        );
        let mistakes = read(&twice, 1).unwrap_err().to_string();
        assert!(mistakes.contains("line 7: ") && mistakes.contains("must be unique"), "{mistakes}");
    }
}
