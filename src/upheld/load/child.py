"""``python -m upheld.load.child ARGS``: what ``python -m locust ARGS`` is, in a process that does not outlive its parent.

Through Locust's own command line rather than its library, so that exit, signals, web interface and workers are Locust's; through
this module rather than ``-m locust``, so that nothing has to run between fork and exec in a parent that has threads.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel end this process when ``parent`` is gone (Linux; elsewhere the caller's own clean-up has to do)."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It went before we asked.
        os._exit(1)


if __name__ == "__main__":
    die_with(int(os.environ.pop("UPHELD_LOAD_PARENT", os.getppid())))
    runpy.run_module("locust", run_name="__main__", alter_sys=True)
