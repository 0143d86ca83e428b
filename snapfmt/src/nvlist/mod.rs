//! FreeBSD libnv's packed name/value lists.
