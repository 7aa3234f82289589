//! The live view and the faults over HTTP, for scripts: `GET /snapshot`, `GET /faults`, `POST /faults` (the whole
//! set, JSON; what is left out is off), `GET /healthz`.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Faults, PlatformHandle};

fn answer(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()).into_response(),
    }
}

async fn snapshot(State(platform): State<PlatformHandle>) -> Response {
    answer(&platform.snapshot())
}

async fn faults(State(platform): State<PlatformHandle>) -> Response {
    answer(&platform.faults())
}

async fn set_faults(State(platform): State<PlatformHandle>, body: Bytes) -> Response {
    match serde_json::from_slice::<Faults>(&body) {
        Ok(faults) => {
            platform.set_faults(faults);
            answer(&platform.faults())
        }
        Err(fault) => (StatusCode::BAD_REQUEST, format!("{fault}\n")).into_response(),
    }
}

async fn healthz(State(platform): State<PlatformHandle>) -> Response {
    if platform.is_dead() {
        return (StatusCode::SERVICE_UNAVAILABLE, "dead\n").into_response();
    }
    "ok\n".into_response()
}

pub(super) async fn serve(
    listener: TcpListener,
    platform: PlatformHandle,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/snapshot", get(snapshot))
        .route("/faults", get(faults).post(set_faults))
        .route("/healthz", get(healthz))
        .with_state(platform);
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await;
    if let Err(fault) = served {
        tracing::error!(%fault, "the platform's HTTP listener ended");
    }
}
