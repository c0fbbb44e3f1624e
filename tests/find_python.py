# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For scripts: ``python -m tests.find_python 3.6`` prints the path of one, or ends with 1.

Without a version it prints which ones there are, the oldest first.
"""

import sys

from demo import pythons

if __name__ == "__main__":
    if len(sys.argv) > 1:
        found = pythons.look(sys.argv[1])
        if found is None:
            sys.exit(1)
        print(found.executable)
    else:
        print(*(python.short for python in pythons.every()), sep="\n")
