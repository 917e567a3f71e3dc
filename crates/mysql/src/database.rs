//! The source database: how each connection to it is made.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mysql_async::{ClientIdentity, OptsBuilder, SslOpts};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::error::{Class, DbError};
use crate::session::Session;
use crate::url::{DatabaseUrl, SslMode};

/// A connection that is not made by then is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `derived_merge=off`: a value that is looked up is computed once, however often the rest of its statement reads it.
///
/// What every session is set to; the plan's expressions mean what they mean under these settings.
///
/// A session that lost its client after it wrote would keep its locks for the server's `wait_timeout` (8 hours); MariaDB
/// ends it after a minute.
const SETUP: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET SESSION autocommit = 1, time_zone = '+00:00', \
    sql_mode = 'STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', \
    group_concat_max_len = 1073741824, lock_wait_timeout = 2, innodb_lock_wait_timeout = 3, \
    optimizer_switch = 'derived_merge=off', net_write_timeout = 600 /*M!100300 , idle_write_transaction_timeout = 60 */";

/// The legacy schema and Crossfade's control schema on one server. Cheap to clone; holds no connection.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    url: DatabaseUrl,
    /// Holds the address; read again for each connection.
    file: Option<PathBuf>,
    control: String,
}

impl Database {
    pub fn new(url: DatabaseUrl, control_schema: impl Into<String>) -> Self {
        Self { inner: Arc::new(Inner { url, file: None, control: control_schema.into() }) }
    }

    /// The address stands in a file, which is read again for each new connection: so a password can be changed while
    /// we run. `url` is what it held at the start.
    pub fn from_file(url: DatabaseUrl, file: &Path, control_schema: impl Into<String>) -> Self {
        Self { inner: Arc::new(Inner { url, file: Some(file.into()), control: control_schema.into() }) }
    }

    /// The address as it was at the start.
    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.url
    }

    /// The legacy schema, where parallel columns, shadow tables and id maps stand.
    pub fn schema(&self) -> &str {
        self.inner.url.schema()
    }

    /// The control schema.
    pub fn control(&self) -> &str {
        &self.inner.control
    }

    /// A control table's name, quoted with its schema.
    pub fn control_table(&self, table: &str) -> String {
        format!("{}.{}", plan::quote::ident(self.control()), plan::quote::ident(table))
    }

    /// The session that is held, or a new one. It is not held any more: whoever finds it in good order puts it back.
    pub async fn resume(&self, held: &mut Option<Session>) -> Result<Session, DbError> {
        match held.take() {
            Some(open) => Ok(open),
            None => self.session().await,
        }
    }

    /// A new session. Its default schema is the legacy schema.
    pub async fn session(&self) -> Result<Session, DbError> {
        const DOING: &str = "open a database session";
        let url = self.current()?;
        let options = options(&url);
        let connect = async {
            let mut connection = options.connect().await?;
            sqlx::raw_sql(AssertSqlSafe(SETUP)).execute(&mut connection).await?;
            Ok(connection)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok(connection)) => Ok(Session::new(connection)),
            Ok(Err(e)) => Err(named(&url, DbError::sqlx(DOING, e))),
            Err(_) => Err(too_slow(&url, DOING)),
        }
    }

    /// A raw connection for the binlog stream, under the same TLS rules. It answers no request for a local file.
    pub async fn binlog_connection(&self) -> Result<mysql_async::Conn, DbError> {
        const DOING: &str = "open a binlog connection";
        // mysql_async asks for the process's provider of cryptography. A process may have been built with two, and then
        // there is none by itself. Whoever has chosen one already keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = self.current()?;
        let preferred = url.tls().mode == SslMode::Preferred;
        let connect = async {
            match mysql_async::Conn::new(binlog_options(&url, true)).await {
                Err(mysql_async::Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer))
                    if preferred =>
                {
                    mysql_async::Conn::new(binlog_options(&url, false)).await
                }
                other => other,
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(result) => result.map_err(|e| named(&url, name_matters(&url, DbError::mysql_async(DOING, e)))),
            Err(_) => Err(too_slow(&url, DOING)),
        }
    }

    fn current(&self) -> Result<DatabaseUrl, DbError> {
        let Some(file) = &self.inner.file else { return Ok(self.inner.url.clone()) };
        let wrong = |reason: String| {
            DbError::new(
                "read the database's address",
                Class::Connection,
                format!("{}: {reason}", file.display()),
            )
        };
        let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
        let url: DatabaseUrl = text.parse().map_err(|e: crate::url::UrlError| wrong(e.to_string()))?;
        if url.schema() != self.schema() {
            return Err(wrong("it names another schema than at the start; restart to change that".into()));
        }
        Ok(url)
    }
}

