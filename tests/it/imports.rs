//! Who imports whom: the layers as rows of a table, and no circles.
//!
//! The graph is read from the source: `use` declarations and paths within the code, each resolved to the file that
//! defines what it names, through re-exports. Unit tests count for nothing, and neither does a `pub use` of what its
//! file does not use itself.
//!
//! Calls of methods are not in the graph, so it does not show one kind of circle: a type may have further `impl` blocks
//! in other files, such as `Connection` in `http/connection/streaming.rs`. Such a file imports the type, and the type's
//! own file calls the methods that it adds. A type and its parts count as one.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::source::{code, files, is_word, test_files, tokens};

/// Each layer with its files, and the layers that they may import. A row lists only layers that come after it, so no
/// chain of imports, however long, leads up.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "src/main.rs",
        &[
            "src/ready.rs",
            "src/cli",
            "src/config/",
            "src/net/",
            "src/routes/",
            "src/keys/",
            "src/store/",
            "src/oauth/",
            "src/system.rs",
            "src/json.rs",
            "src/log",
        ],
    ),
    ("src/ready.rs", &["src/cli", "src/net/", "src/routes/", "src/json.rs"]),
    ("src/cli", &["src/config/", "src/net/", "src/store/", "src/oauth/"]),
    ("src/config/", &["src/net/", "src/routes/", "src/pool.rs", "src/store/", "src/http/", "src/oauth/"]),
    (
        "src/net/",
        &[
            "src/routes/",
            "src/keys/",
            "src/pool.rs",
            "src/store/",
            "src/http/",
            "src/oauth/",
            "src/wire/",
            "src/peer.rs",
            "src/system.rs",
            "src/json.rs",
            "src/log",
        ],
    ),
    (
        "src/routes/",
        &[
            "src/outbound/",
            "src/keys/",
            "src/pool.rs",
            "src/store/",
            "src/http/",
            "src/oauth/",
            "src/crypto/",
            "src/wire/",
            "src/peer.rs",
            "src/system.rs",
            "src/json.rs",
        ],
    ),
    ("src/outbound/", &["src/http/", "src/oauth/", "src/system.rs"]),
    ("src/keys/", &["src/store/", "src/crypto/", "src/private_file.rs", "src/system.rs"]),
    ("src/wire/", &["src/oauth/", "src/system.rs", "src/log"]),
    ("src/pool.rs", &["src/store/", "src/peer.rs"]),
    ("src/store/", &["src/oauth/", "src/crypto/", "src/private_file.rs", "src/system.rs", "src/log"]),
    ("src/http/", &[]),
    ("src/oauth/", &["src/crypto/"]),
    ("src/crypto/", &[]),
    ("src/peer.rs", &[]),
    ("src/private_file.rs", &[]),
    ("src/system.rs", &[]),
    ("src/json.rs", &[]),
    ("src/log", &[]),
];

/// What a layer may not import of another, though it may import the rest of it: the routes get requests and give
/// responses, and how bytes become either is between `net` and `http`; and `net` never sees a grant.
const WITHHELD: &[(&str, &[&str])] = &[
    ("src/routes/", &["src/http/connection", "src/http/head.rs", "src/http/chunked.rs"]),
    ("src/net/", &["src/oauth/grant/"]),
];

