//! Carries out the dials that the address book plans, and tells it how they went.

use super::Router;
use crate::addresses::{Dial, Leg, Trust, dialable};
use crate::device::peer_of;
use crate::limits;
use crate::resolve::{has_name, resolve};
use libp2p::Multiaddr;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use reknit_types::DeviceId;

impl Router {
    pub(super) fn start_dial(&mut self, dial: Dial) {
        let Dial { device, leg, mut addresses } = dial;
        if addresses.iter().any(has_name) && self.resolving.len() < limits::RESOLVES_MAX {
            self.resolving.push(Box::pin(async move { (device, leg, resolve(addresses).await) }));
        } else {
            addresses.retain(|address| !has_name(address));
            self.dial(device, leg, addresses);
        }
    }

    #[tracing::instrument(level = "debug", skip(self, device, addresses), fields(%device))]
    pub(super) fn dial(&mut self, device: DeviceId, leg: Leg, addresses: Vec<Multiaddr>) {
        let now = self.now();
        let Ok(peer) = peer_of(device) else { return };
        let options = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(addresses).build();
        let id = options.connection_id();
        tracing::debug!("dialling");
        match self.swarm.dial(options) {
            Ok(()) => drop(self.dials.insert(id, (device, leg))),
            Err(error) => {
                tracing::debug!(%error, "cannot dial");
                self.book.on_dial_failed(&device, leg, now);
            }
        }
    }

    pub(super) fn on_dial_failed(&mut self, id: ConnectionId, error: DialError) {
        let now = self.now();
        let Some((device, leg)) = self.dials.remove(&id) else { return };
        tracing::debug!(%device, %error, "dial failed");
        match error {
            DialError::Transport(failed) => {
                for (address, _) in failed {
                    self.on_address_failed(&device, &address);
                }
            }
            DialError::WrongPeerId { address, .. } => self.on_address_failed(&device, &address),
            _ => {}
        }
        self.book.on_dial_failed(&device, leg, now);
    }

    pub(super) fn on_address_failed(&mut self, device: &DeviceId, address: &Multiaddr) {
        let now = self.now();
        if let Ok(peer) = peer_of(*device)
            && let Some(address) = dialable(address, &peer, Trust::Given)
        {
            self.book.on_address_failed(device, &address, now);
        }
    }
}
