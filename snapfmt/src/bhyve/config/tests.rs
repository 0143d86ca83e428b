//! What is read from configurations, and what is not.

use super::*;

fn disk(slot: &str, device: &str, path: &str) -> Disk {
    Disk { slot: slot.into(), device: device.into(), path: path.into() }
}

const FILE: &str = "\
# a comment
name=guest0
cpus=2
memory.size=1G
uuid=5e0fa2d0-0000-11ef-8c3c-589cfc0e4d2a
lpc.bootrom=/fw/BHYVE_UEFI.fd
lpc.bootvars=/vm/%(name)/vars.fd
pci.0.4.0.device=virtio-blk
pci.0.4.0.path=/vm/%(name)/disk.img
pci.0.5.0.device=ahci
pci.0.5.0.port.0.type=cd
pci.0.5.0.port.0.path=/iso/a=b.iso
pci.0.6.0.device=virtio-net
pci.0.6.0.backend=tap0
";

const COMMAND: &str = "\
#!/bin/sh
bhyvectl --destroy --vm=guest0
sudo /usr/sbin/bhyve -AHP -c cpus=2,sockets=1 -m 1024 \\
    -s 0,hostbridge -s 4:0,virtio-blk,/vm/disk.img,nocache \\
    -s '0:5:0,ahci,hd:/vm/a b,cd:/iso/x.iso' \\
    -s 6,virtio-net,tap0 -s 31,lpc -l com1,stdio -l bootrom,/fw/BHYVE_UEFI.fd,/vm/vars.fd \\
    -U 5e0fa2d0-0000-11ef-8c3c-589cfc0e4d2a guest0
";

#[test]
fn a_configuration_file_gives_its_facts() {
    let config = Config::parse(FILE.as_bytes()).unwrap();
    assert_eq!(config.kind, ConfigKind::File);
    assert_eq!(config.text, FILE);
    assert_eq!(config.name.as_deref(), Some("guest0"));
    assert_eq!((config.ncpus, config.memsize), (Some(2), Some(1 << 30)));
    assert_eq!(config.uuid.as_deref(), Some("5e0fa2d0-0000-11ef-8c3c-589cfc0e4d2a"));
    assert_eq!(config.bootrom.as_deref(), Some("/fw/BHYVE_UEFI.fd"));
    assert_eq!(config.bootvars.as_deref(), Some("/vm/guest0/vars.fd"));
    let disks = [
        disk("0.4.0", "virtio-blk", "/vm/guest0/disk.img"),
        disk("0.5.0", "ahci-cd", "/iso/a=b.iso"),
    ];
    assert_eq!(config.disks, disks);
}

#[test]
fn a_command_line_gives_the_same_facts() {
    let config = Config::parse(COMMAND.as_bytes()).unwrap();
    assert_eq!(config.kind, ConfigKind::CommandLine);
    assert_eq!(config.text, COMMAND);
    assert_eq!(config.name.as_deref(), Some("guest0"));
    assert_eq!((config.ncpus, config.memsize), (Some(2), Some(1 << 30)));
    assert_eq!(config.uuid.as_deref(), Some("5e0fa2d0-0000-11ef-8c3c-589cfc0e4d2a"));
    assert_eq!(config.bootrom.as_deref(), Some("/fw/BHYVE_UEFI.fd"));
    assert_eq!(config.bootvars.as_deref(), Some("/vm/vars.fd"));
    let disks = [
        disk("0.4.0", "virtio-blk", "/vm/disk.img"),
        disk("0.5.0", "ahci-hd", "/vm/a b"),
        disk("0.5.0", "ahci-cd", "/iso/x.iso"),
    ];
    assert_eq!(config.disks, disks);
}

#[test]
fn options_may_be_joined_and_variables_given_one_by_one() {
    let config =
        Config::parse(b"env A=1 bhyve -Hc4 -m512M -o name=a -o uuid=u -k x.conf b").unwrap();
    assert_eq!((config.ncpus, config.memsize), (Some(4), Some(512 << 20)));
    assert_eq!(config.name.as_deref(), Some("b"));
    let config = Config::parse(b"bhyve -c sockets=2,cores=3 -r vm.ckp -- vm").unwrap();
    assert_eq!((config.ncpus, config.name.as_deref()), (Some(6), Some("vm")));
}

#[test]
fn what_only_a_shell_knows_is_absent() {
    let config = Config::parse(b"bhyve -c $CPUS -m ${MEM} \"$VM\"").unwrap();
    assert_eq!((config.ncpus, config.memsize, config.name), (None, None, None));
    let config = Config::parse(b"name=%(nothing)\ncpus=two\nmemory.size=1X").unwrap();
    assert_eq!((config.ncpus, config.memsize, config.name), (None, None, None));
}

#[test]
fn variables_that_multiply_are_absent() {
    let config = format!("a={}\nname={}\ncpus=1", "x".repeat(100), "%(a)".repeat(100));
    let config = Config::parse(config.as_bytes()).unwrap();
    assert_eq!((config.name, config.ncpus), (None, Some(1)));
}

#[test]
fn memory_sizes_are_read_as_bhyve_reads_them() {
    let sizes = [("256", 256 << 20), ("1048576", 1 << 20), ("2g", 2 << 30), ("512K", 512 << 10)];
    for (text, size) in sizes {
        assert_eq!(memsize(text), Some(size), "{text}");
    }
    for text in ["", "G", "-1", "1.5G", "99999999999T"] {
        assert_eq!(memsize(text), None, "{text}");
    }
}

#[test]
fn other_texts_are_no_configuration() {
    for text in ["", "# nothing\n", "hello", "bhyve", "bhyveload -m 1G vm", "a = b"] {
        assert_eq!(Config::parse(text.as_bytes()), Err(ConfigError::Unknown), "{text}");
    }
    assert_eq!(Config::parse(b"name=a\0"), Err(ConfigError::NotText { offset: 6 }));
    assert_eq!(Config::parse(b"name=\xff"), Err(ConfigError::NotText { offset: 5 }));
    let length = limits::TEXT + 1;
    assert_eq!(Config::parse(&vec![b' '; length]), Err(ConfigError::TooLong { length }));
}
