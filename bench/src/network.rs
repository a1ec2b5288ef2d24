//! Where the two sides run: two network namespaces joined by a veth pair, whose counters see every byte of every
//! system alike. Without the right to make them, both sides share loopback and its counters.

use std::{net::IpAddr, process::Command as Process};

use anyhow::{Context, Result, bail};

use crate::systems::Role;

/// Removed when dropped.
#[derive(Debug)]
pub(crate) enum Network {
    Namespaces { a: String, b: String },
    Loopback,
}

impl Network {
    /// Namespaces where they are permitted.
    pub(crate) fn new() -> Self {
        match Self::namespaces() {
            Ok(network) => network,
            Err(error) => {
                eprintln!("no network namespaces ({error:#}); both sides share loopback");
                Self::Loopback
            }
        }
    }

    fn namespaces() -> Result<Self> {
        let id = std::process::id();
        let (a, b) = (format!("rkbench-{id}-a"), format!("rkbench-{id}-b"));
        let network = Self::Namespaces { a: a.clone(), b: b.clone() };
        ip(&["netns", "add", &a])?;
        ip(&["netns", "add", &b])?;
        ip(&["-n", &a, "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", &b])?;
        for (name, address) in [(&a, ADDRESS_A), (&b, ADDRESS_B)] {
            // Without IPv6 no router solicitations or neighbour discovery are counted.
            for knob in ["all", "default"] {
                let path = format!("/proc/sys/net/ipv6/conf/{knob}/disable_ipv6");
                ip(&["netns", "exec", name, "sh", "-c", &format!("echo 1 > {path}")])?;
            }
            ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", DEVICE])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
            ip(&["-n", name, "link", "set", DEVICE, "up"])?;
            ip(&["-n", name, "route", "add", "224.0.0.0/4", "dev", DEVICE])?;
        }
        Ok(network)
    }

    pub(crate) fn address(&self, role: Role) -> IpAddr {
        let text = match (self, role) {
            (Self::Loopback, _) => "127.0.0.1",
            (Self::Namespaces { .. }, Role::A) => ADDRESS_A,
            (Self::Namespaces { .. }, Role::B) => ADDRESS_B,
        };
        text.parse().expect("a constant address")
    }

    pub(crate) fn device(&self) -> &'static str {
        match self {
            Self::Loopback => "lo",
            Self::Namespaces { .. } => DEVICE,
        }
    }

    /// What to put in front of a command so that it runs on this side.
    pub(crate) fn prefix(&self, role: Role) -> Vec<&str> {
        match (self, role) {
            (Self::Loopback, _) => Vec::new(),
            (Self::Namespaces { a, .. }, Role::A) => vec!["ip", "netns", "exec", a],
            (Self::Namespaces { b, .. }, Role::B) => vec!["ip", "netns", "exec", b],
        }
    }

    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Loopback => "both on loopback; bytes are those of the loopback interface",
            Self::Namespaces { .. } => {
                "each in a network namespace of its own, joined by a veth pair (MTU 1500); bytes are those of the \
                 interface, both directions, headers included"
            }
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Self::Namespaces { a, b } = self {
            for name in [a, b] {
                let _ = Process::new("ip").args(["netns", "del", name]).output();
            }
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Process::new("ip").args(arguments).output().context("cannot run ip")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

const DEVICE: &str = "rkbench0";
const ADDRESS_A: &str = "10.77.0.1";
const ADDRESS_B: &str = "10.77.0.2";
