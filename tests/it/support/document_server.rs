//! A server of one document on loopback, which says what the test has it say, over http or over any other stream.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// Runs until it is dropped.
pub struct DocumentServer {
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What it answers; `None` leaves requests without an answer.
    response: Option<String>,
    requests: usize,
    is_over: bool,
    /// The connections without an answer.
    open: Vec<TcpStream>,
}

/// A response with this status line's end, type and content.
pub fn response(status: &str, media_type: &str, content: &str) -> String {
    let length = content.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{content}")
}

/// A document of the client `id` that returns to `redirect_uri`, with further members.
pub fn document(id: &str, redirect_uri: &str, members: &str) -> String {
    format!(
        r#"{{"client_id":"{id}","redirect_uris":["{redirect_uri}"],"grant_types":["authorization_code","refresh_token"]{members}}}"#
    )
}

impl DocumentServer {
    /// Over http.
    pub fn start() -> DocumentServer {
        DocumentServer::start_over(|stream| Some(Box::new(stream)))
    }

    /// Over the stream that `wrap` makes of each connection, if it makes one.
    pub fn start_over(wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + 'static) -> DocumentServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if of_thread.state.lock().unwrap().is_over {
                    return;
                }
                let kept = stream.try_clone();
                if let Some(mut stream) = wrap(stream) {
                    of_thread.answer(&mut *stream, kept.ok());
                }
            }
        });
        DocumentServer { port, shared, thread: Some(thread) }
    }

    /// The URL of the document.
    pub fn url(&self) -> String {
        format!("http://localhost:{}/client.json", self.port)
    }

    /// Answers `response` from now on.
    pub fn say(&self, response: impl Into<String>) {
        self.shared.state.lock().unwrap().response = Some(response.into());
    }

    /// Leaves requests without an answer from now on.
    pub fn hang(&self) {
        self.shared.state.lock().unwrap().response = None;
    }

    /// Answers with this JSON from now on.
    pub fn publish(&self, document: &str) {
        self.say(response("200 OK", "application/json", document));
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.shared.state.lock().unwrap().requests
    }

    /// Waits until this many requests have come.
    pub fn wait_for_requests(&self, count: usize) {
        let Shared { state, changed } = &*self.shared;
        let is_missing = |state: &mut State| state.requests < count;
        let waited = changed.wait_timeout_while(state.lock().unwrap(), super::PATIENCE, is_missing);
        let (_state, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "{count} requests");
    }
}

impl Drop for DocumentServer {
    /// Afterwards, connections to its port are refused.
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().is_over = true;
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking());
    }
}

/// What a document is sent over.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Shared {
    fn answer(&self, stream: &mut dyn Stream, kept: Option<TcpStream>) {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            if !matches!(stream.read(&mut byte), Ok(1)) {
                return;
            }
            head.push(byte[0]);
        }
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        self.changed.notify_all();
        match &state.response {
            Some(response) => {
                // The other side may have read enough.
                let _ = stream.write_all(response.as_bytes()).and_then(|()| stream.flush());
            }
            None => state.open.extend(kept),
        }
    }
}
