# SPDX-License-Identifier: Apache-2.0
"""oracle_sinks.py: back ends that report the IDs they were given, and that misbehave on command.

A sink listens on a port of its own, one thread a connection. Its `mode` may be changed at any time by set_mode():

    ok            take everything
    dead          the port is closed, connections are reset
    hang          requests are read and never answered, until the peer gives up
    busy          503 with Retry-After in seconds (gRPC: UNAVAILABLE with RetryInfo)
    busy_date     429 with Retry-After as an HTTP date (gRPC: RESOURCE_EXHAUSTED with RetryInfo)
    half          200, but half the items are refused for good (_bulk: item errors; OTLP: partial success)
    half_later    200, but half the items of a _bulk are to be sent again (429); OTLP has no such answer: as half
    cut           everything is taken, and the connection breaks in the middle of the answer
    garbage       everything is taken, and the answer is not of the protocol
    nonsense      everything is taken, the answer is a well-formed 200 whose body means nothing
    slow          everything is taken, and the answer comes after `delay` seconds
    flap          ok and dead in turn, a second each

What was taken is kept by ID with the time, with the signal that it came as, and with when the sink got its answer out: a
second delivery of an ID is a lawful duplicate only when the first one was never answered, or when the agent died meanwhile."""
import email.utils
import gzip
import json
import re
import select
import socket
import struct
import threading
import time

from lab import free_port
from oracle_h2 import ACK, END_HEADERS, END_STREAM, H2, huffman, literals, message_of
from oracle_payloads import SERVICES, SIGNALS, varint

ID = re.compile(rb"oid(\d{11})o")
NAME = re.compile(rb'^\{"create":\{[^\n]*?"_id":"([^"]+)"', re.M)
DOCUMENT = re.compile(rb'^\{"create":\{[^\n]*?"_id":"([^"]+)"[^\n]*\n([^\n]*)\n', re.M)
STREAM = re.compile(rb'\{"create":\{"_index":"(logs|traces)-')
MODES = ("ok", "dead", "hang", "busy", "busy_date", "half", "half_later", "cut", "garbage", "nonsense", "slow", "flap")
RESET = struct.pack("ii", 1, 0)


class Delivery:
    """One request: when it came, as what (None: the sink cannot tell), and when its answer was out, whole; None: never."""
    __slots__ = ("at", "signal", "answered")

    def __init__(self, signal=None):
        self.at, self.signal, self.answered = time.monotonic(), signal, None

    def answer(self):
        self.answered = time.monotonic()


class Closed(Exception):
    pass


