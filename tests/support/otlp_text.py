# SPDX-License-Identifier: Apache-2.0
"""otlp_text.py: OTLP messages as plain dicts, read by programs that are not Weft.

decode() asks protoc for the text form of a body and parses that; from_json() brings OTLP/JSON into the same shape, so
that what went in and what came out can be compared with ==. Repeated fields are lists, numbers are numbers, bytes and
strings are bytes."""
import base64
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
REQUEST = {s: f"opentelemetry.proto.collector.{p}.v1.Export{n}ServiceRequest"
           for s, p, n in (("traces", "trace", "Trace"), ("logs", "logs", "Logs"), ("metrics", "metrics", "Metrics"))}
FILES = {"traces": "otlp_trace_service.proto", "logs": "otlp_logs_service.proto",
         "metrics": "otlp_metrics_service.proto"}


def decode(signal, body):
    """The dict of a protobuf body, through protoc."""
    done = subprocess.run(["protoc", f"--decode={REQUEST[signal]}", "-I", ROOT / "proto", FILES[signal]], input=body,
                          capture_output=True, cwd=ROOT / "proto")
    if done.returncode:
        raise ValueError(f"protoc does not read this {signal} body: {done.stderr.decode()[-300:]}")
    return parse(done.stdout.decode())


_token = re.compile(r'\s*(?:(\w+)\s*\{|(\w+):\s*("(?:[^"\\]|\\.)*"|[^\s{}]+)|(\}))')
_escape = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", re.S)
_simple = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b'"': b'"', b"'": b"'", b"\\": b"\\"}


def _unescape(match):
    code = match[1]
    if code[:1] == b"x":
        return bytes([int(code[1:], 16)])
    return bytes([int(code, 8)]) if code.isdigit() else _simple[code]


def _scalar(text):
    if text[0] == '"':
        return _escape.sub(_unescape, text[1:-1].encode())
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if re.search(r"[.einN]", text) and not text.startswith("0x") else int(text, 0)
    except ValueError:
        return text  # the name of an enum value


def parse(text):
    """protobuf's text form as a dict whose values are all lists."""
    stack = [{}]
    for opened, name, scalar, closed in _token.findall(text):
        if opened:
            inner = {}
            stack[-1].setdefault(opened, []).append(inner)
            stack.append(inner)
        elif closed:
            stack.pop()
        else:
            stack[-1].setdefault(name, []).append(_scalar(scalar))
    return stack[0]


ENUMS = {
    "kind": ["SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT",
             "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"],
    "code": ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"],
    "aggregation_temporality": ["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA",
                                "AGGREGATION_TEMPORALITY_CUMULATIVE"],
}
SEVERITIES = ["UNSPECIFIED"] + [f"{w}{n}" for w in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
                                for n in ("", "2", "3", "4")]
INTEGERS = re.compile(r"(_unix_nano|^int_value|^as_int|count|_counts|^offset|^scale|^flags)$")
DOUBLES = re.compile(r"^(double_value|as_double|sum|min|max|explicit_bounds|value|quantile|zero_threshold)$")


def _snake(name):
    return re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), name)


def _value(key, value):
    if isinstance(value, dict):
        return from_json(value)
    if key in ENUMS and isinstance(value, int):
        return ENUMS[key][value]
    if key == "severity_number":
        return f"SEVERITY_NUMBER_{SEVERITIES[value]}"
    if key in ("trace_id", "span_id", "parent_span_id"):
        return bytes.fromhex(value)
    if key == "bytes_value":
        return base64.b64decode(value)
    if isinstance(value, bool):
        return value
    if INTEGERS.search(key):
        return int(value)
    if DOUBLES.search(key):
        return float(value)
    return value.encode() if isinstance(value, str) else value


def from_json(message):
    """An OTLP/JSON message in the shape that parse() gives. Fields at their defaults are left out, as protobuf does."""
    out = {}
    for name, value in message.items():
        key = _snake(name)
        items = [_value(key, v) for v in (value if isinstance(value, list) else [value])]
        optional = key in ("as_int", "as_double", "min", "max", "sum") or key.endswith("_value")
        if not isinstance(value, (list, dict)) and not optional:
            items = [i for i in items if i not in (0, b"", False)
                     and not (isinstance(i, str) and i.endswith(("_UNSPECIFIED", "_UNSET")))]
        if items:
            out[key] = items
    return out
