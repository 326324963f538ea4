//! Reloading the configuration while the server runs: which changes take effect, and which need a restart.
//!
//! Sockets, threads and the store are created once, at startup. Their keys keep the running values, and a line names
//! each one that differs in the file. All other changes take effect at once. `reload/keys.rs` says it of each key.

mod keys;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use self::keys::Effect::{Now, Restart};
use self::keys::{lifetimes, limits, settings};
use super::{Config, Limits};
use crate::net::Reread;
use crate::oauth::client::Client;
use crate::{net, routes};

/// The most identifiers that a line lists; the rest are counted.
const LISTED_MAX: usize = 20;

/// The outcome of [`Config::reload`].
#[derive(Debug)]
pub struct Reload {
    /// The configuration to use from now on.
    pub config: Config,
    /// One line per group of changes that take effect.
    pub changes: Vec<String>,
    /// One line per changed key that needs a restart.
    pub restarts: Vec<String>,
}

impl Config {
    /// Compares this running configuration with `read`, the new one, which has passed [`Config::check`]. The result has
    /// the values of `read`, except for keys that need a restart.
    pub fn reload(&self, mut read: Config) -> Reload {
        let (mut changes, mut restarts) = (Vec::new(), Vec::new());
        // The file has keys for it, but they are not in use before a restart.
        if read.registration == Some(true) && !self.has_lasting_keys() {
            restarts.push("registration needs a restart, as keys does".to_owned());
            read.registration = self.registration;
        }
        changes.extend(changed_ids(
            "clients",
            &ids(&self.clients, |client| &client.id),
            &ids(&read.clients, |client| &client.id),
            &|old, new| is_same_client(&self.clients[old], &read.clients[new]),
        ));
        changes.extend(changed_ids(
            "scopes",
            &ids(&self.scopes, |(name, _)| name),
            &ids(&read.scopes, |(name, _)| name),
            &|old, new| self.scopes[old].1 == read.scopes[new].1,
        ));
        changes.extend(changed_ids(
            "resources",
            &ids(&self.resources, |resource| resource.uri()),
            &ids(&read.resources, |resource| resource.uri()),
            &|old, new| self.resources[old] == read.resources[new],
        ));
        for (group, running, read) in [
            ("lifetimes", lifetimes(&self.lifetimes), lifetimes(&read.lifetimes)),
            ("limits", limits(&self.limits), limits(&read.limits)),
            ("settings", settings(self), settings(&read)),
        ] {
            let mut live = Vec::new();
            for ((name, effect, old), (_, _, new)) in running.iter().zip(&read).filter(|(old, new)| old != new)
            {
                match effect {
                    Now => live.push(format!("{name} {new}, was {old}")),
                    Restart => restarts.push(needs_restart(name, old, new)),
                }
            }
            if !live.is_empty() {
                changes.push(format!("{group}: {}", live.join("; ")));
            }
        }
        let (old, new) = (&self.store.location, &read.store.location);
        if old != new {
            restarts.push(match (old.to_string(), new.to_string()) {
                // A location prints without its user and password, so the two may look equal.
                (old, new) if old == new => {
                    format!("[store] location needs a restart: running {old}, configured with another user or password")
                }
                (old, new) => needs_restart("[store] location", &old, &new),
            });
        }
        Reload { config: self.with(read), changes, restarts }
    }

