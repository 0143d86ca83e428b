//! The manual page, completions and help.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::world::World;

#[test]
fn the_manual_page_is_clean_and_names_every_command() {
    let world = World::small();
    let page = world.run("man");
    assert_eq!(page.code(), Some(0));
    for command in ["send", "recv", "plan", "status", "resolve"] {
        assert!(page.stdout.contains(&format!(".Cm {command}\n")), "{command}");
    }
    let mut mandoc = Command::new("mandoc");
    mandoc.args(["-T", "lint", "-W", "warning"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = mandoc.spawn() else {
        eprintln!("skipped: no mandoc");
        return;
    };
    child.stdin.take().unwrap().write_all(page.stdout.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn help_and_completions_are_there_and_mistakes_are_trouble() {
    let world = World::small();
    for command in ["send", "recv", "plan", "status", "resolve"] {
        let help = world.run(&format!("{command} --help"));
        assert_eq!(help.code(), Some(0));
        assert!(help.stdout.contains("Exit status:"), "{command}");
    }
    let script = world.run("completions bash");
    assert!(script.stdout.contains("_migrate"), "{script:?}");
    for line in ["", "send vm.ckp", "send vm.ckp host:/vm", "recv d --listen d", "nonsense"] {
        let ended = world.run(line);
        assert_eq!(ended.code(), Some(2), "{line}: {ended:?}");
        assert!(ended.stderr.starts_with("migrate: error: "), "{line}: {ended:?}");
    }
}
