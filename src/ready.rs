//! How the program reports that it is ready (as text, as JSON, in a file), and stops together with its parent process.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use oauth_from_scratch::json::Object;
use oauth_from_scratch::net::{Handle, Server};
use oauth_from_scratch::routes::Role;

/// The issuer, ports, addresses and process id of `server`, and the attack lab's address, as one line of JSON.
pub fn json(server: &Server) -> String {
    let of = |wanted: Role| -> Vec<std::net::SocketAddr> {
        server.addresses().iter().filter(|(role, _)| *role == wanted).map(|(_, address)| *address).collect()
    };
    let text = |addresses: &[std::net::SocketAddr]| -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    };
    let (auth, client) = (of(Role::AuthorizationServer), of(Role::ClientApp));
    let port = |addresses: &[std::net::SocketAddr]| addresses.first().map(std::net::SocketAddr::port);
    let mut line = Object::default();
    line.texts("auth_addresses", text(&auth).iter().map(String::as_str))
        .optional_port("auth_port", port(&auth))
        .texts("client_addresses", text(&client).iter().map(String::as_str))
        .optional_text("client_app", server.site().client_app())
        .optional_port("client_port", port(&client))
        .text("issuer", server.site().issuer())
        .optional_text("lab", server.site().lab())
        .number("process_id", std::process::id().into());
    format!("{}\n", line.finish())
}

/// The addresses of `server`, as text for a person. With `has_wire` the wire view is among them.
pub fn words(server: &Server, has_wire: bool) -> String {
    let (site, mut lines) = (server.site(), Vec::new());
    let mut line = |name: &str, address: &str| lines.push(format!("{name:<20}  {address}\n"));
    match site.client_app() {
        Some(client_app) => {
            line("client app", client_app);
            line("authorization server", site.issuer());
        }
        None => {
            let port = server.addresses().first().map_or(0, |(_, address)| address.port());
            line("authorization server", &format!("{} (on port {port})", site.issuer()));
        }
    }
    if let Some(lab) = site.lab() {
        line("attacker's site", lab);
    }
    // Without a client app the authorization server has the wire view, and there is no book.
    let own = site.own_authority(Role::AuthorizationServer).map(|authority| format!("http://{authority}"));
    if let (true, Some(origin)) = (has_wire, site.client_app().map(str::to_owned).or(own)) {
        line("wire view", &format!("{origin}/wire"));
    }
    if let Some(client_app) = site.client_app() {
        if cfg!(feature = "docs") {
            line("book", &format!("{client_app}/docs"));
        }
        lines.push(
            "Open the client app in a browser and press its button. Ctrl-C stops all of this.\n".to_owned(),
        );
    }
    lines.concat()
}

/// A file that exists while the server is ready.
pub struct ReadyFile {
    path: PathBuf,
    /// Whether the file is a pipe or a similar file, which is neither replaced nor removed.
    is_special: bool,
}

impl ReadyFile {
    /// Removes the file that an earlier server left at `path`, because its addresses are out of date.
    pub fn clear(path: &Path) -> Result<ReadyFile, String> {
        let is_special = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
        let file = ReadyFile { path: path.to_owned(), is_special };
        match if is_special { Ok(()) } else { fs::remove_file(path) } {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, &error)),
            _ => Ok(file),
        }
    }

    /// Writes `text` under another name and renames it, so that a reader finds the whole file or none.
    pub fn write(&self, text: &str) -> Result<(), String> {
        let write = |path: &Path| File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
        let written = if self.is_special {
            write(&self.path)
        } else {
            let mut unfinished = self.path.clone().into_os_string();
            unfinished.push(format!(".{}", std::process::id()));
            write(Path::new(&unfinished)).and_then(|()| fs::rename(&unfinished, &self.path))
        };
        written.map_err(|error| failed(&self.path, &error))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if !self.is_special {
            // It may have been removed already.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> String {
    let path = oauth_from_scratch::cli::shown_path(path);
    format!("cannot write --ready-file {path} ({error}); give a path in a folder that this user may write to")
}

/// Stops the server in order when standard input is closed, for example because the parent process has exited.
/// Ignores what it reads before that.
pub fn end_with_stdin(handle: Handle) -> Result<(), String> {
    let read = move || {
        let mut bytes = [0; 1024];
        loop {
            match io::stdin().read(&mut bytes) {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        handle.finish();
    };
    let thread = std::thread::Builder::new().name("stdin".to_owned()).spawn(read);
    thread.map(drop).map_err(|error| format!("cannot start the thread for --end-with-stdin: {error}"))
}
