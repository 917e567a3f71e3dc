//! The address of the source database.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// The form that every message about a wrong address shows.
const EXAMPLE: &str =
    "mysql://user:password@db.example.org:3306/app?ssl-mode=verify-identity&ssl-ca=/etc/ca.pem";

/// `mysql://user:password@host:port/schema?ssl-mode=…&ssl-ca=…&ssl-cert=…&ssl-key=…`
///
/// Neither `Debug` nor `Display` shows the password.
#[derive(Clone)]
pub struct DatabaseUrl {
    host: String,
    port: u16,
    user: String,
    password: SecretString,
    schema: String,
    tls: Tls,
}

/// How far a connection is protected; the names are those of the server's own clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Plain text.
    Disabled,
    /// Encrypted if the server offers it; nothing is verified.
    Preferred,
    /// Encrypted; nothing is verified.
    Required,
    /// Encrypted, and the certificate is signed by the authority. (The binlog connection verifies the name, too.)
    VerifyCa,
    /// Encrypted, signed, and made out to the host that we dialled.
    VerifyIdentity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub mode: SslMode,
    /// PEM file with the authority that signs the server's certificate. `None`: the system's authorities.
    pub ca: Option<PathBuf>,
    /// PEM files of the client's own certificate and key; both or neither.
    pub identity: Option<(PathBuf, PathBuf)>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("database address: {reason}; expected {EXAMPLE}")]
pub struct UrlError {
    reason: String,
}

fn wrong<T>(reason: impl Into<String>) -> Result<T, UrlError> {
    Err(UrlError { reason: reason.into() })
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = parse(text.trim())?;
        let host = match url.host() {
            None | Some(Host::Domain("")) => return wrong("it names no host after `mysql://`"),
            // A scheme that the WHATWG rules don't know keeps its host opaque: still percent-encoded.
            Some(Host::Domain(name)) => decode(name, "host")?,
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
        };
        let user = decode(url.username(), "user")?;
        if user.is_empty() {
            return wrong("it names no user (`user:password@` before the host)");
        }
        let schema = decode(url.path().strip_prefix('/').unwrap_or_default(), "schema")?;
        if schema.is_empty() {
            return wrong(
                "it names no schema: put the legacy schema's name behind the host, as in `host:3306/app`",
            );
        }
        if schema.contains('/')
            || schema.contains('\0')
            || schema.chars().count() > 64
            || schema.ends_with(' ')
        {
            return wrong(
                "the schema is not a possible name (at most 64 characters, no `/`, no trailing blank)",
            );
        }
        if url.fragment().is_some() {
            return wrong("a `#` stands in it; in a password write it as %23");
        }
        let password = decode(url.password().unwrap_or_default(), "password")?.into();
        let tls = tls(&url, is_loopback(&host))?;
        Ok(Self { host, port: url.port().unwrap_or(3306), user, password, schema, tls })
    }
}

/// The outer form. Its messages never quote the text, which may hold a password.
fn parse(text: &str) -> Result<Url, UrlError> {
    if text.is_empty() {
        return wrong("it is empty");
    }
    match text.split_once("://") {
        Some(("mysql", _)) => {}
        Some((scheme, _)) if scheme.starts_with("jdbc:") => {
            return wrong("it is a JDBC address; drop `jdbc:` and put user and password before the host");
        }
        Some(("mariadb", _)) => return wrong("write `mysql://` for MariaDB too"),
        Some((scheme, _))
            if scheme.len() < 20 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') =>
        {
            return wrong(format!("`{scheme}://` is not a scheme we speak"));
        }
        _ => return wrong("it does not begin with `mysql://`"),
    }
    Url::parse(text).or_else(|e| match e {
        url::ParseError::InvalidPort => wrong(
            "the port is not a number up to 65535 (or the password holds `/`, `?`, `#` or `@`, which must be \
             written %2F, %3F, %23, %40)",
        ),
        url::ParseError::EmptyHost => wrong("it names no host after `mysql://`"),
        url::ParseError::InvalidIpv6Address => wrong("the IPv6 address in brackets is not one"),
        other => wrong(format!("{other} (write special characters of user and password as %XX)")),
    })
}

fn tls(url: &Url, loopback: bool) -> Result<Tls, UrlError> {
    let (mut mode, mut ca, mut cert, mut key) = (None, None, None, None);
    for (name, value) in url.query_pairs() {
        let slot = match name.as_ref() {
            "ssl-mode" => {
                if mode.replace(ssl_mode(&value)?).is_some() {
                    return wrong("`ssl-mode` is given twice");
                }
                continue;
            }
            "ssl-ca" => &mut ca,
            "ssl-cert" => &mut cert,
            "ssl-key" => &mut key,
            other => {
                let other: String = other.chars().take(30).collect();
                return wrong(format!(
                    "unknown option `{other}`; there are ssl-mode, ssl-ca, ssl-cert and ssl-key"
                ));
            }
        };
        if value.is_empty() {
            return wrong(format!("`{name}` is empty"));
        }
        if slot.replace(PathBuf::from(value.as_ref())).is_some() {
            return wrong(format!("`{name}` is given twice"));
        }
    }
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return wrong("`ssl-cert` and `ssl-key` go together; one is missing"),
    };
    let asked = ca.is_some() || identity.is_some();
    let mode = mode.unwrap_or(if loopback && !asked { SslMode::Disabled } else { SslMode::VerifyIdentity });
    if asked && mode == SslMode::Disabled {
        return wrong("`ssl-mode=disabled` contradicts ssl-ca, ssl-cert and ssl-key");
    }
    Ok(Tls { mode, ca, identity })
}

