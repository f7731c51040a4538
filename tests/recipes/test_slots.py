"""Any registered part is chosen by a setting named like its role, and what a recipe cannot use is refused."""

from __future__ import annotations

import pytest
from torch import nn

from senzai.core.errors import SettingError, UnknownNameError
from senzai.core.spec import REGISTRIES, arguments_of, name_of, part
from senzai.data import Choice, Proposal
from senzai.nn.inputs import Decoder, Encoder
from senzai.nn.mlp import MLPDecoder, MLPEncoder
from senzai.recipes import PROVIDED, RECIPES, Frame, Settings, build, names, recipe
from senzai.recipes.settings import slots

BITS = Proposal(likelihood=Choice("bernoulli"))
IMAGE = Proposal(likelihood=Choice("bernoulli"), encoder=Choice("conv"))
TABLE = Proposal(
    likelihood=Choice("mixed", {"sorts": ("normal", "binary"), "sizes": (0, 2)}),
    encoder=Choice("table", {"sorts": ("normal", "binary"), "sizes": (0, 2)}), decoder=Choice("mlp"),
)


def frame(event=(6,), proposal=BITS, **settings):
    named = {k.replace("__", "."): v for k, v in settings.items()}
    return Frame(event, proposal, settings=Settings({"n_latent": 2, **named}))


def made(*args, **settings):
    model, _ = build("vae", frame(*args, **settings))
    return model


@pytest.fixture
def register():
    """Registers parts for one test."""
    before = {role: set(dict.keys(r)) for role, r in REGISTRIES.items()}
    recipes, provided = set(dict.keys(RECIPES)), set(dict.keys(PROVIDED))
    yield part
    for role, kept in before.items():
        for name in [n for n in dict.keys(REGISTRIES[role]) if n not in kept]:
            del REGISTRIES[role][name]
    for registry, kept in ((RECIPES, recipes), (PROVIDED, provided)):
        for name in [n for n in dict.keys(registry) if n not in kept]:
            del registry[name]


def test_every_role_of_parts_is_a_slot():
    assert set(slots()) == set(REGISTRIES) - {"schedule", "family"} | {"warmup", "likelihood"}
    assert set(slots()) <= set(names())


def test_a_new_encoder_and_decoder_are_chosen_by_name_with_settings_of_their_own(register):
    @register("encoder", "wide")
    class Wide(Encoder):
        def __init__(self, event: tuple[int, ...], factor: int = 2, dropout: float = 0.0) -> None:
            super().__init__()
            self.n_features, self.dropout = factor * event[0], dropout
            self.net = nn.Linear(event[0], self.n_features)

        def forward(self, batch):
            return self.net(batch.tensor)

    @register("decoder", "thin")
    class Thin(Decoder):
        def __init__(self, n_latent: int, raw_shape: tuple[int, ...]) -> None:
            super().__init__()
            self.raw_shape = tuple(raw_shape)
            self.net = nn.Linear(n_latent, 6)

        def forward(self, z, c=None):
            return self.net(z).unflatten(-1, self.raw_shape)

    model = made(encoder="wide", encoder__factor=3, encoder__dropout=0.1, decoder="thin", likelihood="bernoulli")
    assert name_of(model.posterior.encoder) == "encoder/wide"
    assert (model.posterior.encoder.n_features, model.posterior.encoder.dropout) == (18, 0.1)
    assert name_of(model.likelihood.decoder) == "decoder/thin"


def test_a_setting_with_a_dot_is_of_one_network_and_one_without_of_both():
    both, one = made(dropout=0.3), made(dropout=0.3, hidden=(8, 4), encoder__dropout=0.1, decoder__skip=True)
    told = [(arguments_of(m.posterior.encoder), arguments_of(m.likelihood.decoder)) for m in (both, one)]
    assert [(e["dropout"], d["dropout"]) for e, d in told] == [(0.3, 0.3), (0.1, 0.3)]
    widths = [(e["hidden"], d["hidden"], d["skip"]) for e, d in told]
    assert widths == [((256, 256), (256, 256), False), ((8, 4), (4, 8), True)]


