//! The program as a process, with SIGHUP as it is by default even where the tests run under nohup.

use std::process::Command;

/// Where it is.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_oauth-from-scratch");

/// The program.
pub fn program() -> Command {
    with_hang_up(PROGRAM)
}

/// Another program, such as a shell that starts this one.
pub fn with_hang_up(name: &str) -> Command {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim).unwrap_or("0");
    if u64::from_str_radix(mask, 16).is_ok_and(|mask| mask & 1 == 1) {
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", name]);
        return command;
    }
    Command::new(name)
}
