//! The `affectlens` command.

fn main() -> std::process::ExitCode {
    affectlens::cli::main()
}
