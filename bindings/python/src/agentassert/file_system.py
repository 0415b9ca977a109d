"""System calls on files in folders that others may write to.

Nothing here follows a link or waits for a pipe's other end, and what is opened is looked at once more. Files
are open only in this process: none of its programs inherits one.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from contextlib import contextmanager, suppress

from .file_effect import FileAnswer, FileStat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .file_effect import FileFailure

#: The largest file that is read, in bytes.
MAX_SIZE = 512 << 10
#: For files with secrets, and folders of them, where there is no auth.json whose mode says more.
SECRET_MODE = 0o600
SECRET_FOLDER_MODE = 0o700
#: How many entries of a folder are looked at, at the most, for some that are old.
_MANY_ENTRIES = 1024
_PIECE = 64 << 10

#: Follows no link, and does not wait for a pipe's other end. Windows has neither, nor what they are for.
CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | CAREFUL

_FAILURES: dict[str, FileFailure] = {
    "ENOENT": "missing",
    "ENOTDIR": "missing",
    "EACCES": "denied",
    "EPERM": "denied",
    "EROFS": "read-only",
    "EBUSY": "busy",
    "EXDEV": "busy",
    "ETXTBSY": "busy",
    "ENOSPC": "no-room",
    "EDQUOT": "no-room",
    "EFBIG": "no-room",
    "ENOLCK": "unsupported",
    "ENOSYS": "unsupported",
    "EOPNOTSUPP": "unsupported",
    "ENOTSUP": "unsupported",
    "EBADF": "unsupported",
    "EINVAL": "unsupported",
    "ELOOP": "not-regular",
    "ENXIO": "not-regular",
    "EISDIR": "folder",
}


class FileError(Exception):
    """A failure that no system call reports."""

    def __init__(self, failure: FileFailure, message: str) -> None:
        super().__init__(message)
        self.failure: FileFailure = failure


def failure_of(error: BaseException) -> FileFailure:
    """Name what went wrong in the flow's words."""
    if isinstance(error, FileError):
        return error.failure
    if isinstance(error, OSError):
        failure = _FAILURES.get(errno.errorcode.get(error.errno or 0, ""))
        if failure is not None:
            return failure
    return "failed"


def check_regular(path: str, info: os.stat_result) -> None:
    """Raise FileError unless it is a regular file."""
    if stat.S_ISDIR(info.st_mode):
        raise FileError("folder", f"{path} is a folder, and no file")
    if not stat.S_ISREG(info.st_mode):
        raise FileError("not-regular", f"{path} is a link, a pipe, a socket or a device, and no file")


@contextmanager
def opened(path: str, flags: int) -> Generator[int]:
    """Open a regular file, and nothing else, as a descriptor that is closed afterwards."""
    file = open_regular(path, flags)
    try:
        yield file
    finally:
        os.close(file)


def open_regular(path: str, flags: int) -> int:
    """Open a regular file, and nothing else. Whoever asks closes it."""
    check_regular(path, os.lstat(path))  # a device can do something when it is opened
    file = os.open(path, flags | CAREFUL)
    try:
        check_regular(path, os.fstat(file))
    except BaseException:
        os.close(file)
        raise
    return file


@contextmanager
def opened_folder(path: str) -> Generator[int]:
    """Open a folder, and nothing else, as a descriptor that is closed afterwards."""
    folder = os.open(path, _FOLDER)
    try:
        yield folder
    finally:
        os.close(folder)


def read(path: str) -> FileAnswer:
    """Return a file's content, and what else is known of it."""
    with opened(path, os.O_RDONLY) as file:
        return read_open(file)


def read_open(file: int) -> FileAnswer:
    """Do the same with a file that is open, from its beginning."""
    content = read_beginning(file, MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        raise FileError("too-large", "it is larger than 512 KiB")
    # Of the content, and not of what came before it.
    return FileAnswer(_stat_of(os.fstat(file)), content)


def read_beginning(file: int, limit: int) -> bytes:
    """Return the first bytes of a file, which is most often a small one."""
    os.lseek(file, 0, os.SEEK_SET)
    pieces: list[bytes] = []
    length = 0
    while length < limit:
        piece = os.read(file, min(_PIECE, limit - length))
        if not piece:
            break
        pieces.append(piece)
        length += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def look(path: str) -> FileAnswer:
    """Return what is known of a file beside its content."""
    return FileAnswer(_stat_of(os.lstat(path)))


def id_of(info: os.stat_result) -> str:
    """Tell a file apart from others."""
    return f"{info.st_dev}:{info.st_ino}"


def _stat_of(info: os.stat_result) -> FileStat:
    return FileStat(id_of(info), info.st_size, info.st_mtime_ns, info.st_mode & 0o777, info.st_nlink)


def write(file: int, data: bytes) -> None:
    """Write data over the beginning of a file."""
    os.lseek(file, 0, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync(file: int) -> None:
    """Bring an open file to the disk; of a folder, the names in it."""
    if sys.platform == "darwin":
        # There fsync leaves it in the disk's own memory.
        import fcntl

        try:
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
            return
        except OSError:
            pass  # not on every file system
    os.fsync(file)


def check_folder(path: str) -> None:
    """Fail where there is no folder, or something else: a link above all, which would lead somewhere else."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise FileError("not-regular", f"{path} is no folder")


def list_folder(path: str, limit: int, older_than: int, is_wanted: Callable[[str], bool]) -> list[str]:
    """Return the names of some entries that are old enough, in seconds."""
    names: list[str] = []
    with opened_folder(path) as folder, os.scandir(folder) as entries:
        for i, entry in enumerate(entries):
            if i == _MANY_ENTRIES or len(names) == limit:
                break
            # What is no text is nobody's of this package.
            if _is_text(entry.name) and is_wanted(entry.name) and _is_old(entry, older_than):
                names.append(entry.name)
    return names


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _is_old(entry: os.DirEntry[str], seconds: int) -> bool:
    if seconds == 0:
        return True
    try:
        info = entry.stat(follow_symlinks=False)
    except OSError:
        return False  # it is gone
    return stat.S_ISREG(info.st_mode) and time.time() - info.st_mtime > seconds


def make_folder(path: str, share: Callable[[int], None]) -> None:
    """Make a folder for files of this package's, unless there is one, and share it with whom it is for."""
    try:
        os.mkdir(path, SECRET_FOLDER_MODE)
    except FileExistsError:
        check_folder(path)
        return
    try:
        with opened_folder(path) as folder:
            share(folder)
    except BaseException:
        _try_to(os.rmdir, path)
        raise


def move(path: str, to: str) -> None:
    """Give a file another name, unless there is a file of that name."""
    try:
        os.link(path, to, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        # There are file systems without links.
        if os.path.lexists(to):
            raise
        os.rename(path, to)
        return
    os.unlink(path)


def remove(path: str) -> None:
    """Remove a file, or a folder that is empty."""
    try:
        os.unlink(path)
    except OSError as error:
        # Linux says EISDIR, other systems EPERM.
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
        try:
            os.rmdir(path)
        except NotADirectoryError:
            raise error from None


def remove_if_there(path: str) -> None:
    """Remove a file, and do not mind if that fails."""
    _try_to(os.unlink, path)


def _try_to(remove: Callable[[str], None], path: str) -> None:
    with suppress(OSError):
        remove(path)
