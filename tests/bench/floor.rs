//! The floor: the least that a server on this kernel can do for the same bytes.
//!
//! It waits for readiness, reads once, counts the blank lines in what it read, and writes as many ready-made
//! answers in one call. It parses nothing, routes nothing, holds nobody to a limit, and would fail any request
//! that came in two pieces. What a server costs above it is what the server itself does.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(0);

struct Client {
    socket: TcpStream,
    /// Which answer is next; each connection goes round all of them.
    next: usize,
}

/// Serves on a free port until it is killed: reads the answers from standard input, prints the port.
pub fn run() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let answers = split(&input);
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("{}", listener.local_addr()?.port());
    let closes = answers.iter().any(|answer| answer.windows(19).any(|line| line == b"\r\nConnection: close\r"));
    let mut events = Events::with_capacity(1024);
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut free = Vec::new();
    let mut bytes = vec![0; 16 * 1024];
    let mut out = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&poll, &listener, &mut clients, &mut free);
                continue;
            }
            let slot = event.token().0 - 1;
            let Some(client) = clients[slot].as_mut() else { continue };
            let is_open = serve(client, &answers, &mut bytes, &mut out) && !closes;
            if !is_open {
                clients[slot] = None;
                free.push(slot);
            }
        }
    }
}

fn accept(poll: &Poll, listener: &TcpListener, clients: &mut Vec<Option<Client>>, free: &mut Vec<usize>) {
    while let Ok((mut socket, _)) = listener.accept() {
        let _ = socket.set_nodelay(true);
        let slot = free.pop().unwrap_or_else(|| {
            clients.push(None);
            clients.len() - 1
        });
        if poll.registry().register(&mut socket, Token(slot + 1), Interest::READABLE).is_ok() {
            clients[slot] = Some(Client { socket, next: 0 });
        }
    }
}

/// One read, one write; whether the connection goes on.
fn serve(client: &mut Client, answers: &[Vec<u8>], bytes: &mut [u8], out: &mut Vec<u8>) -> bool {
    let count = match client.socket.read(bytes) {
        Ok(0) => return false,
        Ok(count) => count,
        Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
    };
    out.clear();
    for _ in memchr::memmem::find_iter(&bytes[..count], b"\r\n\r\n") {
        out.extend_from_slice(&answers[client.next]);
        client.next = (client.next + 1) % answers.len();
    }
    client.socket.write(out).is_ok_and(|sent| sent == out.len())
}

/// The answers in `input`, each after its length in decimal and a line end.
fn split(mut input: &[u8]) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    while let Some(line_end) = memchr::memchr(b'\n', input) {
        let length: usize = String::from_utf8_lossy(&input[..line_end]).parse().expect("a length");
        let answer = &input[line_end + 1..][..length];
        answers.push(answer.to_vec());
        input = &input[line_end + 1 + length..];
    }
    answers
}

/// `answers` as [`run`] reads them.
pub fn join(answers: &[Vec<u8>]) -> Vec<u8> {
    let mut input = Vec::new();
    for answer in answers {
        input.extend_from_slice(format!("{}\n", answer.len()).as_bytes());
        input.extend_from_slice(answer);
    }
    input
}
