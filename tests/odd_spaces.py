"""Spaces in which rows part in many ways, and some have no network."""

from dataclasses import replace

from tables import changed, space_in

from archspace.space.space import Space

_TEXTS = {
    "heads and kernels on maps that may be too small": """
target: {input: [3, 33, 31], classes: 10}
stem: {kind: {choices: [imagenet, cifar, alexnet]}, width: {range: [4, 8]}}
stages:
  number: 2
  block: plain
  depth: {range: [1, 3]}
  width: {range: [8, 64]}
  kernel: {choices: [1, 3, 7]}
  downsample: {choices: [conv, pool3]}
  stride: {choices: [1, 2, 4]}
head: {kind: mlp, pool: {choices: [2, 3]}, grid: {choices: [1, 3]}, hidden: {range: [4, 8]}}
""",
    "dense stages whose transitions may keep nothing": """
target: {input: [3, 17, 13], classes: 10}
stem: {kind: bare, width: {range: [1, 8]}}
stages:
  number: 3
  block: dense
  depth: {range: [1, 3], per: stage}
  growth_rate: {range: [1, 9]}
  layer: {choices: [basic, bottleneck]}
  compression: {choices: [0.1, 0.3, 0.7, 1.0]}
  memory: {choices: [usual, frugal]}
""",
    "inception whose branches may leave nothing": """
target: {input: [3, 17, 13], classes: 10}
stem: {kind: cifar, width: {range: [1, 8]}}
stages:
  number: 2
  block: inception
  depth: {range: [1, 3], per: stage}
  width: {range: [8, 30]}
  small_share: {choices: [0.1, 0.5]}
  reduce_small_share: {choices: [0.1, 0.2]}
  large_share: {choices: [0.1, 0.3]}
  reduce_large_share: {choices: [0.1, 0.5]}
  project_share: {choices: [0.1, 0.2]}
  kernel: {choices: [1, 5, 9]}
  downsample: {choices: [pool2, pool3]}
""",
    "shortcut A, which cannot narrow": """
target: {input: [3, 17, 13], classes: 10}
stem: {kind: cifar, width: {range: [1, 8]}}
stages:
  number: 3
  block: basic
  stride: {choices: [1, 2]}
  depth: {range: [1, 4], per: stage}
  width: {range: [4, 9], per: stage}
  shortcut: A
""",
    "ratios and cardinalities that do not divide": """
target: {input: [3, 32, 32], classes: 10}
stem: {kind: cifar, width: {choices: [16, 48]}}
stages:
  number: 3
  block: bottleneck
  depth: {range: [1, 4]}
  width: {range: [16, 48], step: 16, per: stage}
  bottleneck_ratio: {choices: [0.25, 0.5, 1.0]}
  cardinality: {choices: [1, 2, 4]}
  shortcut: {choices: [A, B, C]}
""",
    "a cardinality that need not divide a width": """
target: {input: [3, 32, 32], classes: 10}
stages: {number: 1, block: bottleneck, depth: {range: [1, 4]}, width: 64, bottleneck_ratio: 0.5,
         cardinality: {choices: [1, 2, 4]}}
""",
    "stages of one block or two": """
target: {input: [3, 17, 13], classes: 10}
stem: {kind: cifar, width: {range: [1, 8]}}
stages: {number: 3, block: basic, depth: {range: [1, 2], per: stage}, width: {range: [1, 9]}}
""",
    "stochastic depth with fractions that end in a half": """
target: {input: [1, 7, 5], classes: 3}
stem: {kind: cifar, width: {choices: [1, 3, 5]}}
stages:
  number: 3
  block: basic
  stride: 1
  depth: {range: [1, 4], per: stage}
  width: {range: [1, 61], step: 2, per: stage}
  shortcut: {choices: [B, C]}
survival: {last: {choices: [0.1, 0.3, 0.5, 0.7, 0.9, 1.0]}, decay: {choices: [linear, uniform]}}
""",
    "several families in one network, and a gene that nothing reads": """
target: {input: [3, 9, 9], classes: 10}
stem: {kind: cifar, width: {range: [4, 8]}}
stages:
  number: 3
  block: [bottleneck, highway, dense]
  depth: {range: [1, 3], per: stage}
  width: {range: [4, 12], per: stage}
  cardinality: {choices: [2, 4]}
  group_width: {choices: [1, 2]}
  form: {choices: [grouped, concatenated, separate]}
  growth_rate: {range: [2, 5]}
survival: {last: {choices: [0.3, 1.0]}, mode: sample}
initialisation: {choices: [auto, he]}
auxiliary: {after: [1], weight: {choices: [0.1, 0.3]}}
""",
    "images so large that floats do not hold the counts": """
target: {input: [3, 4194303, 4194303], classes: 10}
stem: {kind: regnet, width: 32}
stages: {number: 3, block: dense, depth: {range: [1, 4]}, growth_rate: {range: [8, 64]},
         compression: {choices: [0.3, 0.7]}}
""",
    "stochastic depth on images that large": """
target: {input: [3, 4194303, 4194303], classes: 10}
stages: {number: 2, block: basic, depth: {range: [1, 4]}, width: {range: [9, 63]}}
survival: {last: {choices: [0.3, 0.7]}, decay: {choices: [linear, uniform]}}
""",
    "RegNets on images that large": """
target: {input: [3, 4194303, 4194303], classes: 10}
stem: {kind: regnet, width: 32}
stages: {rule: regnet, w0: {range: [24, 320], step: 8}, wa: {range: [8.0, 120.0], step: 0.5}, wm: 2.5,
         depth: {range: [12, 16]}, group_width: {choices: [8, 24]}, squeeze: {choices: [0.0, 0.25]}}
""",
}
_NO_FILE_MAY_SAY: dict[str, dict[str, tuple[int | float, ...]]] = {
    "ratios and cardinalities that do not divide": {
        "width.1": tuple(range(8, 52, 4)),
        "bottleneck_ratio": (0.25, 0.3, 0.5, 1.0),
        "cardinality": (1, 2, 3, 4, 8),
    },
    "a cardinality that need not divide a width": {"cardinality": (1, 2, 3, 4, 8, 24, 32, 64)},
}
"""Values for which not every network can be built, as the reader of space files sees at once."""


def _space(name: str) -> Space:
    return changed(replace(space_in(_TEXTS[name]), name=name), **_NO_FILE_MAY_SAY.get(name, {}))


ODD_SPACES = {name: _space(name) for name in _TEXTS}
