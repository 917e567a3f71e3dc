//! `cargo run -p testkit --example judge -- mysql://user:password@host:port/schema control_schema [--deferred]`
//!
//! Prints what differs from PHASE2; exit code 1 if anything does.

use testkit::oracle::{Options, judge};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, control, rest @ ..] = args.as_slice() else {
        anyhow::bail!("which URL, which control schema?")
    };
    let options = Options { include_deferred: rest.iter().any(|a| a == "--deferred"), ..Options::default() };
    let begin = std::time::Instant::now();
    let found = judge(url, control, &options).await?;
    for difference in &found {
        println!("{difference}");
    }
    eprintln!("{} differences, judged in {:?}", found.len(), begin.elapsed());
    std::process::exit(i32::from(!found.is_empty()));
}
