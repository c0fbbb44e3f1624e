# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Import every package of a release that has compiled modules, without the application.

Such a package may build and yet not be loaded by a newer Python, and an application that imports
it late would boot and fail with its first request.

An import runs a stranger's code, and may fail for good reasons (no display, no uWSGI around it).
So it is done as the application's user, isolated from the environment's Python settings, with a
bound in time, and what fails is judged by the live virtualenv: what can be imported there must be
here. Of what is not there, only a compiled module that cannot be loaded is a fault.
"""

import json
import os
import re
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import Result
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.site_files import Owner

EACH = 60
ALL = 300.0
MAX_MODULES = 200
MAX_TEXT = 300
MARK = "fleetops-import "

_EXTENSION = re.compile(r"^([A-Za-z_]\w*)(\.(cpython|cp|pypy|abi)[\w.-]*)?\.so$")
_SKIP = re.compile(r"(^|/)(tests?|examples?|docs)(/|$)|^[^/]+\.(libs|dylibs|dist-info|egg-info)/")

# Plain enough for any Python. Says what it begins, so that a crash is known by its name.
_SCRIPT = r"""
import importlib, json, os, signal, sys
from importlib.machinery import ExtensionFileLoader
mark, each, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
out, broken = os.dup(1), []
def say(*what):
    os.write(out, ("\n" + mark + json.dumps(what) + "\n").encode())
def watched(original):
    def load(self, what):
        try:
            return original(self, what)
        except BaseException as exc:
            broken.append([str(self.path), "%s: %s" % (type(exc).__name__, exc)])
            raise
    return load
for method in ("create_module", "exec_module"):
    setattr(ExtensionFileLoader, method, watched(getattr(ExtensionFileLoader, method)))
for name in names:
    del broken[:]
    say("begin", name)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(each)
    try:
        importlib.import_module(name)
    except BaseException as exc:
        say("failed", name, ("%s: %s" % (type(exc).__name__, exc))[:300], broken[:1])
    else:
        say("done", name)
    signal.alarm(0)
say("end", "")
os._exit(0)
"""


class Failed(NamedTuple):
    """An import that did not succeed."""

    error: str
    # The compiled module that could not be loaded, if that was it: path and error.
    extension: str = ""
    # It took too long: nothing is known.
    late: bool = False
    # The interpreter died of it.
    crash: bool = False


def modules_of(owner: Owner) -> List[str]:
    """What to import so that the compiled modules of a package are needed."""
    files = owner.files or ()
    packages = {p[: -len("/__init__.py")] for p in files if p.endswith("/__init__.py")}
    found = []
    for path in files:
        top, _slash, name = path.rpartition("/")
        match = _EXTENSION.match(name)
        if not match or _SKIP.search(path) or (name.startswith("lib") and not match.group(2)):
            continue
        parts = top.split("/") if top else []
        if not all(part.isidentifier() for part in parts):
            continue
        heads = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        first = next((head for head in heads if head in packages), "")
        found.append((first or "/".join([*parts, match.group(1)])).replace("/", "."))
    return sorted(set(found))


# (python, arguments) -> how it ended
Run = Callable[[str, List[str], float], Result]


def try_imports(
    run: Run, python: str, names: Sequence[str], clock: Callable[[], float], patience: float = ALL
) -> Dict[str, Failed]:
    """Import modules; what failed. After one that ends the interpreter it goes on with the next."""
    failed: Dict[str, Failed] = {}
    left = list(names)
    deadline = clock() + patience
    while left:
        budget = deadline - clock()
        if budget <= 1:
            failed.update({name: Failed("there was no time left", late=True) for name in left})
            break
        argv = ["-I", "-B", "-c", _SCRIPT, MARK, str(EACH), *left]
        result = run(python, argv, budget)
        last, ended = read_answer(result.output, failed)
        if ended:
            break
        if last not in left:
            # It cannot even begin: the import test of gunicorn says more.
            failed.update({name: Failed(result.error or "not tried", late=True) for name in left})
            break
        if last not in failed:
            late = result.status in (None, -14)
            status = f"took more than {EACH} s" if late else f"ended Python ({result.status})"
            failed[last] = Failed(status, late=late, crash=not late)
        left = left[left.index(last) + 1 :]
    return failed


def read_answer(output: str, failed: Dict[str, Failed]) -> Tuple[str, bool]:
    """(the module it came to, whether it came to the end); failures are put into ``failed``."""
    last = ""
    for line in output.splitlines():
        if not line.startswith(MARK):
            continue
        try:
            kind, name, *more = json.loads(line[len(MARK) :])
        except ValueError:
            continue
        if kind == "end":
            return last, True
        last = str(name)
        if kind == "failed":
            broken = more[1][0] if len(more) > 1 and more[1] else None
            extension = f"{os.path.basename(broken[0])}: {broken[1]}"[:MAX_TEXT] if broken else ""
            failed[last] = Failed(str(more[0])[:MAX_TEXT], extension)
    return last, False


def judge(
    failed: Mapping[str, Failed], live: Mapping[str, Optional[bool]]
) -> Tuple[Dict[str, str], Dict[str, str]]:
    """(faults, what deserves a look): module -> why.

    ``live``: whether the module can be imported in the live virtualenv; None if it has no such
    package.
    """
    faults: Dict[str, str] = {}
    looks: Dict[str, str] = {}
    for name, each in failed.items():
        why = each.extension or each.error
        if each.late:
            looks[name] = why
        elif live.get(name) or (live.get(name) is None and (each.extension or each.crash)):
            faults[name] = why
        elif live.get(name) is None:
            looks[name] = why
    return faults, looks


def refusal(faults: Mapping[str, str], packages: Mapping[str, str], python: str) -> str:
    """What the operator is told; ``packages``: module -> the distribution it is of."""
    told = [
        f"{name} (of {packages[name]}): {' '.join(faults[name].split())}"
        for name in sorted(faults)[:6]
    ]
    names = ", ".join(dict.fromkeys(packages[name].split(" ")[0] for name in sorted(faults)))
    return (
        f"import test: what is compiled of these cannot be loaded by Python {python}, though it "
        "could be installed:\n" + "\n".join(told) + "\nGive the stage a requirements file with "
        f"versions of {names} that suit Python {python}; or, if the application does without, "
        f"release_trust: [{names}]."
    )
