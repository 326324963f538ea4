//! Signals as events: each writes a byte into a pipe that the event loop polls like a socket.
//!
//! SIGINT and SIGTERM shut the server down, and a second one ends the program from the signal handler, even if the loop
//! hangs. SIGHUP reloads the configuration if there is a file to read, and otherwise shuts down like the other two. If
//! it was ignored when the program started, as under nohup, it stays ignored.
//!
//! SIGXFSZ is caught and ignored, so that a write past the limit of file sizes (`ulimit -f`) fails like one to a full
//! disk.
//!
//! On systems other than Unix there are no pipes, and Ctrl-C ends the program at once.

use std::io::{self, Read as _};

/// The exit status when a second signal ends the program: 128 + SIGINT, as shells report it.
#[cfg(unix)]
const INTERRUPTED: i32 = 130;

/// The reading end of a pipe of signals.
#[cfg(unix)]
pub(super) type Pipe = mio::net::UnixStream;

#[cfg(not(unix))]
pub(super) type Pipe = mio::net::TcpStream;

/// The effect of SIGHUP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HangUp {
    /// It reloads the configuration.
    Reloads,
    /// It shuts the server down.
    Ends,
}

/// The pipes of the signals that have handlers.
#[derive(Default)]
pub(super) struct Signals {
    /// The signals that shut the server down.
    pub(super) end: Option<Pipe>,
    /// SIGHUP, if it reloads the configuration.
    pub(super) reload: Option<Pipe>,
    /// SIGHUP was ignored when the program started.
    pub(super) is_hang_up_ignored: bool,
}

impl Signals {
    /// Empties the pipe of SIGHUP: a full pipe would lose the next signal.
    pub(super) fn drain_reload(&mut self) {
        let mut bytes = [0; 64];
        // Ends with `WouldBlock`. An end of the stream would end it, too, but the other end is never closed.
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
///
/// # Errors
/// If the system refuses a pipe or a handler.
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
        // The order matters: the first signal finds the flag unset and sets it, the second finds it set and exits.
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

/// Whether `signal` is ignored. Only Linux tells that in a file; asking other systems takes an `unsafe` call, so the
/// answer there is no.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, signal))
}

/// Whether the `SigIgn` mask in `status`, a file of proc(5), has the bit of `signal`.
#[cfg(unix)]
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Makes a write past the limit of file sizes (`ulimit -f`) fail instead of ending the program.
///
/// # Errors
/// If the system refuses the handler.
#[cfg(unix)]
pub fn survive_file_size_limit() -> io::Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    // The flag is never read; a handler of any kind prevents the default, which ends the program.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// Does nothing: this system has no such signal.
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
    fn the_pipe_of_sighup_is_drained_for_the_next_one() {
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
