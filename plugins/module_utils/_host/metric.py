# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask a Prometheus, or any page of JSON, for one number, in bounded time and size."""

import json
import re
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact

MAX_ANSWER = 1024 * 1024
Get = Callable[[str, Mapping[str, str], float], Any]


class Unanswered(Exception):
    """There is no answer; says why."""


class _Stay(HTTPRedirectHandler):
    """Credentials go to whom they were given for, and nowhere else."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def get_json(url: str, headers: Mapping[str, str], timeout: float) -> Any:
    """GET; TLS is verified, no redirect is followed, and all of it takes ``timeout`` at most."""
    got: List[Any] = []

    def work() -> None:
        try:
            got.append(_get(url, headers, timeout))
        except Unanswered as exc:
            got.append(exc)
        except Exception as exc:
            # What is no HTTP at all.
            got.append(Unanswered(_words(exc)))

    # A name that is looked up, or a head that trickles, has no timeout of its own.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout)
    if not got:
        raise Unanswered(f"no complete answer within {timeout:g} s")
    if isinstance(got[0], Unanswered):
        raise got[0]
    return got[0]


def _get(url: str, headers: Mapping[str, str], timeout: float) -> Any:
    deadline = time.monotonic() + timeout
    asked = {"Accept": "application/json", "User-Agent": "fleetops.gunicorn"}
    asked.update({str(name): str(value) for name, value in headers.items()})
    try:
        answer = build_opener(_Stay()).open(Request(url, headers=asked), timeout=timeout)
    except HTTPError as exc:
        detail = _detail(exc)
        exc.close()
        raise Unanswered(f"HTTP {exc.code}{detail}") from exc
    except (OSError, ValueError) as exc:
        raise Unanswered(_words(exc)) from exc
    body = b""
    try:
        while len(body) <= MAX_ANSWER:
            if time.monotonic() > deadline:
                raise Unanswered(f"no complete answer within {timeout:g} s")
            part = answer.read1(65536)
            if not part:
                break
            body += part
    except Unanswered:
        raise
    except Exception as exc:
        raise Unanswered(_words(exc)) from exc
    finally:
        answer.close()
    if len(body) > MAX_ANSWER:
        raise Unanswered(f"the answer is longer than {MAX_ANSWER} bytes")
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise Unanswered("the answer is not JSON") from exc


def _detail(answer: Any) -> str:
    """What Prometheus says of a query that it does not understand."""
    try:
        told = json.loads(answer.read(4096).decode("utf-8"))
        return ": " + redact(str(told["error"]))[:300]
    except Exception:
        return ""


def _words(exc: BaseException) -> str:
    return redact(str(getattr(exc, "reason", "") or exc) or type(exc).__name__)[:300]


def ask(question: Mapping[str, Any], get: Get, clock: Callable[[], float]) -> Dict[str, Any]:
    """Answer one question, shaped as the option ``questions`` of metric_info.

    ``state``: ``value``; ``empty``, ``several`` (not one number); ``error`` (could not ask).
    ``at``: of when it is, seconds since the epoch.
    """
    told = {
        "name": question["name"],
        "who": question["who"],
        "state": "error",
        "value": "",
        "at": 0.0,
        "error": "",
    }  # type: Dict[str, Any]
    try:
        if question["kind"] == "prometheus":
            told.update(_prometheus(question, get))
        else:
            found = get(question["url"], question["headers"], question["timeout"])
            told.update(_one(pick(found, question["path"]), clock(), question["path"]))
    except Unanswered as exc:
        told["error"] = str(exc)
    return told


def _prometheus(question: Mapping[str, Any], get: Get) -> Dict[str, Any]:
    query = question["query"]
    samples = _instant(question, query, get)
    if len(samples) != 1:
        state = "several" if samples else "empty"
        what = f"{len(samples)} series, where one is wanted" if samples else "no series"
        return {"state": state, "error": what}
    at, value = samples[0]
    # A selector answers with the last scrape, however old; only this tells when it was.
    taken = _instant(question, f"timestamp({query})", get, missing=True)
    if len(taken) == 1:
        at = _number(taken[0][1])
    return _one(value, at, "its value")


def _instant(
    question: Mapping[str, Any], query: str, get: Get, missing: bool = False
) -> List[Tuple[float, Any]]:
    """The samples of an instant query; ``missing``: where it is no vector, there are none."""
    asked = {"query": query}
    if question["at"]:
        asked["time"] = "{:.3f}".format(question["at"])
    url = question["url"].rstrip("/") + "/api/v1/query?" + urlencode(asked)
    try:
        found = get(url, question["headers"], question["timeout"])
    except Unanswered as exc:
        # timestamp() of a scalar is refused.
        if missing and str(exc).startswith("HTTP 4"):
            return []
        raise
    try:
        if found["status"] != "success":
            raise Unanswered("Prometheus says {}".format(redact(str(found.get("error")))[:300]))
        kind, result = found["data"]["resultType"], found["data"]["result"]
        if kind == "scalar":
            return [(float(result[0]), result[1])]
        if kind != "vector":
            raise Unanswered(f"the query gives a {str(kind)[:40]}, where one number is wanted")
        return [(float(each["value"][0]), each["value"][1]) for each in result]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
        raise Unanswered("the answer is not one of Prometheus's") from exc


def pick(found: Any, path: str) -> Any:
    """What stands in JSON at a path such as ``stats.latency.0``; None where nothing does."""
    for part in path.split("."):
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and re.match(r"\d{1,6}\Z", part) and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Unanswered("the answer is not one of Prometheus's") from None


def _one(value: Any, at: float, where: str) -> Dict[str, Any]:
    number: Optional[float] = None
    if not isinstance(value, (bool, type(None), dict, list)):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = None
    if number is None:
        kind = "empty" if value is None else "several"
        return {"state": kind, "error": f"there is no number at {where}"}
    return {"state": "value", "value": repr(number), "at": at}
