"""The files settings.json and secrets.json: how they are read, and what is no JSON."""

import msgin5g.settings as settings_module
from msgin5g_testkit.checks import raises
from msgin5g.settings import parse
from msgin5g.settings.rules import SettingsError


def test_text_that_is_not_a_json_object_is_named():
    for text in ("", "{", '{"ue_id": "urn:x:1", "next', "\x00", '{"a":}', b"\xff\xfe", "nul"):
        with raises(SettingsError, "settings: not JSON"):
            parse(text)
    for text in ("[]", "5", '"x"', "null"):
        with raises(SettingsError, "settings: must be a JSON object"):
            parse(text)


def test_a_byte_order_mark_is_passed_over_and_utf_16_is_named():
    assert parse(b'\xef\xbb\xbf{"ue_id": "u:x", "next_hop": ["h", 1]}').ue_id == "u:x"
    for text in (b'\xff\xfe{\0"\0', b'\xfe\xff\0{\0"', b'{\0"\0u\0', b'\0{\0"'):
        with raises(SettingsError, "settings: not JSON: "):
            parse(text)
    with raises(SettingsError, "save the file as UTF-8, not as UTF-16"):
        parse(b'{\0"\0u\0')


def test_a_mistake_in_json_is_named_by_line_and_column():
    for text, place in (
        (b'{"a": 1\n "b": 2}', "no comma and no } at line 2, column 2"),
        (b"{", "no key at line 1, column 2"),
        (b'{"a": 1,\r\n\r\n  "b" 2}', "no colon at line 3, column 7"),
    ):
        with raises(SettingsError, "settings: not JSON: " + place):
            parse(text)


class Files:
    """Stands for `open` and `os`: {path: bytes}."""

    def __init__(self, **files):
        self.files = files
        self.printed = []
        self.asked = []
        self.sizes = []  # that were read
        self.claimed = None  # a size that the file has not

    def open(self, path, mode):
        self.asked.append(path)
        name = path.split("/")[-1][:-5]
        if name not in self.files:
            raise OSError(2)
        self.data = self.files[name]
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self, size):
        self.sizes.append(size)
        return self.data[:size]

    def stat(self, path):
        return (0,) * 6 + (len(self.data) if self.claimed is None else self.claimed,)

    def say(self, line):
        self.printed.append(str(line))

    def load(self, *arguments):
        """What settings.load gives, with its lines in `printed`."""
        real = settings_module.os
        settings_module.os = self
        settings_module.open, settings_module.print = self.open, self.say
        try:
            return settings_module.load(*arguments)
        finally:
            settings_module.os = real
            del settings_module.open, settings_module.print


def test_a_file_of_settings_is_loaded_with_the_secrets_beside_it():
    text = b'{"ue_id": "urn:x:1", "next_hop": ["a", 1], "role": "ue"}'
    files = Files(settings=text, secrets=b'{"wifi": {"ssid": "s", "key": "12345678"}}')
    settings = files.load("/flash/settings.json")
    assert settings.ue_id == "urn:x:1" and settings.radio and files.printed == []
    assert files.asked == ["/flash/settings.json", "/flash/secrets.json"]
    files = Files(settings=text)
    assert files.load("settings.json").radio is None
    assert files.asked == ["settings.json", "secrets.json"] and files.printed == []


def test_what_is_wrong_with_a_file_of_settings_is_one_line():
    text = b'{"ue_id": "urn:x:1", "next_hop": ["a", 1]%s}'
    files = Files()
    assert files.load("settings.json") is None
    assert files.printed == ["settings: settings.json: cannot be read"]
    files = Files(settings=text % b', "colour": 1, "bulk": {"id": 5}, "refresh": {"never": 1}')
    assert sorted(files.load("settings.json").unknown) == ["colour", "refresh.never"]
    assert len(files.printed) == 1
    assert files.printed[0].startswith("settings: unknown, ignored: ")
    assert "colour" in files.printed[0] and "refresh.never" in files.printed[0]
    files = Files(settings=text % b"")
    assert files.load("settings.json", "relay") is None
    assert files.printed == ["settings: server.address: is missing: [host, port] of the server"]


def test_a_file_of_settings_takes_as_much_memory_as_it_is_long_and_16_kib_at_most():
    files = Files(settings=b'{"ue_id": "urn:x:1", "next_hop": ["a", 1]}')
    for size, read in ((None, 42), (16384, 16384), (16385, 16384), (0, 16384)):
        files.claimed = size
        assert files.load("settings.json") and files.sizes.pop() == read, size
