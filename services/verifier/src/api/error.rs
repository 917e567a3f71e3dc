//! What the API answers when it can't do what it was asked for.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mysql::DbError;
use serde_json::json;

use crate::flags::FlagError;

#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    next_step: &'static str,
}

impl ApiError {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        next_step: &'static str,
    ) -> Self {
        Self { status, code, message: message.into(), next_step }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message, "")
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message, "")
    }

    pub fn unauthorized(message: &'static str) -> Self {
        let next = "send `Authorization: Bearer <token>` with a token of the console's token file";
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message, next)
    }

    pub fn forbidden(message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", message, "ask somebody with the role `operator`")
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        tracing::warn!(%error, "the API cannot read the database");
        let next = "check the verifier's log, and whether the database answers";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "DATABASE",
            "the database does not answer as it should",
            next,
        )
    }
}

impl From<FlagError> for ApiError {
    fn from(error: FlagError) -> Self {
        let message = error.to_string();
        match error {
            FlagError::Control(e) => e.into(),
            FlagError::NoTarget(_) => Self::not_found(message),
            FlagError::NoState(_) | FlagError::NoReason => Self::bad_request(message),
            FlagError::Skips { .. } => Self::new(StatusCode::CONFLICT, "ONE_STEP_AT_A_TIME", message, ""),
            FlagError::NotAllowed { .. } => Self::new(
                StatusCode::CONFLICT,
                "VERDICT",
                message,
                "mend what the verdict names, then try again",
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({
            "error": { "code": self.code, "message": self.message, "next_step": self.next_step }
        });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
