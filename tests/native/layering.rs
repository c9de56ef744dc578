//! The rule of direction, read from the sources: crates and modules only use what stands below them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use syn::visit::{self, Visit};

/// Crates from the bottom to the top, with their folder; a crate may depend on those before it.
const CRATES: [(&str, &str); 7] = [
    ("affectlens_cpu", "crates/cpu"),
    ("affectlens_process", "crates/process"),
    ("affectlens_formats", "crates/formats"),
    ("affectlens", "."),
    ("affectlens_data", "crates/data"),
    ("affectlens_train", "crates/train"),
    ("affectlens_cli", "crates/cli"),
];

/// The engine's modules from the bottom to the top, each with its room; a module may use those before it.
const MODULES: [(&str, &str); 52] = [
    ("label", "words"),
    ("face", "words"),
    ("person", "words"),
    ("frame", "words"),
    ("planes", "words"),
    ("name", "words"),
    ("task", "words"),
    ("role", "words"),
    ("report", "words"),
    ("probability", "numbers"),
    ("baseline", "numbers"),
    ("correction", "numbers"),
    ("circumplex", "numbers"),
    ("facs", "numbers"),
    ("gaps", "numbers"),
    ("metrics", "numbers"),
    ("windowing", "numbers"),
    ("filtering", "numbers"),
    ("fusion", "numbers"),
    ("calibration", "numbers"),
    ("smoothing", "numbers"),
    ("tracking", "numbers"),
    ("skeleton", "numbers"),
    ("optical_flow", "numbers"),
    ("weights", "networks"),
    ("device", "networks"),
    ("kernel", "networks"),
    ("head", "networks"),
    ("backbone", "networks"),
    ("audio", "networks"),
    ("crop", "networks"),
    ("clip", "networks"),
    ("detect", "networks"),
    ("landmarks", "networks"),
    ("pose", "networks"),
    ("voice", "networks"),
    ("network", "networks"),
    ("controls", "lens"),
    ("personal", "lens"),
    ("error", "lens"),
    ("part", "lens"),
    ("sound", "lens"),
    ("people", "lens"),
    ("violence", "lens"),
    ("faces", "lens"),
    ("files", "lens"),
    ("neutral", "lens"),
    ("clock", "lens"),
    ("pending", "lens"),
    ("lens", "lens"),
    ("web", "web"),
    ("lib", ""),
];

/// Rooms of the engine and the rooms that they may use beside themselves.
const ROOMS: [(&str, &[&str]); 5] = [
    ("words", &[]),
    ("numbers", &["words"]),
    ("networks", &["words"]),
    ("lens", &["words", "numbers", "networks"]),
    ("web", &["words", "numbers", "networks", "lens"]),
];

/// A source file without its tests: the paths that it names.
struct Source {
    /// Below the crate's `src`, without `.rs`.
    module: Vec<String>,
    paths: BTreeSet<Vec<String>>,
}

impl Source {
    fn read(root: &Path, file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("sources are UTF-8");
        let parsed = syn::parse_file(&text)
            .unwrap_or_else(|error| panic!("{} does not parse: {error}", file.display()));
        let relative = file.strip_prefix(root).expect("below src");
        let relative = relative.with_extension("");
        let module = relative
            .iter()
            .map(|part| part.to_string_lossy().into_owned());
        let mut paths = Paths::default();
        paths.visit_file(&parsed);
        Self {
            module: module.collect(),
            paths: paths.0,
        }
    }

    fn name(&self) -> String {
        self.module.join("/")
    }
}

