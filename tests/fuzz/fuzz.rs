//! The fuzzer: the target that the variable `TARGET` names, given whatever bytes libFuzzer thinks of.

#![no_main]

mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let found = targets::ALL.iter().find(|(other, _)| *other == name);
    let names = targets::ALL.map(|(name, _)| name).join(", ");
    found.unwrap_or_else(|| panic!("set TARGET to one of {names}")).1
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
