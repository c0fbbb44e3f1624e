# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A HAProxy of a few lines, in which time is what the test says."""

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.access import (
    Haproxy,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.balancer import (
    Balancer,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.drain import (
    Change,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.runtime import (
    parse_address,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import Clock, Wish
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import Need

BITS = {"ready": 0, "maint": 1, "drain": 8}
AGENT = {"": 0, "on": 22, "off": 18}


class Fake:
    """One backend `app` with web1 and web2. `at` holds what happens at which second."""

    def __init__(self):
        self.time = 0.0
        self.pid = 100
        self.level = "admin"
        self.id = 4
        self.admin = {"web1": "ready", "web2": "ready"}
        self.health = {"web1": "UP", "web2": "UP"}
        self.sessions = 0
        self.stot = 5
        self.cookie = ""
        self.writes = []
        self.deaf = False  # takes commands and does nothing
        self.at = {}
        self.alive = {100}
        self.uptime = 9
        self.wrote = lambda: None
        self.weight = {"web1": 100, "web2": 100}
        self.throttle = {"web1": 100, "web2": 100}
        self.agent = {"web1": "", "web2": ""}
        self.agent_says = ""  # `ready` or a weight such as `75`, once a second
        self.tables = ()
        self.connected = True
        self.fall = 2

    def sleep(self, seconds):
        if self.agent["web1"] == "on" and int(self.time + seconds) > int(self.time):
            if self.agent_says == "ready":
                self.admin["web1"] = "ready"
            elif self.agent_says:
                self.weight["web1"] = int(self.agent_says)
        self.time += seconds
        for moment in sorted(self.at):
            if moment <= self.time:
                self.at.pop(moment)()

    def reload(self):
        self.pid += 1
        self.id += 1
        self.alive.add(self.pid)
        self.admin = {"web1": "ready", "web2": "ready"}
        self.agent = {name: "on" if agent else "" for name, agent in self.agent.items()}

    def status(self, name):
        if self.admin[name] == "maint":
            return "MAINT"
        if self.admin[name] == "drain" and self.health[name].startswith("UP"):
            return self.health[name].replace("UP", "DRAIN")
        return self.health[name]

    def ask(self, commands):
        return "".join(self.answer(command) + "\n" for command in commands)

    def answer(self, command):
        if command == "show info":
            return f"node: lb1\nVersion: 2.6\nPid: {self.pid}\nUptime_sec: {self.uptime}\n"
        if command == "show cli level":
            return self.level + "\n"
        if command in ("show table", "show backend"):
            tables = "".join(f"# table: {name}, type: ip, size:1, used:0\n" for name in self.tables)
            return "# name\napp\n" if command == "show backend" else tables
        if command.startswith("show servers state"):
            head = (
                "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state"
                " srv_uweight srv_iweight srv_agent_state\n"
            )
            return head + "".join(
                f"{self.id} app {name[-1]} {name} 127.0.0.1 2 {BITS[self.admin[name]]}"
                f" {self.weight[name]} 100 {AGENT[self.agent[name]]}\n"
                for name in ("web1", "web2")
            )
        if command.startswith("show stat"):
            if command.split()[2] != str(self.id):
                return "# pxname,svname,\n"
            head = (
                "# pxname,svname,scur,qcur,stot,status,weight,act,bck,check_fall,mode,cookie,"
                "throttle\n"
            )
            for name in ("web1", "web2"):
                busy = self.sessions if name == "web1" else 0
                head += (
                    f"app,{name},{busy},0,{self.stot},{self.status(name)},1,1,0,{self.fall},http,c"
                )
                slow = self.throttle[name]
                head += f",{slow if slow < 100 else ''}\n"
            return head + f"app,BACKEND,0,0,9,UP,2,2,0,,http,{self.cookie},\n"
        if command in ("disable agent app/web1", "enable agent app/web1"):
            self.writes.append("-agent" if command.startswith("dis") else "+agent")
            self.wrote()
            self.agent["web1"] = "off" if command.startswith("dis") else "on"
            return ""
        if command.startswith("set server app/web1 weight "):
            self.writes.append("weight " + command.split()[-1])
            self.weight["web1"] = int(command.split()[-1])
            return ""
        if command == "set server app/web1 health down":
            self.writes.append("down")
            self.health["web1"] = "DOWN 1/2"
            return ""
        assert command.startswith("set server app/web1 state ")
        self.writes.append(command.split()[-1])
        self.wrote()
        if not self.deaf:
            self.admin["web1"] = command.split()[-1]
        return ""


def late(fake):
    """Ask whatever stands in the place of ``ask`` by then."""

    def ask(commands):
        return fake.ask(commands)

    return ask


class Elders:
    """The processes of before a reload. Each that lives has requests for whoever is asked for."""

    def __init__(self, fake):
        self.fake = fake
        self.met = []

    def meet(self, pid, uptime):
        self.met.append(pid)
        return True

    def alive(self):
        return sorted(pid for pid in self.fake.alive if pid != self.fake.pid)

    def busy(self, addresses):
        return self.alive() if self.fake.connected else []


def change(fake, on_timeout="restore", need=1, watch=True, patience=0, share=0, memory=None):
    wish = Wish("web1", Need(need, False), 10, on_timeout, 10, 1, 0.5, share)
    clock = Clock(lambda: fake.time, lambda: 1000 + fake.time, fake.sleep)
    elders = Elders(fake) if watch else None
    return Change(Balancer(late(fake), ["app"]), wish, clock, elders, patience, memory)


class PaperAccess(Haproxy):
    """The way to a HAProxy on paper."""

    def __init__(self, ask):
        super().__init__(parse_address("/run/a.sock"))
        self.ask = ask

    def asker(self, timeout):
        return self.ask
