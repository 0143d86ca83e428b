//! Marks, and what was written since each of them.

use std::hash::{BuildHasher as _, RandomState};

/// A bit for each page of memory.
type Pages = Vec<u64>;

/// The marks that are known: the latest, and the one before which the last answer told about.
#[derive(Debug)]
pub(super) struct Marks {
    next: u64,
    /// The latest; what was written since is in the kernel's log.
    latest: Option<u64>,
    /// The one before, and what was told of the time between.
    before: Option<(u64, Pages)>,
}

/// A mark that is not known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stale;

impl Marks {
    /// None yet. The first will be random, and leave room for all that follow.
    pub(super) fn new() -> Self {
        let next = RandomState::new().hash_one(std::process::id()) >> 1;
        Self { next, latest: None, before: None }
    }

    /// Forgets all.
    pub(super) fn stop(&mut self) {
        (self.latest, self.before) = (None, None);
    }

    /// Makes a mark, and tells what was written since an earlier one, if that was asked. `take`
    /// empties the log.
    pub(super) fn mark<E>(
        &mut self,
        since: Option<u64>,
        take: impl FnOnce() -> Result<Pages, E>,
    ) -> Result<Result<(u64, Option<Pages>), Stale>, E> {
        let earlier = match (since, self.latest, &self.before) {
            (None, ..) => None,
            (Some(since), Some(latest), _) if since == latest => Some((latest, Vec::new())),
            (Some(since), Some(_), Some((before, told))) if since == *before => {
                Some((since, told.clone()))
            }
            (Some(_), ..) => return Ok(Err(Stale)),
        };
        let log = match take() {
            Ok(log) => log,
            Err(error) => {
                // What it had is lost, perhaps.
                self.stop();
                return Err(error);
            }
        };
        let mark = self.next;
        self.next += 1;
        self.latest = Some(mark);
        self.before = earlier.map(|(since, told)| {
            let told = told.into_iter().chain(std::iter::repeat(0));
            (since, log.iter().zip(told).map(|(new, old)| new | old).collect())
        });
        let told = self.before.as_ref().map(|(_, told)| told.clone());
        Ok(Ok((mark, told)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(
        marks: &mut Marks,
        since: Option<u64>,
        log: u64,
    ) -> Result<(u64, Option<Pages>), Stale> {
        marks.mark(since, || Ok::<_, ()>(vec![log])).unwrap()
    }

    #[test]
    fn a_mark_tells_what_was_written_since_and_a_lost_answer_loses_nothing() {
        let mut marks = Marks::new();
        assert_eq!(mark(&mut marks, Some(1), 1), Err(Stale));
        let (first, told) = mark(&mut marks, None, 1).unwrap();
        assert_eq!(told, None);
        let (second, told) = mark(&mut marks, Some(first), 2).unwrap();
        assert_eq!(told, Some(vec![2]));
        assert!(second > first);
        let (third, told) = mark(&mut marks, Some(first), 4).unwrap();
        assert_eq!(told, Some(vec![6]));
        assert_eq!(mark(&mut marks, Some(second), 8), Err(Stale));
        let (_, told) = mark(&mut marks, Some(third), 8).unwrap();
        assert_eq!(told, Some(vec![8]));
        assert_eq!(mark(&mut marks, Some(first), 8), Err(Stale));
    }

    #[test]
    fn no_mark_is_known_after_a_stop_or_trouble_with_the_log() {
        let mut marks = Marks::new();
        let (first, _) = mark(&mut marks, None, 1).unwrap();
        marks.stop();
        assert_eq!(mark(&mut marks, Some(first), 1), Err(Stale));
        let (second, _) = mark(&mut marks, None, 1).unwrap();
        assert_eq!(marks.mark(Some(second), || Err(())), Err(()));
        assert_eq!(mark(&mut marks, Some(second), 1), Err(Stale));
    }
}
