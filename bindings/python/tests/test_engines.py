"""Engines: modules that are not ours, instances that fail, memory that is overwritten, threads."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from vectors import VECTORS

from agentassert import AgentAssert, AgentAssertError
from agentassert.engines import own_module

NOW = 1_764_000_000
TRAP = bytes.fromhex("".join((VECTORS / "hosts" / "trap.hex").read_text().split()))


def code(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(AgentAssertError) as failure:
        call(*arguments, **named)
    assert failure.value.__cause__ is None, "the engine's own error says nothing that helps"
    return failure.value.code


def leb(n: int) -> bytes:
    """An integer as modules have it, signed LEB128."""
    out = bytearray()
    while True:
        byte = n & 0x7F
        n >>= 7
        if (n == 0 and not byte & 0x40) or (n == -1 and byte & 0x40):
            return bytes([*out, byte])
        out.append(byte | 0x80)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb_unsigned(len(content)) + content


def leb_unsigned(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def i32(n: int) -> bytes:
    return b"\x41" + leb(n)


def i64(n: int) -> bytes:
    return b"\x42" + leb(n)


def assemble(
    *,
    abi: bytes = i32(2),
    alloc: bytes = i32(8),
    call: bytes = i64(0),
    memory: bytes = b"\x00\x01",
    imports: bool = False,
    skip: str = "",
    start: bytes = b"",
) -> bytes:
    """A module with the ABI's exports, whose functions do what these instructions say."""
    signatures = [b"\0\1\x7f", b"\1\x7f\1\x7f", b"\1\x7f\0", b"\2\x7f\x7f\1\x7e", b"\0\0"]
    types = b"\x05" + b"".join(b"\x60" + signature for signature in signatures)
    bodies = [b"\0" + code + b"\x0b" for code in (abi, alloc, b"", call, start)]
    names = ["agentassert_abi", "agentassert_alloc", "agentassert_free", "agentassert_call"]
    first = int(imports)
    exports = [b"\x06memory\x02\x00"] + [
        bytes([len(name)]) + name.encode() + b"\0" + bytes([first + i])
        for i, name in enumerate(names)
        if name != skip
    ]
    return (
        b"\0asm\1\0\0\0"
        + section(1, types)
        + (section(2, b"\1\1e\1f\0\4") if imports else b"")
        + section(3, b"\x05\0\1\2\3\4")
        + section(5, b"\1" + memory)
        + section(7, bytes([len(exports)]) + b"".join(exports))
        + (section(8, bytes([first + 4])) if start else b"")
        + section(10, b"\x05" + b"".join(leb_unsigned(len(body)) + body for body in bodies))
    )


def load(module: bytes) -> AgentAssert:
    pytest.importorskip("wasmtime")
    return AgentAssert.load(module=module)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (b"", "invalid_module"),
        (b"\x01\x02\x03", "invalid_module"),
        (b"(module)", "invalid_module"),
        (b"\0asm\1\0\0\0", "invalid_module"),
        (own_module()[: 1 << 20], "invalid_module"),
        (assemble(imports=True), "invalid_module"),
        (assemble(skip="agentassert_call"), "invalid_module"),
        (assemble(skip="agentassert_free"), "invalid_module"),
        (assemble(abi=i32(3)), "abi_version"),
        (assemble(abi=i32(-1)), "abi_version"),
        (assemble(abi=b"\x00"), "invalid_module"),
        (assemble(start=b"\x00"), "invalid_module"),
        (assemble(memory=b"\x00" + leb_unsigned(513)), "invalid_module"),  # more than an instance may have
        (assemble(start=b"\x03\x40\x0c\x00\x0b"), "invalid_module"),  # begins, and does not end
    ],
)
def test_modules_that_are_not_ours(module: bytes, expected: str) -> None:
    pytest.importorskip("wasmtime")
    assert code(AgentAssert.load, module=module) == expected


