//! A pretend engine: enough of Redis for the engine store, in this process, with faults where a test wants them.
//!
//! It speaks RESP2 on a port of its own, keeps what it is told to keep, and forgets nothing by itself: its clock
//! stands still. Before each command it asks the test what is to go wrong. So a test needs no `redis-server`, and a
//! fault comes at the same command in every run.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What becomes of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing goes wrong.
    None,
    /// It is done, and the connection ends without the answer.
    Lost,
    /// It is not done, and the connection ends without an answer.
    Dropped,
    /// It is done, and no answer comes; the connection stays.
    Silent,
    /// It is not done, and these bytes are the answer.
    Instead(&'static [u8]),
    /// It is done and answered, and then these bytes come, for which nobody has asked.
    Extra(&'static [u8]),
}

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
    connections: Vec<TcpStream>,
    /// Every command so far.
    commands: Vec<Vec<Vec<u8>>>,
}

/// The engine; it ends with the test's process.
#[derive(Clone)]
pub struct PretendEngine {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl PretendEngine {
    pub fn start() -> PretendEngine {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let engine = PretendEngine { port, state: Arc::default() };
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

    /// From now on `script` says of each command what goes wrong. It runs while the client waits for the answer.
    pub fn go_wrong(&self, script: impl FnMut(&Words) -> Fault + Send + 'static) {
        self.state.lock().unwrap().script = Some(Box::new(script));
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
        state.commands.push(words.to_vec());
        let fault = state.script.as_mut().map_or(Fault::None, |script| script(words));
        match fault {
            Fault::Dropped => return None,
            Fault::Instead(bytes) => return Some(bytes.to_vec()),
            _ => {}
        }
        let mut answer = state.perform(words);
        match fault {
            Fault::Lost => return None,
            Fault::Silent => answer.clear(),
            Fault::Extra(bytes) => answer.extend_from_slice(bytes),
            _ => {}
        }
        Some(answer)
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
            [b"GET", key] => self.entries.get(*key).map_or(b"$-1\r\n".to_vec(), |entry| bulk(&entry.value)),
            [b"SET", key, value, b"NX", rest @ ..] => match self.entries.contains_key(*key) {
                true => b"$-1\r\n".to_vec(),
                false => {
                    let expires = if let [b"PXAT", time] = rest { number(time) } else { None };
                    self.entries.insert(key.to_vec(), Entry { value: value.to_vec(), expires });
                    b"+OK\r\n".to_vec()
                }
            },
            // The store's compare-and-swap.
            [b"EVAL", _, b"1", key, old, new, time] => {
                match self.entries.get(*key).is_some_and(|entry| entry.value == *old) {
                    false => b":0\r\n".to_vec(),
                    true => {
                        let entry = Entry { value: new.to_vec(), expires: number(time) };
                        self.entries.insert(key.to_vec(), entry);
                        b":1\r\n".to_vec()
                    }
                }
            }
            [b"EVAL", b"return 1", b"0"] => b":1\r\n".to_vec(),
            [b"WAIT", ..] => b":0\r\n".to_vec(),
            _ => b"-ERR the pretend engine does not know this command\r\n".to_vec(),
        }
    }
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
