//! How far this instance of the application goes for each target, asked of the flags through the OpenFeature SDK.
//!
//! A request of the application never waits for a flag: one task asks all the time, and everybody looks at its last answers.
//! An answer is believed for a moment only. No answer, an error and an answer that is too old all mean `Legacy`, which is
//! always right.
//!
//! The provider asks over HTTP for each evaluation, keeps nothing, and has a time-out for the connection only: a server that
//! accepts and then says nothing would hold us for ever. So the time-out for the whole question stands here.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use open_feature::{Client, EvaluationError, OpenFeature};
use open_feature_ofrep::{OfrepOptions, OfrepProvider};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// The targets of the plan.
pub const ORDERS: &str = "orders";
pub const SHIPMENTS: &str = "shipments";

/// How far the application goes for a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It reads and writes the legacy form only.
    #[default]
    Legacy,
    /// It writes both forms.
    DualWrite,
    /// It reads both as well, answers from the legacy form, and compares.
    ShadowRead,
    /// It answers from the new form, and still writes both: so a step down loses nothing.
    NewRead,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Legacy => "legacy",
            State::DualWrite => "dual_write",
            State::ShadowRead => "shadow_read",
            State::NewRead => "new_read",
        }
    }

    pub fn writes_new(self) -> bool {
        self >= State::DualWrite
    }
}

/// What holds at one moment. Whoever begins something looks once, and keeps to it until it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub orders: State,
    pub shipments: State,
}

/// How to ask.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The address of the console, such as `http://127.0.0.1:9301`.
    pub url: String,
    /// A token of the console's token file, if it has one.
    pub token: Option<String>,
    /// How often.
    pub every: Duration,
    /// An answer that takes longer is none.
    pub limit: Duration,
    /// An answer that is older is none.
    pub lease: Duration,
    /// An instance that had no answer wrote the legacy form only, and Crossfade, which may have been away as well, needs a
    /// moment to follow. For so long it compares reads before it answers from the new form again.
    pub settle: Duration,
}

impl Asking {
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: None,
            every: Duration::from_millis(200),
            limit: Duration::from_millis(500),
            lease: Duration::from_secs(1),
            settle: Duration::from_secs(5),
        }
    }
}

/// The last answers.
#[derive(Clone, Debug)]
struct Answers {
    view: View,
    at: Instant,
    /// Why a target is at `Legacy`, if not because its flag says so.
    trouble: Option<String>,
}

pub struct Flags {
    answers: watch::Receiver<Answers>,
    lease: Duration,
    _asker: AbortOnDropHandle<()>,
}

impl Flags {
    /// Begins to ask; until the first answer everything is `Legacy`. Fails only if it cannot ever ask.
    pub async fn ask(asking: Asking) -> Result<Self> {
        let client = client(&asking).await?;
        let nothing = Answers { view: View::default(), at: Instant::now(), trouble: None };
        let (tell, answers) = watch::channel(nothing);
        let lease = asking.lease;
        let asker = tokio::spawn(async move {
            let (mut orders, mut shipments) = (Asked::new(ORDERS), Asked::new(SHIPMENTS));
            loop {
                // Both in one time-out: whoever hangs for one target would hang for the other.
                let both = async { (orders.ask(&client).await, shipments.ask(&client).await) };
                let (first, second) = timeout(asking.limit, both).await.unwrap_or_else(|_| {
                    let late = || Err(format!("no answer within {:?}", asking.limit));
                    (late(), late())
                });
                let trouble = [&first, &second].into_iter().find_map(|answer| answer.as_ref().err().cloned());
                let view = View {
                    orders: orders.settled(first, asking.settle),
                    shipments: shipments.settled(second, asking.settle),
                };
                tell.send_replace(Answers { view, at: Instant::now(), trouble });
                tokio::time::sleep(asking.every).await;
            }
        });
        Ok(Self { answers, lease, _asker: AbortOnDropHandle::new(asker) })
    }

    /// What holds now.
    pub fn view(&self) -> View {
        let answers = self.answers.borrow();
        if answers.at.elapsed() > self.lease { View::default() } else { answers.view }
    }

    /// Why there is no answer.
    pub fn trouble(&self) -> Option<String> {
        self.answers.borrow().trouble.clone()
    }
}

/// A client of the SDK with the OFREP provider.
async fn client(asking: &Asking) -> Result<Client> {
    let mut headers = HeaderMap::new();
    if let Some(token) = &asking.token {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).context("the token")?;
        // The provider writes its options into the log at the level `debug`.
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    // It puts the path behind this as it is.
    let base_url = asking.url.trim_end_matches('/').to_owned();
    let options =
        OfrepOptions { base_url: base_url.clone(), headers, connect_timeout: asking.limit, cert_path: None };
    let provider = OfrepProvider::new(options).await.context("the address of the flags")?;
    let mut api = OpenFeature::singleton_mut().await;
    api.set_named_provider(&base_url, provider).await;
    Ok(api.create_named_client(&base_url))
}

/// One target's flags.
struct Asked {
    target: &'static str,
    /// Since when there was an answer every time.
    since: Option<Instant>,
}

impl Asked {
    fn new(target: &'static str) -> Self {
        Self { target, since: None }
    }

    async fn ask(&self, client: &Client) -> Result<State, String> {
        let flag = async |name: &str| {
            let key = format!("{}.{name}", self.target);
            client.get_bool_value(&key, None, None).await.map_err(|error| said(&key, &error))
        };
        // The flag may move between two questions. Nothing is read or compared that was not said to be written.
        Ok(match flag("write_new").await? {
            false => State::Legacy,
            true if flag("read_new").await? => State::NewRead,
            true if flag("shadow_read").await? => State::ShadowRead,
            true => State::DualWrite,
        })
    }

    /// The state to take: the default where there was no answer, and no answers from the new form before they settled.
    fn settled(&mut self, answer: Result<State, String>, settle: Duration) -> State {
        let Ok(state) = answer else {
            self.since = None;
            return State::default();
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() < settle { state.min(State::ShadowRead) } else { state }
    }
}

fn said(key: &str, error: &EvaluationError) -> String {
    format!("{key}: {} ({})", error.code, error.message.as_deref().unwrap_or("no more is known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_ends_by_degrees() {
        let mut asked = Asked::new(ORDERS);
        let (short, long) = (Duration::ZERO, Duration::from_secs(3600));
        assert_eq!(asked.settled(Ok(State::NewRead), long), State::ShadowRead);
        assert_eq!(asked.settled(Ok(State::NewRead), short), State::NewRead);
        assert_eq!(asked.settled(Err("gone".into()), short), State::Legacy);
        assert_eq!(asked.settled(Ok(State::NewRead), long), State::ShadowRead);
        assert_eq!(asked.settled(Ok(State::DualWrite), long), State::DualWrite);
    }

    #[tokio::test]
    async fn a_server_that_accepts_and_says_nothing_means_legacy() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let asking = Asking {
            limit: Duration::from_millis(50),
            ..Asking::at(format!("http://{}", silent.local_addr().unwrap()))
        };
        let flags = Flags::ask(asking).await.unwrap();
        let mut answers = flags.answers.clone();
        let seen = timeout(Duration::from_secs(10), answers.wait_for(|a| a.trouble.is_some())).await;
        let seen = seen.expect("it never gave up").unwrap().clone();
        assert_eq!(seen.view, View::default());
        assert_eq!(seen.trouble.as_deref(), Some("no answer within 50ms"));
    }
}
