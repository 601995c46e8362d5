"""A study of tiny networks on the digits, changed piece by piece."""

from pathlib import Path

from archspace.study.file import Study, load_study

SPACE = """\
name: anchors
target: {input: [1, 32, 32], classes: 10}
stem: {kind: imagenet, width: 6}
stages:
  number: 2
  block: bottleneck
  stride: [1, 2]
  depth: {range: [1, 3], per: stage}
  width: {range: [16, 48], step: 8, times: [1, 2]}
  cardinality: {choices: [3, 4, 6]}
  group_width: {choices: [2, 3, 4], times: [1, 2]}
"""
STUDY = """\
name: tiny
question: Does it run?
anchors:
  space: space.yaml
  cost: [150kFLOPs, 600kFLOPs]
  strata: {cost: 2, shape: 1}
  per_stratum: 1
arms:
  base: {}
  depth: {spend: depth}
  width: {spend: width}
  cardinality: {spend: cardinality}
task: digits
settings: {epochs: 1, warmup: 0.5, batch: 256, norm_batches: 1, precision: fp32, layout: contiguous}
rates: {grid: [0.05, 0.1]}
seeds: 2
contrasts:
  - {a: cardinality, b: depth}
  - {a: cardinality, b: base}
margin: 1.0
"""


def write(folder: Path, text: str = STUDY, space: str = SPACE) -> Path:
    """A study's folder with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.yaml").write_text(space)
    (folder / "study.yaml").write_text(text)
    return folder


def study(folder: Path, *changes: tuple[str, str]) -> Study:
    """The study with pieces of its text replaced."""
    text = STUDY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load_study(write(folder, text))
