//! The exercises of the attack lab that need a browser, in one: it presses the buttons of the attacker's page, and in
//! the popups it is the victim.

use serde_json::json;

use super::Lab;
use crate::support::browser::{Browser, start_or_skip};

/// The lab's page in a new browser.
pub(super) fn open(test: &str, lab: &Lab) -> Option<(Browser, String)> {
    let browser = start_or_skip(test)?;
    browser.goto(&format!("{}/", lab.origin()));
    let window = browser.windows().remove(0);
    wait_until_ready(&browser);
    Some((browser, window))
}

fn wait_until_ready(browser: &Browser) {
    browser.wait_for("the script", |browser| {
        (browser.execute("return 'ready' in document.body.dataset") == true).then_some(())
    });
}

/// Clicks on the switch of `rule`, and waits until the page says that it is off or on.
pub(super) fn click_switch(browser: &Browser, rule: &str) {
    browser.click(&format!("[data-rule={rule}] .switch input"));
    wait_for_result(browser, rule, "switched");
}

/// Waits until the exercise of `rule` has this result, and gives its words.
pub(super) fn wait_for_result(browser: &Browser, rule: &str, state: &str) -> String {
    let result = format!("[data-rule={rule}] .result");
    browser.wait_for(&format!("the result {state}"), |browser| {
        let at = browser.execute(&format!("return document.querySelector('{result}').dataset.state"));
        (at == state).then_some(())
    });
    browser.text(&result)
}

/// Presses the button of this attack, and gives the popup that opens beside `page`, with the browser in it.
pub(super) fn attack(browser: &Browser, page: &str, button: &str) -> String {
    browser.click(&format!("[data-attack={button}]"));
    let popup = browser.wait_for_window_beside(page);
    browser.switch_to(&popup);
    popup
}

/// Authorizes, as the victim, in the dialog that the popup leads to.
pub(super) fn authorize(browser: &Browser) {
    browser.wait_for("the dialog", |browser| browser.url().contains("/authorize?").then_some(()));
    browser.click("#authorize");
}

/// Waits until the shop says something with `words`, closes the popup, and goes back to `page`.
pub(super) fn leave_shop(browser: &Browser, page: &str, words: &str) {
    let said = "return document.querySelector('#said')?.textContent ?? ''";
    browser.wait_for(words, |browser| {
        browser.execute(said).as_str().is_some_and(|said| said.contains(words)).then_some(())
    });
    browser.close_window();
    browser.switch_to(page);
}

/// RFC 9700, 4.1: each near-miss in a popup of its own, as far as the attacker's page.
#[test]
fn the_lab_steals_a_code_by_its_redirect_uri() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_lab_steals_a_code_by_its_redirect_uri", &lab) else { return };
    let rule = "exact_redirect";
    let choose = |near_miss: &str| {
        let select = format!("document.querySelector('[data-rule={rule}] select')");
        browser
            .execute(&format!("{select}.value = '{near_miss}'; {select}.dispatchEvent(new Event('change'))"));
        attack(&browser, &page, rule);
    };
    click_switch(&browser, rule);
    let near_misses = ["longer", "subdomain", "userinfo", "port", "traversal"];
    for near_miss in near_misses {
        choose(near_miss);
        authorize(&browser);
        browser.wait_for("the popup's end", |browser| (browser.windows() == [&*page]).then_some(()));
        browser.switch_to(&page);
        let words = wait_for_result(&browser, rule, "stolen");
        assert_eq!(words, "The code bought a token. It opens /secure: 42.", "{near_miss}");
    }
    click_switch(&browser, rule);
    for near_miss in near_misses {
        choose(near_miss);
        browser.wait_for("the refusal", |browser| browser.url().contains("/authorize?").then_some(()));
        assert_eq!(browser.execute("return document.querySelector('#authorize')"), serde_json::Value::Null);
        browser.close_window();
        browser.switch_to(&page);
        wait_for_result(&browser, rule, "refused");
    }
}

/// RFC 9700, 4.7.
#[test]
fn the_shop_signs_the_victim_in_as_the_attacker() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_shop_signs_the_victim_in_as_the_attacker", &lab) else { return };
    let rule = "state_check";
    let forge = || {
        attack(&browser, &page, "own_code");
        authorize(&browser);
        browser.wait_for("the popup's end", |browser| (browser.windows() == [&*page]).then_some(()));
        browser.switch_to(&page);
        wait_for_result(&browser, rule, "ready");
        attack(&browser, &page, rule);
    };
    forge();
    leave_shop(&browser, &page, "Refused: this browser did not request this response");
    wait_for_result(&browser, rule, "refused");
    click_switch(&browser, rule);
    forge();
    leave_shop(&browser, &page, "You are signed in");
    let words = wait_for_result(&browser, rule, "stolen");
    assert!(words.ends_with("and saved there: card 4000 1234 5678 9010."), "{words}");
}

