//! What `--help` says behind the options: exit status and examples.

pub(crate) const PACK: &str = "\
Exit status:
  0  packed
  1  no: the set is damaged, or does not fit into a snapshot file
  2  trouble: usage, files, an input that changed meanwhile
A pipe gets the end of a snapshot only after all inputs were read and found unchanged; `verify` and
`unpack` say no to one without its end.

A stdout that is /dev/null, open for reading and writing, counts as closed: a closed one looks like
that. To throw the output away, open it for writing only, as `>/dev/null` does.

Examples:
  snaptool pack vm.ckp                                  to vm.ckp.snap
  snaptool pack vm.ckp --config vm.conf -o vm.snap
  snaptool pack vm.ckp --compress zstd:1 -o - | ssh host 'snaptool unpack - -o vm.ckp'";

pub(crate) const DELTA: &str = "\
Exit status:
  0  written
  1  no: an input is damaged, its parents are not those that it names, or both are not of the same
     machine
  2  trouble: usage, files, a parent that is not there, an input that changed meanwhile

Examples:
  snaptool delta monday.snap vm.ckp -o tuesday.snap     three files against a snapshot
  snaptool delta tuesday.snap vm.ckp --chain . -o wednesday.snap
  snaptool delta monday.snap sunday.snap -o back.snap";

pub(crate) const JOIN: &str = "\
Exit status:
  0  joined
  1  no: a file is damaged, or does not belong over the one before it
  2  trouble: usage, files, a parent that is not there

Examples:
  snaptool join monday.snap tuesday.snap wednesday.snap -o full.snap
  snaptool join wednesday.snap --chain . -o full.snap";

pub(crate) const UNPACK: &str = "\
Exit status:
  0  the three files are there
  1  no: the snapshot is damaged, or breaks a rule: of structure, or of values; nothing is written
  2  trouble: usage, files, names that are taken, a rule that nobody can accept
What `verify` says no to, this refuses. What is known to harm the host has no way around it. Other
rules can be accepted, one by one, by who knows better; BASE.accepted then says which, when, and of
which snapshot. bhyve does not read that file: keep it with the three.

Examples:
  snaptool unpack vm.snap -o vm.ckp
  snaptool unpack vm.snap -o vm.ckp --host this
  snaptool unpack vm.snap -o vm.ckp --accept cr0-paging@vmcx
  snaptool unpack wednesday.snap --chain . -o vm.ckp    a delta, with its parents
  ssh host cat vm.snap | snaptool unpack - -o vm.ckp";

pub(crate) const VERIFY: &str = "\
Exit status:
  0  all inputs are intact and well formed, and no rule fails them
  1  no: at least one is not, and there was no trouble
  2  trouble: usage, or at least one input cannot be read, whatever the others are; stdout (or the
     `ok` of --json) tells of those that could be read
On stdout is what fails, on stderr as notes what only warns: that the guest may misbehave, what
nobody has verified, what belongs to the host that wrote it. What could not be checked is listed by
--json as `not_checked`.

Examples:
  snaptool verify vm.snap other.snap
  snaptool verify --quick --json *.snap
  snaptool verify wednesday.snap --chain .              a delta, with its parents
  snaptool verify --expect-root \"$root\" - < vm.snap
  snaptool verify vm.ckp && bhyve -r vm.ckp ...         bhyve's three files, before they are resumed
  snaptool verify --host target.json vm.snap            will that host take it?";

pub(crate) const EXTRACT: &str = "\
Exit status:
  0  the part is there, and of a snapshot file it was checked
  1  no: it is damaged; with --damaged, what there is was copied
  2  trouble: usage, files, a PART that is not there, names taken or that bhyve would resume

Examples:
  snaptool extract vm.snap kern_structs/vmcx            to vm.snap.kern_structs-vmcx.raw
  snaptool extract vm.snap memory/0x1000+4096 -o - | hexdump -C
  snaptool extract --damaged bad.snap devices/vm        to bad.snap.devices-vm.claim";

pub(crate) const EXPLAIN: &str = "\
Exit status:
  0  explained
  2  trouble: usage, no such rule

Examples:
  snaptool explain xcr0-loadable
  snaptool explain --list | grep panic";

pub(crate) const INSPECT: &str = "\
Exit status:
  0  what was checked is intact
  1  no: something is damaged or breaks the structure rules
  2  trouble: usage, files, a PATH that names nothing

Examples:
  snaptool inspect vm.snap
  snaptool inspect vm.snap --summary
  snaptool inspect vm.snap devices
  snaptool inspect vm.snap devices/vmcx/0               registers of virtual CPU 0
  snaptool inspect --json --fields vm.ckp devices/vlapic
  snaptool inspect --json vm.ckp memory
  snaptool inspect wednesday.snap --chain .             a delta, with its parents
  snaptool inspect bad.snap damage";

pub(crate) const HOST_FACTS: &str = "\
Exit status:
  0  printed; some facts may be unknown
  2  trouble: usage, files

Examples:
  snaptool host-facts
  snaptool host-facts -o host.json
  ssh host snaptool host-facts > host.json";

pub(crate) const DIFF: &str = "\
Exit status:
  0  the same content, or but for what --ignore leaves out
  1  another content
  2  trouble: usage, files, an input that is damaged

Examples:
  snaptool diff monday.snap tuesday.snap
  snaptool diff monday.snap wednesday.snap --chain .    the latter is a delta
  snaptool diff --ignore time before.ckp after.ckp
  snaptool diff --json vm.snap vm.ckp";

pub(crate) const NVLIST: &str = "\
Exit status:
  0  shown, or made
  1  no: the list is malformed, or its description is
  2  trouble: usage, files

Examples:
  snaptool nvlist list.bin
  snaptool nvlist --json list.bin | snaptool nvlist --pack - > same.bin";
