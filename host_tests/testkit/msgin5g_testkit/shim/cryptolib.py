"""MicroPython's `cryptolib` on `cryptography`: AES with mode 1 (ECB) and 2 (CBC)."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class aes:
    def __init__(self, key, mode, iv=None):
        if mode not in (1, 2):
            raise ValueError("mode")
        cipher = Cipher(algorithms.AES(bytes(key)), modes.ECB() if mode == 1 else modes.CBC(iv))
        # An object of MicroPython encrypts or decrypts, and keeps its chain between the calls.
        self._make = {"encrypt": cipher.encryptor, "decrypt": cipher.decryptor}
        self._kind = self._context = None

    def _run(self, kind, data, out):
        if self._kind is None:
            self._kind = kind
            self._context = self._make[kind]()
        if self._kind != kind:
            raise ValueError("can't encrypt & decrypt")
        if len(data) % 16:
            raise ValueError("blksize % 16")
        result = self._context.update(bytes(data))
        if out is None:
            return result
        out[: len(result)] = result
        return out

    def encrypt(self, data, out=None):
        return self._run("encrypt", data, out)

    def decrypt(self, data, out=None):
        return self._run("decrypt", data, out)
