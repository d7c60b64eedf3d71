#!/usr/bin/env python3
"""Whether Grafana could read deploy/grafana/wharf.json, and whether what is asked for exists.

dashboard.py structure DASHBOARD        panels, data sources, variables and queries fit together
dashboard.py models DASHBOARD           Grafana's own models read it, and write the same again; needs the package
                                        grafana-foundation-sdk, which Grafana Labs generate from its schema
dashboard.py metrics METRICS EXPRESSIONS
                                        every metric of the expressions (one a line, as this program prints
                                        them) is in METRICS, which is the classic text format
dashboard.py expressions DASHBOARD      its queries, one a line
"""

import json
import re
import sys

PANELS = {"row", "stat", "timeseries"}
BUILT_IN = {"__rate_interval"}
WIDTH = 24
# Of PromQL: what is neither a function, which a bracket follows, nor a metric.
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "inf", "nan"}


def load(path):
    with open(path) as file:
        return json.load(file)


def queries(dashboard):
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def structure(dashboard):
    defined = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    source = {"type": "prometheus", "uid": "${datasource}"}
    if defined.get("datasource", {}).get("type") != "datasource" or defined["datasource"]["query"] != "prometheus":
        yield "there is no variable for the data source"
    for name, variable in defined.items():
        if variable["type"] == "query" and variable["datasource"] != source:
            yield f"variable {name}: its data source is not the one that is chosen"
    panels, ids, taken = dashboard["panels"], set(), {}
    for panel in panels:
        name = f"panel {panel.get('id')} ({panel.get('title')})"
        if panel["type"] not in PANELS:
            yield f"{name}: its type {panel['type']} is not one that is known here"
        if panel["id"] in ids:
            yield f"{name}: its id is another's, too"
        ids.add(panel["id"])
        grid = panel["gridPos"]
        if grid["x"] < 0 or grid["x"] + grid["w"] > WIDTH:
            yield f"{name}: it is outside the grid"
        for cell in ((x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])):
            if cell in taken:
                yield f"{name}: it lies over {taken[cell]}"
                break
            taken[cell] = name
        if panel["type"] == "row":
            continue
        targets = panel["targets"]
        if not targets or panel["datasource"] != source or any(target["datasource"] != source for target in targets):
            yield f"{name}: no query, or its data source is not the one that is chosen"
        if len({target["refId"] for target in targets}) != len(targets):
            yield f"{name}: queries with the same refId"
        for target in targets:
            used = set(re.findall(r"\$\{?(\w+)", target["expr"] + target["legendFormat"]))
            for unknown in used - set(defined) - BUILT_IN:
                yield f"{name}: there is no variable {unknown}"
            if "$instance" not in target["expr"]:
                yield f"{name}: a query that the chosen instances don't matter to"


def models(dashboard):
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    written = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))

    def differences(ours, theirs, at):
        if isinstance(ours, dict) and isinstance(theirs, dict):
            for key, value in ours.items():
                # What Grafana itself writes for a variable, and has no model of.
                if key == "definition" and at.startswith(".templating"):
                    continue
                if key not in theirs:
                    yield f"{at}.{key}: not a field"
                else:
                    yield from differences(value, theirs[key], f"{at}.{key}")
        elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
            for number, pair in enumerate(zip(ours, theirs)):
                yield from differences(*pair, f"{at}[{number}]")
        elif ours != theirs:
            yield f"{at}: {ours!r} becomes {theirs!r}"

    yield from differences(dashboard, written, "")


# Shown by a server over an object store alone; e2e/bad-store reads each of them.
OF_STORES = {"wharf_store_" + name for name in ("requests_total", "failures_total", "refused_total", "left_alone")}


def metrics_of(expression):
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    names = re.findall(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)(?!\w)(?!\s*\()", text)
    return {name for name in names if name.lower() not in WORDS}


def missing(path, expressions):
    with open(path) as file:
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", file.read(), re.MULTILINE))
    there = {"up"} | OF_STORES
    for name, kind in types.items():
        there |= {name + suffix for suffix in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
    for expression in expressions:
        for name in sorted(metrics_of(expression) - there):
            yield f"{name} does not exist: {expression}"


def main():
    match sys.argv[1:]:
        case ["structure", path]:
            found = structure(load(path))
        case ["models", path]:
            found = models(load(path))
        case ["metrics", path, expressions]:
            with open(expressions) as file:
                found = missing(path, file.read().splitlines())
        case ["expressions", path]:
            print("\n".join(query.replace("\n", " ") for query in queries(load(path))))
            return
        case _:
            sys.exit(__doc__)
    problems = list(found)
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


main()
