//! The text of `--help`.

/// The text of `--help`.
pub const HELP: &str = "\
A small, strict OAuth authorization server from the socket up, made to be read.

Usage: oauth-from-scratch [FLAGS]
       oauth-from-scratch client-secret [--chosen]

Serves a client app and an authorization server. Open the client app's address in a
browser, press its button, authorize it in the dialog, and read the secret answer.
With --config it serves your clients from a configuration file, without the demo.

client-secret generates a secret for a client and prints it once, with the digest to put
into the configuration file. With --chosen it reads a secret that a person chose from
standard input, and prints its Argon2 digest.

Flags:
  --config FILE       read issuer, clients, scopes, limits and lifetimes from FILE (TOML);
                      the flags below override it. SIGHUP reloads it
  --check-config      check the configuration, print it and exit
  --client-port PORT  the client app's port; 0 picks a free one [default: 3000]
  --auth-port PORT    the authorization server's port; 0 picks a free one [default: 3001]
  --bind ADDRESS      the IP address to listen on [default: 127.0.0.1 and ::1]
  --issuer URL        the URL by which clients reach the authorization server, where it
                      differs from the listening address (published port, tunnel, proxy)
  --insecure-http     allow plain http in issuers and redirect URIs on any host, not only
                      on loopback: for tests on an isolated network
  --workers N         the number of worker threads [default: one per core]
  --connections-per-peer N
                      the maximum number of open connections per address (in IPv6, per
                      /64) [default: 256; unlimited on loopback]
  --article           follow the article to the letter, with its holes: codes of ten digits,
                      tokens of fifty, nothing expires, no check against forged forms, no
                      PKCE. For lessons: only on loopback, with the demo and --store memory
  --lab               also serve the attack lab, where you turn a defence off, carry out the
                      attack, and turn the defence on again. The restrictions of --article
                      apply
  --lab-port PORT     the port of the attacker's site; 0 picks a free one [default: 3002]
  --store LOCATION    where grants are stored: memory, file:PATH, or redis://HOST:PORT
                      [default: memory, lost when the process exits]
  --store-durability full|relaxed
                      for a file: whether an answer waits for the disk. With relaxed, a
                      crash loses the last second: codes that were used and tokens that
                      were revoked are valid again
                      [default: full]
  --keys FILE         keep the server's keys in FILE, so that forms outlive a restart with any
                      store; created at the first start, readable only by its owner. SIGHUP
                      reloads it
                      [default: with the store; for memory, lost when the process exits]
  --print-resource-metadata URI
                      print the metadata document (RFC 9728) of a resource of the
                      configuration, for the resource to serve, and exit
  --new-key           add a key to the key file (--keys) and exit. New forms and client
                      identifiers are sealed with it; those of older keys still open
  --log[=json]        write a line for each request to standard output, in the common log
                      format or as JSON [default: no]
  --ready-file PATH   once all servers listen, write a line of JSON with issuer, ports,
                      addresses and process id to PATH; the file is removed on exit
  --ready-json        print that line to standard output instead of text
  --end-with-stdin    stop when standard input is closed, for example because the parent
                      process has exited
  --www DIR           read the pages from DIR at each request, to edit and reload them
                      [default: the pages in the program]
  --wire              show every message on the wire, with its secrets, at /wire: for
                      developing a client; on loopback only [default: in the demo]
  --no-wire           turn the wire view off in the demo
  --trace             print every message on standard error as well, without secrets
  --wire-with-lasting-store
                      allow --wire with a store that outlives the process
  --help              print this text
  --version           print the version
";
