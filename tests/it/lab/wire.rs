//! The lab in the wire view: a theft from the leak to the token, in the events and in a real browser.

use oauth_from_scratch::routes::LAB_SHOP;
use serde_json::json;

use super::browser::{attack, authorize, click_switch, open, wait_for_result};
use super::{Lab, parameter};
use crate::support::TestServer;
use crate::wire::Reader;
use crate::wire_view::{assert_in_order, check_widths, rows_until};

#[test]
fn a_theft_is_in_the_wire_view_from_the_leak_to_the_token() {
    let lab = Lab::start();
    let mut reader = Reader::new(&lab.server);
    assert_eq!(Reader::data(&reader.event())["lab"], lab.origin(), "hello");
    lab.turn("pkce", false);
    let seen = lab.show_ad_at(&lab.sign_in_to_shop());
    let code = parameter(&seen, "code").expect("a code").to_owned();
    assert_eq!(lab.redeem(LAB_SHOP, &lab.shop_callback(), &code, None).status, 200);
    for (server, line, rule) in [
        ("lab", "POST /rules/switch ", None),
        ("authorization-server", "GET /authorize?", Some("dialog shown")),
        ("authorization-server", "POST /code ", Some("code issued")),
        ("lab", "GET /ad.svg ", None),
        ("authorization-server", "POST /token ", Some("code redeemed")),
    ] {
        let exchange = reader.exchange();
        let request = exchange["request"].as_str().expect("a request");
        assert!(exchange["server"] == server && request.starts_with(line), "{line}: {exchange}");
        assert_eq!(exchange["decisions"][0]["rule"].as_str(), rule, "{line}");
        assert_eq!(request.contains(&code), line.contains("/ad.svg") || line.contains("/token"), "{line}");
    }
    let without = TestServer::start();
    let hello = Reader::data(&Reader::new(&without).event());
    assert!(hello["run"].is_number() && hello.get("lab").is_none(), "{hello}");
}

/// The headings of the drawing's lanes.
const NAMES: &str = "return [...document.querySelectorAll('.wire-names span')].map((name) => name.textContent)";

#[test]
fn the_wire_view_has_a_lane_for_the_attacker() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_wire_view_has_a_lane_for_the_attacker", &lab) else { return };
    let rule = "pkce";
    click_switch(&browser, rule);
    let popup = attack(&browser, &page, rule);
    authorize(&browser);
    browser.switch_to(&page);
    wait_for_result(&browser, rule, "stolen");
    browser.switch_to(&popup);
    browser.close_window();
    browser.switch_to(&page);

    browser.goto(&format!("http://localhost:{}/wire", lab.server.client_app.port()));
    let rows = rows_until(&browser, "GET /secure");
    assert_in_order(
        &rows,
        &[
            "browser window → attacker | GET / 200 OK",
            "attacker | POST /rules/switch 200 OK",
            "popup → client app | GET /shop.html 200 OK",
            "popup → authorization server | GET /authorize 200 OK",
            "popup → authorization server | POST /code 302 Found",
            "popup → client app | GET /shop-callback.html 200 OK",
            "client app → attacker | GET /ad.svg 200 OK",
            "attacker → authorization server | POST /token 200 OK",
            "attacker → protected resource | GET /secure 200 OK",
        ],
    );
    let polls = ["GET /caught 200", "GET /rules 200"];
    assert!(!rows.iter().any(|row| polls.iter().any(|poll| row.contains(poll))), "{rows:#?}");
    let names = browser.execute(NAMES);
    assert_eq!((names.as_array().map(Vec::len), &names[5]), (Some(6), &json!("attacker")));
    let shown = browser.execute(
        "return import('/wire-model.js').then(({ readExchange, secretsOf }) => secretsOf(readExchange({ \
         id: 1, server: 'lab', decisions: [], answer: '', request: 'POST /collect HTTP/1.1\\r\\n' + \
         'Content-Type: text/plain;charset=UTF-8\\r\\n\\r\\n{\"access_token\":\"stolen-token\"}' })))",
    );
    assert_eq!(shown[0][0], "stolen-token", "what the attacker's script sends is a secret like every other");
    check_widths(&browser, "wire-lab");

    let without = TestServer::start();
    browser.goto(&format!("http://localhost:{}/wire", without.client_app.port()));
    without.answer_to("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n");
    rows_until(&browser, "no access token");
    assert_eq!(browser.execute(NAMES).as_array().map(Vec::len), Some(5), "no lab, no lane");
}
