//! What the dialog says of a client and of its access: who asks, for how long, and how to take it back.
//!
//! It says what this server knows, in words for a person. The durations are made when the configuration is loaded; a
//! dialog only chooses among texts.

use std::time::Duration;

use crate::oauth::TokenLifetimes;

/// For how long a client may use what it is given, as HTML.
pub(crate) struct Durations {
    /// For a client that gets no refresh token.
    pub(crate) once: String,
    /// For one that does.
    pub(crate) renewed: String,
}

impl Durations {
    /// The words for these lifetimes.
    pub(crate) fn new(lifetimes: &TokenLifetimes) -> Durations {
        let TokenLifetimes { access_token, refresh_idle, refresh, .. } = *lifetimes;
        let (token, all) = (words(access_token), words(refresh));
        let idle = if refresh_idle < refresh {
            format!(" It loses this right if it does not use it for {}.", words(refresh_idle))
        } else {
            String::new()
        };
        Durations {
            once: format!("For {token}. After that it has to ask you again."),
            renewed: format!("For {token} at a time. It can renew this without asking you, for {all}.{idle}"),
        }
    }
}

/// Who asks, as far as this server knows. `redirect_uri` is where the answer goes.
pub(crate) fn asker(is_demo: bool, redirect_uri: &str) -> &'static str {
    if is_demo {
        "The demo app that comes with this server."
    } else if redirect_uri.starts_with("https://") {
        "An app that the operator of this server has registered. Only its website, named below, gets your answer."
    } else {
        // Another program may listen on the port, or claim the scheme (RFC 8252, 8.1 and 8.6).
        "An app that the operator of this server has registered. This server cannot check that it is really this app, \
         so continue only if you have just started it yourself."
    }
}

/// How the person can end the access.
pub(crate) fn taking_back(is_demo: bool) -> &'static str {
    if is_demo {
        "Press “Take the access back” on the app’s page before you leave it."
    } else {
        "Disconnect this server in the app, if the app offers that, or ask the operator of this server to end the \
         app’s access. This server has no page for it yet."
    }
}

/// `duration` in the largest unit of which it is a whole number.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(365 * 86_400, "year"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (length, unit) =
        units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length)).unwrap_or((1, "second"));
    match seconds / length {
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::lifetimes::Lifetimes;

    #[test]
    fn a_duration_is_in_the_largest_unit_that_fits() {
        let check = |seconds, expected: &str| assert_eq!(words(Duration::from_secs(seconds)), expected);
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "1 minute");
        check(90, "90 seconds");
        check(5400, "90 minutes");
        check(3600, "1 hour");
        check(86_400, "1 day");
        check(90_000, "25 hours");
        check(90 * 86_400, "90 days");
        check(100 * 365 * 86_400, "100 years");
    }

    #[test]
    fn the_durations_are_those_of_the_configuration() {
        let mut lifetimes = Lifetimes::default().tokens;
        let Durations { once, renewed } = Durations::new(&lifetimes);
        assert_eq!(once, "For 1 day. After that it has to ask you again.");
        assert_eq!(
            renewed,
            "For 1 day at a time. It can renew this without asking you, for 90 days. \
             It loses this right if it does not use it for 14 days."
        );
        lifetimes.access_token = Duration::from_secs(600);
        lifetimes.refresh_idle = lifetimes.refresh;
        let renewed = Durations::new(&lifetimes).renewed;
        assert_eq!(renewed, "For 10 minutes at a time. It can renew this without asking you, for 90 days.");
    }

    #[test]
    fn only_a_website_is_known_to_be_the_one_that_asks() {
        let check = |uri: &str, is_known: bool| {
            assert_eq!(asker(false, uri).contains("cannot check"), !is_known, "{uri}");
        };
        check("https://app.example/cb", true);
        check("http://127.0.0.1:51234/cb", false);
        check("http://localhost/cb", false);
        check("com.example.app:/cb", false);
    }
}
