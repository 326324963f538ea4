//! Part I of the book (docs/build) can be built from, and what it builds does what it says.
//!
//! Each chapter has a stage: the program as it is when the chapter ends, in docs/build/stages. A fence of a chapter
//! that names a file of its stage is a step. ```` ```rust PATH ```` (or ```` ```html PATH ````) is appended to that
//! file, after an empty line; ```` ```diff PATH ```` changes it: the lines without `+` must be in the file, together
//! and once, so that a reader finds them. A line `@@` divides changes. The steps of a chapter turn the stage before
//! into its own, byte for byte.
//!
//! Then each stage runs, and answers what its chapter shows. With `BOOK_PROGRAM=PATH` that program runs in its place: a
//! reader's own, of which one chapter's tests are asked for (`cargo test --test it -- book::chapter_3`).

use std::collections::BTreeMap;
use std::fs;

use crate::support::Client;
use crate::support::documents::{Fence, Replay, changed, documents, fences, root};
use crate::support::source::code;
use crate::support::stage::{self, SOLUTIONS, STAGES, Stage};

/// Files by their name.
type Files = BTreeMap<String, String>;

/// The files of this stage; none for stage 0.
fn stage_files(number: usize) -> Files {
    if number == 0 {
        return Files::new();
    }
    let entries = fs::read_dir(root().join(stage::folder(number)))
        .expect("a stage")
        .map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().expect("a name in ASCII");
            (name, fs::read_to_string(entry.path()).expect("text"))
        })
        .collect()
}

/// The fences of this chapter; of the exercises, which come after the last one.
fn fences_of(chapter: usize) -> impl Iterator<Item = Fence> {
    let start = match chapter {
        SOLUTIONS => "docs/exercises.md".to_owned(),
        _ => format!("docs/build/{chapter}-"),
    };
    fences().into_iter().filter(move |fence| fence.document.starts_with(&start))
}

/// Does the step of `fence`, if it is one of this chapter, as a reader would.
fn type_in(files: &mut Files, chapter: usize, fence: &Fence) -> Result<(), String> {
    let stage = stage::folder(chapter) + "/";
    let Some((language, path)) = fence.info.split_once(' ') else { return Ok(()) };
    let Some(name) = path.strip_prefix(&stage) else {
        return if path.starts_with("docs/build/stages/") {
            Err(format!("{path} is not of this chapter's stage"))
        } else {
            Ok(())
        };
    };
    if language == "diff" {
        let file = files.get_mut(name).ok_or(format!("there is no {name} to change"))?;
        for change in fence.lines.split(|line| line == "@@") {
            *file = changed(file, change)?;
        }
        return Ok(());
    }
    let file = files.entry(name.to_owned()).or_default();
    if !file.is_empty() {
        file.push('\n');
    }
    for line in &fence.lines {
        *file += &format!("{line}\n");
    }
    Ok(())
}

/// The files of a reader who had those of the stage before and has typed in this chapter.
fn typed(chapter: usize) -> Files {
    let mut files = stage_files(chapter - 1);
    for fence in fences_of(chapter) {
        if let Err(fault) = type_in(&mut files, chapter, &fence) {
            panic!("{}:{}: {fault}", fence.document, fence.line);
        }
    }
    files
}

#[test]
fn a_reader_who_types_a_chapter_has_its_stage() {
    for chapter in 1..=SOLUTIONS {
        let (typed, stage) = (typed(chapter), stage_files(chapter));
        assert!(
            typed.keys().eq(stage.keys()),
            "chapter {chapter}: typed {:?}, but the stage has {:?}",
            typed.keys(),
            stage.keys()
        );
        for (name, text) in &typed {
            for (index, (typed, line)) in text.lines().zip(stage[name].lines()).enumerate() {
                assert_eq!(typed, line, "chapter {chapter}, {name}:{}", index + 1);
            }
            assert_eq!(text, &stage[name], "chapter {chapter}, {name}");
        }
    }
}

