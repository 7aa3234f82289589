//! The pages. Every answer closes its connection (see [`super::guard`]) and none is stored.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::Response,
    routing::get,
};

use serde::Serialize;

use super::{page, report::Status};
use crate::telemetry::Exporter;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
/// Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Sight<S> {
    status: Arc<S>,
    exporter: Exporter,
}

pub(super) fn routes<S: Status>(status: Arc<S>, exporter: Exporter) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/status.json", get(status_json))
        .route("/offenders.json", get(offenders_json))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .fallback(async || answer(StatusCode::NOT_FOUND, TEXT, "no such page\n".to_owned()))
        .method_not_allowed_fallback(async || {
            answer(
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "only GET\n".to_owned(),
            )
        })
        .with_state(Arc::new(Sight { status, exporter }))
}

async fn metrics<S: Status>(State(sight): State<Arc<Sight<S>>>) -> Response {
    answer(StatusCode::OK, METRICS, sight.exporter.render())
}

async fn health<S: Status>(State(sight): State<Arc<Sight<S>>>) -> Response {
    verdict("alive", &sight.status.dead())
}

async fn readiness<S: Status>(State(sight): State<Arc<Sight<S>>>) -> Response {
    let mut faults = sight.status.dead();
    faults.extend(sight.status.unready());
    verdict("ready", &faults)
}

async fn status_json<S: Status>(State(sight): State<Arc<Sight<S>>>) -> Response {
    json(&sight.status.report())
}

async fn offenders_json<S: Status>(State(sight): State<Arc<Sight<S>>>) -> Response {
    json(&sight.status.offenders())
}

fn json(content: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(content) {
        Ok(text) => answer(StatusCode::OK, JSON, text + "\n"),
        Err(error) => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{error}\n"),
        ),
    }
}

async fn status_page<S: Status>(State(sight): State<Arc<Sight<S>>>) -> Response {
    answer(StatusCode::OK, HTML, page::render(&sight.status.report()))
}

fn verdict(good: &str, faults: &[String]) -> Response {
    if faults.is_empty() {
        answer(StatusCode::OK, TEXT, format!("{good}\n"))
    } else {
        answer(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            faults.join("\n") + "\n",
        )
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CONNECTION, "close")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::X_FRAME_OPTIONS, "DENY")
        .header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        )
        .body(Body::from(body))
        .unwrap_or_default()
}
