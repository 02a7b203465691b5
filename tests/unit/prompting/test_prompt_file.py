"""Files of prompts: each line has its text or its error, and a killed process is resumed with the same bytes."""

import json
import subprocess
import sys

import pytest

from maas import generate
from maas.errors import ConfigError
from maas.prompting import prompt_file
from maas.prompting.command import GenerationCommand
from maas.prompting.prompt_file import generate_file
from maas.prompting.unfinished_lines import UnfinishedLines

SETTINGS = ["max_tokens=12", "temperature=0.9", "seed=4"]


def command_of(folder, *words) -> GenerationCommand:
    return GenerationCommand.of([str(folder), "prompts=-", "out=-", *words])


def written(bundle, prompts, out, *words) -> list[dict]:
    generate_file(bundle, command_of(bundle.folder, *words), prompts, out)
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def test_lines_are_the_texts_alone_when_prompts_fill_several_batches(bundle, tmp_path, capsys):
    prompts = [f"prompt {number} {'x' * (number % 9)}" for number in range(37)]
    (tmp_path / "prompts.txt").write_text("\n\n".join(prompts) + "\n", encoding="utf-8")
    lines = written(bundle, tmp_path / "prompts.txt", tmp_path / "out.jsonl", *SETTINGS)
    assert [line["index"] for line in lines] == list(range(37))
    for prompt, line in zip(prompts, lines, strict=True):
        alone = bundle.generate(prompt, max_tokens=12, temperature=0.9, seed=4)
        assert (line["text"], line["finish_reason"]) == (alone.text, alone.finish_reason)
        assert (line["prompt_tokens"], line["tokens"]) == (alone.prompt_tokens, len(alone.tokens))
    assert capsys.readouterr().err == "16 of 37 prompts\n32 of 37 prompts\n37 of 37 prompts\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "prompts.txt"]


def test_line_has_its_error_when_a_prompt_has_no_text(bundle, tmp_path):
    rows = [
        '"the"', '{"prompt": "这是"}', '{"messages": [{"role": "user", "content": "write"}]}', "{", "7",
        '{"prompt": "a", "messages": []}', json.dumps("x" * 300), '{"messages": [{"role": "user"}]}', '"a"',
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    lines = written(bundle, tmp_path / "rows.jsonl", tmp_path / "out.jsonl", "max_tokens=6", "logprobs=1")
    assert [line["index"] for line in lines] == list(range(9))
    messages = [{"role": "user", "content": "write"}]
    for index, prompt in {0: "the", 1: "这是", 2: messages, 8: "a"}.items():
        alone = bundle.generate(prompt, max_tokens=6, logprobs=1)
        assert lines[index]["text"] == alone.text
        assert [one["id"] for one in lines[index]["logprobs"]] == alone.tokens
    errors = {index: line["error"] for index, line in enumerate(lines) if "error" in line}
    assert sorted(errors) == [3, 4, 5, 6, 7]
    assert errors[4].startswith("The line is no prompt: Expected `str | object`, got `int`.")
    assert errors[5] == "The line has neither prompt nor messages, or both; write one of them."
    assert "at most 128" in errors[6]
    assert errors[7].startswith("Message 0 lacks role or content")


def test_prompts_are_messages_when_a_conversation_is_wanted(bundle, tmp_path):
    (tmp_path / "prompts.txt").write_text("write\r\nthe\r\n", encoding="utf-8")
    lines = written(bundle, tmp_path / "prompts.txt", tmp_path / "out.jsonl", "chat=true", "system=on", "max_tokens=5")
    messages = [{"role": "system", "content": "on"}, {"role": "user", "content": "write"}]
    assert lines[0]["text"] == bundle.generate(messages, max_tokens=5).text


def test_same_bytes_are_written_when_a_process_is_killed_and_run_again(folder, tmp_path):
    (tmp_path / "prompts.txt").write_text("\n".join(f"number {one}" for one in range(48)))
    code = (
        "import os, sys\nfrom maas.prompting import prompt_file\nfrom maas import generate\n"
        "lines = prompt_file._lines\nleft = [int(sys.argv.pop(1))]\n"
        "def counted(*given):\n    left[0] -= 1\n    os.kill(os.getpid(), 9) if not left[0] else None\n"
        "    return lines(*given)\n"
        "prompt_file._lines = counted\ngenerate.main(sys.argv[1:])\n"
    )

    def run(kill_at: int, out: str) -> int:
        words = [str(folder), "prompts=prompts.txt", f"out={out}", *SETTINGS]
        done = subprocess.run([sys.executable, "-c", code, str(kill_at), *words], cwd=tmp_path, check=False)
        return done.returncode

    assert run(-1, "whole.jsonl") == 0
    assert [run(2, "resumed.jsonl"), run(2, "resumed.jsonl")] == [-9, -9]
    unfinished = tmp_path / "resumed.jsonl.unfinished"
    assert unfinished.read_bytes().count(b"\n") == 1 + 32
    with unfinished.open("ab") as file:
        file.write(b'{"index": 32, "te')  # half a line, as a machine leaves that loses power
    assert run(-1, "resumed.jsonl") == 0
    assert (tmp_path / "resumed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not unfinished.exists()


def test_unfinished_lines_are_refused_when_they_are_of_other_work(bundle, tmp_path, monkeypatch):
    (tmp_path / "prompts.txt").write_text("the\n")
    out = tmp_path / "out.jsonl"

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prompt_file, "_lines", fail)
        with pytest.raises(KeyboardInterrupt):
            written(bundle, tmp_path / "prompts.txt", out, "max_tokens=3")
    with pytest.raises(ConfigError, match="was begun with another model, other prompts or other settings"):
        written(bundle, tmp_path / "prompts.txt", out, "max_tokens=4")
    assert written(bundle, tmp_path / "prompts.txt", out, "max_tokens=3")[0]["tokens"] <= 3


def test_file_is_refused_when_it_cannot_be_read_or_written(bundle, tmp_path):
    there = tmp_path / "there.txt"
    there.write_text("\n \n")
    for prompts, out, message in [
        (tmp_path / "none.txt", tmp_path / "a", "none.txt, which cannot be read"),
        (there, tmp_path / "a", "holds no prompt; write one in each line"),
        (there, there, "is there already. Name another file by out=, or remove it"),
    ]:
        with pytest.raises(ConfigError, match=message):
            written(bundle, prompts, out)
    there.write_text("the")
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        written(bundle, there, tmp_path / "none" / "out.jsonl")


def test_file_is_refused_when_another_process_writes_it(tmp_path):
    out = tmp_path / "out.jsonl"
    with (
        UnfinishedLines.of(out, "a", 4, 8),
        pytest.raises(ConfigError, match="Another process writes .* now"),
        UnfinishedLines.of(out, "a", 4, 8),
    ):
        pass


def test_status_is_3_when_a_prompt_has_no_text(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('"the"\n7\n')
    with pytest.raises(SystemExit, match="3"):
        generate.main([str(folder), "prompts=rows.jsonl", "out=out.jsonl", "max_tokens=2"])
    assert capsys.readouterr().out == "written to out.jsonl; lines with an error instead of a text: 1\n"
