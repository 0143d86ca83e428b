//! What can go wrong, and what people may want.

use std::time::Duration;

use migrate::handover::{Guest, Input as Ownership, Resolve};
use tests::machine::{BOTH, Who};

use crate::process::Input;
use crate::rng::Rng;
use crate::world::World;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGKILL.
    Kill(Who),
    /// The same, within one of the next calls to the disk.
    DieInCall(Who),
    PowerOff(Who),
    /// Both sides find out at once.
    Cut,
    /// Nobody finds out, but by waiting.
    Vanish,
    Stall(Who),
    Flip(Who),
    FailSync(Who),
    DiskFull,
    StartFails(Who),
    StartUnknown(Who),
    /// A person wants the VM back at the source.
    Back(Who),
    /// A round of another machine is sent.
    Foreign,
    /// The host is gone for good.
    Gone(Who),
}

impl Fault {
    /// One of all, each side alike; a start command that is at work draws some of them to it.
    pub(crate) fn draw(rng: &mut Rng, launching: Option<Who>) -> Self {
        let who = BOTH[rng.index(2)];
        match (launching, rng.below(6)) {
            (Some(who), 0) => return Self::StartFails(who),
            (Some(who), 1) => return Self::StartUnknown(who),
            _ => {}
        }
        match rng.below(26) {
            0..=2 => Self::Kill(who),
            3..=5 => Self::DieInCall(who),
            6..=8 => Self::PowerOff(who),
            9 | 10 => Self::Cut,
            11 => Self::Vanish,
            12 | 13 => Self::Stall(who),
            14 | 15 => Self::Flip(who),
            16..=18 => Self::FailSync(who),
            19 => Self::DiskFull,
            20 => Self::StartFails(who),
            21 => Self::StartUnknown(who),
            22 => Self::Back(who),
            23 | 24 => Self::Foreign,
            _ => Self::Gone(who),
        }
    }

    /// Its name without the side.
    pub(crate) fn name(self) -> String {
        let text = format!("{self:?}");
        text.split('(').next().unwrap_or_default().to_owned()
    }

    /// Whether it could happen.
    pub(crate) fn happens(self, world: &mut World) -> bool {
        // Giving up the copy here is no failure, but a decision for the one there.
        if let Self::StartFails(who) | Self::Back(who) = self
            && world.host(who.other()).dead
        {
            return false;
        }
        match self {
            Self::Kill(who) => world.host(who).process.is_some() && world.kill(who, false),
            Self::DieInCall(who) => {
                let calls = world.ctx.rng.below(6);
                let host = world.host(who);
                host.disk.borrow_mut().dies_in = Some(calls);
                host.process.is_some()
            }
            Self::PowerOff(who) => world.power_off(who),
            Self::Gone(who) => world.gone(who),
            Self::Cut => {
                let World { link, ctx, .. } = world;
                link.as_mut().map(|link| link.cut(&mut ctx.rng)).is_some()
            }
            Self::Vanish => world.link.as_mut().map(crate::link::Link::vanish).is_some(),
            Self::Stall(who) => {
                let until = world.ctx.now + Duration::from_secs(world.ctx.rng.below(50));
                let Some(link) = &mut world.link else { return false };
                let pipe = link.to(who);
                pipe.stalled = pipe.stalled.max(until);
                true
            }
            Self::Flip(who) => {
                let World { link, ctx, .. } = world;
                link.as_mut().is_some_and(|link| link.flip(who, &mut ctx.rng))
            }
            Self::FailSync(who) => {
                let syncs = world.ctx.rng.below(3);
                world.host(who).disk.borrow_mut().fails_sync_in = Some(syncs);
                true
            }
            Self::DiskFull => {
                world.target.disk.borrow_mut().full = true;
                true
            }
            Self::StartFails(who) => {
                let host = world.host(who);
                let fails = std::mem::take(&mut host.guest.launching);
                if fails {
                    world.tell(who, Input::Handover(Ownership::Guest(Guest::NeverRan)));
                }
                fails
            }
            Self::StartUnknown(who) => {
                let launching = world.host(who).guest.launching;
                if launching {
                    world.tell(who, Input::Handover(Ownership::Guest(Guest::Unknown)));
                }
                launching
            }
            Self::Back(who) => world.tell(who, Input::Handover(Ownership::Resolve(Resolve::Back))),
            Self::Foreign => !std::mem::replace(&mut world.ctx.foreign, true),
        }
    }
}
