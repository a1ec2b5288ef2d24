//! The home directory of a peer on this device: its store, its configuration, its socket.

use crate::exit::{Exit, Failure};
use reknit::{Durability, JournalOptions, Multiaddr, Peer};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where a peer keeps what it has. Only its owner may look inside, since the store holds the device's key.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    dir: PathBuf,
}

/// `config.json`: what `reknit init` was told, and what `reknit up` uses unless it is told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// What people call this device.
    pub(crate) device_name: String,
    /// Where to listen; every interface when empty.
    pub(crate) listen: Vec<String>,
    /// Bootstrap nodes, each with its `/p2p/`.
    pub(crate) bootstrap: Vec<String>,
}

/// Whether a peer that a command opens by itself goes on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It only reads and writes its store.
    Offline,
    /// It looks for the others and syncs with them.
    Online,
}

/// How to start a peer, from the configuration and the command line.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) reach: Reach,
    pub(crate) config: Config,
    pub(crate) mdns: bool,
    pub(crate) durability: Durability,
    pub(crate) clock_offset_ms: i64,
    pub(crate) journal: Option<(PathBuf, JournalOptions)>,
}

impl Start {
    pub(crate) fn new(config: Config, reach: Reach) -> Self {
        let durability = Durability::Durable;
        Self { reach, config, mdns: true, durability, clock_offset_ms: 0, journal: None }
    }
}

impl Home {
    /// The directory given by `--home` or `REKNIT_HOME`, else `reknit` in the user's data directory.
    pub(crate) fn find(given: Option<PathBuf>) -> Result<Self, Failure> {
        let dir = match given {
            Some(dir) => dir,
            None => data_dir()
                .ok_or_else(|| {
                    Failure::usage("no home directory is known: name one with --home or REKNIT_HOME")
                })?
                .join("reknit"),
        };
        Ok(Self { dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join("peer.redb")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("peer.sock")
    }

    fn config_file(&self) -> PathBuf {
        self.dir.join("config.json")
    }

    /// Whether `reknit init` was here.
    pub(crate) fn exists(&self) -> bool {
        self.store().exists()
    }

    /// Fails if there is nothing to work with, and says how to begin.
    pub(crate) fn must_exist(&self) -> Result<(), Failure> {
        if self.exists() {
            return Ok(());
        }
        let dir = self.dir.display();
        Err(Failure::not_found(format!("there is no peer in {dir}: create one with `reknit init`")))
    }

    /// Makes the directory, for its owner only. One that is there already is made so if it is empty, and refused if
    /// others may use what lies in it.
    pub(crate) fn create_dir(&self) -> Result<(), Failure> {
        let dir = self.dir.display();
        let failed = |cause| Failure::while_doing(format!("creating {dir}"), cause);
        DirBuilder::new().recursive(true).mode(OWNER_DIR).create(&self.dir).map_err(failed)?;
        if fs::metadata(&self.dir).map_err(failed)?.permissions().mode() & 0o077 == 0 {
            return Ok(());
        }
        if fs::read_dir(&self.dir).map_err(failed)?.next().is_some() {
            return Err(Failure::usage(format!(
                "others may use {dir}, and there is something in it: choose another home, or run `chmod {OWNER_DIR:o} {dir}`"
            )));
        }
        fs::set_permissions(&self.dir, Permissions::from_mode(OWNER_DIR)).map_err(failed)
    }

    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let file = self.config_file();
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|cause| {
                Failure::error(format!("{} is not a configuration: {cause}", file.display()))
            }),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(Config::default()),
            Err(cause) => Err(Failure::while_doing(format!("reading {}", file.display()), cause)),
        }
    }

    pub(crate) fn write_config(&self, config: &Config) -> Result<(), Failure> {
        let file = self.config_file();
        let text = serde_json::to_string_pretty(config).map_err(|cause| Failure::error(cause.to_string()))?;
        fs::write(&file, text + "\n")
            .map_err(|cause| Failure::while_doing(format!("writing {}", file.display()), cause))
    }

    /// Opens the store and starts a peer on it.
    pub(crate) async fn start(&self, start: &Start) -> Result<Peer, Failure> {
        let mut builder =
            Peer::builder(self.store()).durability(start.durability).clock_offset_ms(start.clock_offset_ms);
        if !start.config.device_name.is_empty() {
            builder = builder.device_name(&start.config.device_name);
        }
        builder = match start.reach {
            Reach::Offline => builder.offline(),
            Reach::Online => builder.mdns(start.mdns).bootstrap(addresses(&start.config.bootstrap)?),
        };
        if !start.config.listen.is_empty() {
            builder = builder.listen(addresses(&start.config.listen)?);
        }
        if let Some((file, options)) = &start.journal {
            builder = builder.journal(file, *options);
        }
        let peer = builder.start().await.map_err(|error| self.explain(error))?;
        self.protect_store()?;
        Ok(peer)
    }

    /// The store holds the device's secret key: nobody else may read it.
    fn protect_store(&self) -> Result<(), Failure> {
        let store = self.store();
        fs::set_permissions(&store, Permissions::from_mode(OWNER_FILE))
            .map_err(|cause| Failure::while_doing(format!("protecting {}", store.display()), cause))
    }

    fn explain(&self, error: reknit::Error) -> Failure {
        match error {
            reknit::Error::StoreInUse { .. } => Failure::new(
                Exit::StoreInUse,
                format!(
                    "another process has {} open and does not answer at {}: wait for it or end it \
                     (`reknit doctor` says who it is)",
                    self.store().display(),
                    self.socket().display()
                ),
            ),
            error => error.into(),
        }
    }
}

