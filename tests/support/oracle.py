# SPDX-License-Identifier: Apache-2.0
"""oracle.py: keeps book of every item by its ID, so that a promise about delivery is a matter of counting.

Each item carries `oid<producer, 3 digits><sequence, 8 digits>o`. A Producer sends at its pace and books each answer:

    acked     the agent said yes: an obligation, it must arrive in every sink
    refused   the agent said "not now": nothing was taken; the same items are offered again under the same IDs
    unknown   no answer came: the items may or may not arrive; they are not offered again (a client that did would make
              duplicates of its own, and hide the agent's)

A line of a log file is an obligation from the moment its newline is written. Sinks (oracle_sinks.py) book what comes.
What the two books must show is in the functions below: missing(), unexpected(), misplaced(), unlawful_duplicates(), and for
the agent's own account check_sums() and check_every_sum()."""
import json
import os
import pathlib
import random
import select
import socket
import struct
import threading
import time

from lab import Lab, Skip, check, free_port, http, metrics, wait_until, weft_binary
from oracle_h2 import END_HEADERS, END_STREAM, H2, grpc_status, literals
from oracle_payloads import REQUESTS, SERVICES, SIGNALS, field, log_request, span_request  # noqa: F401 - for those who import *
from oracle_pulse import Pulse

PER_PRODUCER = 10**8
FULL = os.environ.get("WEFT_FAULT_FULL") == "1"


# ---- producers ----
def closed_meanwhile(sock):
    """An idle connection that the server has closed, or said something on."""
    return bool(select.select([sock], [], [], 0)[0])


ACKED, REFUSED, UNKNOWN = "acked", "refused", "unknown"


class Producer(threading.Thread):
    """Sends `rate` items a second in batches until stop(); offer() of a subclass sends one batch of IDs."""
    numbers = iter(range(1, 1000))

    def __init__(self, rate=1000, batch=50, signal="logs", name=None, filler=b"x" * 120):
        super().__init__(daemon=True, name=name)
        self.number = next(Producer.numbers)
        self.rate, self.batch, self.signal, self.next, self.filler = rate, batch, signal, 0, filler
        self.acked, self.unknown = [], []      # (first ID, how many, when)
        self.why = []                          # what became of the connections of unknown ones
        self.refusals, self.surprises = 0, []  # answers that break the protocol
        self.over, self.paused = threading.Event(), threading.Event()

    def run(self):
        due = time.monotonic()
        while not self.over.is_set():
            if self.paused.is_set():
                self.over.wait(0.02)
                due = time.monotonic()
                continue
            ids = range(self.number * PER_PRODUCER + self.next, self.number * PER_PRODUCER + self.next + self.batch)
            self.next += self.batch
            if not self.deliver(ids):
                break
            due = max(due + self.batch / self.rate, time.monotonic() - 1.0)  # catches up one second at most
            self.over.wait(max(0.0, due - time.monotonic()))

    def deliver(self, ids):
        """Offers a batch until the answer is final. False: told to stop before that."""
        wait = 0.05
        while True:
            verdict = self.offer(ids)
            if verdict != REFUSED:
                book = self.acked if verdict == ACKED else self.unknown
                book.append((ids[0], len(ids), time.monotonic()))
                return True
            self.refusals += 1
            if self.over.wait(wait):
                return False
            wait = min(wait * 1.5, 0.5)

    def stop(self):
        self.over.set()
        if self.is_alive():
            self.join(30)
        check(not self.is_alive(), f"producer {self.number} does not end")
        check(not self.surprises, f"producer {self.number} got answers that it must not get: {self.surprises[:3]}")

    def request(self, ids):
        return REQUESTS[self.signal](ids, self.filler)


