//! A network of our own: hosts in network namespaces, each on a cable to a switch that can be taken apart.
//!
//! The switch is a namespace too, so nothing but namespace names is visible to the machine. Names carry the process id of the
//! test run: two runs never meet, and what a killed run left behind is swept by the next.

use std::cell::Cell;
use std::io::Write;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Set by CI where namespaces are known to work: then a skip is a failure.
const REQUIRE: &str = "REKNIT_REQUIRE_NETNS";

/// Prefix of our namespaces' names: `rk-<process id>-<lab>-<host>`.
const PREFIX: &str = "rk-";

/// The bridge that carries everybody while nobody is cut off.
const WHOLE: &str = "br0";

/// Where hosts send what is for nobody on the switch. Nothing is there.
const ROUTER: &str = "10.77.0.254";

/// A switch, and hosts on cables to it.
pub(crate) struct Lab {
    name: String,
    hosts: Cell<u8>,
    bridges: Cell<u8>,
    // Two labs at once would share two cores, and times that tests promise would mean nothing.
    _alone: MutexGuard<'static, ()>,
}

/// A host of a [`Lab`]: a namespace with a loopback and one network card, `eth0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    namespace: String,
    switch: String,
    port: String,
    address: String,
}

impl Lab {
    /// A lab with an empty switch; nothing, loudly, where this machine does not permit namespaces.
    pub(crate) fn open() -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(reason) = permitted() {
            skip(reason);
            return None;
        }
        let lab = Self { name: lab_name(), hosts: Cell::new(0), bridges: Cell::new(0), _alone: alone };
        ip(&["netns", "add", &lab.switch()]);
        lab.bridge();
        Some(lab)
    }

    /// A new host, its cable plugged in.
    pub(crate) fn host(&self) -> Host {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        let host = Host {
            namespace: format!("{}-h{number}", self.name),
            switch: self.switch(),
            port: format!("port{number}"),
            address: format!("10.77.0.{number}/24"),
        };
        ip(&["netns", "add", &host.namespace]);
        ip(&["-n", &host.namespace, "link", "set", "lo", "up"]);
        #[rustfmt::skip]
        ip(&["link", "add", &host.port, "netns", &host.switch, "type", "veth", "peer", "name", "eth0", "netns", &host.namespace]);
        host.attach(WHOLE);
        host.plug();
        host.settle_in();
        host
    }

    pub(crate) fn hosts<const N: usize>(&self) -> [Host; N] {
        std::array::from_fn(|_| self.host())
    }

    /// Splits the network in silence: the cables stay up, but the group reaches nobody outside it.
    pub(crate) fn set_apart(&self, group: &[&Host]) {
        let bridge = self.bridge();
        group.iter().for_each(|host| host.attach(&bridge));
    }

    /// Puts hosts that were set apart back with the others.
    pub(crate) fn reunite(&self, group: &[&Host]) {
        group.iter().for_each(|host| host.attach(WHOLE));
    }

    fn switch(&self) -> String {
        format!("{}-sw", self.name)
    }

    fn bridge(&self) -> String {
        let name = format!("br{}", self.bridges.get());
        self.bridges.set(self.bridges.get() + 1);
        #[rustfmt::skip]
        ip(&["-n", &self.switch(), "link", "add", &name, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"]);
        ip(&["-n", &self.switch(), "link", "set", &name, "up"]);
        name
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        remove_namespaces(|name| name.starts_with(&format!("{}-", self.name)));
    }
}

impl Host {
    /// The address of its card, without the prefix length.
    pub(crate) fn address(&self) -> &str {
        self.address.split('/').next().unwrap_or_default()
    }

    /// A command that will run on this host. It is killed when the thread that starts it ends, however that ends.
    pub(crate) fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, "setpriv", "--pdeathsig", "KILL"]).arg(program);
        command
    }

    /// Pulls the cable: the host sees its link go down.
    pub(crate) fn unplug(&self) {
        ip(&["-n", &self.switch, "link", "set", &self.port, "down"]);
    }

    /// Plugs the cable in again.
    pub(crate) fn plug(&self) {
        ip(&["-n", &self.switch, "link", "set", &self.port, "up"]);
        ip(&["-n", &self.namespace, "link", "set", "eth0", "up"]);
    }

    /// Takes the card's address away and gives it another.
    pub(crate) fn move_to(&mut self, address: &str) {
        self.lose_address();
        self.address = format!("{address}/24");
        self.settle_in();
    }

    /// Takes the card's address away, and with it the way to other networks.
    pub(crate) fn lose_address(&self) {
        ip(&["-n", &self.namespace, "addr", "del", &self.address, "dev", "eth0"]);
    }

    /// Forgets the way to all other networks, as on a switch without a router.
    pub(crate) fn lose_router(&self) {
        ip(&["-n", &self.namespace, "route", "del", "default"]);
    }

    /// Takes the host's address, and a way to all other networks through a router that nobody here needs.
    pub(crate) fn settle_in(&self) {
        ip(&["-n", &self.namespace, "addr", "add", &self.address, "dev", "eth0"]);
        ip(&["-n", &self.namespace, "route", "add", "default", "via", ROUTER]);
    }

    /// Drops every multicast packet at the switch's port, as many a guest network does.
    pub(crate) fn lose_multicast(&self) {
        ip(&["-n", &self.namespace, "link", "set", "eth0", "multicast", "off"]);
        ip(&["-n", &self.switch, "link", "set", &self.port, "type", "bridge_slave", "mcast_flood", "off"]);
    }

    /// Lets no more than `rate` (as `tc` writes it, such as `16mbit`) leave the host. False if this kernel cannot.
    pub(crate) fn slow_down_to(&self, rate: &str) -> bool {
        self.tc(&["add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "64kb", "latency", "200ms"])
    }

    /// Ends [`Self::slow_down_to`].
    pub(crate) fn full_speed(&self) {
        assert!(self.tc(&["del", "dev", "eth0", "root"]), "a queue that was added can be removed");
    }

    fn tc(&self, arguments: &[&str]) -> bool {
        let mut tc = Command::new("tc");
        tc.args(["-n", &self.namespace, "qdisc"]).args(arguments);
        tc.output().is_ok_and(|output| output.status.success())
    }

    fn attach(&self, bridge: &str) {
        ip(&["-n", &self.switch, "link", "set", &self.port, "master", bridge]);
    }
}

/// Says on the terminal, past the test runner's capture, that a test did not run and why.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os(REQUIRE).is_none(), "{REQUIRE} is set, yet a test cannot run here: {reason}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(std::io::stderr(), "SKIPPED {test}: {reason}").expect("stderr takes text");
}

