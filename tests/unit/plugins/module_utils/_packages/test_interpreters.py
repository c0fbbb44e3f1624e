# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Pythons are looked for, and which is taken."""

import fnmatch

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.interpreters import (
    Interpreter,
    Probed,
    find,
    matches,
    not_found,
    parse_probe,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.python_places import (
    patterns,
    told_by,
)


def python(path, version, venv=True, wheel="/w/pip.whl"):
    return Interpreter(path, version, "CPython", "linux", venv, wheel, {"python_version": "x"})


def look(wanted, files, have_uv=False, extra=(), search_path="/usr/bin", **environ):
    """``files``: path -> interpreter or why there is none."""
    places = patterns(wanted, told_by(dict(environ, PATH=search_path), ["/home/joe"]), extra)

    def probe(path):
        it = files.get(path)
        return Probed(it) if isinstance(it, Interpreter) else Probed(None, it or "")

    def glob(pattern):
        # As the shell does it, an asterisk stays within one directory.
        depth = pattern.count("/")
        return sorted(f for f in files if fnmatch.fnmatch(f, pattern) and f.count("/") == depth)

    return find(wanted, places, glob, probe, have_uv)


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/python3.11",
        "/usr/local/bin/python3.11",
        "/opt/python3.11/bin/python3.11",
        "/opt/acme/bin/python3.11",
        "/home/joe/.pyenv/versions/3.11.7/bin/python3.11",
        "/opt/pyenv/versions/3.11.7/bin/python3.11",
        "/home/joe/.local/share/uv/python/cpython-3.11.9-linux-x86_64-gnu/bin/python3.11",
        "/opt/uv/python/cpython-3.11.9-linux-x86_64-gnu/bin/python3.11",
        "/usr/bin/python3",
    ],
)
def test_every_usual_place(path):
    assert look("3.11", {path: python(path, "3.11.7")}).interpreter.executable == path


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"PYENV_ROOT": "/data/pyenv"}, "/data/pyenv/versions/3.11.7"),
        ({"search_path": "/bin:/data/pyenv/shims/"}, "/data/pyenv/versions/3.11.7"),
        ({"search_path": "/data/asdf/shims:/bin"}, "/data/asdf/installs/python/3.11.7"),
        ({"UV_PYTHON_INSTALL_DIR": "/data/uv"}, "/data/uv/cpython-3.11.9-linux-x86_64-gnu"),
        ({"XDG_DATA_HOME": "/data"}, "/data/uv/python/cpython-3.11.9-linux-x86_64-gnu"),
    ],
)
def test_where_the_environment_leads(environ, path):
    path += "/bin/python3.11"
    files = {path: python(path, "3.11.7")}
    assert look("3.11", files, **environ).interpreter
    assert not look("3.11", files).interpreter


def test_a_relative_place_is_none():
    told = told_by({"PATH": "bin:./shims", "PYENV_ROOT": "p", "UV_PYTHON_INSTALL_DIR": "u"}, [])
    assert told == (("/usr/local/bin", "/usr/bin"), (), (), ())


def test_the_newest_patch_of_one_place_is_taken_by_number():
    files = {}
    for patch in ("9", "10", "2"):
        path = f"/opt/pyenv/versions/3.11.{patch}/bin/python3.11"
        files[path] = python(path, "3.11." + patch)
    assert look("3.11", files).interpreter.version == "3.11.10"


def test_an_exact_version_is_met_exactly():
    files = {
        "/usr/bin/python3.11": python("/usr/bin/python3.11", "3.11.2"),
        "/opt/pyenv/versions/3.11.7/bin/python3.11": python("/opt/x", "3.11.7"),
    }
    assert look("3.11.7", files).interpreter.version == "3.11.7"


def test_3_1_is_not_3_11():
    assert matches("3.11.7", "3.11")
    assert not matches("3.11.7", "3.1")
    path = "/usr/bin/python3"
    assert look("3.1", {path: python(path, "3.11.7")}).interpreter is None


def test_what_the_operator_names_comes_first():
    files = {
        "/usr/bin/python3.11": python("/usr/bin/python3.11", "3.11.2"),
        "/data/py/bin/python3.11": python("/data/py/bin/python3.11", "3.11.9"),
    }
    for extra in ("/data/py", "/data/py/bin", "/data/py/bin/python3.11"):
        assert look("3.11", files, extra=[extra]).interpreter.version == "3.11.9"


@pytest.mark.parametrize("shims", ["/home/joe/.pyenv/shims", "/data/pyenv/shims"])
def test_a_shim_is_not_asked(shims):
    path = shims + "/python3.11"
    found = look("3.11", {path: python(path, "3.11.7")}, search_path=shims)
    assert found.interpreter is None


def test_debians_python_without_its_venv_package():
    path = "/usr/bin/python3.11"
    bare = {path: python(path, "3.11.2", wheel="")}
    assert look("3.11", bare, have_uv=True).interpreter is not None
    found = look("3.11", bare)
    assert found.interpreter is None
    assert "apt install python3.11-venv" in not_found("3.11", found)


def test_uv_does_not_help_an_old_python_without_pip():
    path = "/usr/bin/python3.7"
    assert look("3.7", {path: python(path, "3.7.3", wheel="")}, have_uv=True).interpreter is None


def test_one_that_cannot_be_used_does_not_hide_one_that_can():
    files = {
        "/usr/local/bin/python3.11": "cannot be run by uid 33 (Permission denied)",
        "/usr/bin/python3.11": python("/usr/bin/python3.11", "3.11.2"),
    }
    found = look("3.11", files, search_path="/usr/local/bin:/usr/bin")
    assert found.interpreter.executable == "/usr/bin/python3.11"
    assert found.refused == (
        "/usr/local/bin/python3.11: cannot be run by uid 33 (Permission denied)",
    )


def test_not_found_says_where_it_looked():
    text = not_found("3.11", look("3.11", {}))
    assert "Python 3.11 was not found" in text
    for place in ("/usr/bin", "/opt/python*/bin", "/home/joe/.pyenv/versions/3.11.*/bin"):
        assert place in text
    assert "release_python_provider" in text


def test_an_absolute_path_is_taken_at_its_word():
    path = "/data/my-interpreter"
    assert look(path, {path: python(path, "3.12.1")}).interpreter.version == "3.12.1"
    assert "/data/gone is no usable Python" in not_found("/data/gone", look("/data/gone", {}))


@pytest.mark.parametrize("bad", ["", "python3", "3.11.7.1", "bin/python", "three"])
def test_neither_version_nor_path(bad):
    with pytest.raises(FleetError, match="a version such as 3.11"):
        look(bad, {})


def answer(**kwargs):
    base = {
        "version": "3.6.15",
        "implementation": "CPython",
        "executable": "/opt/py/bin/python3.6",
        "prefix": "/opt/py",
        "base_prefix": "/opt/py",
        "base_executable": None,
        "platform": "linux",
        "libc": "glibc-2.36",
        "venv": True,
        "pip_wheel": None,
        "markers": {},
    }
    return dict(base, **kwargs)


@pytest.mark.parametrize("inner", [None, "/srv/app/venv/bin/python", "/opt/py/bin/python3.6"])
def test_a_virtualenvs_python_stands_for_the_one_it_was_made_from(inner):
    it = parse_probe(
        answer(executable="/srv/app/venv/bin/python", prefix="/srv/app/venv", base_executable=inner)
    )
    assert it.executable == "/opt/py/bin/python3.6"
