"""OpenAI's transcriptions, by OpenAI's own client on a real server with its defaults, and forms that are hostile."""

import asyncio
import io

import numpy as np
import openai
import pytest
import soundfile

from maas.runtime.bundle import Bundle

PATH = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def folder(bundles, tmp_path_factory):
    return bundles.speech_bundle(tmp_path_factory.mktemp("bundles") / "letters")


@pytest.fixture(scope="module")
def digits(bundles, tmp_path_factory):
    return bundles.array_bundle(tmp_path_factory.mktemp("bundles") / "digits")


@pytest.fixture(scope="module")
def repository(asking, folder, digits):
    return asking.repository_of(digits, folder)


@pytest.fixture(scope="module")
def server(start, folder, digits):
    with start(f"model={digits}", f"model={folder}") as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def wav(bundles):
    def written(letters: str, rate: int = 1000, kind: str = "WAV") -> bytes:
        file = io.BytesIO()
        soundfile.write(file, np.repeat(bundles.spoken(letters), rate // 1000), rate, format=kind, subtype="PCM_16")
        return file.getvalue()

    return written


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
@pytest.mark.parametrize("letters", ["ab", "bba", "a"])
def test_own_client_gets_the_bundles_text(client, folder, wav, letters, kind):
    sound = wav(letters, kind=kind)
    found = client.audio.transcriptions.create(model="letters", file=(f"sound.{kind.lower()}", sound))
    assert found.text == letters == Bundle.open(folder).predict([sound])[0]["text"]


def test_own_client_gets_the_text_alone_when_it_asks_for_text(client, wav):
    found = client.audio.transcriptions.create(model="letters", file=("a.wav", wav("ab")), response_format="text")
    assert found == "ab\n"


def test_own_client_sends_a_file_from_a_disk(client, wav, tmp_path):
    path = tmp_path / "said.wav"
    path.write_bytes(wav("abab", rate=48000))
    with path.open("rb") as file:
        assert client.audio.transcriptions.create(model="letters", file=file, temperature=0).text == "abab"
    assert client.audio.transcriptions.create(model="letters", file=path).text == "abab"


def test_large_file_is_read_by_another_process_when_it_is_sent(client, wav):
    sound = wav("abababab", rate=192000)
    assert len(sound) > 2**18
    assert client.audio.transcriptions.create(model="letters", file=("a.wav", sound)).text == "abababab"


def test_own_asynchronous_client_gets_the_texts_of_many_sounds(server, wav):
    texts = ["a", "b", "ab", "ba", "abab", "bb"] * 5

    async def found() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            create = client.audio.transcriptions.create
            asked = [create(model="letters", file=("a.wav", wav(text))) for text in texts]
            return [one.text for one in await asyncio.gather(*asked)]

    assert asyncio.run(found()) == texts


def test_own_client_raises_its_own_errors(client, wav):
    with pytest.raises(openai.NotFoundError) as raised:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav("a")))
    assert raised.value.code == "model_not_found"
    with pytest.raises(
        openai.BadRequestError, match="'digits' is for tabular-classification, and does not transcribe; n"
    ):
        client.audio.transcriptions.create(model="digits", file=("a.wav", wav("a")))
    with pytest.raises(openai.BadRequestError, match="begins with b'text', which is no WAV"):
        client.audio.transcriptions.create(model="letters", file=("a.wav", b"text of a file"))
    with pytest.raises(openai.BadRequestError, match=r"Row 0 lasts 2\.4 s; the model hears at most 2 s"):
        client.audio.transcriptions.create(model="letters", file=("a.wav", wav("a" * 12)))


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        ({"language": "en"}, "The field language is not done here: leave it out."),
        ({"prompt": "names"}, "The field prompt is not done here: leave it out."),
        ({"temperature": 0.5}, "The field temperature is not done here: the likeliest text is given."),
        ({"stream": True}, "The field stream is not done here: the text is given whole."),
        ({"response_format": "srt"}, "The response_format is 'srt'; it is json or text."),
        ({"response_format": "verbose_json"}, "The response_format is 'verbose_json'; it is json or text."),
        ({"timestamp_granularities": ["word"]}, "The field timestamp_granularities[] is not done here: leave it out."),
    ],
)
def test_what_is_not_done_is_refused_by_name(client, wav, asked, cause):
    with pytest.raises(openai.BadRequestError, match=cause.replace("[]", r"\[\]")):
        client.audio.transcriptions.create(model="letters", file=("a.wav", wav("a")), **asked)


