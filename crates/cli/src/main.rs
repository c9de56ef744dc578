//! The `affectlens` command.

fn main() -> std::process::ExitCode {
    affectlens_cli::main()
}
