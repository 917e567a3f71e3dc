//! A private Kafka broker.

use tokio::sync::OnceCell;

use super::{Server, Started};
use crate::{ports, skip};

pub struct Kafka {
    server: Server,
    port: u16,
}

impl Kafka {
    /// With any settings of the broker (`name=value`), on a free port. `None`: this machine has no Java or no Maven, and
    /// the test is noted as skipped.
    pub async fn start(settings: &[&str]) -> anyhow::Result<Option<Self>> {
        Ok(Self::launch(settings).await?.inspect_err(|reason| skip::note(&skip::test_name(), reason)).ok())
    }

    /// One broker for all tests of a binary; each takes topics and groups of its own. It ends with the process.
    pub async fn shared() -> anyhow::Result<Option<&'static Self>> {
        static SHARED: OnceCell<Result<Kafka, String>> = OnceCell::const_new();
        let shared = SHARED.get_or_try_init(|| Self::launch(&[])).await?;
        Ok(shared.as_ref().inspect_err(|reason| skip::note(&skip::test_name(), reason)).ok())
    }

    /// The inner error is the reason why this machine cannot.
    async fn launch(settings: &[&str]) -> anyhow::Result<Result<Self, String>> {
        // Somebody else may have taken the port meanwhile.
        let mut failed = None;
        for _ in 0..3 {
            let port = ports::free();
            let own = [port.to_string(), ports::free().to_string()];
            let arguments = own.into_iter().chain(settings.iter().map(|s| (*s).to_owned()));
            match Server::start("kafka.sh", arguments.collect()).await {
                Ok(Started::Yes(server)) => return Ok(Ok(Self { server, port })),
                Ok(Started::Cannot(reason)) => return Ok(Err(reason)),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.expect("three attempts failed"))
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("kafka://{}", self.brokers())
    }

    /// SIGKILL. `restart` recovers on the same data and port.
    pub async fn crash(&self) -> anyhow::Result<()> {
        self.server.call("crash", &[]).await.map(drop)
    }

    pub async fn restart(&self) -> anyhow::Result<()> {
        self.server.restart().await
    }

    /// SIGSTOP: it holds its connections and does not answer.
    pub async fn freeze(&self) -> anyhow::Result<()> {
        self.server.signal("-STOP").await
    }

    pub async fn thaw(&self) -> anyhow::Result<()> {
        self.server.signal("-CONT").await
    }
}
