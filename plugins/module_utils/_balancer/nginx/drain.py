# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking one server out of nginx' upstreams and putting it back: `down` in the files, a reload, and
what then really runs. Idle is a server to which no process of nginx is connected any more."""

from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import mark
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.bound import (
    first_word,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.config import (
    find,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.control import (
    Control,
    ReloadFailed,
    Sight,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.processes import (
    Address,
    Away,
    Workers,
    address_of,
    busy,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.scene import (
    Probe,
    Row,
    View,
    not_loaded,
    obstacles,
    view,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import (
    Change as SeamChange,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import (
    Clock,
    Wish,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    Server,
    describe,
    part_of,
    shortage,
    some,
    too_small,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

# For so long no look may see a connection; a short one may come and go between two.
_QUIET = 1.0
# A worker of before the reload knows nothing of the drain, and may still choose the server for a
# request that it is receiving: only when it had no connection for so long is it left to itself.
_CALM = 10.0
# Users that `sticky` binds to the server are let finish: until nobody came for so long, and for no
# longer than this, nor than half of the wait. Connections that nginx keeps open look like users.
_QUIET_STICKY = 3.0
_LET_FINISH = 30.0
# How often the others are asked whether they are up while the server drains.
_ASK_AGAIN = 1.0
# So often somebody may rewrite the files in the middle.
_REWRITES = 1


class TimedOut(FleetError):
    """Connections were left when the wait ended."""


class Change(SeamChange):
    """One wish, carried out on one nginx."""

    def __init__(
        self,
        control: Control,
        backends: Sequence[str],
        wish: Wish,
        clock: Clock,
        probe: Probe,
        tell: Callable[[], Dict[str, object]] = dict,
    ) -> None:
        """`tell` returns what else a result has, such as counters."""
        super().__init__(wish)
        self._control = control
        self._backends = list(dict.fromkeys(backends))
        self._clock = clock
        self._probe = probe
        self._tell = tell
        self._asked: Optional[float] = None
        self._version = ""
        self._rewritten = 0
        self._lets_finish = False
        self._calm: Optional[float] = None
        self._guarded: List[str] = []
        self._addresses: List[Address] = []
        self._cost = 0.0
        self.before = self.view = self._see()
        self.rows: List[Row] = self.before.mine(wish.server)
        self.mine: List[Server] = [row.server for row in self.rows]
        self.memory = self.before.memory(wish.server)

    def remember(self, memory: Dict[str, Found]) -> None:
        """The files themselves say whose hand took it out."""

    # -- looking ---------------------------------------------------------------------------------

    def _see(self, sight: Optional[Sight] = None) -> View:
        began = self._clock.now()
        found = sight or self._control.look()
        refusal = self._control.refusal(found.config, self._backends)
        asked = [self.wish.server]
        self._version = self._version or self._control.version(found.workers.master.pid)
        seen = view(found, self._backends, asked, self._probe, refusal, self._version)
        twice = [
            name
            for name in self._backends
            if [row.server.server for row in seen.rows if row.server.backend == name].count(
                self.wish.server
            )
            > 1
        ]
        if twice:
            raise FleetError(
                f"{self.wish.server} is in upstream {twice[0]} more than once. Leave one of them."
            )
        self._asked = self._clock.now()
        self._cost = self._clock.now() - began
        return seen

    def _start_over(self) -> None:
        self.before = self.view = self._see()
        self.rows = self.before.mine(self.wish.server)
        self.mine = [row.server for row in self.rows]
        self.memory = self.before.memory(self.wish.server)

    def told(self) -> Dict[str, object]:
        found = describe(self.view.picture, self.wish.server, self.wish.need, self.memory)
        return dict(found, **self._tell())

    # -- what would happen -----------------------------------------------------------------------

    def plan(self, state: str) -> Dict[str, str]:
        return {
            f"{row.server.backend}/{row.server.server}": self._words(
                self._goal(row, state), self._goal_weight(row)
            )
            for row in self.rows
        }

    def _goal(self, row: Row, state: str) -> str:
        return "maint" if state == "drained" or self._foreign(row) else "ready"

    def _foreign(self, row: Row) -> bool:
        """Out by somebody else's hand, and left so."""
        return row.filed_down and not row.line.entry.own

    def _goal_weight(self, row: Row) -> int:
        return (
            part_of(row.server.weight_full, self.wish.share)
            if self.wish.share
            else row.server.weight_set
        )

    def _words(self, admin: str, weight: int) -> str:
        return f"{admin}, weight {weight}" if self.wish.share else admin

    def found(self) -> Dict[str, str]:
        return {
            f"{row.server.backend}/{row.server.server}": self._words(
                row.server.admin, row.server.weight_set
            )
            for row in self.view.mine(self.wish.server)
        }

    def check(self, state: str, later: bool = False) -> None:
        where = f"on the balancer {self.before.picture.node.name}"
        refusal = self.before.picture.refusal
        if refusal and (later or self.plan(state) != self.found()):
            raise FleetError(f"Asked to change {self.wish.server} {where}. {refusal}")
        for row in self.rows:
            if self.wish.share:
                whose = f"{row.server.backend}/{row.server.server} {where}"
                text = too_small(self.wish.share, whose, row.server.weight_full)
                if text:
                    raise FleetError(text)
        if state != "drained":
            return
        wrong = obstacles(self.before, self.wish.server)
        text = not_loaded(self.before.sight) if self._writes(True) or self._pending() else ""
        wrong += [text] if text else []
        text = self._shortage(self._lowers(self.rows))
        wrong += [text] if text else []
        if wrong:
            raise FleetError(f"{self.wish.server} was not drained {where}: {'; '.join(wrong)}")
        for row in self.rows:
            if row.server.admin != "ready":
                whose = ", and is left so afterwards" if self._foreign(row) else ""
                name = f"{row.server.backend}/{row.server.server}"
                self.note(f"{name} already was down{whose}")

    def _lowers(self, rows: Sequence[Row]) -> List[str]:
        """The upstreams that lose somebody when these servers go."""
        return [
            row.server.backend
            for row in rows
            if row.server.admin == "ready"
            and row.server.up
            and self.view.picture.backend(row.server.backend).serves(row.server)
        ]

    def _shortage(self, backends: Sequence[str]) -> str:
        return shortage(self.view.picture, self.wish.server, self.wish.need, backends, {})

    # -- changing --------------------------------------------------------------------------------

    def _writes(self, down: bool, weights: Optional[Dict[str, int]] = None) -> Dict[str, str]:
        """The files with the server out or not, those that differ. `weights` by upstream."""
        made: Dict[str, Dict[int, List[mark.Splice]]] = {}
        texts = self.view.sight.config.texts
        for row in self.view.mine(self.wish.server):
            weight = (weights or {}).get(row.server.backend, 0)
            word = self._word(row) if self._lets_finish else "down"
            each = mark.splices(texts[row.line.path], row.line.directive, down, weight, word)
            # One file may be included in two upstreams: it is changed once.
            made.setdefault(row.line.path, {})[row.line.directive.start] = each
        found = {
            path: mark.spliced(texts[path], [one for each in places.values() for one in each])
            for path, places in made.items()
        }
        return {path: text for path, text in found.items() if text != texts[path]}

    def _word(self, row: Row) -> str:
        return first_word(self._version, find(self.view.sight.config, row.server.backend).sticky)

    def _pending(self) -> bool:
        """Whether what the files say of the server is not what runs."""
        return any(
            row.filed_down != (row.server.admin != "ready")
            or not row.loaded
            or row.line.entry.weight != row.server.weight_set
            for row in self.view.mine(self.wish.server)
        )

    def _apply(self, texts: Dict[str, str]) -> None:
        """Until what the files say runs; or an error, and nothing was changed."""
        try:
            sight = self._control.apply(self.view.sight, texts)
        except ReloadFailed as exc:
            self.changed = self.changed or not exc.undone
            raise
        self.view = self._see(sight)

    def _out_now(self) -> bool:
        return all(row.server.admin != "ready" for row in self.view.mine(self.wish.server))

    def carry_out(self, state: str) -> None:
        started = self._clock.now()
        if state == "drained":
            self._drain()
        else:
            self._restore()
        self.measured["waited"] = round(self._clock.now() - started, 3)

    def take_out_again(self, states: Dict[str, str]) -> None:
        self.check("drained")
        self._mark_down()
        if not self._out_now():
            raise FleetError("it reads back as in rotation: somebody rewrites the files")

    def _mark_down(self) -> None:
        texts = self._writes(True)
        if texts or self._pending():
            self._apply(texts)
            self.changed = True

    # -- drained ---------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Out of rotation and without a connection, or as it was before, and an error."""
        try:
            with self.guard.alone():
                self._start_over()
                self.check("drained")
                self._guarded = self._lowers(self.rows)
                self._addresses = self._all_addresses()
                self.guard.begin()
                self._lets_finish = any(
                    row.server.admin != "maint" and self._word(row) == "drain" for row in self.rows
                )
                self._mark_down()
                if not self._out_now():
                    raise FleetError(
                        "It reads back as in rotation right after the reload: somebody rewrites"
                        " nginx' files. Find out who, then try again."
                    )
                self._keep()
            until = self._clock.now() + self.wish.drain_timeout
            self._let_finish()
            left = self._idle(until)
            if left:
                self.measured["sessions_cut"] = left
                self.note(f"{left} connection(s) did not end in time and were given up")
            self.measured["drained_at"] = self._clock.wall()
            self._keep(drained=True)
        except FleetError as exc:
            raise FleetError(f"{exc} {self._give_up(exc)}") from None

    def _all_addresses(self) -> List[Address]:
        found = []
        for row in self.rows:
            up = find(self.view.sight.config, row.server.backend)
            port = 443 if up.scheme == "https" else 80
            found.append(address_of(row.server.address, port))
        for each in found:
            if not each.known:
                raise FleetError(
                    f"The address of {each.text} cannot be resolved on this balancer, so that its"
                    " connections cannot be told from others. Mend the name, or write the address."
                )
        return list(dict.fromkeys(found))

    def _keep(self, drained: bool = False) -> None:
        rows = self.view.mine(self.wish.server)
        out = {row.server.backend: "maint" for row in rows if row.server.own != "ready"}
        self.guard.keep(out, self.view.picture.node, drained)

    def _let_finish(self) -> None:
        """From `drain` to `down`, as soon as the users that are bound to it leave a gap."""
        if not self._lets_finish:
            return
        most = min(_LET_FINISH, self.wish.drain_timeout / 2)
        self._wait_idle(self._clock.now() + most, _QUIET_STICKY)
        with self.guard.alone():
            self._lets_finish = False
            self.view = self._see()
            self._mark_down()
        self._keep()

    def _idle(self, deadline: float) -> int:
        """Until nobody is connected to it. With on_timeout=force, how many still were."""
        count, workers = self._wait_idle(deadline, _QUIET)
        if not count or self.wish.on_timeout == "force":
            return count
        raise TimedOut(self._why_busy(workers, count))

    def _wait_idle(self, deadline: float, silence: float) -> Tuple[int, Workers]:
        """Until nobody was connected for so long; how many are, and nginx' workers."""
        quiet: Optional[float] = None
        while True:
            self._stay_out()
            workers = self._workers()
            now = self._clock.now()
            count = self._connections(workers)
            waits = count > 0 or bool(self._leaving(workers, count))
            quiet = None if waits else now if quiet is None else quiet
            if quiet is not None and now - quiet >= silence:
                return 0, workers
            if now >= deadline + (silence if quiet is not None else 0):
                return count, workers
            self._pause()

    def _workers(self) -> Workers:
        until = self._clock.now() + max(self.wish.patience, self._control.settings.reload_timeout)
        while True:
            try:
                return self._control.processes(self.view.sight.config)
            except Away:
                if self._clock.now() >= until:
                    raise
            self._clock.sleep(self.wish.poll)

    def _connections(self, workers: Workers) -> int:
        began = self._clock.now()
        found = busy(self._control.proc, workers, self._addresses)
        self._cost = self._clock.now() - began
        return sum(found.values())

    def _leaving(self, workers: Workers, count: int) -> List[int]:
        """Workers of before a reload that are to be waited for."""
        leaving = [each.pid for each in workers.leaving]
        if not leaving or count:
            self._calm = None
            return leaving
        if self._calm is None:
            self._calm = self._clock.now()
        if self._clock.now() - self._calm < _CALM:
            return leaving
        self.note(
            f"an older worker of nginx (pid {some(leaving)}) has connections left, none of them to"
            f" {self.wish.server}: it was not waited for any longer (worker_shutdown_timeout ends"
            " it)"
        )
        return []

    def _why_busy(self, workers: Workers, count: int) -> str:
        older = [each.pid for each in workers.leaving]
        text = (
            f"{self.wish.server} still had {count} connection(s) from nginx after"
            f" {self.wish.drain_timeout:g} s of draining on the balancer"
            f" {self.view.picture.node.name}: slow requests, long polls or websockets. Raise"
            " drain_timeout, or take on_timeout=force."
        )
        if older:
            text += (
                f" They are of workers from before the reload (pid {some(older)}), which end with"
                " their last connection; `worker_shutdown_timeout` in nginx' configuration ends"
                " them sooner."
            )
        return text

    def _stay_out(self) -> None:
        """See that it is still out, and that enough others are there."""
        config = self.view.sight.config
        if self._control.touched(config) or self._generation_changed():
            with self.guard.alone():
                self._again()
        elif self._asked is None or self._clock.now() - self._asked >= _ASK_AGAIN:
            self.view = self._see(self.view.sight)
        text = self._shortage(self._guarded)
        if text:
            raise FleetError(
                f"While {self.wish.server} was drained, too few others were left: {text}"
            )
        self._keep()

    def _generation_changed(self) -> bool:
        found = self._workers().generation
        return found != self.view.sight.workers.generation

    def _again(self) -> None:
        """Somebody changed a file, or reloaded nginx."""
        self.view = self._see()
        texts = self._writes(True)
        if not texts and self._out_now():
            return
        if self._rewritten >= _REWRITES:
            raise FleetError(
                f"{self.wish.server} came back into nginx' files on the balancer"
                f" {self.view.picture.node.name} twice while it was drained: somebody rewrites them"
                " (a role, certbot, puppet). Find out who, then try again."
            )
        self._rewritten += 1
        self._apply(texts)
        self.note(
            "somebody rewrote nginx' files meanwhile, without the drain: it was taken out again"
        )

    def _give_up(self, exc: FleetError) -> str:
        """Undo what was done here, unless the operator asked to leave it. Says which."""
        if not self.changed:
            return "It was left as it was."
        if isinstance(exc, TimedOut) and self.wish.on_timeout == "fail":
            self.left_drained = True
            return "It was left out of rotation, as on_timeout=fail asks."
        was_ready = [row.server.backend for row in self.rows if row.server.own == "ready"]
        self.guard.let_go(was_ready)
        try:
            with self.guard.alone():
                self.view = self._see()
                texts = self._writes(False) if was_ready else {}
                if texts or self._pending():
                    self._apply(texts)
        except FleetError as error:
            return (
                f"IT MAY STILL BE OUT OF ROTATION: putting it back failed too. {error} When that is"
                " mended, ask for state=ready."
            )
        self.changed = False
        states = some(sorted({row.server.own for row in self.rows}))
        return f"It was put back as it was before ({states})."

    # -- ready -----------------------------------------------------------------------------------

    def _restore(self) -> None:
        """In rotation and answering, or out and an error: nginx itself keeps no dead server out."""
        deadline = self._clock.now() + self.wish.up_timeout
        self.guard.let_go([row.backend for row in self.mine])
        self._start_over()
        back = [row for row in self.rows if not self._foreign(row)]
        left = [row for row in self.rows if self._foreign(row)]
        out = [row for row in back if row.server.own != "ready" or row.filed_down]
        if out:
            self._wait_answer(out, deadline)
        weights = {row.server.backend: self._goal_weight(row) for row in back if self.wish.share}
        with self.guard.alone():
            self.view = self._see()
            text = not_loaded(self.view.sight)
            texts = self._writes(False, weights)
            if texts or self._pending():
                if text:
                    self.note(text)
                self._apply(texts)
                self.changed = True
        self.measured["ready_at"] = self._clock.wall()
        rows = self._wait_up(deadline, {row.server.backend for row in back})
        self.measured["up_at"] = self._clock.wall()
        for row in left:
            self.note(
                f"{row.server.backend}/{row.server.server} was down before, by somebody else's"
                f" hand ({row.line.path}, line {row.line.line}), and is left so"
            )
        for each in rows:
            if each.status == "no check":
                self.note(f"{each.backend}/{each.server} is not asked whether it is up")

    def _wait_answer(self, rows: Sequence[Row], deadline: float) -> None:
        """What does not answer from here is not put back."""
        config = self.view.sight.config
        whom = [(find(config, row.server.backend).scheme, row.server.address) for row in rows]
        while True:
            found = self._probe(whom)
            bad = {whose[1]: each for whose, each in found.items() if each.status == "DOWN"}
            if not bad:
                return
            if self._clock.now() >= deadline:
                address, answer = sorted(bad.items())[0]
                raise FleetError(
                    f"{self.wish.server} is not put back on the balancer"
                    f" {self.view.picture.node.name}: {address} does not answer from there after"
                    f" {self.wish.up_timeout:g} s ({answer.why}), and nginx checks nobody itself."
                    " See whether it may be reached from the balancer, whether it knows the Host"
                    " (load_balancer_nginx_probe_headers), or raise up_timeout."
                )
            self._pause()

    def _wait_up(self, deadline: float, backends: Set[str]) -> List[Server]:
        while True:
            rows = [
                row.server
                for row in self.view.mine(self.wish.server)
                if row.server.backend in backends
            ]
            down = [row for row in rows if not (row.up and row.admin == "ready")]
            if not down:
                return rows
            if self._clock.now() >= deadline:
                break
            self._pause()
            self.view = self._see()
        found = "; ".join(f"in {row.backend}, {row.describe()}" for row in down)
        raise FleetError(
            f"{self.wish.server} is set ready on the balancer {self.view.picture.node.name}, and is"
            f" not UP after {self.wish.up_timeout:g} s: {found}. See whether the application"
            " answers, or raise up_timeout."
        )

    def _pause(self) -> None:
        # A table of thousands of connections takes its time to read.
        self._clock.sleep(max(self.wish.poll, 2 * self._cost))
