#!/usr/bin/env python3
"""Fits the polynomials of exp and erf in Sources/CLeafKernels/float/math.h and prints them as C.

Needs numpy and mpmath. Weighted minimax fits by Lawson's iteration (least squares whose weights follow the error),
coefficients rounded to float32 one by one from the lowest degree, the rest refitted after each. Deterministic.

    python3 Scripts/fit-polynomials.py
"""

import mpmath
import numpy as np

mpmath.mp.dps = 40
POINTS = 2000


def nodes(low, high):
    """Chebyshev nodes, dense at both ends."""
    angles = (np.arange(POINTS) + 0.5) * np.pi / POINTS
    return (low + high) / 2 - (high - low) / 2 * np.cos(angles)


def sample(function, points):
    return np.array([float(function(mpmath.mpf(float(p)))) for p in points])


def minimax(basis, target, weight):
    """Coefficients c that minimise max |weight * (basis c - target)|."""
    importance = np.ones(len(target)) / len(target)
    best, best_error = None, np.inf
    for _ in range(400):
        root = np.sqrt(importance)
        scaled = basis * (weight * root)[:, None]
        norms = np.linalg.norm(scaled, axis=0)
        coefficients = np.linalg.lstsq(scaled / norms, target * weight * root, rcond=None)[0] / norms
        error = np.abs(weight * (basis @ coefficients - target))
        if error.max() < best_error:
            best, best_error = coefficients, error.max()
        importance = importance * error
        importance /= importance.sum()
    return best, best_error


def fit(points, target, weight, degree):
    """A float32 polynomial of the given degree in `points`, and its largest weighted error."""
    fixed = []
    while len(fixed) <= degree:
        done = sum((c * points**k for k, c in enumerate(fixed)), np.zeros_like(points))
        basis = np.stack([points**k for k in range(len(fixed), degree + 1)], axis=1)
        coefficients, _ = minimax(basis, target - done, weight)
        fixed.append(float(np.float32(coefficients[0])))
    value = sum(c * points**k for k, c in enumerate(fixed))
    return fixed, np.abs(weight * (value - target)).max()


def literal(value):
    """A float32 as a C literal."""
    mantissa, exponent = value.hex().split("p")
    return mantissa.rstrip("0").rstrip(".") + "p" + exponent + "f"


def show(name, comment, coefficients, error):
    print(f"{name}: {comment}; largest error {error:.2e}")
    print("   ", ", ".join(literal(c) for c in coefficients))


def main():
    # exp(r) = 1 + r + r^2 P(r) on |r| <= ln 2 / 2, a little more for the rounding of the reduction.
    r = nodes(-0.3467, 0.3467)
    series = lambda x: (mpmath.expm1(x) - x) / x**2
    coefficients, error = fit(r, sample(series, r), r**2 / np.exp(r), 4)
    show("exp", "1 + r + r^2 P(r), relative", coefficients, error)

    # erf(x) = x + x P(x^2) on |x| <= 1.
    x = nodes(0.0, 1.0)
    square = x**2
    series = lambda v: mpmath.erf(v) / v - 1
    coefficients, error = fit(square, sample(series, x), 1 / (1 + sample(series, x)), 6)
    show("erf, small", "x + x P(x^2), relative", coefficients, error)

    # erf(t) = 1 - exp(-t Q(t)) on 1 <= t <= 4; the error of Q counts as much as it moves erf.
    t = nodes(1.0, 4.0)
    series = lambda v: -mpmath.log(mpmath.erfc(v)) / v
    weight = t * sample(mpmath.erfc, t) / sample(mpmath.erf, t)
    coefficients, error = fit(t, sample(series, t), weight, 7)
    show("erf, large", "1 - exp(-t Q(t)), of erf", coefficients, error)

    # ln 2 in two parts; the first has 15 bits, so that its product with an exponent is exact.
    ln2 = mpmath.log(2)
    high = float(mpmath.nint(ln2 * 2**15) / 2**15)
    print("ln 2:", literal(high), literal(float(np.float32(float(ln2 - high)))))
    print("1 / ln 2:", literal(float(np.float32(float(1 / ln2)))))
    print("1 / sqrt 2:", literal(float(np.float32(float(1 / mpmath.sqrt(2))))))


if __name__ == "__main__":
    main()
