//! What happens to the disks of devices.

use super::World;
use crate::action::Action;
use crate::disk::{Crash, Fault, SimulatedDisk};
use crate::network::PeerNo;
use crate::peer::{Disk, Peer};

impl World {
    /// Faults of disks. Peers that keep their data in memory have none.
    pub(super) fn act_on_disk(&mut self, action: &Action) {
        let Some(disk) = action.peers().first().and_then(|peer| self.peers[*peer].disk.simulated()).cloned()
        else {
            return;
        };
        match action {
            Action::Power(peer) if self.peers[*peer].running().is_some() => {
                self.stop(*peer, "the power fails", Crash::Power);
            }
            Action::PowerAfter(peer, operations) => {
                self.peers[*peer].loses_power = true;
                disk.fail(Fault::Broken, *operations);
            }
            Action::DiskFull(_) => disk.fail(Fault::Full, 0),
            Action::SyncFails(_, operations) => disk.fail(Fault::SyncFails, *operations),
            Action::DiskBreaks(_, operations) => disk.fail(Fault::Broken, *operations),
            Action::MendDisk(_) => disk.mend(),
            Action::FlipBit(peer) => {
                let flipped = disk.flip_bit();
                self.checks.on_damaged(*peer);
                // In the last record of the journal a wrong bit looks as a write that was torn.
                self.checks.on_forked(self.peers[*peer].id);
                self.trace.note(self.now, format_args!("{peer} has a wrong bit: {flipped:?}"));
            }
            Action::Backup(peer) => self.peers[*peer].backup = Some(disk.image()),
            Action::Restore(peer) => self.restore(*peer, &disk),
            Action::Copy(peer) => self.copy(*peer, &disk),
            _ => {}
        }
    }

    /// What was written since the backup is gone from this device, and may live on elsewhere.
    fn restore(&mut self, peer: PeerNo, disk: &SimulatedDisk) {
        let Some(backup) = self.peers[peer].backup.clone() else { return };
        self.stop(peer, "restored from a backup", Crash::Process);
        disk.restore(&backup);
        self.checks.on_tampered(peer);
        self.checks.on_forked(self.peers[peer].id);
    }

    /// Another device comes to be, with everything that this one has on its disk, its key included.
    fn copy(&mut self, peer: PeerNo, disk: &SimulatedDisk) {
        let no = self.peers.len();
        let copy = SimulatedDisk::from_image(self.disk_seed(no), &disk.image());
        let clone = Peer::new(self.peers[peer].key.clone(), Disk::Redb(copy, None));
        self.install(clone);
        self.checks.on_forked(self.peers[peer].id);
        for other in self.network.wanted[peer].clone() {
            self.introduce(other, no);
        }
    }

    pub(super) fn disk_seed(&self, peer: PeerNo) -> u64 {
        let bytes = self.chance.bytes("disk", peer as u64);
        u64::from_be_bytes(*bytes.first_chunk().expect("there are thirty-two"))
    }
}
