//! Rules of what all virtio devices have.

use super::super::class::{Argued, Class};
use super::super::rule::{ANOTHER, Basis, Judge, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check};
use super::{VIRTIO, WITHOUT};

pub(super) static CHAPTER: Chapter =
    Chapter { title: "virtio devices", rules: RULES, argued: ARGUED, not_rules: &[] };

const FLAGS: &str = "vs->vs_flags";
const TAKEN: &str = "vs->vs_negotiated_caps";
const CURRENT: &str = "vs->vs_curq";
const OFFERED: &str = "vc->vc_hv_caps";
const QUEUES: &str = "vc->vc_nvq";
const CONFIG: &str = "vc->vc_cfgsize";
const QUEUE_SIZE: &str = "vq->vq_qsize";

/// What a device model has and offers.
struct Model {
    name: &'static str,
    queues: u64,
    config: u64,
    descriptors: u64,
    /// Features that it always offers.
    always: u64,
    /// Features that it may offer besides: by its backend, or as newer bhyve has them.
    maybe: u64,
}

const MODELS: &[Model] = &[
    Model {
        name: "virtio-blk",
        queues: 1,
        config: 60,
        descriptors: 128,
        // Segments, block size, flush, topology, indirect descriptors.
        always: 0x1000_0644,
        // Read-only, discard, write zeroes.
        maybe: 1 << 5 | 1 << 13 | 1 << 14,
    },
    Model {
        name: "virtio-net",
        queues: 2,
        config: 12,
        descriptors: 1024,
        // MAC, mergeable buffers, status, notify on empty, indirect descriptors.
        always: 0x1101_8020,
        // Checksums, MTU, offloads of the backend.
        maybe: 0x7fff,
    },
    Model { name: "virtio-rnd", queues: 1, config: 0, descriptors: 64, always: 0, maybe: 0 },
];

fn model(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(CURRENT)],
        condition: "must be 0 to 0xffff",
        reason: "the guest writes 16 bits; bhyve compares it with the number of queues, as a \
                 number with a sign, and then takes it for an index",
        bhyve: "restores it; when the guest next reads a register of a negative queue, bhyve \
                crashes or shows its memory",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/virtio.c vi_pci_read",
        judge: Judge::Signed(|queue| matches!(queue, 0..=0xffff)),
        ..rule("virtio-queue-select", VIRTIO)
    },
    Rule {
        subjects: &[Subject::field(FLAGS)],
        condition: "must have no other bits than 0 (MSI-X), 1 (event index) and 3 (broken)",
        reason: "there are no other flags",
        bhyve: "restores it and ignores the other bits",
        source: "usr.sbin/bhyve/virtio.h",
        judge: Judge::Number(|flags| flags & !0b1011 == 0),
        ..rule("virtio-flags", VIRTIO)
    },
    Rule {
        subjects: &[Subject::field("vs->vs_isr")],
        condition: "must have no other bits than 0 (queue) and 1 (configuration)",
        reason: "bhyve sets no others",
        bhyve: "restores it; the guest's driver may be confused",
        source: "usr.sbin/bhyve/virtio.h vi_interrupt",
        judge: Judge::Number(|isr| isr & !0b11 == 0),
        ..rule("virtio-isr", VIRTIO)
    },
    Rule {
        subjects: &[Subject::field(TAKEN), Subject::field(OFFERED)],
        condition: "must have no feature that the device does not offer",
        reason: "bhyve drops those when the driver writes them",
        bhyve: "restores it; device and driver disagree about the form of requests",
        source: "usr.sbin/bhyve/virtio.c vi_pci_write",
        judge: Judge::Relation(features),
        ..rule("virtio-features", VIRTIO)
    },
    Rule {
        subjects: &[Subject::field(QUEUES), Subject::field(CONFIG), Subject::field(QUEUE_SIZE)],
        condition: "must be what the model has: 1 queue of 128 and 60 bytes of configuration for \
                    blk, 2 or 3 of 1024 and 12 for net, 1 of 64 and none for rnd",
        reason: "they are constants of bhyve, which compares them with its own",
        bhyve: "refuses the snapshot",
        source: "usr.sbin/bhyve/virtio.c vi_pci_snapshot_consts; vtblk_vi_consts, vtnet_vi_consts, \
                 vtrnd_vi_consts",
        judge: Judge::Relation(constants),
        ..rule("virtio-constants", VIRTIO)
    },
    Rule {
        basis: Basis::Unverified,
        subjects: &[Subject::field(OFFERED)],
        condition: "must be the features that the device model is known to offer",
        reason: "bhyve compares them with its own; which they are depends on version and backend",
        bhyve: "refuses the snapshot if they are not its own",
        advice: "restore it with the bhyve and the backends that wrote it",
        source: "usr.sbin/bhyve/virtio.c vi_pci_snapshot_consts",
        judge: Judge::Relation(offered),
        ..rule("virtio-offered", VIRTIO)
    },
    Rule {
        severity: Severity::Guest,
        subjects: &[Subject::field("vs->vs_msix_cfg_idx"), Subject::field("vq->vq_msix_idx")],
        condition: "must be below the number of MSI-X vectors, or 0xffff for none",
        reason: "a driver writes it, and other vectors do not exist",
        bhyve: "restores it; interrupts of the queue are lost",
        advice: ANOTHER,
        source: "usr.sbin/bhyve/pci_emul.c pci_generate_msix",
        judge: Judge::Relation(vectors),
        ..rule("virtio-vectors", VIRTIO)
    },
];

fn features(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        if let (Some(taken), Some(offered)) = (root.get(TAKEN), root.u64(OFFERED))
            && taken.u64().is_some_and(|taken| taken & !offered != 0)
        {
            check.breaks(known.record, &taken, &[("offered", offered)]);
        }
    }
}

fn constants(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let Some(model) = model(known.record.family) else { continue };
        let root = known.fields.root();
        let single = [(QUEUES, model.queues), (CONFIG, model.config)];
        let single = single.map(|(key, wanted)| (root.get(key), wanted));
        let sizes = root.all(QUEUE_SIZE).map(|size| (Some(size), model.descriptors));
        for (field, wanted) in single.into_iter().chain(sizes) {
            if let Some(field) = field
                && field.u64() != Some(wanted)
                // A network card may have a queue for control.
                && !(field.key() == QUEUES && wanted == 2 && field.u64() == Some(3))
            {
                check.breaks(known.record, &field, &[("the device has", wanted)]);
            }
        }
    }
}

fn offered(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let Some(model) = model(known.record.family) else { continue };
        if let Some(field) = known.fields.find(OFFERED, None, 0)
            && field.u64().is_some_and(|found| {
                found & model.always != model.always || found & !(model.always | model.maybe) != 0
            })
        {
            check.breaks(known.record, &field, &[("always", model.always)]);
        }
    }
}

fn vectors(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let count = root.u64("pi->pi_msix.table_count").unwrap_or_default();
        if root.u64(FLAGS).is_none_or(|flags| flags & 1 == 0) {
            continue;
        }
        for key in ["vs->vs_msix_cfg_idx", "vq->vq_msix_idx"] {
            for field in root.all(key) {
                if field.u64().is_some_and(|index| index >= count && index != 0xffff) {
                    check.breaks(known.record, &field, &[("vectors", count)]);
                }
            }
        }
    }
}

static ARGUED: &[Argued] = &[Argued {
    records: VIRTIO,
    subjects: &[Subject::field("vs->vs_status")],
    class: Class::Free,
    because: "the driver writes it, and bhyve looks only whether it writes 0",
}];
