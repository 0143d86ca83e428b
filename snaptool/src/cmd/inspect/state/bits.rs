//! The names of bits, as the manuals of Intel and AMD, virtio and FreeBSD have them.

/// Bits by number.
pub(in crate::cmd) type Names = &'static [(u32, &'static str)];

/// The bits that are set, the highest first; those without a name by their number.
pub(in crate::cmd) fn set(value: u64, names: Names) -> String {
    if value == 0 {
        return "none".to_owned();
    }
    let bits = (0..64).rev().filter(|bit| value >> bit & 1 == 1);
    bits.map(|bit| name(bit, names)).collect::<Vec<_>>().join(" ")
}

/// A register with its bits: `0x11 ET PE`.
pub(super) fn register(value: u64, names: Names) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}  {}", set(value, names)) }
}

/// What was set and what was cleared: `+WP -TS`.
pub(in crate::cmd) fn changes(old: u64, new: u64, names: Names) -> String {
    let bits = (0..64).rev().filter(|bit| (old ^ new) >> bit & 1 == 1);
    let shown = bits.map(|bit| {
        let sign = if new >> bit & 1 == 1 { '+' } else { '-' };
        format!("{sign}{}", name(bit, names).replace(' ', "_"))
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn name(bit: u32, names: Names) -> String {
    let found = names.iter().find(|(number, _)| *number == bit);
    found.map_or_else(|| format!("bit{bit}"), |(_, name)| (*name).to_owned())
}

/// The bits of a field, by its key, where they have names.
pub(in crate::cmd) fn of_key(key: &str) -> Option<Names> {
    let found = BY_KEY.iter().find(|(keys, _)| keys.contains(&key));
    found.map(|(_, names)| *names)
}

const BY_KEY: &[(&[&str], Names)] = &[
    (&["CR0", "vmcb->state.cr0"], CR0),
    (&["CR4", "vmcb->state.cr4"], CR4),
    (&["EFER", "vmcb->state.efer"], EFER),
    (&["RFLAGS", "vmcb->state.rflags"], RFLAGS),
    (&["vcpu->guest_xcr0"], XCR0),
    (&["VMCS_GUEST_INTERRUPTIBILITY"], INTERRUPTIBILITY),
    (&["VMCS_ENTRY_CTLS"], ENTRY_CTLS),
    (&["VMCS_EXIT_CTLS"], EXIT_CTLS),
    (&["vmcb.EXC_INTERCEPT[4]"], EXCEPTIONS),
    (&["vmcb.INST1_INTERCEPT[4]"], INST1),
    (&["vmcb.INST2_INTERCEPT[4]"], INST2),
    (&["vs->vs_status"], VIRTIO_STATUS),
    (&["sc->esc_ICR", "sc->esc_IMS"], E1000_CAUSES),
    (&["sc->opregs.usbcmd"], USBCMD),
    (&["sc->opregs.usbsts"], USBSTS),
    (&["port->cmd"], AHCI_CMD),
    (&["sc->lsr"], LSR),
    (&["vrtc->rtcdev.reg_b"], RTC_B),
    (&["vrtc->rtcdev.reg_c"], RTC_C),
];

pub(super) const CR0: Names = &[
    (0, "PE"),
    (1, "MP"),
    (2, "EM"),
    (3, "TS"),
    (4, "ET"),
    (5, "NE"),
    (16, "WP"),
    (18, "AM"),
    (29, "NW"),
    (30, "CD"),
    (31, "PG"),
];
pub(super) const CR4: Names = &[
    (0, "VME"),
    (1, "PVI"),
    (2, "TSD"),
    (3, "DE"),
    (4, "PSE"),
    (5, "PAE"),
    (6, "MCE"),
    (7, "PGE"),
    (8, "PCE"),
    (9, "OSFXSR"),
    (10, "OSXMMEXCPT"),
    (11, "UMIP"),
    (12, "LA57"),
    (13, "VMXE"),
    (14, "SMXE"),
    (16, "FSGSBASE"),
    (17, "PCIDE"),
    (18, "OSXSAVE"),
    (19, "KL"),
    (20, "SMEP"),
    (21, "SMAP"),
    (22, "PKE"),
    (23, "CET"),
    (24, "PKS"),
];
pub(super) const EFER: Names = &[
    (0, "SCE"),
    (8, "LME"),
    (10, "LMA"),
    (11, "NXE"),
    (12, "SVME"),
    (13, "LMSLE"),
    (14, "FFXSR"),
    (15, "TCE"),
];
pub(super) const RFLAGS: Names = &[
    (0, "CF"),
    (1, "1"),
    (2, "PF"),
    (4, "AF"),
    (6, "ZF"),
    (7, "SF"),
    (8, "TF"),
    (9, "IF"),
    (10, "DF"),
    (11, "OF"),
    (12, "IOPL0"),
    (13, "IOPL1"),
    (14, "NT"),
    (16, "RF"),
    (17, "VM"),
    (18, "AC"),
    (19, "VIF"),
    (20, "VIP"),
    (21, "ID"),
];
pub(super) const XCR0: Names = &[
    (0, "x87"),
    (1, "SSE"),
    (2, "AVX"),
    (3, "BNDREGS"),
    (4, "BNDCSR"),
    (5, "opmask"),
    (6, "ZMM_Hi256"),
    (7, "Hi16_ZMM"),
    (9, "PKRU"),
    (17, "TILECFG"),
    (18, "TILEDATA"),
];
pub(super) const DR6: Names =
    &[(0, "B0"), (1, "B1"), (2, "B2"), (3, "B3"), (13, "BD"), (14, "BS"), (15, "BT")];
pub(super) const DR7: Names = &[
    (0, "L0"),
    (1, "G0"),
    (2, "L1"),
    (3, "G1"),
    (4, "L2"),
    (5, "G2"),
    (6, "L3"),
    (7, "G3"),
    (8, "LE"),
    (9, "GE"),
    (13, "GD"),
];
pub(super) const INTERRUPTIBILITY: Names =
    &[(0, "STI"), (1, "MOV-SS"), (2, "SMI"), (3, "NMI"), (4, "enclave")];
pub(super) const ENTRY_CTLS: Names = &[
    (2, "load-debug-controls"),
    (9, "IA-32e-guest"),
    (10, "entry-to-SMM"),
    (11, "deactivate-dual-monitor"),
    (13, "load-PERF_GLOBAL_CTRL"),
    (14, "load-PAT"),
    (15, "load-EFER"),
    (16, "load-BNDCFGS"),
    (17, "conceal-from-PT"),
    (18, "load-RTIT_CTL"),
    (20, "load-CET"),
    (21, "load-LBR_CTL"),
    (22, "load-PKRS"),
];
pub(super) const EXIT_CTLS: Names = &[
    (2, "save-debug-controls"),
    (9, "host-64-bit"),
    (12, "load-PERF_GLOBAL_CTRL"),
    (15, "acknowledge-interrupt"),
    (18, "save-PAT"),
    (19, "load-PAT"),
    (20, "save-EFER"),
    (21, "load-EFER"),
    (22, "save-preemption-timer"),
    (23, "clear-BNDCFGS"),
    (24, "conceal-from-PT"),
    (25, "clear-RTIT_CTL"),
    (26, "clear-LBR_CTL"),
    (28, "load-CET"),
    (29, "load-PKRS"),
    (31, "secondary-controls"),
];
/// The bits of entry and exit controls that are 1 without a meaning.
pub(super) const ENTRY_DEFAULT1: u64 = 0x11fb;
pub(super) const EXIT_DEFAULT1: u64 = 0x3_6dfb;
pub(super) const EXCEPTIONS: Names = &[
    (0, "#DE"),
    (1, "#DB"),
    (2, "NMI"),
    (3, "#BP"),
    (4, "#OF"),
    (5, "#BR"),
    (6, "#UD"),
    (7, "#NM"),
    (8, "#DF"),
    (10, "#TS"),
    (11, "#NP"),
    (12, "#SS"),
    (13, "#GP"),
    (14, "#PF"),
    (16, "#MF"),
    (17, "#AC"),
    (18, "#MC"),
    (19, "#XF"),
    (21, "#CP"),
    (28, "#HV"),
    (29, "#VC"),
    (30, "#SX"),
];
pub(super) const INST1: Names = &[
    (0, "INTR"),
    (1, "NMI"),
    (2, "SMI"),
    (3, "INIT"),
    (4, "VINTR"),
    (5, "CR0_SEL_WRITE"),
    (6, "IDTR_READ"),
    (7, "GDTR_READ"),
    (8, "LDTR_READ"),
    (9, "TR_READ"),
    (10, "IDTR_WRITE"),
    (11, "GDTR_WRITE"),
    (12, "LDTR_WRITE"),
    (13, "TR_WRITE"),
    (14, "RDTSC"),
    (15, "RDPMC"),
    (16, "PUSHF"),
    (17, "POPF"),
    (18, "CPUID"),
    (19, "RSM"),
    (20, "IRET"),
    (21, "INTn"),
    (22, "INVD"),
    (23, "PAUSE"),
    (24, "HLT"),
    (25, "INVLPG"),
    (26, "INVLPGA"),
    (27, "IOIO"),
    (28, "MSR"),
    (29, "TASK_SWITCH"),
    (30, "FERR_FREEZE"),
    (31, "SHUTDOWN"),
];
pub(super) const INST2: Names = &[
    (0, "VMRUN"),
    (1, "VMMCALL"),
    (2, "VMLOAD"),
    (3, "VMSAVE"),
    (4, "STGI"),
    (5, "CLGI"),
    (6, "SKINIT"),
    (7, "RDTSCP"),
    (8, "ICEBP"),
    (9, "WBINVD"),
    (10, "MONITOR"),
    (11, "MWAIT"),
    (12, "MWAIT_COND"),
    (13, "XSETBV"),
    (14, "RDPRU"),
    (15, "EFER_WRITE"),
];
pub(super) const APIC_ERRORS: Names = &[
    (0, "send-checksum"),
    (1, "receive-checksum"),
    (2, "send-accept"),
    (3, "receive-accept"),
    (4, "redirectable-IPI"),
    (5, "send-illegal-vector"),
    (6, "receive-illegal-vector"),
    (7, "illegal-register"),
];
pub(super) const PCI_COMMAND: Names = &[
    (0, "I/O"),
    (1, "memory"),
    (2, "bus-master"),
    (3, "special-cycles"),
    (4, "MWI"),
    (5, "VGA-snoop"),
    (6, "parity"),
    (8, "SERR"),
    (9, "fast-b2b"),
    (10, "INTx-off"),
];
pub(super) const PCI_STATUS: Names = &[
    (3, "INTx"),
    (4, "capabilities"),
    (5, "66MHz"),
    (7, "fast-b2b"),
    (8, "parity-error"),
    (11, "signaled-abort"),
    (12, "received-target-abort"),
    (13, "received-master-abort"),
    (14, "SERR"),
    (15, "parity"),
];
pub(super) const VIRTIO_STATUS: Names = &[
    (0, "ACKNOWLEDGE"),
    (1, "DRIVER"),
    (2, "DRIVER_OK"),
    (3, "FEATURES_OK"),
    (6, "NEEDS_RESET"),
    (7, "FAILED"),
];
pub(super) const E1000_CAUSES: Names = &[
    (0, "TXDW"),
    (1, "TXQE"),
    (2, "LSC"),
    (3, "RXSEQ"),
    (4, "RXDMT0"),
    (6, "RXO"),
    (7, "RXT0"),
    (9, "MDAC"),
    (10, "RXCFG"),
    (15, "TXD_LOW"),
    (16, "SRPD"),
];
pub(super) const USBCMD: Names =
    &[(0, "RS"), (1, "HCRST"), (2, "INTE"), (3, "HSEE"), (7, "LHCRST"), (10, "EWE")];
pub(super) const USBSTS: Names =
    &[(0, "HCH"), (2, "HSE"), (3, "EINT"), (4, "PCD"), (11, "CNR"), (12, "HCE")];
pub(super) const PORTSC: Names = &[
    (0, "CCS"),
    (1, "PED"),
    (3, "OCA"),
    (4, "PR"),
    (9, "PP"),
    (17, "CSC"),
    (18, "PEC"),
    (19, "WRC"),
    (20, "OCC"),
    (21, "PRC"),
    (22, "PLC"),
    (23, "CEC"),
];
pub(super) const AHCI_CMD: Names = &[
    (0, "ST"),
    (1, "SUD"),
    (2, "POD"),
    (3, "CLO"),
    (4, "FRE"),
    (13, "MPSS"),
    (14, "FR"),
    (15, "CR"),
    (16, "CPS"),
    (17, "PMA"),
    (18, "HPCP"),
    (19, "MPSP"),
    (20, "CPD"),
    (21, "ESP"),
    (22, "FBSCP"),
    (23, "APSTE"),
    (24, "ATAPI"),
    (25, "DLAE"),
    (26, "ALPE"),
    (27, "ASP"),
];
pub(super) const GHC: Names = &[(0, "HR"), (1, "IE"), (2, "MRSM"), (31, "AE")];
pub(super) const TFD: Names =
    &[(0, "ERR"), (3, "DRQ"), (4, "DSC"), (5, "DF"), (6, "DRDY"), (7, "BSY")];
pub(super) const IER: Names = &[(0, "RX"), (1, "TX"), (2, "line"), (3, "modem")];
pub(super) const MCR: Names = &[(0, "DTR"), (1, "RTS"), (2, "OUT1"), (3, "OUT2"), (4, "loopback")];
pub(super) const LSR: Names = &[
    (0, "DR"),
    (1, "OE"),
    (2, "PE"),
    (3, "FE"),
    (4, "BI"),
    (5, "THRE"),
    (6, "TEMT"),
    (7, "FIFO-error"),
];
pub(super) const MSR: Names = &[
    (0, "DCTS"),
    (1, "DDSR"),
    (2, "TERI"),
    (3, "DDCD"),
    (4, "CTS"),
    (5, "DSR"),
    (6, "RI"),
    (7, "DCD"),
];
pub(super) const RTC_B: Names = &[
    (0, "DSE"),
    (1, "24-hour"),
    (2, "binary"),
    (3, "SQWE"),
    (4, "UIE"),
    (5, "AIE"),
    (6, "PIE"),
    (7, "halted"),
];
pub(super) const RTC_C: Names = &[(4, "UF"), (5, "AF"), (6, "PF"), (7, "IRQF")];
pub(super) const KBD_STATUS: Names = &[
    (0, "OBF"),
    (1, "IBF"),
    (2, "SYS"),
    (3, "command"),
    (4, "unlocked"),
    (5, "AUX-OBF"),
    (6, "timeout"),
    (7, "parity"),
];
pub(super) const KBD_CTRL: Names = &[
    (0, "keyboard-interrupt"),
    (1, "mouse-interrupt"),
    (2, "SYS"),
    (4, "keyboard-off"),
    (5, "mouse-off"),
    (6, "translate"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_their_names_and_the_others_a_number() {
        assert_eq!(register(0x8005_0033, CR0), "0x80050033  PG AM WP NE ET MP PE");
        assert_eq!(set(1 << 63 | 1, CR0), "bit63 PE");
        assert_eq!(set(0, CR0), "none");
        assert_eq!(register(0, EFER), "0");
    }

    #[test]
    fn a_change_says_what_was_set_and_what_was_cleared() {
        assert_eq!(changes(0x9, 0x1_0001, CR0), "+WP -TS");
        assert_eq!(changes(5, 5, CR0), "");
    }

    #[test]
    fn no_bit_has_two_names() {
        for (keys, names) in BY_KEY {
            let mut bits: Vec<_> = names.iter().map(|(bit, _)| *bit).collect();
            bits.dedup();
            assert_eq!(bits.len(), names.len(), "{keys:?}");
            assert!(bits.is_sorted() && bits.iter().all(|bit| *bit < 64), "{keys:?}");
        }
    }
}