fn ssl_mode(value: &str) -> Result<SslMode, UrlError> {
    match value {
        "disabled" => Ok(SslMode::Disabled),
        "preferred" => Ok(SslMode::Preferred),
        "required" => Ok(SslMode::Required),
        "verify-ca" => Ok(SslMode::VerifyCa),
        "verify-identity" => Ok(SslMode::VerifyIdentity),
        _ => wrong("`ssl-mode` is one of disabled, preferred, required, verify-ca, verify-identity"),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Percent-decoding of one part; `+` stays a plus.
fn decode(part: &str, name: &str) -> Result<String, UrlError> {
    let mut out = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let hex = |b: &u8| char::from(*b).to_digit(16);
        match tail {
            [a, b, after @ ..] if hex(a).is_some() && hex(b).is_some() => {
                out.push((hex(a).unwrap_or(0) * 16 + hex(b).unwrap_or(0)) as u8);
                rest = after;
            }
            _ => {
                return wrong(format!(
                    "a `%` in the {name} is not followed by two hex digits; a plain one is %25"
                ));
            }
        }
    }
    String::from_utf8(out).or_else(|_| wrong(format!("the {name} is not UTF-8 after percent-decoding")))
}

impl DatabaseUrl {
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    /// The legacy schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    pub(crate) fn password(&self) -> &str {
        self.password.expose_secret()
    }

    /// The connection is either verified or does not leave this machine.
    pub fn is_secure(&self) -> bool {
        matches!(self.tls.mode, SslMode::VerifyCa | SslMode::VerifyIdentity) || is_loopback(&self.host)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "mysql://{}:***@{host}:{}/{}", self.user, self.port, self.schema)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.tls.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> DatabaseUrl {
        text.parse().unwrap()
    }

    #[test]
    fn parts_are_percent_decoded_and_the_password_never_shows() {
        let url = ok("mysql://us%40er:p%23%2F%3A%25+w@127.0.0.1:33100/le%20gacy");
        assert_eq!(
            (url.user(), url.password(), url.host(), url.port(), url.schema()),
            ("us@er", "p#/:%+w", "127.0.0.1", 33100, "le gacy")
        );
        for shown in [url.to_string(), format!("{url:?}")] {
            assert!(!shown.contains("p#") && !shown.contains("+w") && !shown.contains("%23"), "{shown}");
        }
        assert_eq!(ok("mysql://u@[::1]/s").to_string(), "mysql://u:***@[::1]:3306/s");
    }

    #[test]
    fn a_remote_host_is_verified_unless_told_otherwise() {
        assert_eq!(ok("mysql://u@db/s").tls().mode, SslMode::VerifyIdentity);
        assert_eq!(ok("mysql://u@localhost/s").tls().mode, SslMode::Disabled);
        assert_eq!(ok("mysql://u@127.0.0.1/s?ssl-ca=/ca.pem").tls().mode, SslMode::VerifyIdentity);
        assert_eq!(ok("mysql://u@db/s?ssl-mode=required").tls().mode, SslMode::Required);
        assert!(!ok("mysql://u@db/s?ssl-mode=required").is_secure());
        let both = ok("mysql://u@db/s?ssl-mode=verify-ca&ssl-cert=/c&ssl-key=/k");
        assert_eq!(both.tls().identity, Some(("/c".into(), "/k".into())));
    }

    #[test]
    fn every_wrong_form_has_its_own_message_with_an_example_and_without_the_password() {
        let wrong = [
            ("", "empty"),
            ("localhost/app", "does not begin"),
            ("postgres://u:s3cret@h/s", "postgres://"),
            ("jdbc:mysql://h/s?password=s3cret", "JDBC"),
            ("mariadb://u:s3cret@h/s", "MariaDB too"),
            ("mysql://u:s3cret@/s", "no host"),
            ("mysql://h:3306/s", "no user"),
            ("mysql://u:s3cret@h", "no schema"),
            ("mysql://u:s3cret@h/a/b", "not a possible name"),
            ("mysql://u:s3cret@h:99999/s", "port is not"),
            ("mysql://u:s3/cret@h/s", "%2F"),
            ("mysql://u:s3cret@h/s#x", "%23"),
            ("mysql://u:s3%ret@h/s", "%25"),
            ("mysql://u:s3cret@h/s?ssl-mode=VERIFY", "verify-identity"),
            ("mysql://u:s3cret@h/s?sslmode=required", "unknown option `sslmode`"),
            ("mysql://u:s3cret@h/s?ssl-key=/k", "go together"),
            ("mysql://u:s3cret@h/s?ssl-mode=disabled&ssl-ca=/c", "contradicts"),
            ("mysql://u:s3cret@h/s?ssl-ca=/c&ssl-ca=/d", "twice"),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for (text, part) in wrong {
            let message = text.parse::<DatabaseUrl>().map(|_| ()).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains(EXAMPLE), "{text}: {message}");
            assert!(!message.contains("cret"), "{message}");
            assert!(seen.insert((message, part)), "{text}: the same message twice");
        }
    }
}
