# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a package index says of a project: which versions there are, and for which Python.

PEP 503 (pages) and PEP 691 (JSON). ``fetch`` is passed in; nothing here raises for an index that
does not answer, because what it is asked for is only good to know.
"""

import base64
import io
import json
import os
import re
import ssl
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from email.parser import HeaderParser
from html.parser import HTMLParser
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import (
    is_final,
    key,
    within,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    canonical,
    redact,
)

DEFAULT = "https://pypi.org/simple"
ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2,"
    " text/html;q=0.1"
)
AGENT = "fleetops-gunicorn"
LIMIT = 1 << 23
# A wheel has its metadata last.
END = 1 << 20
_METADATA = ("core-metadata", "data-dist-info-metadata", "dist-info-metadata")
_METADATA_HTML = ("data-core-metadata", "data-dist-info-metadata")
MAX_INDEXES = 4
MAX_VERSIONS = 100
MAX_TEXT = 200

# url -> (content type, content)
Fetch = Callable[[str], Tuple[str, bytes]]
# url -> (size of all, its end)
FetchEnd = Callable[[str], Tuple[int, bytes]]


class Version(NamedTuple):
    """A final version that is not yanked."""

    version: str
    requires_python: str


class Answer(NamedTuple):
    """What one or several indexes say."""

    versions: Tuple[Version, ...]
    """The newest first, at most `MAX_VERSIONS`."""
    asked: Tuple[str, ...]
    """Without credentials."""
    error: str


def indexes(environment: Mapping[str, str]) -> List[str]:
    """Whom an installer with this environment asks; see `installer.install_environment`."""
    first = next(
        (
            environment[name]
            for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
            if environment.get(name)
        ),
        DEFAULT,
    )
    more: List[str] = []
    for name in ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX"):
        more += environment.get(name, "").split()
    # uv lets an index have a name: name=https://...
    urls = [re.sub(r"^[\w-]+=", "", url).rstrip("/") for url in [first, *more]]
    return list(dict.fromkeys(urls))[:MAX_INDEXES]


class File(NamedTuple):
    """A file of a final version that is not yanked."""

    version: str
    requires_python: str
    # Where its metadata can be had without it (PEP 658); empty if nowhere.
    metadata: str
    # Where it lies.
    url: str

    @property
    def wheel(self) -> str:
        """Where it lies, if it is a wheel."""
        return self.url if self.url.endswith(".whl") else ""


class _Page(HTMLParser):
    """The links of a PEP 503 page."""

    def __init__(self) -> None:
        HTMLParser.__init__(self)
        self.files: List[Dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href"):
            name = unquote(urlsplit(found["href"] or "").path.rsplit("/", 1)[-1])
            file = {"filename": name, "requires": found.get("data-requires-python") or ""}
            if "data-yanked" in found:
                file["yanked"] = "yes"
            if any(found.get(k, "false") != "false" for k in _METADATA_HTML):
                file["metadata"] = "yes"
            file["url"] = found["href"] or ""
            self.files.append(file)

    def error(self, message: str) -> None:
        """Python 3.6 to 3.9 declare it; a page has no errors, only odd ends."""


def read_page(kind: str, content: bytes, project: str) -> List[Version]:
    """The versions on an index's page; ValueError if it is none."""
    found: Dict[str, Version] = {}
    for file in read_files(kind, content, project, ""):
        found.setdefault(file.version, Version(file.version, file.requires_python))
    return list(found.values())


def read_files(kind: str, content: bytes, project: str, url: str) -> List[File]:
    """The files on an index's page at ``url``; ValueError if it is none."""
    if "json" in kind:
        answer = json.loads(content.decode("utf-8"))
        if not isinstance(answer, dict) or not isinstance(answer.get("files"), list):
            raise ValueError("no list of files")
        files = [
            {
                "filename": str(file.get("filename", "")),
                "requires": str(file.get("requires-python") or ""),
                "yanked": "yes" if file.get("yanked") else "",
                "url": str(file.get("url") or ""),
                "metadata": "yes" if any(file.get(name) for name in _METADATA) else "",
            }
            for file in answer["files"]
            if isinstance(file, dict)
        ]
    else:
        page = _Page()
        page.feed(content.decode("utf-8", "replace"))
        files = page.files
    found = []
    for file in files:
        version = version_of(file["filename"], project)
        if version and not file.get("yanked"):
            place = urljoin(url, file.get("url") or "").partition("#")[0]
            metadata = place + ".metadata" if file.get("metadata") else ""
            found.append(File(version, file["requires"][:MAX_TEXT], metadata, place))
    return found


