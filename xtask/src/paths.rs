//! Where things lie.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The checkout: the one that `cargo xtask` was called in, since several can share a target folder.
pub fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package)
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default()
}

/// Downloads, tools and converted weights that survive between runs; `AFFECTLENS_CACHE` moves it.
pub fn cache() -> PathBuf {
    if let Some(cache) = env::var_os("AFFECTLENS_CACHE") {
        return PathBuf::from(cache);
    }
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    base.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache"))
        .join("affectlens")
}

/// Cargo's output: outside the checkout in CI, where each run is a fresh clone.
pub fn target() -> PathBuf {
    if let Some(target) = env::var_os("CARGO_TARGET_DIR") {
        return PathBuf::from(target);
    }
    if env::var_os("CI").is_some() {
        cache().join("target")
    } else {
        root().join("target")
    }
}

/// Command-line programs that set-up installs.
pub fn tools() -> PathBuf {
    cache().join("tools")
}

/// Unpacked npm packages and their tarballs.
pub fn dist() -> PathBuf {
    root().join("pkg-config/dist")
}

/// What makes the documentation's pages.
pub fn docs_site() -> PathBuf {
    root().join("docs/site")
}

/// The command line, once built.
pub fn binary() -> PathBuf {
    target().join("debug/affectlens")
}
