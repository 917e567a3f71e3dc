//! A private Kafka broker.

use anyhow::Context;
use tokio::sync::OnceCell;

use super::{Server, Started};
use crate::proxy::Proxy;
use crate::{ports, skip};

/// A record as it stands on the broker's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub key: Option<String>,
    /// `None` is a tombstone.
    pub payload: Option<String>,
}

impl Logged {
    /// `| offset: 0 … keySize: 8 valueSize: 3 … headerKeys: [] key: {"id":1} payload: abc`
    fn parse(line: &str) -> anyhow::Result<Self> {
        let size = |name: &str| -> anyhow::Result<Option<usize>> {
            let (_, rest) = line.split_once(name).with_context(|| format!("no `{name}`"))?;
            let number: i64 = rest.split(' ').next().unwrap_or_default().parse()?;
            Ok(usize::try_from(number).ok())
        };
        let (key, value) = (size("keySize: ")?, size("valueSize: ")?);
        let (_, mut rest) = line.split_once("headerKeys: []").context("no headers")?;
        let mut take = |name: &str, size: Option<usize>| -> anyhow::Result<Option<String>> {
            let Some(size) = size else { return Ok(None) };
            let text = rest.strip_prefix(name).and_then(|t| t.split_at_checked(size));
            let (text, tail) = text.with_context(|| format!("no `{name}` of {size} bytes"))?;
            rest = tail;
            Ok(Some(text.to_owned()))
        };
        Ok(Self { key: take(" key: ", key)?, payload: take(" payload: ", value)? })
    }
}

pub struct Kafka {
    server: Server,
    port: u16,
}

impl Kafka {
    /// With any settings of the broker (`name=value`), on a free port. `None`: this machine has no Java or no Maven, and
    /// the test is noted as skipped.
    pub async fn start(settings: &[&str]) -> anyhow::Result<Option<Self>> {
        let started = Self::launch(settings, None).await?;
        Ok(started.inspect_err(|reason| skip::note(&skip::test_name(), reason)).ok())
    }

    /// The same, and a proxy: who connects to its address is sent through it for everything, and who connects to `brokers`
    /// passes it by, as the broker itself does.
    pub async fn start_behind_proxy(settings: &[&str]) -> anyhow::Result<Option<(Self, Proxy)>> {
        let behind = ports::free();
        let proxy = Proxy::to(&format!("127.0.0.1:{behind}")).await?;
        let started = Self::launch(settings, Some((behind, proxy.port))).await?;
        let kafka = started.inspect_err(|reason| skip::note(&skip::test_name(), reason)).ok();
        Ok(kafka.map(|kafka| (kafka, proxy)))
    }

    /// One broker for all tests of a binary; each takes topics and groups of its own. It ends with the process.
    pub async fn shared() -> anyhow::Result<Option<&'static Self>> {
        static SHARED: OnceCell<Result<Kafka, String>> = OnceCell::const_new();
        let shared = SHARED.get_or_try_init(|| Self::launch(&[], None)).await?;
        Ok(shared.as_ref().inspect_err(|reason| skip::note(&skip::test_name(), reason)).ok())
    }

    /// With a port that listens behind a proxy's, if any. The inner error is the reason why this machine cannot.
    async fn launch(settings: &[&str], proxied: Option<(u16, u16)>) -> anyhow::Result<Result<Self, String>> {
        // Somebody else may have taken the port meanwhile.
        let mut failed = None;
        for _ in 0..3 {
            let (port, controller) = (ports::free(), ports::free());
            let mut arguments = vec![port.to_string(), controller.to_string()];
            if let Some((behind, proxy)) = proxied {
                arguments.extend(listeners(port, controller, behind, proxy));
            }
            arguments.extend(settings.iter().map(|s| (*s).to_owned()));
            match Server::start("kafka.sh", arguments, &[]).await {
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

    /// All records of a partition, as Kafka's own tool reads them from the broker's disk. Keys and payloads are text.
    pub async fn log(&self, topic: &str, partition: u32) -> anyhow::Result<Vec<Logged>> {
        let text = self.server.call("log", &[topic.to_owned(), partition.to_string()]).await?;
        text.lines().filter(|line| line.starts_with("| offset: ")).map(Logged::parse).collect()
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

/// The script's listeners and one more, whose clients are told the proxy's port. The last one of a setting counts.
fn listeners(port: u16, controller: u16, behind: u16, proxy: u16) -> [String; 3] {
    let (client, proxied) = (format!("CLIENT://127.0.0.1:{port}"), "PROXIED://127.0.0.1");
    [
        format!("listeners={client},CONTROLLER://127.0.0.1:{controller},{proxied}:{behind}"),
        format!("advertised.listeners={client},{proxied}:{proxy}"),
        "listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT".to_owned(),
    ]
}
