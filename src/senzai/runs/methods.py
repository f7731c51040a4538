"""The verbs that every run has, with their types: what editors and readers see of them; each is done by its name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..evaluation import Features
    from ..evaluation.diagnosis import Diagnosis


class Methods(ABC):
    """Verbs as methods."""

    @abstractmethod
    def do(self, name: str, /, *inputs: Any, **settings: Any) -> Any:
        """Do a verb by its name."""

    def encode(self, data: object, *, seed: int | None = None) -> Any:
        """Return latent codes, ``(N, n_latent)``: posterior means, or draws if seeded. DataFrame in, DataFrame out."""
        return self.do("encode", data, seed=seed)

    def reconstruct(
        self, data: object, *, seed: int | None = None, decoding: Mapping[str, float] | None = None
    ) -> Any:
        """Return each row as the model sees it: the expected value, or a draw if seeded, in the form of ``data``.

        Rows of symbols are made of the likeliest symbol at each step; ``decoding={"beam": 5}`` looks for the likeliest
        row among more.
        """
        return self.do("reconstruct", data, seed=seed, decoding=decoding)

    def predict(self, data: object, *, seed: int | None = None) -> Any:
        """Return predictions: of classes, or of a part of each row.

        For a model with a classifier: the probability of each class of each row, ``(N, n_classes)``, classes in the
        order of ``run.schema.label.classes``; labels among the data are not looked at. For a model of a part of a row
        given the rest: the rows with that part predicted, in the form of ``data``; a draw if seeded.

        Raises:
            CombinationError: The model predicts nothing.
        """
        return self.do("predict", data, seed=seed)

    def sample(
        self, n: int, *, seed: int | None = None, noise: bool | None = None, temperature: float = 1.0,
        given: Mapping[str, object] | None = None, sampler: str = "auto", guidance: float | None = None,
        decoding: Mapping[str, float] | None = None,
    ) -> Any:
        """Return ``n`` new rows in the form of the training data.

        A model that is conditioned on something and is given nothing draws conditions as they were seen in the data.

        Args:
            n: How many.
            seed: Seed of the draws; without one they differ from call to call.
            noise: Draw from the likelihood too; by default yes, but for images, which show its expected value.
            temperature: Factor on the normal numbers that latents are made from: below 1 they lie nearer to the modes
                of the prior; of codes, below 1 likely ones become likelier. Whatever is given, it means the same.
            given: Values to condition on, by name: one for all rows, or ``n`` of them.
            sampler: What latents are drawn from: ``prior``, the name of one that was fitted to them after training, or
                ``auto``, the one that held-out rows chose (``run.samplers.chosen``).
            guidance: Weight of what is given, for a sampler that learned to be guided (``latent-image`` with
                ``condition=label``): 1 as it was learned, more for rows that are more typical and less varied.
            decoding: How rows of symbols are made: ``temperature`` and ``top_p`` of each symbol's draw.

        Raises:
            SettingError: The model was not fitted to be conditioned on a name, or has not seen a value.
            UnknownNameError: The run has no such sampler.
            CombinationError: The sampler cannot be guided.
        """
        return self.do(
            "sample", n, seed=seed, noise=noise, temperature=temperature, given=given, sampler=sampler,
            guidance=guidance, decoding=decoding,
        )

    def interpolate(
        self, a: object, b: object, *, steps: int = 8, decoding: Mapping[str, float] | None = None
    ) -> Any:
        """Return the path from ``a`` to ``b`` (one row each) through the latent space, ``steps`` rows.

        For a table, ``attrs["changes"]`` of the frame lists the columns that change, the largest change first: from
        which value to which, and how likely these are where the column has categories.
        """
        return self.do("interpolate", a, b, steps=steps, decoding=decoding)

    def traverse(self, data: object, *, dim: int, values: tuple[float, ...] | None = None) -> Any:
        """Return the first row of ``data`` with one latent dimension set to each of ``values``.

        By default seven values that suit the space of the latents: -3 to 3 for real ones. For a table,
        ``attrs["changes"]`` lists the columns that change, as in :meth:`interpolate`.
        """
        return self.do("traverse", data, dim=dim, values=values)

    def edit(
        self, data: object, *, towards: object = None, away: object = None, by: float = 1.0, like: object = None,
        unlike: object = None,
    ) -> Any:
        """Return rows moved along an attribute in the latent space, in the form of ``data``.

        The attribute is a class of the label, or what one group of rows has and another has not; ``by=1`` goes as far
        as from the mean code of those without to the mean code of those with it.

        Args:
            data: Rows to change.
            towards: Class of the label to go to.
            away: Class to come from; by default all others.
            by: How far; below zero the other way.
            like: Rows that have the attribute, instead of a class.
            unlike: Rows that have it not.
        """
        return self.do("edit", data, towards=towards, away=away, by=by, like=like, unlike=unlike)

    def log_likelihood(
        self, data: object, *, k: int = 500, seed: int = 0, sampler: str = "prior"
    ) -> np.ndarray[Any, Any]:
        """Return the importance-weighted log p(x) of every row in nats, ``(N,)``; higher is better.

        With another ``sampler`` its density takes the place of the prior: p(x) is then that of what it samples.
        """
        found: np.ndarray[Any, Any] = self.do("log_likelihood", data, k=k, seed=seed, sampler=sampler)
        return found

    def evaluate(
        self,
        data: object,
        *,
        split: str | None = None,
        k: int = 500,
        seed: int = 0,
        rows: int | None = 10_000,
        only: Sequence[str] | None = None,
        also: Sequence[str] = (),
        against: object = None,
        factors: object = None,
        anomaly: object = None,
        features: Sequence[str | Features] = ("pca",),
        shadows: int = 16,
        budget: float | None = None,
        announce: Callable[[dict[str, float]], None] | None = None,
    ) -> dict[str, Any]:
        """Return the numbers that say how good the model is on held-out rows; see ``senzai.evaluation.evaluate``.

        They are kept in ``run.metrics``, where measures taken with ``only`` stand beside the figures of the last whole
        evaluation; those of other rows say of which.

        Args:
            data: The training data (their test rows are used) or other data of the same kind (all rows).
            split: ``train``, ``validation``, ``test`` or ``all``, to choose otherwise.
            k: Draws per row of the importance-weighted likelihood.
            seed: Seed of the draws.
            rows: Use at most so many rows, chosen by ``seed``; ``None`` uses all.
            only: Measures to take instead of everything else, by name (``senzai.evaluation.MEASURES``).
            also: Measures to take besides the usual ones: ``ais``, ``bdmc``, ``gaps``, ``imputation`` …
            against: Another data set of the same shape, of which the model should say that it is anomalous.
            factors: Known factors of all rows of ``data``, a table or a file.
            anomaly: The class whose rows are anomalies.
            features: What samples are compared in: ``pca``, ``random``, ``entries``, ``denoising``, ``contrastive``,
                ``classifier``, or features of your own.
            shadows: Runs to train for the measure ``membership_shadows``, an even number.
            budget: Seconds there are for the measures; what would not fit is left out, and said.
            announce: Told the seconds each part is expected to take, before they are spent.
        """
        found: dict[str, Any] = self.do(
            "evaluate", data, split=split, k=k, seed=seed, rows=rows, only=only, also=also, against=against,
            factors=factors, anomaly=anomaly, features=features, shadows=shadows, budget=budget, announce=announce,
        )
        return found

    def diagnose(self, data: object = None, **options: Any) -> Diagnosis:
        """Return what is wrong with the model, the root cause first; see ``senzai.runs.verbs.diagnose.diagnose``.

        The findings are kept in ``run.metrics``, from where a report shows them.

        Args:
            data: The training data, where they are not where they were; or other data (all rows).
            **options: ``split``, ``rows``, ``k``, ``seed``, ``factors``, ``codes``.
        """
        found: Diagnosis = self.do("diagnose", data, **options)
        return found

    def report(self, path: str | Path | None = None, *, data: object = None) -> Path:
        """Write a page that opens in any browser; by default ``report.html`` in the run's folder, on its own data.

        Raises:
            OutputError: The run has no folder and no path was given, or the file cannot be written.
            InputError: The training data are not where they were; give ``data``.
        """
        found: Path = self.do("report", data, path=path)
        return found

    def info(self) -> dict[str, Any]:
        """Return what the run is, as plain values: recipe, data, settings, training and the numbers measured so far."""
        found: dict[str, Any] = self.do("info")
        return found

    def pack(self, path: str | Path | None = None, *, rows: bool = True, checkpoint: bool = False) -> Path:
        """Write the run into one file, which :func:`senzai.load` takes in place of a folder.

        Args:
            path: A file ``*.zip``; by default called like the run's folder, beside it.
            rows: Also the training rows that the run keeps to compare others with, where it keeps some.
            checkpoint: Also the state of training, to resume the run where it is unzipped.

        Raises:
            OutputError: The file cannot be written, or there is neither a path nor a folder.
        """
        found: Path = self.do("pack", path=path, rows=rows, checkpoint=checkpoint)
        return found

    def export(
        self, *, to: str = "onnx", path: str | Path | None = None, batch: int | None = None, static: bool = False
    ) -> Path:
        """Write graphs that run without torch, checked against the run; see ``senzai.runtime``, which reads them.

        Args:
            to: ``onnx``, ``int8`` (weights of eight bits), ``web`` (a page), ``executorch`` (for phones) or
                ``diffusers`` (the folder of an AutoencoderKL, of the recipe autoencoder-kl).
            path: A new folder; by default ``export-FORMAT`` in the folder of the run.
            batch: The one number of rows that graphs take at a time; any by default.
            static: For ``int8``: quantise what flows between layers, too.

        Raises:
            CombinationError: The run cannot be exported; the message says why.
            OutputError: The folder is there, or there is neither a path nor a folder.
        """
        found: Path = self.do("export", to=to, path=path, batch=batch, static=static)
        return found

    def push(self, name: str, *, public: bool = False, rows: bool = False) -> dict[str, Any]:
        """Put the run on the Hugging Face hub as ``user/name``, with a card that has its measured numbers.

        The token is the one that ``hf auth login`` keeps, or that ``HF_TOKEN`` holds.

        Args:
            name: ``user/name``.
            public: A new repository can be read by everybody; one that is there stays as it is.
            rows: Also the training rows that the run keeps to compare others with, where it keeps some.

        Returns:
            ``url``, ``commit`` and ``files`` with their sizes.

        Raises:
            OutputError: The hub does not let this user write there.
            SenzaiError: The hub cannot be reached.
        """
        found: dict[str, Any] = self.do("push", name=name, public=public, rows=rows)
        return found

    def impute(
        self, data: object, *, draws: int | None = None, k: int = 100, seed: int = 0, where: object = None,
        refine: int | None = None,
    ) -> Any:
        """Return data with their missing entries filled in from p(x_missing | x_observed); the others as they are.

        Latents are drawn from the posterior given what is observed and weighted by importance.

        Args:
            data: A table or an array with missing entries, or pictures.
            draws: Give a list of so many draws (multiple imputations); by default one answer: means, and the commonest
                of categories.
            k: Latents drawn for each row.
            seed: Seed of the draws.
            where: Of pictures, what is to be filled in: ``"8:20,4:16"`` (rows, columns), ``"grid:2"``, a picture whose
                white is the hole, or an array of bits.
            refine: Of pictures, steps on the bound of what is seen of each row, from where the encoder starts; by
                default 60 where the encoder was trained on whole rows, else none.
        """
        return self.do("impute", data, draws=draws, k=k, seed=seed, where=where, refine=refine)

    def restore(self, data: object, *, share: float = 0.1, steps: int = 60, seed: int = 0) -> Any:
        """Return pictures or volumes as they would be if they were like those that the model was trained on.

        Args:
            data: Pictures or volumes.
            share: Share of each that may be anomalous: what fits least is left out and guessed from the rest.
            steps: Steps of the search for what fits the rest.
            seed: Seed of the draws.
        """
        return self.do("restore", data, share=share, steps=steps, seed=seed)

    def score_map(self, data: object, *, share: float = 0.1, steps: int = 60, seed: int = 0) -> Any:
        """Return a map for each picture or volume: how far each place is from its restoration, in units of the data.

        Args:
            data: Pictures or volumes.
            share: Share of each that may be anomalous.
            steps: Steps of the search for a restoration.
            seed: Seed of the draws.
        """
        return self.do("score_map", data, share=share, steps=steps, seed=seed)

    def score(
        self, data: object, *, method: str = "auto", shares: bool = False, contamination: float | None = None,
        false_alarm: float | None = None, k: int = 16, seed: int = 0, reference: object = None,
    ) -> Any:
        """Return the anomaly score of each row, ``(N,)``; higher is more anomalous.

        See ``senzai.evaluation.scores.score``.

        With any of the following, a frame with the column ``score`` and what was asked for.

        Args:
            data: Rows.
            method: ``auto``, ``elbo``, ``nll``, ``reconstruction``, ``residual``, ``knn``, ``input_knn``, ``marginal``,
                ``middle`` or (of pictures) ``complexity``.
            shares: Also what each column adds to the score.
            contamination: Flag rows beyond the score that this share of held-out rows exceeds.
            false_alarm: Flag rows whose conformal p-value is at most this: of normal rows, no larger share is flagged.
            k: Draws per row.
            seed: Seed of the draws.
            reference: Data to compare with, where the training data are not at hand.
        """
        return self.do(
            "score", data, method=method, shares=shares, contamination=contamination, false_alarm=false_alarm, k=k,
            seed=seed, reference=reference,
        )

    def augment(self, column: str, value: object, n: int, *, data: object = None, seed: int = 0) -> Any:
        """Return ``n`` new rows with a value in a column, or of a class of the label, drawn around training rows of it.

        Args:
            column: Name of the column, or of the label.
            value: The rare value, or class.
            n: How many rows.
            data: The training data, where they are somewhere else now; only their training rows are used.
            seed: Seed of the draws.
        """
        return self.do("augment", data, column, value, n, seed=seed)