@pytest.mark.parametrize(
    "module",
    [
        TRAP,
        assemble(call=b"\x00"),
        assemble(call=i64(0)),  # an empty answer
        assemble(call=i64(65536 << 32 | 5)),  # behind the end of its memory
        assemble(call=i64((0xFFFFFFFF << 32 | 5) - (1 << 64))),
        assemble(call=i64(8 << 32 | 0xFFFFFFFF)),
        assemble(call=i64(8 << 32 | (1 << 20) + 1)),
        assemble(call=i64(1024 << 32 | 5)),  # zeroes, which are no message
        assemble(alloc=i32(0)),
        assemble(alloc=i32(-8)),
        assemble(alloc=i32(65536)),
        assemble(call=b"\x03\x40\x0c\x00\x0b" + i64(0)),  # does not end
        assemble(call=b"\x20\0\x20\1\x10\3"),  # calls itself
    ],
)
def test_modules_that_misbehave(module: bytes) -> None:
    with load(module) as core:
        for _ in range(2):
            assert code(core.generate_key) == "sandbox_failed"


def answering(message: bytes) -> bytes:
    """A module that answers every call with a message."""
    stores = b"".join(i32(1024 + i) + i32(byte) + b"\x3a\0\0" for i, byte in enumerate(message))
    return assemble(call=stores + i64(1024 << 32 | len(message)))


@pytest.mark.parametrize(
    "answer",
    [
        b"\xa0",
        b"\x80",
        b"\x01",
        b"\xa1\x62ok\xf5",
        b"\xa1\x62ok\xa0",  # a result without what the call returns
        b"\xa1\x65error\xa0",
        b"\xa1\x65error\xa1\x64code\x61a",
        b"\xa1\x65error\xa2\x64code\x61A\x67message\x60",
        b"\xa1\x65error\xa2\x64code\x60\x67message\x60",
        b"\xa1\x62ok\xa2\x6apublic_key\x01\x6bprivate_key\x60",
        b"\xa1\x62ok\xa1\x67problem\xa0",
        b"\xff",
    ],
)
def test_answers_that_are_none(answer: bytes) -> None:
    with load(answering(answer)) as core:
        assert code(core.generate_key) == "sandbox_failed"


def test_text_of_a_module_is_cleaned() -> None:
    text = "a\x1b[2J\u202eb\x9fc".encode() + b"x" * 5000
    message = b"\xa1\x65error\xa2\x64code\x63bad\x67message\x79" + len(text).to_bytes(2, "big") + text
    with load(answering(message)) as core, pytest.raises(AgentAssertError) as failure:
        core.generate_key()
    assert failure.value.code == "bad"
    shown = failure.value.message
    assert shown.startswith("a\ufffd[2J\ufffdb\ufffdcx")
    assert len(shown.encode()) <= 4096 + 3


def test_the_packages_module_as_ones_own() -> None:
    with load(own_module()) as core:
        assert core.generate_key().public_key


