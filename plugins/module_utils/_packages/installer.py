# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""uv and pip behind one face: the command, its environment, and what its failure means.

Both are run so that the same requirements give the same packages. Index URLs go by
environment, never by argument: an argument can be read by every user of the host.
"""

import configparser
import re
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import key, parse
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    redact,
    same_version,
    version_tuple,
)

# The last pip for Python 3.6; the 18.1 that Python carries takes wheels it should not.
PIP_FOR_36 = "21.3.1"
MAX_LINES = 8
MAX_CHARACTERS = 1500

# Requires-Python of gunicorn, from its metadata: first version -> oldest Python.
_FLOORS = (((24,), (3, 10)), ((22,), (3, 7)), ((20, 1), (3, 5)), ((20,), (3, 4)))


class Source(NamedTuple):
    """Where packages come from; empty fields leave it to the host's configuration."""

    index_url: str = ""
    extra_index_urls: Tuple[str, ...] = ()
    wheelhouse: str = ""


def choose(wanted: str, uv: str, python: str, pip_only: bool, pip_wheel: str) -> str:
    """``uv`` or ``pip``."""
    old = version_tuple(python) < (3, 8)
    if wanted == "uv":
        if not uv:
            raise FleetError(
                "installer: uv was asked for and is not on this host (looked on PATH, beside "
                "Ansible's Python, in /usr/local/bin, ~/.local/bin and ~/.cargo/bin). Install it, "
                "or set release_installer to auto or pip."
            )
        if old:
            raise FleetError(
                f"installer: uv was asked for, but it does not support Python {python}; set "
                "release_installer to auto or pip."
            )
        if pip_only:
            raise FleetError(
                "installer: the requirements use an option that only pip knows; set "
                "release_installer to auto or pip."
            )
        return "uv"
    if wanted == "auto" and uv and not old and not pip_only:
        return "uv"
    if not pip_wheel:
        raise FleetError(
            "Python {} brings no pip (ensurepip is missing) and uv cannot be used here. Debian "
            "and Ubuntu: apt install python{}-venv.".format(python, ".".join(python.split(".")[:2]))
        )
    return "pip"


def check_python(gunicorn: str, python: str) -> None:
    """Refuse a pair that gunicorn's own metadata refuses, before anything is fetched."""
    for first, floor in _FLOORS:
        if version_tuple(gunicorn) >= first:
            if version_tuple(python) < floor:
                raise FleetError(
                    "gunicorn {} needs Python {} or newer, and the stage has Python {}. Give the "
                    "stage a newer python, or an older gunicorn.".format(
                        gunicorn, ".".join(map(str, floor)), python
                    )
                )
            return


def install_command(
    installer: str,
    python: str,
    requirements: str,
    constraints: str,
    hashed: bool,
    source: Source,
    uv: str = "",
    local: bool = False,
) -> List[str]:
    """The command that fills a virtualenv. Byte-compiling is done apart, for both alike.

    ``local``: the requirements name files or directories of the host.
    """
    if installer == "uv":
        command = [uv, "pip", "install", "--python", python, "--link-mode", "copy"]
        command += ["--no-compile", "--no-progress", "--color", "never", "--no-python-downloads"]
        if local or source.wheelhouse:
            # Its cache knows a file by its name, and would give what lay there before.
            command.append("--no-cache")
    else:
        command = [python, "-m", "pip", "install", "--no-compile", "--use-pep517"]
        command += ["--no-warn-script-location", "--progress-bar", "off", "--no-input"]
    if hashed:
        command.append("--require-hashes")
    if source.wheelhouse:
        command += ["--no-index", "--find-links", source.wheelhouse]
    if constraints:
        command += ["-c", constraints]
    return command + ["-r", requirements]


def wheel_command(
    python: str, requirements: str, constraints: str, hashed: bool, directory: str
) -> List[str]:
    """The command that fills a wheelhouse (uv has none for it)."""
    command = [python, "-m", "pip", "wheel", "--use-pep517", "--progress-bar", "off"]
    command += ["--no-input", "--wheel-dir", directory]
    if hashed:
        command.append("--require-hashes")
    if constraints:
        command += ["-c", constraints]
    return command + ["-r", requirements]


