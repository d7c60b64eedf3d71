"""The directory that a run works in."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile


@contextlib.contextmanager
def workspace(prefix, parent):
    """A new directory, removed at the end, also after a signal."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    work = tempfile.mkdtemp(prefix=prefix, dir=parent)
    os.chmod(work, 0o755)  # nginx's workers run as another user.
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
