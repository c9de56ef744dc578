//! Makes the npm packages: the library with its wasm, and the converted default weights.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    paths,
    shell::{command, copy_folder, minutes, run, step},
};

/// What browsers with WebGPU or SIMD have. Not `--all-features`: that writes proposals which they refuse.
const WASM_FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// How cargo builds the engine for browsers.
pub const WASM_BUILD: [&str; 8] = [
    "--package",
    "affectlens",
    "--release",
    "--target",
    "wasm32-unknown-unknown",
    "--no-default-features",
    "--features",
    "web",
];

/// Takes what no page runs out of the module.
const SHED_COMPILER: &str = "pkg-config/shed-compiler.mjs";

/// The small module for the CPU, once for browsers with and once for those without relaxed SIMD.
const CPU_MODULES: [(&str, &str); 2] = [
    ("affectlens_cpu_relaxed.wasm", "+simd128,+relaxed-simd"),
    ("affectlens_cpu_simd.wasm", "+simd128"),
];

/// Its instances share one memory, of 1 GiB at most (`cpu.js` asks for as much), and each gets a stack of its own.
const CPU_LINK_ARGUMENTS: [&str; 6] = [
    "--import-memory",
    "--shared-memory",
    "--max-memory=1073741824",
    "-zstack-size=131072",
    "--export=__stack_pointer",
    "--export=__heap_base",
];

/// As in the library's `moved.js`: neither package imports the other.
const WHERE_IT_LIES: &str = r#"// Vite 7 and older bundle packages into this folder while they develop, and leave all else where it was.
const BUNDLED_BY_VITE = /\/node_modules\/\.vite\/deps\/(?=[^/]*$)/;

/** @param {URL} found */
function whereItLies({ href }) {
  return href.replace(BUNDLED_BY_VITE, "/node_modules/affectlens-weights/");
}
"#;

/// Tarballs that `npm install` takes.
pub struct Packages {
    /// `affectlens`.
    pub library: PathBuf,
    /// `affectlens-weights`.
    pub weights: PathBuf,
}

/// Builds wasm, manifests and tarballs; what has not changed is kept.
pub fn build() -> Result<Packages> {
    let version = crate_version()?;
    let Modules { wasm, cpu } = build_modules()?;
    step("packing the npm packages");
    Ok(Packages {
        library: pack_library(&wasm, &cpu, &version)?,
        weights: pack_weights(&version)?,
    })
}

