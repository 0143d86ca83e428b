//! The program `migrate` itself, with points at which a test may kill it: between the steps of each
//! write to its journal. With `MIGRATE_POINTS=FILE` their names go there, and with `MIGRATE_KILL=N`
//! it sends itself SIGKILL at the point with that number.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use migrate::cli;
use migrate::cmd::options::Means;
use tests::points::{Points, Watched};

fn main() -> ExitCode {
    let Some(list) = std::env::var_os("MIGRATE_POINTS") else {
        return cli::main(&Means::default());
    };
    match Points::new(Path::new(&list), "MIGRATE_KILL") {
        Ok(points) => {
            let storage = Arc::new(move |file| Box::new(Watched::new(file, points.clone())) as _);
            cli::main(&Means { storage })
        }
        Err(error) => {
            eprintln!("{}: {error}", list.display());
            ExitCode::from(3)
        }
    }
}
