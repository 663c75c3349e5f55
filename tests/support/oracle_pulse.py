# SPDX-License-Identifier: Apache-2.0
"""oracle_pulse.py: notices when this process got no time of a processor, or none of the interpreter.

Producers and sinks note what they see when they come to it. On a busy machine that may be late, and then a window in time
("just before a kill", "at once") must be wider by as much as the books may be wrong."""
import threading
import time

EVERY_S = 0.02


class Pulse(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.gaps, self.over = [], threading.Event()  # (should have woken, woke) where that was a while
        self.start()

    def run(self):
        due = time.monotonic() + EVERY_S
        while not self.over.wait(max(0.0, due - time.monotonic())):
            now = time.monotonic()
            if now - due > EVERY_S:
                self.gaps.append((due, now))
            due = now + EVERY_S

    def late(self, begin, end):
        """How late, at worst, this process came to what happened between the two."""
        return max((woke - due for due, woke in list(self.gaps) if woke >= begin and due <= end), default=0.0)

    def stop(self):
        self.over.set()
        self.join()
