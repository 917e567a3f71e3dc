//! Connections are verified by default, and refuse what is not what it should be.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;

use common::database;
use mysql::{Class, Database};
use mysql_async::prelude::Queryable;
use testkit::servers::Mariadb;

/// Runs openssl in a folder; false if this machine has none.
fn openssl(folder: &Path, arguments: &str) -> bool {
    let done = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output();
    done.is_ok_and(|o| o.status.success())
}

/// `ca.pem`, `other-ca.pem`, and `server.pem` for `localhost` (not for 127.0.0.1) with `server-key.pem`.
fn certificates(folder: &Path) -> bool {
    std::fs::write(folder.join("san.txt"), "subjectAltName=DNS:localhost\n").unwrap();
    let key = "-newkey rsa:2048 -nodes -days 2";
    ["ca", "other-ca"].iter().all(|ca| {
        openssl(folder, &format!("req -x509 {key} -keyout {ca}-key.pem -out {ca}.pem -subj /CN={ca}"))
    }) && openssl(folder, &format!("req {key} -keyout server-key.pem -out server.csr -subj /CN=server"))
        && openssl(
            folder,
            "x509 -req -in server.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile san.txt -out server.pem",
        )
}

/// Session and binlog connection in one: the ciphers that they use (empty: none), or why there is no connection.
async fn ciphers(url: &str) -> Result<[String; 2], String> {
    let database = Database::new(url.parse().unwrap(), "none");
    let told = |e: mysql::DbError| {
        assert_eq!(e.class, Class::Connection, "{e}");
        e.to_string()
    };
    let binlog = database.binlog_connection().await;
    let mut session = match database.session().await {
        Ok(session) => session,
        Err(e) => {
            assert!(binlog.is_err(), "both connections follow the same rules");
            return Err(told(e));
        }
    };
    let mut binlog = binlog.map_err(told)?;
    let row = session.row("SHOW STATUS LIKE 'Ssl_cipher'").await.unwrap().unwrap();
    let other: (String, String) = binlog.query_first("SHOW STATUS LIKE 'Ssl_cipher'").await.unwrap().unwrap();
    binlog.disconnect().await.unwrap();
    Ok([row.text(1).unwrap().unwrap().into(), other.1])
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_plain_text_is_allowed() {
    // From 11.4 on a MariaDB has TLS unless it is told to have none.
    let server = Mariadb::start(&["--skip-ssl"]).await.unwrap();
    let plain = server.url("mysql");
    assert_eq!(ciphers(&plain).await.unwrap(), ["", ""], "loopback");
    assert_eq!(ciphers(&format!("{plain}?ssl-mode=preferred")).await.unwrap(), ["", ""]);
    for mode in ["required", "verify-ca", "verify-identity"] {
        ciphers(&format!("{plain}?ssl-mode={mode}")).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_server_with_tls_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    if !certificates(folder.path()) {
        testkit::skip::note("a_server_with_tls_is_verified", "there is no openssl to make certificates with");
        return;
    }
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let options = ["cert=server.pem", "key=server-key.pem"]
        .map(|o| o.split_once('=').unwrap())
        .map(|(option, name)| format!("--ssl-{option}={}", file(name)));
    let server = Mariadb::start(&options.each_ref().map(String::as_str)).await.unwrap();
    let at = |host: &str, options: &str| format!("mysql://cf:cf@{host}:{}/mysql?{options}", server.port);
    let (ca, other) = (format!("ssl-ca={}", file("ca.pem")), format!("ssl-ca={}", file("other-ca.pem")));
    for good in [
        at("localhost", &format!("ssl-mode=verify-identity&{ca}")),
        // Naming an authority means that it is to be used.
        at("localhost", &ca),
        at("localhost", &format!("ssl-mode=verify-ca&{ca}")),
        at("127.0.0.1", "ssl-mode=required"),
        at("127.0.0.1", "ssl-mode=preferred"),
    ] {
        let ciphers = ciphers(&good).await.unwrap_or_else(|e| panic!("{good}: {e}"));
        assert!(ciphers.iter().all(|c| !c.is_empty()), "{good}: {ciphers:?}");
    }
    for (what, bad) in [
        ("wrong authority", at("localhost", &other)),
        ("wrong authority", at("127.0.0.1", &format!("ssl-mode=verify-ca&{other}"))),
        ("wrong host name", at("127.0.0.1", &ca)),
        ("authority unknown to the system", at("localhost", "ssl-mode=verify-identity")),
        ("no such file", at("localhost", "ssl-ca=/nowhere/ca.pem")),
    ] {
        assert!(ciphers(&bad).await.is_err(), "{what}: connected to {bad}");
    }
    // Only the authority counts for a session; the binlog connection says why that is not enough for it.
    let authority = at("127.0.0.1", &format!("ssl-mode=verify-ca&{ca}"));
    let database = Database::new(authority.parse().unwrap(), "none");
    database.session().await.unwrap();
    let error = database.binlog_connection().await.map(drop).unwrap_err().to_string();
    assert!(error.contains("dial a name that the certificate has"), "{error}");
}

/// A server that answers the first statement with a request for a local file, as rogue servers do. What it heard then.
async fn rogue(listener: tokio::net::TcpListener) -> Vec<u8> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut greeting = b"\x0a5.5.5-10.11.0-MariaDB\0\x01\0\0\0saltsalt\0".to_vec();
    // Capabilities (LOCAL FILES among them, TLS not), character set, status, length of the salt.
    greeting.extend([0xff, 0xf7, 45, 2, 0, 0xff, 0x81, 21]);
    greeting.extend([0; 10]);
    greeting.extend(b"saltsaltsalt\0mysql_native_password\0");
    let packet = |sequence: u8, body: &[u8]| [&[body.len() as u8, 0, 0, sequence], body].concat();
    let mut heard = vec![0; 4096];
    stream.write_all(&packet(0, &greeting)).await.unwrap();
    assert!(stream.read(&mut heard).await.unwrap() > 0);
    stream.write_all(&packet(2, &[0, 0, 0, 2, 0, 0, 0])).await.unwrap();
    assert!(stream.read(&mut heard).await.unwrap() > 0);
    stream.write_all(&packet(1, b"\xfb/etc/hostname")).await.unwrap();
    let mut answer = Vec::new();
    // Until the client goes away, in whichever way.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn no_local_file_is_sent_to_a_server_that_asks_for_one() {
    let file = std::fs::read("/etc/hostname").unwrap_or_else(|_| vec![0; 64]);
    for binlog in [false, true] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mysql://u:p@127.0.0.1:{}/s", listener.local_addr().unwrap().port());
        let heard = tokio::spawn(rogue(listener));
        let database = Database::new(url.parse().unwrap(), "none");
        let refused = if binlog {
            database.binlog_connection().await.is_err()
        } else {
            database.session().await.is_err()
        };
        assert!(refused, "binlog: {binlog}");
        let heard = heard.await.unwrap();
        assert!(!heard.windows(file.len()).any(|w| w == file), "the file was sent");
    }
}

