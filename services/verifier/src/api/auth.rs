//! Who asks: tokens with a role from a file, or nobody in particular on loopback.

use std::fmt;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::{Api, ApiError, Shared};
use crate::flags::CROSSFADE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Viewer,
    Operator,
}

/// Lines `role name token`; role is `viewer` or `operator`; `#` begins a remark.
#[derive(Clone)]
pub struct Tokens(Vec<(Role, String, String)>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(role, name, _)| (role, name))).finish()
    }
}

/// A shorter token could be guessed.
const LEAST: usize = 16;

impl Tokens {
    /// Says of a line only its number: the rest is secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parts: Vec<&str> = line.split_whitespace().collect();
            let [role, name, token] = parts.as_slice() else {
                return Err(format!("line {number} is not `role name token`"));
            };
            let role = match *role {
                "viewer" => Role::Viewer,
                "operator" => Role::Operator,
                _ => return Err(format!("line {number}: a role is `viewer` or `operator`")),
            };
            if name.len() > 64 || *name == CROSSFADE {
                return Err(format!(
                    "line {number}: a name has 64 characters at most, and is not `{CROSSFADE}`"
                ));
            }
            if token.len() < LEAST {
                return Err(format!("line {number}: a token has at least {LEAST} characters"));
            }
            tokens.push((role, (*name).to_owned(), (*token).to_owned()));
        }
        if tokens.is_empty() {
            return Err("has no token: a line is `role name token`".into());
        }
        Ok(Self(tokens))
    }

    /// Looks at every token, so that the time tells nothing of which one was near.
    fn find(&self, given: &str) -> Option<Caller> {
        let mut found = None;
        for (role, name, token) in &self.0 {
            if bool::from(token.as_bytes().ct_eq(given.as_bytes())) {
                found = Some(Caller { role: *role, name: name.clone() });
            }
        }
        found
    }
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub role: Role,
    pub name: String,
}

impl Caller {
    pub fn may_act(&self) -> Result<(), ApiError> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Viewer => Err(ApiError::forbidden("this needs a token with the role `operator`")),
        }
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, ApiError> {
        api.caller(parts)
    }
}

impl Api {
    fn caller(&self, parts: &Parts) -> Result<Caller, ApiError> {
        let Some(tokens) = &self.tokens else {
            return Ok(Caller { role: Role::Viewer, name: "somebody on this machine".into() });
        };
        let text = |name| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let bearer = text(AUTHORIZATION.as_str()).and_then(|v| v.strip_prefix("Bearer "));
        match bearer.or_else(|| text("x-api-key")) {
            None => Err(ApiError::unauthorized("a token is needed")),
            Some(given) => tokens.find(given.trim()).ok_or(ApiError::unauthorized("this token is not known")),
        }
    }
}

/// Without tokens only this machine is answered: a page of another site that gives itself our address (DNS rebinding) names
/// itself as the host.
pub async fn host(State(api): State<Shared>, request: Request, next: Next) -> Response {
    let named = request.headers().get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let name =
        named.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(named, |(n, _)| n);
    if api.tokens.is_none() && !matches!(name, "localhost" | "127.0.0.1" | "[::1]" | "") {
        return ApiError::forbidden("without tokens the console answers as localhost only").into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_roles_and_bad_lines_are_named_by_number_only() {
        let tokens =
            Tokens::parse("# ours\nviewer  ann 0123456789abcdef\n\noperator bob fedcba9876543210\n").unwrap();
        assert_eq!(
            tokens.find("fedcba9876543210").map(|c| (c.role, c.name)),
            Some((Role::Operator, "bob".into()))
        );
        assert_eq!(tokens.find("0123456789abcdef").map(|c| c.role), Some(Role::Viewer));
        for wrong in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0"] {
            assert_eq!(tokens.find(wrong), None, "{wrong}");
        }
        for (bad, why) in [
            ("", "has no token"),
            ("viewer ann", "line 1 is not"),
            ("# x\nadmin ann 0123456789abcdef", "line 2: a role"),
            ("viewer ann s3cret", "line 1: a token has"),
            ("operator crossfade 0123456789abcdef", "line 1: a name has"),
        ] {
            let error = Tokens::parse(bad).unwrap_err();
            assert!(error.contains(why) && !error.contains("s3cret"), "{error}");
        }
        assert!(!format!("{tokens:?}").contains("fedcba"));
    }
}
