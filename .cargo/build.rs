//! Two arguments for the linker, which make the program take less memory and change nothing else.
//!
//! The first packs relative relocations (RELR). A position-independent program has thousands of pointers into itself,
//! which the loader corrects at the start. As a table they take 24 bytes each, 200 KiB in all; packed they take a
//! hundredth of that. glibc reads packed ones from 2.36 on, and an older one refuses the program. So they are packed
//! only where a program is built for the machine that builds it, and that machine has such a glibc. A linker that does
//! not know the option warns and ignores it.
//!
//! The second groups the code that runs at the start (`start.ld`), in a release. It is left out wherever a linker is
//! configured, and the default one is taken for GNU's or LLVM's.

#![forbid(unsafe_code)]

use std::env;
use std::process::Command;

/// The first glibc that reads packed relocations.
const GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=.cargo/build.rs");
    println!("cargo:rerun-if-changed=.cargo/start.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let is_linux_gnu = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    let is_for_this_machine = env::var("HOST").is_ok_and(|host| is("TARGET", &host));
    if is_linux_gnu && is_for_this_machine && glibc().is_some_and(|version| version >= GLIBC) {
        // An argument of the link alone, added to those of RUSTFLAGS.
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    if is_linux_gnu && is_for_this_machine && is("PROFILE", "release") && !is_another_linker() {
        let package = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for a build script");
        println!("cargo:rustc-link-arg-bins=-T");
        println!("cargo:rustc-link-arg-bins={package}/.cargo/start.ld");
    }
}

/// Whether the linker is not the one that Rust chooses.
fn is_another_linker() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    env::var_os("RUSTC_LINKER").is_some() || flags.contains("linker") || flags.contains("fuse-ld")
}

/// The version of this machine's glibc, if it has one.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().strip_prefix("glibc ")?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
