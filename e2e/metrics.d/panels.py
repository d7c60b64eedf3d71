#!/usr/bin/env python3
"""The panels of deploy/grafana/wharf.json, evaluated by a real Prometheus.

panels.py check DASHBOARD URL         every query is answered without an error and with numbers
panels.py draw DASHBOARD URL SECONDS PNG
                                      a picture of the panels over the last SECONDS, drawn from what
                                      Prometheus answers. It is no screenshot of Grafana. Needs matplotlib.
"""

import json
import math
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# Prometheus scrapes once a second here.
RATE_INTERVAL = "10s"
STEP_SECONDS = 2


def ask(url, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{query}", timeout=20) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        answer = json.loads(error.read() or b"{}")
    if answer.get("status") != "success":
        raise RuntimeError(answer.get("error", "no answer"))
    return answer["data"]["result"]


def expression(target):
    text = target["expr"].replace("$__rate_interval", RATE_INTERVAL).replace("$instance", ".*")
    assert "$" not in text, f"a variable that is not known here: {text}"
    return text


def panels(path):
    with open(path) as file:
        return [panel for panel in json.load(file)["panels"] if panel["type"] != "row"]


def check(dashboard, url):
    failures, queries = 0, 0
    for panel in panels(dashboard):
        for target in panel["targets"]:
            queries += 1
            try:
                values = [float(one["value"][1]) for one in ask(url, "query", query=expression(target))]
                problem = None if any(math.isfinite(v) for v in values) else f"no numbers in {values}"
            except RuntimeError as error:
                problem = str(error)
            if problem:
                failures += 1
                print(f"{panel['title']}: {problem}: {target['expr']}")
    print(f"{queries} queries, {failures} failures")
    return failures == 0


def scaled(value, unit):
    """A value as a person reads it; the unit is one of Grafana's."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return f"{value * 1e6:.3g} µs"
    suffix = {"reqps": " req/s", "ops": " op/s", "Bps": "B/s", "bytes": "B"}.get(unit, "")
    base = 1024 if unit == "bytes" else 1000
    for power, name in ((3, "G"), (2, "M"), (1, "k")):
        if abs(value) >= base**power:
            return f"{value / base**power:.3g} {name}{suffix}"
    return f"{value:.3g} {suffix.strip()}".strip()


def legend(target, labels):
    text = target["legendFormat"]
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def draw(dashboard, url, seconds, png):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plot
    from matplotlib.ticker import FuncFormatter

    with open(dashboard) as file:
        rows = [panel for panel in json.load(file)["panels"] if panel["type"] == "row"]
    shown = panels(dashboard)
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in shown)
    plot.style.use("dark_background")
    colours = matplotlib.cycler(color=[matplotlib.colormaps["tab20"](n) for n in (*range(0, 20, 2), *range(1, 20, 2))])
    plot.rcParams.update({"axes.prop_cycle": colours, "font.size": 7, "axes.facecolor": "#181b1f", "figure.facecolor": "#111217"})
    figure = plot.figure(figsize=(16, height * 0.34 + 0.6), dpi=100)
    top = 0.6 / (height * 0.34 + 0.6)

    def place(grid, pad_left, pad_bottom, pad_top):
        unit = (1 - top) / height
        left, right = (grid["x"] + pad_left) / 24, (grid["x"] + grid["w"] - 0.25) / 24
        upper = 1 - top - (grid["y"] + pad_top) * unit
        lower = 1 - top - (grid["y"] + grid["h"] - pad_bottom) * unit
        return [left, lower, right - left, upper - lower]

    words = "wharf: the panels of deploy/grafana/wharf.json, drawn from a Prometheus that scraped a wharf under load"
    figure.text(0.01, 1 - top * 0.6, words, fontsize=11, weight="bold")
    for row in rows:
        _, lower, _, span = place(row["gridPos"], 0.2, 0, 0)
        figure.text(0.008, lower + span * 0.25, row["title"], fontsize=10, weight="bold")
    now = time.time()
    for panel in shown:
        unit = panel["fieldConfig"]["defaults"]["unit"]
        if panel["type"] == "stat":
            axes = figure.add_axes(place(panel["gridPos"], 0.25, 0.4, 0.2))
            axes.set_xticks([])
            axes.set_yticks([])
            lines = []
            for one in ask(url, "query", query=expression(panel["targets"][0])):
                value, name = float(one["value"][1]), legend(panel["targets"][0], one["metric"])
                mapped = panel["fieldConfig"]["defaults"].get("mappings", [{}])[0].get("options", {})
                text = mapped.get(f"{value:g}", {}).get("text") or scaled(value, unit)
                lines.append(f"{name}: {text}" if name else text)
            axes.set_title(panel["title"], loc="left", fontsize=8)
            axes.text(0.5, 0.45, "\n".join(lines) or "no data", ha="center", va="center", fontsize=16, color="#73bf69")
            continue
        axes = figure.add_axes(place(panel["gridPos"], 1.1, 1.6, 0.9))
        axes.set_title(panel["title"], loc="left", fontsize=8)
        count = 0
        for target in panel["targets"]:
            answer = ask(url, "query_range", query=expression(target), start=now - seconds, end=now, step=STEP_SECONDS)
            for series in answer:
                points = [(float(t) - now, float(v)) for t, v in series["values"]]
                points = [(t, v) for t, v in points if math.isfinite(v)]
                axes.plot(*zip(*points), linewidth=1, label=legend(target, series["metric"])) if points else None
                count += bool(points)
        axes.set_xlim(-seconds, 0)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.15)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g} s"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _, unit=unit: scaled(v, unit)))
        if count:
            columns = max(1, min(count, panel["gridPos"]["w"] // 3))
            axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.1), ncol=columns, fontsize=6, frameon=False)
    figure.savefig(png)


def main():
    if sys.argv[1:2] == ["check"] and len(sys.argv) == 4:
        sys.exit(0 if check(*sys.argv[2:]) else 1)
    if sys.argv[1:2] == ["draw"] and len(sys.argv) == 6:
        draw(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
        return
    sys.exit(__doc__)


main()