#[tokio::test]
async fn a_password_in_a_file_can_change_while_we_run() {
    let database = database("rotate").await;
    let mut root = database.session().await.unwrap();
    let account = "cfmysql_rotate@'127.0.0.1'";
    root.execute(&format!(
        "DROP USER IF EXISTS {account}; CREATE USER {account} IDENTIFIED BY 'one'; \
        GRANT SELECT ON cfmysql_rotate.* TO {account}"
    ))
    .await
    .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let address = |password: &str| format!("{}\n", common::as_user(&database, "cfmysql_rotate", password));
    std::fs::write(file.path(), address("one")).unwrap();
    let url = std::fs::read_to_string(file.path()).unwrap().parse().unwrap();
    let rotated = Database::from_file(url, file.path(), "none");
    rotated.session().await.unwrap();
    root.execute(&format!("ALTER USER {account} IDENTIFIED BY 'two'")).await.unwrap();
    assert_eq!(rotated.session().await.map(drop).unwrap_err().class, Class::Privilege);
    std::fs::write(file.path(), address("two")).unwrap();
    rotated.session().await.unwrap();
    rotated.binlog_connection().await.unwrap().disconnect().await.unwrap();
    std::fs::write(file.path(), "nonsense two").unwrap();
    let error = rotated.session().await.map(drop).unwrap_err().to_string();
    assert!(error.contains("does not begin with") && !error.contains("two"), "{error}");
    root.execute(&format!("DROP USER {account}")).await.unwrap();
}
