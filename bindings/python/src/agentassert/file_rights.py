"""Whose a file is, and who may do what with it: owner, group, mode, and access control list.

A new file gets what auth.json has, as far as this process may give it: root would otherwise lock the client
out with a file of its own.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from .file_system import SECRET_FOLDER_MODE, SECRET_MODE, FileError, opened

#: The access control list of a file on Linux, in the kernel's form: a version of four bytes, and entries of
#: eight, whose third byte has the rights.
_ACCESS_LIST = "system.posix_acl_access"
_ACCESS_LIST_HEADER = 4
_ACCESS_LIST_ENTRY = 8
_MAY_READ = 4

#: How file systems say that they have no extended attributes.
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def share(file: int, target: str) -> None:
    """Give a file or folder that was just made, and is open, to those who have the target.

    That is whom it belongs to, and who may read and write it. It fails where the target's owner would not get
    at it, and it is then for whoever made it alone. Where there is no target it is for whom the folder
    belongs to.
    """
    have = os.fstat(file)
    is_folder = stat.S_ISDIR(have.st_mode)
    want = _look(target)
    if want is None:
        folder = _look(os.path.dirname(target))
        if folder is not None:
            _give(file, have, folder.st_uid, folder.st_gid)
        return
    bits = want.st_mode & 0o666
    if _give(file, have, want.st_uid, want.st_gid):
        try:
            _copy_access_list(target, file, is_folder)
        except OSError:
            return  # it stays its owner's alone
    else:
        # The owner is then one of the group, or of all others.
        if not _give(file, have, have.st_uid, want.st_gid):
            bits &= ~0o060
        if have.st_uid == want.st_uid:
            # It is the owner who makes it, in another group than the target's.
            if _has_access_list(target):
                return
        elif (bits & 0o060 != 0o060 and bits & 0o006 != 0o006) or _has_access_list(target):
            raise FileError("denied", "the owner of auth.json would not get at a file beside it")
    mode = SECRET_MODE
    if is_folder:
        mode = SECRET_FOLDER_MODE
        bits |= (bits & 0o444) >> 2  # who may read may look, too
    os.fchmod(file, mode | bits)


def _look(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _give(file: int, have: os.stat_result, uid: int, gid: int) -> bool:
    """Change owner and group, if they are others, and report whether they are as they should be."""
    if (have.st_uid, have.st_gid) == (uid, gid):
        return True
    try:
        os.fchown(file, uid if have.st_uid != uid else -1, gid)
    except OSError:
        return False
    return True


def keep_attributes(path: str, to: int) -> None:
    """Give an open file all that another has but its content, or fail."""
    with opened(path, os.O_RDONLY) as source:
        want = os.fstat(source)
        if not _give(to, os.fstat(to), want.st_uid, want.st_gid):
            raise FileError("denied", "owner and group of the file cannot be kept")
        _copy_attributes(source, to)
        os.fchmod(to, stat.S_IMODE(want.st_mode))
        have = os.fstat(to)
        if (have.st_uid, have.st_gid, have.st_mode) != (want.st_uid, want.st_gid, want.st_mode):
            raise FileError("denied", "owner, group or mode of the file cannot be kept")
        if _attributes_of(source).get(_ACCESS_LIST) != _attributes_of(to).get(_ACCESS_LIST):
            raise FileError("denied", "the access control list of the file cannot be kept")


if sys.platform == "linux":

    def _attributes_of(file: int | str) -> dict[str, bytes]:
        """Return a file's extended attributes, of which the access control list is one."""
        try:
            return {name: os.getxattr(file, name) for name in os.listxattr(file)}
        except OSError as error:
            if error.errno in _NO_ATTRIBUTES:
                return {}
            raise

    def _copy_attributes(source: int, to: int) -> None:
        """Give a file the extended attributes of another, and take away those that it has alone."""
        want, have = _attributes_of(source), _attributes_of(to)
        for name, value in want.items():
            if have.get(name) != value:
                os.setxattr(to, name, value)
        for name in have.keys() - want.keys():
            os.removexattr(to, name)

    def _has_access_list(path: str) -> bool:
        """Report whether a file has an access control list, so that the group's bits are not the group's."""
        try:
            return len(os.getxattr(path, _ACCESS_LIST, follow_symlinks=False)) > 0
        except OSError:
            return False

    def _copy_access_list(path: str, to: int, is_folder: bool) -> None:
        """Give a file the access control list of another, if that has one.

        In a folder, who may read may look.
        """
        if not _has_access_list(path):
            return
        rights = bytearray(os.getxattr(path, _ACCESS_LIST, follow_symlinks=False))
        if is_folder:
            for i in range(_ACCESS_LIST_HEADER + 2, len(rights), _ACCESS_LIST_ENTRY):
                rights[i] |= (rights[i] & _MAY_READ) >> 2
        os.setxattr(to, _ACCESS_LIST, rights)

else:
    # macOS keeps access control lists apart, and the standard library does not know them.

    def _attributes_of(file: int | str) -> dict[str, bytes]:
        return {}

    def _copy_attributes(source: int, to: int) -> None:
        if sys.platform == "darwin":
            _fcopyfile(source, to)

    def _has_access_list(path: str) -> bool:
        return False

    def _copy_access_list(path: str, to: int, is_folder: bool) -> None:
        pass


if sys.platform == "darwin":
    #: Of copyfile(3): the access control list, and the extended attributes.
    _COPYFILE = 1 << 0 | 1 << 2

    def _fcopyfile(source: int, to: int) -> None:
        import ctypes

        system = ctypes.CDLL(None, use_errno=True)
        if system.fcopyfile(source, to, None, ctypes.c_uint32(_COPYFILE)) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
