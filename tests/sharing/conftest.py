"""A small run, and a hub on this machine that speaks the part of its HTTP interface that is used."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import senzai

TOKEN = "hf_" + "planted" * 4
TINY = {"steps": 30, "hidden": [8], "n_latent": 2, "log_every": 10, "checkpoint_seconds": 0}


@pytest.fixture(scope="session")
def table(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    a = rng.normal(size=160)
    frame = pd.DataFrame({"age": a * 9 + 40, "plan": np.where(a > 0, "gold", "blue"), "n": rng.poisson(3, 160)})
    path = tmp_path_factory.mktemp("secret-project") / "people.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def run(table, tmp_path_factory) -> senzai.runs.Run:
    """A run in a folder, with everything that a run can have."""
    made = senzai.fit(table, out=tmp_path_factory.mktemp("runs") / "people", **TINY)
    made.score(table)
    made.evaluate(table, k=5)
    made.report()
    return made


@dataclass
class Hub:
    """What a hub knows: repositories of files, and what was asked of it."""

    address: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    refuses: int = 0
    tokens: set[str] = field(default_factory=set)

    def downloaded(self) -> list[str]:
        found = (line for line in self.asked if line.startswith("GET") and "/resolve/" in line)
        return sorted({line.rpartition("/")[2] for line in found})

    def commit(self, name: str) -> str:
        whole = json.dumps({k: hashlib.sha1(v).hexdigest() for k, v in sorted(self.repositories[name].items())})
        return hashlib.sha1(whole.encode()).hexdigest()

    def take(self, name: str, lines: list[bytes]) -> None:
        for line in (json.loads(text) for text in lines if text.strip()):
            value, files = line["value"], self.repositories[name]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                files[value["path"]] = self.blobs[value["oid"]]
            if line["key"] == "deletedFile":
                del files[value["path"]]


class Speaker(BaseHTTPRequestHandler):
    """The hub's HTTP interface, as far as it is used."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, body: object, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def come(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.hub.asked.append(f"{self.command} {path}")
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.hub.tokens.add(token)
        if self.hub.refuses:
            self.answer({"error": f"Bad credentials: {token}"}, self.hub.refuses)
            return
        self.serve(path, body)

    do_GET = do_HEAD = do_POST = do_PUT = come

    def serve(self, path: str, body: bytes) -> None:
        hub, words = self.hub, path.strip("/").split("/")
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if name in hub.repositories:
                self.answer({"error": "You already created this model repo", "url": f"{hub.address}/{name}"}, 409)
                return
            hub.repositories[name] = {".gitattributes": b"*.safetensors filter=lfs\n"}
            hub.private[name] = asked.get("visibility") == "private" or bool(asked.get("private"))
            self.answer({"url": f"{hub.address}/{name}", "name": name})
        elif path == "/api/validate-yaml":
            fine = json.loads(body)["content"].startswith("---\nlibrary_name: senzai\n")
            self.answer({"errors": [] if fine else [{"message": "no front matter"}], "warnings": []})
        elif words[0].startswith("blob-"):
            hub.blobs[words[0][5:]] = body
            self.answer({})
        elif ".git/info/lfs/objects/batch" in path:
            wanted = json.loads(body)["objects"]
            self.answer({"transfer": "basic", "objects": [
                {**o, "actions": {"upload": {"href": f"{hub.address}/blob-{o['oid']}", "header": {}}}} for o in wanted
            ]})
        elif words[:2] == ["api", "models"]:
            self.about("/".join(words[2:4]), words[4:], body)
        elif len(words) > 3 and words[2] == "resolve":
            self.file("/".join(words[:2]), "/".join(words[4:]))
        else:
            self.answer({"error": "not found"}, 404)

    def about(self, name: str, rest: list[str], body: bytes) -> None:
        hub = self.hub
        if name not in hub.repositories:
            self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        elif rest[:1] == ["preupload"]:
            files = json.loads(body)["files"]
            self.answer({"files": [
                {"path": f["path"], "shouldIgnore": False,
                 "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular"} for f in files
            ]})
        elif rest[:1] == ["tree"]:
            self.answer([{"type": "file", "path": f, "size": len(raw), "oid": hashlib.sha1(raw).hexdigest()}
                         for f, raw in hub.repositories[name].items()])
        elif rest[:1] == ["commit"]:
            hub.take(name, body.splitlines())
            self.answer({"success": True, "commitOid": hub.commit(name), "commitUrl": f"{hub.address}/{name}/commit/x",
                         "hookOutput": ""})
        else:
            files = [{"rfilename": f, "size": hub.sizes.get(f, len(raw)), "blobId": hashlib.sha1(raw).hexdigest()}
                     for f, raw in hub.repositories[name].items()]
            self.answer({"_id": "1", "id": name, "modelId": name, "sha": hub.commit(name), "siblings": files,
                         "private": hub.private.get(name, False), "tags": [], "downloads": 0, "likes": 0})

    def file(self, name: str, file: str) -> None:
        raw = self.hub.repositories.get(name, {}).get(file)
        if raw is None:
            self.answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
            return
        self.answer(raw, X_Repo_Commit=self.hub.commit(name), ETag=f'"{hashlib.sha1(raw).hexdigest()}"')


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on loopback, a token, and a cache that nobody else sees."""
    pytest.importorskip("huggingface_hub")
    constants = pytest.importorskip("huggingface_hub.constants")
    found = Hub()
    speaker = type("SpeakerOfOne", (Speaker,), {"hub": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), speaker)
    found.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", found.address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    yield found
    server.shutdown()
    server.server_close()
    thread.join()
