"""What the server does with updates: means, bounds, and what does not cross."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from flwr.app import Error, Message
from safetensors.torch import load

from senzai.core.errors import InputError, SettingError, TrainingError
from senzai.federated import strategies
from senzai.federated.flower import as_server
from senzai.federated.grids import Inside, Wire
from senzai.federated.secure import added, quantum, secure_mean
from senzai.federated.settings import Federation
from senzai.federated.wire import TALLY, TRAIN, checked, crossing, from_bytes, is_own, put, read, record, to_bytes

START = {"a.w": torch.zeros(2, dtype=torch.float64), "b.w": torch.ones(1, dtype=torch.float64)}


class Fake:
    """A site that answers with given weights, and says it has some rows."""

    def __init__(self, name, rows, weights=None, *, says=None, fails=None, counts=()):
        self.name, self.rows, self.weights, self.says, self.fails = name, rows, weights, says, fails
        self.counts, self.error, self.got = counts, None, []

    def answer(self, message):
        body, tensors, _ = read(message, who="server")
        self.got.append((body, tensors, message))
        if self.fails:
            raise TrainingError(self.fails)
        return record({"site": self.name, "rows": self.says or self.rows}, self.weights)

    def trained(self, body, weights):
        if self.fails:
            raise TrainingError(self.fails)
        return self.weights, self.rows, None

    def spent(self):
        return None

    def tallied(self, body):
        return list(self.counts)


def moved(a, b, c):
    return {"a.w": torch.tensor([a, b], dtype=torch.float64), "b.w": torch.tensor([c], dtype=torch.float64)}


def mean_of(sites, *, start=START, **settings):
    as_server()
    wire = {k: settings[k] for k in ("bound", "weigh") if k in settings}
    told = Federation.parse({"min_sites": 1, **settings})
    grid = Inside(sites)
    found = Wire(grid, {"round": 1}, start, {i: s.name for i, s in grid.sites.items()},
                 {s.name: s.rows for s in sites}, **{"bound": None, **wire})
    return strategies.averaged(strategies.strategy_of(told), found, start, 1, 10), found.heard


def test_the_mean_is_weighted_by_rows():
    found, _ = mean_of([Fake("s", 30, moved(1.0, 0.0, 1.0)), Fake("t", 10, moved(5.0, 4.0, 3.0))])
    assert found["a.w"].tolist() == pytest.approx([2.0, 1.0], abs=1e-12)
    assert found["b.w"].tolist() == pytest.approx([1.5], abs=1e-12)


def test_sites_count_alike_where_that_was_asked_for():
    found, _ = mean_of([Fake("s", 30, moved(1.0, 0.0, 1.0)), Fake("t", 10, moved(5.0, 4.0, 3.0))], weigh="sites")
    assert found["a.w"].tolist() == pytest.approx([3.0, 2.0], abs=1e-12)


def test_a_liar_cannot_move_the_mean_beyond_the_bound():
    updates = moved(0.1, 0.0, 1.0), moved(0.0, 0.1, 1.0), moved(1e6, -1e6, 1e6)
    sites = [Fake(name, 10, update) for name, update in zip("stu", updates, strict=True)]
    found, heard = mean_of(sites, bound=0.2)
    change = torch.cat([(found[k] - START[k]).reshape(-1) for k in START])
    assert change.norm() <= 0.2 + 1e-12
    assert [heard[n].shortened for n in (1, 2, 3)] == [False, False, True]
    found, heard = mean_of(sites, bound="auto")  # three times the median of 0.1, 0.1 and very much
    change = torch.cat([(found[k] - START[k]).reshape(-1) for k in START])
    assert change.norm() <= 0.1 + 0.2 / 3 + 1e-9
    assert sum(h.shortened for h in heard.values()) == 1


def test_nobody_counts_for_more_rows_than_it_said_at_first():
    found, heard = mean_of([Fake("s", 10, moved(1.0, 1.0, 1.0)), Fake("t", 10, moved(9.0, 9.0, 9.0), says=10**9)])
    assert found["a.w"].tolist() == [1.0, 1.0]
    assert "said it has 10 rows" in heard[2].why


@pytest.mark.parametrize(("weights", "why"), [
    ({"a.w": torch.zeros(2, dtype=torch.float64)}, "more or fewer"),
    (moved(float("nan"), 0.0, 0.0), "finite"),
    ({"a.w": torch.zeros(3, dtype=torch.float64), "b.w": torch.ones(1, dtype=torch.float64)}, r"\(2,\)"),
    (None, "sent none"),
])
def test_updates_that_cannot_be_used_are_left_out(weights, why):
    found, heard = mean_of([Fake("s", 10, moved(1.0, 2.0, 3.0)), Fake("t", 10, weights)])
    assert found["a.w"].tolist() == [1.0, 2.0]
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(heard[2].why)


def test_a_site_that_breaks_down_is_left_out_and_nobody_else():
    found, heard = mean_of([Fake("s", 10, moved(1.0, 2.0, 3.0)), Fake("t", 10, fails="no memory")])
    assert found["a.w"].tolist() == [1.0, 2.0]
    assert "no memory" in heard[2].why
    assert not heard[1].why


def test_a_site_that_is_gone_is_left_out_though_flower_answers_for_it(monkeypatch):
    def answer(self, messages, *, timeout=None):
        found = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = f"m{message.metadata.dst_node_id}"
            if message.metadata.dst_node_id == 2:
                reply = Message(Error(code=3, reason="unavailable"), reply_to=message)
                reply.metadata.__dict__["_src_node_id"] = 1
            else:
                reply = Message(self.sites[message.metadata.dst_node_id].answer(message), reply_to=message)
            found.append(reply)
        return found

    monkeypatch.setattr(Inside, "send_and_receive", answer)
    found, heard = mean_of([Fake("s", 10, moved(1.0, 2.0, 3.0)), Fake("t", 10, moved(9.0, 9.0, 9.0))])
    assert found["a.w"].tolist() == [1.0, 2.0]
    assert (heard[1].why, heard[2].why) == ("", "unavailable")


def test_strategies_are_those_of_flower():
    sites = [Fake(n, 10, moved(v, v, 1 + v)) for n, v in zip("stuvw", (1.0, 2.0, 3.0, 4.0, 1000.0), strict=True)]
    found, _ = mean_of(sites, strategy="trimmed-mean", trim=0.2)
    assert found["a.w"].tolist() == pytest.approx([3.0, 3.0])
    found, _ = mean_of(sites[:2], strategy="fedadam", eta=0.1, beta1=0.0, beta2=0.0, tau=1e-9)
    assert found["a.w"].tolist() == pytest.approx([0.1, 0.1], rel=1e-5)  # the sign of the mean change, times eta


def test_what_fedadam_keeps_is_put_back():
    one = strategies.strategy_of(Federation.parse({"strategy": "fedadam", "min_sites": 1}))
    one.m_t, one.v_t = {"w": np.array([1.0])}, {"w": np.array([2.0])}
    other = strategies.strategy_of(Federation.parse({"strategy": "fedadam", "min_sites": 1}))
    strategies.restore(other, strategies.state_of(one))
    assert (other.m_t["w"].tolist(), other.v_t["w"].tolist()) == ([1.0], [2.0])


# --- secure aggregation ---------------------------------------------------------------------------------------------
def secure(sites, rows, *, reach=1.0, bound=None, fails=()):
    as_server()
    grid = Inside(sites)
    body = {"what": TRAIN, "bound": bound, "weigh": "rows"}
    return secure_mean(grid, list(grid.sites), body, number=1, reach=reach, largest=float(max(rows)), timeout=5,
                       tensors=START)


def test_the_secure_mean_is_the_plain_one_to_the_quantum():
    rng, rows = np.random.default_rng(0), [37, 11, 100, 64]
    changes = [moved(*rng.uniform(-0.9, 0.9, 3)) for _ in rows]
    after = [{k: START[k] + c[k] for k in START} for c in changes]
    sites = [Fake(f"s{i}", n, w) for i, (n, w) in enumerate(zip(rows, after, strict=True))]
    plain, _ = mean_of([Fake(s.name, s.rows, s.weights) for s in sites])
    found = added(START, secure(sites, rows).mean)
    apart = max(float((found[k] - plain[k]).abs().max()) for k in START)
    assert 0 < apart <= quantum(1.0, [float(n) for n in rows], 100.0) < 1e-5


def test_a_site_that_drops_out_of_secure_aggregation_is_not_in_the_mean():
    rows = [10, 10, 10, 10]
    sites = [Fake(f"s{i}", 10, moved(0.1 * i, 0.0, 1.0), fails="gone" if i == 3 else None) for i in range(4)]
    found = secure(sites, rows)
    assert sorted(found.names.values()) == ["s0", "s1", "s2"]
    assert added(START, found.mean)["a.w"].tolist() == pytest.approx([0.1, 0.0], abs=1e-5)


def test_too_few_for_the_masks_to_be_taken_off():
    sites = [Fake(f"s{i}", 10, moved(0.1, 0.0, 1.0), fails="gone" if i else None) for i in range(4)]
    with pytest.raises(TrainingError, match=r"six tenths"):
        secure(sites, [10] * 4)


def test_what_a_site_sends_to_secure_aggregation_says_nothing_by_itself(monkeypatch):
    seen = []
    whole = Inside.send_and_receive

    def spy(self, messages, *, timeout=None):
        found = whole(self, messages, timeout=timeout)
        seen.extend(m for m in found)
        return found

    monkeypatch.setattr(Inside, "send_and_receive", spy)
    sites = [Fake(f"s{i}", 10, moved(0.5, 0.5, 1.5)) for i in range(3)]
    secure(sites, [10] * 3)
    masked = [v for m in seen for r in m.content.config_records.values() for k, v in r.items() if k == "masked_params"]
    assert len(masked) == 3
    vectors = [np.load(io.BytesIO(v[1]), allow_pickle=False) for v in masked]
    assert len({tuple(v.tolist()) for v in vectors}) == 3  # three sites with one update send three vectors
    assert max(int(v.max()) for v in vectors) > 2**23  # and none of them is the quantised update, below 2^22 + 1


def test_secure_sums_of_counts_are_exact():
    as_server()
    counts = [[3.0, 0.0, 250.0], [1.0, 9.0, 4000.0], [0.0, 0.0, 1.0]]
    grid = Inside([Fake(f"s{i}", 1, counts=c) for i, c in enumerate(counts)])
    found = secure_mean(grid, [1, 2, 3], {"what": TALLY}, number=0, reach=1.0, largest=4000.0, timeout=5)
    assert np.rint(found.mean * 4000 * 3).tolist() == [4.0, 9.0, 4251.0]


# --- noise ----------------------------------------------------------------------------------------------------------
def test_noise_has_the_size_that_its_epsilon_is_told_for():
    n, start = 4, {"w": torch.zeros(20_000, dtype=torch.float64)}
    sites = [Fake(f"s{i}", 10 * i + 1, {"w": start["w"] + 1e-12}) for i in range(n)]
    found, _ = mean_of(sites, start=start, noise=2.0, bound=0.5, min_sites=n, weigh="sites")
    assert float(found["w"].std()) == pytest.approx(2.0 * 0.5 / n, rel=0.03)


def test_noise_of_whole_sites_goes_by_names_and_not_by_the_alphabet():
    start = {"z": torch.zeros(3, dtype=torch.float64), "a": torch.zeros(2, dtype=torch.float64)}
    sites = [Fake(n, 10, {"z": start["z"] + 1.0, "a": start["a"] + 2.0}) for n in "st"]
    found, _ = mean_of(sites, start=start, noise=1e-6, bound=100.0, min_sites=2, weigh="sites")
    assert found["z"].tolist() == pytest.approx([1.0] * 3, abs=1e-3)
    assert found["a"].tolist() == pytest.approx([2.0] * 2, abs=1e-3)


def test_epsilon_is_that_of_composed_gaussians():
    pytest.importorskip("opacus")
    told = Federation.parse({"noise": 5.0, "bound": 1.0, "delta": 1e-5})
    rho = 10 / (2 * 5.0**2)  # zero-concentrated: 10 Gaussians of multiplier 5 (Bun & Steinke 2016)
    loose = rho + 2 * np.sqrt(rho * np.log(1e5))
    found = strategies.epsilon(told, 10)
    assert 0.7 * loose < found <= loose
    assert strategies.epsilon(told, 20) > found
    assert strategies.epsilon(Federation.parse({}), 10) is None


# --- what crosses ---------------------------------------------------------------------------------------------------
def test_own_parameters_do_not_cross():
    model = torch.nn.ModuleDict({"prior": torch.nn.Linear(1, 1), "prior_2": torch.nn.Linear(1, 1)})
    assert set(crossing(model, ("prior",))) == {"prior_2.weight", "prior_2.bias"}
    assert is_own("prior.weight", ("prior",))
    with pytest.raises(SettingError, match=r"none begins with 'head'.*prior, prior_2"):
        crossing(model, ("head",))
    with pytest.raises(SettingError, match=r"keeps every parameter"):
        crossing(model, ("prior", "prior_2"))


def test_tensors_cross_as_safetensors_and_nothing_is_unpickled():
    data = to_bytes(START)
    assert {k: v.tolist() for k, v in load(data).items()} == {k: v.tolist() for k, v in START.items()}
    with pytest.raises(InputError, match=r"safetensors"):
        from_bytes(b"\x80\x04\x95junk", who="a site")
    as_server()
    content = record({"x": 1}, START).config_records["senzai"]
    assert set(content) == {"json", "safetensors"}


def test_another_version_of_the_protocol_is_refused(monkeypatch):
    as_server()
    message = Message(record({"x": 1}), 1, TRAIN)
    monkeypatch.setattr("senzai.federated.wire.PROTOCOL", 3)
    with pytest.raises(InputError, match=r"speaks 2 \(senzai .*this side 3.*same version"):
        read(message, who="The server")


def test_put_and_checked():
    model = torch.nn.Linear(2, 1)
    put(model, {"weight": torch.full((1, 2), 3.0, dtype=torch.float64)})
    assert model.weight.dtype == torch.float64
    assert model.weight.tolist() == [[3.0, 3.0]]
    assert checked(START, START, who="x") is START


@pytest.mark.parametrize(("given", "why"), [
    ({"roundz": 3}, "Unknown setting of a federation 'roundz'.*rounds"),
    ({"rounds": 0}, "rounds"), ({"mu": 1.0}, "fedavg has no setting 'mu'"),
    ({"secure": True, "strategy": "trimmed-mean", "min_sites": 3}, "give up one"),
    ({"secure": True}, "min_sites must be 3"), ({"noise": 1.0}, "give bound=NUMBER"),
    ({"noise": 1.0, "bound": 1.0, "strategy": "fedadam"}, "plain mean"), ({"sites": 1}, "fewer than min_sites"),
])
def test_settings_that_cannot_be(given, why):
    with pytest.raises(SettingError, match=why):
        Federation.parse(given)