class Guests:
    """What the tests see of an engine's instances: the wasmtime ones'."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = pytest.importorskip("agentassert.wasmtime_engine")
        self.kind = engine._Instance
        self.made: list[Any] = []
        self.erased: list[bytes] = []
        begin, erase = self.kind.__init__, self.kind.erase

        def made(instance: Any, module: Any) -> None:
            begin(instance, module)
            self.made.append(instance)

        def erased(instance: Any) -> None:
            memory, store = instance._memory, instance._store
            close = store.close

            def closed() -> None:
                self.erased.append(bytes(memory.read(store)))
                close()

            monkeypatch.setattr(store, "close", closed, raising=False)
            erase(instance)

        monkeypatch.setattr(self.kind, "__init__", made)
        monkeypatch.setattr(self.kind, "erase", erased)

    def memory(self, i: int) -> bytes:
        return bytes(self.made[i]._memory.read(self.made[i]._store))


SEED = bytes(101 + 3 * i for i in range(32))


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> Guests:
    return Guests(monkeypatch)


@pytest.fixture
def used(guests: Guests) -> Iterator[AgentAssert]:
    """A core of its own that has signed."""
    with AgentAssert.load(engine="wasmtime") as core:
        key = core.generate_key(entropy=SEED)
        core.assert_(private_key=key.private_key, agent_runtime_id="agent-1", task_id="task-1", now=NOW)
        assert SEED in guests.memory(0), "the guest keeps the last key; if not, nothing here can fail"
        yield core


def test_what_the_guest_has_seen_is_forgotten(used: AgentAssert, guests: Guests) -> None:
    used.forget()
    assert [any(memory) for memory in guests.erased] == [False]
    used.forget()  # there is nothing left
    assert len(guests.made) == 1
    used.generate_key(entropy=SEED)
    assert len(guests.made) == 2
    assert SEED in guests.memory(1)
    used.close()
    assert [any(memory) for memory in guests.erased] == [False, False]


@pytest.mark.parametrize("why", ["trapped", "was interrupted", "answered with no message", "has grown"])
def test_what_a_spent_instance_has_seen_is_forgotten(
    used: AgentAssert, guests: Guests, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    def exchange(_: Any, request: bytes) -> bytearray:
        if why == "trapped":
            raise RuntimeError("unreachable")
        if why == "was interrupted":
            raise KeyboardInterrupt
        return bytearray(b"\xff")

    def grown(_: Any) -> bool:
        return True

    with monkeypatch.context() as patch:
        if why == "has grown":
            patch.setattr(guests.kind, "is_overweight", grown)
            used.generate_key(entropy=SEED)
        else:
            patch.setattr(guests.kind, "exchange", exchange)
            with pytest.raises(KeyboardInterrupt if why == "was interrupted" else AgentAssertError):
                used.generate_key(entropy=SEED)
    assert [any(memory) for memory in guests.erased] == [False]
    assert used.generate_key(entropy=SEED).public_key
    assert len(guests.made) == 2


def test_an_instance_in_a_call_is_forgotten_when_that_is_over(
    used: AgentAssert, guests: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = guests.kind.exchange

    def interrupted(instance: Any, request: bytes) -> Any:
        answer = exchange(instance, request)
        used.forget()  # as another thread would
        assert not guests.erased
        return answer

    monkeypatch.setattr(guests.kind, "exchange", interrupted)
    assert used.generate_key(entropy=SEED).public_key
    assert [any(memory) for memory in guests.erased] == [False]


def test_threads(engine: str) -> None:
    """Many threads on few instances, one of which keeps forgetting."""
    failures: list[BaseException] = []
    with AgentAssert.load(engine=engine, max_instances=3) as core:
        keys = [core.generate_key() for _ in range(8)]
        want = {
            (i, now): core.assert_(
                private_key=key.private_key, agent_runtime_id="a", task_id="t", now=NOW + now
            )
            for i, key in enumerate(keys)
            for now in range(4)
        }

        def work(i: int) -> None:
            try:
                for n in range(60):
                    private_key = keys[i].private_key
                    now = n % 4
                    got = core.assert_(
                        private_key=private_key, agent_runtime_id="a", task_id="t", now=NOW + now
                    )
                    assert got == want[i, now]
                    if i == 0 and n % 10 == 0:
                        core.forget()
            except BaseException as e:
                failures.append(e)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


def test_closing_while_threads_call(engine: str) -> None:
    core = AgentAssert.load(engine=engine)
    began = threading.Barrier(5)
    codes: list[str] = []

    def work() -> None:
        core.generate_key()
        began.wait()
        try:
            for _ in range(10_000):
                core.generate_key()
        except AgentAssertError as e:
            codes.append(e.code)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    began.wait()
    core.close()
    for thread in threads:
        thread.join()
    assert codes == ["closed"] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_goes_on(engine: str) -> None:
    with AgentAssert.load(engine=engine, max_instances=1) as core:
        key = core.generate_key()
        busy = threading.Event()
        stop = threading.Event()

        def work() -> None:  # holds the instance most of the time
            while not stop.is_set():
                core.parse_key(key.private_key)
                busy.set()

        thread = threading.Thread(target=work)
        thread.start()
        busy.wait()
        try:
            for _ in range(10):
                child = os.fork()
                if child == 0:
                    signal.alarm(30)
                    os._exit(0 if core.parse_key(key.private_key) == key else 1)
                assert os.waitpid(child, 0)[1] == 0
        finally:
            stop.set()
            thread.join()
        assert core.parse_key(key.private_key) == key


def test_the_interpreter_ends_quietly(engine: str, tmp_path: pathlib.Path) -> None:
    """With cores that nobody has closed, and a thread in a call."""
    program = tmp_path / "program.py"
    program.write_text(
        "import threading\n"
        "from agentassert import AgentAssert\n"
        f"core = AgentAssert.load(engine={engine!r})\n"
        "def work():\n"
        "    while True: core.generate_key()\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "print(core.generate_key().public_key[:11])\n"
    )
    ended = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=60, check=False, env=in_place()
    )
    assert (ended.returncode, ended.stdout) == (0, "ssh-ed25519\n")
    # A daemon thread may say that it could not go on, or nothing.
    assert "Exception ignored" not in ended.stderr


def in_place() -> dict[str, str]:
    """The environment of a process that uses the package where it is."""
    source = str(pathlib.Path(__file__).resolve().parent.parent / "src")
    return {**os.environ, "PYTHONPATH": source}


def test_other_threads_go_on_meanwhile(engine: str) -> None:
    """A call gives up the interpreter's lock: another thread gets a turn that it would get in no other
    way, for the interpreter itself would let nobody else run for an hour."""
    ran = threading.Event()
    begin = threading.Lock()

    def work() -> None:
        with begin:
            ran.set()

    interval = sys.getswitchinterval()
    with AgentAssert.load(engine=engine) as core, begin:
        core.generate_key(entropy=SEED)
        thread = threading.Thread(target=work)
        thread.start()
        sys.setswitchinterval(3600)
        try:
            begin.release()
            for _ in range(1000):
                core.generate_key(entropy=SEED)
                if ran.is_set():
                    break
            seen = ran.is_set()
        finally:
            sys.setswitchinterval(interval)
            thread.join()
            begin.acquire()
    assert seen


# How much of a thread's stack an engine may need, as the README says, and as much again for Python.
STACKS = {"native": 192 << 10, "wasmtime": 256 << 10}


def test_a_small_stack_is_enough(engine: str) -> None:
    """In a process of its own, which a stack that is too small would end."""
    program = (
        "import sys, threading\n"
        "from agentassert import AgentAssert, AgentAssertError\n"
        "core = AgentAssert.load(engine=sys.argv[1])\n"
        "def work():\n"
        "    for depth in (10, 100, 1000, 10_000, 500_000):\n"
        "        for document in (b'[' * depth, b'{\"a\":' * depth, b'[' * depth + b']' * depth):\n"
        "            for method in ('credentials.read', 'auth_json.get'):\n"
        "                try:\n"
        "                    core.call(method, {'document': document[: 1 << 19]})\n"
        "                except AgentAssertError as error:\n"
        "                    codes.add(error.code)\n"
        "codes = set()\n"
        "threading.stack_size(int(sys.argv[2]))\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start()\n"
        "thread.join()\n"
        "print(*sorted(codes))\n"
    )
    command = [sys.executable, "-c", program, engine, str(2 * STACKS[engine])]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120, check=True, env=in_place())
    assert ran.stdout.split() in (["invalid_auth_json"], ["invalid_auth_json", "sandbox_failed"])
