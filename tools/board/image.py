"""The file that is the board's flash: created, recognised, locked."""

import fcntl
import os
import tempfile

from msgin5g_tools.board.errors import BoardError

BLOCK_SIZE = 4096
IMAGE_SIZE = 1 << 20
_ERASED = b"\xff"


def open_image(path=None, size=IMAGE_SIZE):
    """Open or create an image: (descriptor, whether it has yet to be formatted).

    Without a path it is a file without a name, gone with the board.
    """
    if size % BLOCK_SIZE or size < 8 * BLOCK_SIZE:
        raise BoardError(f"image size {size}: at least 8 whole blocks of {BLOCK_SIZE} bytes")
    if path is None:
        with tempfile.TemporaryFile() as file:
            image = os.dup(file.fileno())
    else:
        try:
            image = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BoardError(f"image {path}: {error.strerror}") from None
    try:
        return image, _prepare(image, path, size)
    except BaseException:
        os.close(image)
        raise


def _prepare(image, path, size):
    try:
        fcntl.flock(image, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(image).st_size
        if found == 0:
            os.pwrite(image, _ERASED * size, 0)
            return True
        # The superblock pair is blocks 0 and 1; its magic follows the revision and the first tag.
        if b"littlefs" in (os.pread(image, 8, block * BLOCK_SIZE + 8) for block in (0, 1)):
            if found % BLOCK_SIZE:
                raise BoardError(f"image {path}: not whole blocks of {BLOCK_SIZE} bytes")
            return False
    except BlockingIOError:
        raise BoardError(f"image {path}: another board uses it") from None
    except OSError as error:
        raise BoardError(f"image {path}: {error.strerror}") from None
    raise BoardError(f"image {path}: not a LittleFS image of {BLOCK_SIZE}-byte blocks")
