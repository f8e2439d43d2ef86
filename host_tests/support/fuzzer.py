"""The fuzzer: millions of hostile cases, the same on CPython and on MicroPython.

    MICROPYPATH=firmware micropython -X heapsize=1M host_tests/nodes/fuzzer.py --cases 100000

--seed N picks the cases (the default is what CI runs), --target NAME one target. A failure
prints the seed, the number of the case and its bytes, and is repeated by the same arguments.
--heap feeds each target 100 cases, 9,900 more, and 10,000 more, and prints the bytes in use after
each, when it is at rest, as one line of JSON.
"""

import gc
import sys

SEED = 20261123
_HEAP_CASES = (100, 9900, 10000)


def _targets():
    """{name: (maker, weight)}; the weight of a target is its share of the cases."""
    from fuzz_gateway import GatewayTarget, SealCTarget
    from fuzz_parts import PartsTarget
    from fuzz_relay import RelayTarget
    from fuzz_secured import SecuredGatewayTarget
    from fuzz_ue import UeTarget

    return {
        "ue": (UeTarget, 3),
        "relay": (RelayTarget, 3),
        "gateway": (GatewayTarget, 3),
        "seal-c": (SealCTarget, 1),
        "secured": (SecuredGatewayTarget, 1),
        "parts": (PartsTarget, 2),
    }


def _feed(target, name, seed, first, n):
    """Run n cases; name the one that failed."""
    case = first
    try:
        while case < first + n:
            target.feed()
            case += 1
    except Exception:
        from binascii import hexlify

        print("FAILED: --target", name, "--seed", seed, "at case", case)
        print(hexlify(target.last).decode())
        raise


def fuzz(names, cases, seed):
    """Run the share of each target, and print the result."""
    from fuzz_bytes import Chance

    targets = _targets()
    weights = sum([targets[name][1] for name in names])
    total = 0
    for name in names:
        maker, weight = targets[name]
        share = cases - total if name == names[-1] else cases * weight // weights
        target = maker(Chance(seed))
        _feed(target, name, seed, 0, share)
        target.rest()
        total += share
        report = {"target": name, "cases": share}
        if hasattr(target, "role"):
            report["largest"] = target.largest
            report["most"] = target.most
            target.count()
            report["counters"] = target.counters
        print(report)
    print(total, "cases, no failure")


def _used(target):
    """Bytes in use at rest: the least of several, for the collector is conservative."""
    target.rest()
    target.last = b""
    gc.collect()
    return gc.mem_alloc()


def heap(names, seed):
    """{target: [bytes in use at rest after each of _HEAP_CASES]}."""
    import json

    from fuzz_bytes import Chance

    used = {}
    for name in names:
        target = _targets()[name][0](Chance(seed), False)
        used[name] = []
        first = 0
        for n in _HEAP_CASES:
            _feed(target, name, seed, first, n)
            first += n
            used[name].append(min([_used(target) for _ in range(4)]))
        del target
    print(json.dumps(used))


def main(arguments):
    options = {
        "--cases": "10000",
        "--seed": str(SEED),
        "--target": "ue,relay,gateway,seal-c,secured,parts",
    }
    measure = "--heap" in arguments
    plain = [a for a in arguments[1:] if a != "--heap"]
    for i in range(0, len(plain), 2):
        assert plain[i] in options, plain[i]
        options[plain[i]] = plain[i + 1]
    names = options["--target"].split(",")
    if measure:
        heap(names, int(options["--seed"]))
    else:
        fuzz(names, int(options["--cases"]), int(options["--seed"]))


if __name__ == "__main__":
    here = sys.argv[0].rpartition("/")[0] or "."
    sys.path[:] = [here, here + "/../testkit"] + sys.path[1:]
    main(sys.argv)
