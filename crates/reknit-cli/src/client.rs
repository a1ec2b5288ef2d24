//! Talking to a running peer over its socket.

use crate::calls::{Call, Follow, Hello};
use crate::exit::{Exit, Failure};
use crate::home::Home;
use futures::StreamExt;
use futures::stream::BoxStream;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// A peer that runs in another process.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    socket: PathBuf,
}

/// Whether a peer runs.
#[derive(Debug)]
pub(crate) enum Reached {
    /// It does, and answers.
    Peer(Client),
    /// A socket lies there and nobody listens: the peer was killed.
    StaleSocket,
    /// None runs.
    Nobody,
}

impl Client {
    /// Looks for the running peer of a home.
    pub(crate) async fn reach(home: &Home) -> Result<Reached, Failure> {
        let client = Self { socket: home.socket() };
        match UnixStream::connect(&client.socket).await {
            Ok(_) => Ok(Reached::Peer(client)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(Reached::Nobody),
            Err(cause) if cause.kind() == ErrorKind::ConnectionRefused => Ok(Reached::StaleSocket),
            // A path that is too long for a socket: no peer can listen there.
            Err(cause) if cause.kind() == ErrorKind::InvalidInput => Ok(Reached::Nobody),
            Err(cause) => Err(Failure::while_doing(format!("reaching {}", client.socket.display()), cause)),
        }
    }

    /// Asks who answers there.
    pub(crate) async fn hello(&self) -> Result<<Hello as Call>::Reply, Failure> {
        let answer = tokio::time::timeout(HELLO_TIMEOUT, self.call(&Hello {})).await;
        answer.unwrap_or_else(|_| {
            let message = format!(
                "the store is held by a process that does not answer at {}: end it (`reknit doctor` says who it is)",
                self.socket.display()
            );
            Err(Failure::new(Exit::StoreInUse, message))
        })
    }

    pub(crate) async fn call<C: Call>(&self, call: &C) -> Result<C::Reply, Failure> {
        let response = self.send(C::PATH, call).await?;
        let body = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await;
        let bytes = body.map_err(|cause| lost(cause.as_ref()))?.to_bytes();
        decode(&bytes)
    }

    pub(crate) async fn follow<F: Follow>(
        &self,
        follow: &F,
    ) -> Result<BoxStream<'static, Result<F::Item, Failure>>, Failure> {
        let body = self.send(F::PATH, follow).await?.into_body();
        Ok(futures::stream::try_unfold(Lines::new(body), |mut lines| async move {
            match lines.next().await? {
                Some(line) => Ok(Some((decode(&line)?, lines))),
                None => Ok(None),
            }
        })
        .boxed())
    }

    async fn send<T: Serialize>(&self, path: &str, question: &T) -> Result<Response<Incoming>, Failure> {
        let body = serde_json::to_vec(question).map_err(|cause| Failure::error(cause.to_string()))?;
        let request = Request::post(path)
            .header(header::HOST, "peer")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|cause| Failure::error(cause.to_string()))?;
        let stream = UnixStream::connect(&self.socket).await.map_err(|cause| lost(&cause))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|cause| lost(&cause))?;
        // What goes wrong with the connection shows in the answer.
        tokio::spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await.map_err(|cause| lost(&cause))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = Limited::new(response.into_body(), REFUSAL_BYTES_MAX).collect().await;
        let bytes = body.map_err(|cause| lost(cause.as_ref()))?.to_bytes();
        Err(serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Failure::error(format!("the running peer refuses the request: {status}"))))
    }
}

/// The lines of a body that has not ended.
struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    fn new(body: Incoming) -> Self {
        Self { body, buffer: Vec::new() }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.buffer.drain(..=end).collect()));
            }
            if self.buffer.len() > REPLY_BYTES_MAX {
                return Err(Failure::error("the running peer sends a line without end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(cause)) => return Err(lost(&cause)),
                None => return Ok(None),
            }
        }
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|cause| {
        Failure::error(format!("the running peer is of another version, restart `reknit up` ({cause})"))
    })
}

fn lost(cause: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Unreachable, format!("the running peer went away: {cause}"))
}

/// A peer that runs says hello at once.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// One answer.
const REPLY_BYTES_MAX: usize = 256 << 20;
const REFUSAL_BYTES_MAX: usize = 1 << 20;