#[test]
fn a_step_that_a_reader_could_not_do_is_named() {
    let check = |info: &str, lines: &[&str], expected: Result<&str, &str>| {
        let mut files = Files::from([("main.rs".to_owned(), "a\nb\na\n".to_owned())]);
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        let fence = Fence { document: "d".into(), line: 1, info: info.into(), lines };
        let result = type_in(&mut files, 2, &fence);
        let text = files["main.rs"].as_str();
        let result = result.as_ref().map(|()| text).map_err(|fault| fault.lines().next().unwrap_or_default());
        assert_eq!(result, expected, "{info} {:?}", fence.lines);
    };
    let (append, change) = ("rust docs/build/stages/2/main.rs", "diff docs/build/stages/2/main.rs");
    check(append, &["c"], Ok("a\nb\na\n\nc\n"));
    check(change, &["-b", "+c", " a"], Ok("a\nc\na\n"));
    check(change, &[" b", "+c", "@@", " c", "-a"], Ok("a\nb\nc\n"));
    check(change, &["-a"], Err("these lines are there more than once:"));
    check(change, &[" a", "-a"], Err("these lines are not there:"));
    check("diff docs/build/stages/2/x.rs", &["-a"], Err("there is no x.rs to change"));
    check(
        "rust docs/build/stages/1/main.rs",
        &["c"],
        Err("docs/build/stages/1/main.rs is not of this chapter's stage"),
    );
    check("rust src/main.rs", &["c"], Ok("a\nb\na\n"));
}

/// What the reader's program may use: three packages and the standard library. Nothing that a client sends may panic.
#[test]
fn a_stage_uses_three_packages_and_cannot_panic() {
    for number in 1..=SOLUTIONS {
        for (name, text) in stage_files(number).into_iter().filter(|(name, _)| name.ends_with(".rs")) {
            for (index, line) in code(&text).lines().enumerate() {
                let place = format!("{}/{name}:{}: {line}", stage::folder(number), index + 1);
                for word in
                    [".unwrap()", ".expect(", "panic!(", "unreachable!(", "unsafe", "oauth_from_scratch"]
                {
                    assert!(!line.contains(word), "{place}");
                }
                let Some(path) = line.trim_start().strip_prefix("use ") else { continue };
                let package = path.split([':', ';']).next().unwrap_or(path);
                let is_module = text.contains(&format!("mod {package};"));
                assert!(is_module || ["std", "mio", "crate"].contains(&package), "{place}");
            }
        }
    }
}

#[test]
fn the_packages_that_a_reader_adds_are_those_of_this_project() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let mut added = 0;
    for chapter in 1..=STAGES {
        for fence in fences_of(chapter).filter(|fence| fence.info == "sh") {
            for line in fence.lines.iter().filter_map(|line| line.strip_prefix("cargo add ")) {
                let package = line.split(' ').next().unwrap_or(line);
                let (name, version) = package.split_once('@').unwrap_or_else(|| panic!("no version: {line}"));
                let declared = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")));
                let declared = declared.unwrap_or_else(|| panic!("this project has no {name}"));
                assert!(declared.contains(&format!("\"{version}\"")), "{declared}, but the book has {line}");
                added += 1;
            }
        }
    }
    assert_eq!(added, 3);
}

/// The chapters in this folder: number, document, text.
fn chapters(folder: &str) -> Vec<(usize, String, String)> {
    let of = |(document, text): (String, String)| {
        let number = document.strip_prefix(folder)?.split_once('-')?.0.parse().ok()?;
        Some((number, document, text))
    };
    documents().into_iter().filter_map(of).collect()
}

/// The row that this chapter should have in the contents, up to its minutes.
fn contents_row(number: usize, document: &str, text: &str) -> String {
    let title = text.lines().next().and_then(|line| line.strip_prefix(&format!("# {number}. ")));
    let title = title.unwrap_or_else(|| panic!("{document} begins with its number and title"));
    let (_, line) = text.split_once("\n\n**").unwrap_or_default();
    let minutes = line.split_once(" minutes.** Afterwards you ").map(|(minutes, _)| minutes);
    let minutes = minutes.unwrap_or_else(|| panic!("{document} begins with **N minutes.** Afterwards you …"));
    let path = document.trim_start_matches("docs/");
    format!("| {number} | [{title}]({path}) | {minutes} |")
}

#[test]
fn the_contents_have_every_chapter_with_its_minutes() {
    let contents = fs::read_to_string(root().join("docs/README.md")).expect("docs/README.md");
    for (folder, count) in [("docs/build/", STAGES), ("docs/", 14)] {
        let chapters = chapters(folder);
        assert_eq!(chapters.len(), count, "chapters in {folder}");
        for (number, document, text) in chapters {
            let mut row = contents_row(number, &document, &text);
            if folder == "docs/build/" {
                let lines: usize = stage_files(number).values().map(|text| text.lines().count()).sum();
                row += &format!(" {lines} |");
            }
            assert!(contents.contains(&row), "docs/README.md has no row {row}");
        }
    }
}

#[test]
fn each_chapter_has_something_to_see_to_run_and_to_break() {
    for (_, document, text) in chapters("docs/build/") {
        for part in
            ["\n```mermaid\n", "\n*In words: ", "\n## Run it\n", "\n## Break it\n", "\nNext: [", "\nRead on: "]
        {
            assert!(text.contains(part), "{document} has no {part:?}");
        }
    }
}