/// Reads addresses from the configuration or the command line.
pub(crate) fn addresses(texts: &[String]) -> Result<Vec<Multiaddr>, Failure> {
    texts.iter().map(|text| address(text)).collect()
}

fn address(text: &str) -> Result<Multiaddr, Failure> {
    text.parse().map_err(|cause| {
        Failure::usage(format!(
            "{text:?} is not an address ({cause}): write one like /ip4/192.0.2.7/udp/4001/quic-v1"
        ))
    })
}

fn data_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
}

/// Permissions of the directory: all to its owner.
pub(crate) const OWNER_DIR: u32 = 0o700;
/// Permissions of what lies in it.
pub(crate) const OWNER_FILE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_without_a_peer_says_how_to_begin() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(Some(dir.path().join("deep/home"))).unwrap();
        let failure = home.must_exist().unwrap_err();
        assert_eq!(failure.exit, Exit::NotFound);
        assert!(failure.message.contains("reknit init"));
    }

    #[test]
    fn a_home_that_others_may_use_becomes_the_owners_or_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let open = dir.path().join("home");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        let home = Home::find(Some(open.clone())).unwrap();
        home.create_dir().unwrap();
        assert_eq!(mode(&open), OWNER_DIR);
        fs::write(open.join("letter"), "").unwrap();
        home.create_dir().unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        let failure = home.create_dir().unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.message.contains("chmod 700"), "{failure}");
        assert_eq!(mode(&open), 0o755);
    }

    #[test]
    fn a_configuration_reads_back_and_a_typing_error_in_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(Some(dir.path().join("home"))).unwrap();
        home.create_dir().unwrap();
        assert_eq!(fs::metadata(home.dir()).unwrap().permissions().mode() & 0o777, OWNER_DIR);
        assert_eq!(home.config().unwrap(), Config::default());
        let config = Config { device_name: "laptop".into(), ..Config::default() };
        home.write_config(&config).unwrap();
        assert_eq!(home.config().unwrap(), config);
        fs::write(home.config_file(), r#"{"devicename": "x"}"#).unwrap();
        assert!(home.config().unwrap_err().message.contains("devicename"));
    }

    #[test]
    fn a_wrong_address_is_shown_a_right_one() {
        let failure = addresses(&["localhost:80".to_owned()]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("quic-v1"));
    }
}
