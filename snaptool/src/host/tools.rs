//! Programs of FreeBSD's base system that tell what only `unsafe` code could ask for.

use std::process::{Command, Stdio};

/// The value of a sysctl, or why there is none.
pub(super) fn sysctl(name: &str) -> Result<String, String> {
    run("/sbin/sysctl", &["-n", name])
}

/// An MSR of the first CPU, or why it cannot be read.
pub(super) fn cpucontrol(number: u32) -> Result<u64, String> {
    let number = format!("{number:#x}");
    let words = run("/usr/sbin/cpucontrol", &["-m", &number, "/dev/cpuctl0"])?;
    msr(&words).ok_or_else(|| format!("cpucontrol answered {words:?}"))
}

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(words(&output.stdout));
    }
    let why = words(&output.stderr);
    Err(if why.is_empty() { format!("{program}: {}", output.status) } else { why })
}

/// The value in `MSR 0x480: 0x00da0400 0x00000010`: the high half comes first.
fn msr(words: &str) -> Option<u64> {
    let (_, halves) = words.strip_prefix("MSR ")?.split_once(": ")?;
    let (high, low) = halves.split_once(' ')?;
    let half = |digits: &str| u32::from_str_radix(digits.strip_prefix("0x")?, 16).ok();
    Some(u64::from(half(high)?) << 32 | u64::from(half(low)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_msr_is_read_out_of_what_cpucontrol_says() {
        assert_eq!(msr("MSR 0x480: 0x00da0400 0x00000010"), Some(0x00da_0400_0000_0010));
        for words in ["", "MSR 0x480: 0x00da0400", "MSR 0x480: 1 2", "cpuid level 0x0: 0x1 0x2"] {
            assert_eq!(msr(words), None, "{words}");
        }
    }

    #[test]
    fn a_program_that_fails_leaves_a_reason() {
        assert!(run("/nonexistent/program", &[]).unwrap_err().contains("/nonexistent/program"));
        assert!(run("/bin/sh", &["-c", "echo gone >&2; exit 1"]).unwrap_err().contains("gone"));
        assert!(run("/bin/sh", &["-c", "exit 3"]).unwrap_err().contains('3'));
        assert_eq!(run("/bin/sh", &["-c", "echo here"]), Ok("here".to_owned()));
    }
}