/// Sends what the chapter shows to its stage, and compares the answers. ```` ```http stage-5 ```` is sent to that
/// stage.
fn check_exchanges(chapter: usize) {
    let stage = Stage::start(chapter);
    let mut replay = Replay::default();
    let mut others: BTreeMap<usize, (Stage, Replay)> = BTreeMap::new();
    let mut exchanges = 0;
    for fence in fences_of(chapter) {
        match fence.info.strip_prefix("http").map(str::trim) {
            None => continue,
            Some("") => replay.check(&fence, stage.address(), stage.ports()),
            Some("client-app") => replay.check(&fence, stage.client_app_address(), stage.ports()),
            Some(other) => {
                let number = other.strip_prefix("stage-").and_then(|number| number.parse().ok());
                let number = number.unwrap_or_else(|| panic!("{}:{}: {other}?", fence.document, fence.line));
                let (stage, replay) =
                    others.entry(number).or_insert_with(|| (Stage::start(number), Replay::default()));
                replay.check(&fence, stage.address(), stage.ports());
            }
        }
        exchanges += 1;
    }
    assert!(exchanges > 0, "chapter {chapter} shows an exchange");
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

mod chapter_1 {
    use super::*;
    use std::io::Read;
    use std::time::Duration;

    #[test]
    fn the_exchanges_are_as_shown() {
        check_exchanges(1);
    }

    #[test]
    fn a_head_without_an_end_is_refused() {
        let stage = Stage::start(1);
        // As much as the stage reads before it refuses: what it left unread would be answered with a reset.
        assert_eq!(stage.connect().answer_to(&"x".repeat(8193)).status, 431);
    }

    #[test]
    fn one_silent_client_keeps_all_others_waiting() {
        let stage = Stage::start(1);
        let silent = stage.connect();
        let mut other = stage.connect();
        other.send(GET);
        // That nothing comes can only be shown by waiting for it.
        let patience = other.socket.read_timeout().expect("a time-out");
        other.socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out can be set");
        assert!(other.socket.read(&mut [0]).is_err(), "an answer came beside the silent client");
        other.socket.set_read_timeout(patience).expect("a time-out can be set");
        drop(silent);
        assert_eq!(other.answer(false).text(), r#"{"answer":42}"#);
    }
}

mod chapter_2 {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn the_exchanges_are_as_shown() {
        check_exchanges(2);
    }

    #[test]
    fn silent_clients_keep_nobody_waiting() {
        let stage = Stage::start(2);
        let _silent: Vec<Client> = (0..50).map(|_| stage.connect()).collect();
        assert_eq!(stage.connect().answer_to(GET).text(), r#"{"answer":42}"#);
    }

    #[test]
    fn a_request_may_come_byte_by_byte() {
        let stage = Stage::start(2);
        let mut client = stage.connect();
        GET.bytes().for_each(|byte| client.send([byte]));
        assert_eq!(client.answer(false).status, 200);
        client.expect_close();
    }

    #[test]
    fn a_refusal_arrives_though_the_client_is_still_sending() {
        let stage = Stage::start(2);
        let mut client = stage.connect();
        client.send("x".repeat(20_000));
        assert_eq!(client.answer(false).status, 431);
        assert_eq!(client.rest(), b"");
        // Had the stage closed with bytes unread, a reset would have come, and this would fail.
        client.send("x".repeat(20_000));
    }

    #[test]
    fn past_the_bound_a_client_is_closed_until_another_leaves() {
        let stage = Stage::start(2);
        let mut silent: Vec<Client> = (0..100).map(|_| stage.connect()).collect();
        stage.connect().expect_close();
        silent.pop();
        // The stage hears of that when it comes to it.
        let begin = Instant::now();
        loop {
            let mut client = stage.connect();
            client.send(GET);
            if client.answers_until_close(false).iter().any(|answer| answer.status == 200) {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "there is room again");
        }
    }
}

mod chapter_3 {
    use super::*;

    #[test]
    fn the_exchanges_are_as_shown() {
        check_exchanges(3);
    }

    #[test]
    fn a_request_means_the_same_wherever_it_is_cut() {
        let stage = Stage::start(3);
        let request = "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
        for cut in 1..request.len() {
            let mut client = stage.connect();
            client.send(&request[..cut]);
            client.send(&request[cut..]);
            assert_eq!(client.answer(false).text(), "POST /a, 2 bytes of content\n", "cut at {cut}");
        }
    }

    #[test]
    fn a_connection_serves_many_requests_in_their_order() {
        let stage = Stage::start(3);
        let mut client = stage.connect();
        client
            .send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let answers = client.answers_until_close(false);
        let texts: Vec<&str> = answers.iter().map(|answer| answer.text()).collect();
        assert_eq!(texts, ["GET /1, 0 bytes of content\n", "GET /2, 0 bytes of content\n"]);
    }

    #[test]
    fn nothing_after_a_refused_request_is_read_as_a_request() {
        let stage = Stage::start(3);
        let mut client = stage.connect();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n");
        client.send("GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
        client.end();
        let answers = client.answers_until_close(false);
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<u16>>(), [400]);
    }
}

/// The code in the redirect that answers `POST /code`.
fn code_of(location: Option<&str>) -> String {
    let location = location.expect("a redirect");
    location.split_once("/oauth-callback.html?code=").expect(location).1.to_owned()
}

mod chapter_4 {
    use super::*;

    #[test]
    fn the_exchanges_are_as_shown() {
        check_exchanges(4);
    }

    #[test]
    fn no_two_codes_are_alike_and_there_is_a_bound() {
        let stage = Stage::start(4);
        let mut client = stage.connect();
        let mut codes: Vec<String> = (0..1000)
            .map(|_| code_of(client.answer_to("POST /code HTTP/1.1\r\nHost: h\r\n\r\n").field("location")))
            .collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), 1000);
        assert!(codes.iter().all(|code| code.len() == 32));
        assert_eq!(client.answer_to("POST /code HTTP/1.1\r\nHost: h\r\n\r\n").status, 503);
    }
}

mod chapter_5 {
    use super::*;

    #[test]
    fn the_exchanges_are_as_shown() {
        check_exchanges(5);
    }
}

mod chapter_6 {
    use super::*;

    #[test]
    fn the_exchanges_are_as_shown() {
        check_exchanges(6);
    }
}

mod chapter_7 {
    use super::*;
    use crate::support::{Answer, json_request, secure_request};

    #[test]
    fn the_exchanges_are_as_shown() {
        check_exchanges(7);
    }

    /// The dialog's form, as a browser sends it.
    fn send_form(stage: &Stage, origin: &str) -> Answer {
        let dialog = stage.connect().answer_to("GET /oauth-dialog.html HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(dialog.text().contains("<h1>Authorize OAuth Test App?</h1>"));
        let token = dialog.text().split_once(r#"name="form_token" value=""#).expect("a form token").1;
        let form = format!("form_token={}", &token[..32]);
        let head =
            format!("POST /code HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\nContent-Length: {}", form.len());
        stage.connect().answer_to(&format!("{head}\r\n\r\n{form}"))
    }

    #[test]
    fn the_articles_contract_holds() {
        let stage = Stage::start(7);
        let (client_app, own) = (stage.ports().client_app, stage.ports().authorization_server);
        for path in ["/", "/index.html", "/oauth-callback.html"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
            let answer = Client::connect(stage.client_app_address()).answer_to(&request);
            assert_eq!((answer.status, answer.field("content-type")), (200, Some("text/html; charset=utf-8")));
            assert_eq!(stage.connect().answer_to(&request).status, 404, "the other server has no {path}");
        }

        assert_eq!(send_form(&stage, "https://evil.example").status, 403);
        assert_eq!(send_form(&stage, "null").status, 403);
        let answer = send_form(&stage, &format!("http://localhost:{own}"));
        let location = answer.field("location").expect("a redirect");
        assert!(location.starts_with(&format!("http://localhost:{client_app}/oauth-callback.html?code=")));
        assert_eq!(answer.status, 302);

        let code = code_of(Some(location));
        let request = json_request(&format!(r#"{{"code":"{code}"}}"#));
        let answer = stage.connect().answer_to(&request);
        assert_eq!((answer.status, answer.field("access-control-allow-origin")), (200, Some("*")));
        assert_eq!(answer.json()["expires_in"], 86400);
        let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        let again = stage.connect().answer_to(&request);
        assert_eq!((again.status, again.text()), (400, r#"{"message":"Invalid auth token"}"#));

        let answer = stage.connect().answer_to(&secure_request(&token));
        assert_eq!((answer.status, answer.text()), (200, r#"{"answer":42}"#));
        for wrong in [secure_request(&code), GET.replace("/", "/secure").replace("HTTP/secure", "HTTP/")] {
            let answer = stage.connect().answer_to(&wrong);
            assert_eq!((answer.status, answer.text()), (403, r#"{"message":"Unauthorized"}"#));
        }

        for (path, method) in [("/token", "POST"), ("/secure", "GET")] {
            let answer = stage.connect().answer_to(&format!(
                "OPTIONS {path} HTTP/1.1\r\nHost: h\r\nOrigin: http://localhost:{client_app}\r\n\
                 Access-Control-Request-Method: {method}\r\n\r\n"
            ));
            assert_eq!((answer.status, answer.field("access-control-allow-origin")), (200, Some("*")));
            assert_eq!(answer.field("access-control-allow-methods"), Some(method));
            assert_eq!(answer.field("access-control-allow-credentials"), None);
        }
    }
}

mod exercises {
    use super::*;

    #[test]
    fn the_exchanges_are_as_shown() {
        check_exchanges(SOLUTIONS);
    }

    #[test]
    fn a_silent_client_is_closed_in_time() {
        let stage = Stage::start_with(SOLUTIONS, &["200"]);
        let mut half = stage.connect();
        half.send("GET / HT");
        stage.connect().expect_close();
        half.expect_close();
    }

    #[test]
    fn head_is_answered_as_get_without_the_content() {
        let stage = Stage::start(SOLUTIONS);
        let mut client = stage.connect();
        client.send("HEAD /secure HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = client.answer(true);
        assert_eq!((head.status, head.field("content-length")), (403, Some("26")));
        // Whatever came as content would be taken for the next answer.
        assert_eq!(client.answer_to("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n").body.len(), 26);
    }
}

mod browser {
    use super::*;
    use crate::support::browser::start_or_skip;

    #[test]
    fn the_last_stage_leads_to_42_and_refuses_a_forged_form() {
        let stage = Stage::start(7);
        let Some(browser) = start_or_skip("the_last_stage_leads_to_42") else { return };
        let page = browser.windows().remove(0);
        let home = format!("http://localhost:{}/", stage.ports().client_app);
        let open_dialog = || {
            browser.goto(&home);
            browser.click("#start");
            browser.switch_to(&browser.wait_for_window_beside(&page));
        };
        let wait_for_status = |expected: &str| {
            browser.switch_to(&page);
            browser.wait_for(expected, |browser| (browser.text("#status") == expected).then_some(()));
        };
        open_dialog();
        browser.close_window();
        wait_for_status("No answer: the popup was closed");
        open_dialog();
        browser.execute(&format!("location = '{home}oauth-callback.html?code=0000'"));
        wait_for_status("No answer: Invalid auth token");
        browser.console();

        open_dialog();
        browser.wait_for("the dialog", |browser| browser.url().ends_with("/oauth-dialog.html").then_some(()));
        browser.click("#authorize");
        browser.wait_for("the popup's end", |browser| (browser.windows() == [&*page]).then_some(()));
        wait_for_status("The secret answer is 42");
        assert_eq!(browser.console(), Vec::<String>::new(), "the browser has nothing to complain of");

        let url = format!("http://localhost:{}/code", stage.ports().authorization_server);
        browser.goto(&format!(
            "data:text/html,<form method=post action='{url}'><button id=send>Win a prize</button></form>"
        ));
        browser.click("#send");
        browser.wait_for("the refusal", |browser| (browser.url() == url).then_some(()));
        assert_eq!(browser.text("body"), "this form came from another site");
    }

    /// A script of another origin cannot read an answer of the fourth stage, and can read one of the fifth.
    #[test]
    fn cors_lets_a_script_read_what_it_could_not() {
        let stages = [Stage::start(4), Stage::start(5)];
        let Some(browser) = start_or_skip("cors_lets_a_script_read") else { return };
        for (stage, expected) in stages.iter().zip(["TypeError", "403"]) {
            browser.goto(&format!("http://localhost:{}/", stage.ports().authorization_server));
            // The same server by another name is another origin.
            browser.execute(&format!(
                "fetch('http://127.0.0.1:{}/secure', {{ headers: {{ Authorization: 'x' }} }}).then( \
                 (response) => {{ window.seen = String(response.status); }}, (error) => {{ window.seen = error.name; }})",
                stage.ports().authorization_server
            ));
            let seen = browser.wait_for("the end of the request", |browser| {
                browser
                    .execute("return window.seen ?? ''")
                    .as_str()
                    .filter(|seen| !seen.is_empty())
                    .map(str::to_owned)
            });
            assert_eq!(seen, expected);
        }
    }
}

// The tests that a reader types in with the code.
#[rustfmt::skip] // With the width of the stages, which is not ours.
#[path = "../../docs/build/stages/7/http.rs"]
#[allow(dead_code, reason = "only its tests are run here")]
mod http;
#[rustfmt::skip]
#[path = "../../docs/build/stages/7/secrets.rs"]
#[allow(dead_code, reason = "only its tests are run here")]
mod secrets;
