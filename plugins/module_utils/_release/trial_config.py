# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration file of a trial: the program's own, kept away from what is live.

The command line can take back an address or a pid file of the configuration file, but neither the
handlers of a ``logconfig_dict`` nor a ``statsd_host``. So the trial's gunicorn is given a file that
loads the program's own as gunicorn would, and then lets go of what another process writes to:

- every file handler of ``logging``, gunicorn's and the application's, writes into the scratch
  directory of the trial. A trial would otherwise write into the live log, or rotate it under the
  live gunicorn's hands. Where the real one could not be opened, this one is not either.
- nothing is sent to statsd or syslog.
"""

import os
from typing import List, Optional, Sequence, Tuple

NAME = "gunicorn_trial.py"
LOGS = "logs"

_SHORT, _LONG, _SHORTEST = "-c", "--config", "--conf"

# Runs in the application's Python, whichever that is.
_TEXT = """\
def _trial(location, logs, multiproc):
    # Names of its own: the program's file may call anything "os" or "logging".
    import errno
    import importlib.machinery
    import importlib.util
    import itertools
    import logging
    import os
    import sys

    def load():
        # As gunicorn does it.
        if location.startswith("python:"):
            __import__(location[len("python:"):])
            return vars(sys.modules[location[len("python:"):]])
        path = location[len("file:"):] if location.startswith("file:") else location
        if not path and os.path.exists("gunicorn.conf.py"):
            path = "gunicorn.conf.py"
        if not path:
            return dict()
        if not os.path.exists(path):
            raise RuntimeError("%r doesn't exist" % path)
        loader = None
        if os.path.splitext(path)[1] not in (".py", ".pyc"):
            loader = importlib.machinery.SourceFileLoader("__config__", path)
        spec = importlib.util.spec_from_file_location("__config__", path, loader=loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules["__config__"] = module
        spec.loader.exec_module(module)
        return vars(module)

    def refusal(path):
        # What opening the real log would have ended with.
        if os.path.isdir(path):
            return errno.EISDIR
        if os.path.exists(path):
            return 0 if os.access(path, os.W_OK) else errno.EACCES
        if not os.path.isdir(os.path.dirname(path)):
            return errno.ENOENT
        return 0 if os.access(os.path.dirname(path), os.W_OK) else errno.EACCES

    real = logging.FileHandler.__init__
    numbers = itertools.count()

    def elsewhere(self, filename, *words, **options):
        path = os.path.abspath(os.fspath(filename))
        if path.startswith("/dev/"):
            return real(self, filename, *words, **options)
        delayed = options.get("delay", words[2] if len(words) > 2 else False)
        number = 0 if delayed else refusal(path)
        if number:
            raise OSError(number, os.strerror(number), path)
        name = "%d-%d-%s" % (os.getpid(), next(numbers), os.path.basename(path)[-60:])
        return real(self, os.path.join(logs, name), *words, **options)

    logging.FileHandler.__init__ = elsewhere
    names = dict((k, v) for k, v in load().items() if not k.startswith("__"))
    names.update(statsd_host=None, syslog=False)
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        if os.environ.get(name):
            os.environ[name] = multiproc
        if isinstance(names.get("raw_env"), (list, tuple)):
            names["raw_env"] = [
                name + "=" + multiproc if str(each).startswith(name + "=") else each
                for each in names["raw_env"]
            ]
    return names


globals().update(_trial({location!r}, {logs!r}, {multiproc!r}))
"""


def split_config(arguments: Sequence[str]) -> Tuple[Optional[str], List[str]]:
    """(the configuration file that gunicorn's arguments name, the arguments without it)."""
    found: Optional[str] = None
    kept: List[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            kept += [word] + words
            break
        if word == _SHORT or (_LONG.startswith(word) and word.startswith(_SHORTEST)):
            # As argparse does it: the last one counts.
            found = words.pop(0) if words else found
        elif equals and _LONG.startswith(name) and name.startswith(_SHORTEST):
            found = value
        elif word.startswith(_SHORT) and not word.startswith("--"):
            found = word[len(_SHORT) :].partition("=")[2] if word[2] == "=" else word[2:]
        else:
            kept.append(word)
    return found, kept


def trial_config(location: str, scratch: str) -> str:
    """The text of the trial's configuration file; ``location`` is what ``-c`` said, if anything."""
    return _TEXT.format(location=location, logs=os.path.join(scratch, LOGS), multiproc=scratch)
