"""Faults in returns, filters, scenarios, risk and its backtests, and in files of labelled series."""

from __future__ import annotations

from .plants import BOUNDS, SCHEMA, VERBS, Fault, edit

RETURNS = "tests/data/test_returns.py::"
TESTS = "tests/evaluation/test_backtests.py::"
RISK = "tests/runs/test_risk.py::"
SERIES = "tests/data/test_series.py::"

LIST = (
    Fault(
        "a filter estimated from all days", SCHEMA,
        edit("data.series.prices:filters_of", "covered = lines_of(windows, train)",
             "covered = lines_of(windows, np.arange(len(windows)))"),
        (f"{RETURNS}test_filters_know_the_training_days_alone",),
    ),
    Fault(
        "the effect of leverage on gains", SCHEMA,
        edit("data.series.filters:Garch.variances", "self.gamma if e < 0", "self.gamma if e > 0"),
        (f"{RETURNS}test_variances_and_log_likelihood_are_those_of_arch",),
    ),
    Fault(
        "paths whose volatility stays what it was", SCHEMA,
        edit("data.series.filters:walked", "variance = law.after(variance, deviation)", "variance = variance + 0.0"),
        (f"{RETURNS}test_paths_have_the_moments_of_archs_simulation",),
    ),
    Fault(
        "residuals that keep their correlation", SCHEMA,
        edit("data.series.filters:unmixed", "(residuals[:, j] - known) / row[j]", "residuals[:, j]"),
        (f"{RETURNS}test_residuals_lose_their_correlation_and_get_it_back",),
    ),
    Fault(
        "a return over a missing day taken from nowhere", SCHEMA,
        edit("data.series.prices:_before", "np.maximum.accumulate(", "np.asarray("),
        (f"{RETURNS}test_a_missing_day_has_no_return_and_the_next_joins_the_last_price",),
    ),
    Fault(
        "simple returns added up like logarithmic ones", SCHEMA,
        edit("data.series.filters:priced", "np.cumprod(1 + returns, axis=1)", "np.exp(np.cumsum(returns, axis=1))"),
        (f"{RETURNS}test_windows_of_returns_become_the_prices_again",),
    ),
    Fault(
        "prices of 0 that have returns", SCHEMA,
        edit("data.series.prices:as_returns", "(prices <= 0).any()", "(prices < 0).any()"),
        (f"{RETURNS}test_prices_without_returns_are_refused_with_the_way_out",),
    ),
    Fault(
        "new windows that begin with the usual volatility", SCHEMA,
        edit("data.series.kind:SeriesKind.check", '"coming": coming_of(filtered(opened.data, told))',
             '"coming": told.coming'),
        (f"{RETURNS}test_new_windows_go_on_from_the_last_price_and_the_last_volatility",),
    ),
    Fault(
        "risk judged on days that trained", VERBS,
        edit("data.series.prices:SeriesReturns.unknown", "source.panel.times[lines] > self._told.trained",
             "source.panel.times[lines] > 0"),
        (f"{RISK}test_risk_is_of_days_after_training_and_plain_values", f"{RISK}test_days_that_trained_are_no_test"),
    ),
    Fault(
        "a forecast that knows the volatility after its day", VERBS,
        edit("runs.verbs.risk:_filtered", "at = line - seen.lines[0]", "at = line - seen.lines[0] + 1"),
        (f"{RISK}test_no_forecast_knows_its_day", f"{RISK}test_forecasts_are_quantiles_of_the_day_by_hand"),
    ),
    Fault(
        "scenarios on which what is given holds on the first day", VERBS,
        edit("runs.verbs.scenarios:scenarios", "e.holds(returns.total(some))", "e.holds(returns.total(some[:, :1]))"),
        (f"{RISK}test_what_is_given_holds_on_every_path_and_its_share_is_said",),
    ),
    Fault(
        "hits counted as pairs with themselves", BOUNDS,
        edit("evaluation.backtests:independence_ratio", "hits[..., :-1], hits[..., 1:]",
             "hits[..., 1:], hits[..., 1:]"),
        (f"{TESTS}test_the_ratio_of_independence_is_that_of_two_fitted_chains",),
    ),
    Fault(
        "a shortfall statistic without the number of hits", BOUNDS,
        edit("evaluation.backtests:shortfall_statistics", "(returns.shape[-1] * tail)", "np.maximum(1, count)"),
        (f"{TESTS}test_acerbi_and_szekely_have_the_published_critical_value",),
    ),
    Fault(
        "a loss of risk that a smaller shortfall makes less", BOUNDS,
        edit("evaluation.backtests:fissler_ziegel", "np.log(-es)", "0 * np.log(-es)"),
        (f"{TESTS}test_the_loss_is_least_at_the_true_pair",),
    ),
    Fault(
        "a tail that forgets its last draw", BOUNDS,
        edit("evaluation.backtests:var_es", "rest * ordered[whole]", "0 * ordered[whole]"),
        (f"{TESTS}test_a_tail_counts_the_last_draw_in_part",),
    ),
    Fault(
        "traffic lights of all days", BOUNDS,
        edit("evaluation.backtests:traffic_light", "hits[-LIGHT:]", "hits"),
        (f"{TESTS}test_the_zones_are_those_of_basel",),
    ),
    Fault(
        "missing values in files of series taken for numbers", SCHEMA,
        edit("data.series.ts_files:_numbers", "np.nan if v.strip()", "0.0 if v.strip()"),
        (f"{SERIES}test_files_of_labelled_series_are_read_whole",),
    ),
)
