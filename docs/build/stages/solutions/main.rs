//! A client app and an authorization server: one thread, which waits for all clients at once.

mod http;
mod routes;
mod secrets;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use routes::{Role, Server};

/// The maximum number of open connections.
const CONNECTIONS_MAX: usize = 100;

/// How many bytes are read and discarded after the last answer.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// The tokens of the listeners; those of connections follow them.
const CLIENT_APP: Token = Token(0);
const AUTHORIZATION_SERVER: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

fn main() -> io::Result<()> {
    let poll = Poll::new()?;
    let client_app = listen(&poll, CLIENT_APP, port(1, 3000)?)?;
    let authorization_server = listen(&poll, AUTHORIZATION_SERVER, port(2, 3001)?)?;
    let client_port = client_app.local_addr()?.port();
    let own_port = authorization_server.local_addr()?.port();
    println!("client app: http://localhost:{client_port}");
    println!("authorization server: http://localhost:{own_port}");
    EventLoop {
        poll,
        client_app,
        authorization_server,
        connections: HashMap::new(),
        next_token: FIRST_CONNECTION,
        server: Server::new(client_port, own_port),
        patience: patience()?,
    }
    .run()
}

/// A listener on `port`, whose clients are reported with `token`.
fn listen(poll: &Poll, token: Token, port: u16) -> io::Result<TcpListener> {
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    poll.registry()
        .register(&mut listener, token, Interest::READABLE)?;
    Ok(listener)
}

/// The port in argument `index` of the command line, or `default`. Port 0 means any free one.
fn port(index: usize, default: u16) -> io::Result<u16> {
    match std::env::args().nth(index) {
        Some(text) => text.parse().map_err(io::Error::other),
        None => Ok(default),
    }
}

/// Everything that is open, and the one place where the thread waits.
struct EventLoop {
    poll: Poll,
    client_app: TcpListener,
    authorization_server: TcpListener,
    connections: HashMap<Token, Connection>,
    next_token: usize,
    server: Server,
    /// How long a client may take to send a request and to read the answer.
    patience: Duration,
}

impl EventLoop {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            match self.poll.poll(&mut events, Some(self.patience / 4)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                match event.token() {
                    CLIENT_APP => self.accept_all(Role::ClientApp),
                    AUTHORIZATION_SERVER => self.accept_all(Role::AuthorizationServer),
                    token => self.drive(token),
                }
            }
            let patience = self.patience;
            self.connections
                .retain(|_, connection| connection.since.elapsed() < patience);
        }
    }

    /// Accepts every client that waits: readiness is reported once, not once for each of them.
    fn accept_all(&mut self, role: Role) {
        loop {
            let accepted = match role {
                Role::ClientApp => self.client_app.accept(),
                Role::AuthorizationServer => self.authorization_server.accept(),
            };
            match accepted {
                Ok((stream, _)) => self.open(stream, role),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    println!("cannot accept a connection: {error}");
                    return;
                }
            }
        }
    }

    fn open(&mut self, mut stream: TcpStream, role: Role) {
        if self.connections.len() == CONNECTIONS_MAX {
            return; // The stream is dropped, and with it the connection.
        }
        let token = Token(self.next_token);
        self.next_token += 1;
        let both = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(&mut stream, token, both) {
            Ok(()) => {
                let connection = Connection::new(stream, role);
                self.connections.insert(token, connection);
            }
            Err(error) => println!("cannot wait for a connection: {error}"),
        }
    }

    fn drive(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(&token) else {
            return;
        };
        match connection.drive(&mut self.server) {
            // Its next event continues it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => {
                self.connections.remove(&token);
            }
        }
    }
}

/// One client, and how far we are with it.
struct Connection {
    stream: TcpStream,
    role: Role,
    state: State,
    /// Received, not yet answered.
    input: Vec<u8>,
    /// Answered, not yet sent.
    output: Vec<u8>,
    /// Whether the connection stays open after the answer.
    keep_alive: bool,
    discarded: usize,
    /// When it was accepted, or had its last answer.
    since: Instant,
}

enum State {
    /// A request is arriving.
    Reading,
    /// An answer is leaving.
    Writing,
    /// The last answer has left. What the client still sends is discarded.
    Closing,
}

impl Connection {
    fn new(stream: TcpStream, role: Role) -> Connection {
        Connection {
            stream,
            role,
            state: State::Reading,
            input: Vec::new(),
            output: Vec::new(),
            keep_alive: true,
            discarded: 0,
            since: Instant::now(),
        }
    }

    /// Does everything that can be done without waiting. `WouldBlock` is the usual end; `Ok` means
    /// that the connection is over.
    fn drive(&mut self, server: &mut Server) -> io::Result<()> {
        loop {
            match self.state {
                State::Reading => self.read(server)?,
                State::Writing => self.write()?,
                State::Closing => return self.discard(),
            }
        }
    }

    /// Answers the first request in the input, if all of it is there.
    fn answer(&mut self, server: &mut Server) -> bool {
        let (response, length, is_head) = match http::parse(&self.input) {
            Ok(None) => return false,
            Ok(Some((request, length))) => {
                self.keep_alive = request.keep_alive;
                (server.respond(self.role, &request), length, request.is_head)
            }
            // Where the next request would begin is unknown, so this answer is the last.
            Err(refusal) => {
                self.keep_alive = false;
                (refusal, self.input.len(), false)
            }
        };
        self.input.drain(..length);
        response.write_to(&mut self.output, self.keep_alive, is_head);
        true
    }

    fn read(&mut self, server: &mut Server) -> io::Result<()> {
        if self.answer(server) {
            self.state = State::Writing;
            return Ok(());
        }
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => self.input.extend_from_slice(&piece[..count]),
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let count = self.stream.write(&self.output)?;
        self.output.drain(..count);
        if self.output.is_empty() && self.keep_alive {
            self.state = State::Reading;
            self.since = Instant::now();
        } else if self.output.is_empty() {
            self.stream.shutdown(Shutdown::Write)?;
            self.state = State::Closing;
        }
        Ok(())
    }

    /// Reads until the client closes. If we closed first, the kernel would answer what is still
    /// arriving with a reset, and a reset can destroy the answer before the client has read it.
    fn discard(&mut self) -> io::Result<()> {
        let mut piece = [0; 4096];
        while self.discarded < DISCARDED_BYTES_MAX {
            match self.stream.read(&mut piece)? {
                0 => return Ok(()),
                count => self.discarded += count,
            }
        }
        Ok(())
    }
}

/// Argument 3 of the command line, in milliseconds; ten seconds without it.
fn patience() -> io::Result<Duration> {
    let text = std::env::args().nth(3).unwrap_or("10000".to_owned());
    let milliseconds = text.parse().map_err(io::Error::other)?;
    Ok(Duration::from_millis(milliseconds))
}
