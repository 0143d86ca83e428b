//! Disks and CD drives.

use super::{NONE, OUTSIDE};
use crate::cases::{AMD, Case, OLD_AMD, case};
use crate::fixture::set;

const AHCI: &str = "ahci";
const OLD: &str = "ahci-hd";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = controllers();
    cases.extend(queues());
    cases
}

fn controllers() -> Vec<Case> {
    let new = |rule, key, value| case(rule, AMD, &[set(AHCI, key, value)]);
    let old = |rule, key, value| case(rule, OLD_AMD, &[set(OLD, key, value)]);
    vec![
        new("ahci-ports", "sc->ports", 33),
        old("ahci-ports", "sc->ports", 0xffff_ffff),
        new("ahci-controller", "sc->cap2", 0),
        new("ahci-controller", "sc->ports", 7),
        old("ahci-controller", "sc->ghc", 0x8000_0004),
        new("ahci-implemented", "sc->pi", 3),
        case("ahci-implemented", OLD_AMD, &[set(OLD, "port->port", 1).nth(1)]),
        new("ahci-flags", "sc->lintr", 2),
        old("ahci-flags", "port->waitforclear", 2),
        case(
            "ahci-lists-in-memory",
            AMD,
            &[
                set(AHCI, "port->cmd_lst", OUTSIDE),
                set(AHCI, "port->clb", OUTSIDE & 0xffff_ffff),
                set(AHCI, "port->clbu", OUTSIDE >> 32),
            ],
        ),
        new("ahci-lists-none", "port->cmd_lst", NONE),
        old("ahci-lists-none", "port->rfis", NONE),
        new("ahci-lists-base", "port->clb", 0x70_0000),
        old("ahci-lists-base", "port->fbu", 1),
        new("ahci-slot", "port->ccs", 32),
        old("ahci-slot", "port->ccs", 0xffff_ffff),
        new("ahci-port-registers", "port->mult_sectors", 256),
        new("ahci-port-registers", "port->ie", 0x100),
        old("ahci-port-registers", "port->cmd", 0x1c01f),
        new("ahci-queue-size", "port->ioqsz", 134),
    ]
}

fn queues() -> Vec<Case> {
    let one = |rule, key, value| case(rule, OLD_AMD, &[set(OLD, key, value)]);
    vec![
        one("ahci-request-index", "idx", 135),
        one("ahci-request-index", "idx", 0x8000_0000),
        one("ahci-request-once", "idx", 2),
        one("ahci-request-slot", "ioreq->slot", 32),
        one("ahci-request-slot", "ioreq->slot", 0xffff_ffff),
        one("ahci-request-command", "ioreq->cfis", OUTSIDE),
        one("ahci-request-command", "ioreq->cfis", NONE),
        one("ahci-request-buffer", "iov->iov_base", OUTSIDE),
        one("ahci-request-buffer", "iov->iov_len", 1 << 40),
        one("ahci-request-flags", "ioreq->readop", 2),
        one("ahci-disk", "bc->bc_magic", 0),
        one("ahci-disk", "bc->bc_sectsz", 0),
        one("ahci-disk-values", "bc->bc_sectsz", 513),
        one("ahci-disk-values", "bc->bc_size", 1 << 63),
        one("ahci-disk-values", "bc->bc_closing", 1),
    ]
}