/// The program's files, by their path in the project, each with what it imports.
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn imports_lead_down_the_layers() {
    for (index, (layer, below)) in LAYERS.iter().enumerate() {
        for below in *below {
            let is_below = LAYERS[index + 1..].iter().any(|(other, _)| other == below);
            assert!(is_below, "LAYERS: {below} does not come after {layer}");
        }
    }
    let graph = graph();
    let mut broken = Vec::new();
    for (file, imports) in graph.iter().filter(|(file, _)| *file != "src/lib.rs") {
        let (layer, below) = layer_of(file);
        for import in imports {
            let (target, _) = layer_of(import);
            if target != layer && !below.contains(&target) {
                broken.push(format!("{file} imports {import}, but {layer} must not import {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_file_imports_what_is_withheld_from_its_layer() {
    let graph = graph();
    for (layer, withheld) in WITHHELD {
        for start in *withheld {
            let is_there = graph.keys().any(|file| file.starts_with(start));
            assert!(is_there, "WITHHELD: there is no {start}; take it out, or name what took its place");
            for (file, imports) in graph.iter().filter(|(file, _)| file.starts_with(layer)) {
                let import = imports.iter().find(|import| import.starts_with(start));
                assert_eq!(import, None, "{file} imports what {layer} must not");
            }
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    if let Some(circle) = circle(&graph()) {
        panic!("these files import each other in a circle: {}", circle.join(" -> "));
    }
}

#[test]
fn the_reader_of_imports_sees_every_form_of_them() {
    let files = BTreeMap::from([
        ("src/lib.rs".to_owned(), "pub mod a;\npub mod b;\n"),
        (
            "src/a/mod.rs".to_owned(),
            "mod c;\npub mod d;\npub use c::{self as see, C};\npub use d::D;\nstruct A(D);\n",
        ),
        ("src/a/c.rs".to_owned(), "use super::{A, D};\n"),
        ("src/a/d.rs".to_owned(), "// use crate::b::B;\nfn f() -> crate::b::B { g('…', '\\'') }\n"),
        (
            "src/b.rs".to_owned(),
            "use crate::a::d;\nfn f(x: d::X) {}\n#[cfg(test)]\nmod tests { use crate::a::C; }\n",
        ),
        ("src/main.rs".to_owned(), "use oauth_from_scratch::a::{C, see::Y};\n"),
    ]);
    let files = files.into_iter().map(|(path, text)| (path, text.to_owned())).collect();
    let graph = graph_of(&files);
    let imports = |file: &str| graph[file].iter().map(String::as_str).collect::<Vec<&str>>();
    assert_eq!(imports("src/a/mod.rs"), ["src/a/d.rs"], "a re-export counts where the file uses it, too");
    assert_eq!(imports("src/a/c.rs"), ["src/a/d.rs", "src/a/mod.rs"]);
    assert_eq!(imports("src/a/d.rs"), ["src/b.rs"], "a path within the code");
    assert_eq!(imports("src/b.rs"), ["src/a/d.rs"], "a module's name, and not the unit tests");
    assert_eq!(imports("src/main.rs"), ["src/a/c.rs"]);
    assert!(circle(&graph).is_some_and(|circle| circle.first() == circle.last()));
    let used = used_paths("use std::{fs, io::{self, Read as _}};\nfn f() -> g::H {}\npub use a::B as C;\n");
    assert_eq!(used, ["std::fs", "std::io", "std::io::Read", "a::B"]);
}

fn layer_of(file: &str) -> (&'static str, &'static [&'static str]) {
    let found = LAYERS.iter().find(|(layer, _)| file.starts_with(layer));
    *found.unwrap_or_else(|| panic!("{file} belongs to no layer; add it to LAYERS"))
}

/// A way from `from` to `to` along the imports, both included.
fn path(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::from([from.to_owned()]);
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way.last()?;
            if last == to {
                return Some(way);
            }
            for next in graph.get(last).into_iter().flatten().filter(|next| seen.insert((*next).clone())) {
                longer.push([&way[..], std::slice::from_ref(next)].concat());
            }
        }
        ways = longer;
    }
    None
}

/// The shortest circle of the first file that is in one.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    graph.iter().find_map(|(file, imports)| {
        let mut circle = imports.iter().filter_map(|import| path(graph, import, file)).min_by_key(Vec::len)?;
        circle.insert(0, file.clone());
        Some(circle)
    })
}

fn graph() -> Graph {
    let files: BTreeMap<String, String> = files("src", &[".rs"]).into_iter().collect();
    let mut graph = graph_of(&files);
    for file in files.iter().flat_map(|(path, text)| test_files(path, text)) {
        graph.remove(&file).unwrap_or_else(|| panic!("{file} is declared and is not there"));
    }
    graph
}

fn graph_of(files: &BTreeMap<String, String>) -> Graph {
    let modules: Modules =
        files.iter().map(|(file, text)| (module_of(file), Module::read(file, text))).collect();
    let imports = |module: &Module| {
        let paths = module.uses.iter().filter(|used| !used.is_public || module.words.contains(&used.name));
        let paths = paths.map(|used| used.path.clone()).chain(module.paths.iter().cloned());
        paths.filter_map(|path| resolve(&modules, &path, 0)).filter(|file| *file != module.file).collect()
    };
    modules.values().map(|module| (module.file.clone(), imports(module))).collect()
}

/// The modules, by their path from the root of the library; the program's own is `main`.
type Modules = BTreeMap<Vec<String>, Module>;

/// The file that defines what `path` names; `None` for what is not the project's.
fn resolve(modules: &Modules, path: &[String], depth: usize) -> Option<String> {
    assert!(depth < 20, "{path:?} is re-exported in a circle");
    let length = (1..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let module = &modules[&path[..length]];
    let Some(name) = path.get(length) else { return Some(module.file.clone()) };
    match module.uses.iter().find(|used| used.name == *name && used.path[..] != path[..=length]) {
        Some(used) => {
            let further = [&used.path[..], &path[length + 1..]].concat();
            resolve(modules, &further, depth + 1)
        }
        None => Some(module.file.clone()),
    }
}

fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let root = if path == "main" { "main" } else { "crate" };
    let parts = path.split('/').filter(|part| !["lib", "main"].contains(part));
    std::iter::once(root).chain(parts).map(str::to_owned).collect()
}

/// What a file says about others.
struct Module {
    file: String,
    uses: Vec<Use>,
    /// The paths within its code, from the root of the library.
    paths: Vec<Vec<String>>,
    /// Every word of its code, `use` declarations aside.
    words: BTreeSet<String>,
}

/// One name that a `use` declaration brings in, and the path that it is for.
struct Use {
    name: String,
    path: Vec<String>,
    is_public: bool,
}

impl Module {
    fn read(file: &str, text: &str) -> Module {
        let own = module_of(file);
        let (mut uses, mut paths, mut children) = (Vec::new(), Vec::new(), BTreeSet::new());
        let tokens = tokens(code(text));
        let mut rest = &tokens[..];
        let mut is_public = false;
        while let [token, after @ ..] = rest {
            rest = after;
            match token.as_str() {
                "use" => leaves(&mut rest, &[], &mut |name, path| uses.push(Use { name, path, is_public })),
                "mod" => children
                    .extend(rest.first().filter(|_| rest.get(1).is_some_and(|next| next == ";")).cloned()),
                _ if is_word(token) => paths.push(path_at(token, &mut rest)),
                _ => {}
            }
            // `pub use`, `pub(super) use`: a visibility lasts until its item's first word.
            is_public = token == "pub" || (is_public && ["(", ")", "super", "crate"].contains(&token.as_str()));
        }
        let words = paths.iter().map(|path| path[0].clone()).collect();
        let scope: BTreeMap<String, Vec<String>> =
            uses.iter().map(|used: &Use| (used.name.clone(), used.path.clone())).collect();
        let from_root = |path: &[String]| from_root(&own, &children, &scope, path);
        let paths = paths.iter().filter(|path| path.len() > 1).filter_map(|path| from_root(path)).collect();
        let uses = uses.iter().filter_map(|used| {
            Some(Use { name: used.name.clone(), path: from_root(&used.path)?, is_public: used.is_public })
        });
        Module { file: file.to_owned(), uses: uses.collect(), paths, words }
    }
}

/// `path`, as written in the module `own`, from the root of the library; `None` for what is not the project's.
fn from_root(
    own: &[String],
    children: &BTreeSet<String>,
    scope: &BTreeMap<String, Vec<String>>,
    path: &[String],
) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let join = |start: &[String]| [start, rest].concat();
    match first.as_str() {
        "crate" if own[0] == "main" => Some(join(&own[..1])),
        "crate" | "oauth_from_scratch" => Some(join(&["crate".to_owned()])),
        "self" => from_root_of(own, rest),
        "super" => from_root_of(&own[..own.len() - 1], rest),
        child if children.contains(child) => Some([own, path].concat()),
        name => {
            let meant = scope.get(name).filter(|meant| meant[0] != name || meant.len() > 1)?;
            let meant = from_root(own, children, &BTreeMap::new(), meant)?;
            Some(join(&meant))
        }
    }
}

/// What follows `super` or `self`, which may be another `super`.
fn from_root_of(module: &[String], rest: &[String]) -> Option<Vec<String>> {
    match rest.split_first() {
        Some((first, rest)) if first == "super" => from_root_of(&module[..module.len() - 1], rest),
        _ => Some([module, rest].concat()),
    }
}

/// Takes the tree of a `use` declaration, and gives each of its names with the path that it is for.
fn leaves(rest: &mut &[String], start: &[String], found: &mut dyn FnMut(String, Vec<String>)) {
    let mut path = start.to_vec();
    loop {
        let token = rest.first().map_or(";", String::as_str);
        match token {
            "{" => {
                *rest = &rest[1..];
                while rest.first().is_some_and(|token| token != "}") {
                    leaves(rest, &path, found);
                    *rest = rest.strip_prefix(&[",".to_owned()]).unwrap_or(rest);
                }
                *rest = rest.get(1..).unwrap_or_default();
                return;
            }
            "as" => {
                found(rest[1].clone(), path);
                *rest = &rest[2..];
                return;
            }
            "::" | "*" => {}
            "self" if !start.is_empty() => {}
            word if is_word(word) => path.push(word.to_owned()),
            _ => return found(path.last().cloned().unwrap_or_default(), path),
        }
        *rest = &rest[1..];
    }
}

/// The path of each name that the `use` declarations of `code` bring in, as it is written there, without braces.
pub fn used_paths(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let (mut rest, mut found) = (&tokens[..], Vec::new());
    while let [token, after @ ..] = rest {
        rest = after;
        if token == "use" {
            leaves(&mut rest, &[], &mut |_, path| found.push(path.join("::")));
        }
    }
    found
}

/// The path that begins with `first` and goes on in `rest`.
fn path_at(first: &str, rest: &mut &[String]) -> Vec<String> {
    let mut path = vec![first.to_owned()];
    while let [colons, word, after @ ..] = *rest {
        if colons != "::" || !is_word(word) {
            break;
        }
        path.push(word.clone());
        *rest = after;
    }
    path
}