    /// What a server does with this running configuration when it is asked to reload. `read` reads the file again, and
    /// gives lines about what else it has changed, such as the keys. The result keeps the configuration that is then in
    /// use, to compare the next one with.
    pub fn rereading(
        self,
        read: impl Fn() -> Result<(Config, Vec<String>), String> + Send + Sync + 'static,
    ) -> impl Fn() -> Result<Reread, String> + Send + Sync + 'static {
        let running = Mutex::new(self);
        move || {
            let (read, others) = read()?;
            // A poisoned lock is safe to use: the one change under it cannot panic.
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            let Reload { config, mut changes, restarts } = running.reload(read);
            changes.extend(others);
            let settings = config.net_settings();
            *running = config;
            Ok(Reread { settings, changes, restarts })
        }
    }

    /// The values of `read`, except those that need a restart.
    fn with(&self, read: Config) -> Config {
        let mut clients = read.clients;
        let known: HashMap<&str, &Client> = self.clients.iter().map(|client| (&*client.id, client)).collect();
        for client in &mut clients {
            // Keep an unchanged Argon2 digest: it caches that its secret was verified.
            if let Some(old) = known.get(&*client.id).filter(|old| old.secret == client.secret) {
                client.secret.clone_from(&old.secret);
            }
        }
        Config {
            file: self.file.clone(),
            bind: self.bind,
            client_port: self.client_port,
            auth_port: self.auth_port,
            trusted_proxies: self.trusted_proxies.clone(),
            workers: self.workers,
            access_log: self.access_log,
            www: self.www.clone(),
            ready_file: self.ready_file.clone(),
            ready_json: self.ready_json,
            ends_with_stdin: self.ends_with_stdin,
            lab: self.lab.clone(),
            is_article: self.is_article,
            store: self.store.clone(),
            keys: self.keys.clone(),
            issuer: self.issuer.clone(),
            insecure_http: read.insecure_http,
            limits: Limits {
                http: read.limits.http,
                net: net::Limits { pool_threads_max: self.limits.net.pool_threads_max, ..read.limits.net },
                routes: routes::Limits {
                    pool_time_max: read.limits.routes.pool_time_max,
                    streams_max: read.limits.routes.streams_max,
                    peer_streams_max: read.limits.routes.peer_streams_max,
                    refused_guess_delay: read.limits.routes.refused_guess_delay,
                    page_bytes_max: read.limits.routes.page_bytes_max,
                    ..self.limits.routes.clone()
                },
                store: self.limits.store.clone(),
                log_lines_max: self.limits.log_lines_max,
            },
            lifetimes: read.lifetimes,
            scopes: read.scopes,
            clients,
            resources: read.resources,
            default_resource: read.default_resource,
            resource_owner: read.resource_owner,
            secure_scope: read.secure_scope,
            explains_errors: read.explains_errors,
            registration: read.registration,
            fetches_client_documents: read.fetches_client_documents,
            wire: self.wire,
        }
    }
}

fn needs_restart(name: &str, running: &str, configured: &str) -> String {
    format!("{name} needs a restart: running {running}, configured {configured}")
}

fn ids<T>(of: &[T], id: impl Fn(&T) -> &str) -> Vec<&str> {
    of.iter().map(id).collect()
}

fn places<'a>(ids: &[&'a str]) -> HashMap<&'a str, usize> {
    ids.iter().enumerate().map(|(place, id)| (*id, place)).collect()
}

fn is_same_client(old: &Client, new: &Client) -> bool {
    // The last two are the same for every configured client.
    let Client {
        id,
        name,
        redirect_uris,
        secret,
        grant_types,
        scope,
        inspects_all,
        default_resource,
        origin: _,
        default_scope: _,
    } = old;
    (id, name, redirect_uris, secret) == (&new.id, &new.name, &new.redirect_uris, &new.secret)
        && (grant_types, scope, inspects_all) == (&new.grant_types, &new.scope, &new.inspects_all)
        && *default_resource == new.default_resource
}

/// A line that lists which of the `old` and `new` identifiers were added, removed and changed; `None` if none was.
/// `is_same` compares the one at a place in `old` with the one at a place in `new`.
fn changed_ids(
    kind: &str,
    old: &[&str],
    new: &[&str],
    is_same: &dyn Fn(usize, usize) -> bool,
) -> Option<String> {
    let (old_places, new_places) = (places(old), places(new));
    let those = |ids: &[&str], is_listed: &dyn Fn(usize, &str) -> bool| -> Vec<String> {
        let those = ids.iter().enumerate().filter(|(place, id)| is_listed(*place, id));
        those.map(|(_, id)| (*id).to_owned()).collect()
    };
    let added = those(new, &|_, id| !old_places.contains_key(id));
    let removed = those(old, &|_, id| !new_places.contains_key(id));
    let changed =
        those(new, &|place, id| old_places.get(id).is_some_and(|old_place| !is_same(*old_place, place)));
    let parts: Vec<String> = [("added", added), ("removed", removed), ("changed", changed)]
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(verb, ids)| format!("{verb} {}", listed(&ids)))
        .collect();
    (!parts.is_empty()).then(|| format!("{kind}: {}", parts.join("; ")))
}