class HttpProducer(Producer):
    def __init__(self, port, **options):
        super().__init__(name="otlp-http", **options)
        self.port, self.sock = port, None

    def offer(self, ids):
        body = self.request(ids)
        try:
            if self.sock and closed_meanwhile(self.sock):
                self.drop()
            if not self.sock:
                self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=15)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            return REFUSED  # nobody there: nothing was sent
        head = (f"POST /v1/{self.signal} HTTP/1.1\r\nHost: weft\r\nContent-Type: application/x-protobuf\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        try:
            self.sock.sendall(head.encode() + body)
            status, answer, close = self.read()
        except (OSError, EOFError, ValueError) as error:
            self.why.append(repr(error))
            self.drop()
            return UNKNOWN
        if close:
            self.drop()
        if status == 200 and answer.strip(b"\0") == b"":
            return ACKED
        if status in (429, 503):
            return REFUSED
        self.surprises.append((status, answer[:200]))
        return UNKNOWN

    def read(self):
        data = b""
        while b"\r\n\r\n" not in data:
            data = self.more(data)
        head, data = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").lower().split("\r\n")
        headers = {k: v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        while len(data) < length:
            data = self.more(data)
        return int(lines[0].split()[1]), data, headers.get("connection") == "close"

    def more(self, data):
        got = self.sock.recv(65536)
        if not got:
            raise EOFError
        return data + got

    def drop(self):
        self.sock.close()
        self.sock = None


REFUSED_STREAM = 7


class Reset(Exception):
    """A call was ended with RST_STREAM; the argument is its code."""


class GrpcProducer(Producer):
    RETRYABLE = (1, 4, 8, 10, 11, 14, 15)

    def __init__(self, port, **options):
        super().__init__(name="otlp-grpc", **options)
        self.port, self.h2, self.stream = port, None, -1

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2, self.stream = H2(sock), -1
        self.h2.call_preface()
        while self.h2.next()[0] != 4:  # as gRPC clients do: it is a connection when the server has spoken
            pass

    def goodbye(self):
        """Reads what came while no call was out: pings and windows, or the server's goodbye."""
        try:
            while closed_meanwhile(self.h2.sock):
                self.h2.next()
        except (OSError, EOFError):
            return True
        return self.h2.leaving

    def offer(self, ids):
        message = self.request(ids)
        try:
            if self.h2 and self.goodbye():
                self.drop()
            if not self.h2:
                self.connect()
        except (OSError, EOFError):
            self.h2 = None
            return REFUSED
        try:
            self.stream += 2
            code, body = self.call(struct.pack(">BI", 0, len(message)) + message)
        except Reset as reset:
            if reset.args[0] == REFUSED_STREAM:
                return REFUSED
            self.why.append(repr(reset))
            return UNKNOWN
        except (OSError, EOFError, ValueError, IndexError) as error:
            above = self.h2.leaving and self.stream > self.h2.last_stream
            self.drop()
            if above:
                return REFUSED  # the goodbye says that this call was not taken
            self.why.append(repr(error))
            return UNKNOWN
        if self.h2.leaving:
            self.drop()
        if code == 0 and body == b"\0" * 5:
            return ACKED
        if code in self.RETRYABLE:
            return REFUSED
        self.surprises.append((code, body[:200]))
        return UNKNOWN

    def call(self, data):
        """(grpc-status, response data) of one call."""
        h2, stream = self.h2, self.stream
        block = b"\x83\x86" + literals((b":path", SERVICES[self.signal]), (b":authority", b"weft"),
                                       (b"content-type", b"application/grpc"), (b"te", b"trailers"))
        h2.send(1, END_HEADERS, stream, block)
        body, at = b"", 0
        while True:
            while at < len(data):
                room = min(h2.window, h2.stream_windows.get(stream, h2.initial), 16384, len(data) - at)
                if room <= 0:
                    break
                h2.send(0, END_STREAM if at + room == len(data) else 0, stream, data[at:at + room])
                h2.window -= room
                h2.stream_windows[stream] = h2.stream_windows.get(stream, h2.initial) - room
                at += room
            kind, flags, of, payload = h2.next()
            if of != stream:
                continue
            if kind == 3:
                raise Reset(struct.unpack(">I", payload)[0])
            if kind == 0:
                body += h2.data(flags, payload)
            if kind == 1 and flags & END_STREAM:
                h2.stream_windows.pop(stream, None)
                return grpc_status(payload), body

    def drop(self):
        self.h2.sock.close()
        self.h2 = None


class FileProducer(Producer):
    """Writes JSON lines into one log file and renames it away every `rotate` lines, as logrotate does. `keep`: None keeps
    all renamed files; else only so many, but none before `seen` is true of the IDs of all its lines."""

    def __init__(self, directory, rotate=4000, keep=None, seen=None, stem="app", width=0, **options):
        options.setdefault("batch", 20)
        super().__init__(name="files", **options)
        self.path = pathlib.Path(directory) / f"{stem}.log"
        self.rotate, self.keep, self.seen, self.old, self.rotations = rotate, keep, seen, [], 0
        self.line = b'{"level":30,"time":%d,"name":"oracle","pid":1,"msg":"oid%011do a line of a log file","n":%d}'
        if width > 80:
            self.line = self.line[:-1] + b',"filler":"' + b"f" * (width - 100) + b'"}'
        self.line += b"\n"
        self.out, self.lines, self.in_file = open(self.path, "ab", buffering=0), 0, []

    def offer(self, ids):
        now = time.time_ns() // 1000000
        self.out.write(b"".join(self.line % (now, i, i) for i in ids))
        self.in_file.append(ids)
        self.lines += len(ids)
        if self.lines >= self.rotate:
            self.turn()
        return ACKED

    def turn(self):
        self.rotations += 1
        old = self.path.with_name(f"{self.path.name}.{self.rotations}")
        os.rename(self.path, old)
        self.old.append((old, self.in_file))
        self.out.close()
        self.out, self.lines, self.in_file = open(self.path, "ab", buffering=0), 0, []
        while self.keep is not None and len(self.old) > self.keep:
            name, ranges = self.old[0]
            if not all(self.seen(i) for r in ranges for i in r):
                break
            name.unlink()
            self.old.pop(0)

    def stop(self):
        super().stop()
        self.out.close()


# ---- the two books against each other ----
def ids_in(book):
    return {i for first, n, _ in book for i in range(first, first + n)}


def obligations(producers):
    return set().union(*(ids_in(p.acked) for p in producers))


def lawful(producers):
    """Everything that may arrive."""
    return set().union(*(set(range(p.number * PER_PRODUCER, p.number * PER_PRODUCER + p.next)) for p in producers))


def spell(ids, limit=12):
    """IDs as producer:from-to, for people."""
    runs = []
    for i in sorted(ids):
        if runs and runs[-1][1] == i - 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    words = [f"{a // PER_PRODUCER}:{a % PER_PRODUCER}" + (f"-{b % PER_PRODUCER}" if b > a else "") for a, b in runs]
    return ", ".join(words[:limit]) + (f" and {len(words) - limit} more runs" if len(words) > limit else "")


def those_for(sink, producers):
    return [p for p in producers if p.signal in sink.signals]


def missing(producers, sink):
    return obligations(those_for(sink, producers)) - sink.snapshot() - set(sink.refused)


def unexpected(producers, sink):
    return sink.snapshot() - lawful(those_for(sink, producers))


def misplaced(producers, sink):
    """What came as another signal than it was sent as, as far as the sink can tell."""
    first = sink.first
    return {i for p in producers for i in lawful([p]) & first.keys() if first[i].signal not in (None, p.signal)}


def must_have_been_heard(sink, delivery, pulse):
    """Whether the agent got the answer to a delivery in time. An answer that went out just before the sink reset its connections
    may have been lost with them; one that came later than half of what the client waits may have been too late."""
    if not delivery.answered:
        return False
    late = pulse.late(delivery.at - 1, delivery.answered + 1)
    if sink.patience and delivery.answered - delivery.at + late > sink.patience / 2:
        return False
    return not any(began - 0.5 - late <= delivery.answered <= ended for began, ended in list(sink.deaths))


def unlawful_duplicates(sink, pulse, kills=(), before_s=1.0, after_s=0.5):
    """Second deliveries whose first one was answered, and not just before a kill: (ID, first, second, nearest kill). What a
    process had sent when it was killed is read by a busy sink up to `after_s` later."""
    windows = []
    for kill in kills:
        late = pulse.late(kill - before_s - 1, kill + after_s + 1)
        windows.append((kill - before_s - late, kill + after_s + late, kill))
    found = []
    for i, first, second in sink.again:
        if any(begin <= first.at <= end and second.at >= kill for begin, end, kill in windows):
            continue
        if must_have_been_heard(sink, first, pulse):
            found.append((i, first.at, second.at, min((abs(first.at - kill) for kill in kills), default=None)))
    return found


def wait_for_all(producers, sinks, timeout, words=""):
    """Until every obligation is in every sink; says what is missing otherwise. Returns how long it took."""
    began = time.monotonic()
    left = {s: obligations(those_for(s, producers)) for s in sinks}
    owed = {s: len(ids) for s, ids in left.items()}

    def here():
        for s in left:
            left[s] = {i for i in left[s] if i not in s.first and i not in s.refused}
        return not any(left.values())
    try:
        wait_until("every obligation", here, timeout, every=0.05)
    except AssertionError:
        for s, lost in left.items():
            check(not lost, f"{words}: {len(lost)} of {owed[s]} acknowledged items are not in the {type(s).__name__} on port "
                  f"{s.port} ({s.mode}) after {timeout} s: {spell(lost)}")
    return time.monotonic() - began


# ---- the agent's own account ----
def total(page, name, **labels):
    wanted = [f'{k}="{v}"' for k, v in labels.items()]
    return int(sum(v for k, v in page.items() if (k == name or k.startswith(name + "{")) and all(w in k for w in wanted)))


def account(page, exporter, signal="logs"):
    """{'sent', 'failed', 'dropped', 'waiting'} of one exporter that carries one signal."""
    of = {"exporter": exporter}
    return {"sent": total(page, "weft_exporter_sent_items_total", signal=signal, **of),
            "failed": total(page, "weft_exporter_failed_items_total", signal=signal, **of),
            "dropped": total(page, "weft_dropped_items_total", signal=signal, **of),
            "waiting": total(page, "weft_queue_items", **of)}


def check_sums(admin, exporters, signal="logs", carried=0, timeout=10):
    """accepted (and what a start found waiting) = sent + failed + dropped + waiting, for each exporter. Polls: an item whose
    outcome is being counted may show twice for an instant."""
    def adds_up():
        page = metrics(f"{admin}/metrics")
        taken = carried + total(page, "weft_receiver_accepted_items_total", signal=signal)
        return all(sum(account(page, e, signal).values()) == taken for e in exporters) and page
    try:
        return wait_until("sums", adds_up, timeout)
    except AssertionError:
        page = metrics(f"{admin}/metrics")
        taken = total(page, "weft_receiver_accepted_items_total", signal=signal)
        sums = {e: account(page, e, signal) for e in exporters}
        raise AssertionError(f"the sums do not add up: accepted {taken}, carried over {carried}, {sums}") from None


def appended(admin, pipelines, exporter, signal):
    """What the journals of the pipelines of an exporter have taken since they were opened."""
    journals = json.loads(http("GET", f"{admin}/api/v1/journals")[2])["journals"]
    return sum(j["appended_items"] for j in journals if j["signal"] == signal and exporter in pipelines[j["pipeline"]])


def check_every_sum(admin, carried_by, pipelines=None, timeout=10):
    """The same for exporters of several signals, `carried_by`: exporter -> signals, and with what a start found waiting. What
    waits is counted for an exporter as a whole, so where something does, the signals' differences must come to as much.
    `pipelines`, pipeline -> exporters, where a signal has several and nothing was reloaded: after a kill between two commits a
    receiver takes lines anew that only one of the journals wants, so each is asked what it took."""
    def books():
        page = metrics(f"{admin}/metrics")
        rows = []
        for exporter, signals in carried_by.items():
            open_, waiting = {}, total(page, "weft_queue_items", exporter=exporter)
            for s in signals:
                book = account(page, exporter, s)
                taken = appended(admin, pipelines, exporter, s) if pipelines \
                    else total(page, "weft_receiver_accepted_items_total", signal=s)
                taken += total(page, "weft_recovered_items_total", exporter=exporter, signal=s)
                open_[s] = taken - book["sent"] - book["failed"] - book["dropped"]
            rows.append((exporter, open_, waiting))
        return rows

    def adds_up(rows):
        return all(min(open_.values()) >= 0 and sum(open_.values()) == waiting for _, open_, waiting in rows)
    try:
        wait_until("sums", lambda: adds_up(books()), timeout)
    except AssertionError:
        raise AssertionError("the sums do not add up; (exporter, accepted and recovered without an outcome by signal, waiting): "
                             f"{books()}") from None


def breaker_of(page, exporter):
    states = [k.split('state="')[1].split('"')[0] for k, v in page.items()
              if k.startswith("weft_circuit_breaker_state{") and f'exporter="{exporter}"' in k and v == 1]
    return states


def rss_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def sanitized(binary):
    return b"__asan_init" in pathlib.Path(binary).read_bytes()


class Rig(Lab):
    """The daemon between producers over all three inputs and sinks. On failure the directory is kept and named."""

    def __init__(self, name):
        super().__init__()
        self.name, self.producers, self.sinks, self.daemon, self.config = name, [], {}, None, None

    def __enter__(self):
        super().__enter__()
        self.pulse = Pulse()
        self.logs = self.dir / "logs"
        self.logs.mkdir()
        self.ports = {"http": free_port(), "grpc": free_port(), "admin": free_port()}
        return self

    def __exit__(self, kind, error, trace):
        for p in self.producers:
            p.over.set()
        for p in self.producers:
            p.join(20)
        for process in self.processes.values():
            self.end(process, timeout=10) if process.poll() is None else None
        for s in self.sinks.values():
            s.close()
        self.pulse.stop()
        if kind and issubclass(kind, Exception) and kind.__name__ != "Skip":
            kept = self.dir.with_name(self.dir.name.replace("weft-lab-", f"weft-failed-{self.name}-"))
            os.rename(self.dir, kept)
            log = kept / "weft.log"
            print(f"kept {kept}; the end of the agent's log:\n" + (log.read_text(errors="replace")[-4000:] if log.exists() else ""),
                  flush=True)
        return super().__exit__(kind, error, trace)

    def sink(self, name, made):
        self.sinks[name] = made
        return made

    def configure(self, exporters, journal=None, service=None, receivers=None, processors=None, signals=("logs",)):
        """A pipeline of each signal with all inputs that have it, and with the exporters whose sinks take it."""
        self.config = {
            "receivers": {
                "otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.ports['http']}"},
                                       "grpc": {"endpoint": f"127.0.0.1:{self.ports['grpc']}"}}},
                "filelog": {"include": [f"{self.logs}/*.log", f"{self.logs}/*.log.*"], "start_at": "beginning"},
                **(receivers or {})},
            "processors": processors or {},
            "exporters": exporters,
            "service": {"journal": journal or {"mode": "memory", "max_size": "8MiB"},
                        "telemetry": {"endpoint": f"127.0.0.1:{self.ports['admin']}"},
                        **(service or {}),
                        "pipelines": {
                            signal: {"receivers": self.inputs(signal), "processors": list(processors or {}),
                                     "exporters": [e for e in exporters if e not in self.sinks or signal in self.sinks[e].signals]}
                            for signal in signals}}}

    @staticmethod
    def inputs(signal):
        return ["otlp", "filelog"] if signal == "logs" else ["otlp"]

    def run_agent(self, prefix=(), env=None):
        """Starts the daemon on the configuration; `prefix` are words before its command (faketime, prlimit)."""
        path = self.dir / "weft.yaml"
        path.write_text(json.dumps(self.config, indent=1))
        self.daemon = self.start("weft", [*prefix, weft_binary(), "run", "--config", path], env=env)
        self.daemon.admin = f"http://127.0.0.1:{self.ports['admin']}"
        self.ready(self.daemon, "weft ready", lambda: http("GET", f"{self.daemon.admin}/health/ready")[0] == 200)
        return self.daemon

    def page(self):
        return metrics(f"{self.daemon.admin}/metrics")

    def components(self):
        return {c["id"]: c for c in json.loads(http("GET", f"{self.daemon.admin}/api/v1/components")[2])["components"]
                if c.get("kind") == "exporter"}

    def produce(self, http_rate=0, grpc_rate=0, file_rate=0, others=None, filler=b"x" * 120, **file):
        """Producers of logs, and of other signals over HTTP and gRPC: `others`, signal -> rate of each of the two."""
        made = []
        for signal, over_http, over_grpc in [("logs", http_rate, grpc_rate)] + [(s, r, r) for s, r in (others or {}).items()]:
            if over_http:
                made.append(HttpProducer(self.ports["http"], rate=over_http, signal=signal, filler=filler))
            if over_grpc:
                made.append(GrpcProducer(self.ports["grpc"], rate=over_grpc, signal=signal, filler=filler))
        if file_rate:
            made.append(FileProducer(self.logs, rate=file_rate, **file))
        self.producers += made
        for p in made:
            p.start()
        return made

    def stop_producers(self):
        for p in self.producers:
            p.stop()

    def stop_agent(self, expected=0, timeout=40):
        code = self.end(self.daemon, timeout=timeout)
        check(code == expected, f"exit code {code}\n{self.daemon.log.read_text()[-3000:]}")

    def alive(self):
        check(self.daemon.poll() is None, f"the daemon died with {self.daemon.returncode}\n{self.daemon.log.read_text()[-3000:]}")


def needs_disk_mode(lab):
    """Skips where the build knows no journal on disk."""
    try:
        probe = lab.weft({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{free_port()}"}}}},
            "exporters": {"debug": {}},
            "service": {"journal": {"mode": "disk", "directory": str(lab.dir / "probe")},
                        "pipelines": {"logs": {"receivers": ["otlp"], "exporters": ["debug"]}}}}, name="probe")
    except AssertionError as error:
        if "not supported" in str(error) or "memory only" in str(error):
            raise Skip("this build keeps the journal in memory only") from None
        raise
    lab.end(probe)


def seed_of(default=None):
    """The seed of this run, printed; WEFT_FAULT_SEED repeats one."""
    seed = int(os.environ.get("WEFT_FAULT_SEED") or default or time.time_ns() % 10**9)
    print(f"seed {seed} (WEFT_FAULT_SEED={seed} repeats it)", flush=True)
    return random.Random(seed)
