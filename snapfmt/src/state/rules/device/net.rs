//! Rules of virtio network cards.

use super::super::class::{Argued, Class};
use super::super::rule::{Judge, NotRule, Rule, Severity, Subject, rule};
use super::super::{Chapter, Check};
use super::{WITHOUT, flag};

pub(super) static CHAPTER: Chapter = Chapter {
    title: "`virtio-net`: network cards",
    rules: RULES,
    argued: ARGUED,
    not_rules: NOT_RULES,
};

const NET: &[&str] = &["virtio-net"];
const CONFIG: &str = "sc->vsc_config";
const FEATURES: &str = "sc->vsc_features";
const NEGOTIATED: &str = "sc->features_negotiated";
const MERGE: &str = "sc->rx_merge";
const HEADER: &str = "sc->vhdrlen";
const BACKEND: &str = "sc->be_vhdrlen";
const TAKEN: &str = "vs->vs_negotiated_caps";

/// The feature bit of mergeable receive buffers.
const MRG_RXBUF: u64 = 1 << 15;

static RULES: &[Rule] = &[
    Rule {
        severity: Severity::Ucrash,
        subjects: &[Subject::field(HEADER), Subject::field(BACKEND)],
        condition: "must be 12 with mergeable receive buffers and 10 without; for the backend the \
                    same or 0",
        reason: "bhyve writes as many bytes into a buffer of the guest as they say, and asserts \
                 that they fit each other",
        bhyve: "restores it; the next packet overwrites memory of the guest or of bhyve",
        advice: WITHOUT,
        source: "usr.sbin/bhyve/pci_virtio_net.c pci_vtnet_neg_features, pci_vtnet_rx",
        judge: Judge::Relation(headers),
        ..rule("net-header", NET)
    },
    Rule {
        subjects: &[Subject::field(MERGE), Subject::field(NEGOTIATED)],
        condition: "must be 0 or 1",
        reason: "it says yes or no",
        bhyve: "restores it and takes any value but 0 for yes",
        source: "usr.sbin/bhyve/pci_virtio_net.c pci_vtnet_neg_features",
        judge: Judge::Number(flag),
        ..rule("net-flags", NET)
    },
    Rule {
        subjects: &[Subject::field(FEATURES), Subject::field(MERGE), Subject::field(NEGOTIATED)],
        condition: "must be the features that the driver took, and mergeable buffers as they say, \
                    once it took any",
        reason: "bhyve sets all of it at once",
        bhyve: "restores it; device, driver and backend disagree about the form of packets",
        source: "usr.sbin/bhyve/pci_virtio_net.c pci_vtnet_neg_features",
        judge: Judge::Relation(features),
        ..rule("net-features", NET)
    },
    Rule {
        subjects: &[Subject::part(CONFIG, "status"), Subject::part(CONFIG, "max_virtqueue_pairs")],
        condition: "must be a link that is up (1) or down (0), and one pair of queues",
        reason: "bhyve has no other cards, and no guest can write it",
        bhyve: "restores it and shows it to the guest",
        source: "usr.sbin/bhyve/pci_virtio_net.c pci_vtnet_init, pci_vtnet_cfgwrite",
        judge: Judge::Number(flag),
        ..rule("net-config", NET)
    },
];

fn headers(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let (Some(merge), Some(header), Some(backend)) =
            (root.u64(MERGE), root.get(HEADER), root.get(BACKEND))
        else {
            continue;
        };
        let length = header.u64().unwrap_or_default();
        if !matches!((merge, length), (0, 10) | (1, 12)) && merge <= 1 {
            check.breaks(known.record, &header, &[("mergeable", merge)]);
        } else if backend.u64().is_none_or(|found| found != 0 && found != length) {
            check.breaks(known.record, &backend, &[("header", length)]);
        }
    }
}

fn features(check: &mut Check<'_, '_>) {
    for known in check.own() {
        let root = known.fields.root();
        let (Some(features), Some(taken)) = (root.get(FEATURES), root.u64(TAKEN)) else { continue };
        // Older bhyve does not keep whether the driver took features.
        let negotiated = root.u64(NEGOTIATED).map_or(taken != 0, |negotiated| negotiated == 1);
        if !negotiated {
            continue;
        }
        if features.u64() != Some(taken) {
            check.breaks(known.record, &features, &[("taken", taken)]);
        } else if let Some(merge) = root.get(MERGE)
            && merge.u64().is_some_and(|merge| merge <= 1 && merge != taken / MRG_RXBUF % 2)
        {
            check.breaks(known.record, &merge, &[("taken", taken)]);
        }
    }
}

static ARGUED: &[Argued] = &[Argued {
    records: NET,
    subjects: &[Subject::part(CONFIG, "mac"), Subject::part(CONFIG, "mtu")],
    class: Class::Free,
    because: "the guest or the owner of the machine chose it; bhyve only shows it",
}];

static NOT_RULES: &[NotRule] = &[NotRule {
    about: "virtio-net packets",
    fact: "packets that the backend had received but not given to the guest are restored",
    because: "they are not saved; the network sends them again or not",
}];
