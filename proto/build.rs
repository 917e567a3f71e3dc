//! Compiles the .proto files without a protoc binary.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=crossfade");
    let files = protox::compile(["crossfade/v1/records.proto"], ["."])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
