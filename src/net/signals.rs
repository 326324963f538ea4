//! Signals as something to read: SIGINT, SIGTERM and SIGHUP become a byte in a pipe, which the event loop
//! reads like anything else. A second signal ends the program in the signal's own handler, whatever the loop
//! is doing.
//!
//! SIGXFSZ is caught and ignored: a write past the limit of file sizes (`ulimit -f`) then fails like one to a full disk.
//!
//! Elsewhere than on Unix there is nothing to read, and Ctrl-C ends the program at once.

use std::io;

/// The exit status of an end that a second signal forced, as shells know it.
#[cfg(unix)]
const INTERRUPTED: i32 = 130;

/// Where signals are read.
#[cfg(unix)]
pub(super) type Signals = mio::net::UnixStream;

#[cfg(not(unix))]
pub(super) type Signals = mio::net::TcpStream;

/// From now on signals are heard.
#[cfg(unix)]
pub(super) fn listen() -> io::Result<Option<Signals>> {
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::{flag, low_level::pipe};

    let (reader, writer) = UnixStream::pair()?;
    let was_one = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: what the first signal sets, the second one finds set.
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&was_one))?;
        flag::register(signal, Arc::clone(&was_one))?;
        pipe::register(signal, writer.try_clone()?)?;
    }
    reader.set_nonblocking(true)?;
    Ok(Some(Signals::from_std(reader)))
}

#[cfg(not(unix))]
pub(super) fn listen() -> io::Result<Option<Signals>> {
    Ok(None)
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
