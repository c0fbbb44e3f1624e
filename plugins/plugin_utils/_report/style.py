# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The style of the report's page: light, dark, phone, paper."""

CSS = """
:root {
  --page: #f4f5f7; --card: #ffffff; --ink: #1b2026; --muted: #59636e; --line: #d9dee4;
  --good: #1f6f4e; --bad: #b3261e; --warn: #8a5200; --code: #f4f5f7;
  --serving: #bcdccd; --soaking: #74b898; --rolled: #bdb6ea; --drain: #f3dcae; --drained: #e9b75f;
  --switching: #d07a2a;
  --down: #c4362c; --unknown: #d5dae0; --on-bar: #14201a; --on-down: #ffffff;
  --curve: #2f6db5; --area: #2f6db522; --band: #d98c2e3d;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #111418; --card: #1a1f25; --ink: #e6e9ec; --muted: #a0abb6; --line: #333b44;
    --good: #6fcf9f; --bad: #ff8a80; --warn: #f0b65a; --code: #111418;
    --serving: #2b5444; --soaking: #2f7557; --rolled: #5b5299; --drain: #6b5524; --drained: #82601c;
    --switching: #a85a17;
    --down: #c4362c; --unknown: #3b434c; --on-bar: #f3f6f4; --on-down: #ffffff;
    --curve: #7fb2ea; --area: #7fb2ea26; --band: #c27a224d;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums;
}
main { max-width: 1080px; margin: 0 auto; padding: 16px; }
header, section {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 22px; margin: 0 0 16px;
}
h1 { font-size: 24px; line-height: 1.25; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 17px; margin: 0 0 8px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
p { margin: 6px 0; }
pre {
  margin: 10px 0 4px; padding: 10px 12px; background: var(--code); border-radius: 6px;
  font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  white-space: pre-wrap;
}
.outcome { border-left: 6px solid var(--muted); }
.outcome.done { border-left-color: var(--good); }
.outcome.stopped { border-left-color: var(--bad); }
.mark { margin-right: 10px; color: var(--muted); }
.done .mark { color: var(--good); }
.stopped .mark { color: var(--bad); }
.alarm { color: var(--bad); font-weight: 700; font-size: 17px; }
.cause { font-size: 16px; }
dl { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 14px 0 0; }
dt { color: var(--muted); font-size: 13px; }
dd { margin: 0; }
.note, .muted { color: var(--muted); }
.note, .small, footer { font-size: 13px; }
.bad, .now-out { color: var(--bad); font-weight: 600; }
.ok { color: var(--good); }
table { width: 100%; border-collapse: collapse; margin: 6px 0; }
th { text-align: left; font-weight: 500; color: var(--muted); font-size: 13px; }
th, td { padding: 7px 14px 7px 0; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody tr:last-child td { border-bottom: 0; }
td { min-width: 5.8em; }
th:last-child, td:last-child { padding-right: 0; }
figure { margin: 18px 0 0; }
figcaption { font-weight: 600; font-size: 14px; margin-bottom: 2px; }
.chart { display: block; overflow: visible; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 8px 0; padding: 0; }
.legend { list-style: none; }
.legend li { display: flex; align-items: center; gap: 6px; font-size: 13px; }
.legend-more { font-size: 13px; margin: 0 0 8px; }
text { font-size: 12px; fill: var(--ink); }
.host { font-weight: 600; font-size: 13px; }
text.now, text.muted { fill: var(--muted); }
text.now-out { fill: var(--bad); font-weight: 700; }
.stage { stroke: var(--line); }
.stage-name, .tick-name { fill: var(--muted); font-size: 11.5px; }
.base, .tick { stroke: var(--line); }
.s { stroke: var(--card); stroke-width: 0.6; }
.s-serving { fill: var(--serving); }
.s-soaking { fill: var(--soaking); }
.s-rolled-back { fill: var(--rolled); }
.s-draining, .s-restoring { fill: var(--drain); }
.s-drained, .s-checking { fill: var(--drained); }
.s-switching { fill: var(--switching); }
.s-out { fill: var(--down); }
.s-unknown { fill: var(--unknown); }
.in { fill: var(--on-bar); font-size: 11.5px; }
.in-out { fill: var(--on-down); }
.cross-halo { stroke: var(--card); stroke-width: 6; stroke-linecap: round; fill: none; }
.cross { stroke: var(--bad); stroke-width: 2.5; stroke-linecap: round; fill: none; }
.line { stroke: var(--curve); stroke-width: 1.5; fill: none; stroke-linejoin: round; }
.area { fill: var(--area); }
.band { fill: var(--band); }
.reload { stroke: var(--warn); stroke-dasharray: 4 3; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 8px 0; }
.tile { flex: 1 1 220px; border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.figure { font-size: 21px; font-weight: 600; }
details { border-top: 1px solid var(--line); padding: 8px 0; }
summary { cursor: pointer; }
.severity { font-size: 12px; font-weight: 600; text-transform: uppercase; letter-spacing: 0.03em; }
.critical, .error { color: var(--bad); }
.warning { color: var(--warn); }
.notice { color: var(--muted); }
.hazards { padding-left: 20px; margin: 6px 0; }
.hazards li { margin: 8px 0; }
footer { color: var(--muted); padding: 0 6px 16px; }
@media (max-width: 960px) {
  .wide { display: none; }
}
@media (min-width: 960.1px) {
  .narrow { display: none; }
}
@media (max-width: 700px) {
  main { padding: 8px; }
  header, section { padding: 14px; margin-bottom: 10px; }
  h1 { font-size: 20px; }
  thead { display: none; }
  table, tbody, tr, td { display: block; }
  tr { border-top: 1px solid var(--line); padding: 6px 0; }
  tbody tr:first-child { border-top: 0; }
  td { min-width: 0; display: flex; gap: 10px; border: 0; padding: 2px 0; }
  td::before { content: attr(data-label); flex: 0 0 110px; color: var(--muted); font-size: 13px; }
  td > div { flex: 1; min-width: 0; }
}
@media print {
  :root { --page: #ffffff; }
  body { font-size: 12px; }
  h1 { font-size: 19px; }
  h2 { font-size: 15px; }
  h3, .cause { font-size: 13px; }
  .note, .small, footer, th, dt, .legend li, .legend-more { font-size: 11px; }
  pre { font-size: 10.5px; }
  td { padding-top: 4px; padding-bottom: 4px; min-width: 0; }
  h2, summary { break-after: avoid; }
  main { max-width: none; padding: 0; }
  header, section { border-radius: 0; border-width: 0 0 1px; padding: 8px 0; }
  .outcome { border-left-width: 6px; padding-left: 12px; }
  tr, figure, details, pre { break-inside: avoid; }
  details::details-content { content-visibility: visible; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
""".strip()
