//! A client of the console's API, one connection a request.

#![allow(dead_code)] // each test binary uses its part

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("{}\n{}", self.head, self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|l| l.split_once(": "))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }
}

pub struct Site {
    pub address: String,
}

impl Site {
    /// One request on a connection of its own.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: Option<&Value>,
    ) -> Result<Reply> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = format!("{method} {path} HTTP/1.0\r\n");
        if !headers.iter().any(|h| h.starts_with("Host")) {
            request += &format!("Host: {}\r\n", self.address);
        }
        for header in headers {
            request += &format!("{header}\r\n");
        }
        if !body.is_empty() {
            request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
    }

    pub async fn get(&self, path: &str, headers: &[&str]) -> Result<Reply> {
        self.ask("GET", path, headers, None).await
    }

    pub async fn post(&self, path: &str, headers: &[&str], body: Value) -> Result<Reply> {
        self.ask("POST", path, headers, Some(&body)).await
    }
}
