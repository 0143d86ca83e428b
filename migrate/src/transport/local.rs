//! What needs no network: the pipes that we were given, and files.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use super::{Closer, Connection, Input, Output};

/// Stdin and stdout, as ssh gives them to the program at the other end. Without the buffers that
/// `std` has for them: a message would stay in there.
///
/// # Errors
/// If they are closed.
pub fn standard() -> io::Result<Connection> {
    let input: Input = Box::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    Ok(Connection { input, output: stdout()?, closer: Closer::Process })
}

/// Stdout alone, for a copy.
///
/// # Errors
/// If it is closed.
pub fn stdout() -> io::Result<Output> {
    Ok(Box::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
}

/// A file that holds a copy.
///
/// # Errors
/// If it cannot be opened.
pub fn file(path: &Path) -> io::Result<Input> {
    Ok(Box::new(File::open(path)?))
}
