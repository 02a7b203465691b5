"""The page's files as a browser gets them."""

import re
from importlib.resources import files

STATIC = files("maas.serving.page") / "static"


def test_page_is_sent_once_and_again_only_when_it_has_changed(asking, text_folder):
    repository = asking.repository_of(text_folder)
    for path, kind in (("/", "text/html"), ("/page/app.js", "text/javascript"), ("/page/page.css", "text/css")):
        first = asking.ask(repository, "GET", path)
        assert first.status_code == 200
        assert first.headers["content-type"].startswith(kind)
        again = asking.ask(repository, "GET", path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert asking.ask(repository, "GET", path, headers={"if-none-match": '"older"'}).content == first.content


def test_unchanged_file_leaves_the_connection_usable(server):
    tag = server.client.get("/").headers["etag"]
    for _ in range(2):
        reply = server.client.get("/", headers={"if-none-match": f'W/"x", {tag}'})
        assert (reply.status_code, reply.content) == (304, b"")
    assert server.client.get("/page/words.js").status_code == 200


def test_browser_is_told_to_run_and_to_load_nothing_else(server):
    policy = server.client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_files_refer_to_each_other_relatively_and_to_nothing_elsewhere():
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.findall(r"""(?:href|src|url\(|from|import)[=\s(]*["'](?:/|https?:)""", text), file.name
        assert not re.findall(r"https?://(?!www\.w3\.org/)", text), file.name
        assert not re.findall(r"<script(?![^>]*src)|\son\w+=|style=\"|innerHTML|\beval\b", text), file.name


def test_every_word_is_there_in_both_languages():
    text = (STATIC / "words.js").read_text(encoding="utf-8")
    tables = re.findall(r"const (ENGLISH|CHINESE) = \{(.*?)\n\};", text, re.DOTALL)
    english, chinese = (set(re.findall(r'^  "?([\w-]+)"?:', table, re.MULTILINE)) for _, table in tables)
    assert english == chinese
    used = set()
    for file in STATIC.iterdir():
        content = file.read_text(encoding="utf-8")
        used |= set(re.findall(r'word\("([\w-]+)"', content)) | set(re.findall(r'data-word="(\w+)"', content))
    assert used <= english
    assert len(used) > 20


def test_page_is_small():
    assert sum(len(file.read_bytes()) for file in STATIC.iterdir()) < 60_000
