//! The conformance table, shown to this server and to others: who answers what.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::SERVER_CORE;
use crate::load::{self, Work};
use crate::servers::{self, Server};

#[path = "../conformance/cases.rs"]
mod cases;

use cases::{CASES, Case};

/// A server that says nothing for so long, and keeps the connection open, has said what it has to say.
const PATIENCE: Duration = Duration::from_millis(200);

/// The statuses of the final answers to a case.
fn statuses(server: &Server, case: &Case) -> io::Result<Vec<u16>> {
    let mut socket = TcpStream::connect(server.target.address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // A refusal may come before everything is sent.
    let _ = socket.write_all(&cases::bytes(case));
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes);
    // Not before: Node does not answer a client that has ended. But some cases are about a client that ends too soon.
    let _ = socket.shutdown(std::net::Shutdown::Write).and_then(|()| socket.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let codes = text.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)?.parse().ok());
    Ok(codes.filter(|status| *status >= 200).collect())
}

/// Whether something that should have been refused was taken for a request, or what follows it was.
fn is_fooled(case: &Case, got: &[u16]) -> bool {
    case.refuses && got.iter().any(|status| *status < 400 || got.len() > 1)
}

pub fn compare() -> io::Result<String> {
    let own = servers::own(SERVER_CORE, &["--workers", "1"])?;
    let dialog = load::collect(&own.target, Work::Dialog)?;
    let secure = load::collect(&own.target, Work::Secure)?;
    let token = own.target.token.clone();
    let mut servers = vec![("this server", own)];
    servers.extend(servers::nginx(SERVER_CORE, &secure, &dialog, &token).map(|server| ("nginx", server)));
    servers.extend(servers::express(SERVER_CORE, &dialog).map(|server| ("Node, Express", server)));
    let names: Vec<&str> = servers.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "{} cases; the statuses of all answers, an asterisk where what should be refused, or what follows it, was \
         taken for a request, a dash where no answer came\n\n| section | case | wanted | {} |\n| --- | --- | --- |{}\n",
        CASES.len(),
        names.join(" | "),
        " --- |".repeat(names.len())
    );
    let mut fooled = vec![0; servers.len()];
    for case in CASES {
        let _ = write!(text, "| {} | {} | {} |", case.section, case.name, list(case.answers));
        for (index, (_, server)) in servers.iter().enumerate() {
            let got = statuses(server, case)?;
            let is_fooled = is_fooled(case, &got);
            fooled[index] += usize::from(is_fooled);
            let _ = write!(text, " {}{} |", list(&got), if is_fooled { " *" } else { "" });
        }
        text.push('\n');
    }
    let refused = CASES.iter().filter(|case| case.refuses).count();
    for ((name, _), count) in servers.iter().zip(fooled) {
        let _ = write!(
            text,
            "\n{name}: {count} of the {refused} cases that should be refused were not, or not to the end"
        );
    }
    text.push('\n');
    Ok(text)
}

fn list(statuses: &[u16]) -> String {
    match statuses {
        [] => "–".to_owned(),
        _ => statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" "),
    }
}
