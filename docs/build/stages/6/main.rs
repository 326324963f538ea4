//! An authorization server: one thread, which waits for all clients at once.

mod http;
mod routes;
mod secrets;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use routes::Server;

/// The maximum number of open connections.
const CONNECTIONS_MAX: usize = 100;

/// How many bytes are read and discarded after the last answer.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// The token of the listener; those of connections follow it.
const LISTENER: Token = Token(0);
const FIRST_CONNECTION: usize = 1;

fn main() -> io::Result<()> {
    let poll = Poll::new()?;
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port(1, 3001)?)))?;
    let own_port = listener.local_addr()?.port();
    println!("listening on http://localhost:{own_port}");
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    EventLoop {
        poll,
        listener,
        connections: HashMap::new(),
        next_token: FIRST_CONNECTION,
        server: Server::new(own_port),
    }
    .run()
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
    listener: TcpListener,
    connections: HashMap<Token, Connection>,
    next_token: usize,
    server: Server,
}

impl EventLoop {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept_all(),
                    token => self.drive(token),
                }
            }
        }
    }

    /// Accepts every client that waits: readiness is reported once, not once for each of them.
    fn accept_all(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.open(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    println!("cannot accept a connection: {error}");
                    return;
                }
            }
        }
    }

    fn open(&mut self, mut stream: TcpStream) {
        if self.connections.len() == CONNECTIONS_MAX {
            return; // The stream is dropped, and with it the connection.
        }
        let token = Token(self.next_token);
        self.next_token += 1;
        let both = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(&mut stream, token, both) {
            Ok(()) => {
                let connection = Connection::new(stream);
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
    state: State,
    /// Received, not yet answered.
    input: Vec<u8>,
    /// Answered, not yet sent.
    output: Vec<u8>,
    /// Whether the connection stays open after the answer.
    keep_alive: bool,
    discarded: usize,
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
    fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            state: State::Reading,
            input: Vec::new(),
            output: Vec::new(),
            keep_alive: true,
            discarded: 0,
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
        let (response, length) = match http::parse(&self.input) {
            Ok(None) => return false,
            Ok(Some((request, length))) => {
                self.keep_alive = request.keep_alive;
                (server.respond(&request), length)
            }
            // Where the next request would begin is unknown, so this answer is the last.
            Err(refusal) => {
                self.keep_alive = false;
                (refusal, self.input.len())
            }
        };
        self.input.drain(..length);
        response.write_to(&mut self.output, self.keep_alive);
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
