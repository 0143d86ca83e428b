//! The page: its sections, a synopsis per command, and lists of options.

use std::fmt;

use clap::{Arg, Command};

use super::escape;
use super::prose::Prose;

/// A manual page of a program with commands, in one piece.
#[derive(Debug)]
pub struct Page {
    /// The program; its name is the page's.
    program: Command,
    /// The section of the manual: 1 for what users run.
    section: u8,
    /// As `November 23, 2026`.
    date: &'static str,
    /// The sections behind the description, in mdoc.
    rest: &'static str,
}

impl Page {
    /// Puts a page together.
    #[must_use]
    pub fn new(mut program: Command, section: u8, date: &'static str, rest: &'static str) -> Self {
        program.build();
        Self { program, section, date, rest }
    }

    fn lines(&self) -> Vec<String> {
        let name = escape::argument(self.program.get_name());
        let about = self.program.get_about().map(ToString::to_string).unwrap_or_default();
        let about = lower_first(about.trim_end_matches('.'));
        let mut out = vec![
            format!(".Dd {}", self.date),
            format!(".Dt {} {}", name.to_uppercase(), self.section),
            ".Os".to_owned(),
            ".Sh NAME".to_owned(),
            format!(".Nm {name}"),
            format!(".Nd {}", escape::text(&about)),
            ".Sh SYNOPSIS".to_owned(),
        ];
        for command in self.program.get_subcommands() {
            out.push(".Nm".to_owned());
            out.push(format!(".Cm {}", escape::argument(command.get_name())));
            synopsis(command, &mut out);
        }
        out.extend([".Sh DESCRIPTION".to_owned(), ".Nm".to_owned()]);
        describe(&self.program, |words| lower_first(&words), &mut out);
        for command in self.program.get_subcommands() {
            out.push(format!(".Ss {name} {}", escape::argument(command.get_name())));
            describe(command, |words| words, &mut out);
        }
        out
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        f.write_str(self.rest)
    }
}

fn lower_first(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// What takes part in a command: not hidden, and not `--help` once more for every command.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let top = command.has_subcommands();
    command.get_arguments().filter(move |arg| {
        !arg.is_hide_set() && (top || !matches!(arg.get_id().as_str(), "help" | "version"))
    })
}

fn takes_values(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn value(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<_> = names.iter().map(|name| escape::argument(name)).collect();
    names.join(" ")
}

/// As `Fl o Ar FILE`, `Fl -output Ns = Ns Ar FILE`, `Fl q` or `Ar FILE ...`.
fn forms(arg: &Arg) -> Vec<String> {
    let mut forms = Vec::new();
    let with_value = takes_values(arg);
    if let Some(short) = arg.get_short() {
        let value = if with_value { format!(" Ar {}", value(arg)) } else { String::new() };
        forms.push(format!("Fl {}{value}", escape::text(&short.to_string())));
    }
    if let Some(long) = arg.get_long() {
        let value = if with_value { format!(" Ns = Ns Ar {}", value(arg)) } else { String::new() };
        forms.push(format!("Fl \\-{}{value}", escape::text(long)));
    }
    if arg.is_positional() {
        let many = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        forms.push(format!("Ar {}{}", value(arg), if many { " ..." } else { "" }));
    }
    forms
}

/// The command's line: flags of one letter together, then options, then the rest.
fn synopsis(command: &Command, out: &mut Vec<String>) {
    let flags = arguments(command).filter(|arg| !arg.is_positional() && !takes_values(arg));
    let (mut letters, words): (Vec<_>, Vec<_>) = flags.partition(|arg| arg.get_short().is_some());
    letters.sort_by_key(|arg| arg.get_short());
    if !letters.is_empty() {
        let letters: String = letters.iter().filter_map(|arg| arg.get_short()).collect();
        out.push(format!(".Op Fl {}", escape::text(&letters)));
    }
    let options = arguments(command).filter(|arg| !arg.is_positional() && takes_values(arg));
    for arg in words.into_iter().chain(options).chain(command.get_positionals()) {
        if let Some(form) = forms(arg).first() {
            let optional = if arg.is_required_set() { "" } else { "Op " };
            out.push(format!(".{optional}{form}"));
        }
    }
}

/// What a command does, its arguments, and what its help says behind them.
fn describe(command: &Command, begin: impl Fn(String) -> String, out: &mut Vec<String>) {
    let names = names(command);
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(|words| begin(words.to_string())).unwrap_or_default();
    let about: Vec<_> = about.split("\n\n").map(|words| finished(words.to_owned())).collect();
    Prose { names: &names, out }.paragraphs(&about.join("\n\n"));
    let (first, then): (Vec<_>, Vec<_>) = arguments(command).partition(|arg| arg.is_positional());
    if !first.is_empty() || !then.is_empty() {
        out.push(".Bl -tag -width indent".to_owned());
        for arg in first.into_iter().chain(then) {
            out.push(format!(".It {}", forms(arg).join(" , ")));
            explain(arg, &names, out);
        }
        out.push(".El".to_owned());
    }
    let after = command.get_after_long_help().or_else(|| command.get_after_help());
    // What the program says there leads to this page.
    if let Some(after) = after.filter(|_| !command.has_subcommands()) {
        out.push(".Pp".to_owned());
        Prose { names: &names, out }.paragraphs(&after.to_string());
    }
}

/// The names that texts may use: `FILE|-` names FILE.
fn names(command: &Command) -> Vec<String> {
    let values =
        arguments(command).filter(|arg| takes_values(arg)).filter_map(Arg::get_value_names);
    let names = values.flatten().flat_map(|name| name.split(['|', ':']));
    let is_name = |name: &&str| name.len() > 1 && name.chars().all(|c| c.is_ascii_uppercase());
    names.filter(is_name).map(str::to_owned).collect()
}

fn explain(arg: &Arg, names: &[String], out: &mut Vec<String>) {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut words = help.map(|help| finished(help.to_string())).unwrap_or_default();
    let values = if takes_values(arg) { arg.get_possible_values() } else { Vec::new() };
    let values: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    let explained = values.iter().any(|value| value.get_help().is_some());
    if let ([first @ .., last], false) = (values.as_slice(), explained) {
        let first: Vec<_> = first.iter().map(|value| format!("`{}`", value.get_name())).collect();
        words.push_str(&format!(" One of {} or `{}`.", first.join(", "), last.get_name()));
    }
    if takes_values(arg) && !arg.is_hide_default_value_set() {
        for default in arg.get_default_values() {
            words.push_str(&format!(" The default is `{}`.", default.to_string_lossy()));
        }
    }
    Prose { names, out }.paragraphs(&words);
    if explained {
        out.push(".Bl -tag -width indent -compact".to_owned());
        for value in values {
            out.push(format!(".It Cm {}", escape::argument(value.get_name())));
            let help = value.get_help().map(|help| finished(help.to_string())).unwrap_or_default();
            Prose { names, out }.paragraphs(&help);
        }
        out.push(".El".to_owned());
    }
}

/// clap takes the full stop from texts of one paragraph.
fn finished(mut words: String) -> String {
    if words.ends_with(|c: char| !".:!?".contains(c)) {
        words.push('.');
    }
    words
}
