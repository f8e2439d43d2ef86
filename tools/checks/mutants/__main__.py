"""Change the code in one place, run the tests that run this place, and see whether one fails.

    python -m msgin5g_tools.checks.mutants [AREA...] [--without AREA] [--sample N] [--seed S]
        [--min PERCENT]

Without an area: all of them. A run that was stopped goes on where it was: what is known stands in
build/mutants/. The exit status is 1 when fewer than PERCENT of the mutants are noticed.
"""

import argparse
import signal
import sys
from collections import Counter

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from msgin5g_tools.checks.mutants import report
from msgin5g_tools.checks.mutants.areas import areas
from msgin5g_tools.checks.mutants.catalogue import mutants_of, sample
from msgin5g_tools.checks.mutants.equivalent import Equivalents
from msgin5g_tools.checks.mutants.laboratory import Laboratory, MutantsError
from msgin5g_tools.checks.mutants.session import Session
from msgin5g_tools.paths import BUILD, ROOT

_FOLDER = BUILD / "mutants"


def candidates(chosen):
    """([Mutant], {area: number of equivalents left out}) of these Areas."""
    found, left_out = [], Counter()
    equivalents = Equivalents()
    for area in chosen:
        for module in area.files:
            source = (ROOT / module).read_text()
            for mutant in mutants_of(area.name, module, source):
                if equivalents.has(mutant, source):
                    left_out[area.name] += 1
                else:
                    found.append(mutant)
    return found, left_out


def run(mutants, suites, again, console):
    """The Results of the mutants. suites: {area: name of its suite}."""
    session = Session(_FOLDER / "session.sqlite")
    sources = {mutant.module: (ROOT / mutant.module).read_text() for mutant in mutants}
    results = []
    count = TextColumn("{task.completed}/{task.total}")
    columns = (TextColumn("{task.description}"), BarColumn(), count)
    columns += (TimeElapsedColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as bar, Laboratory(_FOLDER) as laboratory:
            task = bar.add_task("measuring", total=len(mutants))
            for mutant in mutants:
                suite = laboratory.suite(suites[mutant.area])
                source = sources[mutant.module]
                result = None if again else session.find(mutant, source, suite.hash)
                if result is None:
                    result = laboratory.judge(mutant, suite)
                    session.save(result, source, suite.hash)
                results.append(result)
                if result.outcome not in report.NOTICED:
                    console.print(report.survivor(result))
                noticed = f"{report.share(results):.0f} % noticed"
                bar.update(task, advance=1, description=f"{mutant.area}: {noticed}")
            for name in sorted({suites[mutant.area] for mutant in mutants}):
                suite = laboratory.suite(name)
                if suite.failed:
                    console.print(f"{name}: these fail or are skipped without any change:")
                    console.print("\n".join(f"    {test}" for test in suite.failed))
    finally:
        session.close()
    return results


def main():
    every = areas()
    parser = argparse.ArgumentParser(
        prog="mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("area", nargs="*", help=", ".join(sorted(every)))
    parser.add_argument("--without", action="append", default=[], metavar="AREA", help="not this")
    parser.add_argument("--sample", type=int, metavar="N", help="so many, by chance")
    parser.add_argument("--seed", default="1", help="another seed, another sample")
    parser.add_argument("--min", type=float, default=0, metavar="PERCENT", help="see above")
    parser.add_argument("--again", action="store_true", help="run those that are known too")
    options = parser.parse_args()
    unknown = set(options.area + options.without) - set(every)
    if unknown:
        parser.error(f"no such area: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    names = [name for name in options.area or every if name not in options.without]
    chosen = [every[name] for name in names]
    mutants, left_out = candidates(chosen)
    if options.sample is not None:
        mutants = sample(mutants, options.sample, options.seed)
    # Module by module, so that what noticed one is tried first at the next.
    mutants.sort(key=lambda mutant: (mutant.area, mutant.module, mutant.span))
    try:
        results = run(mutants, {area.name: area.suite for area in chosen}, options.again, console)
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on")
    except MutantsError as error:
        sys.exit(f"mutants: {error}")
    console.print(report.table(results, left_out))
    share = report.share(results)
    if share < options.min:
        sys.exit(f"mutants: {share:.1f} % noticed, less than {options.min:g} %")


if __name__ == "__main__":
    main()