/// What the library runs in a browser.
pub struct Modules {
    /// Folder of the module and its JavaScript.
    wasm: PathBuf,
    /// The small modules for the CPU, and their names in the package.
    cpu: Vec<(PathBuf, &'static str)>,
}

/// Builds wasm; what has not changed is kept.
pub fn build_modules() -> Result<Modules> {
    Ok(Modules {
        wasm: build_wasm()?,
        cpu: build_cpu_modules()?,
    })
}

fn build_wasm() -> Result<PathBuf> {
    step("building the wasm module (the first build takes 10 to 20 minutes)");
    let arguments = ["rustc", "--lib", "--crate-type", "cdylib"];
    run(command("cargo", arguments).args(WASM_BUILD), minutes(60))?;
    let built = paths::target().join("wasm32-unknown-unknown/release/affectlens.wasm");
    let out = paths::target().join("package/wasm");
    let stamp = out.join("stamp");
    let digest = hex_digest(&built)? + &hex_digest(&paths::root().join(SHED_COMPILER))?;
    if fs::read_to_string(&stamp).is_ok_and(|done| done == digest) {
        return Ok(out);
    }
    step("shrinking the wasm module");
    fs::create_dir_all(&out)?;
    let bindgen = paths::tools().join("bin/wasm-bindgen");
    run(
        command(
            &bindgen.to_string_lossy(),
            ["--target", "web", "--out-name", "affectlens", "--out-dir"],
        )
        .arg(&out)
        .arg(&built),
        minutes(5),
    )?;
    let module = out.join("affectlens_bg.wasm");
    run(
        command("node", [SHED_COMPILER])
            .arg(&module)
            .arg(paths::tools()),
        minutes(5),
    )?;
    let smaller = out.join("smaller.wasm");
    let wasm_opt = paths::tools().join("node_modules/binaryen/bin/wasm-opt");
    run(
        command(&wasm_opt.to_string_lossy(), ["-O2"])
            .args(WASM_FEATURES)
            .arg("-o")
            .arg(&smaller)
            .arg(&module),
        minutes(20),
    )?;
    fs::rename(&smaller, &module)?;
    fs::write(stamp, digest)?;
    Ok(out)
}

/// Builds the small modules, each in a folder of its own: their flags would have cargo build all else anew.
///
/// Without the compiler's reduction of loops, which gives every load a pointer of its own that is moved on: that costs 5 to 12
/// in a hundred, and the module is larger.
///
/// Not through wasm-opt, which makes them a fifth larger and no faster.
fn build_cpu_modules() -> Result<Vec<(PathBuf, &'static str)>> {
    step("building the small wasm modules for the CPU");
    let mut built = Vec::new();
    for (name, features) in CPU_MODULES {
        let folder = paths::target()
            .join("cpu-module")
            .join(name.trim_end_matches(".wasm"));
        let mut flags = format!(
            "-Ctarget-feature=+atomics,+bulk-memory,{features} -Cstrip=symbols -Cllvm-args=-disable-lsr"
        );
        for argument in CPU_LINK_ARGUMENTS {
            write!(flags, " -Clink-arg={argument}")?;
        }
        let arguments = [
            "rustc",
            "--package",
            "affectlens-cpu",
            "--lib",
            "--crate-type",
            "cdylib",
            "--release",
            "--target",
            "wasm32-unknown-unknown",
            "--no-default-features",
            "--features",
            "module",
            "--target-dir",
        ];
        run(
            command("cargo", arguments)
                .arg(&folder)
                .env("RUSTFLAGS", flags),
            minutes(10),
        )?;
        let module = folder.join("wasm32-unknown-unknown/release/affectlens_cpu.wasm");
        built.push((module, name));
    }
    Ok(built)
}

fn pack_library(wasm: &Path, modules: &[(PathBuf, &str)], version: &str) -> Result<PathBuf> {
    let folder = fresh_folder("affectlens")?;
    copy_folder(&paths::root().join("pkg-config/affectlens"), &folder)?;
    for file in [
        "affectlens.js",
        "affectlens.d.ts",
        "affectlens_bg.wasm",
        "affectlens_bg.wasm.d.ts",
    ] {
        fs::copy(wasm.join(file), folder.join(file))
            .with_context(|| format!("wasm-bindgen made no {file}"))?;
    }
    write_module_size(&folder)?;
    for (module, name) in modules {
        fs::copy(module, folder.join(name)).with_context(|| module.display().to_string())?;
    }
    let on_package = |script: &str| {
        run(
            command("node", [script]).arg(&folder).arg(paths::tools()),
            minutes(2),
        )
    };
    on_package("pkg-config/inline.mjs")?;
    // The types of the modules stand in their comments: they are checked there (`www/tsconfig.json`).
    copy_folder(&folder, &fresh_folder("affectlens-commented")?)?;
    on_package("pkg-config/bundle.mjs")?;
    finish(&folder, version)
}

/// Tells the package how large its module is, so that it can tell how far loading has come.
fn write_module_size(folder: &Path) -> Result<()> {
    let bytes = fs::metadata(folder.join("affectlens_bg.wasm"))?.len();
    let file = folder.join("module-size.js");
    let text = fs::read_to_string(&file)?;
    let told = text.replace("MODULE_BYTES = 0;", &format!("MODULE_BYTES = {bytes};"));
    if told == text {
        bail!("`module-size.js` has no `MODULE_BYTES = 0;` to be replaced");
    }
    Ok(fs::write(file, told)?)
}

fn pack_weights(version: &str) -> Result<PathBuf> {
    let folder = fresh_folder("affectlens-weights")?;
    copy_folder(
        &paths::root().join("pkg-config/affectlens-weights"),
        &folder,
    )?;
    let mut files = Map::new();
    let mut entries = String::new();
    for (role, from) in default_files(&folder)? {
        let file = from
            .file_name()
            .context("a default file has a name")?
            .to_string_lossy()
            .into_owned();
        let bytes =
            fs::copy(&from, folder.join(&file)).with_context(|| from.display().to_string())?;
        let sha256 = hex_digest(&from)?;
        // Bundlers find the file by this very form of address.
        let address = format!("whereItLies(new URL(\"./{file}\", import.meta.url))");
        writeln!(
            entries,
            "    {role}: {{ url: {address}, bytes: {bytes}, sha256: \"{sha256}\" }},"
        )?;
        files.insert(
            role,
            json!({ "file": file, "bytes": bytes, "sha256": sha256 }),
        );
    }
    let module = format!(
        "{WHERE_IT_LIES}\nexport default {{\n  version: \"{version}\",\n  files: {{\n{entries}  }},\n}};\n"
    );
    fs::write(folder.join("index.js"), module)?;
    let manifest = json!({ "version": version, "files": files });
    fs::write(
        folder.join("manifest.json"),
        serde_json::to_string_pretty(&manifest)? + "\n",
    )?;
    finish(&folder, version)
}

/// Takes the list of default files out of the package: role, and where the file is. The engine's table of roles writes
/// the list (`tests/native/names.rs`).
fn default_files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let list = folder.join("roles.json");
    let rows: Map<String, Value> =
        serde_json::from_str(&fs::read_to_string(&list)?).context("roles.json")?;
    fs::remove_file(list)?;
    let fetched = paths::cache().join("weights");
    let trained = paths::root().join("models");
    rows.into_iter()
        .map(|(role, row)| {
            let folder = match row["from"].as_str() {
                Some("cache") => &fetched,
                Some("models") => &trained,
                _ => bail!("roles.json: `{role}` comes from neither `cache` nor `models`"),
            };
            let name = row["file"]
                .as_str()
                .with_context(|| format!("roles.json: `{role}` has no `file`"))?;
            Ok((role, folder.join(format!("{name}.safetensors"))))
        })
        .collect()
}

