//! `migrate status`: where a migration stands.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use snaptool::exit::{self, Answer, Trouble};
use snaptool::signal::Stop;
use snaptool::text;

use super::PRODUCER;
use super::help;
use super::options::{Reach, Through, connect};
use super::send::run_until_stopped;
use super::show::{How, Shown};
use super::side::{Machine, Place};
use super::words::{Side, answer, print};
use crate::core::{Outcome, Source as Asking, SourceConfig, Task};
use crate::driver::{Source, SourceSetup};
use crate::facts::compare;
use crate::stream::message::Status;
use crate::transport::{self, Dest, Remote};

/// Shows where a migration stands, and what a person has to decide.
///
/// PLACE is a directory that a VM arrives in, what is sent, or where `migrate recv` is at work, as
/// `ssh://host/DIR`, `unix:PATH` and `tcp://HOST:PORT`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = help::STATUS)]
pub struct Args {
    /// Where to look.
    #[arg(value_name = "PLACE")]
    place: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    through: Through,
}

/// Runs the command.
///
/// # Errors
/// What keeps it from an answer.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Answer> {
    // What begins like a URL is one, or wrong; anything else is a path.
    let schemes = ["ssh://", "tcp://", "unix:"];
    if !schemes.iter().any(|scheme| args.place.starts_with(scheme)) {
        return here(Path::new(&args.place), args.json);
    }
    let dest = args.place.parse().map_err(|error| anyhow::anyhow!("{}: {error}", args.place))?;
    if let Dest::Ssh(remote) = &dest {
        return there(remote, args);
    }
    let (status, ended) = match ask(&dest, &args.reach, &args.through, stop)? {
        (Some(status), _) => (status, None),
        (None, ended) => (nothing(), Some(ended)),
    };
    if let Some(ended) = ended {
        return answer(ended, Side::Asking(&args.place), args.reach.timeout.0, stop);
    }
    print(&shown(&Row::of(&status), args.json))?;
    Ok(Answer::Yes)
}

fn nothing() -> Status {
    Status {
        phase: "idle".to_owned(),
        standing: "no".to_owned(),
        vm: None,
        session: None,
        epoch: None,
        content: None,
        question: None,
    }
}

/// Asks a target over a connection.
///
/// # Errors
/// If there is none.
pub(super) fn ask(
    dest: &Dest,
    reach: &Reach,
    through: &Through,
    stop: &Stop,
) -> anyhow::Result<(Option<Status>, crate::driver::Ended)> {
    let timeout = reach.timeout.0;
    let core = Asking::new(SourceConfig {
        task: Task::Status,
        producer: PRODUCER.to_owned(),
        timeout,
        judge: compare,
    });
    let setup = SourceSetup {
        origin: None,
        journal: None,
        note: None,
        resume: None,
        decision: None,
        limit: None,
        timeout,
    };
    let mut shown = Shown::new("status", String::new(), How::None, true);
    let mut driver = Source::new(core, setup, &mut shown);
    let time = format!("{}ms", timeout.as_millis());
    let mut words = vec!["recv", "--existing", "--timeout", time.as_str()];
    if let Dest::Ssh(remote) = dest {
        words.extend(["--", remote.path.as_str()]);
    }
    let connection = connect(dest, reach, through, &words)?;
    let ended = run_until_stopped(&mut driver, stop, |driver| driver.run(connection))?;
    drop(driver);
    let status = shown.status.take().filter(|_| ended.outcome == Outcome::Done);
    Ok((status, ended))
}

