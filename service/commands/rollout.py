"""``tensorgate rollout``: starts, shows, aborts and finishes the rollout of a new version of a model.

All but the status are changes of the model configuration file, which every server that follows it takes up.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from service.app.model_config_edit import edit_model_config
from service.backends.savedmodel.folder import versions_in
from service.commands.client import CommandError, add_common, table
from service.core.model_config import ModelConfig
from service.core.rollout import STEP_SECONDS, STEP_WEIGHTS, Guards, Reason, RolledBack, Rollout
from service.core.traffic_split import UNNAMED, Split
from service.errors import GatewayError
from tensorgate.client import Client
from tensorgate.v1 import tensorgate_pb2 as pb

FAILED = 1
_WATCH_SECONDS = 1.0
_GUARDS = ("max_error_rate_increase", "max_p99_ratio", "max_drift_psi", "max_changed_share")
_OVER = {"complete", "rolled_back", "none"}

Edit = Callable[[ModelConfig, argparse.Namespace], tuple[ModelConfig, str]]
"""Returns a model's configuration as it is to be, and what to say of that."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate rollout``."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    start = commands.add_parser("start", help="declare a rollout", description="Declares a rollout, which then begins.")
    _of_file(start, _start)
    start.add_argument("--canary", type=int, required=True, metavar="N", help="the new version")
    start.add_argument("--stable", type=int, required=True, metavar="N", help="the version that answers now")
    start.add_argument(
        "--label", default="", metavar="LABEL", help="whose requests it is about [those that name nothing]"
    )
    steps = ",".join(map(str, STEP_WEIGHTS))
    start.add_argument("--steps", type=_steps, default=STEP_WEIGHTS, metavar="P,...", help=f"percent [{steps}]")
    start.add_argument(
        "--step-seconds", type=float, default=STEP_SECONDS, metavar="S", help=f"at each step [{STEP_SECONDS:g}]"
    )
    _add_guards(start)
    status = commands.add_parser("status", help="show how it stands", description="Shows how a rollout stands.")
    status.add_argument("model", metavar="MODEL", help="name of the model")
    status.add_argument("--watch", action="store_true", help="again and again, until it is over")
    add_common(status, _status)
    status.set_defaults(usage=status.format_usage)
    abort = commands.add_parser("abort", help="take it back", description="Takes a rollout back.")
    _of_file(abort, _abort)
    abort.add_argument("--message", default="by hand", metavar="TEXT", help="why, for those who ask [by hand]")
    _of_file(
        commands.add_parser(
            "finish",
            help="make the new version the one, or forget a rollout that was taken back",
            description="Ends a rollout: a label stays with the version that has it now.",
        ),
        _finish,
    )


def _add_guards(parser: argparse.ArgumentParser) -> None:
    guards = Guards()
    parser.add_argument(
        "--min-requests",
        type=int,
        default=guards.min_requests,
        metavar="N",
        help=f"that both versions have answered before a step is passed [{guards.min_requests}]",
    )
    for name, what in (
        ("max-error-rate-increase", "that more of its requests may fail than of the stable version's, 0 to 1"),
        ("max-p99-ratio", "of its p99 to that of the stable version, from 1 on"),
        ("max-drift-psi", "of what it answers to its reference"),
        ("max-changed-share", "of answers of another class, where answers are compared, 0 to 1"),
    ):
        default = getattr(guards, name.replace("-", "_"))
        text = f"{what}; below zero for no guard [{'none' if default is None else default}]"
        parser.add_argument(f"--{name}", type=float, default=default, metavar="X", help=text)


def _of_file(parser: argparse.ArgumentParser, change: Edit) -> None:
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument(
        "--file", type=Path, required=True, metavar="FILE", help="the model configuration file that servers follow"
    )
    parser.set_defaults(run=lambda options: _run(change, options), usage=parser.format_usage)


def _run(change: Edit, options: argparse.Namespace) -> int:
    said: list[str] = []

    def changed(config: ModelConfig) -> ModelConfig:
        made, text = change(config, options)
        said.append(text)
        return made

    try:
        edit_model_config(options.file, options.model, changed)
    except GatewayError as error:
        sys.stderr.write(f"tensorgate: {error.message}\n")
        return FAILED
    except (CommandError, ValueError) as error:  # the latter where a message cannot hold a number
        sys.stderr.write(f"tensorgate: {error}\n")
        return FAILED
    except OSError as error:
        sys.stderr.write(f"tensorgate: {options.file} cannot be changed: {error.strerror}\n")
        return FAILED
    sys.stdout.write(f"{options.file}: {said[0]}\n")
    return 0


def _start(config: ModelConfig, options: argparse.Namespace) -> tuple[ModelConfig, str]:
    if (there := config.traffic.rollout) is not None and there.rolled_back is None:
        raise CommandError(f"the rollout of version {there.canary} is not ended: tensorgate rollout abort, or finish")
    _check_versions(config, options)
    guards = Guards(
        options.min_requests,
        *(None if limit is None or limit < 0 else limit for limit in (getattr(options, name) for name in _GUARDS)),
    )
    rollout = Rollout(
        stable=options.stable,
        canary=options.canary,
        label=options.label,
        step_weights=options.steps,
        step_seconds=options.step_seconds,
        start_time=time.time(),
        guards=guards,
    )
    splits = {label: split for label, split in config.traffic.splits.items() if label != rollout.label}
    share = f"{rollout.step_weights[0]} % of {_whose(rollout)}"
    text = f"version {rollout.canary} of {config.name} gets {share} once servers have read that"
    return replace(config, traffic=replace(config.traffic, splits=splits, rollout=rollout)), text