fn fresh_folder(name: &str) -> Result<PathBuf> {
    let folder = paths::dist().join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Completes the manifest from Cargo.toml, adds the licence, packs.
fn finish(folder: &Path, version: &str) -> Result<PathBuf> {
    let template = folder.join("package.template.json");
    let mut manifest: Value =
        serde_json::from_str(&fs::read_to_string(&template)?).context("package.template.json")?;
    let package = cargo_package()?;
    manifest["version"] = json!(version);
    for field in ["license", "keywords"] {
        if manifest.get(field).is_none() {
            manifest[field] = package[field].clone();
        }
    }
    // Those that the template gives no version for are packages of ours.
    let named = manifest["peerDependenciesMeta"].as_object();
    let named: Vec<String> = named.into_iter().flat_map(Map::keys).cloned().collect();
    for name in named {
        let peer = &mut manifest["peerDependencies"][name];
        if peer.is_null() {
            *peer = json!(format!("^{version}"));
        }
    }
    if let Some(address) = package["repository"].as_str() {
        manifest["repository"] = json!({ "type": "git", "url": format!("git+{address}.git") });
        manifest["homepage"] = json!(format!("{address}#readme"));
        manifest["bugs"] = json!(format!("{address}/issues"));
    }
    fs::remove_file(template)?;
    fs::write(
        folder.join("package.json"),
        serde_json::to_string_pretty(&manifest)? + "\n",
    )?;
    fs::copy(paths::root().join("LICENSE"), folder.join("LICENSE"))?;
    run(
        command("npm", ["pack", "--silent", "--pack-destination", ".."]).current_dir(folder),
        minutes(2),
    )?;
    let name = manifest["name"]
        .as_str()
        .context("package.template.json has no name")?;
    Ok(paths::dist().join(format!("{name}-{version}.tgz")))
}

fn crate_version() -> Result<String> {
    Ok(cargo_package()?["version"]
        .as_str()
        .context("Cargo.toml has no version")?
        .to_owned())
}

fn cargo_package() -> Result<Value> {
    let output = command("cargo", ["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` gave no JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("`cargo metadata` lists no packages")?;
    packages
        .iter()
        .find(|package| package["name"] == "affectlens")
        .cloned()
        .context("no package `affectlens`")
}

/// sha256 of a file, hexadecimal.
pub fn hex_digest(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    Ok(Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
