//! Two hosts and a link between them, on one Linux machine: a network namespace each, joined by a
//! pair of virtual Ethernet devices, whose rate is limited (tc, tbf) and which loses packets at
//! random (nft). The link can be cut when so many bytes have crossed it, and be mended.
//!
//! A namespace lives as long as a process in it that waits for the end of its stdin. That ends with
//! this one, however it ends, so nothing is left behind, and nothing outside is touched.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// For the documentation of networks, and no host's.
const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

/// Where programs of the system are that a person's PATH may lack.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a packet of TCP has around its bytes: Ethernet, IPv4, TCP with time stamps.
const AROUND: u64 = 14 + 20 + 32;

/// How much a packet carries at most.
const SEGMENT: u64 = 1500 - 20 - 32;

/// How the link is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bits in a second, as tc has it; the same in both directions.
    pub rate: u64,
    /// Of 10,000 packets so many are lost, in both directions.
    pub loss: u32,
}

/// Two hosts and the link.
pub struct Link {
    left: Host,
    right: Host,
}

/// One of the two.
pub struct Host {
    device: &'static str,
    address: &'static str,
    keeper: Child,
}

/// What a host has sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes that left the device, with all that is around them.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Segments of TCP that were sent again.
    pub again: u64,
}

impl Sent {
    /// Bytes that programs gave to TCP and that were sent, each once; a little less where packets
    /// were not full.
    #[must_use]
    pub fn payload(self) -> u64 {
        self.bytes.saturating_sub(self.packets * AROUND + self.again * SEGMENT)
    }

    /// What was sent since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            bytes: self.bytes - before.bytes,
            packets: self.packets - before.packets,
            again: self.again - before.again,
        }
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, packets, again } = self;
        write!(f, "{bytes} bytes in {packets} packets, {again} of them again")
    }
}

/// Why there can be no link here.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    let there = |tool: &&str| {
        PATH.split(':')
            .any(|folder| fs::exists(format!("{folder}/{tool}")).is_ok_and(|there| there))
    };
    let tool = ["ip", "tc", "nft", "unshare", "nsenter"].into_iter().find(|tool| !there(tool))?;
    Some(format!("there is no {tool}"))
}

impl Link {
    /// A link; or none, and a line that says why a test is skipped.
    ///
    /// # Panics
    /// If it could be made, and was not.
    #[must_use]
    pub fn or_skip(shape: Shape) -> Option<Self> {
        if let Some(why) = missing() {
            eprintln!("skipped: two hosts in namespaces of the network: {why}");
            return None;
        }
        let [left, right] = [("left", ADDRESSES[0]), ("right", ADDRESSES[1])]
            .map(|(device, address)| Host::new(device, address));
        let (Some(left), Some(right)) = (left, right) else {
            eprintln!("skipped: two hosts in namespaces of the network: they are not permitted");
            return None;
        };
        let pair = "link add left type veth peer name right netns";
        left.must("ip", &format!("{pair} {}", right.keeper.id()), "");
        for host in [&left, &right] {
            let Host { device, address, .. } = host;
            host.must("ip", "link set lo up", "");
            host.must("ip", &format!("address add {address}/24 dev {device}"), "");
            // Rates and losses are of packets, not of the large ones that a system makes of them.
            host.must("ip", &format!("link set {device} gso_max_segs 1 up"), "");
            let rate = shape.rate;
            let queue = format!("root tbf rate {rate}bit burst 16kb latency 50ms");
            host.must("tc", &format!("qdisc add dev {device} {queue}"), "");
            let loss = format!(
                "table inet loss {{\nchain input {{\ntype filter hook input priority 0;\n\
                 iifname \"{device}\" numgen random mod 10000 < {} counter drop\n}}\n}}\n",
                shape.loss
            );
            host.must("nft", "-f -", &loss);
        }
        Some(Self { left, right })
    }

