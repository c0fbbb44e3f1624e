# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look of the whole core in a process of its own, on any Python: look.py LOG [find]."""

import json
import re
import sys
import time


def peak():
    """MiB at most so far, of this process alone (what a parent held before exec does not count)."""
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1024


if __name__ == "__main__" and len(sys.argv) > 1:
    from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.check import Request, look
    from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Window

    request = Request([sys.argv[1]], Window(), "", {}, (), 10, "", False)
    found = look(request, time.time(), use_ctypes=sys.argv[2:] != ["find"])
    print(json.dumps({"counts": found["counts"], "peak": peak()}))
elif __name__ == "__main__":
    print(json.dumps({"counts": {}, "peak": peak()}))
