"""A search of hyper-parameters: Optuna proposes recipes, and validation data alone decides between them."""

from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from landslide_lib.study import recipe as recipes
from landslide_lib.study import runs
from landslide_lib.study.records import Record

SPACES: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
#: By task, where it is not F1 of pooled pixels, the score of validation data that is searched for.
SCORES = {"detection": ("boxes", "map"), "classification": ("tiles", "f1")}


def judged(record: Record, part: str = "valid_tuned") -> float:
    """Return the score of a record that a search goes by: F1, of boxes mAP; 0 where it is undefined."""
    convention, score = SCORES.get(record.recipe.task, ("pooled", "f1"))
    return getattr(record, part).metrics[convention][score] or 0.0


def space(wanted: recipes.Recipe) -> dict[str, Any]:
    """Return what is searched of a recipe: choices by field, where `optimizer.lr` is one of a part."""
    return {name: one for name, one in SPACES[wanted.task].items() if getattr(wanted, name.split(".")[0]) is not None}


def search(wanted: recipes.Recipe, trials: int, seed: int = 0, **options: Any) -> dict[str, Any]:
    """Train a recipe as it is, then with the values that a tree-structured Parzen estimator proposes.

    All trials have one seed, and the same proposals come again: a search that was stopped goes on by its records. A
    trial that diverges is left out. An ensemble is searched by its first network. `options` are those of `runs.run`.

    Returns what was searched, the trials, `{"values", "valid", "test", "record"}`, the recipe's own first, and the
    number of the best by validation data. The test score of every trial is for who asks how far such a choice carries;
    nothing is chosen by it. Raises what `runs.run` raises.

    Reference: Bergstra and others 2011, "Algorithms for hyper-parameter optimization"; Akiba and others 2019,
    arXiv:1907.10902.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not wanted.trains:
        wanted = wanted.depends_on[0]
    searched, own = space(wanted), wanted.model_dump(mode="json", by_alias=True)
    lines: list[dict[str, Any]] = []

    def value(values: dict[str, Any]) -> float:
        changed = recipes.recipe(own, *(_nested(*one) for one in values.items()))
        record = runs.run(changed, seed, **options)
        if record.valid_tuned is None:  # from before records held it
            record = runs.run(changed, seed, **options, rerun=True)
        scores = {"valid": judged(record), "test": judged(record, "test_tuned")}
        lines.append({"values": values, **scores, "record": record.name})
        return scores["valid"]

    def proposed(trial: optuna.Trial) -> float:
        return value({name: _propose(trial, name, choices) for name, choices in searched.items()})

    value({})
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(proposed, n_trials=trials, catch=FloatingPointError)
    best = max(range(len(lines)), key=lambda number: lines[number]["valid"])
    return {"recipe": wanted.hash, "seed": seed, "space": searched, "best": best, "trials": lines}


def _propose(trial: Any, name: str, choices: Any) -> Any:
    if isinstance(choices, list):
        return trial.suggest_categorical(name, choices)
    suggest = trial.suggest_int if isinstance(choices["low"], int) else trial.suggest_float
    return suggest(name, **choices)


def _nested(name: str, value: Any) -> dict[str, Any]:
    return reduce(lambda inside, key: {key: inside}, reversed(name.split(".")), value)
