"""`archspace doctor`: versions, devices, what is missing."""

from __future__ import annotations

import click

from archspace.cli.output import json_option, print_json

PACKAGES = (
    *("torch", "optuna", "ray", "fvcore", "pandas", "plotly", "jinja2", "click", "rich", "ruamel.yaml", "pydantic"),
    *("scikit-learn", "safetensors", "moocore", "filelock", "scipy", "numpy"),
)
OPTIONAL = {"kaleido": "pip install 'archspace[static]' for PNG and SVG figures"}


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Versions, devices, and what is missing."""
    from importlib.metadata import PackageNotFoundError, version

    from archspace.errors import RunFailed

    found: dict[str, str | None] = {}
    for package in ("archspace", *PACKAGES, *OPTIONAL):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    missing = [package for package in PACKAGES if found[package] is None]
    machine = _machine() if not missing else {}
    if as_json:
        print_json({"versions": found, "missing": missing, "machine": machine})
    else:
        for package, number in found.items():
            click.echo(f"{package:<14} {number or 'missing; ' + OPTIONAL.get(package, f'pip install {package}')}")
        for name, value in machine.items():
            click.echo(f"{name:<14} {value}")
    if missing:
        raise RunFailed(f"missing: {', '.join(missing)}; run `pip install -c constraints.txt -e .` in the checkout")


def _machine() -> dict[str, str]:
    """What a search would use here."""
    import platform
    import shutil

    from archspace.api import runs_folder
    from archspace.data.tasks import known_tasks
    from archspace.searching.machine import describe, plan_share
    from archspace.space.file import shipped_spaces
    from archspace.training.device import choose_mode
    from archspace.training.recipe import Recipe

    share = plan_share(None, None)
    runs = runs_folder()
    free = shutil.disk_usage(runs if runs.is_dir() else ".").free
    return {
        "python": platform.python_version(),
        "machine": describe(),
        "trials": f"{share.concurrency} side by side"
        + (f", each {share.gpus_per_trial:g} of a GPU" if share.gpus_per_trial else ", one thread each"),
        "training": str(choose_mode(Recipe(), share.device)),
        "runs folder": f"{runs} ({free / 1e9:.0f} GB free)",
        "spaces": ", ".join(shipped_spaces()),
        "tasks": ", ".join(known_tasks()),
    }
