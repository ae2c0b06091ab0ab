"""Fuzz the reader of answers: `python -m tests.fuzz.fuzz_http1 [RUNS]`.

Any bytes are an answer, the beginning of one, or refused; and they are the same whatever
their splits. With atheris installed the coverage of the code guides the inputs (its own
options are then understood), without it they are mutations of the table of known oddities.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

from proxy.errors import UpstreamBadResponse
from proxy.http1 import ResponseReader
from tests.proxy.test_http1 import REFUSED, WHOLE

try:
    import atheris
except ImportError:
    atheris = None

METHODS = ("GET", "POST", "HEAD", "CONNECT")
SOUND = [wire for wire, _, _ in WHOLE.values()]
ODD = [wire for wire in REFUSED.values() if len(wire) < 500]
WORDS = (b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b";", b"0", b"f" * 16, b"HTTP/1.1 100 C\r\n\r\n")
WORDS += (b"content-length: 3\r\n", b"transfer-encoding: chunked\r\n", b"connection: close\r\n")


def outcome(method: str, pieces: Sequence[bytes]) -> object:
    """Return what a reader makes of `pieces`, in a form to compare."""
    reader = ResponseReader()
    reader.begin(method)
    try:
        for piece in pieces:
            reader.feed(piece)
            if reader.complete:
                break
    except UpstreamBadResponse:
        return "refused"
    ended = reader.complete or reader.finish()
    return reader.status, reader.headers, b"".join(reader.pieces), ended


def one_input(given: bytes) -> None:
    """Check one input: a byte for the method, one for the splits, the answer."""
    method, seed, wire = METHODS[given[:1][0] % 4 if given else 0], given[1:2], given[2:]
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(wire) + 1) for _ in range(chance.randrange(6)))
    split = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True) if b > a]
    single = [wire[i : i + 1] for i in range(len(wire))]
    whole = outcome(method, [wire] if wire else [])
    assert outcome(method, split) == whole, (method, split)
    assert outcome(method, single) == whole, (method, wire)


def mutated(chance: random.Random) -> bytes:
    """Return an input near the ones that are known to be odd."""
    wire = bytearray(chance.choice(chance.choice((SOUND, ODD))))
    for _ in range(chance.randrange(5)):
        at = chance.randrange(len(wire) + 1)
        match chance.randrange(5):
            case 0:
                wire[at:at] = chance.choice(WORDS)
            case 1:
                del wire[at : at + chance.randrange(8)]
            case 2:
                wire[at : at + 1] = chance.randbytes(1)
            case 3:
                wire[at:at] = chance.choice(SOUND)[: chance.randrange(60)]
            case _:
                wire[at:at] = wire[at // 2 : at]
    return chance.randbytes(2) + bytes(wire)


def main(arguments: list[str]) -> None:
    """Fuzz, for ever or for so many inputs."""
    if atheris is not None:
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], *arguments], one_input)
        atheris.Fuzz()
        return
    runs = int(arguments[0]) if arguments else 20_000
    chance = random.Random(runs)
    for _ in range(runs):
        one_input(mutated(chance))
    print(f"{runs} inputs, no finding")


if __name__ == "__main__":
    main(sys.argv[1:])
