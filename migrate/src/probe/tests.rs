//! Hosts that are made up, and the one that runs the test.

use super::*;
use crate::system::Here;
use crate::system::made_up::MadeUp;

fn freebsd() -> MadeUp {
    MadeUp {
        name: "FreeBSD",
        says: [
            ("/bin/freebsd-version -u", "14.2-RELEASE-p1\n"),
            (
                "/sbin/sysctl -n vm.stats.vm.v_free_count vm.stats.vm.v_inactive_count hw.pagesize",
                "1000\n24\n4096\n",
            ),
            ("/sbin/sysctl -n kern.disks", "da0 md0 cd0\n"),
            ("/usr/sbin/diskinfo /dev/da0", "/dev/da0\t512\t1073741824\t2097152\t0\t0\n"),
            ("/usr/sbin/diskinfo -s /dev/da0", "LUN-0001   \n"),
            ("/usr/sbin/diskinfo /dev/zvol/tank/vm", "/dev/zvol/tank/vm 512 2048 4 0 0\n"),
            ("/usr/sbin/diskinfo /dev/zvol/tank/db", "/dev/zvol/tank/db 512 4096 8 0 0\n"),
            ("/sbin/zfs list -H -t volume -o name", "tank/vm\ntank/db\n"),
            ("/sbin/mount -p", "/dev/ada0p2 / ufs rw 1 1\nnas:/vm/ /vm\\040s nfs rw 0 0\n"),
        ]
        .into(),
        devices: [
            ("/dev/da0", (0, 90)),
            ("/dev/zvol/tank/vm", (0, 91)),
            ("/dev/md0", (0, 92)),
            ("/dev/zvol/tank/db", (0, 93)),
        ]
        .into(),
        files: [("/vm s/a/disk.img", "12345"), ("/local.img", "123")].into(),
        room: 77,
        ..MadeUp::default()
    }
}

const COMMAND: &[u8] = b"bhyve -s 2,virtio-blk,/dev/zvol/tank/vm -s 3,nvme,/local.img \
    -s 4,ahci-hd,/gone.img -s 5,virtio-blk,/dev/da0 -m 1G vm\n";

fn told(disks: &[Disk]) -> Vec<(&str, u64, Option<&str>)> {
    disks.iter().map(|d| (d.path.as_str(), d.size, d.identity.as_deref())).collect()
}

#[test]
fn disks_of_a_command_line_have_their_sizes_and_what_tells_them_apart() {
    let disks = disks_of(&freebsd(), COMMAND);
    assert_eq!(
        told(&disks),
        [
            ("/dev/zvol/tank/vm", 2048, None),
            ("/local.img", 3, None),
            ("/gone.img", UNSEEN, None),
            ("/dev/da0", 1 << 30, Some("ident:LUN-0001")),
        ]
    );
}

#[test]
fn a_command_that_restores_a_vm_names_its_disks_too() {
    let words = b"/usr/sbin/bhyve -r {} -s 5,virtio-blk,/dev/da0 -l com1,stdio vm";
    let paths: Vec<_> = disks_of(&freebsd(), words).into_iter().map(|disk| disk.path).collect();
    assert_eq!(paths, ["/dev/da0"]);
}

#[test]
fn a_host_tells_of_disks_that_its_words_name_and_of_those_that_it_has_each_once() {
    let host = host(&freebsd(), Path::new("/local.img/not/yet"), &[COMMAND, b"no words"]);
    assert_eq!(host.bhyve.as_deref(), Some("14.2-RELEASE-p1"));
    assert_eq!((host.memory, host.room), (Some(1024 * 4096), Some(77)));
    let paths: Vec<_> = host.disks.iter().map(|disk| disk.path.as_str()).collect();
    assert_eq!(paths, ["/dev/zvol/tank/vm", "/local.img", "/dev/da0", "/dev/zvol/tank/db"]);
    assert!(host.facts.page_size.is_some());
}

