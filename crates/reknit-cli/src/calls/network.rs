//! The peer as a process.

use super::{Call, Host};
use crate::exit::Failure;
use reknit::DeviceId;
use serde::{Deserialize, Serialize};

/// Asks who answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {}

/// Who answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HelloReply {
    pub(crate) device: DeviceId,
    pub(crate) name: String,
    pub(crate) process: u32,
    pub(crate) version: String,
}

impl Call for Hello {
    const PATH: &'static str = "/v1/hello";
    type Reply = HelloReply;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        Ok(HelloReply {
            device: host.peer().id(),
            name: host.peer().device_name(),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

/// Cuts the peer off.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pause {}

impl Call for Pause {
    const PATH: &'static str = "/v1/network/pause";
    type Reply = ();

    async fn execute(self, host: &Host) -> Result<(), Failure> {
        host.peer().pause_network().await;
        Ok(())
    }
}

/// Ends a pause.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Resume {}

impl Call for Resume {
    const PATH: &'static str = "/v1/network/resume";
    type Reply = ();

    async fn execute(self, host: &Host) -> Result<(), Failure> {
        host.peer().resume_network().await;
        Ok(())
    }
}

/// Ends the process in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stop {}

impl Call for Stop {
    const PATH: &'static str = "/v1/stop";
    type Reply = ();

    async fn execute(self, host: &Host) -> Result<(), Failure> {
        host.stop().notify_one();
        Ok(())
    }
}
