//! The floor: what the kernel alone costs for the same bytes, for a server that waits, reads and writes.
//!
//! It asks epoll which sockets are ready (edge-triggered, no library between), reads each once, counts the blank lines
//! in what it read, and writes that many ready-made answers in one call. The answers lie one after the other in one
//! text, so a batch is one scan and one write, and nothing is copied. Accepted sockets have the listener's options, so
//! a connection takes no call for them.
//!
//! It does no more than answers to correctly shaped requests need. It parses nothing, routes nothing, makes no secret
//! and no digest, keeps no deadline and no limit. A request that arrives in two pieces, or an answer that does not fit
//! into the socket's buffer, would be answered wrongly. What a server costs above it is what the server itself does.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;

use memchr::memmem::Finder;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

/// What an event of the listener carries; those of connections carry their slot.
const LISTENER: u64 = u64::MAX;

/// The most requests that one read brings: those of a pipelined batch.
const BATCH_MAX: usize = 16;

const EVENTS_MAX: usize = 1024;
const READ_BYTES_MAX: usize = 16 * 1024;

/// One connection.
struct Client {
    socket: OwnedFd,
    /// Which answer is next; each connection goes round all of them.
    next: usize,
}

/// The ready-made answers.
struct Answers {
    /// All answers in their order, over and over, so that any [`BATCH_MAX`] of them lie together.
    text: Vec<u8>,
    /// Where each answer in the text begins, and where the last one ends.
    places: Vec<usize>,
    /// How many different answers there are.
    count: usize,
    /// Whether each is the last one of its connection.
    close: bool,
}

impl Answers {
    fn new(answers: &[Vec<u8>]) -> Answers {
        let count = answers.len();
        let (mut text, mut places) = (Vec::new(), vec![0]);
        for answer in answers.iter().cycle().take(count + BATCH_MAX) {
            text.extend_from_slice(answer);
            places.push(text.len());
        }
        let close = memchr::memmem::find(&text, b"\r\nConnection: close\r\n").is_some();
        Answers { text, places, count, close }
    }

    /// The answers to the next `requests` requests of `client`.
    fn take(&self, client: &mut Client, requests: usize) -> &[u8] {
        let (first, last) = (client.next, client.next + requests);
        client.next = last % self.count;
        &self.text[self.places[first]..self.places[last]]
    }
}

/// Serves on a free port until it is killed: reads the answers from standard input, prints the port.
pub fn run() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let answers = Answers::new(&split(&input));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    sockopt::set_tcp_nodelay(&listener, true)?;
    let queue = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&queue, &listener, EventData::new_u64(LISTENER), EventFlags::IN | EventFlags::ET)?;
    println!("{}", listener.local_addr()?.port());
    let blank_line = Finder::new(b"\r\n\r\n");
    let mut events = Vec::with_capacity(EVENTS_MAX);
    let (mut clients, mut free): (Vec<Option<Client>>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut bytes = vec![MaybeUninit::uninit(); READ_BYTES_MAX];
    loop {
        epoll::wait(&queue, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let number = event.data.u64();
            if number == LISTENER {
                accept(&queue, &listener, &mut clients, &mut free)?;
                continue;
            }
            let slot = number as usize;
            let Some(client) = clients[slot].as_mut() else { continue };
            if !serve(client, &answers, &blank_line, &mut bytes) {
                clients[slot] = None;
                free.push(slot);
            }
        }
    }
}

/// Accepts every connection in the backlog.
fn accept(
    queue: &OwnedFd,
    listener: &TcpListener,
    clients: &mut Vec<Option<Client>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    while let Ok(socket) = accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        let slot = free.pop().unwrap_or(clients.len());
        let data = EventData::new_u64(slot as u64);
        epoll::add(queue, &socket, data, EventFlags::IN | EventFlags::ET)?;
        let client = Some(Client { socket, next: 0 });
        match clients.get_mut(slot) {
            Some(place) => *place = client,
            None => clients.push(client),
        }
    }
    Ok(())
}

/// One read, one scan, one write; whether the connection goes on.
fn serve(client: &mut Client, answers: &Answers, blank_line: &Finder, bytes: &mut [MaybeUninit<u8>]) -> bool {
    let Ok(((read, _), _)) = recv(&client.socket, bytes, RecvFlags::empty()) else { return true };
    if read.is_empty() {
        return false;
    }
    let requests = blank_line.find_iter(read).count();
    let text = answers.take(client, requests);
    send(&client.socket, text, SendFlags::NOSIGNAL).is_ok_and(|sent| sent == text.len()) && !answers.close
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
