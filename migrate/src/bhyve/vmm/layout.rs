//! Which runs of a guest's address space are its memory.

use std::io;

use snapfmt::memory::map::{MemoryMap, Segment};

use super::abi::VmMemmap;

/// Runs that are looked at: above what any vmm allows, so that one that never ends does.
const RUNS: usize = 256;

/// What a kernel says of a VM's address space; the device, or what a test puts in its place.
pub trait Walk {
    /// The next run at or above an address; none after the last.
    ///
    /// # Errors
    ///
    /// It cannot be asked.
    fn next(&self, gpa: u64) -> io::Result<Option<VmMemmap>>;

    /// Whether a segment is system memory, which has no name, and not a ROM or a framebuffer.
    ///
    /// # Errors
    ///
    /// It cannot be asked.
    fn is_system_memory(&self, segid: i32) -> io::Result<bool>;
}

/// Why the address space of a guest makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadLayout {
    /// The kernel cannot be asked.
    #[error("asking vmm for the guest's memory: {0}")]
    Io(#[from] io::Error),
    /// A run lies before the address that was asked for, or ends nowhere.
    #[error("vmm says that {len:#x} bytes of memory lie at {gpa:#x}")]
    Run {
        /// Where.
        gpa: u64,
        /// Bytes.
        len: u64,
    },
    /// There are more runs than a guest can have.
    #[error("vmm names more than {RUNS} runs of memory")]
    TooMany,
    /// There is no memory, or it is not such as a guest can have.
    #[error("the guest's memory: {0}")]
    Map(String),
}

/// Where a guest has memory.
#[derive(Debug)]
pub struct Layout {
    /// The runs as they can be mapped, ascending. They may touch.
    pub runs: Vec<Segment>,
    /// The same, with those that touch made one.
    pub map: MemoryMap,
}

impl Layout {
    /// Asks a kernel.
    ///
    /// # Errors
    ///
    /// See [`BadLayout`].
    pub fn of(kernel: &impl Walk) -> Result<Self, BadLayout> {
        let mut runs: Vec<Segment> = Vec::new();
        let (mut at, mut seen) = (0, 0);
        while let Some(run) = kernel.next(at)? {
            let bad = BadLayout::Run { gpa: run.gpa, len: run.len };
            let end = run.gpa.checked_add(run.len).filter(|end| run.gpa >= at && *end > run.gpa);
            let Some(end) = end else { return Err(bad) };
            seen += 1;
            if seen > RUNS {
                return Err(BadLayout::TooMany);
            }
            if kernel.is_system_memory(run.segid)? {
                runs.push(Segment { gpa: run.gpa, len: run.len });
            }
            at = end;
        }
        let mut segments: Vec<Segment> = Vec::new();
        for run in &runs {
            match segments.last_mut() {
                // One segment of memory in several memory domains of the host.
                Some(last) if last.end() == run.gpa => last.len = last.len.saturating_add(run.len),
                _ => segments.push(*run),
            }
        }
        let map = MemoryMap::new(segments);
        Ok(Self { runs, map: map.map_err(|fault| BadLayout::Map(fault.to_string()))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs with their segments; those of segment 0 and 3 are memory.
    struct Kernel(Vec<(u64, u64, i32)>);

    impl Walk for Kernel {
        fn next(&self, gpa: u64) -> io::Result<Option<VmMemmap>> {
            let found = self.0.iter().find(|(at, ..)| *at >= gpa || gpa == u64::MAX >> 8);
            Ok(found.map(|&(gpa, len, segid)| VmMemmap { gpa, len, segid, ..VmMemmap::default() }))
        }

        fn is_system_memory(&self, segid: i32) -> io::Result<bool> {
            match segid {
                9 => Err(io::ErrorKind::PermissionDenied.into()),
                _ => Ok(matches!(segid, 0 | 3)),
            }
        }
    }

    fn layout(runs: &[(u64, u64, i32)]) -> Result<Layout, BadLayout> {
        Layout::of(&Kernel(runs.to_vec()))
    }

    fn pairs(segments: &[Segment]) -> Vec<(u64, u64)> {
        segments.iter().map(|segment| (segment.gpa, segment.len)).collect()
    }

    const GIB: u64 = 1 << 30;
    const ROM: (u64, u64, i32) = (4 * GIB - (2 << 20), 2 << 20, 1);

    #[test]
    fn memory_lies_below_3_and_above_4_gib_and_the_rom_between_is_none() {
        let found = layout(&[(0, 3 * GIB, 0), ROM, (4 * GIB, GIB, 0)]).unwrap();
        assert_eq!(pairs(found.map.segments()), [(0, 3 * GIB), (4 * GIB, GIB)]);
        assert_eq!(pairs(&found.runs), pairs(found.map.segments()));
    }

    #[test]
    fn runs_that_touch_are_mapped_apart_and_are_one_memory() {
        let found = layout(&[(0, GIB, 0), (GIB, GIB, 3)]).unwrap();
        assert_eq!(pairs(found.map.segments()), [(0, 2 * GIB)]);
        assert_eq!(pairs(&found.runs), [(0, GIB), (GIB, GIB)]);
    }

    #[test]
    fn a_guest_without_memory_is_none() {
        assert!(matches!(layout(&[]), Err(BadLayout::Map(_))));
        assert!(matches!(layout(&[ROM]), Err(BadLayout::Map(_))));
        assert!(matches!(layout(&[(0, 4095, 0)]), Err(BadLayout::Map(_))));
        assert!(matches!(layout(&[(0, GIB, 9)]), Err(BadLayout::Io(_))));
    }

    #[test]
    fn runs_that_cannot_be_do_not_go_on_for_ever() {
        for run in [(0, 0, 0), (4096, u64::MAX, 0)] {
            assert!(matches!(layout(&[run]), Err(BadLayout::Run { .. })), "{run:?}");
        }
        let many: Vec<_> = (0..300).map(|n| (n * 8192, 4096, 0)).collect();
        assert!(matches!(layout(&many), Err(BadLayout::TooMany)));
        let back = Kernel(vec![(0, u64::MAX >> 8, 0)]);
        assert!(matches!(Layout::of(&back), Err(BadLayout::Run { gpa: 0, .. })), "went back");
    }
}
