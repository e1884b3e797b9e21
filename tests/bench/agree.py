"""Whether two programs train alike: their losses over the first steps, for several seeds.

The steps are cut into spans 1, 2-3, 4-7, 8-15, ... of doubling length (the last one may be
shorter). A seed's level in a span is the mean of its losses there; its fall from one span
to the next is the quotient of the two levels, in which most of the difference between
starts cancels. Of every level and every fall the means over seeds may differ by at most
LIMIT standard errors of their difference (the two variances over seeds, each divided by its
number of seeds, added). Seeds of the two programs are not paired: their random numbers
differ. What the test can see is its resolution, LIMIT errors as a part of the mean.
usage: agree.py A B   (files of losses, a JSON list of lists each; exit code 1: they differ)
"""

import json
import math
import statistics
import sys
from collections import namedtuple

LIMIT = 4
Test = namedtuple("Test", "what a b errors resolution")


def spans(steps):
    first = 1
    while first <= steps:
        yield first, min(2 * first - 1, steps)
        first *= 2


def test(what, x, y):
    a, b = statistics.mean(x), statistics.mean(y)
    error = math.sqrt(statistics.variance(x) / len(x) + statistics.variance(y) / len(y))
    errors = abs(a - b) / error if error > 0 else math.inf if a != b else 0
    return Test(what, a, b, errors, LIMIT * error / abs(b or 1))


def compare(a, b):
    """Of two lists of runs of equally many losses: the tests of levels and of falls."""
    if min(len(a), len(b)) < 2 or len({len(run) for run in a + b}) != 1:
        raise ValueError("two or more runs on each side, all of as many steps")
    levels, falls, before = [], [], None
    for first, last in spans(len(a[0])):
        now = [[statistics.mean(run[first - 1 : last]) for run in runs] for runs in (a, b)]
        levels.append(test(f"level of steps {first}-{last}", *now))
        if before:
            quotients = [[v / u for u, v in zip(*pair)] for pair in zip(before, now)]
            falls.append(test(f"fall to steps {first}-{last}", *quotients))
        before = now
    return levels + falls


def agree(tests):
    """Not so either when a loss is not a number."""
    return all(t.errors <= LIMIT for t in tests)


def worst(tests):
    return max(tests, key=lambda t: math.inf if math.isnan(t.errors) else t.errors)


def main():
    runs = []
    for path in sys.argv[1:3]:
        with open(path, encoding="utf-8") as f:
            runs.append(json.load(f))
    tests = compare(*runs)
    for t in tests:
        print(
            f"{t.what}: {t.a:.4g} and {t.b:.4g}, {t.errors:.1f} standard errors apart "
            f"(seen from {100 * t.resolution:.1f} %)"
        )
    print("agree" if agree(tests) else "differ")
    sys.exit(0 if agree(tests) else 1)


if __name__ == "__main__":
    main()