    /// The host at 192.0.2.1, which is meant to send.
    #[must_use]
    pub fn left(&self) -> &Host {
        &self.left
    }

    /// The host at 192.0.2.2.
    #[must_use]
    pub fn right(&self) -> &Host {
        &self.right
    }

    /// Cuts the link: nothing crosses it, and nobody is told.
    pub fn cut(&self) {
        self.left.must("ip", "link set left down", "");
    }

    /// Cuts the link when the left host has sent so many bytes more than before.
    ///
    /// # Panics
    /// If it does not within `patience`.
    pub fn cut_after(&self, bytes: u64, patience: Duration) {
        let before = self.left.sent();
        let begin = Instant::now();
        loop {
            let sent = self.left.sent().since(before);
            if sent.bytes >= bytes {
                self.cut();
                return;
            }
            assert!(begin.elapsed() < patience, "only {sent} within {patience:?}");
            // A hundredth of a second is a hundredth of what 100 Mbit/s carry in one.
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Mends it.
    pub fn mend(&self) {
        self.left.must("ip", "link set left up", "");
    }
}

impl Host {
    /// A namespace; nothing if that is not permitted.
    fn new(device: &'static str, address: &'static str) -> Option<Self> {
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec cat"])
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        // It says so when it is there, or ends.
        let mut line = String::new();
        BufReader::new(keeper.stdout.take()?).read_line(&mut line).ok()?;
        if line.is_empty() {
            keeper.wait().ok()?;
            return None;
        }
        Some(Self { device, address, keeper })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &'static str {
        self.address
    }

    /// A command that runs there.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.env("PATH", PATH);
        command.args(["--target", &self.keeper.id().to_string(), "--net", "--", program]);
        command
    }

    /// Something that a thread does there.
    pub fn thread<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> thread::JoinHandle<R> {
        let network = File::open(format!("/proc/{}/ns/net", self.keeper.id())).unwrap();
        thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(network.as_fd(), kind).unwrap();
            work()
        })
    }

    /// What it has sent.
    #[must_use]
    pub fn sent(&self) -> Sent {
        let file = |name: &str| {
            fs::read_to_string(format!("/proc/{}/net/{name}", self.keeper.id())).unwrap()
        };
        let devices = file("dev");
        let begin = format!("{}:", self.device);
        let line = devices.lines().find_map(|line| line.trim().strip_prefix(&begin));
        let numbers: Vec<u64> =
            line.unwrap().split_whitespace().map(|number| number.parse().unwrap()).collect();
        // Two lines, of names and of numbers.
        let counters = file("snmp");
        let mut tcp = counters.lines().filter_map(|line| line.strip_prefix("Tcp:"));
        let (names, values) = (tcp.next().unwrap(), tcp.next().unwrap());
        let mut both = names.split_whitespace().zip(values.split_whitespace());
        let (_, again) = both.find(|(name, _)| *name == "RetransSegs").unwrap();
        Sent { bytes: numbers[8], packets: numbers[9], again: again.parse().unwrap() }
    }

    /// Whether a program waits there for connections to a port.
    #[must_use]
    pub fn listens(&self, port: u16) -> bool {
        let table = fs::read_to_string(format!("/proc/{}/net/tcp", self.keeper.id())).unwrap();
        let (port, state) = (format!(":{port:04X}"), "0A");
        table.lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.len() > 3 && words[1].ends_with(&port) && words[3] == state
        })
    }

    /// How many packets were lost on their way to it.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let rules = self.must("nft", "list ruleset", "");
        let (_, count) = rules.split_once("counter packets ").unwrap();
        count.split(' ').next().unwrap().parse().unwrap()
    }

    /// Runs a command there that must not fail, and gives what it says.
    fn must(&self, program: &str, words: &str, input: &str) -> String {
        let mut command = self.command(program);
        command.args(words.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {words}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It may be that a command of a test that failed still runs there, and keeps the namespace;
        // this one ends all the same.
        let _ = self.keeper.wait();
    }
}
