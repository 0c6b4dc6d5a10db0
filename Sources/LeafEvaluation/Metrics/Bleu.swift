import Glibc

/// BLEU-1 to BLEU-4 of characters over the whole corpus.
///
/// - Source: Papineni and others 2002. The same numbers as sacreBLEU with `tokenize="char"` and its default smoothing
///   (a precision of 0 counts as half, a quarter, .. of one hit), divided by 100.
package struct Bleu: TextMetric {
    private static let orders = 4

    private var hits = Array(repeating: 0, count: orders)
    private var totals = Array(repeating: 0, count: orders)
    private var length = 0
    private var referenceLength = 0

    package init() {}

    package mutating func add(_ text: String, reference: String) {
        let (text, reference) = (Characters(text), Characters(reference))
        length += text.count
        referenceLength += reference.count
        for order in 1...Self.orders {
            hits[order - 1] += text.overlap(order, with: reference)
            totals[order - 1] += max(0, text.count - order + 1)
        }
    }

    package var values: [MetricValue] {
        (1...Self.orders).map { MetricValue(name: "bleu\($0)", value: bleu($0)) }
    }

    private func bleu(_ orders: Int) -> Double {
        // If there is no hit at all, nothing is smoothed.
        guard hits[..<orders].contains(where: { $0 > 0 }), totals[..<orders].allSatisfy({ $0 > 0 }) else { return 0 }
        var (sum, smoothing) = (0.0, 1.0)
        for order in 0..<orders {
            if hits[order] == 0 { smoothing *= 2 }
            let hits = hits[order] == 0 ? 1 / smoothing : Double(hits[order])
            sum += log(hits / Double(totals[order]))
        }
        let brevity = length < referenceLength ? exp(1 - Double(referenceLength) / Double(length)) : 1
        return brevity * exp(sum / Double(orders))
    }
}
