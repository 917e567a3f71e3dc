//! Addresses and passwords that can't be right.

use anyhow::Result;
use testkit::servers::Mariadb;

use crate::answer::{ask, refuses};
use crate::small::Small;

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_address_says_what_is_wrong_with_it() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_address").await?;
    let example = "expected mysql://user:password@";
    let port = server.port.to_string();
    let here = format!("127.0.0.1:{port}");
    let cases: &[(&str, &[&str])] = &[
        ("", &["empty", example]),
        ("localhost/app", &["mysql://", example]),
        ("postgres://u:s3cret@h/s", &["postgres://", example]),
        ("jdbc:mysql://h/s?password=s3cret", &["JDBC", example]),
        ("mysql://u:s3cret@h", &["no schema", example]),
        ("mysql://h:3306/s", &["no user", example]),
        ("mysql://u:s3cret@h:99999/s", &["port", example]),
        ("mysql://u:s3/cret@h/s", &["%2F", example]),
        ("mysql://u:s3cret@h/s?sslmode=required", &["sslmode", example]),
        ("mysql://u:s3cret@host.invalid/s", &["host.invalid"]),
        ("mysql://u:s3cret@127.0.0.1:1/s", &["127.0.0.1:1", "refused"]),
        (&format!("mysql://cf:s3cret@{here}/app"), &["error 1045", "Access denied", "'cf'"]),
        (&format!("mysql://cf:cf@{here}/no_such_schema"), &["error 1049", "no_such_schema"]),
    ];
    let mut wrong = String::new();
    for (url, parts) in cases {
        let mut d = small.deployment.clone();
        d.schemas.url = (*url).to_owned();
        for command in [&["up"][..], &["status"], &["preflight"]] {
            if let Err(error) = refuses(&d, command, parts).await {
                wrong += &format!("{url}: {error:#}\n");
            }
        }
        let said = ask(&d, &["status"]).await?.err;
        if said.contains("cret") {
            wrong += &format!("{url}: the password is in: {said}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    // Nothing at all, and twice.
    let bare = small.deployment.clone().set("CROSSFADE_DATABASE_FILE", "/nowhere");
    refuses(&bare, &["status"], &["database-file", "one of them"]).await
}