/// RFC 9700, 4.11.2.
#[test]
fn a_link_to_the_server_leads_to_the_attacker() {
    let lab = Lab::start();
    let Some((browser, page)) = open("a_link_to_the_server_leads_to_the_attacker", &lab) else { return };
    let rule = "verified_errors";
    attack(&browser, &page, rule);
    browser.wait_for("the refusal", |browser| browser.url().contains("/authorize?").then_some(()));
    browser.close_window();
    browser.switch_to(&page);
    wait_for_result(&browser, rule, "refused");
    click_switch(&browser, rule);
    attack(&browser, &page, rule);
    browser.wait_for("the attacker's page", |browser| browser.url().contains("/sign-in.html?").then_some(()));
    browser.click(".button");
    browser.wait_for("the popup's end", |browser| (browser.windows() == [&*page]).then_some(()));
    browser.switch_to(&page);
    let words = wait_for_result(&browser, rule, "stolen");
    assert!(words.ends_with("There they typed: correct horse."), "{words}");
}

/// RFC 9700, 4.2, 4.3, 4.5 and 4.14: what leaks at the shop, with each defence on and off.
#[test]
fn the_lab_steals_what_the_shop_leaks() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_lab_steals_what_the_shop_leaks", &lab) else { return };
    for (rule, words) in [
        ("single_use_codes", "It opens /secure: 42."),
        ("pkce", "It opens /secure: 42."),
        ("rotation", "It opens /secure: 42."),
        ("scope_limit", "You have a token for: answer question."),
    ] {
        let steal = |result: &str| {
            attack(&browser, &page, rule);
            authorize(&browser);
            browser.switch_to(&page);
            let words = wait_for_result(&browser, rule, result);
            browser.switch_to(&browser.wait_for_window_beside(&page));
            browser.close_window();
            browser.switch_to(&page);
            words
        };
        steal("refused");
        click_switch(&browser, rule);
        assert!(steal("stolen").contains(words), "{rule}");
        click_switch(&browser, rule);
    }
}

/// RFC 9700, 4.2.4 and 4.3.2: by the Referer, and by the history.
#[test]
fn a_token_in_an_address_reaches_the_attacker() {
    let lab = Lab::start();
    let Some((browser, page)) = open("a_token_in_an_address_reaches_the_attacker", &lab) else { return };
    let rule = "header_tokens_only";
    for is_on in [true, false] {
        if !is_on {
            click_switch(&browser, rule);
        }
        let popup = attack(&browser, &page, rule);
        authorize(&browser);
        browser.switch_to(&page);
        wait_for_result(&browser, rule, if is_on { "refused" } else { "stolen" });
        // The victim goes elsewhere, and somebody else at the same browser goes back. A page that is left before it is
        // loaded leaves no entry in the history.
        browser.switch_to(&popup);
        browser.wait_for("the shop's page, loaded", |browser| {
            // At once, so that they are of one page.
            let at = browser.execute("return [document.readyState, location.pathname]");
            (at == serde_json::json!(["complete", "/shop-account.html"])).then_some(())
        });
        browser.goto(&format!("{}/caught.html", lab.origin()));
        browser.back();
        let address = browser.wait_for("the shop's page", |browser| {
            Some(browser.url()).filter(|url| url.contains("/shop-account.html"))
        });
        assert_eq!(address.contains("?access_token="), !is_on, "{address}");
        browser.close_window();
        browser.switch_to(&page);
    }
}

/// RFC 9700, 2.6: what a browser makes of the fields, and that its session cookie comes along.
#[test]
fn a_script_of_another_origin_reads_the_dialog_or_does_not() {
    let lab = Lab::start();
    let Some((browser, _)) = open("a_script_of_another_origin_reads_the_dialog_or_does_not", &lab) else {
        return;
    };
    let rule = "cookieless_cors";
    let is_announced =
        "return [...document.querySelectorAll('.result')].every((result) => result.checkVisibility())";
    assert_eq!(browser.execute(is_announced), true, "a live region is in the page before it has words");
    let button = format!("document.querySelector('[data-attack={rule}]')");
    // Pressed twice: the second press is ignored, and the focus stays.
    let pressed = browser.execute(&format!(
        "{button}.focus(); {button}.click(); {button}.click(); \
         return [{button}.getAttribute('aria-disabled'), {button}.disabled]"
    ));
    assert_eq!(pressed, json!(["true", false]));
    wait_for_result(&browser, rule, "refused");
    let left = format!("return [{button}.getAttribute('aria-disabled'), document.activeElement === {button}]");
    assert_eq!(browser.execute(&left), json!(["false", true]));
    click_switch(&browser, rule);
    browser.click(&format!("[data-attack={rule}]"));
    let words = wait_for_result(&browser, rule, "stolen");
    assert_eq!(words, "The code bought a token. It opens /secure: 42.");
}

