//! The socket of a running peer: HTTP/1.1 with JSON, for the commands of the same user on the same device.

use crate::calls::{self, Call, Follow, Host};
use crate::exit::{Exit, Failure};
use crate::home::{Home, OWNER_FILE};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::{FutureExt, StreamExt};
use std::fs::{self, Permissions};
use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tracing::Instrument;

/// A socket that answers, and goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Server {
    /// Takes the place of the socket. The caller holds the store, so a socket that lies there is a dead peer's.
    pub(crate) fn bind(home: &Home) -> Result<Self, Failure> {
        let path = home.socket();
        let fresh = path.with_extension("sock.new");
        let bytes = fresh.as_os_str().as_bytes().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            return Err(Failure::usage(format!(
                "the path {} is too long for a socket by {} bytes: choose a shorter home",
                path.display(),
                bytes - SOCKET_PATH_BYTES_MAX
            )));
        }
        let failed = |cause| Failure::while_doing(format!("opening the socket {}", path.display()), cause);
        // An error says that none is left from an earlier try, or comes up again when binding.
        let _ = fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh).map_err(failed)?;
        // Nobody can connect before it has its name, so nobody else can connect at all.
        fs::set_permissions(&fresh, Permissions::from_mode(OWNER_FILE)).map_err(failed)?;
        fs::rename(&fresh, &path).map_err(failed)?;
        Ok(Self { path, listener: Some(listener) })
    }

    /// Answers until `stopped` says so, then ends what still streams.
    pub(crate) async fn serve(
        mut self,
        host: Arc<Host>,
        stopped: watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let app = routes().with_state(Served { host, stopped: stopped.clone() });
        axum::serve(listener, app)
            .with_graceful_shutdown(until_stopped(stopped))
            .await
            .map_err(|cause| Failure::while_doing("serving the socket", cause))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error says that somebody removed it before us.
        let _ = fs::remove_file(&self.path);
    }
}

#[derive(Clone)]
struct Served {
    host: Arc<Host>,
    stopped: watch::Receiver<bool>,
}

async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    // An error says that the one who could stop us is gone, which is a reason to stop.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn routes() -> Router<Served> {
    let router = Router::new();
    let router = answer::<calls::Hello>(router);
    let router = answer::<calls::Status>(router);
    let router = answer::<calls::Pause>(router);
    let router = answer::<calls::Resume>(router);
    let router = answer::<calls::Stop>(router);
    let router = answer::<calls::Spaces>(router);
    let router = answer::<calls::SpaceNew>(router);
    let router = answer::<calls::SpaceInfo>(router);
    let router = answer::<calls::SpaceLeave>(router);
    let router = answer::<calls::Invite>(router);
    let router = answer::<calls::Join>(router);
    let router = answer::<calls::Put>(router);
    let router = answer::<calls::Find>(router);
    let router = answer::<calls::Remove>(router);
    let router = answer::<calls::Restore>(router);
    let router = answer::<calls::List>(router);
    let router = answer::<calls::Collections>(router);
    let router = answer::<calls::Schema>(router);
    let router = answer::<calls::Query>(router);
    let router = answer::<calls::Write>(router);
    let router = answer::<calls::Begin>(router);
    let router = answer::<calls::Commit>(router);
    let router = answer::<calls::Cancel>(router);
    let router = answer::<calls::Log>(router);
    let router = answer::<calls::Why>(router);
    let router = answer::<calls::UntilConverged>(router);
    let router = stream::<calls::Watch>(router);
    let router = stream::<calls::LiveQuery>(router);
    let router = stream::<calls::Happenings>(router);
    router.fallback(unknown).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

fn answer<C: Call>(router: Router<Served>) -> Router<Served> {
    let handler = |State(served): State<Served>, body: Bytes| async move {
        let reply = match parse::<C>(&body) {
            Ok(call) => {
                let span = tracing::debug_span!("call", path = C::PATH);
                call.execute(&served.host).instrument(span).await
            }
            Err(failure) => Err(failure),
        };
        reply.and_then(|reply| line(&reply)).map_or_else(refusal, |body| json(Body::from(body)))
    };
    router.route(C::PATH, post(handler))
}

fn stream<F: Follow>(router: Router<Served>) -> Router<Served> {
    let handler = |State(served): State<Served>, body: Bytes| async move {
        let items = parse::<F>(&body).and_then(|follow| follow.follow(&served.host));
        match items {
            Ok(items) => {
                let lines = items.map(|item| line(&item)).take_until(until_stopped(served.stopped).boxed());
                json(Body::from_stream(lines))
            }
            Err(failure) => refusal(failure),
        }
    };
    router.route(F::PATH, post(handler))
}

fn unknown() -> impl Future<Output = Response> + Send {
    let message =
        "the running peer does not know this question: it is of another version, restart `reknit up`";
    std::future::ready(refusal(Failure::error(message)))
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|cause| Failure::usage(format!("the request is malformed: {cause}")))
}

/// One answer: a line of JSON.
fn line<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    let mut line = serde_json::to_vec(value).map_err(|cause| Failure::error(cause.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

fn json(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn refusal(failure: Failure) -> Response {
    let status = match failure.exit {
        Exit::Usage => StatusCode::BAD_REQUEST,
        Exit::NotFound => StatusCode::NOT_FOUND,
        Exit::NotAllowed => StatusCode::FORBIDDEN,
        Exit::StoreInUse => StatusCode::CONFLICT,
        Exit::NotConverged | Exit::Unreachable => StatusCode::GATEWAY_TIMEOUT,
        Exit::Error | Exit::ReaderGone => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, axum::Json(failure)).into_response()
}

/// What fits into the system's socket addresses, the closing zero apart.
const SOCKET_PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// One request: a batch of an import.
const BODY_BYTES_MAX: usize = 64 << 20;
