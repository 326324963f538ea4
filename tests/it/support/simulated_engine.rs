//! A simulated engine: enough of Redis for the engine store, in this process, with faults where a test wants them.
//!
//! It speaks RESP2 on a port of its own, keeps what it is given, and forgets nothing by itself: no key expires.
//! Before each command it asks the test what is to go wrong. So a test needs no `redis-server`, and a fault comes at
//! the same command in every run.
//!
//! A server reports on itself whenever it has been quiet for a moment, and probes each new connection. When that
//! happens depends on the machine. So commands about the keys of reports and probes are answered apart: no script
//! sees them, and they are not counted. [`SimulatedEngine::go_wrong_everywhere`] is for faults of those, too.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// What becomes of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing goes wrong.
    None,
    /// It is done, and the connection ends without the answer.
    Lost,
    /// It is not done, and the connection ends without an answer.
    Dropped,
    /// It is not done, and these bytes are the answer.
    Instead(&'static [u8]),
}

/// The answer that there is nothing.
const NIL: &[u8] = b"$-1\r\n";

/// A command: its name and its arguments.
pub type Words = [Vec<u8>];

type Script = Box<dyn FnMut(&Words) -> Fault + Send>;

/// A value, and the moment (`PXAT`) that was sent with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: Vec<u8>,
    pub expires: Option<u64>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Vec<u8>, Entry>,
    script: Option<Script>,
    /// Whether the script is asked about reports and probes, too.
    is_everywhere: bool,
    connections: Vec<TcpStream>,
    /// Every command so far but those of reports and probes.
    commands: Vec<Vec<Vec<u8>>>,
}