/// Collects paths, but not those of tests.
#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl Paths {
    fn add_use(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |ident: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(ident.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.add_use(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => {
                self.0.insert(with(&name.ident));
            }
            syn::UseTree::Rename(rename) => {
                self.0.insert(with(&rename.ident));
            }
            syn::UseTree::Glob(_) => {
                self.0.insert(before.to_vec());
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(tree, before);
                }
            }
        }
    }

    /// Words that follow each other with `::` in a macro's tokens.
    fn add_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.0
                            .extend((path.len() > 1).then(|| std::mem::take(&mut path)));
                        path.clear();
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                proc_macro2::TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                proc_macro2::TokenTree::Group(group) => self.add_tokens(group.stream()),
                _ => {
                    self.0
                        .extend((path.len() > 1).then(|| std::mem::take(&mut path)));
                    path.clear();
                    colons = 0;
                }
            }
        }
        self.0.extend((path.len() > 1).then_some(path));
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return attribute.path().is_ident("test");
        };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    })
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Mod(it) => &it.attrs,
            syn::Item::Fn(it) => &it.attrs,
            syn::Item::Use(it) => &it.attrs,
            syn::Item::Impl(it) => &it.attrs,
            syn::Item::Struct(it) => &it.attrs,
            syn::Item::Const(it) => &it.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.0
            .insert(segments.map(|it| it.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.add_tokens(item.tokens.clone());
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<Source> {
    let root = root().join(folder).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                files.push(path);
            }
        }
    }
    files.iter().map(|file| Source::read(&root, file)).collect()
}

fn rank(module: &str) -> usize {
    let found = MODULES.iter().position(|(name, _)| *name == module);
    found.unwrap_or_else(|| panic!("module `{module}` has no rank; add it to the table"))
}

fn room(module: &str) -> &'static str {
    MODULES[rank(module)].1
}

/// The engine's module that a file belongs to; none for the files that only list a room's modules.
fn engine_module(source: &Source) -> Option<&str> {
    let [first, rest @ ..] = source.module.as_slice() else {
        return None;
    };
    match (first.as_str(), rest.first()) {
        ("words" | "numbers" | "networks", None) => None,
        ("words" | "numbers" | "networks" | "lens", Some(module)) => Some(module),
        (module, _) => Some(module),
    }
}

