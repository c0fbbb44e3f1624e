# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Making one server look ill and well again, and waiting for what a balancer makes of it.

Nobody tells us what the balancer knows. It has taken the server out when the health page has failed
for as long as the operator says that it needs (`settle`), and nobody has been connected since in
several looks, and its own page says so where there is one.
"""

from typing import Callable, Collection, Dict, List, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.eyes import Eyes
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    Settings,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.scene import (
    View,
    not_heard,
    other_names,
    view,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.switch import Switch
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
    shortage,
    some,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

# For so long no look may see a connection; a health check's own may come and go between two.
_QUIET = 1.0
# How soon the page must fail, or answer, after the server was made ill.
_TURNS = 10.0
# How often pages are asked while the server drains; every other server costs so much more.
_ASK_AGAIN = 1.0
_ASK_EACH = 0.05
# A connection of a health check is over before a second look sees it: whom so many looks have seen
# is a user.
_SIGNS = 5


class TimedOut(FleetError):
    """Connections were left when the wait ended, or the balancer still had the server."""


class Change(SeamChange):
    """One wish, carried out on the server itself."""

    def __init__(
        self,
        settings: Settings,
        backends: Sequence[str],
        wish: Wish,
        clock: Clock,
        eyes: Eyes,
        switch: Switch,
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(wish)
        self._settings = settings
        self._backends = list(dict.fromkeys(backends))
        self._clock = clock
        self._eyes = eyes
        self._switch = switch
        self._fence = fence
        self._others = other_names(settings, wish.server)
        self._asked = 0.0
        self._ill_since = 0.0
        self._cost = 0.0
        self._start_over()

    def remember(self, memory: Dict[str, Found]) -> None:
        """What is left of what was done says whose hand it was."""

    # -- looking ---------------------------------------------------------------------------------

    def _see(self) -> View:
        seen = view(
            self.wish.server,
            self._backends,
            self._switch.look(),
            self._eyes.own(),
            self._eyes.others(self._others),
            self._settings.url,
            self._switch.refusal(),
            self._clock.wall(),
        )
        self._asked = self._clock.now()
        return seen

    def _start_over(self) -> None:
        self.view = self._see()
        self.mine = self.view.picture.mine(self.wish.server)
        self.memory = self.view.memory()

    def _rows(self) -> List[Server]:
        return self.view.picture.mine(self.wish.server)

    def told(self) -> Dict[str, object]:
        return describe(self.view.picture, self.wish.server, self.wish.need, self.memory)

    # -- what would happen -----------------------------------------------------------------------

    def plan(self, state: str) -> Dict[str, str]:
        goal = "maint" if state == "drained" or self.view.foreign else "ready"
        return {f"{row.backend}/{row.server}": goal for row in self.mine}

    def found(self) -> Dict[str, str]:
        return {f"{row.backend}/{row.server}": row.admin for row in self._rows()}

    def check(self, state: str, later: bool = False) -> None:
        refusal = self.view.picture.refusal
        if refusal and (later or self.plan(state) != self.found()):
            raise FleetError(f"Asked to change {self.wish.server}. {refusal}")
        if state != "drained":
            return
        if self.view.foreign:
            self.note(
                f"{self.wish.server} was made ill by somebody else ({self._switch.undo} to end it),"
                " and is left so afterwards"
            )
        down = self.view.state.ill or not self.view.own.up
        wrong = ["" if down else not_heard(self._eyes.unheard()), self._shortage()]
        if any(wrong):
            raise FleetError(
                f"{self.wish.server} was not drained: {'; '.join(filter(None, wrong))}"
            )
        if down and not self.view.state.ill:
            self.note(f"its health page failed before it was made ill: {self.view.own.why}")

    def _shortage(self) -> str:
        # A page that fails may be one that was spelled wrongly: then the others' are wrong, too.
        return shortage(self.view.picture, self.wish.server, self.wish.need, self._backends, {})

    # -- changing --------------------------------------------------------------------------------

    def carry_out(self, state: str) -> None:
        started = self._clock.now()
        if state == "drained":
            self._drain()
        else:
            self._restore()
        self.measured["waited"] = round(self._clock.now() - started, 3)

    def take_out_again(self, states: Dict[str, str]) -> None:
        self.check("drained")
        self._make_ill()

    def _make_ill(self) -> None:
        if self.view.state.ill:
            age = self._switch.age() if self.view.state.ours else None
            self._ill_since = self._clock.now() - (age or 0.0)
            return
        self._fence()
        self.changed = True
        self._switch.make_ill()
        self._ill_since = self._clock.now()

    # -- drained ---------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Ill and without a connection, or as it was before, and an error."""
        try:
            with self.guard.alone():
                self._start_over()
                self.check("drained")
                self.guard.begin()
                served = self.view.own.up and self._eyes.gate().up
                self._make_ill()
                self._keep()
            self._wait_ill()
            if served:
                self._see_gate()
            self._tell_refused()
            # Whoever goes at the same moment was ill before this look, or sees that this one is.
            self._look_again()
            left = self._wait_nobody()
            if left:
                self.measured["sessions_cut"] = left
                self.note(f"{left} connection(s) did not end in time and were given up")
            self.measured["drained_at"] = self._clock.wall()
            self._keep(drained=True)
        except FleetError as exc:
            raise FleetError(f"{exc} {self._give_up(exc)}") from None

    def _keep(self, drained: bool = False) -> None:
        out = dict.fromkeys(self._backends, "maint")
        self.guard.keep(out, self.view.picture.node, drained)

    def _wait_ill(self) -> None:
        """Until the page fails, as the balancer will see it, and what was asked for is done: a
        command such as ``nginx -s quit`` comes back long before."""
        deadline = self._clock.now() + _TURNS
        while True:
            found = self._eyes.own()
            if not found.up and self._switch.look().ill:
                return
            if self._clock.now() >= deadline:
                if not found.up:
                    raise FleetError(
                        f"{self.wish.server} was made ill ({self._switch.text}), its health page"
                        f" fails, and its state is still that of a well one after {_TURNS:g} s. See"
                        " whether load_balancer_probe_state_command tells when it is ill."
                    )
                raise FleetError(
                    f"{self.wish.server} was made ill ({self._switch.text}), and its health page"
                    f" still answers well after {_TURNS:g} s ({found.why}). See whether it is the"
                    " page that the balancer asks (load_balancer_probe_url), and whether it looks"
                    " at what was changed."
                )
            self._pause()

    def _see_gate(self) -> None:
        found = self._eyes.gate()
        # A single answer may be lost.
        found = found if found.up else self._eyes.gate()
        if not found.up:
            raise FleetError(
                f"With {self.wish.server} made ill ({self._switch.text}), the page that gates ask"
                f" fails too ({found.why}): they would find every release ill. Give the gate a page"
                " (app_health_url) that answers while the server is out."
            )

    def _tell_refused(self) -> None:
        closed = self._eyes.unheard() if self.changed else []
        if closed:
            self.note(
                f"nobody listens on {some([each.text for each in closed], 5)} any more: what the"
                " balancer sends before it believes that the server is ill is refused, and lost if"
                " it does not try another server. Make the health page fail, and let the rest serve"
            )

    def _look_again(self) -> None:
        self.view = self._see()
        if not self.view.state.ill:
            raise FleetError(
                f"{self.wish.server} does not look ill any more: somebody has undone it"
                f" ({self._switch.text}). Find out who, then try again."
            )
        if self.view.own.up:
            raise FleetError(
                f"{self.wish.server} is still made ill ({self._switch.text}), and its health page"
                f" answers well again ({self.view.own.why}): it does not look at that every time."
            )
        text = self._shortage()
        if text:
            raise FleetError(
                f"While {self.wish.server} was drained, too few others were left: {text}"
            )

    def _stay_out(self) -> None:
        """See that it still looks ill, and that enough others are there."""
        every = _ASK_AGAIN + _ASK_EACH * len(self._others)
        if self._clock.now() - self._asked >= every:
            self._look_again()
        self._keep()

    def _wait_nobody(self) -> int:
        """Until nobody comes any more. With on_timeout=force, how many still were connected."""
        settled = self._ill_since + self._settings.settle
        deadline = max(settled, self._clock.now()) + self.wish.drain_timeout
        quiet: Optional[float] = None
        while True:
            self._stay_out()
            now = self._clock.now()
            if now >= settled:
                count = len(self._comers())
                told = "" if count else self._eyes.page_says(self._settings.page_out)
                now = self._clock.now()
                quiet = None if count or told else now if quiet is None else quiet
                if quiet is not None and now - quiet >= _QUIET:
                    return 0
                if now >= deadline + (_QUIET if quiet is not None else 0):
                    return self._given_up(count, told)
            self._pause()

    def _given_up(self, count: int, told: str) -> int:
        """What is done when the time is over."""
        if self.wish.on_timeout == "force":
            if told:
                self.note(f"it was not waited for any longer that {told}")
            return count
        waited = f"{self._settings.settle:g} s of settling and {self.wish.drain_timeout:g} s more"
        if count:
            raise TimedOut(
                f"{self.wish.server} still had {count} connection(s) after {waited}: slow requests,"
                " long polls, websockets, what a client keeps open, or a balancer that does not"
                " believe that it is ill. Raise drain_timeout, name who does not count"
                " (load_balancer_probe_ignore), or take on_timeout=force."
            )
        raise TimedOut(
            f"{self.wish.server} is made ill, and after {waited} {told}. See that page"
            " (load_balancer_probe_page, load_balancer_probe_page_out), or raise drain_timeout."
        )

    def _give_up(self, exc: FleetError) -> str:
        """Undo what was done here, unless the operator asked to leave it. Says which."""
        if not self.changed:
            return "It was left as it was."
        if isinstance(exc, TimedOut) and self.wish.on_timeout == "fail":
            self.left_drained = True
            return "It was left out of rotation, as on_timeout=fail asks."
        self.guard.let_go(self._backends)
        try:
            with self.guard.alone():
                self._make_well()
        except FleetError as error:
            return (
                f"IT MAY STILL BE OUT OF ROTATION: making it well failed too. {error} When that is"
                " mended, ask for state=ready."
            )
        self.changed = False
        return "It was made well again, as it was before."

    def _make_well(self) -> bool:
        """Whether there was anything of ours to undo."""
        if not self._switch.look().ours:
            return False
        self._fence()
        self._switch.make_well()
        # A command may come back before what it began is done.
        deadline = self._clock.now() + _TURNS
        while self._switch.look().ill:
            if self._clock.now() >= deadline:
                raise FleetError(
                    f"It still looks ill {_TURNS:g} s later: that did not help, or somebody does it"
                    f" again ({self._switch.text}). Find out who."
                )
            self._pause()
        self.view = self._see()
        return True

    # -- ready -----------------------------------------------------------------------------------

    def _restore(self) -> None:
        """Well, answering, and used again; or an error that says what is seen."""
        deadline = self._clock.now() + self.wish.up_timeout
        self.guard.let_go(self._backends)
        self._start_over()
        if self.view.foreign:
            self.note(
                f"{self.wish.server} was made ill by somebody else, and is left so:"
                f" {self._switch.undo} when it may serve"
            )
            self.measured["ready_at"] = self.measured["up_at"] = self._clock.wall()
            return
        with self.guard.alone():
            self.changed = self._make_well()
        self.measured["ready_at"] = self._clock.wall()
        since = self._clock.now()
        self._wait_up(deadline)
        if self.changed and self.wish.wait_full:
            self._wait_back(since + self._settings.settle_back)
        self.measured["up_at"] = self._clock.wall()

    def _wait_up(self, deadline: float) -> None:
        while not self.view.own.up:
            if self._clock.now() >= deadline:
                raise FleetError(
                    f"{self.wish.server} is made well, and its health page does not answer after"
                    f" {self.wish.up_timeout:g} s: {self.view.own.why}. See whether the application"
                    " serves it, or raise up_timeout."
                )
            self._pause()
            self.view = self.view._replace(own=self._eyes.own())
        self.view = self._see()

    def _wait_back(self, settled: float) -> None:
        """Until the balancer sends users again, as far as that can be known."""
        by_users = self._settings.back_by == "connections"
        deadline = settled + self.wish.up_timeout
        signs = 0
        while True:
            now = self._clock.now()
            signs += bool(by_users and self._comers())
            used = signs >= _SIGNS or not by_users
            if now >= settled and used:
                told = self._eyes.page_says(self._settings.page_in)
                if not told:
                    break
            elif now >= settled:
                told = f"{signs} of {_SIGNS} looks have seen a connection to it"
            if now >= deadline:
                raise FleetError(
                    f"{self.wish.server} is made well and answers, and whether the balancer sends"
                    f" users again is not seen {self.wish.up_timeout:g} s after"
                    f" load_balancer_probe_settle_back: {told}. Look at the balancer. Where it may"
                    " be that nobody comes for so long, go by the time alone"
                    " (load_balancer_probe_back_by: time), or raise up_timeout."
                )
            self._pause()
        self.view = self._see()

    def _comers(self) -> Collection[Tuple[str, int]]:
        began = self._clock.now()
        found = self._eyes.comers()
        self._cost = self._clock.now() - began
        return found

    def _pause(self) -> None:
        # A table of thousands of connections takes its time to read.
        self._clock.sleep(max(self.wish.poll, 2 * self._cost))