def part(name: str, content: bytes, more: str = "") -> bytes:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


SOUND = part("file", b"RIFF", '; filename="a.wav"')
FORMS = {
    "no form": (b"{}", "application/json", 415, "The body is of type 'application/json'; this route reads multipart/"),
    "no boundary": (b"", "multipart/form-data", 400, "The form has no boundary"),
    "empty": (b"", "multipart/form-data; boundary=B", 400, "The body is no multipart form"),
    "other boundary": (SOUND + b"--B--\r\n", "multipart/form-data; boundary=C", 400, "The body is no multipart form"),
    "cut": (SOUND[:-9], "multipart/form-data; boundary=B", 400, "The body is no multipart form"),
    "no file": (part("model", b"letters") + b"--B--\r\n", "multipart/form-data; boundary=B", 400, "files none; send"),
    "other name": (
        part("sound", b"RIFF", '; filename="a.wav"') + b"--B--\r\n", "multipart/form-data; boundary=B", 400,
        "The form has the files 'sound'; send one sound as file.",
    ),
    "twice": (SOUND + SOUND + b"--B--\r\n", "multipart/form-data; boundary=B", 400, "has the field 'file' twice"),
    "many": (SOUND * 40 + b"--B--\r\n", "multipart/form-data; boundary=B", 400, "no multipart form: Maximum"),
    "no text": (part("model", b"\xff") + b"--B--\r\n", "multipart/form-data; boundary=B", 400, "'model' is not UTF-8"),
    "long text": (part("model", b"a" * 2**15) + b"--B--\r\n", "multipart/form-data; boundary=B", 400, "32,768 bytes"),
    "long head": (
        part("model", b"a", f'; x="{"a" * 2**14}"') + b"--B--\r\n", "multipart/form-data; boundary=B", 400,
        "The body is no multipart form: Maximum",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_hostile_form_is_refused_in_the_protocols_form(asking, repository, case):
    body, kind, status, cause = FORMS[case]
    response = asking.ask(repository, "POST", PATH, content=body, headers={"content-type": kind})
    assert response.status_code == status, response.text
    assert list(response.json()["error"]) == ["message", "type", "param", "code"]
    assert cause in response.json()["error"]["message"]
    assert "\n" not in response.json()["error"]["message"]


def test_form_is_refused_before_it_is_read_where_none_is_taken(server):
    response = server.client.post("/v1/automatic-speech-recognition", files={"file": b"RIFF"})
    assert response.status_code == 415
    assert "The body is a multipart form; send JSON" in response.json()["error"]


def test_model_that_transcribes_answers_where_none_is_named(asking, repository, wav):
    response = asking.ask(repository, "POST", PATH, files={"file": ("a.wav", wav("ba"))})
    assert response.json() == {"text": "ba"}
    assert response.headers["maas-model"] == "letters"


def test_server_without_such_a_model_says_so(asking, digits, wav):
    repository = asking.repository_of(digits)
    response = asking.ask(repository, "POST", PATH, files={"file": ("a.wav", wav("ba"))})
    assert response.status_code == 400
    assert "and does not transcribe; name one that does: none is served here." in response.json()["error"]["message"]


def test_route_of_the_task_answers_a_file_as_it_stands(asking, repository, folder, wav):
    sound, path = wav("abba"), "/v1/automatic-speech-recognition"
    found = asking.ask(repository, "POST", path, content=sound, headers={"content-type": "audio/wav"}).json()
    assert found == pytest.approx(Bundle.open(folder).predict([sound])[0])
    assert list(found) == ["text", "score"]
    assert found["text"] == "abba"


def test_documents_have_it_where_a_model_transcribes(asking, repository, digits):
    paths = asking.ask(repository, "GET", "/openapi.json").json()["paths"]
    assert list(paths[PATH]["post"]["requestBody"]["content"]) == ["multipart/form-data"]
    assert PATH not in asking.ask(asking.repository_of(digits), "GET", "/openapi.json").json()["paths"]
