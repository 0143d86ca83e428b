//! What the system's own libnv says of a packed list. Empty on systems other than FreeBSD.
//!
//! The bindings are those of `libnv-sys`, which wants the symbols of FreeBSD 14 and later. Its
//! build script asks which system it runs on, not which it builds for, and gives stand-ins on other
//! systems; `.ci/freebsd-check` leaves it out. What is to run is best built on FreeBSD.

#![cfg(target_os = "freebsd")]

use std::ffi::{c_int, c_void};
use std::io::Error;
use std::ptr::NonNull;
use std::slice;

use libnv_sys::{FreeBSD_nvlist_t, nvlist_destroy, nvlist_pack, nvlist_unpack};

/// A list of libnv's.
struct List(NonNull<FreeBSD_nvlist_t>);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `nvlist_unpack`, belongs to this value alone, and is not
        // used again.
        unsafe { nvlist_destroy(self.0.as_ptr()) }
    }
}

/// Memory that libnv allocated for its caller to free.
struct Allocated(NonNull<c_void>);

impl Drop for Allocated {
    fn drop(&mut self) {
        // SAFETY: `nvlist_pack` gives memory from `malloc` to its caller; the pointer belongs to
        // this value alone and is not used again.
        unsafe { libc::free(self.0.as_ptr()) }
    }
}

/// Unpacks a list that came without descriptors, and packs it again. `flags` are those the caller
/// expects, as `nvlist_unpack` takes them.
///
/// # Errors
///
/// What libnv left in `errno`; where it leaves nothing, that is what an earlier call left.
pub fn repack(bytes: &[u8], flags: u8) -> Result<Vec<u8>, Error> {
    let list = unpack(bytes, flags)?;
    let mut size = 0;
    // SAFETY: the list is alive until the end of this function, it is not changed here, and `size`
    // is a place to write to.
    let packed = unsafe { nvlist_pack(list.0.as_ptr(), &raw mut size) };
    let packed = Allocated(NonNull::new(packed).ok_or_else(Error::last_os_error)?);
    // SAFETY: where `nvlist_pack` does not give null, it gives as many initialised bytes as it
    // wrote into `size`. They live and do not change until `packed` is dropped, after the copy.
    let bytes = unsafe { slice::from_raw_parts(packed.0.as_ptr().cast::<u8>(), size) };
    Ok(bytes.to_vec())
}

fn unpack(bytes: &[u8], flags: u8) -> Result<List, Error> {
    // SAFETY: the pointer and the length are those of a slice, which `nvlist_unpack` only reads and
    // does not keep. It gives null or a list of which its caller becomes the owner.
    let list = unsafe { nvlist_unpack(bytes.as_ptr().cast(), bytes.len(), c_int::from(flags)) };
    NonNull::new(list).map(List).ok_or_else(Error::last_os_error)
}

/// The symbol of the error numbers that libnv gives, as in `EINVAL`.
#[must_use]
pub fn symbol(error: &Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        libc::EINVAL => "EINVAL",
        libc::EEXIST => "EEXIST",
        libc::EILSEQ => "EILSEQ",
        libc::ENAMETOOLONG => "ENAMETOOLONG",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::ENOMEM => "ENOMEM",
        _ => return None,
    })
}
