//! QEMU with a stopped guest whose RAM is the RAM file: what it takes to save and to load it.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::cost::Cost;
use super::files::Files;

/// The program.
pub(super) const QEMU: &str = "qemu-system-x86_64";

/// More than any storage takes, in bytes a second.
const BANDWIDTH: u64 = 1 << 37;

/// Between two questions whether it is done.
const PAUSE: Duration = Duration::from_millis(1);

/// Until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port of this machine that nothing listens at.
///
/// # Errors
/// If there is none.
pub(super) fn port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

struct Guest {
    process: Child,
    answers: BufReader<UnixStream>,
}

/// Saves the RAM file as that of a stopped guest. It is mapped and touched before, as the RAM of a
/// guest that ran is.
///
/// # Errors
/// A QEMU that does not do it.
pub(super) fn save(files: &Files, uri: &str) -> anyhow::Result<Cost> {
    let memory = format!("mem-path={},share=off,prealloc=on", files.ram().display());
    let mut guest = Guest::start(files, "qmp", &format!("memory-backend-file,{memory}"), &[])?;
    guest.ask("migrate-set-parameters", &json!({ "max-bandwidth": BANDWIDTH }))?;
    guest.until_done("migrate", uri)
}

/// Moves it to a second QEMU, over TCP on this machine; through so many channels, if any are named.
///
/// # Errors
/// A QEMU that does not do it.
pub(super) fn move_over(files: &Files, channels: &str) -> anyhow::Result<Cost> {
    let uri = format!("tcp:127.0.0.1:{}", port()?);
    let memory = format!("mem-path={},share=off,prealloc=on", files.ram().display());
    let mut guest = Guest::start(files, "qmp", &format!("memory-backend-file,{memory}"), &[])?;
    let more = ["-incoming", "defer"];
    let mut other = Guest::start(files, "qmp.to", "memory-backend-ram", &more)?;
    guest.ask("migrate-set-parameters", &json!({ "max-bandwidth": BANDWIDTH }))?;
    if let Ok(channels) = channels.parse::<u8>() {
        for side in [&mut guest, &mut other] {
            let capability = json!({ "capability": "multifd", "state": true });
            let all = json!({ "capabilities": [capability] });
            side.ask("migrate-set-capabilities", &all)?;
            side.ask("migrate-set-parameters", &json!({ "multifd-channels": channels }))?;
        }
    }
    other.ask("migrate-incoming", &json!({ "uri": uri }))?;
    let before = other.processors()?;
    let cost = guest.until_done("migrate", &uri)?;
    let processors = cost.processors + other.processors()?.saturating_sub(before);
    Ok(Cost { processors, ..cost })
}

/// Loads what was saved, into fresh memory.
///
/// # Errors
/// A QEMU that does not do it.
pub(super) fn load(files: &Files, uri: &str) -> anyhow::Result<Cost> {
    let guest = Guest::start(files, "qmp", "memory-backend-ram", &["-incoming", "defer"])?;
    guest.until_done("migrate-incoming", uri)
}

impl Guest {
    fn start(files: &Files, qmp: &str, memory: &str, more: &[&str]) -> anyhow::Result<Self> {
        let socket = files.path(qmp);
        let _ = fs::remove_file(&socket);
        let size = files.size >> 20;
        let mut process = Command::new(QEMU)
            .args(["-S", "-machine", "q35,accel=tcg,memory-backend=mem", "-cpu", "max"])
            .args(["-m", &format!("{size}M"), "-object"])
            .arg(format!("{memory},id=mem,size={size}M"))
            .args(["-nodefaults", "-nographic", "-serial", "none", "-monitor", "none", "-qmp"])
            .arg(
                [OsString::from("unix:"), socket.clone().into(), ",server=on,wait=off".into()]
                    .into_iter()
                    .collect::<OsString>(),
            )
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let begin = Instant::now();
        let stream = loop {
            if let Ok(stream) = UnixStream::connect(&socket) {
                break stream;
            }
            if process.try_wait()?.is_some() || begin.elapsed() > PATIENCE {
                let _ = process.kill();
                anyhow::bail!("{QEMU} did not start");
            }
            sleep(PAUSE);
        };
        let mut guest = Self { process, answers: BufReader::new(stream) };
        guest.answer()?;
        guest.ask("qmp_capabilities", &json!({}))?;
        Ok(guest)
    }

    fn answer(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("QEMU said {line:?}"))
    }

    fn ask(&mut self, command: &str, arguments: &Value) -> anyhow::Result<Value> {
        let words = json!({ "execute": command, "arguments": arguments });
        self.answers.get_mut().write_all(format!("{words}\n").as_bytes())?;
        loop {
            let answer = self.answer()?;
            if let Some(error) = answer.get("error") {
                anyhow::bail!("{command}: {error}");
            }
            if let Some(result) = answer.get("return") {
                return Ok(result.clone());
            }
        }
    }

    fn until_done(mut self, command: &str, uri: &str) -> anyhow::Result<Cost> {
        let before = self.processors()?;
        let begin = Instant::now();
        self.ask(command, &json!({ "uri": uri }))?;
        loop {
            let state = self.ask("query-migrate", &json!({}))?;
            match state.get("status").and_then(Value::as_str) {
                Some("completed") => break,
                Some("failed" | "cancelled") => anyhow::bail!("{command} {uri}: {state}"),
                _ => sleep(PAUSE),
            }
        }
        let time = begin.elapsed();
        let processors = self.processors()?.saturating_sub(before);
        // What is resident is mostly the guest's.
        Ok(Cost { time, processors, memory: None })
    }

    /// What the process, and those that it has waited for, have taken so far.
    fn processors(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("no fields")?;
        let ticks = fields.split_whitespace().skip(11).take(4).map(str::parse::<u64>);
        let ticks = ticks.sum::<Result<u64, _>>()?;
        Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where QEMU is to write or read.
pub(super) fn file(path: &Path) -> String {
    format!("file:{}", path.display())
}
