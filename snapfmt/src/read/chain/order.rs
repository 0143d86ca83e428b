//! Which files make up the chain of a state (§13.6), among those that there are.

use std::collections::HashMap;

use crate::digest::Digest;

/// What of a file matters for that: from its header block and its INDEX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// `content` of its state.
    pub content: Digest,
    /// `content` of its parent's state, if it is a delta.
    pub parent: Option<Digest>,
}

/// The chain: numbers of candidates, the full file first and the newest last.
pub type Found = Vec<usize>;

/// Why there is no chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoChain {
    /// No file has a state that is wanted.
    #[error("no file has the content {content}, which is the parent's of one that is there")]
    Missing {
        /// `content` of the state.
        content: Digest,
        /// The candidate that names it as its parent.
        of: usize,
    },
    /// Deltas lead back to where they began, or on for too long, without a full file.
    #[error("no full file is among the {0} files that were followed")]
    Endless(usize),
}

/// A shortest chain for the candidate with the number `newest`, breadth first from the `content`
/// that it wants: so a full file is taken before a delta of the same state. No file is looked at
/// twice, whatever circle its parents make, and none is its own parent, also where its state did
/// not change.
///
/// # Errors
/// A missing parent, and a search that has no end.
pub fn order(candidates: &[Candidate], newest: usize) -> Result<Found, NoChain> {
    let mut by_content: HashMap<Digest, Vec<usize>> = HashMap::new();
    for (number, candidate) in candidates.iter().enumerate() {
        by_content.entry(candidate.content).or_default().push(number);
    }
    // Each file that was come to, and the number in this list of the delta that led there.
    let mut seen: Vec<(usize, Option<usize>)> = vec![(newest, None)];
    let mut taken = vec![false; candidates.len()];
    let mut missing = None;
    let mut next = 0;
    while let Some(&(number, _)) = seen.get(next) {
        let Some(candidate) = candidates.get(number) else { break };
        let Some(parent) = candidate.parent else { return Ok(back(&seen, next)) };
        let found = by_content.get(&parent).map_or(&[][..], Vec::as_slice);
        if found.is_empty() {
            missing.get_or_insert(NoChain::Missing { content: parent, of: number });
        }
        let full = |number: &&usize| candidates.get(**number).is_some_and(|c| c.parent.is_none());
        for &number in found.iter().find(full).into_iter().chain(found) {
            let mark = taken.get_mut(number).filter(|mark| !**mark && number != newest);
            if let Some(mark) = mark {
                *mark = true;
                seen.push((number, Some(next)));
            }
        }
        next += 1;
    }
    Err(missing.unwrap_or(NoChain::Endless(seen.len())))
}

fn back(seen: &[(usize, Option<usize>)], from: usize) -> Found {
    let mut chain = Vec::new();
    let mut at = Some(from);
    while let Some((number, before)) = at.and_then(|at| seen.get(at)) {
        chain.push(*number);
        at = *before;
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(content: u8, parent: Option<u8>) -> Candidate {
        let digest = |n| Digest::of(&[n]);
        Candidate { content: digest(content), parent: parent.map(digest) }
    }

    #[test]
    fn the_shortest_chain_is_taken_and_a_full_file_before_a_delta() {
        let delta = |content, parent| candidate(content, Some(parent));
        let files = [delta(4, 3), delta(3, 2), candidate(2, None), delta(2, 1), candidate(1, None)];
        assert_eq!(order(&files, 0), Ok(vec![2, 1, 0]));
        assert_eq!(order(&files, 2), Ok(vec![2]));
        let files = [delta(4, 3), delta(3, 2), delta(2, 1), candidate(1, None), candidate(3, None)];
        assert_eq!(order(&files, 0), Ok(vec![4, 0]));
    }

    #[test]
    fn a_missing_parent_is_named_with_the_file_that_needs_it() {
        let files = [candidate(3, Some(2)), candidate(2, Some(1))];
        let content = Digest::of(&[1]);
        assert_eq!(order(&files, 0), Err(NoChain::Missing { content, of: 1 }));
    }

    #[test]
    fn a_circle_of_states_ends_the_search() {
        // A delta that changed nothing is not its own parent.
        assert_eq!(order(&[candidate(1, Some(1)), candidate(1, None)], 0), Ok(vec![1, 0]));
        // The VM returned to a state: its delta to itself is as good as any other.
        let files = [candidate(1, Some(2)), candidate(2, Some(1)), candidate(1, None)];
        assert_eq!(order(&files, 0), Ok(vec![2, 1, 0]));
        assert_eq!(order(&files[..2], 0), Err(NoChain::Endless(2)));
        assert_eq!(order(&[candidate(1, Some(1))], 0), Err(NoChain::Endless(1)));
    }
}
