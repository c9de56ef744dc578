//! The rule of direction: words know nothing, numbers and tensors know words, pipelines know both, shells
//! know everything.

use std::{fs, path::Path};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Words,
    Numbers,
    Tensors,
    Pipelines,
    Training,
    Shells,
}

use Layer::{Numbers, Pipelines, Shells, Tensors, Training, Words};

const MODULES: [(&str, Layer); 32] = [
    ("face", Words),
    ("frame", Words),
    ("label", Words),
    ("picture", Words),
    ("calibration", Numbers),
    ("circumplex", Numbers),
    ("facs", Numbers),
    ("filtering", Numbers),
    ("fusion", Numbers),
    ("gaps", Numbers),
    ("metrics", Numbers),
    ("smoothing", Numbers),
    ("tracking", Numbers),
    ("windowing", Numbers),
    ("backbone", Tensors),
    ("crop", Tensors),
    ("detect", Tensors),
    ("device", Tensors),
    ("head", Tensors),
    ("kernel", Tensors),
    ("landmarks", Tensors),
    ("network", Tensors),
    ("weights", Tensors),
    ("affect", Pipelines),
    ("error", Pipelines),
    ("lens", Pipelines),
    ("report", Pipelines),
    ("violence", Pipelines),
    ("train", Training),
    ("cli", Shells),
    ("web", Shells),
    ("main", Shells),
];

fn may_use(from: &str, to: &str) -> bool {
    let layer = |name: &str| {
        let found = MODULES.iter().find(|(module, _)| *module == name);
        found
            .unwrap_or_else(|| panic!("module `{name}` has no layer; add it to the table"))
            .1
    };
    let allowed: &[Layer] = match layer(from) {
        Words => &[Words],
        Numbers => &[Words, Numbers],
        Tensors => &[Words, Tensors],
        Pipelines => &[Words, Numbers, Tensors, Pipelines],
        Training => &[Words, Numbers, Tensors, Training],
        Shells => &[Words, Numbers, Tensors, Pipelines, Training, Shells],
    };
    allowed.contains(&layer(to)) && !(from == "head" && to == "backbone")
}

fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            // Unit tests may reach across.
            let code = text
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .to_owned();
            found.push((path.to_string_lossy().into_owned(), code));
        }
    }
    found
}

/// Crate modules that code names: `crate::name` and the members of `use crate::{...}`.
fn uses(code: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars()
            .take_while(|it| it.is_alphanumeric() || *it == '_')
            .collect::<String>()
    };
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut found = Vec::new();
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            found.push(word(after));
            continue;
        };
        let mut depth = 0;
        let mut member = String::new();
        for letter in group.chars() {
            match letter {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => found.push(word(std::mem::take(&mut member).trim())),
                _ if depth == 0 => member.push(letter),
                _ => {}
            }
        }
        found.push(word(member.trim()));
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn modules_only_use_what_lies_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (path, code) in sources(&root) {
        let relative = path
            .strip_prefix(&format!("{}/", root.display()))
            .expect("below src");
        let module = relative.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" {
            continue;
        }
        for used in uses(&code) {
            if MODULES.iter().any(|(name, _)| *name == used) && !may_use(module, &used) {
                wrong.push(format!("{relative} uses `{used}`"));
            }
        }
        let is_plain = MODULES
            .iter()
            .any(|(name, layer)| *name == module && matches!(layer, Words | Numbers));
        if is_plain && code.contains("burn::") {
            wrong.push(format!("{relative} uses burn"));
        }
    }
    assert!(
        wrong.is_empty(),
        "against the rule of direction:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_module_has_a_layer() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"))
        .expect("lib.rs");
    for line in lib.lines() {
        let Some(name) = line.trim().trim_start_matches("pub ").strip_prefix("mod ") else {
            continue;
        };
        assert!(
            MODULES
                .iter()
                .any(|(module, _)| name.trim_end_matches(';') == *module),
            "`{name}` has no layer"
        );
    }
}

#[test]
fn grouped_and_plain_uses_are_found() {
    let code = "use crate::{face::{A, B}, label};\nlet x = crate::crop::crop();\n// crate::web in a comment\n";
    assert_eq!(uses(code), ["face", "label", "crop"]);
}