def _check_versions(config: ModelConfig, options: argparse.Namespace) -> None:
    """Looks whether both versions are there and are served, before anything is written.

    Raises:
        CommandError: When one is not.
    """
    base_path = options.file.resolve().parent / config.base_path
    try:
        found = dict(versions_in(base_path))
    except OSError as error:
        why = error.strerror or str(error)
        sys.stderr.write(f"tensorgate: whether there are such versions is not known here: {base_path}: {why}\n")
        return
    served = config.policy.choose(found)
    for option, version in (("--stable", options.stable), ("--canary", options.canary)):
        if version not in found:
            there = ", ".join(map(str, sorted(found))) or "none"
            raise CommandError(f"{option}: expected one of the versions in {base_path}: {there}; got {version}")
        if found[version].error:
            raise CommandError(f"{option}: version {version} cannot be loaded: {found[version].error}")
        if version not in served:
            chosen = ", ".join(map(str, sorted(served)))
            raise CommandError(
                f"{option}: the version policy of {config.name} serves {chosen}, and a rollout takes both versions: "
                f"expected latest: 2, all, or specific in {options.file}; got {version}, which is not served"
            )


def _abort(config: ModelConfig, options: argparse.Namespace) -> tuple[ModelConfig, str]:
    rollout = _declared(config)
    back = rollout.rolled_back or RolledBack(Reason.ABORTED, options.message, time.time())
    text = f"version {rollout.stable} of {config.name} answers all of {_whose(rollout)} once servers have read that"
    return replace(config, traffic=replace(config.traffic, rollout=replace(rollout, rolled_back=back))), text


def _finish(config: ModelConfig, options: argparse.Namespace) -> tuple[ModelConfig, str]:
    rollout = _declared(config)
    if rollout.rolled_back is None and rollout.step < rollout.last:
        raise CommandError(f"the rollout is at step {rollout.step + 1} of {rollout.last + 1}: abort it, or wait")
    version = rollout.canary if rollout.rolled_back is None else rollout.stable
    labels, splits = dict(config.labels), dict(config.traffic.splits)
    if rollout.label:
        labels[rollout.label] = version
        text = f"the label {rollout.label} of {config.name} is on version {version}"
    elif rollout.rolled_back is None:
        text = f"the newest version of {config.name} answers {_whose(rollout)}"
    else:  # the newest one is that which was taken back
        splits[UNNAMED] = Split({version: 1})
        text = f"version {version} of {config.name} answers {_whose(rollout)}, as a split says that stays in the file"
    return replace(config, labels=labels, traffic=replace(config.traffic, splits=splits, rollout=None)), text


def _declared(config: ModelConfig) -> Rollout:
    if (rollout := config.traffic.rollout) is None:
        raise CommandError(f"there is no rollout of {config.name}")
    return rollout


def _whose(rollout: Rollout) -> str:
    return f"the requests for the label {rollout.label}" if rollout.label else "the requests that name no version"


def _status(client: Client, options: argparse.Namespace) -> None:
    while True:
        answer = client.call("GetRollout", pb.GetRolloutRequest(model=options.model))
        _show(answer, options)
        if not options.watch or answer.phase in _OVER:
            return
        sys.stdout.flush()
        time.sleep(_WATCH_SECONDS)


def _show(answer: pb.GetRolloutResponse, options: argparse.Namespace) -> None:
    if not options.json:
        sys.stdout.write(_told(answer) + "\n")
    if answer.phase == "none" and not options.json:
        return
    with table(answer, options, "Version", "State", "Share", "Requests", "Failed", "Error rate", "p99") as add_row:
        for seen in answer.versions:
            is_canary = seen.version == answer.canary_version
            add_row(
                f"{seen.version} ({'canary' if is_canary else 'stable'})",
                seen.state,
                f"{answer.canary_weight if is_canary else 100 - answer.canary_weight} %",
                str(seen.requests),
                str(seen.failures),
                f"{seen.error_rate:.2%}",
                f"{1000 * seen.p99_seconds:.3g} ms" if seen.requests else "",
            )


def _told(answer: pb.GetRolloutResponse) -> str:
    if answer.phase == "none":
        return f"there is no rollout of {answer.model}"
    steps = " > ".join(
        f"[{weight} %]" if number == answer.step else f"{weight} %"
        for number, weight in enumerate(answer.step_weights, start=1)
    )
    told = (
        f"{answer.model}: {answer.phase.replace('_', ' ')}, step {answer.step} of {len(answer.step_weights)}: {steps}"
    )
    if answer.phase == "progressing":
        told += f", for {max(answer.step_time + answer.step_seconds - time.time(), 0):.0f} s more"
    if answer.waits:
        told += f"\nwaits for: {answer.waits}"
    if answer.reason:
        told += f"\ntaken back ({answer.reason}): {answer.message}"
    return (
        told if answer.written else told + "\nthe model configuration file does not say so: other servers may not know"
    )


def _steps(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected percents with commas between them, got {text}") from None
