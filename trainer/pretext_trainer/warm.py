# What the trainer imports takes seconds, and many jobs take less. A process that has imported it forks a child for each job of
# one owner (the Node process that starts the jobs), on Linux. Whoever started `python -m pretext_trainer JOB` sees no
# difference: that process stands for the child, with its output, its signals and the way it ends.
import atexit
import hashlib
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

# Names a folder for the sockets, that its owner removes when it ends. Without it every job imports for itself.
FOLDER = "PRETEXT_TRAINER_SOCKETS"
_TAKEN = b"+"


def run_as_child(path: str) -> int | None:
    """Exit status of the job, run by a child of the warm process; None where there is none and the job must be run here."""
    folder = os.environ.get(FOLDER)
    if not folder or not sys.platform.startswith("linux"):
        return None
    try:
        request = {"job": os.path.abspath(path), "folder": os.getcwd()}
        connection = _connect(folder)
        socket.send_fds(connection, [json.dumps(request).encode()], [1, 2])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: _pass_on(connection, number))
        if connection.recv(1) != _TAKEN:
            return None
    except OSError:
        return None
    ended = b""
    while part := connection.recv(64):
        ended += part
    # Without a word of how it ended, the warm process itself was killed, and the job with it.
    status = int(ended) if ended else -signal.SIGKILL
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _pass_on(connection: socket.socket, number: int) -> None:
    try:
        connection.send(bytes([number]))
    except OSError:
        pass  # The child has ended meanwhile.


def _connect(folder: str) -> socket.socket:
    import fcntl  # Not there on other systems, which come no farther than run_as_child.

    # One warm process for each interpreter and environment: libraries read both when they are imported.
    which = json.dumps([sys.executable, sorted(os.environ.items())])
    address = os.path.join(folder, hashlib.sha256(which.encode()).hexdigest()[:16])
    with open(address + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return _open(address)
        except OSError:
            _begin(address)
            return _open(address)


def _open(address: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    return connection


def _begin(address: str) -> None:
    if os.path.exists(address):
        os.unlink(address)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        subprocess.Popen(
            [sys.executable, "-m", "pretext_trainer.warm", str(listener.fileno()), address, str(os.getppid())],
            pass_fds=[listener.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


class _Warm:
    """Forks until its owner has ended."""

    def __init__(self, listener: socket.socket, address: str, owner: int):
        self._listener, self._address, self._owner = listener, address, owner
        self._jobs: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        self._wake = wake
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def serve(self) -> None:
        while self._jobs or self._wanted():
            for key, _ in self._selector.select(timeout=1):
                if key.fileobj is self._listener:
                    self._take()
                elif key.fileobj == self._woken:
                    os.read(self._woken, 64)
                else:
                    self._heard(key.data, key.fileobj)
            self._reap()

    def _wanted(self) -> bool:
        try:
            os.kill(self._owner, 0)
        except ProcessLookupError:
            return False
        return os.path.exists(self._address)

    def _take(self) -> None:
        connection, _ = self._listener.accept()
        try:
            content, outputs, _, _ = socket.recv_fds(connection, 65536, 2)
            request = json.loads(content)
        except (OSError, ValueError):
            connection.close()
            return
        from .__main__ import KINDS, run

        try:
            kind = json.loads(Path(request["job"]).read_text("utf-8"))["job"]["kind"]
            for name in (KINDS[kind], "jsonschema"):
                importlib.import_module(name, __package__)
        except Exception:
            pass  # The child meets the same error, and tells it.
        pid = os.fork()
        if pid == 0:
            self._leave()
            connection.close()
            _child(request, outputs, run)
        for output in outputs:
            os.close(output)
        self._jobs[pid] = connection
        self._selector.register(connection, selectors.EVENT_READ, pid)
        try:
            connection.send(_TAKEN)
        except OSError:
            pass  # Whoever asked was killed meanwhile, which is heard next; the other jobs go on.

    def _leave(self) -> None:
        """What a child must not hold: others would wait for its end."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        self._selector.close()
        for held in (self._listener, *self._jobs.values()):
            held.close()
        os.close(self._woken)
        os.close(self._wake)

    def _heard(self, pid: int, connection: socket.socket) -> None:
        try:
            heard = connection.recv(1)
        except OSError:
            heard = b""
        # Whoever stood for the child is gone: killed, as the child shall be.
        os.kill(pid, heard[0] if heard else signal.SIGKILL)
        if not heard:
            self._selector.unregister(connection)

    def _reap(self) -> None:
        while self._jobs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            connection = self._jobs.pop(pid, None)
            if connection is None:
                continue  # A process that an import has left.
            if connection in self._registered():
                self._selector.unregister(connection)
            try:
                connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            except OSError:
                pass
            connection.close()

    def _registered(self) -> list[object]:
        return [key.fileobj for key in self._selector.get_map().values()]


def _child(request: Mapping[str, str], outputs: list[int], run: Callable[[str], int]) -> NoReturn:
    for to, output in enumerate(outputs, start=1):
        os.dup2(output, to)
        os.close(output)
    os.chdir(request["folder"])
    del os.environ[FOLDER]
    if _touched_a_gpu():
        os.execv(sys.executable, [sys.executable, "-m", "pretext_trainer", request["job"]])
    if "numpy" in sys.modules:
        # Python's own generator does this by itself; torch's has the same state at every start.
        sys.modules["numpy"].random.seed()
    status = 1
    try:
        status = run(request["job"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        # An orderly end takes apart all that was imported, for more than a second.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _touched_a_gpu() -> bool:
    """Whether an import has opened a driver, that no child can use after a fork."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith(("/dev/nvidia", "/dev/kfd")):
                return True
        except OSError:
            continue
    return False


if __name__ == "__main__":
    _, number, at, owner = sys.argv
    # Not ignored, which a new child would do too: it hears what was sent before it listened.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    _Warm(socket.socket(fileno=int(number)), at, int(owner)).serve()
