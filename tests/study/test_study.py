"""What has been run is not run again, and what may not be run is not."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from landslide_lib.models.checkpoints import read_checkpoint, write_checkpoint
from landslide_lib.study import reports, runs
from landslide_lib.study.recipe import Recipe, non_default_fields, profile, recipe
from landslide_lib.study.records import Store
from landslide_lib.training import loop

SMOKE = recipe({"dataset": "bijie"}, profile("smoke"))


@pytest.fixture
def untrained(monkeypatch):
    """Fail if anything is trained."""

    def train(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr(runs, "_make", train)


def test_a_record_of_other_data_does_not_answer_for_the_data_at_hand(bijie, tmp_path, record, untrained):
    store = Store(tmp_path / "runs", more=())
    store.add(record(non_default_fields(SMOKE), fingerprint="of another copy"))
    with pytest.raises(AssertionError, match="trained"):
        runs.run(SMOKE, 0, store=store)


def test_while_the_book_is_built_nothing_is_trained(bijie, tmp_path, record, untrained, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_TRAIN", "no")
    store = Store(tmp_path / "runs", more=())
    with pytest.raises(runs.NotRunError, match="has not been run"):
        runs.run(SMOKE, 0, store=store)
    table = reports.table("raunet/losses")
    runs.ensure(table, seeds=(0,), dataset="bijie", profile_name="smoke", store=store)
    store.add(record(non_default_fields(SMOKE), fingerprint="of another copy"))
    assert runs.run(SMOKE, 0, store=store).fingerprint == "of another copy"


def test_a_chapter_without_the_data_shows_what_is_published_and_says_so(
    tmp_path, record, untrained, monkeypatch, capsys
):
    monkeypatch.setenv("LANDSLIDE_DATA", str(tmp_path / "nothing"))
    store = Store(tmp_path / "runs", more=())
    table = reports.table("raunet/losses")
    chapter = {"dataset": "bijie", "profile_name": "cpu", "rows": ["ce"], "store": store}
    with pytest.raises(FileNotFoundError, match="landslide data download bijie"):
        runs.ensure(table, **chapter)
    wanted = reports.resolve(table, table.row("ce"), dataset="bijie", profile_name="cpu")
    store.add(record(non_default_fields(wanted)))
    runs.ensure(table, **chapter)
    assert "Until then raunet/losses shows records of before" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        runs.ensure(table, rerun=True, **chapter)


def test_a_bad_recipe_is_refused_before_the_first_row_trains(bijie, tmp_path, untrained):
    table = reports.table("raunet/losses")
    with pytest.raises(ValueError, match="profile = 'huge'"):
        list(runs.run_table(table, dataset="bijie", profile_name="huge"))
    with pytest.raises(ValueError, match="has no row 'x'"):
        list(runs.run_table(table, rows=("ce", "x"), dataset="bijie", profile_name="smoke"))


def test_rerun_trains_again_and_keeps_the_old_record(bijie, tmp_path):
    store = Store(tmp_path / "runs" / "records", more=())
    first = runs.run(SMOKE, 0, store=store, device="cpu")
    again = runs.run(SMOKE, 0, store=store, device="cpu", rerun=True)
    assert len(store.paths()) == 2
    assert first.test_counts == again.test_counts
    assert first.history[0].train_loss == again.history[0].train_loss
    assert store.find(SMOKE)[0].finished == again.finished
    assert not list((tmp_path / "runs" / "unfinished").iterdir())
    assert first.images["train"] + first.images["valid"] + first.images["test"] == SMOKE.subset


def test_the_weights_of_a_run_are_kept_beside_its_record(bijie, tmp_path):
    store = Store(tmp_path / "runs" / "records", more=())
    made = runs.run(SMOKE, 0, device="cpu", store=store)
    kept = read_checkpoint(store.weights(made))
    assert kept["recipe"] == non_default_fields(SMOKE)
    assert (kept["seed"], kept["fingerprint"]) == (made.seed, made.fingerprint)
    learned = [
        tensor for name, tensor in kept["weights"].items() if "running" not in name and "num_batches" not in name
    ]
    assert sum(tensor.numel() for tensor in learned) == made.parameters


MULTI = recipe(non_default_fields(SMOKE), {"head": "multi_resolution"})
STEPS = [{"name": "voting"}, {"name": "multi_angles"}, {"name": "opening"}]


def grown(*steps: dict[str, str]) -> Recipe:
    return recipe(non_default_fields(MULTI), {"post_processing": list(steps)})


def test_post_processing_grows_from_one_trained_network(bijie, tmp_path, monkeypatch):
    store = Store(tmp_path / "runs" / "records", more=())
    base = runs.run(MULTI, 0, device="cpu", store=store)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train", None)  # nothing is trained
        made = [runs.run(grown(step), 0, device="cpu", store=store) for step in STEPS]
        again = runs.run(grown(STEPS[0]), 0, device="cpu", store=store)
    assert again == made[0]
    for one in made:
        assert (one.depends_on, one.history, one.seconds_per_epoch) == ((base.name,), [], 0)
        assert (one.test_ids, one.parameters) == (base.test_ids, base.parameters)
        assert one.hash != base.hash
        assert np.sum(one.test_counts) == np.sum(base.test_counts)
    opened = np.array(made[2].test_counts)
    called = opened[:, :2].sum(), np.array(base.test_counts)[:, :2].sum()
    assert called[0] <= called[1]  # opening never adds a pixel


def test_without_the_weights_the_network_is_trained_again(bijie, tmp_path, capsys):
    store = Store(tmp_path / "runs" / "records", more=())
    base = runs.run(MULTI, 0, device="cpu", store=store)
    store.weights(base).unlink()
    made = runs.run(grown(STEPS[0]), 0, device="cpu", store=store)
    assert f"the weights of {base.name} are not here" in capsys.readouterr().err
    assert made.depends_on != (base.name,)
    assert len(store.find(MULTI, 0)) == 1


def test_two_that_lack_the_same_weights_train_them_once(bijie, tmp_path):
    store = Store(tmp_path / "runs" / "records", more=())
    store.weights(runs.run(MULTI, 0, device="cpu", store=store)).unlink()
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda step: runs.run(grown(step), 0, device="cpu", store=store), STEPS[:2]))
    assert made[0].depends_on == made[1].depends_on
    assert sum(record.hash == MULTI.hash for record in store.all()) == 2


def test_weights_of_another_run_are_refused(bijie, tmp_path):
    store = Store(tmp_path / "runs" / "records", more=())
    base = runs.run(MULTI, 0, device="cpu", store=store)
    path = store.weights(base)
    write_checkpoint(path, {**read_checkpoint(path), "seed": 7})
    with pytest.raises(ValueError, match=r"weights are of another seed\. Move the file away"):
        runs.run(grown(STEPS[0]), 0, device="cpu", store=store)


def flipped(path):
    """Turn some bytes of the largest tensor over; the file still reads."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 500] = bytes(255 - byte for byte in content[middle : middle + 500])
    path.write_bytes(content)


def changed(path, how):
    content = read_checkpoint(path)
    write_checkpoint(path, {**content, "weights": how(content["weights"])})


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "cut later": lambda path: path.write_bytes(path.read_bytes()[:20_000]),
    "bytes turned over": flipped,
    "a text": lambda path: path.write_text("hello"),
    "a list": lambda path: write_checkpoint(path, [1, 2]),
    "nothing in it": lambda path: write_checkpoint(path, {}),
    "no tensors": lambda path: write_checkpoint(path, {"weights": 3}),
    "not finite": lambda path: changed(path, lambda all_: {k: v * np.nan for k, v in all_.items()}),
    "a tensor missing": lambda path: changed(path, lambda all_: dict(list(all_.items())[1:])),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_weights_are_named_and_stay_where_they_are(bijie, tmp_path, damage):
    store = Store(tmp_path / "runs" / "records", more=())
    path = store.weights(runs.run(MULTI, 0, device="cpu", store=store))
    damage(path)
    left = path.read_bytes()
    with pytest.raises(ValueError, match=rf"{path.name}: damaged \(.*Move the file away"):
        runs.run(grown(STEPS[0]), 0, device="cpu", store=store)
    assert path.read_bytes() == left
    assert len(store.all()) == 1
