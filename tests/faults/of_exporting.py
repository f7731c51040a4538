"""Faults in exports and in the runtime that reads them."""

from __future__ import annotations

from .plants import EXPORTS, Fault, edit

GRAPHS = "tests/exporting/test_graphs.py::"
ROWS = "tests/runtime/test_rows.py::"
MODEL = "tests/runtime/test_model.py::"

LIST = (
    Fault(
        "a graph that differs is let through", EXPORTS,
        edit("exporting.checking:need_equal", "not error <= TOLERANCE", "not error <= 1.0"),
        (f"{GRAPHS}test_a_graph_that_says_something_else_is_refused",),
    ),
    Fault(
        "a check on one batch size alone", EXPORTS,
        edit("exporting.checking:error_of", "for n in sizes:", "for n in sizes[:1]:"),
        (f"{GRAPHS}test_a_graph_that_says_something_else_is_refused",),
    ),
    Fault(
        "a check with the rows of the trace", EXPORTS,
        edit("exporting.checking:inputs_of", "(torch.arange(n) * 5 + seed)", "torch.arange(n)"),
        (f"{GRAPHS}test_checks_use_other_rows_than_the_trace",),
    ),
    Fault(
        "errors that ignore what is not finite", EXPORTS,
        edit("exporting.checking:difference", "or not np.array_equal(np.isfinite(a), np.isfinite(b))", ""),
        (f"{GRAPHS}test_differences_are_shares_of_the_scale_and_holes_must_agree",),
    ),
    Fault(
        "the logarithm of one and a little with few digits", EXPORTS,
        edit("exporting.translations:log1p", "_where_near(x, series,",
             "_where_near(op.Add(x, _number(9.0, x)), series,"),
        (f"{GRAPHS}test_functions_that_runtimes_lack_have_all_their_digits",),
    ),
    Fault(
        "a draw of torch's own taken for one from noise", EXPORTS,
        edit("exporting.tape:_asked", "not torch.equal(before, torch.random.get_rng_state())", "False"),
        (f"{GRAPHS}test_a_draw_with_a_sampler_of_torch_is_refused_and_leaves_its_numbers_alone",),
    ),
    Fault(
        "a gamma's proposal squared in place of cubed", EXPORTS,
        edit("distributions.gamma_poisson:_fixed_cube", "(9 * d).sqrt()).pow(3)", "(9 * d).sqrt()).pow(2)"),
        (f"{GRAPHS}test_gamma_variates_of_a_fixed_number_of_rounds_are_gamma",),
    ),
    Fault(
        "few Poisson counts one too low", EXPORTS,
        edit("distributions.gamma_poisson:_fixed_poisson", "log_p.exp().cumsum(-1)", "log_p.exp().cumsum(-1)[..., 1:]"),
        (f"{GRAPHS}test_poisson_variates_of_a_fixed_number_of_rounds_are_poisson",),
    ),
    Fault(
        "missing cells that are seen", EXPORTS,
        edit("runtime.tables:TableRows.to_model", "numbers.forward(filled, column)), ~gone",
             "numbers.forward(filled, column)), gone | True"),
        (f"{ROWS}test_a_column_is_read_and_written_as_the_run_does",),
    ),
    Fault(
        "pixels in the order of the model", EXPORTS,
        edit("runtime.arrays:ArrayRows._outside", "np.argsort(self.order)", "range(len(self.order))"),
        (f"{ROWS}test_an_array_is_read_and_written_as_the_run_does",),
    ),
    Fault(
        "a number that was written with decimal commas", EXPORTS,
        edit("runtime.numbers:unwritten", 'bare.replace(form.thousands, "") if form.thousands else bare', "bare"),
        (f"{ROWS}test_numbers_as_people_write_them",),
    ),
    Fault(
        "a piece of rows that is left out", EXPORTS,
        edit("runtime.model:ExportedModel._over", "v[i : i + step]", "v[i : i + max(1, step - 1)]"),
        (f"{MODEL}test_rows_are_answered_in_pieces_and_in_their_order",),
    ),
    Fault(
        "a temperature that reaches uniform numbers too", EXPORTS,
        edit("runtime.model:_noise", "rng.random(shape)", "temperature * rng.random(shape)"),
        (f"{MODEL}test_noise_is_what_the_description_asks_for",),
    ),
    Fault(
        "a window that forgets its first step", EXPORTS,
        edit("runtime.stream:Stream.push", "self._seen[-(self.window - 1) :]", "self._seen[-(self.window - 2) :]"),
        (f"{MODEL}test_a_window_moves_one_step_at_a_time",),
    ),
    Fault(
        "p-values of the other tail", EXPORTS,
        edit("runtime.model:ExportedModel._flagged", "1 + len(held) - np.searchsorted", "1 + np.searchsorted"),
        (f"{MODEL}test_p_values_are_shares_of_held_out_rows",),
    ),
)
