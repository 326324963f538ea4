//! No message repeats the password of an engine's location: random passwords, in well-formed and broken locations,
//! on every flag, in every part of a configuration file, and refused by every kind of engine.

use crate::support::engine;
use crate::support::read_some;
use std::ffi::OsString;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;

use crate::support::random::Random;
use crate::support::stores::{BOUNDS, Folder};
use oauth_from_scratch::cli::{self, Command as Parsed};
use oauth_from_scratch::config;
use oauth_from_scratch::log::Log;
use oauth_from_scratch::store::redis::Safety;
use oauth_from_scratch::store::{Location, RedisStore};
use oauth_from_scratch::system::RealSystem;

/// Every character that a URL or a shell gives a meaning, among letters that no message has in a row. (Ports are
/// printed, so there are few digits.)
const SPECIAL: &[u8] = b"/@:#?%[]&;=+!$*(),'\"\\<>{}|^~`-_. 07";
const PLAIN: &[u8] = b"QXZJKVWYqxzjkvw";

/// A stretch of a password that may not be printed.
const PIECE: usize = 4;

/// Passwords that are the same in every run.
struct Passwords(Random);

impl Passwords {
    fn number(&mut self) -> usize {
        self.0.next() as usize
    }

    /// 8 to 39 characters, about one in four of them special, at least one of them a letter.
    fn next(&mut self) -> String {
        let length = 8 + self.number() % 32;
        let pick = |alphabet: &[u8], number: usize| char::from(alphabet[number % alphabet.len()]);
        let mut password: String = (1..length)
            .map(|_| match self.number() % 4 {
                0 => pick(SPECIAL, self.number()),
                _ => pick(PLAIN, self.number()),
            })
            .collect();
        password.insert(self.number() % length, 'Q');
        password
    }
}

fn encoded(password: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    password.bytes().map(encode).collect()
}

/// Locations with this password: those that can be read, and then those that cannot, or only by chance.
fn locations(password: &str) -> (Vec<String>, Vec<String>) {
    let safe = encoded(password);
    let sound = ["redis://:PW@h:6379", "redis://ada:PW@h,b:1/2", "rediss://PW@[::1]/", "redis://PW:PW@h"];
    let broken = [
        "redis://:PW@h",
        "redis://ada:PW@h:6379/0",
        "rediss://PW@h",
        "redis://:PW@",
        "redis://:PW",
        "redis://ada:PW",
        "redis://h:PW",
        "redis://h/PW",
        "redis://h:1/PW@h",
        "redis://h?PW",
        "redis://h#PW",
        "redis://:PW@h:x",
        "redis://:PW@h/x",
        "redis://:PW@h,",
        "redis://:PW@h/0?protocol=resp3",
        "redis:/:PW@h",
        "redis:PW@h",
        "redis//:PW@h",
        "valkey://:PW@h",
        "unix://:PW@h",
        "REDIS://:PW@h",
        " redis://:PW@h",
        "PW@h",
        "file:redis://:PW@h",
        "file:///redis://:PW@h",
    ];
    let sound = sound.iter().map(|location| location.replace("PW", &safe)).collect();
    let broken = broken.iter().flat_map(|text| [text.replace("PW", password), text.replace("PW", &safe)]);
    // Without a host, what is behind the last @ of a password is one, and nothing can tell.
    let is_without_host = |text: &String| text.ends_with(password) && password.contains('@');
    (sound, broken.filter(|text| !is_without_host(text)).collect())
}

/// Fails if `printed` holds a piece of the password, as it is or percent-encoded.
fn check(printed: &str, password: &str, context: &str) {
    for text in [password.to_owned(), encoded(password)] {
        for piece in text.as_bytes().windows(PIECE) {
            let piece = std::str::from_utf8(piece).expect("ASCII");
            assert!(!printed.contains(piece), "{piece:?} of {password:?} is printed: {context}\n{printed}");
        }
    }
}

