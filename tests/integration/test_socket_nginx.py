# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two servers that systemd starts by their Unix sockets, behind an nginx on the same host, upgraded
under load and taken back."""

import pytest
from nginx_support import needs_nginx

from tests.integration.service_support import NEW, OLD
from tests.integration.socket_support import SocketFleet
from tests.integration.test_systemd_nginx import FIRST, Place

pytestmark = needs_nginx


class SocketPlace(Place):
    """nginx knows the Unix sockets; each unit has an address of the loopback as well."""

    kind = SocketFleet

    def serve(self, name, server):
        places = f"ListenStream={server.path}\nListenStream=127.0.0.1:{server.port}"
        server.keep(name=f"{name}.socket", listen=places)
        server.serve(unit=f"{name}.service")

    def address(self, server):
        return f"unix:{server.path}", f"unix:{server.path}:/healthz"


@pytest.fixture(scope="module")
def place(host):
    place = SocketPlace(host)
    yield place
    place.close()


def test_an_upgrade_and_the_way_back_lose_no_request(place):
    code, said = place.playbook("upgrade", "--check")
    assert code == 0, said[-6000:]
    assert place.versions() == [OLD, OLD]
    with place.load() as load:
        code, said = place.playbook("upgrade")
    assert code == 0, said[-6000:]
    assert load["lost"] == [] and load["sent"] > 100
    assert place.versions() == [NEW, NEW]
    arbiters = [server.pid() for server in place.servers.values()]
    code, said = place.playbook("upgrade")
    assert code == 0, said[-3000:]
    assert arbiters == [server.pid() for server in place.servers.values()]
    for name in ("status", "check"):
        code, said = place.playbook(name)
        assert code == 0, said[-6000:]
    with place.load() as load:
        code, said = place.playbook("rollback", "-l", "web1")
    assert code == 0, said[-6000:]
    assert load["lost"] == []
    assert place.versions() == [FIRST, NEW]
    sockets = {place.host.show(f"{name}.socket", "ActiveState") for name in place.servers}
    assert sockets == {"active"}
