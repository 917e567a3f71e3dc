//! `cargo run -p testkit --example sample -- mysql://user:password@host:port/schema [scale] [seed]`

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or_else(|| anyhow::anyhow!("which URL?"))?;
    let scale = args.next().map_or(Ok(1.0), |a| a.parse())?;
    let seed = args.next().map_or(Ok(1), |a| a.parse())?;
    let begin = std::time::Instant::now();
    let counts = testkit::sample::load(&url, scale, seed).await?;
    eprintln!("{counts:?} in {:?}", begin.elapsed());
    Ok(())
}