fn lab_name() -> String {
    static LABS: Mutex<u32> = Mutex::new(0);
    let mut labs = LABS.lock().unwrap_or_else(PoisonError::into_inner);
    *labs += 1;
    format!("{PREFIX}{}-{labs}", std::process::id())
}

/// Whether this process may make namespaces; asked once, after sweeping what killed runs left.
fn permitted() -> Result<(), &'static str> {
    static ANSWER: OnceLock<Result<(), &'static str>> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let probe = format!("{PREFIX}{}-probe", std::process::id());
        let added = Command::new("ip").args(["netns", "add", &probe]).output();
        match added {
            Err(_) => return Err("there is no `ip` command here; install iproute2"),
            Ok(output) if !output.status.success() => {
                return Err("network namespaces are not permitted here (they need CAP_SYS_ADMIN)");
            }
            Ok(_) => {}
        }
        let veth = ["-n", &probe, "link", "add", "va", "type", "veth", "peer", "name", "vb"];
        let veths = try_ip(&veth).status.success();
        remove_namespaces(|name| name == probe || left_behind(name));
        if veths {
            Ok(())
        } else {
            Err("virtual network cards are not permitted here (they need CAP_NET_ADMIN)")
        }
    })
}

/// Whether the namespace is ours, of a test run that is no more.
fn left_behind(namespace: &str) -> bool {
    let owner = namespace.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
    owner.is_some_and(|id| !std::path::Path::new("/proc").join(id).exists())
}

fn remove_namespaces(unwanted: impl Fn(&str) -> bool) {
    let listed = try_ip(&["netns", "list"]);
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if name.starts_with(PREFIX) && unwanted(name) {
            try_ip(&["netns", "delete", name]);
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = try_ip(arguments);
    assert!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn try_ip(arguments: &[&str]) -> Output {
    Command::new("ip").args(arguments).output().expect("the ip command runs")
}

#[test]
fn hosts_reach_each_other_until_they_are_set_apart_or_unplugged() {
    let Some(lab) = Lab::open() else { return };
    let [left, right] = lab.hosts();
    let reaches = || {
        // The neighbour must answer anew each time, or a remembered answer would pass for a cable.
        try_ip(&["-n", &left.namespace, "neigh", "flush", "all"]);
        let knock = format!("exec 3<>/dev/tcp/{}/9", right.address());
        let output =
            left.command("timeout".as_ref()).args(["1", "bash", "-c", &knock]).output().expect("bash runs");
        // Nobody listens there: to be refused is to have been heard.
        String::from_utf8_lossy(&output.stderr).contains("refused")
    };
    assert!(reaches());
    lab.set_apart(&[&right]);
    assert!(!reaches());
    lab.reunite(&[&right]);
    assert!(reaches());
    right.unplug();
    assert!(!reaches());
    right.plug();
    assert!(reaches());
}
