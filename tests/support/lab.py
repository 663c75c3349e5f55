# SPDX-License-Identifier: Apache-2.0
"""lab.py: what tests that run real programs share.

A Lab owns a scratch directory and every process that a test starts, and ends them all when the test is over, however
it ends. Waits are bounded and poll; ports are picked free. A program that is missing raises Skip, which is counted
and shown, never passed. A script registers cases with @case and closes with main(), which prints
"N passed, N failed, N skipped".
"""
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ.get("WEFT_TOOLS") or ROOT / "build" / "tools").resolve()
INTEROP = ROOT / "tests" / "interop"


class Skip(Exception):
    """The test cannot run here; the words say what is missing."""


# ---- cases and their verdicts ----
_cases = []


def case(function):
    _cases.append(function)
    return function


def main():
    wanted = sys.argv[1:]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for function in _cases:
        name = function.__name__.replace("_", " ")
        if wanted and not any(w in function.__name__ for w in wanted):
            continue
        began = time.monotonic()
        try:
            function()
            verdict, words = "passed", ""
        except Skip as skip:
            verdict, words = "skipped", str(skip)
        except Exception:  # noqa: BLE001 - a verdict, whatever went wrong
            verdict, words = "failed", traceback.format_exc()
        counts[verdict] += 1
        print(f"{verdict:8}{name} ({time.monotonic() - began:.1f} s) {words}", flush=True)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["failed"] else 0)


def check(condition, words):
    if not condition:
        raise AssertionError(words)


