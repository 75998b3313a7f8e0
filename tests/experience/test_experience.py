"""The store: what is appended is read again, whoever else appends, whoever is killed."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from make import SMALL_FITS_WARN
from sklearn.base import clone
from test_proposal import record

import sk_metalr
from sk_metalr import Experience, MetaLRClassifier, Portfolio
from sk_metalr._experience import records
from sk_metalr._experience.fingerprint import fingerprint
from sk_metalr.exceptions import ExperienceWarning

pytestmark = SMALL_FITS_WARN


CODE = np.arange(300) % 2


def full_record(source="a"):
    """Return a record with a fingerprint and a rate that diverged."""
    X = np.random.RandomState(0).normal(size=(300, 10))
    one = record(losses=np.append(np.linspace(0.5, 0.3, 20), np.inf))
    return type(one)(**{**vars(one), "fingerprint": fingerprint(X, CODE), "source": source})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "experience.jsonl"


def sources(experience):
    return [one.source for one in experience]


def test_a_record_survives_its_line():
    before = full_record()
    line = before.to_line()
    after = type(before).from_dict(json.loads(line))
    assert after.to_line() == line
    assert after.fingerprint.to_dict() == before.fingerprint.to_dict()
    assert after.features == before.features
    np.testing.assert_allclose(after.losses, before.losses, rtol=1e-5)
    assert np.isinf(after.losses[-1])


def test_in_a_whole_file_fingerprints_are_written_once(path):
    one, other = full_record("a"), record()
    lines = list(records.to_lines([one, other, replace(one, source="b")]))
    path.write_text("".join(lines))
    assert len(lines[2]) < len(lines[0]) / 2
    again = list(Experience.load(path))
    assert [record.to_line() for record in again[:2]] == [one.to_line(), other.to_line()]
    assert again[2].fingerprint.to_dict() == one.fingerprint.to_dict()
    path.write_text(record().to_line() + "".join(lines))  # lines may move
    assert [row.fingerprint.n_rows for row in Experience.load(path)][1::2] == [300, 300]
    path.write_text("torn\n" + "".join(lines[1:]))
    with pytest.warns(ExperienceWarning, match="line 1 .*, line 3 "):
        assert len(Experience.load(path)) == 1


def test_what_is_appended_is_read_again(path):
    experience = Experience(path)
    assert len(experience) == 0
    assert not path.exists()
    experience.append(full_record("a")).append(full_record("b"))
    assert sources(experience) == sources(Experience.load(path)) == ["a", "b"]
    assert len(path.read_text().splitlines()) == 2
    assert "2 searches" in repr(experience)


def test_in_memory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sources(Experience().append(full_record())) == ["a"]
    assert not list(tmp_path.iterdir())


def test_merging_adds_what_is_new(path):
    one, other = Experience(path).append(full_record("a")), Experience()
    other.append(full_record("a")).append(full_record("b"))
    assert sources(one.merge(other)) == ["a", "b"]
    assert sources(one.merge(one)) == ["a", "b"]
    assert sources(Experience.load(path)) == ["a", "b"]
    assert len(other) == 2
    other.append(full_record("c")).append(full_record("c"))
    Experience(path).append(full_record("d"))  # by somebody else
    assert sources(one.merge(other)) == ["a", "b", "d", "c"]
    with pytest.raises(TypeError, match=r"'other' parameter .* Experience.load"):
        one.merge(path)


def test_what_others_add_is_read_where_it_is_asked_for(path):
    mine, theirs = Experience(path), Experience(path)
    theirs.append(full_record("a"))
    assert sources(mine) == []
    assert sources(mine.refresh()) == ["a"]


def test_a_copy_in_another_process_has_the_same_file(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experience = Experience(path.name).append(full_record("a"))
    message = pickle.dumps(experience)
    assert len(message) < 1_000  # no records travel
    monkeypatch.chdir("/")
    pickle.loads(message).append(full_record("b"))
    assert sources(experience.refresh()) == ["a", "b"]
    path.write_text("no experience any more\n")
    assert len(pickle.loads(message)) == 0
    with pytest.raises(ValueError, match="is no experience"):
        pickle.loads(message).refresh()
    in_memory = pickle.loads(pickle.dumps(Experience().append(full_record("a"))))
    assert sources(in_memory) == ["a"]


def test_what_is_no_experience_is_refused_and_left_as_it_was(path):
    path.write_text("a,b\n1,x\n2,y\n")
    with pytest.raises(ValueError, match=r"is no experience: no line .* line 1 \(.*another file"):
        Experience(path)
    model = MetaLRClassifier(search=Portfolio(path))
    with pytest.raises(ValueError, match="is no experience"):
        model.fit(np.eye(10), np.arange(10) % 2)
    assert path.read_text() == "a,b\n1,x\n2,y\n"


def test_many_lines_that_are_no_records_are_one_warning(path):
    path.write_text(full_record("a").to_line() + "nonsense\n" * 50)
    with pytest.warns(ExperienceWarning, match=r"50 of 51 lines .* line 4 \(.*\) …\.") as told:
        assert sources(Experience(path)) == ["a"]
    assert len(told) == 1


def test_only_records_are_added():
    experience = Experience()
    for other in ({"a": 1}, "s.jsonl", Experience()):
        with pytest.raises(TypeError, match=r"'record' parameter of Experience.append"):
            experience.append(other)
    with pytest.raises(TypeError, match=r"'record' parameter of Experience.append"):
        experience.merge([full_record(), 1])
    with pytest.raises(TypeError, match="'path' parameter of Experience must be a path"):
        Experience(Experience())


@pytest.mark.parametrize("name", ["default", "", "."])
def test_a_folder_is_no_experience(name):
    with pytest.raises(ValueError, match="'path' parameter of Experience"):
        Experience(name)


def test_a_lock_that_is_held_for_ever_ends_in_an_error(path, monkeypatch):
    monkeypatch.setattr(records, "LOCK_SECONDS", 0.01)
    with FileLock(f"{path}.lock"), pytest.raises(OSError, match="lock"):
        Experience(path).append(full_record("a"))


def test_a_frame_has_a_row_for_each_search():
    frame = Experience().append(full_record()).to_frame()
    assert frame.loc[0, "source"] == "a"
    assert frame.loc[0, "loss"] == pytest.approx(0.3)
    assert frame.loc[0, "n_rows"] == 1000
    assert frame.loc[0, "best_learning_rate"] == pytest.approx(full_record().learning_rates[-2])


def test_clones_share_one_store():
    experience = Experience()
    copy = clone(MetaLRClassifier(search=Portfolio(experience)))
    assert copy.search.experience is experience


def test_a_torn_end_is_left_out_and_does_not_spoil_the_next_record(path):
    Experience(path).append(full_record("a"))
    with path.open("a") as file:
        file.write('{"version":1,"sour')
    assert sources(Experience.load(path)) == ["a"]  # it may be being written: no warning
    Experience.load(path).append(full_record("b"))
    with pytest.warns(ExperienceWarning, match=r"1 of 3 lines are no records .* line 2 \("):
        again = Experience.load(path)
    assert sources(again) == ["a", "b"]


def test_a_last_line_without_its_newline_counts(path):
    path.write_text(full_record("a").to_line().rstrip("\n"))
    assert sources(Experience(path).append(full_record("b"))) == ["a", "b"]
    assert sources(Experience.load(path)) == ["a", "b"]


EMPTY_CURVE = '"curve":{"learning_rate":[],"loss":[],"standard_error":[],"n_epochs":[]}'


@pytest.mark.parametrize(
    "line",
    [
        *("nonsense", "[]", "{}", '{"version":"1"}', '{"version":1}', "null"),
        full_record().to_line().replace('"learning_rate":[1e-05,', '"learning_rate":['),
        full_record().to_line().replace('"learning_rate":[1e-05,', '"learning_rate":[-1,'),
        full_record().to_line().replace('"n_rows"', '"rows"', 1),
        full_record().to_line().replace('"optimizer":"', '"optimiser":"', 1),
        full_record().to_line().replace('"n_rows":1000', '"n_rows":0', 1),
        full_record().to_line().replace('"n_rows":1000', '"n_rows":1e400', 1),
        full_record().to_line().replace('"learning_rate":[1e-05,', '"learning_rate":[1,'),
        full_record().to_line().replace('"loss":[0.5', '"loss":[NaN'),
        full_record().to_line().replace('"baseline_loss":0.7', '"baseline_loss":0'),
        full_record().to_line().replace('"class_counts":[150', '"class_counts":[151'),
        re.sub(r'"curve":\{.*?\}', EMPTY_CURVE, full_record().to_line()),
        re.sub(r'"exact":\[10,\d+,"[^"]*"', '"exact":[10,0,""', full_record().to_line()),
    ],
)
def test_a_line_that_is_no_record_is_named_and_left_out(path, line):
    path.write_text(full_record("a").to_line() + line.rstrip() + "\n" + full_record("b").to_line())
    with pytest.warns(ExperienceWarning, match=r"1 of 3 lines are no records .* line 2 \("):
        assert sources(Experience.load(path)) == ["a", "b"]


def test_records_of_a_newer_format_are_counted_and_left_out(path):
    newer = full_record().to_line().replace('"version":1', '"version":2')
    path.write_text(newer + full_record("b").to_line() + newer)
    with pytest.warns(ExperienceWarning, match=r"2 records .* newer sk_metalr"):
        assert sources(Experience.load(path)) == ["b"]


def test_a_missing_file_is_an_error_that_says_what_to_do(path):
    with pytest.raises(FileNotFoundError, match=r"There is no experience at .*begins one"):
        Experience.load(path)


def test_the_shipped_experience_is_small_and_complete():
    shipped = Experience.load("default")
    assert len(shipped) >= 100
    assert shipped.path is None
    assert (Path(sk_metalr.__file__).parent / "_experience" / "default.jsonl").stat().st_size < 1e6
    for one in shipped:
        assert one.source
        assert {"sk_metalr", "keras", "date"} <= set(one.provenance)
        assert len(one.learning_rates) == (64 if one.others else 25)
        assert one.fingerprint.n_rows == one.features["n_rows"]


WRITER = textwrap.dedent(
    """
    import json, sys, types
    for name in ("sk_metalr", "sk_metalr._experience"):  # whose __init__ would import TensorFlow
        package = types.ModuleType(name)
        package.__path__ = [sys.argv[1] + "/_experience" * ("." in name)]
        sys.modules[name] = package
    from dataclasses import replace
    from sk_metalr._experience.records import ExperienceRecord
    from sk_metalr._experience.store import Experience
    path, name, n = sys.argv[2], sys.argv[3], int(sys.argv[4])
    record = ExperienceRecord.from_dict(json.loads(sys.stdin.readline()))
    experience = Experience()
    experience.path = __import__("pathlib").Path(path)
    for number in range(n):
        experience.append(replace(record, source=f"{name}-{number}"))
        print(f"{name}-{number}", flush=True)
    """
)


def writers(path, n_processes, n_records):
    package = str(Path(sk_metalr.__file__).parent)
    started = []
    for name in range(n_processes):
        command = [sys.executable, "-c", WRITER, package, str(path), str(name), str(n_records)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(full_record().to_line().encode())
        process.stdin.flush()
        started.append(process)
    return started


@pytest.mark.long
@pytest.mark.parametrize("n", [4, pytest.param(20, marks=pytest.mark.long)])
def test_processes_append_at_once(path, n):
    processes = writers(path, n, 25)
    written = [name for process in processes for name in process.communicate()[0].decode().split()]
    assert [process.returncode for process in processes] == [0] * n
    assert len(written) == n * 25
    assert sorted(sources(Experience.load(path))) == sorted(written)


@pytest.mark.long
@pytest.mark.parametrize("n", [4, pytest.param(20, marks=pytest.mark.long)])
def test_killed_processes_lose_nothing_that_was_complete(path, n):
    processes = writers(path, n, 100_000)
    written = []
    for process in processes:
        written += [process.stdout.readline().decode().strip() for _ in range(5)]
        os.kill(process.pid, signal.SIGKILL)
        lines = process.communicate()[0].decode().split("\n")
        written += lines[:-1]
    with warnings.catch_warnings():
        # The system may have cut a write short; that record was not complete.
        warnings.simplefilter("ignore", ExperienceWarning)
        read = sources(Experience(path).append(full_record("last")))
    assert set(written) <= set(read)
    assert len(set(read)) == len(read)
    assert sources(Experience(path))[-1] == "last"
