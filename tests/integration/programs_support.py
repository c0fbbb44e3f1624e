# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that runs from the virtualenv beside gunicorn, and writes down from which release."""

# Like a celery worker: it loops, ends by TERM when what it is at is done, and imports the release.
LOOP = """
import json, os, signal, sys, time
import gunicorn

home = os.path.dirname(os.path.abspath(__file__))
name = sys.argv[1]


def say(what):
    line = {"what": what, "name": name, "pid": os.getpid(), "gunicorn": gunicorn.__version__,
            "at": time.time(), "link": os.path.basename(os.path.realpath(home + "/venv"))}
    with open(home + "/loop.jsonl", "a") as file:
        file.write(json.dumps(line) + "\\n")


def end(signum, frame):
    time.sleep(float(os.environ.get("WARM", "0")))
    say("end")
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
say("begin")
trouble = os.path.join(home, "trouble-%s-%s" % (name, gunicorn.__version__))
if os.path.exists(trouble):
    with open(trouble) as file:
        time.sleep(float(file.read()))
    sys.stderr.write("RuntimeError: the queue of api_key=hunter2 is not there\\n")
    sys.exit(3)
while True:
    time.sleep(0.1)
"""
