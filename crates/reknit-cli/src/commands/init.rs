//! `reknit init`

use super::Context;
use crate::args::InitArgs;
use crate::client::{Client, Reached};
use crate::exit::Failure;
use crate::home::{Config, Reach, Start, addresses};
use serde::Serialize;
use std::path::PathBuf;
use std::process::Command;

/// A peer that was created.
#[derive(Serialize)]
struct Created {
    device: reknit::DeviceId,
    name: String,
    home: PathBuf,
}

pub(super) async fn run(context: &Context, args: InitArgs) -> Result<(), Failure> {
    let home = &context.home;
    if home.exists() || matches!(Client::reach(home).await?, Reached::Peer(_)) {
        return Err(Failure::error(format!("there is a peer in {} already", home.dir().display())));
    }
    let device_name = args.name.unwrap_or_else(host_name);
    let config = Config { device_name, listen: args.listen, bootstrap: args.bootstrap };
    // Before anything is written, what cannot be used later is refused.
    addresses(&config.listen)?;
    addresses(&config.bootstrap)?;
    home.create_dir()?;
    home.write_config(&config)?;
    let peer = home.start(&Start::new(config, Reach::Offline)).await?;
    let created = Created { device: peer.id(), name: peer.device_name(), home: home.dir().to_owned() };
    peer.shutdown().await?;
    context.output.result(&created, |page| {
        page.line(format!("{} is a peer now, device {}", created.name, created.device.short()));
        page.line(format!("its home is {}", created.home.display()));
        page.line(
            "next: `reknit space new NAME`, or `reknit join TICKET`, and `reknit up` to be found by others",
        );
    })
}

fn host_name() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let from_command = || {
        let output = Command::new("hostname").output().ok()?;
        String::from_utf8(output.stdout).ok()
    };
    let name = from_kernel.or_else(from_command).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "device".to_owned() } else { name.to_owned() }
}
