# The extension in _native.c: the module as machine code, translated to C when it was built.

from typing import final

# The hash of the module that was translated, in hexadecimal.
MODULE_SHA256: str

# Instances of the module as machine code. Threads can share it, and run at once: a call gives the
# interpreter's lock up.
@final
class NativeEngine:
    @property
    def name(self) -> str: ...
    def __new__(cls, max_instances: int) -> NativeEngine: ...
    def call(self, request: bytes | bytearray, /) -> bytearray: ...
    def forget(self) -> None: ...
    def close(self) -> None: ...