fn assert_none(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "against the rule of direction:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn crates_only_depend_on_those_below_them() {
    let mut wrong = Vec::new();
    for (place, (name, folder)) in CRATES.iter().enumerate() {
        for source in sources(folder) {
            for path in &source.paths {
                let used = CRATES
                    .iter()
                    .position(|(other, _)| path.first().is_some_and(|it| it == other));
                if used.is_some_and(|used| used >= place && path[0] != *name) {
                    wrong.push(format!(
                        "{folder}: {} uses `{}`",
                        source.name(),
                        path.join("::")
                    ));
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn modules_of_the_engine_only_use_those_below_them() {
    let mut wrong = Vec::new();
    for source in sources(".") {
        let Some(module) = engine_module(&source).filter(|it| *it != "lib") else {
            continue;
        };
        for path in &source.paths {
            let [start, used, ..] = path.as_slice() else {
                continue;
            };
            if start != "crate" || used == module || !MODULES.iter().any(|(name, _)| name == used) {
                continue;
            }
            let (from, to) = (room(module), room(used));
            let rooms = ROOMS
                .iter()
                .find(|(name, _)| *name == from)
                .expect("every room is in the table");
            let may = (from == to && rank(used) < rank(module)) || rooms.1.contains(&to);
            let separate = (module, used.as_str()) == ("head", "backbone");
            if !may || separate {
                wrong.push(format!("{} uses `{used}`", source.name()));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn only_networks_and_above_know_burn() {
    let mut wrong = Vec::new();
    for folder in ["crates/cpu", "crates/formats", "."] {
        for source in sources(folder) {
            let is_plain =
                folder != "." || ["words", "numbers"].contains(&source.module[0].as_str());
            let names_burn =
                |path: &Vec<String>| path.first().is_some_and(|it| it.starts_with("burn"));
            if is_plain && source.paths.iter().any(names_burn) {
                wrong.push(format!("{folder}: {} uses burn", source.name()));
            }
        }
    }
    assert_none(&wrong);
}

/// Packages with their features, as cargo would build them for a member alone.
fn features(member: &str) -> BTreeMap<String, String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            member,
            "--edges",
            "normal,build",
        ])
        .args(["--prefix", "none", "--format", "{p}|{f}"])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let rows = text
        .lines()
        .filter_map(|line| line.trim_end_matches(" (*)").split_once('|'));
    rows.map(|(package, features)| (package.to_owned(), features.to_owned()))
        .collect()
}

/// Other features of Burn, or of what it stands on, would have it built a second time.
#[test]
fn every_crate_builds_burn_with_the_same_features() {
    let below_burn = features("burn");
    let engine = features("affectlens");
    for member in ["affectlens-data", "affectlens-train", "affectlens-cli"] {
        for (package, features) in features(member) {
            if below_burn.contains_key(&package) {
                assert_eq!(
                    Some(&features),
                    engine.get(&package),
                    "features of {package} for {member}"
                );
            }
        }
    }
}

#[test]
fn every_module_of_the_engine_has_a_rank() {
    for source in sources(".") {
        if let Some(module) = engine_module(&source) {
            let module_room = room(module);
            let is_there =
                module_room.is_empty() || source.module[0] == module_room || module_room == "web";
            assert!(is_there, "`{}` is not in `{module_room}`", source.name());
        }
    }
}

/// Files of one folder use each other in one direction: what `super::` and `crate::` name among them has no circle.
#[test]
fn neighbouring_files_have_no_circles() {
    let mut wrong = Vec::new();
    for (_, folder) in CRATES {
        let sources = sources(folder);
        let modules: BTreeSet<&[String]> = sources.iter().map(|it| it.module.as_slice()).collect();
        let mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
        for source in &sources {
            for path in &source.paths {
                // The longest prefix of the path that is a file.
                let mut at = match path.first().map(String::as_str) {
                    Some("super") => source.module.clone(),
                    Some("crate") => vec![],
                    _ => continue,
                };
                let mut rest = path.as_slice();
                while let [first, after @ ..] = rest {
                    match first.as_str() {
                        "crate" => {}
                        "super" => {
                            at.pop();
                        }
                        name => {
                            at.push(name.to_owned());
                            if !modules.contains(at.as_slice()) {
                                at.pop();
                                break;
                            }
                        }
                    }
                    rest = after;
                }
                let has_same_folder = at.len() == source.module.len()
                    && at.split_last().map(|it| it.1) == source.module.split_last().map(|it| it.1);
                if has_same_folder && at != source.module {
                    edges.entry(source.module.clone()).or_default().insert(at);
                }
            }
        }
        for start in edges.keys() {
            let mut reached = BTreeSet::new();
            let mut open: Vec<&Vec<String>> = edges[start].iter().collect();
            while let Some(module) = open.pop() {
                if reached.insert(module) {
                    open.extend(edges.get(module).into_iter().flatten());
                }
            }
            if reached.contains(start) {
                wrong.push(format!("{folder}: {} is in a circle", start.join("/")));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn paths_are_found_in_code_and_macros_but_not_in_tests() {
    let code = "
        use crate::{face::{A, B}, label};
        fn f() { crate::crop::crop(); println!(\"{}\", crate::gaps::fill(1)); }
        // crate::web in a comment
        #[cfg(test)] mod tests { use crate::lens::Lens; }
        fn g() { let text = \"crate::kernel::x\"; }
    ";
    let mut paths = Paths::default();
    paths.visit_file(&syn::parse_file(code).expect("Rust"));
    let modules: BTreeSet<&str> = paths
        .0
        .iter()
        .filter(|path| path[0] == "crate")
        .map(|path| path[1].as_str())
        .collect();
    assert_eq!(modules, BTreeSet::from(["crop", "face", "gaps", "label"]));
}