#[test]
fn no_message_about_the_command_line_repeats_a_password() {
    let mut passwords = Passwords(Random::new(1));
    for _ in 0..60 {
        let password = passwords.next();
        let (sound, broken) = locations(&password);
        for location in sound.iter().chain(&broken) {
            let printed = match Location::parse(location) {
                Ok(location) => format!("{location} {location:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            check(&printed, &password, location);
            for words in [
                vec!["--store", "L"],
                vec!["--store=L"],
                vec!["--stor", "L"],
                vec!["--stor=L"],
                vec!["--L"],
                vec!["-L"],
                vec!["L"],
                vec!["--", "L"],
                vec!["client-secret", "L"],
                vec!["--config", "L"],
                vec!["--bind", "L"],
                vec!["--auth-port", "L"],
                vec!["--client-port", "L"],
                vec!["--workers", "L"],
                vec!["--connections-per-peer", "L"],
                vec!["--log=L"],
                vec!["--store-durability", "L"],
                vec!["--store", "memory", "--store-durability=L"],
                vec!["--check-config=L"],
                vec!["--help=L"],
            ] {
                let words: Vec<String> = words.iter().map(|word| word.replace('L', location)).collect();
                let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
                let printed = match cli::parse(&arguments) {
                    Ok(Parsed::Run(config)) => format!("{config:?} {}", config.store.location),
                    Ok(other) => format!("{other:?}"),
                    Err(error) => format!("{error} {error:?}"),
                };
                check(&printed, &password, &words.join(" "));
            }
        }
        for location in &sound {
            assert!(matches!(Location::parse(location), Ok(Location::Redis(_))), "{location}");
        }
    }
}

/// TOML's own errors can show the line that they are about.
#[test]
fn no_message_about_a_configuration_file_repeats_a_password() {
    let mut passwords = Passwords(Random::new(2));
    for _ in 0..60 {
        let password = passwords.next();
        let (sound, broken) = locations(&password);
        for location in sound.iter().chain(&broken) {
            let quoted = format!("{location:?}");
            for text in [
                "[store]\nlocation = L",
                "[store]\nlocation = B",
                "[store]\nlocation = 'B'",
                "[store]\nlocation = \"B",
                "[store]\nlocation = \"B\"",
                "[store]\nlocation = \"\"\"B",
                "[store]\nlocation = [L]",
                "[store]\nlocation = L B",
                "[store]\nlocation = L\nlocation = L",
                "[store]\nlocations = L",
                "[store]\nL = 1",
                "[store]\nB = 1",
                "[store]\nB",
                "[store]\ndurability = L",
                "[store]\nwait_for_replicas = L",
                "[store]\nlocation = L\nwait_for_replicas = B",
                "[store.L]\nx = 1",
                "[L]\nx = 1",
                "[B]",
                "L.B = 1",
                "issuer = L",
            ] {
                let text = text.replace('L', &quoted).replace('B', location);
                let printed = match config::read(&text, 1) {
                    Ok(config) => format!("{:?} {}", config.store, config.store.location),
                    Err(error) => format!("{error} {error:?}"),
                };
                check(&printed, &password, &text);
            }
        }
    }
}

/// What listens in an engine's place, and what it does with what it is sent.
#[derive(Clone, Copy, Debug)]
enum Stub {
    /// Sends it back.
    Echo,
    /// Accepts this many commands, and then sends all of it back in errors that begin with this, as an engine does with
    /// a command that it does not know.
    Quote(usize, &'static str),
    /// Sends it back in something that is no answer.
    Nonsense,
    /// Closes.
    Close,
}

impl Stub {
    /// Listens until the test ends; gives the port.
    fn listen(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || self.answer(socket));
            }
        });
        port
    }

    fn answer(self, mut socket: TcpStream) {
        let (mut bytes, mut seen, mut accepts) = ([0; 4096], String::new(), "");
        if let Stub::Quote(count, _) = self {
            accepts = ["", "+OK\r\n", "+OK\r\n+OK\r\n"][count];
        }
        while let Ok(count @ 1..) = read_some(&mut socket, &mut bytes) {
            seen.push_str(&String::from_utf8_lossy(&bytes[..count]).replace(['\r', '\n'], " "));
            let answer = match self {
                Stub::Echo => String::from_utf8_lossy(&bytes[..count]).into_owned(),
                Stub::Quote(_, code) => {
                    std::mem::take(&mut accepts).to_owned() + &format!("-{code} {seen}\r\n").repeat(8)
                }
                Stub::Nonsense => format!("{seen}\r\n"),
                Stub::Close => return,
            };
            if socket.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// What engines begin errors with.
const CODES: [&str; 7] =
    ["ERR unknown command, with args:", "WRONGPASS", "NOPERM", "NOAUTH", "", "LOADING", "MISCONF"];

#[test]
fn no_error_of_an_engine_repeats_a_password_to_the_log() {
    let mut passwords = Passwords(Random::new(3));
    let quotes = CODES.iter().flat_map(|code| (0..3).map(|count| Stub::Quote(count, code)));
    for stub in [Stub::Echo, Stub::Nonsense, Stub::Close].into_iter().chain(quotes) {
        let port = stub.listen();
        for _ in 0..5 {
            let password = passwords.next();
            let text = format!("redis://ada:{}@127.0.0.1:{port}/3", encoded(&password));
            let Ok(Location::Redis(location)) = Location::parse(&text) else { panic!("{text}") };
            let (log, system) = (Log::kept(), Arc::new(RealSystem::default()));
            let options = engine::options(Safety::default(), BOUNDS);
            let store = <RedisStore>::connect(&location, &options, Some([7; 32]), system, log.clone());
            let printed = format!("{:?} {:?}", store.map(|_| ()), log.lines());
            assert!(printed.contains("Err("), "{stub:?}: {printed}");
            check(&printed, &password, &format!("{stub:?} {text}"));
        }
    }
}

#[test]
fn the_program_prints_no_password() {
    let (mut passwords, folder) = (Passwords(Random::new(4)), Folder::new());
    let file = folder.join("config.toml").display().to_string();
    let program = |words: &[&str]| {
        let ports = ["--client-port", "0", "--auth-port", "0"];
        let ports = if words.contains(&"--config") { &ports[2..] } else { &ports[..] };
        let mut command = Command::new(env!("CARGO_BIN_EXE_oauth-from-scratch"));
        let output = command.args(ports).args(words).output().expect("it runs");
        let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), printed)
    };
    for stub in [Stub::Echo, Stub::Quote(1, CODES[0]), Stub::Close] {
        let (port, password) = (stub.listen(), passwords.next());
        let sound = format!("redis://:{}@127.0.0.1:{port}", encoded(&password));
        let broken = format!("redis://:{password}/@127.0.0.1:{port}");
        let run = |words: &[&str], status: i32, part: &str| {
            let (found, printed) = program(words);
            assert!(found == Some(status) && printed.contains(part), "{words:?}: {found:?} {printed}");
            check(&printed, &password, &words.join(" "));
        };
        let shown = format!("redis://127.0.0.1:{port}");
        run(&["--check-config", "--store", &sound], 0, &shown);
        run(&["--store", &sound], 1, &shown);
        run(
            &["--store", &broken],
            2,
            "--store: the location starts with redis:// but its user or password is malformed",
        );
        run(&["--www", &sound], 1, "--www (a path with :// or @ in it)");
        std::fs::write(&file, format!("[store]\nlocation = {sound:?}\n")).expect("a file");
        run(&["--check-config", "--config", &file], 0, &shown);
        run(&["--config", &file], 1, &shown);
        std::fs::write(&file, format!("[store]\nlocation = {broken:?}\n")).expect("a file");
        run(&["--config", &file], 2, "line 2: location: the location starts with redis://");
        std::fs::write(&file, format!("[store]\nlocation = \"{sound}\n")).expect("a file");
        run(&["--config", &file], 2, "line 2: invalid TOML");
    }
}
