"""Server and sites over connections of this machine, under TLS: as threads, and as processes of which one is killed."""

from __future__ import annotations

import datetime
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import senzai
from senzai.core.errors import InputError, OutputError, SettingError, TrainingError
from senzai.federated import join, serve
from senzai.federated.link import Linked
from senzai.federated.state import folder_of

FEW = {"rounds": 2, "local_steps": 2, "timeout": 120.0, "wait": 120.0}
SMALL = {"n_latent": 2, "hidden": [8]}


def certified(folder, name):
    """Return a certificate for this machine that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    import ipaddress

    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True).sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    paths = folder / f"{name}.pem", folder / f"{name}-key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    public = folder / f"{name}-public.pem"
    public.write_bytes(key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return paths


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return certified(tmp_path_factory.mktemp("tls"), "server")


class Sites:
    """Sites in threads of their own, which end with an error or without."""

    def __init__(self):
        self.threads, self.errors = [], {}

    def come(self, data, **given):
        def go():
            try:
                join(data, **given)
            except Exception as err:
                self.errors[given["name"]] = err

        self.threads.append(threading.Thread(target=go, daemon=True))
        self.threads[-1].start()

    def end(self):
        for thread in self.threads:
            thread.join(timeout=120)
        assert not any(thread.is_alive() for thread in self.threads)
        return self.errors


def test_sites_train_together_under_tls(tls, thirds, tmp_path):
    certificate, key = tls
    sites, before = Sites(), set(threading.enumerate())

    def started(address):
        for i, data in enumerate(thirds[:2]):
            sites.come(data, server=address, name=f"s{i}", ca=certificate)
        with pytest.raises(InputError, match=r"certificate must be signed by"):
            join(thirds[2], server=address, name="s2", ca=certified(tmp_path, "other")[0], patience=5)
        with pytest.raises(InputError, match=r"--ca"):
            join(thirds[2], server=address, name="s2", patience=1)

    run = serve(out=tmp_path / "run", port=0, certificate=certificate, key=key, settings=SMALL, started=started,
                federation={**FEW, "sites": 2})
    assert sites.end() == {}
    assert senzai.load(tmp_path / "run").sample(3).shape == (3, 5)
    assert run.metrics["federated"]["rows"] == {"s0": 150, "s1": 90}
    assert run.metrics["federated"]["missed"] == {}
    assert before <= set(threading.enumerate())


def test_only_sites_whose_keys_are_known_may_come(thirds, tmp_path):
    known = [certified(tmp_path, f"site-{i}") for i in range(2)]
    sites, refused = Sites(), []

    def started(address):
        try:
            join(thirds[2], server=address, name="stranger", patience=5)
        except InputError as err:
            refused.append(str(err))
        for i, (_, key) in enumerate(known):
            sites.come(thirds[i], server=address, name=f"s{i}", key=key)

    serve(out=tmp_path / "run", port=0, settings=SMALL, started=started, federation={**FEW, "sites": 2, "rounds": 1},
          allowed=[tmp_path / f"site-{i}-public.pem" for i in range(2)])
    assert sites.end() == {}
    assert "--key" in refused[0]


def test_a_site_that_disagrees_ends_with_the_reason_and_so_does_the_server(thirds, tmp_path, monkeypatch):
    sites, pull = Sites(), Linked.pull_messages

    def once_it_left(grid, message_ids):
        sites.threads[1].join(timeout=120)
        return pull(grid, message_ids)

    monkeypatch.setattr(Linked, "pull_messages", once_it_left)

    def started(address):
        sites.come(thirds[0], server=address, name="s0", patience=10)
        sites.come(thirds[1].iloc[:0], server=address, name="s1")

    with pytest.raises(InputError, match=r"s1.*rows"):
        serve(out=tmp_path / "run", port=0, settings=SMALL, started=started, federation={**FEW, "sites": 2})
    errors = sites.end()  # the other one gives up too: no thread may outlive its test
    assert isinstance(errors["s1"], InputError)
    assert set(errors) <= {"s0", "s1"}


def test_addresses_and_certificates_that_cannot_be_had(tls, tmp_path, thirds):
    with pytest.raises(SettingError, match=r"under TLS alone"):
        serve(out=tmp_path / "run", host="0.0.0.0")
    with pytest.raises(SettingError, match=r"--certificate and --key"):
        serve(out=tmp_path / "run", certificate=tls[0])
    with pytest.raises(InputError, match=r"pair of PEM files"):
        serve(out=tmp_path / "run", port=0, certificate=tls[0], key=certified(tmp_path, "x")[1])
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OutputError, match=r"Choose another --port"):
        serve(out=tmp_path / "run", port=taken.getsockname()[1])
    with pytest.raises(TrainingError, match=r"was away for 1 seconds"):
        join(thirds[0], server="127.0.0.1:9", name="s", patience=1)
    with pytest.raises(InputError, match=r"elliptic"):
        join(thirds[0], server="127.0.0.1:9", name="s", key=tls[0])
    with pytest.raises(InputError, match=r"as PEM"):
        join(thirds[0], server="127.0.0.1:9", name="s", ca=tmp_path / "none.pem")


def command(*words):
    return [sys.executable, "-m", "senzai", "federate", *map(str, words)]


def processes(tls, thirds, folder, *, rounds=5):
    """Start a server and three sites."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for i, data in enumerate(thirds):
        data.to_csv(folder / f"s{i}.csv", index=False)
    server = command(
        "server", "--out", folder / "run", "--port", port, "--certificate", tls[0], "--key", tls[1], "--rounds", rounds,
        "--local-steps", 2, "--how", "sites=3", "--how", "timeout=30", "--set", "hidden=8", "--json",
    )
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "server.json").open("w") as said:
        first = subprocess.Popen(server, stdout=said, env=env)
    sites = [
        subprocess.Popen(command("client", folder / f"s{i}.csv", "--server", f"127.0.0.1:{port}", "--name", f"s{i}",
                                 "--ca", tls[0], "--quiet"), env=env, stdout=subprocess.DEVNULL)
        for i in range(3)
    ]
    return first, sites, server, env


def wait_for_round(folder, number, seconds=300):
    end = time.monotonic() + seconds
    while not (folder_of(folder / "run") / f"round-{number:04d}.html").is_file():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_three_processes_finish_five_rounds_though_one_is_killed(tls, thirds, tmp_path):
    server, sites, *_ = processes(tls, thirds, tmp_path)
    try:
        wait_for_round(tmp_path, 2)
        sites[2].send_signal(signal.SIGKILL)
        assert server.wait(timeout=400) == 0
        assert [p.wait(timeout=60) for p in sites[:2]] == [0, 0]
    finally:
        for process in (server, *sites):
            process.kill()
    told = json.loads((tmp_path / "server.json").read_text())["federated"]
    assert told["rounds"] == 5
    assert told["missed"].get("s2", 0) >= 1
    assert senzai.load(tmp_path / "run").sample(2).shape == (2, 5)


@pytest.mark.slow
def test_a_server_that_is_killed_goes_on_with_the_sites_that_waited(tls, thirds, tmp_path):
    server, sites, words, env = processes(tls, thirds, tmp_path, rounds=4)
    again = None
    try:
        wait_for_round(tmp_path, 2)
        server.kill()
        server.wait()
        with (tmp_path / "again.json").open("w") as said:
            again = subprocess.Popen(words, stdout=said, env=env)
        assert again.wait(timeout=400) == 0
    finally:
        for process in (server, again, *sites):
            if process is not None:
                process.kill()
    assert json.loads((tmp_path / "again.json").read_text())["federated"]["rounds"] == 4
