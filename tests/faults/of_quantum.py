"""Faults of circuits, of priors over bits, of their controls, and of networks from disk."""

from __future__ import annotations

from .plants import LOOP, MODELS, PRIORS, RATE, Fault, edit

BITS = "tests/parts/test_bit_priors.py::"
CIRCUITS = "tests/nn/test_circuits.py::"
COMPRESSING = "tests/nn/test_compressing.py::"
RUNS = "tests/runs/test_quantum.py::"
FOREIGN = "tests/nn/test_pretrained.py::"

LIST = (
    # --- bits ---------------------------------------------------------------------------------------------------------
    Fault(
        "a rate to a table without the entropy of zeros", RATE,
        edit("distributions.bit_table:_kl_bits_table", "(1 - q.mean) * zero", "0.0 * zero"),
        (f"{BITS}test_the_exact_rate_is_the_sum_over_all_vectors",),
    ),
    Fault(
        "bits that are read from the wrong end", PRIORS,
        edit("distributions.bit_table:index_of", "bits.shape[-1] - 1, -1, -1", "bits.shape[-1]"),
        (f"{BITS}test_all_bits_count_upwards_and_are_found_again",),
    ),
    Fault(
        "a Boltzmann machine without its hidden biases", PRIORS,
        edit("parts.priors.bits:RBMPrior.log_weights", "+ self.hidden", "+ 0 * self.hidden"),
        (f"{BITS}test_the_partition_of_an_rbm_is_that_of_brute_force",),
    ),
    Fault(
        "a thermal state with its field on the wrong qubit", PRIORS,
        edit("parts.priors.bits:QuantumBoltzmannPrior._across", "self.n_latent - 1 - i", "i"),
        (f"{BITS}test_the_quantum_boltzmann_machine_is_the_thermal_state[3]",),
    ),
    Fault(
        "probabilities of old angles", PRIORS,
        edit("parts.priors.born:BornPrior.log_weights", "self._kept[0] != angles._version", "False"),
        (f"{BITS}test_a_born_machine_is_measured_again_when_its_angles_move",),
    ),
    Fault(
        "outcomes that shots never saw are impossible", PRIORS,
        edit("parts.priors.born:BornPrior._measured", "(probs * shots + 0.5)", "(probs * shots)"),
        (f"{BITS}test_what_shots_never_saw_is_not_impossible",),
    ),
    # --- circuits -----------------------------------------------------------------------------------------------------
    Fault(
        "controlled flips at the same distance in every layer", PRIORS,
        edit("nn.circuits:entangling_layer", "1 + layer % max(1, n - 1)", "1"),
        (f"{CIRCUITS}test_probabilities_are_those_of_a_simulation_in_numpy[3-4]",),
    ),
    Fault(
        "derivatives of another outcome", PRIORS,
        edit("nn.circuits:Circuit.gradient_power", "slope.square().mean()", "slope.abs().mean()"),
        (f"{CIRCUITS}test_the_size_of_derivatives_on_one_qubit_has_its_closed_form",),
    ),
    Fault(
        "thirty qubits are simulated", PRIORS,
        edit("nn.circuits:check_qubits", "n > MOST_QUBITS", "n > 99"),
        (f"{CIRCUITS}test_what_cannot_be_made_is_refused[settings0-30 qubits: 1,073,741,824]",),
    ),
    Fault(
        "a decoder that is not its encoder backwards", MODELS,
        edit("nn.compressing:Compressor.back", "self.n_features].T", "self.n_features].abs().T"),
        (f"{COMPRESSING}test_the_squared_error_is_what_the_trash_holds[CircuitCompressor]",),
    ),
    # --- controls -----------------------------------------------------------------------------------------------------
    Fault(
        "a control with half as many parameters", LOOP,
        edit("parts.priors.bits:matched_rbm", "(n_parameters - n)", "0.5 * (n_parameters - n)"),
        (f"{RUNS}test_a_run_has_its_control_beside_it",),
    ),
    Fault(
        "a difference within its error that is called a win", LOOP,
        edit("runs.training.controls:judged", "abs(gain) <= SURE * se", "abs(gain) <= 0 * se"),
        (f"{RUNS}test_a_run_says_who_won_only_beyond_the_error",),
    ),
    # --- networks from disk -------------------------------------------------------------------------------------------
    Fault(
        "pictures that keep the range of the data", MODELS,
        edit("nn.pretrained:PretrainedEncoder.pixels", "(self.high - self.low).clamp_min(1e-6)", "1.0"),
        (f"{FOREIGN}test_features_are_those_of_transformers",),
    ),
    Fault(
        "features of another value range from the cache", MODELS,
        edit("nn.pretrained:PretrainedEncoder._cached", "{float(self.high)!r}", "0"),
        (f"{FOREIGN}test_features_are_kept_by_content",),
    ),
    Fault(
        "a run that takes another network for its own", MODELS,
        edit("nn.foreign:unchanged", "found.sha256 != sha256", "not found.sha256"),
        (f"{FOREIGN}test_a_spec_knows_the_network_and_refuses_another",),
    ),
    Fault(
        "a folder that brings code", MODELS,
        edit("nn.foreign:_folder", '"auto_map" in known', '"no_such_key" in known'),
        (f"{FOREIGN}test_folders_that_bring_code_or_nonsense_are_refused",),
    ),
)
