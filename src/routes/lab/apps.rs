//! The apps of the exercises: two of the victim's, and one of the attacker's; and the attacker's resource.
//!
//! On one machine all sites have the same host, but for names below `localhost`: browsers take each of them for another
//! site on this machine (RFC 6761, 6.3). So the victim's shop is a site of its own, though the port of the attacker's
//! site serves its pages.

use crate::oauth::Scope;
use crate::oauth::client::{Client, ClientOrigin, GrantTypes};
use crate::oauth::redirect::RedirectUri;
use crate::oauth::resource::{DefaultResource, Resource};

/// The `client_id` of the app whose redirect URI the attacker imitates. Nothing listens there.
pub const APP: &str = "victims-app";

/// Its redirect URI.
pub(crate) const REDIRECT_URI: &str = "http://app.localhost";

/// The `client_id` of the app whose pages the lab serves. It has a shop's mistakes.
pub const SHOP: &str = "victims-shop";

/// The `client_id` of the attacker's own app.
pub const ATTACKERS_APP: &str = "free-games";

/// Where the attacker's resource is on the attacker's site. It is an MCP server that tells the weather.
pub(crate) const WEATHER_PATH: &str = "/weather";

/// The attacker's resource, for a lab whose attacker's site is `lab`. An operator has configured it for the shop.
pub(crate) fn resource(lab: &str) -> Option<Resource> {
    // Never `None`: the address of a site is a URI.
    Resource::new(&format!("{lab}{WEATHER_PATH}"), "Free Weather", Scope::default()).ok()
}

/// The clients, for a lab whose attacker's site is `lab`. They may have what `scope` lists.
pub(crate) fn clients(scope: &Scope, lab: &str) -> [Client; 3] {
    let below_app = format!("{}/app/", below(lab, "app"));
    [
        client(APP, "The Victim's App", &[REDIRECT_URI, &below_app], scope),
        client(SHOP, "The Victim's Shop", &[&format!("{}/shop-callback.html", shop_origin(lab))], scope),
        client(ATTACKERS_APP, "Free Games", &[&format!("{lab}/caught.html")], scope),
    ]
}

fn client(id: &str, name: &str, redirect_uris: &[&str], scope: &Scope) -> Client {
    Client {
        id: id.into(),
        origin: ClientOrigin::Configured,
        name: name.to_owned(),
        redirect_uris: redirect_uris.iter().map(|uri| RedirectUri::of_client_app(uri)).collect(),
        secret: None,
        grant_types: GrantTypes { authorization_code: true, refresh_token: true, client_credentials: false },
        scope: scope.clone(),
        default_scope: None,
        inspects_all: false,
        default_resource: DefaultResource::Nothing,
    }
}

/// The origin of the victim's shop, for a lab whose attacker's site is `lab`.
pub(crate) fn shop_origin(lab: &str) -> String {
    below(lab, "shop")
}

/// The origin `lab`, under a name below its host.
fn below(lab: &str, name: &str) -> String {
    lab.replacen("://", &format!("://{name}."), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_app_has_a_site_of_its_own() {
        let uris: Vec<String> = clients(&Scope::default(), "http://localhost:3002")
            .iter()
            .flat_map(|client| client.redirect_uris.iter().map(|uri| uri.as_str().to_owned()))
            .collect();
        assert_eq!(
            uris,
            [
                "http://app.localhost",
                "http://app.localhost:3002/app/",
                "http://shop.localhost:3002/shop-callback.html",
                "http://localhost:3002/caught.html",
            ]
        );
    }
}
