"""Which tests CI runs, and in which order: the costly files first, so that both end together.

``nightly.txt`` lists what is too long for CI, ``cost.txt`` what each file costs in CPU seconds
(``make costs`` writes it anew). A plugin of pytest, loaded by ``conftest.py``.
"""

from __future__ import annotations

import os
import resource
from collections import defaultdict
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
NIGHTLY, COST = HERE / "nightly.txt", HERE / "cost.txt"


def lines(text: str) -> list[str]:
    """The lines that say something."""
    return [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]


def chosen(names: Iterable[str], patterns: Iterable[str]) -> dict[str, str | None]:
    """For each test the pattern that puts it off, or None; a pattern is the begin of a name."""
    wanted = list(patterns)
    return {
        name: next((pattern for pattern in wanted if name.startswith(pattern)), None)
        for name in names
    }


def costs(text: str) -> dict[str, float]:
    """CPU seconds by file; ``12.3 test_x.py`` on each line."""
    found = (line.split(maxsplit=1) for line in lines(text))
    return {name: float(seconds) for seconds, name in found}


def _name(item: pytest.Item) -> str:
    return item.nodeid.removeprefix("tests/integration/")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    patterns = lines(NIGHTLY.read_text())
    why = chosen(map(_name, ours), patterns)
    for item in ours:
        if why[_name(item)] is not None:
            item.add_marker(pytest.mark.nightly)
    whole = config.invocation_params.args and str(HERE.relative_to(config.rootpath)) in map(
        str, config.invocation_params.args
    )
    unused = sorted(set(patterns) - {pattern for pattern in why.values() if pattern})
    if whole and unused:
        raise pytest.UsageError(f"{NIGHTLY.name} names tests that there are not: {unused}")
    weight = costs(COST.read_text()) if COST.exists() else {}
    # A file that nobody has weighed yet may be a heavy one. The sort is stable.
    items.sort(key=lambda item: -weight.get(_name(item).partition("::")[0], float("inf")))


_spent: dict[str, float] = defaultdict(float)


def _cpu() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """CPU and not time: it is the same on a busy machine."""
    before = _cpu()
    try:
        return (yield)
    finally:
        _spent[_name(item)] += _cpu() - before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What is left out on a machine of somebody's is a failure in CI, whatever it was for."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"left out, and in CI nothing may be: {report.longrepr}"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With ``WEIGH=FILE`` each worker adds what its tests cost."""
    place = os.environ.get("WEIGH")
    if place:
        with open(place, "a", encoding="utf-8") as file:
            file.writelines(f"{seconds:.1f} {name}\n" for name, seconds in _spent.items())