/// Runs the same command at the other side of ssh: nothing has to listen there.
fn there(remote: &Remote, args: &Args) -> anyhow::Result<Answer> {
    let mut words = vec!["status"];
    if args.json {
        words.push("--json");
    }
    words.extend(["--", remote.path.as_str()]);
    let mut command = transport::command(&args.through.ssh(), remote, &words);
    command.stdin(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status();
    let status = status.map_err(|error| anyhow::anyhow!("cannot run {name}: {error}"))?;
    match status.code() {
        Some(0) => Ok(Answer::Yes),
        Some(1) => Ok(Answer::No),
        _ => Err(Trouble::new(format!("{name}: {status}")).into()),
    }
}

/// Reads a journal here.
fn here(path: &Path, json: bool) -> anyhow::Result<Answer> {
    let place = Place::named(path);
    let machine = Machine::replay(&place.look()?)?.map(|(machine, _)| machine);
    let note = place.note()?;
    if machine.is_none() && note.is_none() {
        let shown = text::path(path);
        exit::report(&Trouble::new(format!("{shown}: there is nothing of a migration")).into());
        return Ok(Answer::No);
    }
    let noted = note.as_ref().and_then(|note| note.session);
    let ours = machine
        .as_ref()
        .filter(|it| noted.is_none_or(|(session, _)| session == it.identity().session));
    let source = ours.map_or_else(
        || note.as_ref().is_some_and(|note| note.peer.is_some()),
        |machine| machine.names().0 == "source",
    );
    let role = if source { "source" } else { "target" };
    let early = match (source, noted) {
        (true, _) => "Begun",
        (false, Some(_)) => "receiving",
        (false, None) => "idle",
    };
    let row = Row {
        role,
        phase: ours.map_or(early, |it| it.names().1).to_owned(),
        standing: match (ours, source) {
            (Some(it), _) => it.standing().name(),
            (None, true) => "owner",
            (None, false) => "no",
        }
        .to_owned(),
        settled: ours.map(Machine::is_settled),
        vm: note.as_ref().map(|note| note.vm.name.clone()),
        session: ours
            .map(|it| it.identity().session.to_string())
            .or_else(|| noted.map(|(session, _)| session.to_string())),
        epoch: ours.map(|it| it.identity().epoch).or_else(|| noted.map(|(_, epoch)| epoch)),
        content: ours.map(|it| it.identity().content.to_string()),
        peer: note.and_then(|note| note.peer),
        question: ours.and_then(Machine::question).map(|question| question.to_string()),
    };
    print(&shown(&row, json))?;
    Ok(Answer::Yes)
}

/// What is shown.
struct Row {
    role: &'static str,
    phase: String,
    standing: String,
    settled: Option<bool>,
    vm: Option<String>,
    session: Option<String>,
    epoch: Option<u64>,
    content: Option<String>,
    peer: Option<String>,
    question: Option<String>,
}

impl Row {
    /// What a peer said: nothing of it is believed to be harmless.
    fn of(status: &Status) -> Self {
        Self {
            role: "target",
            phase: text::escape(&status.phase),
            standing: text::escape(&status.standing),
            settled: None,
            vm: status.vm.clone(),
            session: status.session.map(|session| session.to_string()),
            epoch: status.epoch,
            content: status.content.map(|content| content.to_string()),
            peer: None,
            question: status.question.clone(),
        }
    }
}

fn shown(row: &Row, json: bool) -> String {
    let Row { role, phase, standing, settled, vm, session, epoch, content, peer, question } = row;
    if json {
        let status = json!({
            "role": role, "phase": phase, "owner": standing, "settled": settled, "vm": vm,
            "session": session, "epoch": epoch, "content": content, "peer": peer,
            "question": question,
        });
        return format!("{status:#}\n");
    }
    let vm = vm.as_deref().map(text::escape);
    let peer = peer.as_deref().map(text::one_line);
    let question = question.as_deref().map(text::one_line);
    let settled = settled.map(|it| if it { "yes" } else { "no" }.to_owned());
    let lines = [
        ("side", Some((*role).to_owned())),
        ("phase", Some(phase.clone())),
        ("owner", Some(standing.clone())),
        ("settled", settled),
        ("VM", vm),
        ("session", session.clone()),
        ("epoch", epoch.map(|epoch| epoch.to_string())),
        ("content", content.clone()),
        ("peer", peer),
        ("question", question),
    ];
    let mut out = String::new();
    for (name, value) in lines {
        if let Some(value) = value {
            // Writing to a `String` cannot fail.
            let _ = writeln!(out, "{name:<8} {value}");
        }
    }
    out
}
