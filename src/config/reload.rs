//! Reloading the configuration while the server runs: which changes take effect, and which need a restart.
//!
//! Sockets, threads and the store are created once, at the start. Their keys keep the running values, and a line names
//! each one that differs in the file. All other changes take effect at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Config, Limits, WireConfig};
use crate::net::{LogFormat, Reread};
use crate::oauth::TokenLifetimes;
use crate::oauth::client::Client;
use crate::oauth::grant::RefreshReuse;
use crate::oauth::issuer::Issuer;
use crate::oauth::lifetimes::Lifetimes;
use crate::oauth::resource::DefaultResource;
use crate::store::{Backend, KeyPrefix};
use crate::{http, net, routes, store};

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

/// When a changed key takes effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Now,
    Restart,
}

use Effect::{Now, Restart};

/// A key, when a change of it takes effect, and its value as a log line shows it.
type Key = (&'static str, Effect, String);

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

// Each function below destructures its struct without `..`, so a new field does not compile until somebody decides
// when a change of it takes effect.

fn lifetimes(lifetimes: &Lifetimes) -> Vec<Key> {
    let Lifetimes { code, form, tokens } = lifetimes;
    let TokenLifetimes { access_token, refresh_idle, refresh, refresh_grace, refresh_reuse } = tokens;
    let reuse = match refresh_reuse {
        RefreshReuse::EndsGrant => "ends_grant",
        RefreshReuse::UntilSuccessorUsed => "until_successor_used",
    };
    vec![
        ("code", Now, seconds(code)),
        ("form", Now, seconds(form)),
        ("access_token", Now, seconds(access_token)),
        ("refresh_token_idle", Now, seconds(refresh_idle)),
        ("refresh_token", Now, seconds(refresh)),
        ("refresh_grace", Now, seconds(refresh_grace)),
        ("refresh_reuse", Now, reuse.to_owned()),
    ]
}

fn limits(limits: &Limits) -> Vec<Key> {
    let Limits { http, net, routes, store, log_lines_max } = limits;
    let mut keys = store_limits(store);
    keys.extend(net_limits(net));
    keys.extend(http_limits(http));
    keys.extend(routes_limits(routes));
    keys.push(("[limits] log_lines_max", Restart, log_lines_max.to_string()));
    keys
}

fn http_limits(limits: &http::Limits) -> Vec<Key> {
    let http::Limits {
        request_line_bytes_max,
        head_bytes_max,
        fields_max,
        body_bytes_max,
        output_bytes_max,
        connection_requests_max,
        head_time_max,
        body_time_max,
        body_grace_time,
        body_bytes_per_second_min,
        idle_time_max,
        write_time_max,
        // Not configurable in a file.
        chunk_extra_bytes_max: _,
        linger_time_max: _,
        linger_bytes_max: _,
    } = limits;
    vec![
        ("request_line_bytes_max", Now, shown(request_line_bytes_max)),
        ("head_bytes_max", Now, shown(head_bytes_max)),
        ("fields_max", Now, shown(fields_max)),
        ("body_bytes_max", Now, shown(body_bytes_max)),
        ("output_bytes_max", Now, shown(output_bytes_max)),
        ("connection_requests_max", Now, shown(connection_requests_max)),
        ("head_time_max", Now, seconds(head_time_max)),
        ("body_time_max", Now, seconds(body_time_max)),
        ("body_grace_time", Now, seconds(body_grace_time)),
        ("body_bytes_per_second_min", Now, shown(body_bytes_per_second_min)),
        ("idle_time_max", Now, seconds(idle_time_max)),
        ("write_time_max", Now, seconds(write_time_max)),
    ]
}

fn net_limits(limits: &net::Limits) -> Vec<Key> {
    let net::Limits {
        buffered_bytes_max,
        connections_max,
        peer_connections_max,
        finish_time_max,
        pool_threads_max,
        refusal_lines_per_second_max,
        // Not configurable in a file.
        accept_retry_time: _,
    } = limits;
    vec![
        ("buffered_bytes_max", Now, shown(buffered_bytes_max)),
        ("connections_max", Now, shown(connections_max)),
        ("peer_connections_max", Now, or(peer_connections_max.as_ref(), "the default")),
        ("finish_time_max", Now, seconds(finish_time_max)),
        ("refusal_lines_per_second_max", Now, shown(refusal_lines_per_second_max)),
        ("[limits] pool_threads_max", Restart, or(pool_threads_max.as_ref(), "the default")),
    ]
}

fn routes_limits(limits: &routes::Limits) -> Vec<Key> {
    let routes::Limits {
        store_time_max,
        pool_time_max,
        streams_max,
        peer_streams_max,
        secret_checks_running_max,
        secret_checks_waiting_max,
        client_secret_checks_waiting_max,
        peer_secret_checks_waiting_max,
        wrong_secrets_max,
        wrong_secret_time,
        refused_guess_delay,
        wrong_secret_peers_max,
        registrations_max,
        registration_time,
        registration_peers_max,
        // Not configurable in a file.
        page_bytes_max: _,
    } = limits;
    vec![
        ("streams_max", Now, shown(streams_max)),
        ("peer_streams_max", Now, or(peer_streams_max.as_ref(), "the default")),
        ("[limits] store_time_max", Restart, seconds(store_time_max)),
        ("pool_time_max", Now, seconds(pool_time_max)),
        ("refused_guess_delay", Now, seconds(refused_guess_delay)),
        ("[limits] secret_checks_running_max", Restart, shown(secret_checks_running_max)),
        ("[limits] secret_checks_waiting_max", Restart, shown(secret_checks_waiting_max)),
        ("[limits] client_secret_checks_waiting_max", Restart, shown(client_secret_checks_waiting_max)),
        ("[limits] peer_secret_checks_waiting_max", Restart, shown(peer_secret_checks_waiting_max)),
        ("[limits] wrong_secrets_max", Restart, shown(wrong_secrets_max)),
        ("[limits] wrong_secret_time", Restart, seconds(wrong_secret_time)),
        ("[limits] wrong_secret_peers_max", Restart, shown(wrong_secret_peers_max)),
        ("[limits] registrations_max", Restart, shown(registrations_max)),
        ("[limits] registration_time", Restart, seconds(registration_time)),
        ("[limits] registration_peers_max", Restart, shown(registration_peers_max)),
    ]
}

fn store_limits(limits: &store::Limits) -> Vec<Key> {
    let store::Limits { grants_max, pair_grants_max, store_queue_max } = limits;
    vec![
        ("[limits] grants_max", Restart, shown(grants_max)),
        ("[limits] pair_grants_max", Restart, or(pair_grants_max.as_ref(), "the default")),
        ("[limits] store_queue_max", Restart, shown(store_queue_max)),
    ]
}

fn settings(config: &Config) -> Vec<Key> {
    let Config {
        bind,
        client_port,
        auth_port,
        trusted_proxies,
        workers,
        access_log,
        www,
        store,
        keys,
        issuer,
        insecure_http,
        resource_owner,
        secure_scope,
        default_resource,
        explains_errors,
        registration,
        fetches_client_documents,
        wire,
        // Set by flags only.
        file: _,
        ready_file: _,
        ready_json: _,
        ends_with_stdin: _,
        lab: _,
        is_article: _,
        // Compared separately.
        limits: _,
        lifetimes: _,
        scopes: _,
        clients: _,
        resources: _,
    } = config;
    // The location is compared separately, because it may contain a password.
    let Backend { location: _, is_relaxed, key_prefix, replicas_min, waits_for_append_only_file } = store;
    let durability = if *is_relaxed { "relaxed" } else { "full" };
    let proxies = trusted_proxies.iter().map(ToString::to_string).collect::<Vec<String>>().join(", ");
    let default = match default_resource {
        DefaultResource::OfServer => "the only one",
        DefaultResource::Nothing => "none",
        DefaultResource::Uri(uri) => uri,
    };
    let log = access_log.map(|format| match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    });
    vec![
        ("resource_owner", Now, shown(resource_owner)),
        ("secure_scope", Now, or(secure_scope.as_ref(), "none")),
        ("default_resource", Now, default.to_owned()),
        ("explain_errors", Now, shown(explains_errors)),
        ("registration", Now, or(registration.as_ref(), "in the demo")),
        ("fetch_client_documents", Now, or(fetches_client_documents.as_ref(), "in the demo")),
        ("insecure_http", Now, shown(insecure_http)),
        ("issuer", Restart, or(issuer.as_ref().map(Issuer::as_str), "none")),
        ("keys", Restart, or(keys.as_ref().map(|path| path.display()), "none")),
        ("[listen] address", Restart, or(bind.as_ref(), "127.0.0.1 and ::1")),
        ("[listen] port", Restart, shown(auth_port)),
        ("[listen] client_app_port", Restart, or(client_port.as_ref(), "none")),
        ("[listen] trusted_proxies", Restart, or((!trusted_proxies.is_empty()).then_some(proxies), "none")),
        ("[listen] workers", Restart, shown(workers)),
        ("[listen] log", Restart, or(log, "none")),
        ("[store] durability", Restart, durability.to_owned()),
        ("[store] key_prefix", Restart, or(key_prefix.as_ref().map(KeyPrefix::as_str), "the issuer")),
        ("[store] wait_for_replicas", Restart, shown(replicas_min)),
        ("[store] wait_for_append_only_file", Restart, shown(waits_for_append_only_file)),
        ("wire", Restart, wire_words(*wire)),
        ("--www", Restart, or(www.as_ref().map(|path| path.display()), "none")),
    ]
}

fn wire_words(wire: WireConfig) -> String {
    let WireConfig { is_wanted, with_lasting_store, traces: _ } = wire;
    let wanted = match is_wanted {
        Some(is_wanted) => is_wanted.to_string(),
        None => "in the demo".to_owned(),
    };
    if with_lasting_store { format!("{wanted}, with a lasting store") } else { wanted }
}

fn seconds(duration: &Duration) -> String {
    shown(format_args!("{} s", duration.as_secs()))
}

fn or(value: Option<impl fmt::Display>, without: &str) -> String {
    value.map_or_else(|| shown(without), shown)
}

fn shown(value: impl fmt::Display) -> String {
    print(&value)
}

// Not inlined: it is called for each of fifty keys, and the copies would be a large part of reloading.
#[inline(never)]
fn print(value: &dyn fmt::Display) -> String {
    value.to_string()
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