/// The engine; it ends with the test's process.
#[derive(Clone)]
pub struct SimulatedEngine {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl SimulatedEngine {
    pub fn start() -> SimulatedEngine {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let engine = SimulatedEngine { port, state: Arc::default() };
        let shared = engine.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let engine = shared.clone();
                engine.state.lock().unwrap().connections.push(socket.try_clone().expect("a handle"));
                std::thread::spawn(move || engine.serve(socket));
            }
        });
        engine
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on `script` says of each command, but those of reports and probes, what goes wrong. It runs while the
    /// client waits for the answer.
    pub fn go_wrong(&self, script: impl FnMut(&Words) -> Fault + Send + 'static) {
        let mut state = self.state.lock().unwrap();
        state.script = Some(Box::new(script));
        state.is_everywhere = false;
    }

    /// The same, with the commands of reports and probes.
    pub fn go_wrong_everywhere(&self, script: impl FnMut(&Words) -> Fault + Send + 'static) {
        let mut state = self.state.lock().unwrap();
        state.script = Some(Box::new(script));
        state.is_everywhere = true;
    }

    /// From now on nothing goes wrong.
    pub fn mend(&self) {
        self.state.lock().unwrap().script = None;
    }

    /// What stands under the one key that ends so.
    pub fn entry(&self, end: &[u8]) -> Option<Entry> {
        let state = self.state.lock().unwrap();
        let mut found =
            state.entries.iter().filter(|(key, _)| key.ends_with(end)).map(|(_, entry)| entry.clone());
        let entry = found.next();
        assert_eq!(found.next(), None, "one key ends in {}", end.escape_ascii());
        entry
    }

    /// Puts `value` under the key that ends so, in the place of what another server or this one has put there.
    pub fn replace(&self, end: &[u8], value: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let entry = state.entries.iter_mut().find(|(key, _)| key.ends_with(end)).expect("the key is there").1;
        entry.value = value.to_vec();
    }

    /// Forgets everything, as an engine does that is started again without a file.
    pub fn forget(&self) {
        self.state.lock().unwrap().entries.clear();
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections.len()
    }

    /// Ends every connection.
    pub fn hang_up(&self) {
        for socket in &self.state.lock().unwrap().connections {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// How many commands so far are of this kind.
    pub fn count(&self, is_of_kind: impl Fn(&Words) -> bool) -> usize {
        self.state.lock().unwrap().commands.iter().filter(|words| is_of_kind(words)).count()
    }

    fn serve(&self, socket: TcpStream) {
        let mut reader = BufReader::new(socket.try_clone().expect("a handle"));
        // Else each answer waits until the one before it is acknowledged, which takes 40 ms.
        socket.set_nodelay(true).expect("an option that every system has");
        let mut writer = socket;
        while let Some(words) = read_command(&mut reader) {
            let Some(answer) = self.answer(&words) else { break };
            if writer.write_all(&answer).is_err() {
                break;
            }
        }
        let _ = writer.shutdown(Shutdown::Both);
    }

    /// The bytes that go back; `None` where the connection ends.
    fn answer(&self, words: &Words) -> Option<Vec<u8>> {
        let mut state = self.state.lock().unwrap();
        let is_apart = is_of_a_server(words);
        if !is_apart {
            state.commands.push(words.to_vec());
        }
        let is_asked = state.is_everywhere || !is_apart;
        let fault = state.script.as_mut().filter(|_| is_asked).map_or(Fault::None, |script| script(words));
        match fault {
            Fault::Dropped => return None,
            Fault::Instead(bytes) => return Some(bytes.to_vec()),
            _ => {}
        }
        let answer = state.perform(words);
        (fault != Fault::Lost).then_some(answer)
    }
}

impl State {
    fn perform(&mut self, words: &Words) -> Vec<u8> {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match &words[..] {
            [b"PING", ..] => b"+PONG\r\n".to_vec(),
            [b"ECHO", word] => bulk(word),
            [b"INFO", b"cluster"] => bulk(b"cluster_enabled:0\r\n"),
            [b"INFO", ..] => bulk(b"redis_version:7.2.0\r\n"),
            // As a careful configuration has it, so that the store has nothing to warn of.
            [b"CONFIG", b"GET", name] => {
                let value: &[u8] = match *name {
                    b"appendonly" => b"yes",
                    b"appendfsync" => b"always",
                    _ => b"noeviction",
                };
                [b"*2\r\n".to_vec(), bulk(name), bulk(value)].concat()
            }
            [b"GET", key] => self.entries.get(*key).map_or(NIL.to_vec(), |entry| bulk(&entry.value)),
            [b"SET", key, value, options @ ..] => self.set(key, value, options),
            // The store's compare-and-swap.
            [b"EVAL", _, b"1", key, old, new, time] => {
                if self.entries.get(*key).is_none_or(|entry| entry.value != *old) {
                    b":0\r\n".to_vec()
                } else {
                    let entry = Entry { value: new.to_vec(), expires: number(time) };
                    self.entries.insert(key.to_vec(), entry);
                    b":1\r\n".to_vec()
                }
            }
            [b"TIME"] => {
                let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
                [b"*2\r\n".to_vec(), bulk(time.as_secs().to_string().as_bytes()), bulk(b"0")].concat()
            }
            [b"WAITAOF", ..] => b"*2\r\n:1\r\n:0\r\n".to_vec(),
            [b"WAIT", ..] => b":0\r\n".to_vec(),
            _ => b"-ERR the simulated engine does not know this command\r\n".to_vec(),
        }
    }

    /// `SET`, of which it knows `NX`, `PX`, `PXAT` and `GET`.
    fn set(&mut self, key: &[u8], value: &[u8], mut options: &[&[u8]]) -> Vec<u8> {
        let (mut is_for_new, mut gives_old, mut expires) = (false, false, None);
        while let [option, rest @ ..] = options {
            options = match (*option, rest) {
                (b"NX", rest) => {
                    is_for_new = true;
                    rest
                }
                (b"GET", rest) => {
                    gives_old = true;
                    rest
                }
                (b"PXAT", [time, rest @ ..]) => {
                    expires = number(time);
                    rest
                }
                (b"PX", [_, rest @ ..]) => rest,
                _ => return b"-ERR the simulated engine does not know this option\r\n".to_vec(),
            };
        }
        let old = self.entries.get(key).map_or(NIL.to_vec(), |entry| bulk(&entry.value));
        if is_for_new && self.entries.contains_key(key) {
            return NIL.to_vec();
        }
        self.entries.insert(key.to_vec(), Entry { value: value.to_vec(), expires });
        if gives_old { old } else { b"+OK\r\n".to_vec() }
    }
}

/// Whether a command is about the key of a report or a probe.
fn is_of_a_server(words: &Words) -> bool {
    let key = match words {
        [name, key, ..] if matches!(&**name, b"GET" | b"SET") => key,
        [name, _, _, key, ..] if name == b"EVAL" => key,
        _ => return false,
    };
    [&b":report:"[..], b":alive:", b":probe:"].iter().any(|part| key.windows(part.len()).any(|at| at == *part))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// An array of bulk strings, as every client sends its commands; `None` at the end of the connection.
fn read_command(reader: &mut impl BufRead) -> Option<Vec<Vec<u8>>> {
    let length = |reader: &mut dyn BufRead, mark: char| {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.trim_end().strip_prefix(mark)?.parse::<usize>().ok()
    };
    let count = length(reader, '*')?;
    (0..count)
        .map(|_| {
            let mut word = vec![0; length(reader, '$')? + 2];
            reader.read_exact(&mut word).ok()?;
            word.truncate(word.len() - 2);
            Some(word)
        })
        .collect()
}
