"""Functions that ONNX lacks, or that runtimes compute with too few digits, made of those that it has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

NEAR = 0.3
"""Distance from zero within which a series is summed."""


def _ops() -> tuple[Any, Any]:
    from onnx import TensorProto
    from onnxscript import opset20

    return opset20, TensorProto


def _number(value: float, like: Any) -> Any:
    from onnx import helper

    op, types = _ops()
    return op.CastLike(op.Constant(value=helper.make_tensor("c", types.DOUBLE, [], [value])), like)


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Return the sum of ``coefficients[i] * x ** i`` by Horner's rule."""
    op, _ = _ops()
    total = _number(coefficients[-1], x)
    for c in reversed(coefficients[:-1]):
        total = op.Add(op.Mul(total, x), _number(c, x))
    return total


def _where_near(x: Any, near: Any, far: Any) -> Any:
    op, _ = _ops()
    return op.Where(op.Less(op.Abs(x), _number(NEAR, x)), near, far)


def expm1(x: Any) -> Any:
    """``exp(x) - 1``, from its series near zero."""
    op, _ = _ops()
    series = op.Mul(x, _polynomial(x, [1 / math.factorial(i + 1) for i in range(10)]))
    return _where_near(x, series, op.Sub(op.Exp(x), _number(1.0, x)))


def log1p(x: Any) -> Any:
    """``log(1 + x)``, from the series of the inverse hyperbolic tangent near zero."""
    op, _ = _ops()
    s = op.Div(x, op.Add(x, _number(2.0, x)))
    series = op.Mul(op.Mul(_number(2.0, x), s), _polynomial(op.Mul(s, s), [1 / (2 * i + 1) for i in range(9)]))
    return _where_near(x, series, op.Log(op.Add(_number(1.0, x), x)))


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """``log(1 + exp(beta x)) / beta``, also in double precision, for which runtimes have no kernel."""
    op, types = _ops()
    if beta == 1.0 and x.dtype in (types.FLOAT, types.FLOAT16):  # what is made on the way has no type yet
        return op.Softplus(x)
    y = op.Mul(x, _number(beta, x))
    positive = op.Max(y, _number(0.0, x))
    return op.Div(op.Add(positive, log1p(op.Exp(op.Neg(op.Abs(y))))), _number(beta, x))


def log_sigmoid(x: Any) -> Any:
    """Logarithm of the logistic function; that of torch's exporter is minus infinity from -104 down."""
    op, _ = _ops()
    return op.Neg(softplus(op.Neg(x)))


def log_gamma(x: Any) -> Any:
    """Logarithm of the gamma function for ``x > 0``: Stirling's series eight steps up, in double precision.

    Reference:
        NIST Digital Library of Mathematical Functions, 5.11.1. https://dlmf.nist.gov/5.11
    """
    op, types = _ops()
    up = op.Cast(x, to=types.DOUBLE)
    product = up
    for i in range(1, 8):
        product = op.Mul(product, op.Add(up, _number(float(i), up)))
    y = op.Add(up, _number(8.0, up))
    inverse = op.Reciprocal(y)
    tail = op.Mul(inverse, _polynomial(op.Mul(inverse, inverse), [1 / 12, -1 / 360, 1 / 1260, -1 / 1680]))
    body = op.Sub(op.Mul(op.Sub(y, _number(0.5, up)), op.Log(y)), y)
    whole = op.Sub(op.Add(op.Add(body, _number(0.5 * math.log(2 * math.pi), up)), tail), op.Log(product))
    return op.CastLike(whole, x)
