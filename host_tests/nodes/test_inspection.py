"""A board that does not run, inspected by a person: settings and store are opened, and stay."""

import os

import msgin5g.node as node_module
from msgin5g import repl
from msgin5g.builder import Builder
from msgin5g.coap.ticks import add
from msgin5g.config.manager import ConfigurationManager
from msgin5g.config.schema import Schema
from msgin5g.config.store import GOOD, TRIAL, StorageError, Store
from msgin5g.port.flash import Flash
from msgin5g.settings import settings_of
from flash_directory import with_flash

TRIAL_S = 300


def document(name):
    return b'{"MSGin5G-Server-address": "%s.example:5683", "MSGin5G-UE-Service-id": "u"}' % name


def on_trial(directory):
    """Store a good document, `one`, and another one on trial, `two`."""
    manager = ConfigurationManager(Store(Flash(directory, StorageError)), Schema())
    manager.start(0)
    manager.offer(document(b"one"), b"1", 0)
    manager.confirm(0)
    assert manager.offer(document(b"two"), b"2", 0)[0] == "applied"


def opened(directory, runs, **settings):
    """The Node that main opens (runs), or the REPL."""
    values = {
        "ue_id": "urn:x:7",
        "bind": ["127.0.0.1", 0],
        "next_hop": ["127.0.0.1", 9],
        "confirm": "ping",
        "trial_s": TRIAL_S,
        "start_delay_s": 3600,
    }
    values.update(settings)
    return Builder(settings_of(values), directory, None, runs).build()


def close(node):
    for transport in node.transports:
        transport.close()


def contents(directory):
    """The bytes of all files."""
    found = {}
    for name in os.listdir(directory):
        with open(directory + "/" + name, "rb") as file:
            found[name] = file.read()
    return found


def test_a_person_who_inspects_a_trial_for_longer_than_trial_s_does_not_roll_it_back():
    def test(directory):
        for confirm in ("ping", "lasting", "application"):
            on_trial(directory)
            before = contents(directory)
            node = opened(directory, False, confirm=confirm)
            now = node.ticks_ms()
            # repl.fetch() and repl.trace() let it work; a person takes hours.
            for _ in range(5):
                now = add(now, 2 * TRIAL_S * 1000)
                node.step(now)
                while node.transmit(now):
                    pass
            assert node.configuration.state == TRIAL, confirm
            assert node.configuration.configuration["MSGin5G-Server-address"] == (
                "two.example:5683"
            )
            assert contents(directory) == before, confirm
            close(node)
            # The board itself rolls it back, when it runs for as long.
            node = opened(directory, True, confirm="application")
            node.step(add(node.ticks_ms(), TRIAL_S * 1000 + 1000))
            assert node.configuration.cause == "not confirmed in time"
            node.configuration.remove_all(0)
            close(node)

    with_flash(test)


def test_factory_reset_removes_nothing_without_the_word_erase():
    def test(directory):
        on_trial(directory)
        before = contents(directory)
        node_module.current = node = opened(directory, False)
        try:
            for word in (None, "", "no", "yes", "ERASE", "erase ", True, 1, b"erase"):
                repl.factory_reset(word)
                assert contents(directory) == before, word
                assert node.configuration.state == TRIAL and node.configuration.configuration
            repl.factory_reset()
            assert contents(directory) == before
            repl.factory_reset("erase")
            assert contents(directory) == {} and node.configuration.configuration is None
        finally:
            node_module.current = None
            close(node)

    with_flash(test)


def test_a_start_that_is_no_inspection_counts_against_the_trial():
    def test(directory):
        on_trial(directory)
        for runs, n_boots in ((False, 0), (True, 1), (False, 1), (True, 2)):
            node = opened(directory, runs)
            close(node)
            assert node.configuration.boots == n_boots and node.configuration.state == TRIAL
        node = opened(directory, True)
        close(node)
        assert node.configuration.cause == "reset too often"
        assert node.configuration.stored(newest=False)[0] == GOOD

    with_flash(test)
