/*
 * What migrate/src/bhyve/vmm/abi.rs says of vmm's ioctls, held against FreeBSD's own headers. Its
 * tests hold these lines against its constants. Nothing is run: it compiles, or it does not.
 */

#include <sys/types.h>
#include <sys/ioccom.h>
#include <sys/cpuset.h>
#include <sys/domainset.h>

#include <machine/vmm_dev.h>

#include <stddef.h>

#define ASSERT(x) _Static_assert(x, #x)

ASSERT(VM_MMAP_GETNEXT == 0xc0287611);
ASSERT(sizeof(struct vm_memmap) == 0x28);
ASSERT(offsetof(struct vm_memmap, gpa) == 0x0);
ASSERT(offsetof(struct vm_memmap, segid) == 0x8);
ASSERT(offsetof(struct vm_memmap, segoff) == 0x10);
ASSERT(offsetof(struct vm_memmap, len) == 0x18);
ASSERT(offsetof(struct vm_memmap, prot) == 0x20);
ASSERT(offsetof(struct vm_memmap, flags) == 0x24);

/* As of FreeBSD 15; before, the structure ended after its name. */
ASSERT(VM_GET_MEMSEG == 0xc038760f);
ASSERT(sizeof(struct vm_memseg) == 0x38);
ASSERT(offsetof(struct vm_memseg, segid) == 0x0);
ASSERT(offsetof(struct vm_memseg, len) == 0x8);
ASSERT(offsetof(struct vm_memseg, name) == 0x10);
ASSERT(sizeof(((struct vm_memseg *)0)->name) == 0x10);
ASSERT(offsetof(struct vm_memseg, ds_mask) == 0x20);
ASSERT(offsetof(struct vm_memseg, ds_mask_size) == 0x28);
ASSERT(offsetof(struct vm_memseg, ds_policy) == 0x30);
