//! Suspend without memory, and its ends.

use std::os::fd::BorrowedFd;

use migrate::bhyve::primitives::Doing;
use rustix::fs::AtFlags;
use snapfmt::nvlist::{Builder, Nvlist};

use super::create;
use super::machine::{Machine, Refused, Trouble, meta, text};

/// The page that a device completes a request in when it comes to rest.
pub(super) const RING: u64 = 3 * 4096;

impl Machine {
    pub(super) fn suspend(
        &mut self,
        list: &Nvlist,
        directory: Option<BorrowedFd<'_>>,
        trouble: &Trouble,
    ) -> Result<(Builder, bool), Refused> {
        let name = text(list, "filename").filter(|name| {
            !name.is_empty() && name.len() <= 250 && !name.contains('/') && name != ".."
        });
        let name = name.ok_or(Refused("EINVAL", "filename"))?;
        let directory = directory.ok_or(Refused("EINVAL", "fddir"))?;
        let files = [format!("{name}.kern"), format!("{name}.meta")];
        let is_there = |file: &String| {
            rustix::fs::statat(directory, file.as_str(), AtFlags::SYMLINK_NOFOLLOW).is_ok()
        };
        if files.iter().any(is_there) {
            return Err(Refused("EEXIST", "filename"));
        }
        if let Trouble::Full(guest) = trouble {
            self.guest = *guest;
            return Err(Refused("ENOSPC", ".kern"));
        }
        if self.guest == Doing::Running {
            self.write(RING, 0xd1);
        }
        let [kern, text] = files;
        let written = create(Some(directory), &kern, &self.kern())
            .and_then(|()| create(Some(directory), &text, &meta()));
        written.map_err(|_| Refused("EIO", "filename"))?;
        self.guest = Doing::Suspended;
        Ok((Nvlist::builder(), false))
    }

    pub(super) fn resume(&mut self) -> Result<(Builder, bool), Refused> {
        if self.guest == Doing::Running {
            return Err(Refused("EALREADY", "guest"));
        }
        self.guest = Doing::Running;
        Ok((Nvlist::builder(), false))
    }

    pub(super) fn destroy(&mut self) -> Result<(Builder, bool), Refused> {
        if self.guest == Doing::Running {
            return Err(Refused("EBUSY", "guest"));
        }
        self.alive = false;
        Ok((Nvlist::builder(), false))
    }
}