fn listed(ids: &[String]) -> String {
    match ids.get(LISTED_MAX..) {
        Some(rest) if !rest.is_empty() => format!("{} and {} more", ids[..LISTED_MAX].join(", "), rest.len()),
        _ => ids.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::oauth::client::SecretDigest;

    const RUNNING: &str = r#"
resource_owner = "ada"
[lifetimes]
code = 30
[store]
location = "redis://ada:secret@h:1"
[limits]
grants_max = 7
idle_time_max = 20
[scopes]
answer = "Answer."
read = "Read."
write = "Write."
[[clients]]
id = "app"
name = "The App"
redirect_uris = ["https://app.example/callback"]
scopes = ["read"]
[[clients]]
id = "robot"
name = "The Robot"
secret_digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
grant_types = ["client_credentials"]
"#;

    fn read(text: &str) -> Config {
        let config = config::read(text, 2).unwrap();
        assert_eq!(config.check(), Ok(()));
        config
    }

    /// Reloads what `change` makes of the running file.
    fn reload(change: &[(&str, &str)]) -> Reload {
        let mut text = RUNNING.to_owned();
        for (from, to) in change {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let reload = read(RUNNING).reload(read(&text));
        assert_eq!(reload.config.check(), Ok(()), "{change:?}");
        reload
    }

    #[test]
    fn a_reload_logs_a_line_per_kind_and_per_key_to_restart_for() {
        let check = |change: &[(&str, &str)], changes: &[&str], restarts: &[&str]| {
            let reload = reload(change);
            let lines = (&reload.changes[..], &reload.restarts[..]);
            assert!(lines.0 == changes && lines.1 == restarts, "{change:?}: {lines:?}");
        };
        let unchanged = |text: &'static str| (text, text);
        check(&[unchanged("[limits]")], &[], &[]);
        // A comment and the order of clients' keys mean nothing.
        check(&[("id = \"app\"\nname = \"The App\"", "name = \"The App\" # x\nid = \"app\"")], &[], &[]);
        check(
            &[("\"app\"", "\"bpp\""), ("\"The Robot\"", "\"R\"")],
            &["clients: added bpp; removed app; changed robot"],
            &[],
        );
        check(&[("sha256:ba", "sha256:bb")], &["clients: changed robot"], &[]);
        check(&[("scopes = [\"read\"]", "scopes = [\"write\"]")], &["clients: changed app"], &[]);
        check(&[("app.example", "b.example")], &["clients: changed app"], &[]);
        check(
            &[("write = \"Write.\"", "w = \"Write.\""), ("\"Read.\"", "\"Look.\"")],
            &["scopes: added w; removed write; changed read"],
            &[],
        );
        check(
            &[("code = 30", "code = 31\naccess_token = 5\nrefresh_reuse = \"until_successor_used\"")],
            &[
                "lifetimes: code 31 s, was 30 s; access_token 5 s, was 86400 s; refresh_reuse until_successor_used, \
               was ends_grant",
            ],
            &[],
        );
        check(
            &[("idle_time_max = 20", "idle_time_max = 2\nconnections_max = 9\npeer_connections_max = 3")],
            &["limits: connections_max 9, was 16000; peer_connections_max 3, was the default; \
               idle_time_max 2 s, was 20 s"],
            &[],
        );
        let pool = "idle_time_max = 20\nbuffered_bytes_max = 9\npool_time_max = 4\npool_threads_max = 8\n\
                    secret_checks_running_max = 8\nwrong_secret_time = 7\npair_grants_max = 1";
        check(
            &[("idle_time_max = 20", pool)],
            &["limits: buffered_bytes_max 9, was 268435456; pool_time_max 4 s, was 5 s"],
            &[
                "[limits] pair_grants_max needs a restart: running the default, configured 1",
                "[limits] pool_threads_max needs a restart: running the default, configured 8",
                "[limits] secret_checks_running_max needs a restart: running 2, configured 8",
                "[limits] wrong_secret_time needs a restart: running 6 s, configured 7 s",
            ],
        );
        check(
            &[("\"ada\"", "\"bob\"\nsecure_scope = \"read\"\nexplain_errors = true")],
            &[
                "settings: resource_owner bob, was ada; secure_scope read, was none; explain_errors true, was false",
            ],
            &[],
        );
        check(
            &[("grants_max = 7", "grants_max = 8\nstore_queue_max = 9\nlog_lines_max = 10")],
            &[],
            &[
                "[limits] grants_max needs a restart: running 7, configured 8",
                "[limits] store_queue_max needs a restart: running 16384, configured 9",
                "[limits] log_lines_max needs a restart: running 1024, configured 10",
            ],
        );
        check(
            &[("grants_max = 7", "grants_max = 7\nstore_time_max = 9")],
            &[],
            &["[limits] store_time_max needs a restart: running 5 s, configured 9 s"],
        );
        // An engine keeps old keys too shortly, so the file must name a key file, and that needs a restart.
        #[cfg(feature = "mcp")]
        check(
            &[("resource_owner", "registration = true\nkeys = \"k\"\nresource_owner")],
            &[],
            &["registration needs a restart, as keys does", "keys needs a restart: running none, configured k"],
        );
        let listen = "issuer = \"https://a.example\"\n[listen]\naddress = \"::1\"\nport = 4\nclient_app_port = 5\n\
                      workers = 3\nlog = \"json\"\n[lifetimes]";
        check(
            &[("[lifetimes]", listen)],
            &[],
            &[
                "issuer needs a restart: running none, configured https://a.example",
                "[listen] address needs a restart: running 127.0.0.1 and ::1, configured ::1",
                "[listen] port needs a restart: running 3001, configured 4",
                "[listen] client_app_port needs a restart: running none, configured 5",
                "[listen] workers needs a restart: running 2, configured 3",
                "[listen] log needs a restart: running none, configured json",
            ],
        );
        check(
            &[("location = \"redis://ada:secret@h:1\"", "location = \"file:x\"\ndurability = \"relaxed\"")],
            &[],
            &[
                "[store] durability needs a restart: running full, configured relaxed",
                "[store] location needs a restart: running redis://h:1, configured file:x",
            ],
        );
        check(
            &[(
                "secret@h:1\"",
                "secret@h:1\"\nkey_prefix = \"k\"\nwait_for_replicas = 1\nwait_for_append_only_file = true",
            )],
            &[],
            &[
                "[store] key_prefix needs a restart: running the issuer, configured k",
                "[store] wait_for_replicas needs a restart: running 0, configured 1",
                "[store] wait_for_append_only_file needs a restart: running false, configured true",
            ],
        );
    }

    #[test]
    fn a_password_that_changed_is_named_and_not_shown() {
        let reload = reload(&[("secret@", "sesame@")]);
        assert_eq!(
            reload.restarts,
            ["[store] location needs a restart: running redis://h:1, configured with another user or password"]
        );
    }

    #[test]
    fn a_setting_that_needs_a_restart_keeps_its_value_and_is_named() {
        let once = reload(&[("grants_max = 7", "grants_max = 8"), ("idle_time_max = 20", "idle_time_max = 2")]);
        assert_eq!(
            (once.config.limits.store.grants_max, once.config.limits.http.idle_time_max.as_secs()),
            (7, 2)
        );
        let twice = once.config.reload(read(&RUNNING.replace("grants_max = 7", "grants_max = 8")));
        assert_eq!(twice.restarts, ["[limits] grants_max needs a restart: running 7, configured 8"]);
        assert_eq!(twice.changes, ["limits: idle_time_max 20 s, was 2 s"]);
    }

    #[test]
    fn a_long_list_of_clients_is_cut_and_counted() {
        let more: String = (0..25)
            .map(|number| {
                format!(
                    "[[clients]]\nid = \"c{number}\"\nname = \"C\"\nredirect_uris = [\"https://c.example/\"]\n"
                )
            })
            .collect();
        let reload = read(RUNNING).reload(read(&format!("{RUNNING}{more}")));
        let [line] = &reload.changes[..] else { panic!("one line: {:?}", reload.changes) };
        assert!(line.starts_with("clients: added c0, c1, ") && line.ends_with(", c19 and 5 more"), "{line}");
    }

    #[test]
    fn an_unchanged_secret_need_not_be_verified_slowly_again() {
        let digest =
            "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA";
        let text =
            RUNNING.replace("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", digest);
        let running = read(&text);
        let is_shared = |config: &Config| {
            let secret = |config: &Config| config.clients[1].secret.clone();
            secret(&running)
                .zip(secret(config))
                .is_some_and(|(old, new)| SecretDigest::shares_memory(&old, &new))
        };
        assert!(!is_shared(&read(&text)), "read by itself it is another one");
        assert!(is_shared(&running.reload(read(&text)).config));
        let changed = text.replace("m=8,", "m=16,");
        assert!(!is_shared(&running.reload(read(&changed)).config));
    }
}