# What would make an installer work on another place than the release, or on another text.
_UNSET = (
    "PIP_CONSTRAINT",
    "PIP_PREFIX",
    "PIP_PYTHON",
    "PIP_REQUIREMENT",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_NO_COMPILE",
    "PIP_REPORT",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "SOURCE_DATE_EPOCH",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_COMPILE_BYTECODE",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
)


def install_environment(
    environment: Mapping[str, str], source: Source, pip_config: Mapping[str, str]
) -> Dict[str, str]:
    """The environment of an installer.

    uv does not read pip's configuration, and there the company's mirror stands:
    ``pip_config`` (see `read_pip_config`) is translated for it.
    """
    env = {key: value for key, value in environment.items() if key not in _UNSET}
    env.update(
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_INPUT="1",
        PIP_USER="0",
        # pip takes the best of all indexes; uv, left alone, the first that knows the name.
        UV_INDEX_STRATEGY="unsafe-best-match",
        UV_NO_PROGRESS="1",
        PYTHONNOUSERSITE="1",
        LC_ALL="C.UTF-8",
    )
    if env.get("PIP_RETRIES") == "0":
        # Without a retry pip says nothing of an index that is down but "no such version".
        env["PIP_RETRIES"] = "1"
    if source.wheelhouse:
        for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
            env.pop(name, None)
        for name in ("UV_INDEX", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL"):
            env.pop(name, None)
        env.pop("UV_FIND_LINKS", None)
        # pip's configuration may name further places; offline means this directory alone.
        env["PIP_CONFIG_FILE"] = "/dev/null"
        return env
    if source.index_url:
        env["PIP_INDEX_URL"] = env["UV_INDEX_URL"] = source.index_url
        env.pop("UV_DEFAULT_INDEX", None)
        # An index given for the fleet replaces the host's, further ones included.
        for name in ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX"):
            env.pop(name, None)
        env["PIP_EXTRA_INDEX_URL"] = ""
    elif not any(name in env for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX")):
        index = env.get("PIP_INDEX_URL") or pip_config.get("index-url", "")
        if index:
            env["UV_INDEX_URL"] = index
    if source.extra_index_urls:
        env["PIP_EXTRA_INDEX_URL"] = env["UV_EXTRA_INDEX_URL"] = " ".join(source.extra_index_urls)
        env.pop("UV_INDEX", None)
    elif not source.index_url and not any(n in env for n in ("UV_EXTRA_INDEX_URL", "UV_INDEX")):
        extra = env.get("PIP_EXTRA_INDEX_URL") or pip_config.get("extra-index-url", "")
        if extra:
            env["UV_EXTRA_INDEX_URL"] = " ".join(extra.split())
    links = env.get("PIP_FIND_LINKS") or pip_config.get("find-links", "")
    if links and "UV_FIND_LINKS" not in env:
        env["UV_FIND_LINKS"] = ",".join(links.split())
    trusted = env.get("PIP_TRUSTED_HOST") or pip_config.get("trusted-host", "")
    if trusted and "UV_INSECURE_HOST" not in env:
        env["UV_INSECURE_HOST"] = " ".join(trusted.split())
    cert = env.get("PIP_CERT") or pip_config.get("cert", "")
    if cert and "SSL_CERT_FILE" not in env:
        env["SSL_CERT_FILE"] = cert
    return env


def read_pip_config(texts: Sequence[str]) -> Dict[str, str]:
    """The settings of pip's configuration files that uv must be told; later files win."""
    wanted = ("index-url", "extra-index-url", "find-links", "trusted-host", "cert")
    found: Dict[str, str] = {}
    for text in texts:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                for key, value in parser.items(section):
                    name = key.replace("_", "-")
                    if name in wanted:
                        found[name] = value
    return found


def _bounded(lines: Sequence[str]) -> str:
    text = "\n".join(line.rstrip()[:300] for line in lines[:MAX_LINES])
    return redact(text)[:MAX_CHARACTERS]


def nearest(version: str, existing: Sequence[str], count: int = 2) -> List[str]:
    """The existing versions around one that does not exist."""
    ordered = sorted({v for v in existing if parse(v)}, key=key)
    below = [v for v in ordered if key(v) < key(version)]
    above = [v for v in ordered if key(v) > key(version)]
    return below[-count:] + above[:count]


def versions_in(output: str, package: str = "gunicorn") -> List[str]:
    """The versions that pip's output lists for a package."""
    match = re.search(
        rf"requirement {re.escape(package)}(?:\[[^\]]*\])?==\S+ \(from versions: ([^)]*)\)",
        output,
    )
    names = match.group(1).split(",") if match else []
    return [name.strip() for name in names if name.strip() not in ("", "none")]


class Failure(NamedTuple):
    """What went wrong, and whether other pins could change it."""

    text: str
    pins: bool


_UNREACHABLE = (
    "Failed to establish a new connection",
    "Connection refused",
    "connection broken by",
    "error sending request",
    "client error (Connect)",
    "dns error",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Max retries exceeded",
    "timed out",
    "operation timed out",
    "Could not fetch URL",
    "certificate verify failed",
    "invalid peer certificate",
)


def explain(
    output: str,
    gunicorn: str,
    python: str,
    source: Source,
    existing: Optional[Sequence[str]] = None,
) -> Failure:
    """Turn an installer's output into what an operator can act on.

    ``existing``: versions of gunicorn that are known to exist, if the output (uv's)
    does not list them.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    place = "the wheelhouse " + source.wheelhouse if source.wheelhouse else "the package index"
    if "No space left on device" in output or "os error 28" in output:
        return Failure("the disk filled up while packages were being installed", False)
    if "Disk quota exceeded" in output:
        return Failure("the disk quota ran out while packages were being installed", False)
    if "DO NOT MATCH THE HASHES" in output or "Hash mismatch" in output:
        picked = _after(lines, r"DO NOT MATCH THE HASHES|Hash mismatch", 7)
        return Failure(
            f"hash mismatch: what {place} serves is not what the requirements promise. Do not go "
            "on "
            f"before it is known why.\n{_bounded(picked)}",
            False,
        )
    if re.search(r"--require-hashes`? mode|Hash-checking is required", output):
        missing = re.findall(r"(?m)^\s+([A-Za-z0-9._\[\]-]+==\S+)(?: --hash=\S+)?\s*$", output)
        missing += re.findall(r"provided\s+for:\s+`?([^\s`]+)", output)
        return Failure(
            "hashes are required, and some requirements have none: {}. Every package, those that "
            "others ask for included, needs a pin with a hash (`pip-compile "
            "--generate-hashes`).".format(
                ", ".join(missing[:10]) or _bounded(_after(lines, r"--require-hashes", 3))
            ),
            False,
        )
    if any(sign in output for sign in _UNREACHABLE) and not source.wheelhouse:
        picked = [ln for ln in lines if any(s in ln for s in _UNREACHABLE)]
        return Failure(f"{place} cannot be reached from this host:\n{_bounded(picked[:3])}", False)
    if re.search(
        r"\b40[13] (Client Error|Error|Unauthorized|Forbidden)|HTTP error 40[13]|"
        r"\b(Unauthorized|Forbidden)\b|User for ",
        output,
    ):
        picked = [ln for ln in lines if re.search(r"40[13]|Unauthorized|Forbidden|User for", ln)]
        return Failure(
            f"{place} refuses the credentials (or wants some):\n{_bounded(picked[:3])}",
            False,
        )
    no_gunicorn = re.search(
        r"No matching distribution found for gunicorn"
        r"|there is no version of gunicorn(\[[^\]]*\])?=="
        r"|gunicorn(\[[^\]]*\])? was not found in",
        output,
    )
    if no_gunicorn:
        return Failure(_no_such_gunicorn(output, gunicorn, python, place, existing), False)
    match = re.search(
        r"(?:satisfy|satisfies) Python(\S+) and (\S+?)(?:==\S+)? depends on Python(\S+?),", output
    ) or re.search(r"Package '?([^' ]+)'? requires a different Python", output)
    if match:
        picked = [ln for ln in lines if "satisfy Python" in ln or "different Python" in ln]
        return Failure(
            f"a pinned package does not support Python {python}:\n{_bounded(picked)}",
            True,
        )
    if "ResolutionImpossible" in output or "No solution found" in output:
        picked = _after(lines, r"The conflict is caused by|No solution found", 6)
        missing_one = re.search(
            r"(?:Because|And because) (\S+) was not found in|there is no version of (\S+) and",
            output,
        )
        head = (
            "the requirements contradict each other"
            if not missing_one
            else (f"{place} does not have what the requirements want")
        )
        return Failure(f"{head}:\n{_bounded(picked)}", True)
    match = re.search(r"No matching distribution found for (\S+)", output)
    if match:
        listed = versions_in(output, match.group(1).split("==")[0].split("[")[0])
        near = nearest(match.group(1).split("==")[-1], listed)
        return Failure(
            "{} has no {} for Python {}{}".format(
                place,
                match.group(1),
                python,
                " (the nearest it has: {})".format(", ".join(near)) if near else "",
            ),
            True,
        )
    match = re.search(
        r"Failed to build `?([^\s`]+)`?|Failed building wheel for (\S+)"
        r"|Could not build wheels for ([^,\s]+)",
        output,
    )
    if match or "subprocess-exited-with-error" in output:
        who = next((g for g in match.groups() if g), "a package") if match else "a package"
        if who == "a package":
            collected = re.findall(r"Collecting (\S+)", output)
            who = collected[-1] if collected else who
        errors = [ln for ln in lines if re.search(r"(Error|error)\b.*:|fatal error", ln)]
        picked = [
            ln.strip() for ln in errors if not re.match(r"\s*(error: subprocess|error: Failed)", ln)
        ]
        return Failure(
            f"{who} has no wheel for Python {python} and cannot be built "
            f"here:\n{_bounded(picked[-3:] or lines[-4:])}",
            True,
        )
    return Failure("the installer failed:\n" + _bounded(_errors(lines)[-4:] or lines[-6:]), True)


def _errors(lines: Sequence[str]) -> List[str]:
    """The lines that name an error; uv may put the package that it is about on the next one."""
    found = []
    for number, line in enumerate(lines):
        if re.match(r"\s*(ERROR|error|×|cause)\b", line):
            more = lines[number + 1 : number + 2] if line.rstrip().endswith(":") else []
            found.append(" ".join([line] + [each.strip() for each in more]))
    return found


def _after(lines: Sequence[str], pattern: str, count: int) -> List[str]:
    for number, line in enumerate(lines):
        if re.search(pattern, line):
            return list(lines[number : number + count])
    return list(lines[-count:])


def _no_such_gunicorn(
    output: str, gunicorn: str, python: str, place: str, existing: Optional[Sequence[str]]
) -> str:
    listed = versions_in(output) or list(existing or ())
    if any(same_version(v, gunicorn) for v in listed):
        return f"{place} has gunicorn {gunicorn}, but none of its files suits Python {python}"
    text = f"{place} has no gunicorn {gunicorn}"
    if re.search(r"gunicorn\S* \(from versions: none\)|gunicorn\S* was not found in", output):
        # Neither uv nor pip tells a refused password from a package that does not exist.
        text += ", nor any other version of it"
        if "wheelhouse" not in place:
            text += ": is it the right index, and are its credentials good?"
        return text
    near = nearest(gunicorn, listed)
    if near:
        text += "; the nearest that it has for Python {}: {}".format(python, ", ".join(near))
    return text + "."
