/// The natural logarithm of a positive number, to about two units in the last place. It gives the same bits on every
/// machine; the C library's does not.
///
/// ln(m 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)) with m between the roots of 1/2 and 2.
package func naturalLogarithm(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return value == 0 ? -.infinity : value }
    var (mantissa, exponent) = (value.significand, Double(value.exponent))
    if mantissa > 1.414_213_562_373_095_1 {
        mantissa /= 2
        exponent += 1
    }
    let ratio = (mantissa - 1) / (mantissa + 1)
    let square = ratio * ratio
    // The ratio is at most 0.1716, so the first term that is left out is below 1e-18 of the first term.
    var sum = 0.0
    for divisor in stride(from: 23.0, through: 1, by: -2) { sum = sum * square + 1 / divisor }
    return exponent * 0.693_147_180_559_945_3 + 2 * ratio * sum
}
