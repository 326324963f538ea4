//! Signals as something to read: each becomes a byte in a pipe, which the event loop reads like anything else.
//!
//! SIGINT and SIGTERM end the server, and a second one ends the program in the signal's own handler, whatever the
//! loop is doing. SIGHUP reloads the configuration where there is a file to read, and otherwise ends the server like
//! the other two. Where it is ignored at the start, as under nohup, it stays ignored.
//!
//! SIGXFSZ is caught and ignored: a write past the limit of file sizes (`ulimit -f`) then fails like one to a full
//! disk.
//!
//! Elsewhere than on Unix there is nothing to read, and Ctrl-C ends the program at once.

use std::io::{self, Read as _};

/// The exit status of an end that a second signal forced, as shells know it.
#[cfg(unix)]
const INTERRUPTED: i32 = 130;

/// Where signals are read.
#[cfg(unix)]
pub(super) type Pipe = mio::net::UnixStream;

#[cfg(not(unix))]
pub(super) type Pipe = mio::net::TcpStream;

/// What SIGHUP does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HangUp {
    Reloads,
    Ends,
}

/// The signals that are listened to.
#[derive(Default)]
pub(super) struct Signals {
    /// Those that end the server.
    pub(super) end: Option<Pipe>,
    /// SIGHUP, where it reloads the configuration.
    pub(super) reload: Option<Pipe>,
    /// SIGHUP was ignored when the program started.
    pub(super) is_hang_up_ignored: bool,
}

impl Signals {
    /// Empties the pipe of SIGHUP, so that it has room for the next one.
    pub(super) fn drain_reload(&mut self) {
        let mut bytes = [0; 64];
        // `WouldBlock` ends the loop; so would an end of the stream, though its other end is never closed.
        while self.reload.as_mut().is_some_and(|pipe| is_more(pipe.read(&mut bytes))) {}
    }
}

fn is_more(result: io::Result<usize>) -> bool {
    match result {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::Interrupted,
    }
}

/// Installs the handlers.
#[cfg(unix)]
pub(super) fn listen(hang_up: HangUp) -> io::Result<Signals> {
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::{flag, low_level::pipe};

    let is_hang_up_ignored = is_ignored(SIGHUP);
    let mut end = vec![SIGINT, SIGTERM];
    let mut reload = None;
    if !is_hang_up_ignored {
        match hang_up {
            HangUp::Ends => end.push(SIGHUP),
            HangUp::Reloads => {
                let (reader, writer) = UnixStream::pair()?;
                pipe::register(SIGHUP, writer)?;
                reader.set_nonblocking(true)?;
                reload = Some(Pipe::from_std(reader));
            }
        }
    }
    let (reader, writer) = UnixStream::pair()?;
    let was_one = Arc::new(AtomicBool::new(false));
    for signal in end {
        // In this order: what the first signal sets, the second one finds set.
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&was_one))?;
        flag::register(signal, Arc::clone(&was_one))?;
        pipe::register(signal, writer.try_clone()?)?;
    }
    reader.set_nonblocking(true)?;
    Ok(Signals { end: Some(Pipe::from_std(reader)), reload, is_hang_up_ignored })
}

#[cfg(not(unix))]
pub(super) fn listen(_: HangUp) -> io::Result<Signals> {
    Ok(Signals::default())
}

/// Whether `signal` is ignored. Only Linux says so in a file, without a foreign system call; elsewhere the answer
/// is no.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, signal))
}

/// Whether `status`, as proc(5) has it, lists `signal` among the ignored ones.
#[cfg(unix)]
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// From now on a write that would make a file larger than the process may (`ulimit -f`) fails, and does not end the
/// program.
///
/// # Errors
/// When the system does not install the handler.
#[cfg(unix)]
pub fn survive_file_size_limit() -> io::Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    // The flag is never read: that there is a handler is enough.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// There is no such signal.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn survive_file_size_limit() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn the_pipe_of_sighup_is_emptied_so_that_it_has_room_for_the_next_one() {
        use std::io::Write as _;

        let (reader, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        writer.write_all(&[0; 1000]).unwrap();
        let mut signals = Signals { reload: Some(Pipe::from_std(reader)), ..Signals::default() };
        signals.drain_reload();
        let left = signals.reload.unwrap().read(&mut [0]);
        assert_eq!(left.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_ignored_signal_is_read_from_the_mask() {
        let check = |status: &str, expected: [bool; 3]| {
            assert_eq!([1, 2, 15].map(|signal| ignores(status, signal)), expected, "{status}");
        };
        check("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n", [true, false, false]);
        check("SigIgn:\t0000000000004002\n", [false, true, true]);
        check("SigIgn:\tnothing\n", [false; 3]);
        check("SigCgt:\tffffffffffffffff\n", [false; 3]);
    }
}
