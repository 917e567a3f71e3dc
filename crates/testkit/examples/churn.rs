//! `cargo run -p testkit --example churn -- mysql://user:password@host:port/schema [seconds] [rate] [sessions] [seed]`

use std::time::Duration;
use testkit::churn::{Churn, ChurnOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let url = args.first().ok_or_else(|| anyhow::anyhow!("which URL?"))?;
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |a| a.parse());
    let options = ChurnOptions {
        duration: Some(Duration::from_secs(number(1, 10)?)),
        rate: number(2, 0)? as f64,
        sessions: number(3, 4)?,
        seed: number(4, 1)?,
        ..ChurnOptions::default()
    };
    let report = Churn::start(url, options).await?.ended().await?;
    println!("{:?}\n{:?}\n{:?}", report.elapsed, report.tally, report.by_act);
    for error in &report.unexpected {
        println!("unexpected: {error}");
    }
    for act in testkit::churn::act_names() {
        if !report.by_act.contains_key(act) {
            println!("never: {act}");
        }
    }
    Ok(())
}