def version_of(filename: str, project: str) -> str:
    """The version of a wheel or an sdist; empty for another project's, or one that is not final."""
    name = re.sub(r"\.(tar\.gz|tar\.bz2|zip)$", "", filename)
    if filename.endswith(".whl"):
        parts = filename[: -len(".whl")].split("-")
        head, version = parts[0], parts[1] if len(parts) > 1 else ""
    elif name != filename:
        head, _dash, version = name.rpartition("-")
    else:
        return ""
    return version if canonical(head) == project and is_final(version) else ""


def ask(urls: Sequence[str], project: str, fetch: Fetch) -> Answer:
    """Ask each index; what one does not have, another may."""
    found: Dict[str, Version] = {}
    errors: List[str] = []
    for url in urls:
        try:
            kind, content = fetch(f"{url}/{project}/")
            for version in read_page(kind, content, project):
                found.setdefault(version.version, version)
        except (OSError, ValueError, UnicodeError, RecursionError) as exc:
            errors.append(f"{shown(url)}: {_why(exc)}")
    newest = sorted(found.values(), key=lambda each: key(each.version), reverse=True)
    # An index that does not have it is no news if another one has.
    error = "" if newest else "; ".join(errors) or f"no index has a final version of {project}"
    return Answer(tuple(newest[:MAX_VERSIONS]), tuple(shown(url) for url in urls), error)


# How many versions' metadata are asked for: a search by halves of a thousand.
MAX_ASKED = 10

# (Requires-Dist, Requires-Python) of a version -> whether it allows what is wanted
Allows = Callable[[Sequence[str], str], bool]


class _Part(io.RawIOBase):
    """The end of a file that is not here as a whole; what is before it cannot be read."""

    def __init__(self, size: int, tail: bytes) -> None:
        io.RawIOBase.__init__(self)
        self.size, self.tail, self.at = size, tail, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def read(self, count: int = -1) -> bytes:
        begin = self.at - (self.size - len(self.tail))
        if begin < 0:
            raise ValueError("not in the part that was asked for")
        content = self.tail[begin:] if count < 0 else self.tail[begin : begin + count]
        self.at += len(content)
        return content


def metadata_in(size: int, tail: bytes) -> bytes:
    """METADATA of a wheel of which only the end is here; ValueError if it is not in it."""
    try:
        with zipfile.ZipFile(_Part(size, tail)) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            return archive.read(name)
    except (zipfile.BadZipFile, StopIteration, EOFError, zlib.error) as exc:
        raise ValueError("its metadata cannot be read") from exc


def first_that_allows(
    urls: Sequence[str],
    project: str,
    above: str,
    allows: Allows,
    fetch: Fetch,
    fetch_end: FetchEnd,
    python: str = "",
) -> str:
    """Which version of a project allows what a certain one does not, told in half a sentence.

    Of those that ``python``, a full version, can take; of all if it is empty. Empty if that cannot
    be known. Searched by halves: what has lifted a cap does not lower it.
    """
    found: Dict[str, File] = {}
    for url in urls:
        try:
            page = f"{url}/{project}/"
            kind, content = fetch(page)
            for file in read_files(kind, content, project, page):
                known = found.get(file.version)
                if key(file.version) > key(above) and (known is None or not known.wheel):
                    found[file.version] = file
        except (OSError, ValueError, UnicodeError, RecursionError):
            continue
    later = [found[version] for version in sorted(found, key=key)]
    taken = f" that Python {python} can take" if python else ""
    if later and python:
        later = [each for each in later if within(python, each.requires_python) is not False]
        if not later:
            return f"no later version of {project}{taken} is there"
    if not later:
        return ""

    def good(file: File) -> Optional[bool]:
        try:
            if file.metadata:
                content = fetch(file.metadata)[1]
            elif file.wheel:
                content = metadata_in(*fetch_end(file.wheel))
            else:
                return None
        except (OSError, ValueError, UnicodeError, NotImplementedError):
            return None
        headers = HeaderParser().parsestr(content.decode("utf-8", "replace"))
        requires = [str(each) for each in headers.get_all("Requires-Dist") or []]
        return allows(requires, str(headers["Requires-Python"] or file.requires_python))

    newest = good(later[-1])
    if newest is None:
        return ""
    if not newest:
        return f"no version of {project}{taken} does, up to {later[-1].version}"
    low, high, asked = 0, len(later) - 1, 1
    while low < high and asked < MAX_ASKED:
        middle = (low + high) // 2
        verdict = good(later[middle])
        if verdict is None:
            return f"{project} {later[high].version} does"
        low, high = (low, middle) if verdict else (middle + 1, high)
        asked += 1
    return f"{project} {later[high].version} does" + ("" if low < high else ", as the first")


