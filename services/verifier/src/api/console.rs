//! The console's files, which are part of the program, and the headers of every answer.

use axum::extract::{Path, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::ApiError;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../console/", $name)))),*]
    };
}

const INDEX: &str = include_str!("../../console/index.html");
const FILES: &[(&str, &str)] = files![
    "style.css",
    "app.js",
    "dom.js",
    "evidence.js",
    "exceptions.js",
    "lag.js",
    "net.js",
    "overview.js",
    "pages.js",
    "reasons.js",
    "store.js",
    "target.js",
    "ui.js",
];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub async fn index() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], INDEX).into_response()
}

pub async fn file(Path(name): Path<String>) -> Response {
    let Some((_, text)) = FILES.iter().find(|(file, _)| *file == name) else {
        return ApiError::not_found("the console has no such file").into_response();
    };
    let kind =
        if name.ends_with(".css") { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
    (StatusCode::OK, [(header::CONTENT_TYPE, kind)], *text).into_response()
}

/// Nothing is kept by browsers and proxies, framed, sniffed, or loaded from elsewhere.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_console_is_served_and_nothing_is_loaded_from_elsewhere() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "index.html" || FILES.iter().any(|(f, _)| *f == name), "{name} is not served");
        }
        for (name, text) in FILES.iter().chain(&[("index.html", INDEX)]) {
            for bad in [".innerHTML", ".outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(bad), "{name} has {bad}");
            }
            let elsewhere =
                text.match_indices("://").filter(|(at, _)| !text[*at..].starts_with("://www.w3.org/"));
            assert_eq!(elsewhere.count(), 0, "{name} names another address");
        }
    }
}