#[test]
fn a_switch_that_is_not_applied_goes_back_and_says_so() {
    let lab = Lab::start();
    let Some((browser, _)) = open("a_switch_that_is_not_applied_goes_back", &lab) else { return };
    let rule = "pkce";
    let switch = format!("[data-rule={rule}] .switch input");
    for (fetch, words) in [
        ("Promise.reject(new TypeError('Failed to fetch'))", "not switched: Failed to fetch"),
        ("Promise.resolve(Response.json({error_description: 'no such rule'}, {status: 400}))", "no such rule"),
        ("Promise.resolve(Response.json({pkce: true}))", "another tab has switched it back"),
    ] {
        browser.execute(&format!("window.fetch = () => {fetch}"));
        browser.click(&switch);
        let said = wait_for_result(&browser, rule, "failed");
        assert!(said.contains(words), "{said}");
        let after = format!(
            "const box = document.querySelector('{switch}'); \
                             document.querySelector('[data-rule={rule}] .result').dataset.state = ''; \
                             return box.checked"
        );
        assert_eq!(browser.execute(&after), true, "{words}");
    }
}

/// RFC 9700, 4.4.
#[test]
fn the_shop_takes_one_server_for_another_or_does_not() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_shop_takes_one_server_for_another_or_does_not", &lab) else { return };
    let rule = "iss";
    attack(&browser, &page, rule);
    authorize(&browser);
    leave_shop(&browser, &page, "Refused: the response is from");
    wait_for_result(&browser, rule, "refused");
    click_switch(&browser, rule);
    attack(&browser, &page, rule);
    authorize(&browser);
    leave_shop(&browser, &page, "Signing in failed: the server gave no token");
    let words = wait_for_result(&browser, rule, "stolen");
    assert_eq!(words, "The code bought a token. It opens /secure: 42.");
}

#[test]
fn the_lab_forges_the_form_or_the_server_refuses() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_lab_forges_the_form_or_the_server_refuses", &lab) else { return };
    let rule = "form_origin";
    let forge = || {
        browser.click(&format!("[data-rule={rule}] form .button"));
        let tab = browser.wait_for_window_beside(&page);
        browser.switch_to(&tab);
        let url = browser.wait_for("a page", |browser| {
            Some(browser.url()).filter(|url| url.contains("/code") || url.contains("/oauth-callback"))
        });
        browser.close_window();
        browser.switch_to(&page);
        url
    };
    assert!(forge().ends_with("/code"), "it stays at the server");
    click_switch(&browser, rule);
    assert!(forge().contains("/oauth-callback.html?code="), "the app has a code");
}

#[test]
fn the_lab_frames_the_dialog_or_the_browser_refuses() {
    let lab = Lab::start();
    let Some((browser, _)) = open("the_lab_frames_the_dialog_or_the_browser_refuses", &lab) else { return };
    let rule = "frame_protection";
    browser.click(&format!("[data-rule={rule}] .button"));
    wait_for_result(&browser, rule, "refused");
    browser.switch_to_frame(0);
    assert_eq!(browser.execute("return document.querySelector('form')"), serde_json::Value::Null);

    browser.goto(&format!("{}/", lab.origin()));
    wait_until_ready(&browser);
    click_switch(&browser, rule);
    browser.click(&format!("[data-rule={rule}] .button"));
    wait_for_result(&browser, rule, "stolen");
    browser.switch_to_frame(0);
    browser.click("form button");
    // The app's own page refuses to be framed, so the browser shows nothing of what the click did.
    browser.wait_for("the consent", |_| {
        let is_consent = |line: &String| line.contains("\"POST /code HTTP/1.1\" 302 ");
        lab.server.access.lines().iter().any(is_consent).then_some(())
    });
}

/// A victim's code, of which the script uses all but the last three digits.
#[test]
fn the_lab_guesses_a_code_and_counts() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_lab_guesses_a_code_and_counts", &lab) else { return };
    let rule = "long_credentials";
    let guess = |result: &str| {
        attack(&browser, &page, rule);
        authorize(&browser);
        browser.switch_to(&page);
        let words = wait_for_result(&browser, rule, result);
        browser.wait_for("the popup's end", |browser| (browser.windows() == [&*page]).then_some(()));
        words
    };
    let words = guess("refused");
    assert!(words.contains("1000 guesses") && words.contains("All ten digits take"), "{words}");
    click_switch(&browser, rule);
    let words = guess("stolen");
    assert!(words.contains("It opens /secure: 42."), "{words}");
}