def first_within(patience: float, *asked: Any) -> str:
    """As `first_that_allows`, and over in time whatever happens."""
    answers: List[str] = []
    asking = threading.Thread(target=lambda: answers.append(first_that_allows(*asked)))
    asking.daemon = True
    asking.start()
    asking.join(patience)
    return answers[0] if answers else ""


def shown(url: str) -> str:
    """An index fit for a report."""
    return redact(url)[:MAX_TEXT]


def _why(exc: BaseException) -> str:
    if isinstance(exc, urllib.error.HTTPError):
        return f"HTTP {exc.code}"
    reason = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or exc
    return redact(" ".join(str(reason).split()))[:MAX_TEXT] or type(exc).__name__


def split_user(url: str) -> Tuple[str, str]:
    """A URL without user and password, and the header that says them."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    word = base64.b64encode(unquote(user).encode("utf-8")).decode("ascii")
    return urlunsplit(parts._replace(netloc=place)), f"Basic {word}"


def _open(url: str, timeout: float, cafile: str, headers: Mapping[str, str]) -> Any:
    """How a host asks: its proxies, its authorities."""
    plain, authorization = split_user(url)
    if urlsplit(plain).scheme not in ("http", "https"):
        raise ValueError("no http, https or file URL")
    request = urllib.request.Request(plain, headers=dict(headers, **{"User-Agent": AGENT}))
    if authorization:
        # Not for the host that it may be sent on to.
        request.add_unredirected_header("Authorization", authorization)
    context = ssl.create_default_context(cafile=cafile or None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    return opener.open(request, timeout=timeout)


def fetcher(timeout: float, cafile: str = "") -> Fetch:
    """What gets a page."""

    def fetch(url: str) -> Tuple[str, bytes]:
        parts = urlsplit(url)
        if parts.scheme == "file":
            path = unquote(parts.path)
            with open(os.path.join(path, "index.html"), "rb") as file:
                return "text/html", file.read(LIMIT)
        with _open(url, timeout, cafile, {"Accept": ACCEPT}) as answer:
            return str(answer.headers.get("Content-Type", "")), answer.read(LIMIT)

    return fetch


def downloader(timeout: float, cafile: str = "") -> Callable[[str, int], bytes]:
    """What gets a file, if it is not larger than a limit."""

    def download(url: str, limit: int) -> bytes:
        parts = urlsplit(url)
        if parts.scheme == "file":
            with open(unquote(parts.path), "rb") as file:
                content = file.read(limit + 1)
        else:
            with _open(url, timeout, cafile, {}) as answer:
                content = bytes(answer.read(limit + 1))
        if len(content) > limit:
            raise ValueError("it is too large")
        return content

    return download


def end_fetcher(timeout: float, cafile: str = "") -> FetchEnd:
    """What gets the end of a file, where the server can give a part."""

    def fetch_end(url: str) -> Tuple[int, bytes]:
        with _open(url, timeout, cafile, {"Range": f"bytes=-{END}"}) as answer:
            match = re.search(r"/([0-9]+)$", str(answer.headers.get("Content-Range", "")))
            if answer.status != 206 or not match:
                raise ValueError("the server gives no parts of files")
            return int(match.group(1)), answer.read(END)

    return fetch_end


def ask_within(urls: Sequence[str], project: str, fetch: Fetch, patience: float) -> Answer:
    """As `ask`, and over in time whatever happens: a resolver knows no timeout, a page may drip."""
    answers: List[Answer] = []
    # A daemon, so that the process can end without it.
    asking = threading.Thread(target=lambda: answers.append(ask(urls, project, fetch)))
    asking.daemon = True
    asking.start()
    asking.join(patience)
    names = tuple(shown(url) for url in urls)
    return answers[0] if answers else Answer((), names, f"no answer within {patience:g} s")
