//! Manual pages in mdoc(7), the language of FreeBSD's manuals, from the definitions of the command
//! line.
//!
//! clap has a generator of its own, for man(7): that says how things look, mdoc(7) what they are,
//! which is what `apropos` searches and what FreeBSD asks of its pages.
//!
//! Help texts are plain, and some things in them are known by how they are written: text in
//! backticks, `--options`, `NAMES` of arguments, and other pages, as bhyve(8). Behind the options
//! there may be text with lines that begin with blanks: `0  means` is an item of a list, all others
//! are examples to be shown as they are.

mod escape;
mod page;
mod prose;

pub use page::Page;
