//! What `--help` says behind the options: exit status and examples.

pub(crate) const SEND: &str = "\
Exit status:
  0  handed over, or copied
  1  no: the target refuses it, or the VM came back; or a person has to decide, and is told what
  2  trouble: usage, files, a connection that was lost
What arrived stays at the target. After trouble the same command goes on where it was, also after
both programs were killed. Ctrl-C harms nothing; what it leaves is said. SOURCE.migrate remembers
what was promised: keep it until the VM runs where it should.

Pages are compressed by zstd unless the connection is local: a Unix socket, or TCP on this machine,
carries more than zstd can make. --compress decides otherwise.

--run is for the way back: it starts the VM here if that comes back. At the target `migrate recv`
starts it; what ssh starts there is told from here, by --remote-run and --recv-arg.

What was handed over is a stale copy from then on. The same command only tells the target so once
more; a newer snapshot under the same name wants --anew, and the same state is refused.

Examples:
  migrate send vm.ckp ssh://root@there/vm/guest         three files, or a snapshot file
  migrate send vm.ckp ssh://root@there/vm/guest --remote-run 'bhyve -r {} ... guest' \
      --recv-arg=--ready=socket:/var/run/bhyve/guest
  migrate send vm.snap unix:/run/guest.sock --limit 200M
  migrate send vm.snap file:guest.copy                  a copy; nothing is handed over
  migrate send vm.snap - | ssh there migrate recv /vm/guest";

pub(crate) const RECV: &str = "\
Exit status:
  0  the VM is this side's, and the source knows; or a copy is complete
  1  no: the VM went back, or what came is refused; or a person has to decide
  2  trouble: usage, files, a connection that was lost
DIR is made if it is not there, for its owner alone. The snapshot in it is DIR/vm.ckp and what
belongs to it; vm.ckp.meta, without which bhyve does not start it, comes last. COMMAND is run only
with what this process has checked.

Without --ready the guest counts as running once COMMAND has been at work for 5 seconds. Better is
what shows it: `socket:PATH`, as bhyve's control socket, or `command:COMMAND`.

Examples:
  migrate recv /vm/guest                                on stdin and stdout, as ssh runs it
  migrate recv /vm/guest --listen unix:/run/guest.sock --run 'bhyve -r {} ... guest'
  migrate recv /vm/guest < guest.copy";

pub(crate) const PLAN: &str = "\
Exit status:
  0  nothing is in the way
  1  no: something is refused; what can be accepted says with which --allow
  2  trouble: usage, files, a connection that was lost
Nothing changes at either side, and no file is made.

Examples:
  migrate plan vm.ckp ssh://root@there/vm/guest
  migrate plan --json vm.snap unix:/run/guest.sock";

pub(crate) const STATUS: &str = "\
Exit status:
  0  shown
  1  no: there is nothing of a migration there
  2  trouble: usage, files, a damaged journal, a connection that was lost
A journal is read without a lock: a migration that goes on is not disturbed.

Examples:
  migrate status vm.ckp                                 at the source
  migrate status /vm/guest                              at the target
  migrate status ssh://root@there/vm/guest";

pub(crate) const RESOLVE: &str = "\
Exit status:
  0  done
  1  no: it would not be safe, or cannot be now; nothing has changed
  2  trouble: usage, files, a connection that was lost
`back` believes a target that it knows nothing of the hand-over only where that was sent to, and
runs --run once the VM is back. --fence runs COMMAND only if nothing else is in a claim's way.

What is decided is written into the journal, and the other side is told when both meet again.

Examples:
  migrate resolve vm.ckp back --to ssh://root@there/vm/guest
  migrate resolve vm.ckp claim --peer-is-off
  migrate resolve /vm/guest claim --fence 'ipmitool -H there-bmc power off'
  migrate resolve /vm/guest never-ran";
