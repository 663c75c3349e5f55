# SPDX-License-Identifier: Apache-2.0
"""oracle_payloads.py: OTLP requests whose every item says its ID, `oid<11 digits>o`, where each exporter carries it on: in
the body of a log record, in the name of a span, in an attribute of a data point."""
import struct
import time


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def attribute(key, text):
    return field(1, key) + field(2, field(1, text))


RESOURCE = field(1, field(1, attribute(b"service.name", b"oracle")))


def log_request(ids, filler=b"x" * 120):
    """An ExportLogsServiceRequest with one record for each ID."""
    now = struct.pack("<Q", time.time_ns())
    records = bytearray()
    for i in ids:
        body = b"oid%011do %s" % (i, filler)
        records += field(2, b"\x09" + now + b"\x10\x09\x1a\x04INFO" + field(5, field(1, body)))
    return field(1, RESOURCE + field(2, bytes(records)))


def span_request(ids, filler=b"x" * 60):
    """An ExportTraceServiceRequest with one span for each ID."""
    now = time.time_ns()
    times = b"\x39" + struct.pack("<Q", now) + b"\x41" + struct.pack("<Q", now + 1000000)
    spans = bytearray()
    for i in ids:
        trace, span = struct.pack(">QQ", 0x5eed << 48 | i, i), struct.pack(">Q", i + 1)
        spans += field(2, field(1, trace) + field(2, span) + field(5, b"oid%011do %s" % (i, filler)) + b"\x30\x02" + times)
    return field(1, RESOURCE + field(2, bytes(spans)))


def metric_request(ids, filler=b"x" * 60):
    """An ExportMetricsServiceRequest with one data point for each ID: a gauge's, a sum's, a histogram's in turn."""
    ids, now = list(ids), struct.pack("<Q", time.time_ns())

    def points(some, number, value):
        """`number`: of the attributes, which the kinds of points do not share. `value`: of the point, encoded."""
        more = field(number, attribute(b"filler", filler))
        return b"".join(field(1, field(number, attribute(b"oid", b"oid%011do" % i)) + more + b"\x19" + now + value) for i in some)
    number = b"\x31" + struct.pack("<q", 7)
    histogram = b"\x21" + struct.pack("<Q", 3) + b"\x29" + struct.pack("<d", 4.5) + field(6, struct.pack("<3Q", 1, 1, 1)) \
        + field(7, struct.pack("<2d", 1.0, 2.0))
    metrics = field(2, field(1, b"oracle.gauge") + field(5, points(ids[0::3], 7, number)))
    metrics += field(2, field(1, b"oracle.sum") + field(7, points(ids[1::3], 7, number) + b"\x10\x02\x18\x01"))
    metrics += field(2, field(1, b"oracle.histogram") + field(9, points(ids[2::3], 9, histogram) + b"\x10\x02"))
    return field(1, RESOURCE + field(2, metrics))


REQUESTS = {"logs": log_request, "traces": span_request, "metrics": metric_request}
SERVICES = {"logs": b"/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            "traces": b"/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "metrics": b"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"}
SIGNALS = tuple(REQUESTS)
