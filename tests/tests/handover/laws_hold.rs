//! The hand-over's state space: what must hold does, and what breaks it is found.

use std::time::Instant;

use crate::driver::{BROKEN, Driver};
use crate::explore::explore;
use crate::laws::LAWS;
use crate::world::Bounds;
use migrate::handover::Plan;

const SMALL: Bounds = Bounds {
    driver: Driver::Faithful,
    plan: Plan::Start,
    claims: 1,
    records: 6,
    failures: 2,
    lies: false,
};

fn holds(bounds: &Bounds) {
    let begin = Instant::now();
    match explore(bounds) {
        Ok(figures) => {
            println!("{figures}\ntook {:?}", begin.elapsed());
            assert!(figures.resolved > 0);
        }
        Err(broken) => panic!("{broken}"),
    }
}

#[test]
fn every_law_holds_whatever_is_lost_doubled_delayed_or_crashes() {
    println!("laws: {LAWS:#?}");
    holds(&SMALL);
}

#[test]
fn every_broken_driver_is_found() {
    for driver in BROKEN {
        let broken = explore(&Bounds { driver, ..SMALL }).expect_err(&format!("{driver:?}"));
        println!(
            "{driver:?}: {} in {} steps, {} states",
            broken.law,
            broken.steps.len(),
            broken.states
        );
    }
}
