"""The core: it makes and checks assertions, keys and registrations, in a sandbox that can reach
nothing."""

from __future__ import annotations

import os
import time

from .answer import binary, boolean, is_map, not_a_message, result_of, text
from .cbor import MAX_MESSAGE, decode, encode
from .errors import AgentAssertError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Literal, overload

    from typing_extensions import Self  # in typing since 3.11; type checkers have both

    from .cbor import Value
    from .engine import Engine
    from .results import (
        BaseURL,
        Inspection,
        InstanceInspection,
        KeyPair,
        Location,
        RegistrationProof,
        Surface,
        TaskInspection,
    )


class AgentAssert:
    """The core, in an engine. Its methods are functions of their arguments alone, but for those that
    draw entropy where none is given. Threads can share one.

    What they raise is an AgentAssertError, with one of the core's codes or with ``invalid_request``,
    for an argument of a wrong type, ``sandbox_failed``, or ``closed``. Times are Unix seconds.
    """

    def __init__(self, engine: Engine) -> None:
        """For engines of one's own; everybody else has load."""
        self._engine = engine

    @classmethod
    def load(
        cls,
        *,
        engine: str | None = None,
        module: bytes | None = None,
        max_instances: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> AgentAssert:
        """Load the core.

        Args:
            engine: ``native`` or ``wasmtime``; by default the first that is installed.
            module: Takes the place of the package's module, in wasmtime.
            max_instances: How many calls can run at once; others wait. By default one for each
                processor, up to 16. An instance takes 3.5 to 16 MiB, and is made when it is needed.
            cache_dir: A folder for the code that wasmtime compiles, which takes seconds: once in a
                process without it, once in all with it. It is made, or is this user's alone (mode
                0700), for what is in it runs. What is wrong with it is a RuntimeWarning. The native
                engine needs none.

        Raises:
            AgentAssertError: ``engine_missing``, ``invalid_module``, ``abi_version``;
                ``invalid_request`` for an argument of a wrong type.
        """
        from .engines import open_engine

        if max_instances is None:
            max_instances = min(os.cpu_count() or 1, 16)
        return cls(open_engine(engine, module, max_instances, cache_dir))

    @property
    def engine(self) -> str:
        """Which engine runs the core: ``native`` or ``wasmtime``."""
        return self._engine.name

    def generate_key(self, *, entropy: bytes | None = None, profile: str = "biscuit") -> KeyPair:
        """Make a key as clients of a profile do.

        Args:
            entropy: 64 bytes in the profile ``auth-api``, 32 in the others; by default the system's.
            profile: ``biscuit``, ``auth-api`` or ``instances``.

        Raises:
            AgentAssertError: ``invalid_entropy``, ``invalid_config``.
        """
        if entropy is None:
            entropy = os.urandom(64 if profile == "auth-api" else 32)
        params: dict[str, Value] = {"entropy": entropy}
        if profile != "biscuit":
            params["profile"] = profile
        return _key_pair(self.call("key.generate", params))

    def parse_key(self, private_key: str) -> KeyPair:
        """Check a private key, and return it in the form that is kept, with its public key.

        Raises:
            AgentAssertError: ``invalid_private_key``.
        """
        return _key_pair(self.call("key.parse", {"private_key": private_key}))

    def import_key(self, key: str | bytes | dict[str, Any]) -> KeyPair:
        """Read an Ed25519 private key in any form that is around, and return it in the form that is
        kept, with its public key.

        Args:
            key: PKCS#8 in PEM, in base64 or as DER; a JWK, as text or as a dictionary; OpenSSH's own form
                without a passphrase; the seed, alone or with the public key behind it, as bytes, in
                base64 or in hexadecimal. Bytes can be a file's. 32 of them are a seed.

        Raises:
            AgentAssertError: ``invalid_private_key``, which says what was found instead, and what to
                do.
        """
        return _key_pair(self.call("key.import", _encoded(key)))

    def import_public_key(self, key: str | bytes | dict[str, Any]) -> str:
        """Read an Ed25519 public key in any form that is around, and return what verify takes.

        Args:
            key: OpenSSH's form, with a comment or without; SubjectPublicKeyInfo in PEM, in base64 or
                as DER; a JWK, as text or as a dictionary; the 32 bytes, as such, in base64 or in
                hexadecimal. Bytes can be a file's.

        Raises:
            AgentAssertError: ``invalid_public_key``, also for a private key, which is in the wrong
                place here.
        """
        return text(self.call("public_key.import", _encoded(key)), "public_key")

    if TYPE_CHECKING:

        @overload
        def export_key(self, private_key: str, *, format: Literal["jwk"]) -> dict[str, str]: ...
        @overload
        def export_key(self, private_key: str, *, format: Literal["raw"]) -> bytes: ...
        @overload
        def export_key(self, private_key: str, *, format: Literal["pkcs8-v1", "pem", "openssh"]) -> str: ...

    def export_key(self, private_key: str, *, format: str) -> str | bytes | dict[str, str]:  # noqa: A002
        """Return a private key in a form that other software reads. It is secret.

        Args:
            private_key: PKCS#8 in base64.
            format: ``pkcs8-v1``: base64 of PKCS#8 version 1, which OpenSSL 3.0 reads, unlike the form
                that is kept; ``pem``: the same in PEM; ``openssh``: OpenSSH's own form; ``jwk``: a
                dictionary; ``raw``: the seed's 32 bytes.

        Raises:
            AgentAssertError: ``invalid_private_key``, ``invalid_config`` for another format.
        """
        return self._export("private_key", private_key, format)

    if TYPE_CHECKING:

        @overload
        def export_public_key(self, public_key: str, *, format: Literal["jwk"]) -> dict[str, str]: ...
        @overload
        def export_public_key(self, public_key: str, *, format: Literal["raw"]) -> bytes: ...
        @overload
        def export_public_key(self, public_key: str, *, format: Literal["spki", "pem"]) -> str: ...

    def export_public_key(self, public_key: str, *, format: str) -> str | bytes | dict[str, str]:  # noqa: A002
        """Return a public key in a form that other software reads.

        Args:
            public_key: In OpenSSH form.
            format: ``spki``: base64 of SubjectPublicKeyInfo; ``pem``: the same in PEM; ``jwk``: a
                dictionary; ``raw``: the 32 bytes.

        Raises:
            AgentAssertError: ``invalid_public_key``, ``invalid_config`` for another format.
        """
        return self._export("public_key", public_key, format)

    def _export(self, half: str, key: str, format: str) -> str | bytes | dict[str, str]:  # noqa: A002
        # The ABI has no empty members.
        params: dict[str, Value] = {"format": format} if key == "" else {half: key, "format": format}
        exported = self.call("key.export", params)
        if format == "raw":
            return binary(exported, "bytes")
        made = text(exported, "key")
        return _jwk(made) if format == "jwk" else made

    def assert_(
        self, *, private_key: str, agent_runtime_id: str, task_id: str, now: int | None = None
    ) -> str:
        """Return the value of the Authorization header of a call that is made now. It is good for this
        second.

        Args:
            private_key: PKCS#8 in base64. Secret.
            agent_runtime_id: The agent's id.
            task_id: The id of a task that is registered for it.
            now: By default what the system's clock says.

        Raises:
            AgentAssertError: ``invalid_private_key``, ``invalid_agent_runtime_id``,
                ``invalid_task_id``, ``invalid_time``.
        """
        params: dict[str, Value] = {
            "private_key": private_key,
            "agent_runtime_id": agent_runtime_id,
            "task_id": task_id,
            "now": _clock() if now is None else now,
        }
        return text(self.call("assertion.build", params), "header")

    def assert_instance(
        self,
        *,
        private_key: str,
        runtime_agent_instance: str,
        now: int | None = None,
        entropy: bytes | None = None,
    ) -> str:
        """Return the assertion of a runtime agent instance for one request that is made now: what
        X-OpenAI-Agent-Assertion carries and, behind ``AgentAssertion ``, Authorization.

        Args:
            private_key: PKCS#8 in base64. Secret.
            runtime_agent_instance: The instance's id.
            now: By default what the system's clock says.
            entropy: 16 bytes, other ones for each request; by default the system's.

        Raises:
            AgentAssertError: ``invalid_private_key``, ``invalid_agent_runtime_id``,
                ``invalid_time``, ``invalid_entropy``.
        """
        params: dict[str, Value] = {
            "private_key": private_key,
            "runtime_agent_instance": runtime_agent_instance,
            "entropy": os.urandom(16) if entropy is None else entropy,
            "now": _clock() if now is None else now,
        }
        return text(self.call("instance.build", params), "value")

    def inspect(self, header: str) -> Inspection:
        """Take the value of Authorization, or of X-OpenAI-Agent-Assertion, apart, without checking its
        signature.

        Raises:
            AgentAssertError: ``invalid_assertion``.
        """
        from .results import inspection

        return inspection(self.call("assertion.inspect", {"header": header}))

    def verify(
        self, *, public_key: str, header: str, now: int | None = None, skew: int = 300
    ) -> TaskInspection:
        """Check the signature of a task's assertion, and that its timestamp is near.

        Args:
            public_key: In OpenSSH form.
            header: The value of Authorization.
            now: By default what the system's clock says.
            skew: How many seconds the timestamp may be from now, either way.

        Raises:
            AgentAssertError: What does not verify: ``bad_signature``, ``timestamp_skew``,
                ``invalid_assertion``, ``invalid_public_key``; ``invalid_skew``, ``invalid_time``.
        """
        from .results import task_inspection

        return task_inspection(self._verify("assertion.verify", public_key, header, now, skew))

    def verify_instance(
        self, *, public_key: str, header: str, now: int | None = None, skew: int = 300
    ) -> InstanceInspection:
        """Check the assertion of a runtime agent instance in the same way. That it was not used before
        is for the caller to check, by its id.

        Raises:
            AgentAssertError: Those of verify.
        """
        from .results import instance_inspection

        return instance_inspection(self._verify("instance.verify", public_key, header, now, skew))

    def _verify(
        self, method: str, public_key: str, header: str, now: int | None, skew: int
    ) -> dict[str, Any]:
        params: dict[str, Value] = {
            "public_key": public_key,
            "header": header,
            "now": _clock() if now is None else now,
            "skew": skew,
        }
        return self.call(method, params)

    def sign_registration(
        self, *, private_key: str, agent_runtime_id: str, now: int | None = None
    ) -> RegistrationProof:
        """Return the proof that registers a task.

        Raises:
            AgentAssertError: ``invalid_private_key``, ``invalid_agent_runtime_id``, ``invalid_time``.
        """
        from .results import RegistrationProof

        params: dict[str, Value] = {
            "private_key": private_key,
            "agent_runtime_id": agent_runtime_id,
            "now": _clock() if now is None else now,
        }
        result = self.call("registration.sign", params)
        return RegistrationProof(signature=text(result, "signature"), timestamp=text(result, "timestamp"))

    def verify_registration(
        self,
        *,
        public_key: str,
        agent_runtime_id: str,
        signature: str,
        timestamp: str,
        now: int | None = None,
        skew: int = 300,
    ) -> None:
        """Check the proof that registers a task. Arguments are as for verify.

        Raises:
            AgentAssertError: What does not verify: ``bad_signature``, ``timestamp_skew``,
                ``invalid_public_key``, ``invalid_agent_runtime_id``; ``invalid_skew``,
                ``invalid_time``.
        """
        params: dict[str, Value] = {
            "public_key": public_key,
            "agent_runtime_id": agent_runtime_id,
            "signature": signature,
            "timestamp": timestamp,
            "now": _clock() if now is None else now,
            "skew": skew,
        }
        self.call("registration.verify", params)

    def seal_task_id(self, *, public_key: str, task_id: str, entropy: bytes | None = None) -> str:
        """Seal a task id for an agent, in base64.

        Args:
            public_key: The agent's, in OpenSSH form.
            task_id: What to seal.
            entropy: 32 bytes; by default the system's.

        Raises:
            AgentAssertError: ``invalid_public_key``, ``invalid_entropy``, ``invalid_task_id``.
        """
        params: dict[str, Value] = {
            "public_key": public_key,
            "task_id": task_id,
            "entropy": os.urandom(32) if entropy is None else entropy,
        }
        return text(self.call("task_id.seal", params), "encrypted_task_id")

    def open_task_id(self, *, private_key: str, encrypted_task_id: str) -> str:
        """Open a sealed task id.

        Raises:
            AgentAssertError: ``invalid_private_key``, ``invalid_sealed_task_id``, ``invalid_task_id``.
        """
        params: dict[str, Value] = {"private_key": private_key, "encrypted_task_id": encrypted_task_id}
        return text(self.call("task_id.open", params), "task_id")

    def normalize_base_url(self, url: str, *, trusted_hosts: Sequence[str] = ()) -> BaseURL:
        """Return the base URL that a configured one stands for.

        Args:
            url: As a user has it.
            trusted_hosts: Names of hosts that are supported beside the public ones.

        Raises:
            AgentAssertError: ``invalid_base_url``, ``invalid_trusted_host``.
        """
        from .results import BaseURL

        params: dict[str, Value] = {"url": url}
        if trusted_hosts:
            params["trusted_hosts"] = trusted_hosts
        result = self.call("base_url.normalize", params)
        return BaseURL(text(result, "base_url"), text(result, "host"), boolean(result, "supported"))

    def lookup_surface(self, surface: str) -> Surface:
        """Return the surface of a name, with a typical call.

        Raises:
            AgentAssertError: ``unknown_surface``.
        """
        return _surface(self.call("surface.lookup", {"surface": surface}))

    def match_surface(self, path: str) -> Surface:
        """Return the surface of a call by its path below the base URL. What is in no table is
        ``background``. Those who authorize requests by their URL ask locate_surface first."""
        return _surface(self.call("surface.match", {"path": path}))

    def locate_surface(self, *, base_url: str, url: str) -> Location:
        """Return whether an absolute URL, as it is sent, is below a base URL that is normalized, and
        the surface of a call to it.

        Raises:
            AgentAssertError: ``invalid_base_url``.
        """
        from .results import Location

        result = self.call("surface.locate", {"base_url": base_url, "url": url})
        if not boolean(result, "inside"):
            return Location(inside=False)
        return Location(inside=True, surface=text(result, "surface"), scope=text(result, "scope"))

    def call(self, method: str, params: Mapping[str, Value]) -> dict[str, Any]:
        """Call any method of the ABI. wasm/ABI.md says what there is. Names are the same here; bytes
        come back as bytes."""
        members: Mapping[str, Value] = params
        if type(params) is not dict:
            try:
                members = dict(params)
            except Exception:
                raise AgentAssertError("invalid_request", "request.params is no mapping") from None
        request = encode({"method": method, "params": members})
        try:
            answer = self._engine.call(request)
        finally:
            request[:] = bytes(len(request))  # it can hold a private key
        try:
            response = decode(answer)
        except AgentAssertError:
            self._engine.forget()
            raise
        finally:
            answer[:] = bytes(len(answer))  # so can the answer, of which there are copies now
        return result_of(response)

    def exchange(self, request: bytes | bytearray) -> bytearray:
        """Answer one encoded request: the ABI itself, for those who bring their own codec.

        Raises:
            AgentAssertError: ``invalid_request``, for a request that is empty, too large or no bytes;
                ``sandbox_failed``; ``closed``.
        """
        if not isinstance(request, (bytes, bytearray)):
            raise AgentAssertError("invalid_request", "a request is bytes")
        if not 0 < len(request) <= MAX_MESSAGE:
            raise AgentAssertError(
                "invalid_request", f"a request is 1 to {MAX_MESSAGE} bytes long, not {len(request)}"
            )
        return self._engine.call(request)

    def forget(self) -> None:
        """Overwrite the memory of the sandbox with zeroes; the next call takes a fresh one, which is
        somewhat slower. The core keeps the last private key that it parsed there, and what else it
        worked with until the memory is used again.

        What went in and came out as str and bytes cannot be reached.
        """
        self._engine.forget()

    def close(self) -> None:
        """Forget, and answer no more calls (``closed``). Once more does nothing."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _clock() -> int:
    return int(time.time())


def _encoded(key: str | bytes | dict[str, Any]) -> dict[str, Value]:
    """Return a key as the core takes it; ``invalid_request`` for what is no key in any form."""
    if isinstance(key, str):
        return {"key": key} if key else {}  # the ABI has no empty members
    if isinstance(key, (bytes, bytearray, memoryview)):
        return {"bytes": key} if len(key) > 0 else {}
    if isinstance(key, dict):
        import json

        # Of members that are no text it is only said that they are there.
        members = {name: value if isinstance(value, str) else True for name, value in key.items()}
        return {"key": json.dumps(members, skipkeys=True)}
    raise AgentAssertError(
        "invalid_request",
        "the key is no str, no bytes and no dict with a JWK; a key of another library is exported first",
    )


def _jwk(made: str) -> dict[str, str]:
    """Return the members of a JWK that the core has exported."""
    import json

    try:
        jwk = json.loads(made)
    except ValueError:
        jwk = None  # the error quotes it
    if not is_map(jwk):
        raise not_a_message()
    return {name: text(jwk, name) for name in ("kty", "crv", "x", "d") if name in jwk}


def _key_pair(result: dict[str, Any]) -> KeyPair:
    from .results import KeyPair

    return KeyPair(private_key=text(result, "private_key"), public_key=text(result, "public_key"))


def _surface(result: dict[str, Any]) -> Surface:
    from .results import Surface

    optional = {name: text(result, name) for name in ("method", "path") if name in result}
    return Surface(text(result, "surface"), text(result, "scope"), **optional)
