//! The node's key file: 32 secret bytes that only the owner may read.

use rand::TryRng;
use rand::rngs::SysRng;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why there is no key.
#[derive(Debug, Error)]
pub(crate) enum KeyError {
    #[error("cannot use the key file {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{path} holds {bytes} bytes where a key has {KEY_BYTES}: name another file, or remove it to get a new key"
    )]
    Size { path: PathBuf, bytes: usize },
    #[error("{path} can be read by others (mode {mode:o}): run `chmod 600` on it")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the system gives no random bytes: {0}")]
    Chance(String),
}

/// The key in the file, which is made on first use.
pub(crate) fn load_or_create(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    match load(path) {
        Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => create(path),
        loaded => loaded,
    }
}

fn load(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    let failed = |source| KeyError::Io { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(failed)?);
    let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice());
    key.map(Zeroizing::new).map_err(|_| KeyError::Size { path: path.to_owned(), bytes: bytes.len() })
}

/// Makes the file whole or not at all, and never over another one.
fn create(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    let failed = |source| KeyError::Io { path: path.to_owned(), source };
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    SysRng.try_fill_bytes(key.as_mut()).map_err(|error| KeyError::Chance(error.to_string()))?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
    let written = file.write_all(key.as_ref()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft).map_err(failed)?;
    linked.map_err(failed)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok(key)
}

const KEY_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_made_once_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path).unwrap(), made);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn exposed_or_torn_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load_or_create(&path), Err(KeyError::Exposed { mode: 0o644, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(matches!(load_or_create(&path), Err(KeyError::Size { bytes: 5, .. })));
    }

    #[test]
    fn missing_directory_is_an_error_not_a_new_key() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(load_or_create(&directory.path().join("no/key")), Err(KeyError::Io { .. })));
    }
}
