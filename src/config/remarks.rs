//! Warnings at every start about a configuration that is valid but may surprise.

use super::Config;

/// Scopes that OpenID Connect defines (Core 1.0, 5.4 and 11), with what clients expect from them.
const EXPECTED: &[(&str, &str)] = &[
    ("profile", "claims about a person at a UserInfo endpoint, which this server does not have"),
    ("email", "claims about a person at a UserInfo endpoint, which this server does not have"),
    ("address", "claims about a person at a UserInfo endpoint, which this server does not have"),
    ("phone", "claims about a person at a UserInfo endpoint, which this server does not have"),
    (
        "offline_access",
        "a refresh token; this server issues one with the grant type refresh_token, with or without this scope",
    ),
];

impl Config {
    /// Describes what may surprise about this configuration, one sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for (name, _) in &self.scopes {
            if let Some((_, expected)) = EXPECTED.iter().find(|(known, _)| **known == **name) {
                remarks.push(format!("the scope {name}: clients of OpenID Connect expect {expected}"));
            }
        }
        for client in &self.clients {
            for uri in client.redirect_uris.iter().filter(|uri| uri.may_be_claimed_by_another_app()) {
                remarks.push(format!(
                    "the client {:?}: the redirect URI {} has a scheme without a period; another app on the same \
                     device may register the same scheme and get the code (RFC 8252, 7.1 and 8.4). Prefer https or a \
                     scheme based on the app's own domain, such as com.example.app",
                    client.id,
                    uri.as_str()
                ));
            }
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[test]
    fn what_may_be_served_and_may_surprise_is_told() {
        let file = |scope: &str, uri: &str| {
            format!(
                "[scopes]\n{scope} = \"Do it.\"\n[[clients]]\nid = \"app\"\nname = \"App\"\nredirect_uris = [\"{uri}\"]"
            )
        };
        let check = |scope: &str, uri: &str, words: &[&str]| {
            let remarks = read(&file(scope, uri), 1).unwrap().remarks();
            assert_eq!(remarks.len(), words.len(), "{remarks:?}");
            remarks.iter().zip(words).for_each(|(remark, words)| assert!(remark.contains(words), "{remark}"));
        };
        check("read", "https://app.example/cb", &[]);
        check("read", "com.example.app:/cb", &[]);
        check(
            "read",
            "vscode://publisher.extension/cb",
            &["vscode://publisher.extension/cb has a scheme without"],
        );
        check("profile", "cursor:/cb", &["the scope profile: clients of OpenID Connect expect", "cursor:/cb"]);
        check("offline_access", "https://app.example/cb", &["the grant type refresh_token"]);
    }
}
