//! Lets `cargo build` link the extension where the linker wants every symbol resolved (macOS).

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
