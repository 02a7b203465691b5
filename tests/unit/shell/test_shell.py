"""Lists, details, completion, and the statuses with which verbs end."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import maas.completion
import maas.list
import maas.show
from maas.config.recipe_files import CONF, RECIPES
from maas.errors import DataError
from maas.outcomes import EXIT_STATUSES, VerbOutcome, give, reported
from maas.run_folders.folder import RunFolder
from maas.shell.completing import CONF_FOLDER, RECIPE_FOLDER, next_words, settings_of_verb
from maas.shell.verbs import VERBS
from maas.suggesting import hint_of, nearest_of

ROOT = Path(__file__).parents[3]


@pytest.fixture
def printed(capsys, tmp_path, monkeypatch):
    """`printed(main, *words, status=0)`: standard output, or standard error where the status is not 0."""
    monkeypatch.chdir(tmp_path)

    def run(main, *words, status=0):
        if not status:
            main(list(words))
            return capsys.readouterr().out
        with pytest.raises(SystemExit) as caught:
            main(list(words))
        assert caught.value.code == status
        return capsys.readouterr().err

    return run


def finished_run(root: Path, bundle: Path | None = None) -> RunFolder:
    folder = RunFolder(root / "runs/digits/20260101-000000")
    folder.path.mkdir(parents=True)
    folder.remember(key="key", finished=True, seconds={"train": 1.5})
    if bundle is not None:
        shutil.copytree(bundle, folder.bundle)
    folder.point_latest()
    return folder


def test_recipes_are_listed_with_what_they_say_of_themselves(printed):
    found = json.loads(printed(maas.list.main, "recipes", "--json"))["recipes"]
    assert {one["name"] for one in found} == {file.stem for file in RECIPES.glob("*.yaml")}
    assert next(one["about"] for one in found if one["name"] == "digits_mlp").startswith("Handwritten digits: ")
    assert "digits_mlp" in printed(maas.list.main, "recipes")


def test_parts_are_listed_by_section_and_from_a_folder_of_ones_own(printed, tmp_path):
    (tmp_path / "mine/model").mkdir(parents=True)
    (tmp_path / "mine/model/narrow.yaml").write_text("_target_: maas.models.mlp.MLP\nhidden: [3]\n")
    words = ("parts", "section=model", "-cd", "mine", "--json")
    found = {one["name"]: one["target"] for one in json.loads(printed(maas.list.main, *words))["parts"]}
    assert found["model/narrow"] == found["model/mlp"] == "maas.models.mlp.MLP"
    assert set(found) == {"model/narrow", *(f"model/{file.stem}" for file in (CONF / "model").glob("*.yaml"))}


def test_runs_are_listed_with_their_state(printed, tmp_path, line):
    assert printed(maas.list.main, "runs") == "runs holds no runs.\n"
    finished_run(tmp_path, line.bundle.folder)
    (found,) = json.loads(printed(maas.list.main, "runs", "--json"))["runs"]
    assert (found["name"], found["state"]) == ("digits/20260101-000000", "finished")
    assert found["metrics"]["accuracy"]["value"] == line.bundle.evidence.metrics["shipped"]["accuracy"].value
    assert "finished" in printed(maas.list.main, "runs")


def test_models_are_none_and_no_database_is_made_when_there_is_none(printed, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert printed(maas.list.main, "models") == "The registry holds no models; maas run makes a version.\n"
    assert json.loads(printed(maas.list.main, "models", "--json")) == {"models": []}
    assert list(tmp_path.iterdir()) == []


def test_part_is_shown_with_arguments_values_and_documentation(printed):
    found = json.loads(printed(maas.show.main, "model/mlp", "--json"))
    arguments = {one["name"]: one for one in found["arguments"]}
    assert found["part"]["target"] == "maas.models.mlp.MLP"
    assert arguments["hidden"]["value"] == [256]
    assert arguments["hidden"]["about"]
    text = printed(maas.show.main, "optimizer/adam")
    assert text.startswith("optimizer/adam   torch.optim.Adam\n")
    assert "  lr: " in text
    assert " = 0.001" in text


def test_recipe_is_shown_as_it_is(printed):
    assert printed(maas.show.main, "digits_mlp") == (RECIPES / "digits_mlp.yaml").read_text(encoding="utf-8")


def test_run_and_bundle_are_shown_in_short(printed, tmp_path, line):
    folder = finished_run(tmp_path, line.bundle.folder)
    for name in ("digits", "digits/20260101-000000", str(folder.path)):
        text = printed(maas.show.main, name)
        assert text.startswith("digits/20260101-000000   finished\n")
        assert "  train            1.5 s\n" in text
    text = printed(maas.show.main, str(line.bundle.folder))
    assert f"  manifest   {line.bundle.digest}\n" in text
    found = json.loads(printed(maas.show.main, str(folder.bundle), "--json"))["model"]
    assert (found["task"], found["recipe"].split()[0]) == ("tabular-classification", "digits_mlp")
    assert (
        found["parity"]["trained and onnxruntime"] if "trained and onnxruntime" in found["parity"] else found["parity"]
    )


REFUSED = [
    (maas.list.main, ["recipe"], "There is no list of recipe. Did you mean recipes?\n"),
    (maas.list.main, ["recipes", "runs"], "There is no list of recipes runs. Did you mean recipes?\n"),
    (maas.list.main, ["runs", "run_dir=x"], "run_dir=x is no setting of maas list runs. Did you mean runs_dir?\n"),
    (maas.list.main, ["parts", "section=modle"], "There is no section modle. Did you mean model?\n"),
    (maas.show.main, ["digit_mlp"], "There is no digit_mlp. Did you mean digits_mlp?\n"),
    (maas.show.main, ["xyzxyz"], "There is no xyzxyz. maas list recipes, parts, runs and models have names.\n"),
    (maas.show.main, ["a", "b"], "2 things are named; show takes one. See maas show --help.\n"),
    (maas.show.main, ["files"], None),
    (maas.completion.main, ["bsh"], "There is no completion for bsh. Did you mean bash?\n"),
]


@pytest.mark.parametrize(("main", "words", "message"), REFUSED)
def test_name_is_refused_in_a_line_when_nothing_has_it(printed, main, words, message):
    if message is None:
        assert printed(main, *words).startswith("data/files   ")
        return
    assert printed(main, *words, status=2) == message


@pytest.mark.parametrize("word", ["text", "cpu"])
def test_part_is_named_with_its_section_when_several_have_its_name(printed, word):
    found = [
        one for one in (f"{file.parent.name}/{file.stem}" for file in CONF.glob("*/*.yaml")) if one.endswith(f"/{word}")
    ]
    if len(found) > 1:
        message = printed(maas.show.main, word, status=2)
        assert message == f"{word} is the name of {' and '.join(sorted(found))}. Name one of them.\n"
    else:
        assert printed(maas.show.main, word).startswith(found[0])


def test_words_are_those_of_the_verb_when_a_line_is_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (CONF_FOLDER, RECIPE_FOLDER) == (CONF, RECIPES)
    assert next_words("maas pre") == ["predict"]
    assert set(VERBS) <= set(next_words("maas "))
    assert next_words("maas run recipe=digits") == ["recipe=digits_mlp"]
    assert next_words("maas run recipe=digits_mlp optimizer=s") == ["optimizer=sgd"]
    assert next_words("maas run recipe=digits_mlp optimizer.mom") == ["optimizer.momentum="]
    assert next_words("maas run max") == []
    assert next_words("maas run batch") == ["batch_size="]
    assert next_words("maas list mo") == ["models"]
    assert next_words("maas show model/ml") == ["model/mlp"]
    assert next_words("maas predict m in out prob") == ["probabilities="]
    assert next_words("maas predict m in out --j") == ["--json"]
    assert next_words("maas completion f") == ["fish"]
    assert next_words("maas unknown x") == []
    finished_run(tmp_path)
    assert next_words("maas show digits/") == ["digits/20260101-000000"]


@pytest.mark.parametrize("verb", VERBS)
def test_settings_are_read_off_the_usage_of_each_verb(verb):
    settings = settings_of_verb(verb)
    assert all(name.isidentifier() for name in settings)
    if verb == "serve":
        assert {"model", "port", "batch_size"} <= set(settings)
    if verb == "generate":
        assert {"max_tokens", "temperature", "top_k", "top_p", "logit_bias"} <= set(settings)


COMPLETE = """
eval "$(maas completion bash)"
complete -p maas
COMP_LINE="$1"; COMP_POINT=${#1}
_maas
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("maas comp", ["compress", "compare", "completion"]),
        ("maas run recipe=digits", ["digits_mlp"]),
        ("maas run optimizer.lr=1 optimizer=sg", ["sgd"]),
        ("maas list ", ["recipes", "parts", "runs", "models"]),
    ],
)
def test_bash_completes_words_when_the_script_is_read(tmp_path, line, replies):
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    command = ["bash", "-c", COMPLETE, "bash", line]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path, env={"PATH": path, "PYTHONPATH": str(ROOT)}
    )
    first, *found = done.stdout.splitlines()
    assert first == "complete -o bashdefault -o default -F _maas maas"
    assert found == replies
    assert not [one for one in done.stderr.splitlines() if "compopt" not in one]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_script_is_read_without_fault_where_the_shell_is_installed(tmp_path, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(maas.completion.COMPLETION_SCRIPTS[shell])
    subprocess.run([shell, "-n", str(script)], check=True)


def test_status_and_line_are_those_of_the_fault_when_a_block_ends(capsys):
    for error, status in ((DataError("No rows."), 2), (KeyboardInterrupt(), 130)):
        with pytest.raises(SystemExit) as caught, reported("predict"):
            raise error
        assert caught.value.code == status
    assert capsys.readouterr().err == (
        "No rows.\n\nInterrupted. Run the same command again and maas.predict resumes where it was.\n"
    )
    with pytest.raises(SystemExit) as caught:
        give(VerbOutcome({"rows": 1}, "1 row", 3), is_json=True)
    assert (caught.value.code, capsys.readouterr().out) == (3, '{"rows":1}\n')


def test_reader_may_leave_when_a_list_is_long(tmp_path):
    command = [sys.executable, "-c", "from maas.list import main; main(['parts'])"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_statuses_are_in_help_and_in_the_page_of_the_shell():
    page = (ROOT / "docs/shell.md").read_text(encoding="utf-8")
    for status, meaning in EXIT_STATUSES.items():
        assert f"| {status} | {meaning} |" in page


def test_version_and_help_of_a_verb_are_printed():
    for words, begins in ((["--version"], f"maas {maas.__version__}\n"), (["help", "list"], "Lists what there is")):
        done = subprocess.run([sys.executable, "-m", "maas", *words], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(begins)


def test_nearest_name_is_suggested_or_all_are_named():
    assert hint_of("Predct", ["predict", "plan"]) == " Did you mean predict?"
    assert hint_of("zzz", ["predict", "plan"]) == ""
    assert nearest_of("zzz", []) == " There is none."
    assert nearest_of("zzz", map(str, range(50))).endswith("38, 39 and 10 more.")