@pytest.mark.parametrize(
    ("proposal", "settings", "encoder", "decoder"),
    [
        (IMAGE, {}, "conv", "conv"), (IMAGE, {"network": "mlp"}, "mlp", "mlp"),
        (BITS, {"network": "conv"}, "conv", "conv"),
        (IMAGE, {"encoder": "mlp"}, "mlp", "conv"), (IMAGE, {"decoder": "mlp"}, "conv", "mlp"),
        (BITS, {"network": "mlp", "encoder": "conv"}, "conv", "mlp"),
    ],
)
def test_what_the_user_sets_goes_before_what_the_data_propose(proposal, settings, encoder, decoder):
    model = made((1, 16, 16), proposal, **settings)
    assert name_of(model.posterior.encoder) == f"encoder/{encoder}"
    assert name_of(model.likelihood.decoder) == f"decoder/{decoder}"


@pytest.mark.parametrize("settings", [{}, {"network": "mlp"}, {"encoder": "table"}])
def test_a_table_keeps_its_encoder_beside_the_decoder_it_proposes(settings):
    model = made((2,), TABLE, **settings)
    assert isinstance(model.likelihood.decoder, MLPDecoder)
    assert name_of(model.posterior.encoder) == "encoder/table"


def test_another_encoder_does_not_get_the_settings_of_the_proposed_one():
    assert isinstance(made((2,), TABLE, encoder="mlp").posterior.encoder, MLPEncoder)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"encodr": "mlp"}, SettingError, "Unknown setting 'encodr'. Did you mean 'encoder'?"),
        ({"encodr__dropout": 0.1}, SettingError, "Unknown setting 'encodr.dropout'. Did you mean 'encoder'?"),
        ({"encoder__dropuot": 0.1}, SettingError, "but got 'dropuot'. Did you mean 'dropout'?"),
        ({"encoder": "mpl"}, UnknownNameError, "Unknown encoder 'mpl'. Did you mean 'mlp'?"),
        ({"encoder": 3}, SettingError, "The setting 'encoder' is a name, but got 3. For example encoder=mlp."),
        ({"coder": "grid"}, SettingError, "The recipe 'vae' with these parts has no use for 'coder'"),
        ({"rung": "merged"}, SettingError, "The recipe 'vae' with these parts has no use for 'rung'"),
        ({"encoder": "levels"}, SettingError, "encoder/levels needs encoder"),
        ({"decoder": "feature_map"}, SettingError, "decoder/feature_map needs feature_shape"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_way_out(settings, error, said):
    with pytest.raises(error, match=said):
        made(**settings)


def test_a_part_gets_an_argument_that_was_added_to_the_table_of_what_is_provided(register):
    @register("encoder", "counting")
    class Counting(MLPEncoder.__base__):
        def __init__(self, n_entries: int) -> None:
            super().__init__()
            self.n_features = n_entries
            self.net = nn.Linear(n_entries, n_entries)

        def forward(self, batch):
            return self.net(batch.tensor)

    PROVIDED.add("n_entries")(lambda frame: frame.event[0])
    assert made(encoder="counting").posterior.encoder.n_features == 6


def test_a_recipe_may_have_settings_of_its_own(register):
    @recipe("twice", title="Twice", paper="none", settings=("factor",))
    def twice(frame):
        return RECIPES["vae"].make(frame)[0], frame.elbo(beta=frame.get("factor", 2.0))

    _, objective = build("twice", frame(factor=3.0))
    assert objective.beta == 3.0
    assert "factor" in names()
    with pytest.raises(SettingError, match="'vae' with these parts has no use for 'factor'"):
        made(factor=3.0)


def test_frames_within_frames_note_what_was_asked_for():
    _, objective = build("iwae-2", frame(n_lower=3, activation="silu"))
    assert objective is not None
