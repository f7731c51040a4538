"""Faults in posteriors and the spaces they live on."""

from __future__ import annotations

from .plants import POSTERIORS, Fault, edit

FLOWS = "tests/parts/test_flows.py::"
CLIMBING = "tests/parts/test_climbing.py::"
PLACED = "tests/parts/test_manifold_priors.py::"
ALL = "tests/parts/test_posteriors.py::"

DETERMINANT = f"{FLOWS}test_log_determinants_agree_with_autograd"

LIST = (
    # --- flows -------------------------------------------------------------------------------------------------------
    Fault(
        "a flow's density with the determinant added", POSTERIORS,
        edit("distributions.flow:Flow.log_prob", "(log_q - log_det)", "(log_q + log_det)"),
        (f"{FLOWS}test_draws_score_themselves_as_their_density_does[planar]",),
    ),
    Fault(
        "a flow's own draws scored with the determinant added", POSTERIORS,
        edit("distributions.ops:draw_scored[Flow]", "p.base.log_prob(start) - log_det",
             "p.base.log_prob(start) + log_det"),
        (f"{ALL}test_given_latents_are_scored_or_refused_with_the_reason[planar]",),
    ),
    Fault(
        "a planar push that may fold space", POSTERIORS,
        edit(
            "distributions.flow_steps:Planar.push", "change = above_minus_one(along) - along", "change = along - along",
            "torch.where(size > 1e-12, above_minus_one(along), along + change * size / whole)", "along",
        ),
        (f"{FLOWS}test_a_planar_push_never_folds_space",),
    ),
    Fault(
        "a radial determinant with d factors where there are d - 1", POSTERIORS,
        edit("distributions.flow_steps:Radial.forward", "(z.shape[-1] - 1)", "z.shape[-1]"),
        (f"{DETERMINANT}[radial-3]",),
    ),
    Fault(
        "a radial push stronger than its radius", POSTERIORS,
        edit("distributions.flow_steps:Radial.beta", "self.alpha * above_minus_one(self.raw_beta)", "self.raw_beta"),
        (f"{FLOWS}test_a_radial_push_keeps_directions_and_its_centre",),
    ),
    Fault(
        "a Sylvester determinant without its second diagonal", POSTERIORS,
        edit("distributions.flow_steps:Sylvester.forward", " * self.r_tilde.diagonal(dim1=-2, dim2=-1)", ""),
        (f"{DETERMINANT}[sylvester-3]",),
    ),
    Fault(
        "directions that are not orthogonal", POSTERIORS,
        edit("parts.posteriors.flow:SylvesterPosterior._orthonormal", "q: Tensor = torch.linalg.qr(columns)[0]",
             "q = columns"),
        (f"{FLOWS}test_directions_are_orthonormal[orthogonal]",),
    ),
    Fault(
        "an autoregressive gate that sees its own entry", POSTERIORS,
        edit("parts.flow_steps:GatedAutoregressive.__init__", ".tril(-1)", ".tril(0)"),
        (f"{FLOWS}test_an_autoregressive_step_has_a_triangular_jacobian[False]", f"{DETERMINANT}[iaf-3]"),
    ),
    # --- climbing ----------------------------------------------------------------------------------------------------
    Fault(
        "a leapfrog step with a whole push at its end", POSTERIORS,
        edit("parts.posteriors.hamiltonian:HamiltonianPosterior.leap", "half + 0.5 * self.steps * force",
             "half + self.steps * force"),
        (f"{CLIMBING}test_a_step_runs_backwards[hamiltonian]",),
    ),
    Fault(
        "momenta that are cooled but do not start hot", POSTERIORS,
        edit("parts.posteriors.hamiltonian:MomentumPosterior.propose", "first / cooling.prod()", "first"),
        (f"{ALL}test_the_estimated_likelihood_is_the_exact_evidence[hamiltonian]",),
    ),
    Fault(
        "momenta left out of the bound at the end", POSTERIORS,
        edit("models.flat:Flat._group", " + found.log_r", ""),
        (f"{CLIMBING}test_no_step_at_all_is_the_ordinary_bound[hamiltonian]",),
    ),
    Fault(
        "a metric where its inverse belongs", POSTERIORS,
        edit(
            "parts.posteriors.hamiltonian:RiemannianPosterior.momentum", "solve_triangular(root.mT, ",
            "solve_triangular(torch.linalg.inv(root.mT), ",
        ),
        (f"{CLIMBING}test_momenta_follow_the_metric",),
    ),
    Fault(
        "a slope that follows other tensors too", POSTERIORS,
        edit("parts.posteriors.gradients:values_and_slopes", "v.view_as(v) if", "v if"),
        (f"{CLIMBING}test_slopes_are_partial_derivatives",),
    ),
    Fault(
        "a refinement that goes downhill", POSTERIORS,
        edit("parts.posteriors.semi_amortised:_step", "there = loc + scale",
             "there = loc - scale"),
        (f"{CLIMBING}test_refinement_raises_the_bound[True]",),
    ),
    Fault(
        "a refinement that steps over the top", POSTERIORS,
        edit("parts.posteriors.semi_amortised:_step", "(bound(there, wider) >= value)",
             "torch.isfinite(value)"),
        (f"{CLIMBING}test_refinement_never_leads_down",),
    ),
    Fault(
        "a refinement that ignores the width", POSTERIORS,
        edit("parts.posteriors.semi_amortised:_step", " + log_scale.sum(-1)", ""),
        (f"{CLIMBING}test_refinement_finds_the_best_diagonal_normal",),
    ),
    # --- spaces ------------------------------------------------------------------------------------------------------
    Fault(
        "a concentration that counts twice in draws on the sphere", POSTERIORS,
        edit("distributions.sphere:wood", "k = kappa.unsqueeze(-1)", "k = 2 * kappa.unsqueeze(-1)"),
        (f"{PLACED}test_draws_follow_the_von_mises_fisher_density[5.0-3]",),
    ),
    Fault(
        "a sphere of the wrong area", POSTERIORS,
        edit("distributions.sphere:log_area", "math.lgamma(0.5 * d)", "math.lgamma(0.5 * d + 1)"),
        (f"{PLACED}test_the_von_mises_fisher_density_integrates_to_one[2.0]",),
    ),
    Fault(
        "draws on the sphere without the gradient of their height", POSTERIORS,
        edit("distributions.sphere:below_one", "low - slope * (kappa - kappa.detach())", "low + 0 * slope * kappa"),
        (f"{PLACED}test_draws_on_the_sphere_carry_the_gradient_of_their_mean[5.0-3]",),
    ),
    Fault(
        "hyperbolic volume that does not stretch", POSTERIORS,
        edit("distributions.ball:WrappedNormal.log_prob", "(v.shape[-1] - 1) * log_stretch(far)", "0 * far"),
        (f"{PLACED}test_the_wrapped_normal_integrates_to_one[1.0]",),
    ),
    Fault(
        "a geodesic that leaves from the wrong end", POSTERIORS,
        edit("distributions.ball:Ball.between", "self.move(a, weight", "self.move(b, weight"),
        (f"{PLACED}test_hyperbolic_geometry[1.0]",),
    ),
    Fault(
        "gamma variates below one that are not shrunk", POSTERIORS,
        edit("distributions.gamma_poisson:log_gamma_variate",
             "log_v + torch.where(alpha < 1, shrunk, torch.zeros_like(alpha))", "log_v"),
        (f"{PLACED}test_dirichlet_draws_follow_the_density",),
    ),
    Fault(
        "a logistic normal without its Jacobian", POSTERIORS,
        edit("distributions.simplex:LogisticNormal.log_prob", "log_p - log_z.sum(-1)", "log_p"),
        (f"{PLACED}test_the_logistic_normal_integrates_to_one_and_its_prior_treats_all_shares_alike",),
    ),
    Fault(
        "relaxed codes where figures are taken", POSTERIORS,
        edit("distributions.codes:_Code.from_noise", "return self.rounded(soft)\n", "return soft\n"),
        (f"{PLACED}test_codes_are_exact_without_gradients[classes]",),
    ),
    Fault(
        "straight through, but relaxed in value", POSTERIORS,
        edit("distributions.codes:_Code.from_noise", "self.rounded(soft.detach()) + (soft - soft.detach())", "soft"),
        (f"{PLACED}test_straight_through_has_the_exact_value_and_the_relaxed_gradient[bits]",),
    ),
    Fault(
        "a prior on another space is let through", POSTERIORS,
        edit("distributions.spaces:check_spaces", "if posterior != prior:", "if False:"),
        (f"{ALL}test_a_discrete_family_is_no_posterior_for_a_normal_prior",),
    ),
)