#[test]
fn a_file_that_a_server_exports_is_known_by_the_servers_name_for_it() {
    let found = disks::disk(&freebsd(), "/vm s/a/disk.img").unwrap();
    assert_eq!(found.identity.as_deref(), Some("file:nas:/vm/a/disk.img"));
    let linux = MadeUp {
        name: "Linux",
        files: [
            ("/mnt/disk.img", "1"),
            (
                "/proc/self/mountinfo",
                "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                 36 22 0:32 /sub /mnt rw shared:1 - nfs4 nas:/vm rw\n",
            ),
        ]
        .into(),
        ..MadeUp::default()
    };
    let found = disks::disk(&linux, "/mnt/disk.img").unwrap();
    assert_eq!(found.identity.as_deref(), Some("file:nas:/vm/sub/disk.img"));
}

#[test]
fn disks_of_linux_are_known_by_the_best_of_what_there_is() {
    let linux = MadeUp {
        name: "Linux",
        files: [
            ("/sys/dev/block/8:0/size", "2097152\n"),
            ("/sys/dev/block/8:0/device/wwid", "naa.5000c500  a\n"),
            ("/sys/dev/block/8:1/size", "2048\n"),
            ("/sys/dev/block/8:1/partition", "1\n"),
            ("/sys/dev/block/8:1/../dev", "8:0\n"),
            ("/sys/dev/block/253:0/size", "8\n"),
            ("/sys/dev/block/253:0/serial", "disk7\n"),
            ("/sys/dev/block/9:9/size", "8\n"),
            ("/sys/dev/block/7:0/size", "8\n"),
            ("/sys/dev/block/9:8/serial", "\n"),
            ("/sys/dev/block/9:8/size", "8\n"),
        ]
        .into(),
        devices: [
            ("/dev/sda", (8, 0)),
            ("/dev/sda1", (8, 1)),
            ("/dev/vda", (253, 0)),
            ("/dev/odd", (9, 9)),
            ("/dev/none", (9, 8)),
            ("/dev/loop0", (7, 0)),
        ]
        .into(),
        links: [("/dev/disk/by-id/odd-1", "/dev/odd"), ("/dev/disk/by-id/x", "/dev/sda")].into(),
        others: vec!["/sys/block/sda", "/sys/block/loop0", "/sys/block/vda"],
        ..MadeUp::default()
    };
    let of = |path| disks::disk(&linux, path).unwrap().identity;
    assert_eq!(of("/dev/sda").as_deref(), Some("wwid:naa.5000c500 a"));
    assert_eq!(of("/dev/sda1").as_deref(), Some("wwid:naa.5000c500 a, partition 1"));
    assert_eq!(of("/dev/vda").as_deref(), Some("serial:disk7"));
    assert_eq!(of("/dev/odd").as_deref(), Some("id:odd-1"));
    assert_eq!(of("/dev/none"), None);
    let all: Vec<_> = disks::all(&linux).collect();
    assert_eq!(
        told(&all),
        [
            ("/dev/sda", 1 << 30, Some("wwid:naa.5000c500 a")),
            ("/dev/vda", 4096, Some("serial:disk7"))
        ]
    );
}

#[test]
fn what_cannot_be_found_out_is_left_open() {
    let nothing = MadeUp { name: "Linux", ..MadeUp::default() };
    let host = host(&nothing, Path::new("/vm"), &[COMMAND]);
    assert_eq!((host.bhyve, host.memory, host.room), (None, None, None));
    assert!(host.disks.is_empty());
}

#[test]
fn there_is_a_bound_on_disks() {
    let disk = |number| Disk { path: format!("/dev/da{number}"), size: 1, identity: None };
    assert_eq!(bounded((0..1000).map(disk)).len(), MOST_DISKS);
    assert_eq!(bounded([disk(1), disk(1)].into_iter()).len(), 1);
}

#[test]
fn this_host_has_memory_and_room() {
    let host = host(&Here::new(), Path::new("/nonexistent/place"), &[]);
    assert!(host.memory.is_some_and(|bytes| bytes > 1 << 20));
    assert!(host.room.is_some());
    let missing = Here::new().ask("/nonexistent/program", &[]).unwrap_err();
    assert!(missing.starts_with("/nonexistent/program: "), "{missing}");
    assert!(Here::new().ask("/bin/sh", &["-c", "exit 3"]).unwrap_err().contains("exit code 3"));
}
