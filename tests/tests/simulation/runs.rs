//! Many seeds, of a driver that does as asked; and of every careless one.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::variant::Variant;
use crate::world::{Counts, World};

/// What was seen in all worlds together.
#[derive(Debug, Default)]
struct Total {
    steps: u64,
    most: u64,
    counts: Counts,
}

fn add(into: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (name, count) in from {
        *into.entry(name.clone()).or_default() += count;
    }
}

impl Total {
    fn add(&mut self, world: &World) {
        self.steps += world.steps;
        self.most = self.most.max(world.steps);
        let (all, one) = (&mut self.counts, &world.ctx.counts);
        all.records += one.records;
        all.extents += one.extents;
        all.garbled += one.garbled;
        all.resumed += one.resumed;
        all.doubted += one.doubted;
        all.connections += one.connections;
        add(&mut all.faults, &one.faults);
        all.failed_calls += one.failed_calls;
        add(&mut all.codes, &one.codes);
        add(&mut all.outcomes, &one.outcomes);
        for (pair, count) in &one.phases {
            *all.phases.entry(pair.clone()).or_default() += count;
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Runs these seeds; every law must hold in each.
fn hold(seeds: std::ops::Range<u64>) -> Total {
    let begin = Instant::now();
    let mut total = Total::default();
    let count = seeds.end - seeds.start;
    for seed in seeds {
        let mut world = World::new(seed, Variant::Faithful, false);
        if let Some(law) = world.live() {
            panic!("broken: {law}; SIM_SEED={seed} shows how");
        }
        total.add(&world);
    }
    let Counts { phases, .. } = &total.counts;
    println!("{count} seeds, {} steps, at most {}", total.steps, total.most);
    println!("took {:?}, {} pairs of phases", begin.elapsed(), phases.len());
    println!("{:#?}", Counts { phases: BTreeMap::new(), ..total.counts.clone() });
    total
}

#[test]
fn every_law_holds_in_every_world() {
    if let Some(seed) = number("SIM_SEED") {
        let mut world = World::new(seed, Variant::Faithful, true);
        let broken = world.live();
        assert_eq!(broken, None, "seed {seed}");
        return;
    }
    let total = hold(0..number("SIM_SEEDS").unwrap_or(1000));
    // A law holds easily in worlds in which nothing happens.
    for fault in [
        "Kill",
        "DieInCall",
        "PowerOff",
        "Cut",
        "Vanish",
        "Stall",
        "Flip",
        "FailSync",
        "DiskFull",
        "StartFails",
        "StartUnknown",
        "Back",
        "Foreign",
        "Gone",
    ] {
        assert!(total.counts.faults.contains_key(fault), "{fault}");
    }
    assert!(total.counts.resumed > 0 && total.counts.doubted > 0 && total.counts.garbled > 0);
}

#[test]
#[ignore = "takes minutes"]
fn every_law_holds_in_ten_thousand_worlds() {
    hold(0..10_000);
}

#[test]
fn every_careless_driver_is_found() {
    for variant in Variant::CARELESS {
        let found = (0..50).find_map(|seed| {
            let law = World::new(seed, variant, false).live()?;
            Some((seed, law))
        });
        let (seed, law) = found.unwrap_or_else(|| panic!("{variant:?} was not found"));
        println!("{variant:?}: seed {seed}: {law}");
    }
}

#[test]
fn a_seed_is_one_world() {
    for seed in 0..10 {
        let worlds = [(); 2].map(|()| {
            let mut world = World::new(seed, Variant::Faithful, false);
            (world.live(), world.steps, world.ctx.now, world.ctx.counts.records)
        });
        assert_eq!(worlds[0], worlds[1]);
    }
}
