"""`maas generate`, in this process and as people start it: streamed, from standard input, as JSON, in a terminal."""

import json
import os
import pty
import select
import subprocess
import sys

import pytest

from maas.generate import main
from maas.runtime.bundle import Bundle

SAMPLED = {"max_tokens": 24, "temperature": 1.0, "seed": 3}
SAMPLED_WORDS = ["max_tokens=24", "temperature=1.0", "seed=3"]


@pytest.fixture(scope="module")
def folder(serving_bundles, tmp_path_factory):
    return serving_bundles.generating_bundle(tmp_path_factory.mktemp("bundles") / "generating")


@pytest.fixture(scope="module")
def bundle(folder):
    return Bundle.open(folder)


def generate(*words: object, given: bytes | None = None) -> tuple[int, bytes, bytes]:
    command = [sys.executable, "-m", "maas", "generate", *map(str, words)]
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_text_is_the_bundles_when_a_prompt_is_typed(folder, bundle, capsys):
    main([str(folder), "the", *SAMPLED_WORDS])
    assert capsys.readouterr().out == bundle.generate("the", **SAMPLED).text + "\n"


def test_prompt_is_read_from_standard_input_when_none_is_typed(folder, bundle):
    expected = bundle.generate("这是\nthe", **SAMPLED).text + "\n"
    for words in ([], ["-"]):
        found = generate(folder, *words, *SAMPLED_WORDS, given="这是\nthe\n".encode())
        assert found == (0, expected.encode(), b"")
    status, out, error = generate(folder, given=b"\xff\n")
    assert (status, out, error) == (
        2, b"", b"The prompt on standard input is no UTF-8: invalid start byte at byte 0.\n"
    )  # fmt: skip


def test_object_holds_text_and_numbers_when_json_is_wanted(folder, bundle, capsys):
    main([str(folder), "the", "--json", *SAMPLED_WORDS, "logprobs=2"])
    found = json.loads(capsys.readouterr().out)
    expected = bundle.generate("the", **SAMPLED, logprobs=2)
    assert (found["text"], found["finish_reason"]) == (expected.text, expected.finish_reason)
    assert (found["prompt_tokens"], found["tokens"]) == (expected.prompt_tokens, len(expected.tokens))
    assert [one["id"] for one in found["logprobs"]] == expected.tokens
    assert [one["logprob"] for one in found["logprobs"]] == [one.logprob for one in expected.chosen]


def test_message_is_answered_when_a_conversation_is_wanted(folder, bundle, capsys):
    main([str(folder), "write", "chat=true", "system=on", *SAMPLED_WORDS])
    messages = [{"role": "system", "content": "on"}, {"role": "user", "content": "write"}]
    assert capsys.readouterr().out == bundle.generate(messages, **SAMPLED).text + "\n"


def test_pieces_appear_one_by_one_when_a_pipe_is_read(folder):
    command = [sys.executable, "-m", "maas.generate", str(folder), "the", "max_tokens=120", "ignore_end=true"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        sizes = []
        while piece := os.read(process.stdout.fileno(), 65536):
            sizes.append(len(piece))
    assert process.returncode == 0
    assert len(sizes) > 2


def test_status_says_that_the_reader_left_when_a_pipe_is_closed(folder):
    command = [sys.executable, "-m", "maas.generate", str(folder), "the", "max_tokens=120", "ignore_end=true"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        error = process.stderr.read()
        assert (process.wait(), error) == (141, b"")


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, *words: object) -> None:
        self._own, theirs = pty.openpty()
        code = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from maas.generate import main; main()"
        command = [sys.executable, "-c", code, *map(str, words)]
        environment = {**os.environ, "TERM": "dumb"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=environment
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def until(self, text: str, pressing: str = "") -> str:
        """Returns what is shown up to a text, since the last one.

        A key is pressed again while nothing appears: readline lets a Ctrl-C wait for the next key if it comes just
        before it begins to read.
        """
        self.type(pressing)
        while text not in self.shown:
            if pressing and not select.select([self._own], [], [], 1.0)[0]:
                self.type(pressing)
                continue
            self.shown += os.read(self._own, 65536).decode()
        before, _, self.shown = self.shown.partition(text)
        return before

    def close(self) -> int:
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            os.close(self._own)


def test_talk_answers_is_interrupted_and_ends_when_keys_are_pressed(folder, bundle):
    terminal = Terminal(folder, "chat=true", "max_tokens=6", "ignore_end=true")
    terminal.until("> ")
    terminal.type("write\n")
    shown = terminal.until("> ")
    text = bundle.generate([{"role": "user", "content": "write"}], max_tokens=6, ignore_end=True).text
    printable = [word for word in text.split() if word.isascii() and word.isprintable()]
    assert all(word in shown for word in printable)
    terminal.type("a line")
    terminal.until("> ", pressing="\x03")  # the line is given up
    terminal.type("\x04")
    assert terminal.close() == 0


def test_program_ends_with_status_130_when_it_is_interrupted(folder):
    terminal = Terminal(folder)
    terminal.until("The prompt, up to Ctrl-D:")
    terminal.type("\x03")
    assert terminal.close() == 130


def test_verb_is_named_when_the_model_predicts(serving_bundles, tmp_path, capsys):
    folder = serving_bundles.array_bundle(tmp_path / "digits")
    with pytest.raises(SystemExit, match="2"):
        main([str(folder), "the"])
    assert capsys.readouterr().err == (
        f"{folder} is for tabular-classification and generates no texts. Predict with it in Python, "
        "maas.load(MODEL).predict([…]), or serve it: maas serve model=MODEL.\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none", "the"], "none holds no manifest.json; name the folder of a bundle"),
        (["FOLDER", ""], "The prompt is empty"),
        (["FOLDER", "the", "max_tokens=500"], "both together must be at most 128"),
        (["FOLDER", "the", "temprature=1"], "temprature is no setting"),
    ],
    ids=repr,
)
def test_fault_is_one_line_with_status_2(folder, capsys, words, message):
    with pytest.raises(SystemExit, match="2"):
        main([str(folder) if word == "FOLDER" else word for word in words])
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_usage_is_printed_when_nothing_is_typed(capsys):
    main([])
    assert capsys.readouterr().out.startswith("Continues texts by a model that generates")


def test_nothing_heavy_is_loaded_when_a_text_is_generated(folder):
    code = f"from maas.generate import main\nmain([{str(folder)!r}, 'the', 'max_tokens=2'])\nimport sys\n"
    code += "heavy = {'torch', 'lightning', 'hydra', 'transformers', 'pandas', 'mlflow', 'onnx', 'matplotlib'}\n"
    code += "sys.exit(len(heavy & {name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