def wait_until(words, probe, timeout=15.0, every=0.1):
    """Polls until `probe` returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            result = probe()
            if result:
                return result
        except (OSError, urllib.error.URLError, ValueError, KeyError, IndexError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for: {words}" + (f" (last: {last})" if last else ""))
        time.sleep(every)


# ---- tools ----
def free_port(kind=socket.SOCK_STREAM):
    """Below the ports that outgoing connections get, so that none of them takes it before its server has it."""
    for _ in range(200):
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(("127.0.0.1", random.SystemRandom().randrange(15000, 32000)))
                return s.getsockname()[1]
            except OSError:
                continue
    raise AssertionError("no free port between 15000 and 32000")


def http(method, url, body=None, headers=None, timeout=10):
    """(status, headers, body bytes); HTTP errors are answers, not exceptions."""
    if isinstance(body, (dict, list)):
        body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def get_json(url, **params):
    if params:
        url += "?" + urllib.parse.urlencode(params)
    status, _, body = http("GET", url)
    if status != 200:
        raise ValueError(f"{url}: {status} {body[:200]!r}")
    return json.loads(body)


def tool(name):
    path = shutil.which(name)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


def weft_binary():
    path = pathlib.Path(os.environ.get("WEFT", ROOT / "build" / "dev" / "weft"))
    if not path.exists():
        raise Skip(f"{path} is not built")
    return str(path)


# ---- the lab ----
class Lab(contextlib.ExitStack):
    def __enter__(self):
        super().__enter__()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="weft-lab-"))
        self.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.processes = {}
        return self

    def start(self, name, argv, env=None, stdin=subprocess.DEVNULL, cwd=None):
        log = self.dir / f"{name}.log"
        with open(log, "ab") as out:
            process = subprocess.Popen([str(a) for a in argv], stdout=out, stderr=subprocess.STDOUT, stdin=stdin,
                                       env={**os.environ, **(env or {})}, cwd=cwd, start_new_session=True)
        process.log = log
        self.processes[name] = process
        self.callback(self.end, process)
        return process

    @staticmethod
    def end(process, sig=signal.SIGTERM, timeout=20):
        """Ends a process and its group; returns the exit code."""
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sig)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.stdin:
            process.stdin.close()
        return process.returncode

    def ready(self, process, words, probe, timeout=30):
        def alive_and_ready():
            if process.poll() is not None:
                raise AssertionError(f"{words}: exited with {process.returncode}\n{process.log.read_text()[-3000:]}")
            return probe()
        try:
            return wait_until(words, alive_and_ready, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{process.log.read_text()[-3000:]}") from None

    # -- back ends --
    def prometheus(self, targets, interval="1s"):
        port, config = free_port(), self.dir / "prometheus.yml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "scrape_configs": [{"job_name": job, "honor_labels": True, "static_configs": [{"targets": [address]}]}
                               for job, address in targets.items()]}))
        process = self.start("prometheus", [
            tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={self.dir}/prometheus",
            f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
            "--enable-feature=exemplar-storage,native-histograms"])
        url = f"http://127.0.0.1:{port}"
        self.ready(process, "Prometheus ready", lambda: http("GET", f"{url}/-/ready")[0] == 200)
        return url

    def jaeger(self):
        """(query URL, OTLP/gRPC address, OTLP/HTTP URL) of a real Jaeger v2."""
        binary = TOOLS / "jaeger"
        if not binary.exists():
            raise Skip("Jaeger is not built (tests/interop/build-tools needs Go 1.24 or newer)")
        ports = {k: str(free_port()) for k in ("QUERY_HTTP", "QUERY_GRPC", "OTLP_GRPC", "OTLP_HTTP")}
        process = self.start("jaeger", [binary, "--config", INTEROP / "jaeger" / "config.yaml"], env=ports)
        query = f"http://127.0.0.1:{ports['QUERY_HTTP']}"
        self.ready(process, "Jaeger ready", lambda: http("GET", f"{query}/api/services")[0] == 200)
        return query, f"127.0.0.1:{ports['OTLP_GRPC']}", f"http://127.0.0.1:{ports['OTLP_HTTP']}"

    def opensearch(self, **settings):
        """The URL of a real OpenSearch node with a data stream template for logs-*, traces-* and metrics-*."""
        jars = TOOLS / "opensearch"
        if not jars.is_dir() or not any(jars.glob("opensearch-2*.jar")):
            raise Skip("OpenSearch is not there (tests/interop/build-tools needs Maven and a JDK of 17 or newer)")
        port, data = free_port(), self.dir / "opensearch"
        data.mkdir()
        process = self.start("opensearch", [
            tool("java"), "-Xmx512m", "-cp", f"{jars}/*", INTEROP / "opensearch" / "SearchNode.java", data, port,
            *[f"{k}={v}" for k, v in settings.items()]], stdin=subprocess.PIPE)
        url = f"http://127.0.0.1:{port}"
        self.ready(process, "OpenSearch ready", lambda: http("GET", url)[0] == 200, timeout=90)
        status, _, body = http("PUT", f"{url}/_index_template/weft", {
            "index_patterns": ["logs-*", "traces-*", "metrics-*"], "data_stream": {}, "priority": 200,
            "template": {"settings": {"number_of_replicas": 0, "refresh_interval": "1s"}}})
        check(status == 200, f"index template: {status} {body[:300]!r}")
        return url

    # -- Weft itself --
    def weft(self, config, name="weft", ready=True, args=(), env=None):
        """Runs the daemon on `config` (text or a dict). The process has .admin, the admin URL."""
        admin = f"127.0.0.1:{free_port()}"
        if isinstance(config, dict):
            config.setdefault("service", {}).setdefault("telemetry", {}).setdefault("endpoint", admin)
            admin = config["service"]["telemetry"]["endpoint"]
            config = json.dumps(config, indent=1)
        else:
            config = config.replace("@ADMIN@", admin)
        path = self.dir / f"{name}.yaml"
        path.write_text(config)
        process = self.start(name, [weft_binary(), "run", "--config", path, *args], env=env)
        process.admin, process.config = f"http://{admin}", path
        if ready:
            self.ready(process, f"{name} ready", lambda: http("GET", f"{process.admin}/health/ready")[0] == 200)
        return process


def metrics(url):
    """A Prometheus text page as {'name{labels}': value}."""
    page = {}
    for line in http("GET", url)[2].decode().splitlines():
        if line and not line.startswith("#"):
            series, _, value = line.split(" # ")[0].rpartition(" ")
            page[series] = float(value)
    return page
