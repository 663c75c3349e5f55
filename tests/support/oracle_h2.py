# SPDX-License-Identifier: Apache-2.0
"""oracle_h2.py: as much of HTTP/2 in cleartext as unary gRPC needs, for both sides.

Header tables are turned off (SETTINGS_HEADER_TABLE_SIZE 0), so a header block is a row of literals and static indexes. Of a
peer's headers only grpc-status and the path are ever looked for. Names and paths may come Huffman-coded (RFC 7541), the value of
grpc-status never does, because one or two digits do not get shorter."""
import gzip
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
TABLE_SIZE, INITIAL_WINDOW = 1, 4
WINDOW = (1 << 31) - 1

# The codes of RFC 7541, appendix B, for the letters of names and paths: (first code, length, letters in their order).
_CODES = {letter: (first + n, length) for first, length, letters in (
    (0x1, 5, "1"), (0x3, 5, "aceiost"), (0x16, 6, "-./"), (0x23, 6, "bdfghlmnpru"), (0x5e, 7, "CDEFGHIJKLMNOPQRSTUVWY"),
    (0x74, 7, "jkqvwxyz")) for n, letter in enumerate(letters)}


def huffman(name):
    bits, length = 0, 0
    for letter in name.decode():
        code, n = _CODES[letter]
        bits, length = bits << n | code, length + n
    pad = -length % 8
    return (bits << pad | (1 << pad) - 1).to_bytes((length + pad) // 8, "big")


GRPC_STATUS = (b"grpc-status", huffman(b"grpc-status"))


def literals(*pairs):
    """Header fields without indexing; strings under 127 bytes, or with the longer form of the length."""
    return b"".join(b"\0" + _string(k) + _string(v) for k, v in pairs)


def _string(s):
    return _integer(len(s), 7, 0) + s


def _integer(n, bits, first):
    limit = (1 << bits) - 1
    if n < limit:
        return bytes([first | n])
    out, n = bytearray([first | limit]), n - limit
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _read_integer(block, at, bits):
    limit = (1 << bits) - 1
    n, at, shift = block[at] & limit, at + 1, 0
    if n < limit:
        return n, at
    while True:
        byte = block[at]
        n, at, shift = n + ((byte & 127) << shift), at + 1, shift + 7
        if not byte & 128:
            return n, at


def _read_string(block, at):
    n, at = _read_integer(block, at, 7)
    return block[at:at + n], at + n


def grpc_status(block):
    """The value of grpc-status in a header block, as a number; None when it has none."""
    at, found = 0, None
    while at < len(block):
        first = block[at]
        if first & 0x80:  # indexed: nothing of the static table interests us
            _, at = _read_integer(block, at, 7)
            continue
        if first & 0xe0 == 0x20:  # a new size of the table
            _, at = _read_integer(block, at, 5)
            continue
        index, at = _read_integer(block, at, 6 if first & 0x40 else 4)
        name = b""
        if index == 0:
            name, at = _read_string(block, at)
        value, at = _read_string(block, at)
        if name in GRPC_STATUS:
            found = int(value)
    return found


def message_of(data):
    """The message of a unary call behind its five bytes, decompressed."""
    if len(data) < 5:
        return b""
    body = data[5:5 + struct.unpack(">I", data[1:5])[0]]
    return gzip.decompress(body) if data[0] else body


class H2:
    """One connection. frames() yields (kind, flags, stream, payload) and looks after settings, pings and windows."""

    def __init__(self, sock):
        self.sock, self.rest, self.taken, self.leaving = sock, b"", 0, False
        self.last_stream = 0  # of the goodbye: later ones were not taken
        self.window, self.initial, self.stream_windows = 65535, 65535, {}

    @staticmethod
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    def send(self, kind, flags, stream, payload):
        self.sock.sendall(self.frame(kind, flags, stream, payload))

    def _first_words(self):
        settings = struct.pack(">HIHI", TABLE_SIZE, 0, INITIAL_WINDOW, WINDOW)
        return self.frame(4, 0, 0, settings) + self.frame(8, 0, 0, struct.pack(">I", WINDOW - 65535))

    def serve_preface(self):
        while len(self.rest) < len(PREFACE):
            self._more()
        if not self.rest.startswith(PREFACE):
            raise ValueError("not HTTP/2")
        self.rest = self.rest[len(PREFACE):]
        self.sock.sendall(self._first_words())

    def call_preface(self):
        self.sock.sendall(PREFACE + self._first_words())

    def _more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise EOFError("the peer hung up")
        self.rest += data

    def frames(self):
        while True:
            try:
                yield self.next()
            except EOFError:
                return

    def next(self):
        while True:
            while len(self.rest) < 9 or len(self.rest) < 9 + int.from_bytes(self.rest[:3], "big"):
                self._more()
            size = int.from_bytes(self.rest[:3], "big")
            kind, flags, stream = self.rest[3], self.rest[4], struct.unpack(">I", self.rest[5:9])[0] & WINDOW
            payload, self.rest = self.rest[9:9 + size], self.rest[9 + size:]
            if kind == 4 and not flags & ACK:
                self._take_settings(payload)
            elif kind == 6 and not flags & ACK:
                self.send(6, ACK, 0, payload)
            elif kind == 7:
                # Calls that are out, up to this one, are still answered.
                self.leaving, self.last_stream = True, struct.unpack(">I", payload[:4])[0] & WINDOW
            elif kind == 8:
                more = struct.unpack(">I", payload)[0] & WINDOW
                if stream:
                    self.stream_windows[stream] = self.stream_windows.get(stream, self.initial) + more
                else:
                    self.window += more
            if kind == 0:
                self._give_window(size)
            return kind, flags, stream, payload

    def _take_settings(self, payload):
        for at in range(0, len(payload) - 5, 6):
            name, value = struct.unpack(">HI", payload[at:at + 6])
            if name == INITIAL_WINDOW:
                self.initial = value
        self.send(4, ACK, 0, b"")

    def _give_window(self, size):
        """Gives back what a peer has used of the connection's window; streams are short and have 2 GiB each."""
        self.taken += size
        if self.taken > 1 << 24:
            self.send(8, 0, 0, struct.pack(">I", self.taken))
            self.taken = 0

    @staticmethod
    def data(flags, payload):
        return payload[1:len(payload) - payload[0]] if flags & PADDED else payload
