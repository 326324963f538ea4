//! Client libraries that others wrote, through the whole of the standard: the Rust crate `oauth2`, and npm's
//! `oauth4webapi`, which `.ci/run` installs. Where that is not installed, its test says so on the terminal and passes;
//! with
//! `CLIENTS_REQUIRED` set, as CI does, it fails.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::support::TestServer;
use crate::support::standard::{self, CALLBACK, SECRET, decide, get_secure, parameter};
use oauth2::basic::{BasicClient, BasicErrorResponseType};
use oauth2::{
    AccessToken, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RefreshToken, RequestTokenError, RevocationUrl, Scope,
    StandardRevocableToken, TokenIntrospectionResponse, TokenResponse, TokenUrl,
};

const ISSUER: &str = "https://auth.example";

/// Carries a request of the library to the server, as a proxy that speaks TLS would.
fn carry(server: &TestServer, request: &HttpRequest) -> HttpResponse {
    let mut text = format!("{} {} HTTP/1.1\r\nHost: auth.example\r\n", request.method(), request.uri().path());
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().expect("a visible value")));
    }
    let content = std::str::from_utf8(request.body()).expect("a form");
    text.push_str(&format!("Content-Length: {}\r\n\r\n{content}", content.len()));
    let answer = server.answer_to(&text);
    let mut response = oauth2::http::Response::builder().status(answer.status);
    for (name, value) in &answer.fields {
        response = response.header(name, value);
    }
    response.body(answer.body).expect("a response")
}

#[test]
fn the_oauth2_crate_goes_through_the_whole_standard() {
    let server = standard::start_with(|config| {
        config.issuer = oauth_from_scratch::oauth::issuer::Issuer::parse(ISSUER).ok();
    });
    let http = |request: HttpRequest| Ok::<_, std::convert::Infallible>(carry(&server, &request));
    let url = |path: &str| format!("{ISSUER}{path}");
    let client = |id: &str, redirect_uri: &str| {
        BasicClient::new(ClientId::new(id.to_owned()))
            .set_auth_uri(AuthUrl::new(url("/authorize")).unwrap())
            .set_token_uri(TokenUrl::new(url("/token")).unwrap())
            .set_revocation_url(RevocationUrl::new(url("/revoke")).unwrap())
            .set_introspection_url(IntrospectionUrl::new(url("/introspect")).unwrap())
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).unwrap())
    };
    let secret = || ClientSecret::new(SECRET.to_owned());
    let shop = || client("shop", "https://shop.example/callback?tenant=1").set_client_secret(secret());
    let clients = [client("app", CALLBACK), shop(), shop().set_auth_type(oauth2::AuthType::RequestBody)];
    for client in clients {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (address, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("answer".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let location = decide(&server, address.query().expect("a query"), "authorize");
        assert_eq!(parameter(&location, "state"), Some(state.secret().as_str()));
        let code = AuthorizationCode::new(parameter(&location, "code").expect("a code").to_owned());
        let tokens = client.exchange_code(code).set_pkce_verifier(verifier).request(&http).expect("tokens");
        assert_eq!(tokens.scopes().map(Vec::len), Some(1));
        assert_eq!(tokens.expires_in().map(|time| time.as_secs()), Some(86_400));
        assert_eq!(get_secure(&server, tokens.access_token().secret()).status, 200);

        let old = tokens.refresh_token().expect("a refresh token");
        let tokens = client.exchange_refresh_token(old).request(&http).expect("the next tokens");
        let refresh = tokens.refresh_token().expect("its successor").clone();
        assert_ne!(refresh.secret(), old.secret());

        let gate = self::gate(&url).set_client_secret(secret());
        let seen = gate.introspect(tokens.access_token()).request(&http).expect("a description");
        assert!(seen.active());
        assert_eq!(seen.client_id(), Some(client.client_id()));
        let unknown = AccessToken::new("unknown".to_owned());
        assert!(!gate.introspect(&unknown).request(&http).expect("an answer").active());

        let token = StandardRevocableToken::RefreshToken(RefreshToken::new(refresh.secret().clone()));
        client.revoke_token(token).expect("a URL").request(&http).expect("its end");
        let error = client.exchange_refresh_token(&refresh).request(&http).expect_err("it was revoked");
        let RequestTokenError::ServerResponse(error) = error else { panic!("{error:?}") };
        assert_eq!(error.error(), &BasicErrorResponseType::InvalidGrant);
        assert_eq!(get_secure(&server, tokens.access_token().secret()).status, 401);
    }
    let tokens = shop().exchange_client_credentials().request(&http).expect("tokens of its own");
    assert_eq!(get_secure(&server, tokens.access_token().secret()).status, 200);
    let wrong = shop().set_client_secret(ClientSecret::new("wrong".to_owned()));
    let error = wrong.exchange_client_credentials().request(&http).expect_err("a wrong secret");
    let RequestTokenError::ServerResponse(error) = error else { panic!("{error:?}") };
    assert_eq!(error.error(), &BasicErrorResponseType::InvalidClient);
}

/// The resource server.
fn gate(
    url: &dyn Fn(&str) -> String,
) -> BasicClient<
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
> {
    BasicClient::new(ClientId::new("gate".to_owned()))
        .set_introspection_url(IntrospectionUrl::new(url("/introspect")).unwrap())
}

#[test]
fn oauth4webapi_goes_through_the_whole_standard() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("target/clients");
    if !folder.join("node_modules/oauth4webapi").is_dir() {
        let words = "oauth4webapi is not installed in target/clients; .ci/run installs it";
        assert!(std::env::var_os("CLIENTS_REQUIRED").is_none(), "{words}");
        // Past the test runner's capture, which only `print!` and its kind go through.
        let _ = writeln!(std::io::stderr(), "oauth4webapi_goes_through_the_whole_standard: skipped: {words}");
        return;
    }
    let server = standard::start_with(|config| config.issuer = None);
    let script = folder.join("oauth4webapi.mjs");
    std::fs::copy(root.join("tests/clients/oauth4webapi.mjs"), &script).expect("the script beside its library");
    let issuer = format!("http://{}", server.host());
    let output = Command::new("node").arg(&script).args([&issuer, SECRET]).output().expect("node");
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&text), server.log.lines().join("\n"));
}
