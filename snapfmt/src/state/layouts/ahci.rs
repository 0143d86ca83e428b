//! AHCI disks and CD drives: `ahci`, `ahci-hd`, `ahci-cd`.
//!
//! Older trees save requests in flight; newer ones wait until there are none.

use super::super::dsl::*;
use super::super::schema::{Item, Layout, Repeat, Sign, Test};
use super::pci::pci;

const CONTROLLER: &[Item] = &[
    i32("sc->ports").means("ports it has; the record always has 32"),
    u32("sc->cap").bits(),
    u32("sc->ghc").bits().means("global control: bit 1 interrupts, bit 31 AHCI mode"),
    u32("sc->is").bits().means("ports with an interrupt pending"),
    u32("sc->pi").bits().means("ports implemented"),
    u32("sc->vs").bits().sign(Sign::Is(0x1_0300)).means("version of AHCI"),
    u32("sc->ccc_ctl").bits(),
    u32("sc->ccc_pts").bits(),
    u32("sc->em_loc").bits(),
    u32("sc->em_ctl").bits(),
    u32("sc->cap2").bits(),
    u32("sc->bohc").bits(),
    u32("sc->lintr").flag().means("whether it asserts its interrupt pin"),
];

const PORT: &[Item] = &[
    i32("port->atapi").flag().means("a CD drive"),
    i32("port->reset").flag(),
    i32("port->waitforclear").flag(),
    i32("port->mult_sectors"),
    u8("port->xfermode").bits(),
    bytes("port->err_cfis", 20).means("the command that failed"),
    u8("port->sense_key").bits(),
    u8("port->asc").bits(),
    i32("port->ccs").means("command slot in work"),
    u32("port->pending").bits().means("command slots in work"),
    u32("port->clb").bits().means("address of the command list, low"),
    u32("port->clbu").bits().means("address of the command list, high"),
    u32("port->fb").bits().means("address of received FISes, low"),
    u32("port->fbu").bits().means("address of received FISes, high"),
    u32("port->ie").bits(),
    u32("port->cmd").bits(),
    u32("port->unused0").bits(),
    u32("port->tfd").bits(),
    u32("port->sig").bits(),
    u32("port->ssts").bits(),
    u32("port->sctl").bits(),
    u32("port->serr").bits(),
    u32("port->sact").bits(),
    u32("port->ci").bits().means("commands issued"),
    u32("port->sntf").bits(),
    u32("port->fbs").bits(),
    i32("port->ioqsz").means("requests it has room for"),
];

const REQUEST: &[Item] = &[
    gpa("ioreq->cfis").means("the command"),
    u32("ioreq->len"),
    u32("ioreq->done"),
    i32("ioreq->slot"),
    i32("ioreq->more").flag(),
    i32("ioreq->readop").flag(),
];

const BLOCK_REQUEST: &[Item] = &[
    i32("br->br_iovcnt"),
    i64("br->br_offset"),
    i64("br->br_resid"),
    // `BLOCKIF_IOV_MAX` is 128.
    group("iov", Repeat::Of("br->br_iovcnt", 128), &[u64("iov->iov_len"), gpa("iov->iov_base")]),
];

const NONE: u64 = 0xffff_ffff;
const INDEX: Item = i32("idx").means("index of a request; -1 ends the list");

const QUEUES: &[Item] = &[
    // bhyve has 128 requests of a device and a few of its own.
    group("ioreqs", Repeat::Of("port->ioqsz", 1024), REQUEST),
    group("free", Repeat::Until("idx", NONE), &[INDEX]),
    group(
        "busy",
        Repeat::Until("idx", NONE),
        &[INDEX, group("request", Repeat::If(Test::Not("idx", NONE)), BLOCK_REQUEST)],
    ),
    u32("bc->bc_magic").bits().sign(Sign::Is(0xb109_b109)),
    i32("bc->bc_ischr").flag(),
    i32("bc->bc_isgeom").flag(),
    i32("bc->bc_candelete").flag(),
    i32("bc->bc_rdonly").flag(),
    i64("bc->bc_size").means("bytes of the backing file"),
    i32("bc->bc_sectsz"),
    i32("bc->bc_psectsz"),
    i32("bc->bc_psectoff"),
    i32("bc->bc_closing").flag(),
];

const LISTS: &[Item] =
    &[gpa("port->cmd_lst").means("command list"), gpa("port->rfis").means("received FISes")];
const IDENT_21: Item = text("port->ident", 21).means("serial number");
const IDENT_512: Item = bytes("port->ata_ident", 512).means("answer to IDENTIFY: `ata_params`");

/// 32 ports, of which those are longer that have a backend.
macro_rules! ports {
    ($($item:expr),*) => {
        &[group("ports", Repeat::Times(32), &[
            pointer("bctx").means("whether the port has a disk or a drive"),
            i32("port->port").means("its number; 0 if it has nothing"),
            group("device", Repeat::If(Test::Not("bctx", 0)), &[Item::Shared(LISTS), $($item),*]),
        ])]
    };
}
const PORTS_2020: &[Item] = ports![IDENT_21, Item::Shared(PORT), Item::Shared(QUEUES)];
const PORTS_13: &[Item] = ports![IDENT_512, Item::Shared(PORT), Item::Shared(QUEUES)];
const PORTS: &[Item] = ports![IDENT_512, Item::Shared(PORT)];

const AHCI: &[&str] = &["ahci", "ahci-hd", "ahci-cd"];

pub(super) static IDENT_QUEUES: [Layout; 4] =
    pci!("ahci", "-ident-queues", AHCI, [CONTROLLER, PORTS_2020], older);
pub(super) static ATA_QUEUES: [Layout; 4] =
    pci!("ahci", "-ata-queues", AHCI, [CONTROLLER, PORTS_13], unseen);
pub(super) static ATA: [Layout; 4] = pci!("ahci", "-ata", AHCI, [CONTROLLER, PORTS], newer);
