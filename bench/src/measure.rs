//! What is measured, always from outside of the systems: the clock that both processes share, memory, disk,
//! interface counters, and calls that force data to disk.

use std::{
    fs,
    os::{fd::RawFd, unix::fs::MetadataExt},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Nanoseconds of CLOCK_MONOTONIC, which every process on one machine shares.
pub(crate) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// What a process knows of itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// Resident set now, in bytes.
    pub(crate) rss: u64,
    /// Of it, what is not pages of files such as the program itself: heap and stacks.
    pub(crate) anonymous: u64,
    /// Largest resident set so far, in bytes.
    pub(crate) rss_peak: u64,
    /// Bytes that crossed the interface, both directions, headers included.
    pub(crate) wire: u64,
    /// Calls of fsync, fdatasync and sync_file_range so far.
    pub(crate) syncs: u64,
}

impl Stats {
    pub(crate) fn of_this_process(device: &str) -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        Ok(Self {
            rss: status_bytes(&status, "VmRSS:")?,
            anonymous: status_bytes(&status, "RssAnon:")?,
            rss_peak: status_bytes(&status, "VmHWM:")?,
            wire: interface_bytes(&fs::read_to_string("/proc/self/net/dev")?, device)?,
            syncs: SYNCS.load(Ordering::Relaxed),
        })
    }
}

fn status_bytes(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line in status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Bytes both ways. Loopback counts each packet in both columns, so there one column is the truth.
fn interface_bytes(table: &str, device: &str) -> Result<u64> {
    let prefix = format!("{device}:");
    let line = table
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(&prefix))
        .with_context(|| format!("no interface {device}"))?;
    let columns: Vec<u64> = line.split_whitespace().map_while(|column| column.parse().ok()).collect();
    let received = columns.first().context("no received bytes")?;
    let sent = columns.get(8).context("no sent bytes")?;
    Ok(if device == "lo" { *received } else { received + sent })
}

/// The size of a directory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disk {
    /// Lengths of all files.
    pub(crate) bytes: u64,
    /// Blocks that the file system gave them.
    pub(crate) allocated: u64,
    pub(crate) files: u64,
}

pub(crate) fn disk(path: &Path) -> Result<Disk> {
    let mut total = Disk::default();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let found = if entry.file_type()?.is_dir() {
            disk(&entry.path())?
        } else {
            let metadata = entry.metadata()?;
            Disk { bytes: metadata.len(), allocated: metadata.blocks() * 512, files: 1 }
        };
        total.bytes += found.bytes;
        total.allocated += found.allocated;
        total.files += found.files;
    }
    Ok(total)
}

/// The value below which this share of the samples lie (nearest rank).
pub(crate) fn percentile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

static SYNCS: AtomicU64 = AtomicU64::new(0);

/// Takes the place of the C library's `fsync` in this binary, so that every system's calls are counted alike.
///
/// # Safety
/// As for `fsync(2)`: any number is allowed, a bad one is answered with an error.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fsync(fd: RawFd) -> libc::c_int {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel checks the descriptor.
    unsafe { libc::syscall(libc::SYS_fsync, fd) as libc::c_int }
}

/// Takes the place of the C library's `fdatasync`.
///
/// # Safety
/// As for `fdatasync(2)`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fdatasync(fd: RawFd) -> libc::c_int {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel checks the descriptor.
    unsafe { libc::syscall(libc::SYS_fdatasync, fd) as libc::c_int }
}

/// Takes the place of the C library's `sync_file_range`, which sled uses where others call `fdatasync`.
///
/// # Safety
/// As for `sync_file_range(2)`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn sync_file_range(
    fd: RawFd,
    offset: libc::off64_t,
    count: libc::off64_t,
    flags: libc::c_uint,
) -> libc::c_int {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel checks the descriptor, the range and the flags.
    unsafe { libc::syscall(libc::SYS_sync_file_range, fd, offset, count, flags) as libc::c_int }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Inter-|   Receive |  Transmit\n face |bytes\n  lo: 70 1 0 0 0 0 0 0 70 1 0 0 0 0 0 0\n\
                         veth0: 100 1 0 0 0 0 0 0 23 1 0 0 0 0 0 0\n";

    #[test]
    fn both_directions_count_except_on_loopback() {
        assert_eq!(interface_bytes(TABLE, "veth0").unwrap(), 123);
        assert_eq!(interface_bytes(TABLE, "lo").unwrap(), 70);
        assert!(interface_bytes(TABLE, "eth0").is_err());
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let samples: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&samples, 0.5), Some(50.0));
        assert_eq!(percentile(&samples, 0.99), Some(99.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn syncs_of_files_are_counted() {
        let before = SYNCS.load(Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("reknit-bench-sync-{}", std::process::id()));
        let file = fs::File::create(&path).unwrap();
        file.sync_all().unwrap();
        file.sync_data().unwrap();
        fs::remove_file(path).unwrap();
        assert!(SYNCS.load(Ordering::Relaxed) >= before + 2);
    }
}