/// What the server says names the account; what the network says names nothing.
fn named(url: &DatabaseUrl, error: DbError) -> DbError {
    if error.code.is_some() {
        return error;
    }
    let message = format!("{}:{}: {}", url.host(), url.port(), error.server_message());
    DbError::new(error.doing.clone(), error.class, message)
}

/// The binlog's transport can't verify the authority alone: it also wants the name. Stricter than asked, so it is said.
fn name_matters(url: &DatabaseUrl, error: DbError) -> DbError {
    let message = error.server_message();
    if url.tls().mode != SslMode::VerifyCa || !message.contains("not valid for name") {
        return error;
    }
    let hint = "the binlog connection verifies the name even with ssl-mode=verify-ca; dial a name that the certificate has";
    DbError::new(error.doing.clone(), Class::Connection, format!("{message}; {hint}"))
}

fn too_slow(url: &DatabaseUrl, doing: &'static str) -> DbError {
    let (host, port) = (url.host(), url.port());
    let seconds = CONNECT_TIMEOUT.as_secs();
    DbError::new(doing, Class::Connection, format!("no answer from {host}:{port} within {seconds} s"))
}

fn options(url: &DatabaseUrl) -> MySqlConnectOptions {
    let tls = url.tls();
    let mut options = MySqlConnectOptions::new()
        .host(url.host())
        .port(url.port())
        .username(url.user())
        .password(url.password())
        .database(url.schema())
        .charset("utf8mb4")
        .collation("utf8mb4_general_ci")
        .statement_cache_capacity(0)
        .ssl_mode(match tls.mode {
            SslMode::Disabled => MySqlSslMode::Disabled,
            SslMode::Preferred => MySqlSslMode::Preferred,
            SslMode::Required => MySqlSslMode::Required,
            SslMode::VerifyCa => MySqlSslMode::VerifyCa,
            SslMode::VerifyIdentity => MySqlSslMode::VerifyIdentity,
        })
        // The statements hold keys: they never become log lines.
        .disable_statement_logging();
    if let Some(ca) = &tls.ca {
        options = options.ssl_ca(ca);
    }
    if let Some((cert, key)) = &tls.identity {
        options = options.ssl_client_cert(cert).ssl_client_key(key);
    }
    options
}

fn binlog_options(url: &DatabaseUrl, encrypt: bool) -> OptsBuilder {
    let tls = url.tls();
    let ssl = (encrypt && tls.mode != SslMode::Disabled).then(|| {
        let mut ssl = SslOpts::default()
            .with_danger_accept_invalid_certs(!matches!(
                tls.mode,
                SslMode::VerifyCa | SslMode::VerifyIdentity
            ))
            .with_danger_skip_domain_validation(tls.mode != SslMode::VerifyIdentity);
        if let Some(ca) = &tls.ca {
            ssl = ssl.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true);
        }
        if let Some((cert, key)) = &tls.identity {
            ssl =
                ssl.with_client_identity(Some(ClientIdentity::new(cert.clone().into(), key.clone().into())));
        }
        ssl
    });
    OptsBuilder::default()
        .ip_or_hostname(url.host())
        .tcp_port(url.port())
        .user(Some(url.user()))
        .pass(Some(url.password()))
        .prefer_socket(false)
        .tcp_keepalive(Some(Duration::from_secs(10)))
        .ssl_opts(ssl)
}
