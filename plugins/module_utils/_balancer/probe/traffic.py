# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is connected to the ports of this host, as /proc/net/tcp tells it. No I/O."""

import ipaddress
import re
import struct
from typing import Collection, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple, Union

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

_ESTABLISHED, _LISTEN = "01", "0A"
Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Place(NamedTuple):
    """A port of this host, of one of its addresses or (None) of all."""

    address: Optional[Address]
    port: int

    @property
    def text(self) -> str:
        if self.address is None:
            return f"port {self.port}"
        ip = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{ip}:{self.port}"


class Row(NamedTuple):
    """One socket of the table."""

    local: Address
    port: int
    remote: Address
    remote_port: int
    state: str


def parse_place(text: str) -> Place:
    """`443`, `10.0.0.11:443` or `[::1]:443`."""
    found = re.match(r"^(?:\[?([0-9A-Fa-f.:]+?)\]?:)?(\d{1,5})$", text.strip())
    try:
        if not found or not 0 < int(found.group(2)) < 65536:
            raise ValueError
        address = ipaddress.ip_address(found.group(1)) if found.group(1) else None
    except ValueError:
        raise FleetError(
            f"ports has {text!r}. Give a port, such as 443, or an address of this host with a port,"
            " such as 10.0.0.11:8000."
        ) from None
    return Place(address, int(found.group(2)))


def parse_network(text: str) -> Network:
    """`10.0.0.9` or `10.0.0.0/24`."""
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError as exc:
        raise FleetError(
            f"ignore has {text!r}, which is no address and no network ({exc}). Give one, such as"
            " 10.0.0.9 or 10.0.9.0/24."
        ) from None


def parse_table(text: str, ports: Collection[int]) -> List[Row]:
    """Of `/proc/net/tcp` or `tcp6` who listens on these ports or is connected to them; what cannot
    be read is left out. A table may have tens of thousands of lines."""
    wanted = {f"{port:04X}" for port in ports}
    found = []
    for line in text.splitlines()[1:]:
        cells = line.split(None, 4)
        if len(cells) < 4 or cells[3] not in (_ESTABLISHED, _LISTEN):
            continue
        if cells[1].rpartition(":")[2] not in wanted:
            continue
        try:
            local, port = _end(cells[1])
            remote, remote_port = _end(cells[2])
        except (ValueError, struct.error):
            continue
        found.append(Row(local, port, remote, remote_port, cells[3]))
    return found


def _end(text: str) -> Tuple[Address, int]:
    ip, _colon, port = text.partition(":")
    # The kernel prints words of the machine's own order.
    words = [int(ip[start : start + 8], 16) for start in range(0, len(ip), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return _plain(ipaddress.ip_address(packed)), int(port, 16)


def _plain(address: Address) -> Address:
    """An IPv4 address that a socket of IPv6 shows, as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def comers(
    rows: Sequence[Row], places: Sequence[Place], ignored: Sequence[Network]
) -> FrozenSet[Tuple[str, int]]:
    """The other ends of what is connected to these ports, also what nobody has accepted yet."""
    return frozenset(
        (str(row.remote), row.remote_port)
        for row in rows
        if row.state == _ESTABLISHED
        and any(_at(row, place) for place in places)
        and not any(row.remote in network for network in ignored)
    )


def unheard(rows: Sequence[Row], places: Sequence[Place]) -> List[Place]:
    """The ports that nobody listens on: no connection to them would ever be seen here."""
    return [
        place
        for place in places
        if not any(row.state == _LISTEN and _at(row, place, True) for row in rows)
    ]


def _at(row: Row, place: Place, any_address: bool = False) -> bool:
    if row.port != place.port:
        return False
    if place.address is None or row.local == place.address:
        return True
    return any_address and row.local.is_unspecified