class Sink:
    """Listening, modes, and the book of what came. Subclasses speak a protocol in serve(). `patience`: how long the client
    waits for an answer, where a test makes that so short that a busy machine may answer too late."""
    signals = SIGNALS

    def __init__(self, delay=30.0, retry_after=1, patience=None):
        self.delay, self.retry_after, self.patience, self.mode = delay, retry_after, patience, "ok"
        self.first = {}           # ID -> Delivery that brought it first
        self.again = []           # (ID, first Delivery, second Delivery)
        self.refused = {}         # ID -> how often it was refused for good
        self.deaths = []          # (from, to) when connections were reset: an answer that was on its way then was lost,
                                  # whatever the book says
        self.requests = 0
        self.lock, self.over = threading.RLock(), threading.Event()
        self.listener, self.sockets, self.flapper = None, set(), None
        self.place = self._bound(free_port())  # keeps the port ours while nobody listens on it
        self.port = self.place.getsockname()[1]
        self._listen()

    # -- the port --
    @staticmethod
    def _bound(port):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 5
        while True:
            try:
                sock.bind(("127.0.0.1", port))
                return sock
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _listen(self):
        listener = self._bound(self.port)
        listener.listen(64)
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                if self.listener is not listener:
                    self._reset(sock)
                    return
                self.sockets.add(sock)
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        try:
            self.serve(sock)
        except (OSError, EOFError, Closed, ValueError):
            pass
        finally:
            with self.lock:
                self.sockets.discard(sock)
            sock.close()

    @staticmethod
    def _reset(sock):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _die(self):
        began = time.monotonic()
        with self.lock:
            listener, self.listener = self.listener, None
            sockets = list(self.sockets)
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        for sock in sockets:
            self._reset(sock)
        self.deaths.append((began, time.monotonic()))

    # -- what it does --
    def set_mode(self, mode):
        assert mode in MODES, mode
        with self.lock:
            self.mode = mode
        if mode == "flap":
            self.flapper = threading.Thread(target=self._flap, daemon=True)
            self.flapper.start()
            return
        if self.flapper:
            self.flapper.join()
            self.flapper = None
        if mode == "dead":
            self._die()
        elif not self.listener:
            self._listen()

    def _flap(self):
        up = True
        while self.mode == "flap" and not self.over.wait(1.0):
            up = not up
            if up:
                self._listen()
            else:
                self._die()

    def close(self):
        self.over.set()
        with self.lock:
            self.mode = "dead"
        self._die()
        self.place.close()

    # -- the book --
    def take(self, ids, signal=None):
        """Books IDs as delivered now; returns the Delivery, whose answer() is called when the answer is out."""
        delivery = Delivery(signal)
        with self.lock:
            first = self.first
            if first.keys().isdisjoint(ids) and len(set(ids)) == len(ids):
                first.update(dict.fromkeys(ids, delivery))
                return delivery
            for i in ids:
                if i in first:
                    self.again.append((i, first[i], delivery))
                else:
                    first[i] = delivery
        return delivery

    def refuse(self, ids):
        with self.lock:
            for i in ids:
                self.refused[i] = self.refused.get(i, 0) + 1

    def snapshot(self):
        with self.lock:
            return set(self.first)

    def count(self):
        return len(self.first)

    def wait_for_peer_to_leave(self, sock):
        """Until the other side closes; whatever it still sends is thrown away."""
        while not self.over.is_set():
            if select.select([sock], [], [], 0.1)[0] and not sock.recv(65536):
                return


def ids_of(body):
    return list(map(int, ID.findall(body)))


# ---- HTTP ----
class HttpSink(Sink):
    """HTTP/1.1 with keep-alive; subclasses say what to answer to a body."""

    def serve(self, sock):
        rest = b""
        while not self.over.is_set():
            while b"\r\n\r\n" not in rest:
                rest = self.more(sock, rest)
            head, rest = rest.split(b"\r\n\r\n", 1)
            lines = head.decode("latin-1").split("\r\n")
            headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
            if headers.get("expect", "").lower() == "100-continue" and self.mode != "hang":
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            length, parts = int(headers.get("content-length", "0")), [rest]
            have = len(rest)
            while have < length:
                data = sock.recv(1 << 20)
                if not data:
                    raise Closed
                parts.append(data)
                have += len(data)
            rest = b"".join(parts)
            body, rest = rest[:length], rest[length:]
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.requests += 1
            if not self.handle(sock, lines[0], body):
                return

    @staticmethod
    def more(sock, rest):
        data = sock.recv(1 << 20)
        if not data:
            raise Closed
        return rest + data

    def handle(self, sock, line, body):
        """Answers one request as the mode wants; False: the connection is done with."""
        mode = self.mode
        if mode in ("ok", "flap", "dead"):
            status, answer, delivery = self.accept(line, body, "ok")
        elif mode == "hang":
            self.wait_for_peer_to_leave(sock)
            return False
        elif mode == "busy":
            self.write(sock, 503, b"", {"Retry-After": str(self.retry_after)})
            return True
        elif mode == "busy_date":
            until = email.utils.formatdate(time.time() + self.retry_after, usegmt=True)
            self.write(sock, 429, b"", {"Retry-After": until})
            return True
        elif mode in ("half", "half_later"):
            status, answer, delivery = self.accept(line, body, mode)
        else:
            status, answer, delivery = self.accept(line, body, "ok")
            if mode == "slow":
                self.over.wait(self.delay)
                self.write(sock, status, answer)
                return True
            if mode == "cut":
                sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {self.media}\r\nContent-Length: 4096\r\n\r\n".encode() + b"{\"took\"")
            elif mode == "garbage":
                sock.sendall(bytes(range(256)) * 4)
            elif mode == "nonsense":
                self.write(sock, 200, b"<html>it works!</html>", {"Content-Type": "text/html"})
                if self.nonsense_is_an_answer:
                    delivery.answer()
                return True
            self._reset(sock)
            return False
        self.write(sock, status, answer)
        if delivery:
            delivery.answer()
        return True

    def write(self, sock, status, body, headers=None):
        head = {"Content-Type": self.media, "Content-Length": str(len(body)), **(headers or {})}
        text = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()) + "\r\n"
        sock.sendall(text.encode() + body)


