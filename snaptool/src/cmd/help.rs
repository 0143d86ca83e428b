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

pub(crate) const UNPACK: &str = "\
Exit status:
  0  the three files are there
  1  no: the snapshot is damaged or breaks the structure rules; nothing is written
  2  trouble: usage, files, names that are taken

Examples:
  snaptool unpack vm.snap -o vm.ckp
  ssh host cat vm.snap | snaptool unpack - -o vm.ckp";

pub(crate) const VERIFY: &str = "\
Exit status:
  0  all inputs are intact and well formed
  1  no: at least one is not, and there was no trouble
  2  trouble: usage, or at least one input cannot be read, whatever the others are; stdout (or the
     `ok` of --json) tells of those that could be read

Examples:
  snaptool verify vm.snap other.snap
  snaptool verify --quick --json *.snap
  snaptool verify --expect-root \"$root\" - < vm.snap
  snaptool verify vm.ckp                                bhyve's three files";

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
  snaptool inspect bad.snap damage";

pub(crate) const DIFF: &str = "\
Exit status:
  0  the same content, or but for what --ignore leaves out
  1  another content
  2  trouble: usage, files, an input that is damaged

Examples:
  snaptool diff monday.snap tuesday.snap
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
