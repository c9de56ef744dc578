//! Builds the demo page from the packed npm packages and serves it.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    process::Child,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    package, paths, setup,
    shell::{answers, command, end_group, minutes, run, step},
};

#[derive(Args)]
pub struct Options {
    /// Port on 127.0.0.1.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Do not open a browser.
    #[arg(long)]
    no_open: bool,
}

/// Sets up, builds and serves until interrupted.
pub fn start(options: &Options) -> Result<()> {
    setup::for_demo()?;
    build_page()?;
    let mut server = serve(options.port)?;
    let address = format!("http://localhost:{}/", options.port);
    step(&format!("the demo page is at {address} (Ctrl-C ends it)"));
    if !options.no_open {
        // A machine without a desktop has no xdg-open: the address above is enough there.
        answers("xdg-open", &[&address]);
    }
    let status = server.wait()?;
    bail!("the server ended: {status}")
}

/// Installs the packed packages into the page's project, bundles it into `www/dist` and writes the documentation beside it.
pub fn build_page() -> Result<package::Packages> {
    let packages = package::build()?;
    let www = paths::root().join("www");
    let digest = package::hex_digest(&packages.library)? + &package::hex_digest(&packages.weights)?;
    let stamp = www.join("node_modules/.affectlens");
    if !fs::read_to_string(&stamp).is_ok_and(|done| done == digest) {
        step("installing the packed packages into the page");
        run(
            command(
                "npm",
                [
                    "install",
                    "--no-save",
                    "--no-package-lock",
                    "--no-audit",
                    "--no-fund",
                    "--prefer-offline",
                ],
            )
            .arg(&packages.library)
            .arg(&packages.weights)
            .current_dir(&www),
            minutes(5),
        )?;
        fs::write(&stamp, digest)?;
    }
    step("bundling the page");
    run(
        command("npx", ["--no-install", "vite", "build"]).current_dir(&www),
        minutes(5),
    )?;
    step("making the documentation's pages");
    run(
        command("npx", ["--no-install", "typedoc"]).current_dir(paths::docs_site()),
        minutes(5),
    )?;
    Ok(packages)
}

fn serve(port: u16) -> Result<Child> {
    drop(
        TcpListener::bind(("127.0.0.1", port))
            .with_context(|| format!("port {port} is taken; choose another with --port"))?,
    );
    let port_text = port.to_string();
    let mut server = command(
        "npx",
        [
            "--no-install",
            "vite",
            "preview",
            "--host",
            "127.0.0.1",
            "--strictPort",
            "--port",
        ],
    )
    .arg(&port_text)
    .current_dir(paths::root().join("www"))
    .process_group(0)
    .spawn()
    .context("cannot start vite")?;
    for _ in 0..150 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(server);
        }
        thread::sleep(Duration::from_millis(200));
    }
    end_group(&mut server);
    bail!("the server did not answer on port {port} within 30 seconds")
}