class OtlpHttpSink(HttpSink):
    media = "application/x-protobuf"
    nonsense_is_an_answer = True  # a 2xx is a yes, whatever its body says (OTLP/HTTP)

    def accept(self, line, body, mode):
        signal = next((s for s in SIGNALS if f" /v1/{s} " in line), None)
        return 200, *otlp_accept(self, ids_of(body), mode, signal)


def otlp_accept(sink, ids, mode, signal):
    """(response message, Delivery). The first half of the items is refused: OTLP cannot say which, so the test must not
    ask which of them the agent counts."""
    if mode == "ok":
        return b"", sink.take(ids, signal)
    bad = len(ids) // 2
    sink.refuse(ids[:bad])
    inner = (b"\x08" + varint(bad) if bad else b"") + b"\x12\x0dhalf is wrong"
    return b"\x0a" + varint(len(inner)) + inner, sink.take(ids[bad:], signal)


class BulkSink(HttpSink):
    """Elasticsearch's _bulk with create semantics: a document whose _id is there already is answered with 409."""
    media = "application/json"
    nonsense_is_an_answer = False
    signals = ("logs", "traces")

    def __init__(self, **options):
        super().__init__(**options)
        self.documents = {}       # _id -> ID
        self.conflicts = 0
        self.homes = {}           # ID -> the _id that it came under first
        self.strays = []          # (ID, first _id, other _id): an ID that was created twice

    GOOD = b'{"create":{"status":201}}'
    THERE = b'{"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"document already exists"}}}'
    BAD = b'{"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"half is wrong"}}}'
    LATER = b'{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"half is early"}}}'

    def accept_new(self, body):
        """(how many, Delivery) when no document and no ID of the body has been seen before, which is the rule: at C's speed."""
        names, ids = NAME.findall(body), ids_of(body)
        with self.lock:
            if len(names) != len(ids) or len(set(names)) != len(names) or len(set(ids)) != len(ids) \
                    or not self.documents.keys().isdisjoint(names) or not self.homes.keys().isdisjoint(ids):
                return None
            self.documents.update(zip(names, ids))
            self.homes.update(zip(ids, names))
        return len(ids), self.take(ids, self.stream(body))

    @staticmethod
    def stream(body):
        """The signal of the data stream that a body is for, by its first line: a request has records of one."""
        found = STREAM.match(body)
        return found and found[1].decode()

    def accept(self, line, body, mode):
        if "_bulk" not in line:
            return 200, b"{}", None
        if mode == "ok" and (n := self.accept_new(body)):
            return 200, b'{"took":1,"errors":false,"items":[' + b",".join([self.GOOD] * n[0]) + b"]}", n[1]
        found = DOCUMENT.findall(body)
        pairs = [(name, int(ID.search(text)[1])) for name, text in found]
        answers, taken, bad = [], [], []
        with self.lock:
            for n, (name, i) in enumerate(pairs):
                # The same documents are refused for good on every try: whether one is bad is a matter of its content.
                if mode == "half" and i % 2:
                    bad.append(i)
                    answers.append(self.BAD)
                elif mode == "half_later" and n % 2:
                    answers.append(self.LATER)
                elif name in self.documents:
                    self.conflicts += 1
                    answers.append(self.THERE)
                else:
                    self.documents[name] = i
                    if self.homes.setdefault(i, name) != name:
                        self.strays.append((i, self.homes[i], name))
                    taken.append(i)
                    answers.append(self.GOOD)
        self.refuse(bad)
        delivery = self.take(taken, self.stream(body))
        errors = b"true" if any(a is not self.GOOD for a in answers) else b"false"
        return 200, b'{"took":1,"errors":' + errors + b',"items":[' + b",".join(answers) + b"]}", delivery


