/// The standard normal distribution as a table, which turns random bits into weights.
///
/// It uses only additions, multiplications and divisions, so that every machine computes the same bits.
struct NormalDistribution: Sendable {
    /// The size of a table that is looked up with 16 random bits.
    static let count = 1 << 16

    /// `quantiles[i]` is the value for the i-th of 65536 equally likely parts.
    let quantiles: [Float]
    /// `cumulative[j]` is the probability between 0 and j times `step`.
    private let cumulative: [Double]

    private static let step = 1.0 / 1024
    private static let end = 6 * 1024

    init() {
        // The density's ratio between neighbours is exp(-step^2 (j + 1/2)). A power series of four terms is exact here.
        let square = Self.step * Self.step
        func exponential(_ x: Double) -> Double { 1 + x * (1 + x / 2 * (1 + x / 3)) }
        var density = 0.398_942_280_401_432_7
        var ratio = exponential(-square / 2)
        let change = exponential(-square)
        var cumulative = [0.0]
        for _ in 0..<Self.end {
            let next = density * ratio
            cumulative.append(cumulative[cumulative.count - 1] + (density + next) / 2 * Self.step)
            density = next
            ratio *= change
        }
        self.cumulative = cumulative

        let half = Self.count / 2
        let upper = (0..<half).map { Float(Self.quantile(cumulative, (Double($0) + 0.5) / Double(Self.count))) }
        quantiles = upper.reversed().map { -$0 } + upper
    }

    /// The magnitude that one of `count` numbers exceeds: 3.67 for 4096.
    func largest(of count: Int) -> Double {
        Self.quantile(cumulative, 0.5 - 0.5 / Double(max(2, count)))
    }

    /// The value at which the probability from 0 on reaches `share`, which is between 0 and 1/2.
    private static func quantile(_ cumulative: [Double], _ share: Double) -> Double {
        var low = 0
        var high = end
        while high - low > 1 {
            let middle = (low + high) / 2
            if cumulative[middle] <= share { low = middle } else { high = middle }
        }
        let part = (share - cumulative[low]) / (cumulative[high] - cumulative[low])
        return (Double(low) + min(1, part)) * step
    }

    /// Int8 weights, as `absmax / 127` makes them from an output of `columns` numbers.
    func quantized(columns: Int) -> [Int8] {
        let scale = 127 / largest(of: columns)
        return quantiles.map { Int8(min(127, max(-127, (Double($0) * scale).rounded(.toNearestOrEven)))) }
    }
}
