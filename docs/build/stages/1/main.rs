//! A socket that answers: one client after another, and the same answer to everyone.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// The maximum size of a request head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port(1, 3001)?)))?;
    let own_port = listener.local_addr()?.port();
    println!("listening on http://localhost:{own_port}");
    for stream in listener.incoming() {
        if let Err(error) = stream.and_then(serve) {
            println!("a connection ended early: {error}");
        }
    }
    Ok(())
}

/// Reads one request head and answers it. Then the stream is dropped, which closes the connection.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut input = Vec::new();
    let mut piece = [0; 4096];
    while !has_head(&input) {
        if input.len() > HEAD_BYTES_MAX {
            return stream.write_all(TOO_LONG);
        }
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input.extend_from_slice(&piece[..count]),
        }
    }
    stream.write_all(&answer())
}

/// The port in argument `index` of the command line, or `default`. Port 0 means any free one.
fn port(index: usize, default: u16) -> io::Result<u16> {
    match std::env::args().nth(index) {
        Some(text) => text.parse().map_err(io::Error::other),
        None => Ok(default),
    }
}

/// Whether `input` has a whole request head: it ends with an empty line.
fn has_head(input: &[u8]) -> bool {
    input.windows(4).any(|window| window == b"\r\n\r\n")
}

/// The answer to every request.
fn answer() -> Vec<u8> {
    let body = r#"{"answer":42}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// The answer to a head that does not end.
const TOO_LONG: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    Content-Length: 0\r\nConnection: close\r\n\r\n";
