//! The command line, as near to bhyve's as makes sense.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use crate::control::{Control, RUN_DIR};
use crate::machine::{Config, End, Machine};
use crate::state;

/// Runs a small virtual machine whose guest checks itself, until it is suspended.
///
/// Exits as bhyve does: 0 when it was suspended, 1 when it cannot be started, 3 when the guest made
/// an error that it cannot handle, 4 when the machine failed.
#[derive(Debug, Parser)]
#[command(name = "testvm")]
pub struct Args {
    /// Virtual CPUs.
    #[arg(short, default_value_t = 1)]
    cpus: u32,
    /// Memory in MiB.
    #[arg(short, default_value_t = 64)]
    memory: u64,
    /// Goes on from the three files of that name, which tell virtual CPUs and memory.
    #[arg(short, value_name = "BASE")]
    restore: Option<PathBuf>,
    /// The file that the memory of the guest is in, which others may map; else one without a name.
    #[arg(long, value_name = "FILE")]
    ram: Option<PathBuf>,
    /// The folder of the files that the serial ports append to, com1 to com4.
    #[arg(long, value_name = "DIR")]
    serial: Option<PathBuf>,
    /// The folder of the control socket.
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    run_dir: PathBuf,
    /// Bytes a second that the guest dirties; else as many as it can.
    #[arg(long, value_name = "BYTES")]
    rate: Option<u64>,
    /// Answers only what a stock bhyve does: no primitives.
    #[arg(long)]
    stock: bool,
    /// The name of the virtual machine.
    name: String,
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(End::Suspended | End::Stopped) => ExitCode::SUCCESS,
        Ok(End::TripleFault) => {
            eprintln!("testvm: the guest made an error that it cannot handle");
            ExitCode::from(3)
        }
        Ok(End::Failed(why)) => {
            eprintln!("testvm: {why}");
            ExitCode::from(4)
        }
        Err(error) => {
            eprintln!("testvm: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn run(args: &Args) -> anyhow::Result<End> {
    let config = Config {
        ncpus: args.cpus,
        memory: args.memory << 20,
        ram: args.ram.clone(),
        serial: args.serial.clone(),
        rate: args.rate,
    };
    let machine = match &args.restore {
        None => {
            let machine = Machine::new(&config).context("the machine cannot be made")?;
            machine.boot().context("the guest cannot be started")?;
            machine
        }
        Some(base) => {
            let (machine, _) =
                state::load(base, &config).context("the state cannot be restored")?;
            machine
        }
    };
    // As bhyve does: who can connect knows that all of the state was taken.
    let control = Control::new(&args.run_dir, &args.name, args.stock)
        .with_context(|| format!("no control socket in {}", args.run_dir.display()))?;
    machine.resume();
    std::thread::scope(|scope| {
        scope.spawn(|| control.serve(&machine));
        let end = machine.wait();
        control.close();
        Ok(end)
    })
}
