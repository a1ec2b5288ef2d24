//! The scenarios that come with this crate.

/// The text of a scenario that comes with this crate.
pub fn embedded(name: &str) -> Option<&'static str> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

macro_rules! scenarios {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*]
    };
}

/// Names and texts of all of them.
pub const EMBEDDED: &[(&str, &str)] = scenarios![
    "bit_rot",
    "bridge",
    "churn",
    "churn_200",
    "clock_chaos",
    "cold_join_100k",
    "copied_device",
    "crash_storm",
    "disk_full",
    "flapping",
    "forked_author",
    "gossip_blackout",
    "heal_budget",
    "hostile_member",
    "hot_key",
    "long_idle",
    "mesh_1000",
    "one_way",
    "phone_sleep",
    "relay_only",
    "restored_backup",
    "ring",
    "slow_links",
    "split_brain",
    "star",
    "stranger",
    "swarm",
    "torn_writes",
    "two_typists",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scenario;
    use std::path::Path;

    #[test]
    fn every_file_is_embedded_and_every_scenario_has_the_name_of_its_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, names);
        for (name, text) in EMBEDDED {
            let scenario = Scenario::from_toml(name, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(scenario.name, *name);
            assert!(text.starts_with("# "), "{name} begins with a comment that says what it is for");
            assert_eq!(Scenario::from_toml(name, &scenario.to_toml()).unwrap(), scenario, "{name}");
        }
    }
}
