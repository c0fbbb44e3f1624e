# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The application of the demo fleet. Runs on Python 3.6 with Flask 2.0 and on what is new."""

import os
import platform
import time

import gunicorn
from flask import Flask, jsonify, request

app = Flask(__name__)

LONGEST = 10.0


def who():
    return {
        "host": os.environ.get("DEMO_HOST", platform.node()),
        "python": platform.python_version(),
        "gunicorn": gunicorn.__version__,
        "arbiter_pid": os.getppid(),
        "worker_pid": os.getpid(),
    }


@app.route("/healthz")
def healthz():
    return "ok\n"


@app.route("/lb")
def lb():
    """The page for a balancer that only asks: it fails while the file is there."""
    if os.path.exists("maintenance"):
        return "in maintenance\n", 503
    return "ok\n"


@app.route("/version")
def version():
    return jsonify(who())


@app.route("/")
def index():
    return jsonify(who())


@app.route("/slow")
def slow():
    """Answers after ``s`` seconds: the request that a careless restart cuts off."""
    seconds = min(max(request.args.get("s", 2.5, type=float), 0.0), LONGEST)
    time.sleep(seconds)
    return jsonify(dict(who(), slept=seconds))
