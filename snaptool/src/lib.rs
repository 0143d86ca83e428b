//! The snapshot toolkit's command line, as a library so that tests can reach its parts.
//!
//! ```text
//! main -> exit::run -> a command -> input, sparse   what it reads
//!                                   front           snapshots from front to back, by threads
//!                                   output          what it publishes, whole or not at all
//!                                   pipeline        threads
//!                                   progress, text  what people see
//!                                   signal          being told to stop
//!                                   mdoc            the command line as a manual page
//! ```
//! These modules, but `front`, know files and terminals and nothing of snapshots; `snapfmt` is the
//! reverse.

pub mod area;
pub mod cli;
pub mod cmd;
pub mod exit;
pub mod front;
mod gate;
pub mod host;
pub mod input;
pub mod links;
pub mod mdoc;
pub mod node;
pub mod opened;
pub mod output;
pub mod pipeline;
pub mod progress;
pub mod ram;
pub mod signal;
pub mod source;
pub mod sparse;
pub mod text;
pub mod three;
pub mod watch;
pub mod whole;
