//! Every key of the configuration: when a change of it takes effect, and its value as a log line shows it.
//!
//! Each function destructures its struct without `..`, so a new field does not compile until somebody decides when a
//! change of it takes effect.

use std::fmt;
use std::time::Duration;

use self::Effect::{Now, Restart};
use crate::config::{Config, Limits, WireConfig};
use crate::net::LogFormat;
use crate::oauth::TokenLifetimes;
use crate::oauth::grant::RefreshReuse;
use crate::oauth::issuer::Issuer;
use crate::oauth::lifetimes::Lifetimes;
use crate::oauth::resource::DefaultResource;
use crate::store::{Backend, KeyPrefix};
use crate::{http, net, routes, store};

/// When a changed key takes effect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// At the reload.
    Now,
    /// When the server starts again.
    Restart,
}

/// A key, when a change of it takes effect, and its value as a log line shows it.
type Key = (&'static str, Effect, String);

/// The keys of `[lifetimes]`.
pub(super) fn lifetimes(lifetimes: &Lifetimes) -> Vec<Key> {
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

/// The keys of `[limits]`.
pub(super) fn limits(limits: &Limits) -> Vec<Key> {
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

/// All other keys, without the clients, scopes and resources, which have no fixed number.
pub(super) fn settings(config: &Config) -> Vec<Key> {
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
