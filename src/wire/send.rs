//! Sends edited bytes to one of the servers once more, over a connection of its own.
//!
//! It blocks, so it runs in a pool, and not in the one that the request may need. The answer is read away: it shows up
//! on the wire like every other.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How long the server may stay silent.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// How many reads the answer may take: with full ones, 16 MiB.
const READS_MAX: usize = 1024;

/// Sends `bytes` to the server at `authority`, such as `localhost:3001`, and waits until it has answered.
///
/// # Errors
/// When the server cannot be reached, or is silent for too long.
pub fn send(authority: &str, bytes: &[u8]) -> io::Result<()> {
    let mut socket = TcpStream::connect(with_port(authority))?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    socket.set_write_timeout(Some(ANSWER_TIME_MAX))?;
    socket.write_all(bytes)?;
    // Nothing follows, so the server closes after its answer.
    socket.shutdown(Shutdown::Write)?;
    let mut answer = [0; 16 * 1024];
    for _ in 0..READS_MAX {
        if socket.read(&mut answer)? == 0 {
            break;
        }
    }
    Ok(())
}

/// An authority without a port has http's.
fn with_port(authority: &str) -> String {
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { authority.to_owned() } else { format!("{authority}:80") }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn bytes_are_sent_as_they_are_and_the_answer_is_awaited() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            socket.read_to_end(&mut received).unwrap();
            socket.write_all(&[0; 40_000]).unwrap();
            received
        });
        send(&authority, b"GET / HTTP/1.1\r\n\xff\r\n").unwrap();
        assert_eq!(server.join().unwrap(), b"GET / HTTP/1.1\r\n\xff\r\n");
        assert_eq!((with_port("localhost"), with_port("[::1]:3")), ("localhost:80".into(), "[::1]:3".into()));
    }
}
