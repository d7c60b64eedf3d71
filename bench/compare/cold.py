"""Files that are on the disk and not in memory."""

import ctypes
import mmap
import os

from .outcome import NotMeasured

# A page or two may come back by themselves.
RESIDENT_SHARE_MAX = 0.01
_libc = ctypes.CDLL(None, use_errno=True)


def drop_from_cache(path):
    """Writes a file back and has the kernel forget its pages; raises NotMeasured where they stay."""
    if path is None or not os.path.exists(path):
        raise NotMeasured("where it keeps the blob is not known")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    share = resident_share(path)
    if share > RESIDENT_SHARE_MAX:
        raise NotMeasured(f"{share:.0%} of the blob stay in memory: is that a file system without a disk?")


def resident_share(path):
    """Which share of a file's pages is in memory, by mincore."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_WRITE,
                                             flags=mmap.MAP_PRIVATE) as pages:
        count = (len(pages) + mmap.PAGESIZE - 1) // mmap.PAGESIZE
        vector = (ctypes.c_ubyte * count)()
        start = ctypes.c_char.from_buffer(pages)
        failed = _libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(pages)), vector)
        del start
        if failed:
            raise OSError(ctypes.get_errno(), "mincore")
        return sum(page & 1 for page in vector) / count
