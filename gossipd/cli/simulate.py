"""`gossipd simulate`: a cluster with the user's settings in the simulator, and what came of it.

The settings are those of `run`: a profile, those in the same configuration file, single
ones by `--set`. What else the file says (addresses, names) is checked as `run` does, and not used.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from random import SystemRandom
from typing import Any

import click

from gossipd.cli.durations import duration
from gossipd.cli.failure import Failure, Misuse
from gossipd.cli.findings import table
from gossipd.cli.interrupts import Interrupted
from gossipd.cli.output import emit
from gossipd.config.file import CLOSE
from gossipd.config.layers import Invalid, Layers
from gossipd.config.options import keys, number
from gossipd.core.settings import Profile, Settings
from gossipd.simulator.experiment import Experiment
from gossipd.simulator.report import Report
from gossipd.simulator.wishes import WishError, Wishes

LATENCIES: dict[Profile, float] = {"lan": 0.0005, "wan": 0.05, "local": 0.00005}
"""Seconds one way, where none is given: what the profile is made for."""

PLOT_FORMATS = (".svg", ".pdf", ".png")

_SEEDS = 2**32
"""A seed that is drawn is below it: short enough to be typed again."""


def _whole(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(f"expected a whole number, not {text!r}")
    return int(text)


def _profile(text: str) -> object:
    return next(key for key in keys() if key.name == "profile").parse(text)


def _plot(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in PLOT_FORMATS:
        raise ValueError(f"expected a file name that ends in {', '.join(PLOT_FORMATS)}: {text!r}")
    if not path.parent.is_dir():
        raise ValueError(f"there is no directory {str(path.parent)!r}")
    return path


def _setting(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"expected KEY=VALUE, not {text!r}")
    settings = {key.name: key for key in keys() if key.is_setting}
    name = name.strip().replace("-", "_")
    if name not in settings:
        close = get_close_matches(name, settings, 1, CLOSE)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown setting {name!r}{hint}")
    try:
        return name, settings[name].parse(value.strip())
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _option(
    flag: str, parse: Callable[[str], object], metavar: str, default: str | None, doc: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def callback(_ctx: click.Context, _param: click.Parameter, text: Any) -> Any:
        try:
            if isinstance(text, tuple):
                return tuple(map(parse, text))
            return None if text is None else parse(text)
        except ValueError as error:
            raise Misuse(f"{flag}: {error}") from None

    return click.option(
        flag,
        type=click.UNPROCESSED,
        callback=callback,
        metavar=metavar,
        default=default,
        multiple=flag == "--set",
        show_default=default is not None,
        help=doc,
    )


@click.command(
    epilog="""\b
Examples:
  gossipd simulate
  gossipd simulate --nodes 100 --loss 0.1 --kill 3 --partition 20s --rate 50 --seed 7 --minutes 5
  gossipd simulate --profile wan --latency 80ms --set probe_interval=3
  gossipd simulate --config /etc/gossipd/gossipd.toml --json
  gossipd simulate --nodes 50 --loss 0.2 --plot figure.svg"""
)
@_option("--nodes", _whole, "N", "20", "Size of the cluster, 2 to 2,000.")
@_option("--loss", number, "FRACTION", "0", "Fraction of datagrams that are lost, 0 to below 1.")
@_option(
    "--latency",
    duration,
    "TIME",
    None,
    "Average one-way latency (20 % more or less). Default:"
    " 0.5ms, 50ms with the profile wan, 50us with local.",
)
@_option("--kill", _whole, "N", "1", "Nodes that are killed, one after the other.")
@_option("--partition", duration, "TIME", "0s", "How long the network is cut in two halves.")
@_option("--rate", number, "N", "10", "Increments per second in the whole cluster.")
@_option("--minutes", number, "N", "1", "Simulated minutes during which increments are made.")
@_option("--seed", _whole, "N", None, "Replays a run. Default: a random one, which is printed.")
@_option("--profile", _profile, "[lan|wan|local]", None, "As in run; wins over that of the file.")
@_option("--config", str, "FILE", None, "The configuration file of run, for its settings.")
@_option(
    "--set",
    _setting,
    "KEY=VALUE",
    None,
    "One setting, as in the file; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@_option(
    "--plot",
    _plot,
    "FILE",
    None,
    "Draw detection, convergence and traffic over time: .svg, .pdf or .png. Needs gossipd[plot].",
)
def simulate(as_json: bool, plot: Path | None, **given: Any) -> None:
    """Try settings on a simulated cluster.

    The real protocol runs in simulated time, with loss, kills and a partition in two halves at
    60 % of the rest. It prints how fast failures were detected, how many verdicts were false, how
    fast increments spread, what it cost, and whether all counts ended exact. The same seed gives
    the same run.

    Durations are written 20s, 500ms or 2m.
    """
    wishes = _wishes(**given)
    draw = _drawing(plot) if plot else None
    try:
        report = _run(Experiment(wishes))
        emit(_as_json(report) if as_json else table(report))
        if draw:
            draw(report)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; the seed was {wishes.seed}") from None
    if not report.final.exact or report.final.settled_after is None:
        raise Failure(f"the cluster did not end with equal and exact counts; seed {report.seed}")


def _wishes(
    profile: Profile | None,
    config: str | None,
    set: tuple[tuple[str, object], ...],  # noqa: A002  # click names it after the flag
    latency: float | None,
    seed: int | None,
    **plain: Any,
) -> Wishes:
    used, settings = _settings(profile, config, dict(set))
    try:
        return Wishes(
            seed=SystemRandom().randrange(_SEEDS) if seed is None else seed,
            latency=LATENCIES[used] if latency is None else latency,
            settings=settings,
            **plain,
        )
    except WishError as error:
        raise Misuse(f"--{error.name} {error.problem}") from None


def _settings(
    profile: Profile | None, path: str | None, single: dict[str, object]
) -> tuple[Profile, Settings]:
    """The profile and the settings that hold, as `run` would find them."""
    flags = single | ({"profile": profile} if profile else {})
    layers = Layers(flags, path=path, flag_of=lambda key: f"--set {key.name}")
    try:
        config = layers.load().config
    except Invalid as invalid:
        raise Misuse("; ".join(invalid.problems)) from None
    return config.profile, config.settings


def _run(experiment: Experiment) -> Report:
    """Run to the end, with a bar on stderr if that is a terminal."""
    if sys.stderr.isatty():
        with click.progressbar(length=1000, label="simulating", file=sys.stderr) as bar:
            for done in experiment.steps():
                bar.update(round(1000 * done) - bar.pos)
    else:
        for _ in experiment.steps():
            pass
    return experiment.report()


def _as_json(report: Report) -> str:
    return json.dumps(report.plain(), indent=2)


def _drawing(path: Path) -> Callable[[Report], None]:
    """What draws into a file; fails at once where the library is missing."""
    try:
        from gossipd.cli.plotting import draw
    except ImportError:
        raise Failure("--plot needs matplotlib: pip install 'gossipd[plot]'") from None

    def drawing(report: Report) -> None:
        try:
            draw(report, path)
        except OSError as error:
            raise Failure(f"cannot write {path}: {error.strerror or error}") from None

    return drawing
