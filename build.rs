//! Sets up the link arguments a Node addon needs; a plain Rust build needs none.

fn main() {
    #[cfg(feature = "node")]
    napi_build::setup();
}
