//! A real sshd on the loopback interface.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::kit::wait_until;
use crate::world::{PATIENT, World};

struct Sshd {
    child: Child,
    port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(path: &Path) -> bool {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path);
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// An sshd with keys of its own, and how ssh reaches it; nothing where there is none.
fn sshd(world: &World) -> Option<(Sshd, String)> {
    let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"];
    let program = program.into_iter().find(|path| Path::new(path).exists())?;
    let path = |name: &str| world.bench.path(name);
    if !keygen(&path("host_key")) || !keygen(&path("user_key")) {
        return None;
    }
    fs::copy(path("user_key.pub"), path("authorized")).unwrap();
    // Where Debian's sshd wants an empty directory; only root can make it.
    let _ = fs::create_dir_all("/run/sshd");
    let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().unwrap().port();
    let shown = |name: &str| path(name).display().to_string();
    let config = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nUsePAM no\n\
         StrictModes no\nPasswordAuthentication no\nPidFile none\n",
        shown("host_key"),
        shown("authorized"),
    );
    fs::write(path("sshd.conf"), config).unwrap();
    let mut command = Command::new(program);
    command.args(["-D", "-e", "-f"]).arg(path("sshd.conf")).stdin(Stdio::null());
    command.stderr(fs::File::create(path("sshd.log")).unwrap());
    let mut sshd = Sshd { child: command.spawn().ok()?, port };
    let listens = || fs::read_to_string(path("sshd.log")).unwrap().contains("Server listening");
    let mut ended = false;
    wait_until("sshd listens or ends", || {
        ended = sshd.child.try_wait().unwrap().is_some();
        ended || listens()
    });
    let own = format!(
        "Host *\nIdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\n\
         StrictHostKeyChecking accept-new\nBatchMode yes\nLogLevel ERROR\n",
        shown("user_key"),
        shown("known_hosts"),
    );
    fs::write(path("ssh.conf"), own).unwrap();
    let ssh = format!("ssh -F {}", shown("ssh.conf"));
    let mut probe = Command::new("ssh");
    probe.arg("-F").arg(path("ssh.conf")).args(["-p", &port.to_string(), "127.0.0.1", "true"]);
    let works = !ended && probe.stdin(Stdio::null()).status().is_ok_and(|it| it.success());
    works.then_some((sshd, ssh))
}

#[test]
fn a_fixture_is_handed_over_through_ssh() {
    let world = World::new();
    let Some((sshd, ssh)) = sshd(&world) else {
        eprintln!("skipped: no sshd that can be used");
        return;
    };
    // A name that no shell on the way may touch.
    let dir = "a b'$(touch oops)!\\";
    fs::create_dir(world.bench.path(dir)).unwrap();
    fs::set_permissions(world.bench.path(dir), fs::Permissions::from_mode(0o700)).unwrap();
    let dest = format!("ssh://127.0.0.1:{}{}", sshd.port, world.bench.path(dir).display());
    let remote = env!("CARGO_BIN_EXE_migrate-tested");
    let words = ["--ssh", &ssh, "--remote-command", remote, PATIENT];
    let run = |first: &[&str]| {
        let words = first.iter().copied().chain(words);
        crate::kit::Ended::of(world.command_of(words))
    };
    let planned = run(&["plan", "vm.ckp", &dest]);
    assert_eq!(planned.code(), Some(0), "{planned:?}");
    assert_eq!(fs::read_dir(world.bench.path(dir)).unwrap().count(), 0);
    let sent = run(&["send", "vm.ckp", &dest]);
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    let there = format!("{dir}/vm.ckp");
    world.bench.assert_same_set("vm.ckp", &there);
    let status = run(&["status", &dest, "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((status["phase"].as_str(), status["settled"].as_bool()), (Some("Kept"), Some(true)));
    assert!(!world.bench.path("oops").exists());
    // What ssh cannot run is said.
    let words = ["send", "vm.ckp", &dest, "--ssh", &ssh, "--remote-command", "no-such-migrate"];
    let sent = crate::kit::Ended::of(world.command_of(words));
    assert_eq!(sent.code(), Some(2), "{sent:?}");
    assert!(sent.stderr.contains("ssh ended with exit code 127"), "{sent:?}");
}
