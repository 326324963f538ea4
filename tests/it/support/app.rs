//! An app to which links of its own scheme lead: a stand-in for the system's `xdg-open` that keeps what it is given.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

/// The app, until it is dropped.
pub struct App {
    scheme: &'static str,
    /// Whose pages may open it. Without leave, the browser asks the person, at a moment of its own choosing, and takes
    /// no click until it has an answer.
    origins: Vec<String>,
    folder: PathBuf,
}

impl App {
    /// An app for `scheme` that pages of these `origins` may open, in a `folder` that is not there yet.
    pub fn install(folder: PathBuf, scheme: &'static str, origins: &[String]) -> App {
        fs::create_dir(&folder).expect("a folder can be made");
        let app = App { scheme, origins: origins.to_vec(), folder };
        app.put("xdg-open", &format!("printf '%s\\n' \"$1\" >> '{}'", app.opened_place().display()));
        // Asked who opens the scheme, it says nothing, as where the system does not know.
        app.put("xdg-settings", ":");
        app
    }

    fn put(&self, program: &str, command: &str) {
        let place = self.folder.join(program);
        fs::write(&place, format!("#!/bin/sh\n{command}\n")).expect("a file can be written");
        fs::set_permissions(&place, Permissions::from_mode(0o755)).expect("a mode can be set");
    }

    fn opened_place(&self) -> PathBuf {
        self.folder.join("opened")
    }

    /// The addresses that it was opened with so far.
    pub fn opened(&self) -> Vec<String> {
        let text = fs::read_to_string(self.opened_place()).unwrap_or_default();
        // A line that is being written counts when it has its end.
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }

    /// The search path of a browser that finds the app.
    pub fn search_path(&self) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.clone()).chain(std::env::split_paths(&path));
        std::env::join_paths(folders).expect("a folder's name without a colon")
    }

    /// The browser's preferences, by which it opens the app without asking.
    pub fn preferences(&self) -> Value {
        let leave = json!({self.scheme: true});
        let pairs: Map<String, Value> =
            self.origins.iter().map(|origin| (origin.clone(), leave.clone())).collect();
        json!({"protocol_handler.allowed_origin_protocol_pairs": pairs})
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
