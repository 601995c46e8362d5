"""A genome is found by the name that a person gives it: zoo, file, run, standard input."""

import io
import json
from pathlib import Path

import pytest
import tiny

from archspace.closed_form import cost_of
from archspace.errors import UserError
from archspace.genome import genome_data
from archspace.lookup import TARGET, find_genome, run_folder
from archspace.records.ledger import Ledger
from archspace.zoo.zoo import entry, names


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of runs with one, `t`: two trials begun, the second one enqueued as `mine`."""
    ledger = Ledger.create(tmp_path / "t", tiny.config())
    for genome, name in zip(tiny.genomes(2), ("", "mine"), strict=True):
        ledger.begin(genome, cost_of(genome, (1, 32, 32), 10), 0, name, 0.0)
    return tmp_path


def test_the_zoo_brings_published_input_and_classes(runs: Path) -> None:
    for name in names():
        found, known = find_genome(name, runs), entry(name)
        assert (found.genome, found.name) == (known.genome, name)
        assert (found.input, found.classes) == (known.input, known.classes)
    assert find_genome("resnet50", runs).input == (3, 224, 224)


@pytest.mark.parametrize("name", ["g.yaml", "g.yml", "g.json", "g"])
def test_a_file_is_a_genome_at_the_usual_target(runs: Path, name: str) -> None:
    genome = tiny.genomes(1)[0]
    (runs / name).write_text(json.dumps(genome_data(genome)))
    found = find_genome(str(runs / name), runs)
    assert (found.genome, found.name) == (genome, "g")
    assert (found.input, found.classes) == TARGET == ((3, 224, 224), 1000)


def test_a_run_brings_its_target(runs: Path) -> None:
    first, second = tiny.genomes(2)
    for reference, genome in ((f"t:{first.id}", first), (f"t:{second.id}", second), ("t:mine", second)):
        found = find_genome(reference, runs)
        assert (found.genome, found.name) == (genome, genome.id)
        assert (found.input, found.classes) == ((1, 32, 32), 10)


def test_standard_input_is_read(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genome = tiny.genomes(1)[0]
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(genome_data(genome))))
    assert find_genome("-", runs).genome == genome
    monkeypatch.setattr("sys.stdin", io.StringIO("stages: 3\n"))
    with pytest.raises(UserError, match=r"^<stdin>:1:1: "):
        find_genome("-", runs)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("resnet51", r"genome 'resnet51' \(did you mean 'resnet50'\?\)"),
        ("", "genome ''"),
        ("missing.yaml", r"missing\.yaml: no such file"),
        ("t:", "run 't' has no genome ''; it has [0-9a-f]{12}, [0-9a-f]{12}"),
        ("t:resnet50", "run 't' has no genome 'resnet50'"),
        ("u:mine", "no such run"),
        ("../t:mine", r"run name '\.\./t'.* write 't'"),
        (":mine", "run name ''"),
    ],
)
def test_what_is_not_found_is_told(runs: Path, reference: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        find_genome(reference, runs)


def test_a_run_is_named_by_a_plain_name(tmp_path: Path) -> None:
    assert run_folder("t", tmp_path) == tmp_path / "t"
    for wrong in ("", ".", "..", "a/b", "/a", "a/", "../a"):
        with pytest.raises(UserError, match="not the plain name of a run"):
            run_folder(wrong, tmp_path)