# ---- gRPC ----
def retry_info(code, seconds):
    """google.rpc.Status with a RetryInfo, as grpc-status-details-bin wants it."""
    import base64
    delay = b"\x08" + varint(seconds) if seconds else b""
    info = b"\x0a" + varint(len(delay)) + delay
    url = b"type.googleapis.com/google.rpc.RetryInfo"
    any_ = b"\x0a" + varint(len(url)) + url + b"\x12" + varint(len(info)) + info
    status = b"\x08" + varint(code) + b"\x1a" + varint(len(any_)) + any_
    return base64.b64encode(status).rstrip(b"=")


class OtlpGrpcSink(Sink):
    """OTLP/gRPC in cleartext. Of the request headers only the path is looked for, as it is spelt where no table is used."""
    PATHS = {s: (path, huffman(path)) for s, path in SERVICES.items()}

    def serve(self, sock):
        h2 = H2(sock)
        h2.serve_preface()
        bodies, signals, gone, lock = {}, {}, threading.Event(), threading.Lock()
        try:
            for kind, flags, stream, payload in h2.frames():
                if kind == 1:
                    bodies[stream], signals[stream] = [b""], self.signal_of(payload)
                elif kind == 0 and stream in bodies:
                    bodies[stream].append(h2.data(flags, payload))
                elif kind == 3:
                    bodies.pop(stream, None)
                    signals.pop(stream, None)
                if kind in (0, 1) and flags & END_STREAM and stream in bodies:
                    self.requests += 1
                    self.handle_call(h2, lock, stream, message_of(b"".join(bodies.pop(stream))), signals.pop(stream), gone)
        finally:
            gone.set()

    def signal_of(self, block):
        return next((s for s, spellings in self.PATHS.items() if any(p in block for p in spellings)), None)

    def handle_call(self, h2, lock, stream, body, signal, gone):
        mode, ids = self.mode, ids_of(body)
        if mode == "hang":
            return
        if mode in ("busy", "busy_date"):
            code = 14 if mode == "busy" else 8
            self.answer(h2, lock, stream, None, code, (b"grpc-status-details-bin", retry_info(code, self.retry_after)))
            return
        if mode in ("half", "half_later"):
            message, delivery = otlp_accept(self, ids, "half", signal)
        else:
            message, delivery = otlp_accept(self, ids, "ok", signal)
        if mode == "slow":
            threading.Thread(target=self.answer_late, args=(h2, lock, stream, gone), daemon=True).start()
        elif mode == "cut":
            with lock:
                h2.send(1, END_HEADERS, stream, b"\x88" + literals((b"content-type", b"application/grpc")))
                h2.sock.sendall(b"\0\0\x05\0\0" + struct.pack(">I", stream) + b"\0\0")
            raise Closed
        elif mode == "garbage":
            with lock:
                h2.sock.sendall(bytes(range(255, -1, -1)) * 4)
            raise Closed
        elif mode == "nonsense":
            self.answer(h2, lock, stream, b"<html>it works!</html>", 0)
            delivery.answer()
        else:
            self.answer(h2, lock, stream, message, 0)
            delivery.answer()

    def answer_late(self, h2, lock, stream, gone):
        if gone.wait(self.delay):
            return
        try:
            self.answer(h2, lock, stream, b"", 0)
        except OSError:
            pass

    @staticmethod
    def answer(h2, lock, stream, message, code, *trailers):
        first = b"\x88" + literals((b"content-type", b"application/grpc"))
        last = literals((b"grpc-status", str(code).encode()), *trailers)
        with lock:
            if message is None:
                h2.send(1, END_HEADERS | END_STREAM, stream, first + last)
                return
            h2.sock.sendall(h2.frame(1, END_HEADERS, stream, first)
                            + h2.frame(0, 0, stream, b"\0" + struct.pack(">I", len(message)) + message)
                            + h2.frame(1, END_HEADERS | END_STREAM, stream, last))


__all__ = ["ACK", "MODES", "BulkSink", "OtlpGrpcSink", "OtlpHttpSink", "Sink", "ids_of", "json", "varint"]
