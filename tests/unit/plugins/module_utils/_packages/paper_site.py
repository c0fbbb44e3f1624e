# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtualenvs of paper, with packages that list their files as installers do."""

import os


def make_site(venv, python="3.11"):
    site = venv / "lib" / ("python" + python) / "site-packages"
    site.mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {python}.1\n")
    return site


def write(site, path, text=""):
    target = site / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text if isinstance(text, bytes) else text.encode())
    return target


def wheel(site, name, version, files, requires=(), requires_python="", extra=""):
    """As pip installs a wheel."""
    for path, text in files.items():
        write(site, path, text)
    info = "{}-{}.dist-info".format(name.replace("-", "_"), version)
    lines = ["Metadata-Version: 2.1", "Name: " + name, "Version: " + version]
    lines += ["Requires-Dist: " + each for each in requires]
    lines += ["Requires-Python: " + requires_python] if requires_python else []
    write(site, info + "/METADATA", "\n".join(lines) + "\n")
    write(site, info + "/INSTALLER", "pip\n")
    listed = list(files) + [info + "/METADATA", info + "/INSTALLER", info + "/RECORD"]
    listed += ["../../../bin/" + name, "__pycache__/x.cpython-311.pyc"]
    write(site, info + "/RECORD", "".join(f'"{path}",,\n' for path in listed) + extra)


def setup_py(site, name, version, files):
    """As an old pip installs an sdist without wheel."""
    for path, text in files.items():
        write(site, path, text)
    info = "{}-{}-py3.6.egg-info".format(name.replace("-", "_"), version)
    write(site, info + "/PKG-INFO", f"Metadata-Version: 1.1\nName: {name}\nVersion: {version}\n")
    write(site, info + "/top_level.txt", "\n".join({p.split("/")[0] for p in files}) + "\n")
    listed = [os.path.join("..", path) for path in files] + ["PKG-INFO", "top_level.txt"]
    write(site, info + "/installed-files.txt", "\n".join(listed) + "\n")
