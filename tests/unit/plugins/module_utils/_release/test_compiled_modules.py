# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which compiled packages can be imported, and which failure is a fault."""

import subprocess
import sys

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import Result
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.site_files import Owner
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import compiled_modules
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.compiled_modules import (
    Failed,
)


@pytest.mark.parametrize(
    "files, modules",
    [
        (
            ["psycopg2/__init__.py", "psycopg2/_psycopg.cpython-312-x86_64-linux-gnu.so"],
            ["psycopg2"],
        ),
        (["ujson.cpython-36m-x86_64-linux-gnu.so"], ["ujson"]),
        (["_cffi_backend.abi3.so"], ["_cffi_backend"]),
        (["zope/interface/__init__.py", "zope/interface/_x.so"], ["zope.interface"]),
        (["ns/deep/_x.cpython-311-x86_64-linux-gnu.so"], ["ns.deep._x"]),
        (["pkg/__init__.py", "pkg/core/__init__.py", "pkg/core/_x.so"], ["pkg"]),
        (["flask/__init__.py", "flask/app.py"], []),
        (["numpy.libs/libopenblas-r0.so", "libfoo.so", "pkg/lib/libbar.so.1"], []),
        (["81d243bd2c585b0f4821__mypyc.cpython-311-x86_64-linux-gnu.so"], []),
        (["tests/_x.so", "pkg/tests/_x.so"], []),
    ],
)
def test_what_is_imported(files, modules):
    assert compiled_modules.modules_of(Owner("x", "1", tuple(files))) == modules


def python(path):
    def run(executable, arguments, timeout):
        # Not isolated, so that the test has modules of its own.
        words = [w for w in arguments if w != "-I"]
        done = subprocess.Popen(
            [executable, *words],
            env={"PYTHONPATH": str(path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = done.communicate()[0].decode()
        return Result(done.returncode, said)

    return run


def test_imports_go_on_after_one_that_fails_or_ends_the_interpreter(tmp_path):
    (tmp_path / "good.py").write_text("print('fleetops-import not json')")
    (tmp_path / "bad.py").write_text("raise KeyError('DISPLAY')")
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(0)")
    (tmp_path / "dies.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    (tmp_path / "broken.py").write_text(
        "import importlib.machinery as m, importlib.util as u\n"
        f"l = m.ExtensionFileLoader('broken', {str(tmp_path / 'broken.so')!r})\n"
        "u.module_from_spec(u.spec_from_loader('broken', l))\n"
    )
    (tmp_path / "broken.so").write_text("no object")
    names = ["bad", "broken", "dies", "good", "leaves", "gone"]
    failed = compiled_modules.try_imports(
        python(tmp_path), sys.executable, names, iter(range(99)).__next__
    )
    assert sorted(failed) == ["bad", "broken", "dies", "gone", "leaves"]
    assert failed["bad"] == Failed("KeyError: 'DISPLAY'")
    assert failed["broken"].extension.startswith("broken.so: ImportError: ")
    assert failed["dies"].crash
    assert "No module named 'gone'" in failed["gone"].error


def test_one_that_takes_too_long_is_ended_and_the_rest_is_tried(monkeypatch):
    answers = [
        Result(-14, 'fleetops-import ["begin", "a"]\n'),
        Result(0, 'fleetops-import ["begin", "b"]\nfleetops-import ["end", ""]\n'),
    ]
    asked = []

    def run(executable, arguments, timeout):
        asked.append(arguments[6:])
        return answers.pop(0)

    failed = compiled_modules.try_imports(run, "python", ["a", "b"], lambda: 0.0)
    assert failed["a"].late and not failed["a"].crash
    assert asked == [["a", "b"], ["b"]]


def test_time_is_bound():
    def run(executable, arguments, timeout):
        assert timeout <= 10
        return Result(None, 'fleetops-import ["begin", "a"]\n', "was ended")

    failed = compiled_modules.try_imports(run, "python", ["a", "b"], iter((0, 0, 10)).__next__, 10)
    assert failed["a"].late and failed["b"].late


def test_a_python_that_does_not_start_is_no_fault_of_the_packages():
    failed = compiled_modules.try_imports(lambda *_: Result(1, "oh"), "python", ["a"], lambda: 0.0)
    assert failed["a"].late


@pytest.mark.parametrize(
    "failure, live, verdict",
    [
        (Failed("e"), True, "fault"),
        (Failed("e", "x.so: undefined symbol"), True, "fault"),
        (Failed("e"), False, "none"),
        (Failed("e", "x.so: no libX11"), False, "none"),
        (Failed("e", crash=True), True, "fault"),
        (Failed("e", "x.so: undefined symbol"), None, "fault"),
        (Failed("e", crash=True), None, "fault"),
        (Failed("no display"), None, "look"),
        (Failed("late", late=True), True, "look"),
        (Failed("late", late=True), None, "look"),
    ],
)
def test_what_works_in_the_live_virtualenv_must_work_in_the_release(failure, live, verdict):
    faults, looks = compiled_modules.judge({"x": failure}, {"x": live})
    assert (bool(faults), bool(looks)) == (verdict == "fault", verdict == "look")


def test_the_refusal_names_package_module_and_way_out():
    why = compiled_modules.refusal(
        {"psycopg2": "_psycopg.so: ImportError: undefined\n symbol"},
        {"psycopg2": "psycopg2 2.8.6"},
        "3.12.1",
    )
    assert "psycopg2 (of psycopg2 2.8.6): _psycopg.so: ImportError: undefined symbol" in why
    assert "release_trust: [psycopg2]" in why and "Python 3.12.1" in why
