//! Every test: native, software Vulkan, headless Chromium.

use std::process::Command;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    demo, fuzz,
    package::{self, Packages},
    paths, setup,
    shell::{Beside, command, minutes, run, step},
};

#[derive(Args)]
pub struct Options {
    /// Runs one part only.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// How long `--only fuzz` damages files, minutes.
    #[arg(long, default_value_t = 10, requires = "only")]
    minutes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting, lints, Rust documentation, packages for Cargo.
    Lint,
    /// Native tests, those on software Vulkan included.
    Native,
    /// The pipeline compiled to wasm, in Chromium.
    Wasm,
    /// The npm packages and the real page, in Node and Chromium.
    Page,
    /// The npm packages in an app of each toolchain, which it installs; the page's tests do it for two of them.
    Toolchains,
    /// Readers on damaged files, for as long as asked; the native tests do it for a second each.
    Fuzz,
}

type Test = fn() -> Result<()>;

/// Sets up and runs the tests; all parts run even if one fails.
pub fn all(options: &Options) -> Result<()> {
    if options.only == Some(Part::Fuzz) {
        return fuzz::run_for(options.minutes);
    }
    setup::for_tests()?;
    if options.only == Some(Part::Toolchains) {
        return toolchains();
    }
    // Linking the modules for the browser takes one core for minutes, which the other tests need not wait for.
    let is_whole = options.only.is_none();
    let mut modules = is_whole
        .then(|| Beside::start("wasm", modules))
        .transpose()?;
    let parts: [(Part, &str, Test); 4] = [
        // The test runners come last, so that their summaries end the output.
        (Part::Lint, "lint", lint),
        (Part::Native, "native", native),
        (Part::Wasm, "wasm", wasm),
        (Part::Page, "page", page),
    ];
    let mut failed = Vec::new();
    for (part, name, test) in parts {
        if options.only.is_some_and(|only| only != part) {
            continue;
        }
        let built = match part {
            Part::Wasm => modules.take().map_or(Ok(()), Beside::finish),
            _ => Ok(()),
        };
        if let Err(error) = built.and_then(|()| test()) {
            eprintln!("    {name}: {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        step("all tests passed");
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

fn lint() -> Result<()> {
    step("formatting, lints, documentation, packages for Cargo");
    run(
        &mut command("cargo", ["fmt", "--all", "--check"]),
        minutes(2),
    )?;
    run(
        &mut command(
            "cargo",
            [
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        ),
        minutes(30),
    )?;
    run(
        command("cargo", ["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
        minutes(15),
    )?;
    // Without building what was packed: that would build Burn anew.
    let mut package = command("cargo", ["package", "--no-verify", "--allow-dirty"]);
    for name in PUBLISHED {
        package.args(["--package", name]);
    }
    run(&mut package, minutes(5))
}

/// The library and what it stands on.
const PUBLISHED: [&str; 4] = [
    "affectlens",
    "affectlens-cpu",
    "affectlens-formats",
    "affectlens-process",
];

fn native() -> Result<()> {
    step("native tests (CPU, software Vulkan, command line)");
    // Set-up has put in place what ignored tests wait for.
    run(
        command(
            "cargo",
            [
                "test",
                "--workspace",
                "--no-fail-fast",
                "--",
                "--include-ignored",
            ],
        )
        // The Vulkan loader looks for a window system there and complains without it.
        .env("XDG_RUNTIME_DIR", std::env::temp_dir()),
        minutes(60),
    )
}

/// Tests of the pipeline in wasm.
fn wasm_tests() -> Command {
    let mut tests = command("cargo", ["test", "--test", "pipeline"]);
    tests.args(package::WASM_BUILD);
    tests
}

/// Builds what the last two parts run.
fn modules() -> Result<()> {
    step("meanwhile, the modules for the browser and their tests");
    drop(package::build_modules()?);
    run(wasm_tests().arg("--no-run"), minutes(45))
}

fn wasm() -> Result<()> {
    step("wasm tests in headless Chromium (WebGPU in software, and CPU)");
    let path = std::env::var("PATH").unwrap_or_default();
    run(
        wasm_tests()
            .env(
                "PATH",
                format!("{}:{path}", paths::tools().join("bin").display()),
            )
            .env("CHROMEDRIVER", "/usr/bin/chromedriver")
            .env("WASM_BINDGEN_TEST_TIMEOUT", "300"),
        minutes(45),
    )
}

fn page() -> Result<()> {
    setup::command_line()?;
    let packages = demo::build_page()?;
    step("npm package and page tests in Node and headless Chromium");
    run(
        in_www(&mut command("npm", ["test"]), &packages).env("AFFECTLENS_BIN", paths::binary()),
        minutes(45),
    )
}

fn toolchains() -> Result<()> {
    let packages = package::build()?;
    step("npm packages in an app of each toolchain, in headless Chromium");
    run(
        in_www(
            &mut command("node", ["--test", "tests/toolchains.test.mjs"]),
            &packages,
        )
        .env("AFFECTLENS_TOOLCHAINS", "all"),
        minutes(60),
    )
}

/// What the tests of the page and packages find things by.
fn in_www<'a>(command: &'a mut Command, packages: &Packages) -> &'a mut Command {
    command
        .current_dir(paths::root().join("www"))
        .env("AFFECTLENS_TARBALL", &packages.library)
        .env("AFFECTLENS_WEIGHTS_TARBALL", &packages.weights)
        .env("AFFECTLENS_MEDIA", paths::cache().join("media"))
}
