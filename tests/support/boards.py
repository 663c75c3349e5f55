# SPDX-License-Identifier: Apache-2.0
"""boards.py: what tests of dashboards share: reading the JSON, and telling which metrics and variables a query uses."""
import json
import pathlib
import re

DASHBOARDS = pathlib.Path(__file__).resolve().parents[2] / "dashboards"
METRIC = re.compile(r"\b((?:weft|process|traces|log|target|node|go)_[a-z0-9_]*[a-z0-9])\b(?=\s*(?:\{|\[|\)|>|<|=|/|-|\+|,|$| ))")


def boards():
    return [(path, json.loads(path.read_text())) for path in sorted((DASHBOARDS / "json").glob("*.json"))]


def panels(board):
    """Every panel but rows, those inside of collapsed rows too."""
    for panel in board["panels"]:
        for one in [panel, *panel.get("panels", [])]:
            if one["type"] != "row":
                yield one


def metrics_in(expression):
    """The metric names of a query, without what is inside of braces."""
    return set(METRIC.findall(re.sub(r"\{[^}]*\}", "{", expression)))


def expand(expression, interval, window, **variables):
    """A query as Grafana would send it."""
    for name, value in {"__rate_interval": interval, "__interval": interval, "__range": window, **variables}.items():
        expression = re.sub(rf"\$\{{{name}(:[a-z]+)?\}}|\${name}\b", lambda _: value, expression)
    return expression
